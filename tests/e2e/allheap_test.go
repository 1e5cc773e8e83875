package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

// bridged builds the program that has the Go package in it.
func bridged(t testing.TB, b build) string {
	t.Helper()
	programs := filepath.Join(repositoryRoot(), "tests", "programs")
	dir := filepath.Join(programs, "go-allheap")
	inputs := []string{dir, filepath.Join(programs, "go-steps"), filepath.Join(repositoryRoot(),
		"cgo_bridge")}
	return buildPackage(t, dir, inputs, b, ".")
}

// goProfile is Go's heap profile as the program itself writes it.
func (h *host) goProfile(dir string) *profile.Profile {
	h.t.Helper()
	path := filepath.Join(dir, "heap.pb.gz")
	h.tell("heap %s", path)
	text, err := os.ReadFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	p, err := profile.ParseData(text)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func total(p *profile.Profile, from func(*profile.Sample) bool) (f figures) {
	for _, s := range p.Sample {
		if from(s) {
			f.add(s)
		}
	}
	return f
}

func all(*profile.Sample) bool { return true }

func isGos(s *profile.Sample) bool {
	return len(s.Label["origin"]) == 1 && s.Label["origin"][0] == "go"
}

func isCs(s *profile.Sample) bool { return !isGos(s) }

func (f figures) plus(g figures) figures {
	return figures{f.allocObjects + g.allocObjects, f.allocBytes + g.allocBytes, f.inUseObjects +
		g.inUseObjects, f.inUseBytes + g.inUseBytes}
}

func (f figures) list() []int64 {
	return []int64{f.allocObjects, f.allocBytes, f.inUseObjects, f.inUseBytes}
}

func everyBridged(t *testing.T, test func(t *testing.T, b build)) {
	for _, version := range goVersions() {
		t.Run("go"+version, func(t *testing.T) { test(t, build{version, "plain"}) })
	}
}

// Both heaps in one profile: nothing lost, nothing twice, each figure as its own profile has it.
func TestAllHeap(t *testing.T) { everyBridged(t, testAllHeap) }

func testAllHeap(t *testing.T, b build) {
	h := start(t, bridged(t, b), hostOptions{sampleBytes: 1})
	dir := t.TempDir()
	h.tellAll([]string{"c 1000 1000", fmt.Sprint("go 8 ", 8*mib), fmt.Sprint("both 4 ", 4*mib),
		"gc"})
	gos := h.goProfile(dir)
	page := h.get("/debug/pprof/allheap")
	both, err := profile.ParseData(page)
	if err == nil {
		err = both.CheckValid()
	}
	if err != nil {
		t.Fatal(err)
	}
	ours := h.profile("")
	wantGoHeapTypes(t, both)
	for _, c := range []struct {
		what      string
		got, want figures
	}{
		{"all", total(both, all), total(ours, all).plus(total(gos, all))},
		{"Go's", total(both, isGos), total(gos, all)},
		{"C's", total(both, isCs), total(ours, all)},
	} {
		if c.got != c.want {
			t.Errorf("%s figures are %+v, the profiles by themselves have %+v", c.what,
				c.got, c.want)
		}
	}
	wantSamplesOf(t, both, gos)
	for _, want := range []string{"every allocation",
		fmt.Sprintf("Go's heap: sampled every %d bytes on average", gos.Period)} {
		if !strings.Contains("\n"+strings.Join(both.Comments, "\n")+"\n", "\n"+want+"\n") {
			t.Errorf("no comment %q in %q", want, both.Comments)
		}
	}
	for _, m := range both.Mapping[1:] {
		if m.File == both.Mapping[0].File {
			t.Errorf("the program is mapped twice: %v, %v", both.Mapping[0], m)
		}
	}
	path := filepath.Join(dir, "all.pb.gz")
	if err := os.WriteFile(path, page, 0o644); err != nil {
		t.Fatal(err)
	}
	wantAllHeapInPprof(t, b, dir, path, both)
}

// wantSamplesOf: Go's samples are all there, stack by stack, in the program's mapping.
func wantSamplesOf(t *testing.T, both, gos *profile.Profile) {
	t.Helper()
	key := func(s *profile.Sample) string {
		var list []string
		for _, f := range frames(s) {
			list = append(list, fmt.Sprint(f.function, " ", f.file, ":", f.line, " ", f.address))
		}
		return fmt.Sprint(strings.Join(list, "\n"), s.Value, s.NumLabel["bytes"])
	}
	want := map[string]int{}
	for _, s := range gos.Sample {
		if (total(&profile.Profile{Sample: []*profile.Sample{s}}, all) != figures{}) {
			want[key(s)]++
		}
	}
	for _, s := range both.Sample {
		if !isGos(s) {
			continue
		}
		if want[key(s)]--; want[key(s)] < 0 {
			t.Errorf("a sample that Go's profile has not: %s", key(s))
		}
		for _, l := range s.Location {
			if l.Mapping != both.Mapping[0] {
				t.Errorf("%v is in mapping %v", l.Line, l.Mapping)
			}
		}
	}
	for k, n := range want {
		if n > 0 {
			t.Errorf("lacks a sample of Go's: %s", k)
		}
	}
}

var topTotal = regexp.MustCompile(`% of (-?[0-9.]+)B total`)

func wantTotal(t *testing.T, top string, want int64) {
	t.Helper()
	m := topTotal.FindStringSubmatch(top)
	if m == nil || m[1] != fmt.Sprint(want) {
		t.Errorf("pprof's total is %v, want %d\n%s", m, want, top)
	}
}

// wantAllHeapInPprof: what a user does with it.
func wantAllHeapInPprof(t *testing.T, b build, dir, path string, both *profile.Profile) {
	t.Helper()
	exact := []string{"-top", "-cum", "-unit=B", "-nodefraction=0", "-nodecount=10000"}
	run := func(
		args ...string) string {
		return pprof(t, b, dir, append(append(exact, args...), path)...)
	}
	for i, want := range total(both, all).list() {
		if i%2 == 1 { // of objects pprof says no unit
			wantTotal(t, run("-sample_index="+both.SampleType[i].Type), want)
		}
	}
	roots := run("-tagroot=origin")
	for _, origin := range []string{"go", "malloc"} {
		want := total(both, func(s *profile.Sample) bool { return s.Label["origin"][0] == origin })
		if row := cumOf(roots, origin); row != fmt.Sprint(want.inUseBytes, "B") {
			t.Errorf("by origin pprof has %q for %s, want %d\n%s", row, origin, want.inUseBytes,
				roots)
		}
	}
	// One function of Go's, one node: it has what both heaps have below it.
	const function = "main.(*shelf[go.shape.int]).holdBoth"
	want := sum(both, function)
	if want.inUseBytes < 32*mib {
		t.Errorf("%s holds %+v", function, want)
	}
	if got := cumOf(run(), function); got != fmt.Sprint(want.inUseBytes, "B") {
		t.Errorf("pprof has %q for %s, want %d in one row", got, function, want.inUseBytes)
	}
	only := run("-tagfocus=origin=go")
	if strings.Contains(only, "main._Cfunc_") || !strings.Contains(only, "main.holdGo") {
		t.Errorf("Go's alone is\n%s", only)
	}
}

// cumOf is the cumulative value of a function's only row.
func cumOf(top, function string) (cum string) {
	for _, line := range strings.Split(top, "\n") {
		f := strings.Fields(line)
		if len(f) == 6 && f[5] == function || len(f) == 7 && f[5] == function &&
			f[6] == "(inline)" {
			if cum != "" {
				return "several rows"
			}
			cum = f[3]
		}
	}
	return cum
}

// Growth is what came and went, of both; what did not change is not there.
func TestAllHeapGrowth(t *testing.T) {
	h := start(t, bridged(t, oneBuild()), hostOptions{sampleBytes: 1})
	h.tellAll([]string{fmt.Sprint("go 4 ", 8*mib), "c 100 1000", "gc"})
	growth := h.ask("/debug/pprof/allheap?seconds=4")
	h.get("/v1/status") // answered after it: so the first half of the growth is taken
	h.tellAll([]string{"forget", fmt.Sprint("both 2 ", 4*mib), "gc"})
	p := growth()
	gos := total(p, isGos)
	// Its own: what takes the profile allocates too, half a MiB at a time.
	own := total(p,
		func(s *profile.Sample) bool { return isGos(s) && slices.Contains(names(s), "main.main") })
	if want := int64(32*mib - 8*mib); !within(-own.inUseBytes, want, 0.02, 0) {
		t.Errorf("the program's Go heap shrank by %d, true is %d", -own.inUseBytes, want)
	}
	// And what the profile took to write.
	if gos.allocBytes < 8*mib || gos.allocBytes > 12*mib {
		t.Errorf("Go allocated %d, true is %d", gos.allocBytes, 8*mib)
	}
	if c := sum(p, "main.holdC"); c.inUseBytes != 8*mib {
		t.Errorf("C's heap grew by %+v", c)
	}
	for _, s := range p.Sample {
		if s.Value[0] == 0 && s.Value[1] == 0 && s.Value[2] == 0 && s.Value[3] == 0 {
			t.Errorf("a sample of nothing: %v", names(s))
		}
	}
}

// ask sends the request; what it returns waits for the answer.
func (h *host) ask(path string) func() *profile.Profile {
	h.t.Helper()
	conn, err := h.dial(context.Background())
	if err == nil {
		_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: cgoheap\r\n\r\n", path)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return func() *profile.Profile {
		defer conn.Close()
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			h.t.Fatal(err)
		}
		p, err := profile.Parse(response.Body)
		if err != nil {
			h.t.Fatalf("%s: %v: %v", path, response.Status, err)
		}
		return p
	}
}

// Below [go_heap] are the objects that live, by stack; the total is still the RSS.
func TestMemoryProfileOfGo(t *testing.T) { everyBridged(t, testMemoryProfileOfGo) }

func testMemoryProfileOfGo(t *testing.T, b build) {
	// A small object that Go samples stands for half a MiB, and what that is more than there is the
	// others have less: of 256 MiB it is no hundredth.
	h := start(t, bridged(t, b), hostOptions{})
	h.tellAll([]string{fmt.Sprint("go 8 ", 32*mib), "c 1000 1000", "gc"})
	h.accountNow()
	a := h.account()
	p := h.memoryProfile()
	if got := below(p, "go_heap", "main.holdGo"); !within(got, 256*mib, 0.01, 0) {
		t.Errorf("main.holdGo has %d below [go_heap], true is %d", got, 256*mib)
	}
	if got := below(p, "go_heap", "main.holdGo") - below(p, "go_heap", "main.main"); got > 0 {
		t.Errorf("%d bytes of main.holdGo do not reach main.main", got)
	}
	if got, want := byRoot(p)["go_heap"], *a.owner("go_heap").Bytes; !within(got, want, 0.01,
		256*kib) {
		t.Errorf("[go_heap] has %d, the account says %d", got, want)
	}
	wantRSS(t, p, h)

	// Collected, and not given back: no object has it, but it is there.
	released := *a.Go.HeapReleased
	h.tellAll([]string{"forget", "gc"})
	p = h.memoryProfileInTime()
	released = *h.accountNow().Go.HeapReleased - released // the runtime gives some back by itself
	if got := below(p, "go_heap", "main.holdGo"); got > mib {
		t.Errorf("main.holdGo has %d yet", got)
	}
	if got := below(p, "go_heap", "[free spans]"); got < 252*mib-max(released, 0) {
		t.Errorf("[free spans] has %d of 256 MiB, less %d given back\n%v", got, released,
			leaves(p, "go_heap"))
	}

	// Forgotten, and not collected: dead objects are still objects of the profile.
	h.tellAll([]string{"gc", fmt.Sprint("go 4 ", 8*mib)})
	p = h.memoryProfileInTime()
	if got := below(p, "go_heap", "[dead or new objects]"); !within(got, 32*mib, 0.1, mib) {
		t.Errorf("[dead or new objects] has %d, true is %d\n%v", got, 32*mib, leaves(p, "go_heap"))
	}
	wantRSS(t, p, h)
}

// memoryProfileInTime is one during which the runtime gave nothing back, as it does for a
// while after a collection.
func (h *host) memoryProfileInTime() *profile.Profile {
	h.t.Helper()
	for try := 0; ; try++ {
		before := h.rollup()
		p, err := profile.ParseData(h.get("/debug/pprof/memory"))
		if err != nil {
			h.t.Fatal(err)
		}
		var total int64
		for _, s := range p.Sample {
			total += s.Value[0]
		}
		after, slack := h.rollup(), max(256*kib, byRoot(p)["shim"]) // given back by now
		if within(total, before, 0.01, slack) && within(total, after, 0.01, slack) {
			return p
		}
		if try == 100 {
			h.t.Fatalf("the profile's total is %d, smaps_rollup said %d before and %d after", total,
				before, after)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// leaves is what an owner has below it, by leaf.
func leaves(p *profile.Profile, owner string) map[string]int64 {
	sums := map[string]int64{}
	for _, s := range p.Sample {
		if list := names(s); list[len(list)-1] == "["+owner+"]" {
			sums[list[0]] += s.Value[0]
		}
	}
	return sums
}

// wantRSS: the profile's samples are whole pages in sum, for an RSS has nothing else.
func wantRSS(t *testing.T, p *profile.Profile, h *host) {
	t.Helper()
	var sum int64
	for _, s := range p.Sample {
		if s.Value[0] <= 0 {
			t.Errorf("a sample of %d bytes: %v", s.Value[0], names(s))
		}
		sum += s.Value[0]
	}
	if sum%page != 0 {
		t.Errorf("the total, %d, is no whole number of pages: rounding lost some of it", sum)
	}
	for owner, bytes := range byRoot(p) {
		if owner == "go_heap" && bytes%page != 0 {
			t.Errorf("[go_heap] has %d, no whole number of pages", bytes)
		}
	}
}

// Without the package the library cannot ask Go, and the answer says what to do.
func TestAllHeapWithoutThePackage(t *testing.T) {
	h := start(t, program(t, "go-account", oneBuild()), hostOptions{})
	code, _, body := h.request("GET", "/debug/pprof/allheap")
	if code != 404 || !strings.Contains(string(body), "import the Go package cgo_bridge") {
		t.Errorf("%d %s", code, body)
	}
	if got := leaves(h.memoryProfile(), "go_heap"); len(got) != 1 || got["[go_heap]"] == 0 {
		t.Errorf("[go_heap] has %v below it", got)
	}
}

// The service's own port has both, too; gc=1 is the package's.
func TestAllHeapOnTheServicesPort(t *testing.T) {
	// One small object that Go samples stands for half a MiB, and with that for more than is
	// resident. So do buffers that were not touched: they are some 100 KiB here.
	h := start(t, bridgeProgram(t, oneBuild()), hostOptions{sampleBytes: 1,
		env: []string{"GODEBUG=memprofilerate=1"}})
	h.tellAll([]string{fmt.Sprint("hold ", 64*mib), fmt.Sprint("leak ", mib)})
	p := h.pageProfile("/debug/pprof/allheap?gc=1")
	if got := sum(p, "main.hold").inUseBytes; !within(got, 64*mib, 0.01, 0) {
		t.Errorf("main.hold has %d", got)
	}
	if got := sum(p, "main.leak").inUseBytes; got != mib {
		t.Errorf("main.leak has %d", got)
	}
	p = h.pageProfile("/debug/pprof/memory?gc=1")
	if got := below(p, "go_heap", "main.hold"); !within(got, 64*mib, 0.01, 0) {
		t.Errorf("main.hold has %d below [go_heap]", got)
	}
}

// Package profile reads what the shim's profile writer wrote, for stacks
// captured in a real Go program, with the library and the tool that users read
// it with: github.com/google/pprof/profile and go tool pprof.
package profile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/pprof/profile"
)

var dir string // what the writer wrote

func TestMain(m *testing.M) {
	temp, err := os.MkdirTemp("", "cgoheap-profile-")
	if err != nil {
		panic(err)
	}
	dir = temp
	code := 1
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	os.RemoveAll(temp)
	os.Exit(code)
}

func run(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %v\n%s", cmd.Args, err, out)
	}
	return nil
}

func write() error {
	make := exec.Command("make", "--no-print-directory", "-f", "Makefile",
		"-f", "tests/profile/testdata/taker.mk", "taker")
	make.Dir = "../.."
	if err := run(make); err != nil {
		return err
	}
	lib, err := filepath.Abs("../../build/profile")
	if err != nil {
		return err
	}
	writer := filepath.Join(dir, "writer")
	build := exec.Command("go", "build", "-o", writer, "./testdata/writer")
	build.Env = append(os.Environ(), "CGO_LDFLAGS=-L"+lib+" -Wl,-rpath,"+lib)
	if err := run(build); err != nil {
		return err
	}
	return run(exec.Command(writer, dir))
}

func parse(t *testing.T, path string) *profile.Profile {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := profile.Parse(f)
	if err != nil {
		t.Fatalf("%s: %v", filepath.Base(path), err)
	}
	if err := p.CheckValid(); err != nil {
		t.Fatalf("%s: %v", filepath.Base(path), err)
	}
	return p
}

func written(t *testing.T, name string) *profile.Profile {
	t.Helper()
	return parse(t, filepath.Join(dir, name))
}

// pprof runs go tool pprof on profiles in dir; what it prints on stdout.
func pprof(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"tool", "pprof"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PPROF_TMPDIR="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, &stderr)
	}
	return string(out)
}

// seen is a profile as go tool pprof has it after symbolizing and pruning.
func seen(t *testing.T, args ...string) *profile.Profile {
	t.Helper()
	out := filepath.Join(t.TempDir(), "seen.pb.gz")
	pprof(t, append([]string{"-proto", "-output", out}, args...)...)
	return parse(t, out)
}

type frame struct {
	Function string
	File     string
	Line     int
}

func frames(s *profile.Sample) []frame {
	var list []frame
	for _, l := range s.Location {
		for _, line := range l.Line {
			list = append(list, frame{line.Function.Name, line.Function.Filename, int(line.Line)})
		}
	}
	return list
}

func names(s *profile.Sample) []string {
	var list []string
	for _, l := range s.Location {
		if len(l.Line) == 0 {
			list = append(list, "?")
		}
		for _, line := range l.Line {
			list = append(list, line.Function.Name)
		}
	}
	return list
}

func sampleOf(t *testing.T, p *profile.Profile, bytes int64) *profile.Sample {
	t.Helper()
	for _, s := range p.Sample {
		if n := s.NumLabel["bytes"]; len(n) == 1 && n[0] == bytes {
			return s
		}
	}
	t.Fatalf("no sample of %d bytes", bytes)
	return nil
}

func sum(p *profile.Profile, value int) (total int64) {
	for _, s := range p.Sample {
		total += s.Value[value]
	}
	return total
}

type expectation struct {
	Bytes  int64
	Go     []frame
	C      []string
	Values [4]int64
}

func expectations(t *testing.T) []expectation {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []expectation
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) < 6 {
		t.Fatalf("only %d stacks expected", len(list))
	}
	return list
}

func TestHeaderIsThatOfGosHeapProfile(t *testing.T) {
	ours, gos := written(t, "cgoheap.pb.gz"), written(t, "heap.pb.gz")
	header := func(p *profile.Profile) string {
		var types []string
		for _, s := range p.SampleType {
			types = append(types, s.Type+"/"+s.Unit)
		}
		return fmt.Sprint(types, p.PeriodType.Type, "/", p.PeriodType.Unit, " period ", p.Period,
			" default ", p.DefaultSampleType, " drop ", p.DropFrames, " keep ", p.KeepFrames,
			" duration ", p.DurationNanos, " doc ", p.DocURL)
	}
	if header(ours) != header(gos) {
		t.Errorf("ours %s\nGo's %s", header(ours), header(gos))
	}
	if d := gos.TimeNanos - ours.TimeNanos; d < 0 || d > 60e9 {
		t.Errorf("taken %d ns before Go's, which was written right after it", d)
	}
}

func TestLabelsAreThoseOfGosHeapProfile(t *testing.T) {
	ours, gos := written(t, "cgoheap.pb.gz"), written(t, "heap.pb.gz")
	for _, s := range ours.Sample {
		if !reflect.DeepEqual(s.Label, map[string][]string{"origin": {"malloc"}}) {
			t.Errorf("labels %v", s.Label)
		}
		if len(s.NumLabel) != 1 || len(s.NumUnit) != 0 {
			t.Errorf("numeric labels %v, units %v", s.NumLabel, s.NumUnit)
		}
	}
	for _, s := range gos.Sample {
		if s.Value[0] == 0 { // of the cycle that is under way: nothing is published, and no size
			continue
		}
		if len(s.NumLabel["bytes"]) != 1 || len(s.NumUnit) != 0 {
			t.Errorf("Go's numeric labels %v, units %v", s.NumLabel, s.NumUnit)
		}
	}
}

// printed is the frames with names as a traceback has them: Go's profiles have type arguments.
func printed(list []frame) (short []frame) {
	for _, f := range list {
		open, end := strings.IndexByte(f.Function, '['), strings.LastIndexByte(f.Function, ']')
		if open >= 0 && strings.HasPrefix(f.Function[open:], "[go.shape.") {
			f.Function = f.Function[:open] + "[...]" + f.Function[end+1:]
		}
		short = append(short, f)
	}
	return short
}

// The Go part is what runtime.CallersFrames said in the same goroutine, to the
// line; the C part is what the sources say.
func TestStacks(t *testing.T) {
	p := written(t, "cgoheap.pb.gz")
	var inlined bool
	for _, l := range p.Location {
		inlined = inlined || len(l.Line) > 1
	}
	if !inlined {
		t.Error("no inlined call among the stacks: the test tests less than it should")
	}
	for _, want := range expectations(t) {
		s := sampleOf(t, p, want.Bytes)
		if !reflect.DeepEqual(s.Value, want.Values[:]) {
			t.Errorf("%d bytes: values %v, want %v", want.Bytes, s.Value, want.Values)
		}
		got := frames(s)
		c := len(want.C)
		if len(got) < c+1 {
			t.Errorf("%d bytes: %v", want.Bytes, got)
			continue
		}
		for i, name := range want.C {
			// GCC adds to the names of specialized copies: ".isra.0".
			if bare, _, _ := strings.Cut(got[i].Function, "."); bare != name {
				t.Errorf("%d bytes: C frame %d is %s, want %s", want.Bytes, i, got[i].Function,
					name)
			}
		}
		if !strings.HasPrefix(got[c].Function, "main._Cfunc_") {
			t.Errorf("%d bytes: %s stands between C and Go", want.Bytes, got[c].Function)
		}
		// Go's profiles, too, leave out the root of every goroutine.
		wantGo := want.Go[:len(want.Go)-1]
		if root := want.Go[len(wantGo)]; root.Function != "runtime.goexit" ||
			!reflect.DeepEqual(printed(got[c+1:]), wantGo) {
			t.Errorf("%d bytes: Go frames\n%v, want\n%v", want.Bytes, got[c+1:], want.Go)
		}
	}
}

// pprof looks into the binary, which is here and has DWARF for all of it, and
// must not put anything in place of what the process knew.
func TestPprofKeepsOurNames(t *testing.T) {
	ours, theirs := written(t, "cgoheap.pb.gz"), seen(t, "cgoheap.pb.gz")
	for _, want := range expectations(t) {
		a, b := frames(sampleOf(t, ours, want.Bytes)), frames(sampleOf(t, theirs, want.Bytes))
		for i := range a {
			if strings.HasPrefix(a[i].Function, "_ZN2ns4Pool4takeIiEEim") {
				a[i].Function = "ns::Pool::take"
			}
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%d bytes: in the profile\n%v, in pprof\n%v", want.Bytes, a, b)
		}
	}
}

// Why a mapping with names says so: without the flag, go tool pprof takes names
// from DWARF and has none for C++ methods and for functions inlined elsewhere.
func TestPprofWouldLoseNames(t *testing.T) {
	p := written(t, "cgoheap.pb.gz")
	for _, m := range p.Mapping {
		m.HasFunctions, m.HasFilenames, m.HasLineNumbers = false, false, false
	}
	path := filepath.Join(t.TempDir(), "unflagged.pb.gz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Write(f); err != nil {
		t.Fatal(err)
	}
	f.Close()
	theirs := seen(t, path)
	for _, bytes := range []int64{400, 500} { // ns::Pool::take, both
		if name := names(sampleOf(t, theirs, bytes))[1]; name != "" {
			t.Errorf("%d bytes: go tool pprof found %q: the flag may no longer be needed",
				bytes, name)
		}
	}
}

func TestMergesWithGosHeapProfile(t *testing.T) {
	ours, gos := written(t, "cgoheap.pb.gz"), written(t, "heap.pb.gz")
	for _, order := range [][]string{{"heap.pb.gz", "cgoheap.pb.gz"},
		{"cgoheap.pb.gz", "heap.pb.gz"}} {
		both := seen(t, order...)
		for v := range both.SampleType {
			if got, want := sum(both, v), sum(ours, v)+sum(gos, v); got != want {
				t.Errorf("%v: %s %d, want %d", order, both.SampleType[v].Type, got, want)
			}
		}
		for _, want := range expectations(t) {
			a := frames(sampleOf(t, ours, want.Bytes))
			b := frames(sampleOf(t, both, want.Bytes))
			if !reflect.DeepEqual(a[len(want.C):], b[len(want.C):]) {
				t.Errorf("%v: %d bytes: Go frames\n%v, want\n%v", order, want.Bytes, b, a)
			}
		}
		if base := filepath.Base(both.Mapping[0].File); base != "writer" {
			t.Errorf("%v: the program is %s", order, base)
		}
	}
	// One tree of stacks, not two side by side.
	for _, s := range seen(t, "cgoheap.pb.gz", "heap.pb.gz").Sample {
		list := names(s)
		if n := len(list); contains(list, "main.main") &&
			!reflect.DeepEqual(list[n-2:], []string{"main.main", "runtime.main"}) {
			t.Errorf("a stack of main ends otherwise: %v", list)
		}
	}
	top := pprof(t, "-top", "-nodefraction=0", "heap.pb.gz", "cgoheap.pb.gz")
	for _, name := range []string{"malloc", "main.goAllocates", "main.plain"} {
		if !strings.Contains(top, name) {
			t.Errorf("no %s in\n%s", name, top)
		}
	}
}

func TestDifferences(t *testing.T) {
	same := seen(t, "-diff_base", "cgoheap.pb.gz", "cgoheap.pb.gz")
	for v := range same.SampleType {
		if sum(same, v) != 0 {
			t.Errorf("a profile differs from itself by %d %s", sum(same, v),
				same.SampleType[v].Type)
		}
	}
	out := pprof(t, "-sample_index=inuse_space", "-unit=bytes", "-top", "-diff_base",
		"cgoheap.pb.gz", "marks.pb.gz")
	if !strings.Contains(out, "marks") {
		t.Errorf("what marks() allocated is not in\n%s", out)
	}
	focused := seen(t, "-tagfocus=origin=malloc", "cgoheap.pb.gz")
	if len(focused.Sample) != len(written(t, "cgoheap.pb.gz").Sample) {
		t.Errorf("-tagfocus=origin=malloc leaves %d samples", len(focused.Sample))
	}
}

func TestNoSymbols(t *testing.T) {
	p := written(t, "none.pb.gz")
	if len(p.Function) != 0 {
		t.Errorf("%d functions", len(p.Function))
	}
	for _, m := range p.Mapping {
		if m.HasFunctions || m.HasFilenames || m.HasLineNumbers || m.HasInlineFrames {
			t.Errorf("%s claims symbols", m.File)
		}
	}
	if base := filepath.Base(p.Mapping[0].File); base != "writer" {
		t.Errorf("the first mapping is %s", base)
	}
	// pprof finds the same functions in the binary, less what was inlined.
	theirs := seen(t, "none.pb.gz")
	if got := names(sampleOf(t, theirs, 100)); !contains(got, "main.plain") ||
		!contains(got, "grab_deep") {
		t.Errorf("pprof made %v of the addresses", got)
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func TestPlumbing(t *testing.T) {
	short, all := written(t, "cgoheap.pb.gz"), written(t, "all.pb.gz")
	for _, s := range short.Sample {
		for _, name := range names(s) {
			if strings.HasPrefix(name, "runtime.cgocall") ||
				strings.HasPrefix(name, "runtime.asmcgocall") ||
				strings.HasPrefix(name, "_cgo_") || name == "runtime.goexit" {
				t.Errorf("%s is in the default view", name)
			}
		}
	}
	for _, name := range []string{"runtime.cgocall", "runtime.goexit", "runtime.main", "main.main",
		"grab", "malloc"} {
		if got := names(sampleOf(t, all, 100)); !contains(got, name) {
			t.Errorf("no %s in %v", name, got)
		}
	}
}

// Why the shim leaves plumbing out itself: drop_frames drops a frame and all
// that it called.
func TestDropFramesWouldDropC(t *testing.T) {
	p := written(t, "all.pb.gz")
	p.DropFrames = `runtime\.cgocall`
	path := filepath.Join(t.TempDir(), "drop.pb.gz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Write(f); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if got := names(sampleOf(t, seen(t, path), 100)); contains(got, "malloc") ||
		contains(got, "grab") {
		t.Errorf("C frames survive drop_frames: %v", got)
	}
}

func TestMarks(t *testing.T) {
	p := written(t, "marks.pb.gz")
	gap, cut := names(sampleOf(t, p, 11)), names(sampleOf(t, p, 12))
	if gap[0] != "malloc" || gap[1] != "marks" || !contains(gap, "[frames not known]") {
		t.Errorf("a stack with a gap: %v", gap)
	}
	if last := gap[len(gap)-1]; last != "runtime.main" {
		t.Errorf("a stack that was too deep ends in %s", last)
	}
	if !reflect.DeepEqual(cut, []string{"malloc", "marks", "[truncated: no_cfi]"}) {
		t.Errorf("a stack without a root: %v", cut)
	}
	var mixed []int64
	for _, s := range p.Sample {
		if len(s.NumLabel) == 0 {
			mixed = s.Value
		}
	}
	// 10 sizes beyond the 64 that are counted one by one (1064 to 1073 bytes),
	// one less because one of the 64 is the mixed one.
	if len(mixed) != 4 || mixed[0] < 10 || mixed[1]/mixed[0] < 1063 || mixed[1]/mixed[0] > 1073 {
		t.Errorf("many sizes: %v", mixed)
	}
}

// A location without a name does not clear its mapping's flag: pprof would symbolize the
// others again.
func TestNamelessCode(t *testing.T) {
	p := written(t, "marks.pb.gz")
	s := sampleOf(t, p, 800)
	if got := names(s); !reflect.DeepEqual(got, []string{"malloc", "?"}) {
		t.Fatalf("%v", got)
	}
	if m := s.Location[1].Mapping; m != p.Mapping[0] || !m.HasFunctions {
		t.Errorf("it is in %v", m)
	}
	if got := names(sampleOf(t, seen(t, "marks.pb.gz"), 500)); !contains(got, "both") {
		t.Errorf("%v", got)
	}
}

// Over HTTP pprof asks the server for the names that are missing, with POST
// /debug/pprof/symbol, and gives the profile up where there is no such page: a
// profile with symbols must not make it ask.
func TestFetchedOverHTTP(t *testing.T) {
	var posts atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts.Add(1)
			http.NotFound(w, r)
			return
		}
		http.ServeFile(w, r, filepath.Join(dir, filepath.Base(r.URL.Path)))
	}))
	defer server.Close()
	for _, name := range []string{"cgoheap.pb.gz", "marks.pb.gz", "all.pb.gz", "growth.pb.gz"} {
		if top := pprof(t, "-top", server.URL+"/debug/pprof/"+name); !strings.Contains(top,
			"malloc") {
			t.Errorf("%s: no malloc in\n%s", name, top)
		}
	}
	if n := posts.Load(); n != 0 {
		t.Errorf("pprof asked the server for symbols %d times", n)
	}
}

func TestText(t *testing.T) {
	type row struct {
		addresses string
		values    string
	}
	rows := func(p *profile.Profile) (list []row) {
		for _, s := range p.Sample {
			var a []string
			for _, l := range s.Location {
				a = append(a, fmt.Sprintf("%#x", l.Address))
			}
			list = append(list, row{strings.Join(a, " "), fmt.Sprint(s.Value)})
		}
		sort.Slice(list, func(i, j int) bool { return fmt.Sprint(list[i]) < fmt.Sprint(list[j]) })
		return list
	}
	text, all := written(t, "cgoheap.txt"), written(t, "all.pb.gz")
	if !reflect.DeepEqual(rows(text), rows(all)) {
		t.Errorf("text\n%v\nprofile\n%v", rows(text), rows(all))
	}
	for i, s := range text.SampleType {
		if *s != *all.SampleType[i] {
			t.Errorf("sample type %v, want %v", s, all.SampleType[i])
		}
	}
	for i := 1; i < len(text.Sample); i++ {
		if text.Sample[i-1].Value[3] < text.Sample[i].Value[3] {
			t.Errorf("row %d holds more than the one above it", i)
		}
	}
	if got := sum(written(t, "growth.txt"), 3); got != 700 {
		t.Errorf("growth as text: %d bytes", got)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "cgoheap.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"heap profile: 11: 3801 [15: 5001] @ heap/2\n", "\tgrab_deep",
		"\tmain.plain+0x",
		"/testdata/writer/main.go:", "\n# cgoheap ", "#\torigin=malloc bytes=100\n"} {
		if !strings.Contains(string(raw), line) {
			t.Errorf("no %q in\n%s", line, raw)
		}
	}
}

func TestGrowth(t *testing.T) {
	p := written(t, "growth.pb.gz")
	if len(p.Sample) != 2 {
		t.Errorf("%d samples, want the two stacks that changed", len(p.Sample))
	}
	for v, want := range []int64{2, 1400, 1, 700} {
		if got := sum(p, v); got != want {
			t.Errorf("%s grew by %d, want %d", p.SampleType[v].Type, got, want)
		}
	}
	if p.DurationNanos <= 0 {
		t.Errorf("duration %d", p.DurationNanos)
	}
	if text := strings.Join(p.Comments, "\n"); !strings.Contains(text, "growth over 0.") {
		t.Errorf("comments: %s", text)
	}
}

func TestComments(t *testing.T) {
	out := pprof(t, "-comments", "cgoheap.pb.gz")
	for _, line := range []string{"cgoheap ", "state: sampling\n", "sampled every 524288 bytes " +
		"on average\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("no %q in\n%s", line, out)
		}
	}
}

// The graph in the browser is made of this.
func TestDot(t *testing.T) {
	out := pprof(t, "-dot", "-nodefraction=0", "-edgefraction=0", "cgoheap.pb.gz")
	for _, name := range []string{"malloc", "grab_deep", "main._Cfunc_grab", "main.plain",
		"ns::Pool::take"} {
		if !strings.Contains(out, `tooltip="`+name+` (`) {
			t.Errorf("no %s in\n%s", name, out)
		}
	}
}

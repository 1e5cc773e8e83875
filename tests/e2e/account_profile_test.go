package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/pprof/profile"
)

// memoryProfile is the whole RSS as a profile, taken while the program held still.
func (h *host) memoryProfile() *profile.Profile {
	h.t.Helper()
	before := h.rollup()
	p, err := profile.ParseData(h.get("/debug/pprof/memory"))
	if err == nil {
		err = p.CheckValid()
	}
	if err != nil {
		h.t.Fatalf("memory profile: %v", err)
	}
	after := h.rollup()
	if len(p.SampleType) != 1 || p.SampleType[0].Type != "memory_space" ||
		p.SampleType[0].Unit != "bytes" {
		h.t.Fatalf("sample types are %v", p.SampleType)
	}
	var total int64
	for _, s := range p.Sample {
		total += s.Value[0]
	}
	slack := max(256*kib, byRoot(p)["shim"]) // given back by now
	if !within(total, before, 0.01, slack) || !within(total, after, 0.01, slack) {
		h.t.Errorf("the profile's total is %d, smaps_rollup said %d before and %d after", total,
			before, after)
	}
	return p
}

// byRoot is what lies below each root frame "[owner]".
func byRoot(p *profile.Profile) map[string]int64 {
	sums := map[string]int64{}
	for _, s := range p.Sample {
		list := names(s)
		sums[strings.Trim(list[len(list)-1], "[]")] += s.Value[0]
	}
	return sums
}

// below is what lies below the owner's root and has the function on its stack.
func below(p *profile.Profile, owner, function string) (bytes int64) {
	for _, s := range p.Sample {
		list := names(s)
		if list[len(list)-1] == "["+owner+"]" && contains(s, function) {
			bytes += s.Value[0]
		}
	}
	return bytes
}

// The commands, and what each leaves below which function of which owner.
func TestMemoryProfile(t *testing.T) {
	for _, version := range outerVersions() {
		b := build{version, "plain"}
		t.Run("go"+version, func(t *testing.T) { testMemoryProfile(t, b) })
	}
}

func testMemoryProfile(t *testing.T, b build) {
	h := start(t, program(t, "go-account", b), hostOptions{sampleBytes: 64 << 10})
	h.tellAll([]string{"malloc 100000 1016 1", fmt.Sprint("big ", gib, " ", 64*mib),
		fmt.Sprint("map ", 100*mib, " ", 50*mib),
		fmt.Sprint("cage ", gib, " 64 ", mib), "threads 30 1000000 0", fmt.Sprint("raw ", 30*mib),
		fmt.Sprint("goheap ", 64*mib),
		"churn 20 1000 1016 16376 0", fmt.Sprint("file $FILE ", 64*mib, " 1"),
		fmt.Sprint("shared ", 9*mib, " ", 9*mib, " ", 9*mib)})
	h.accountNow()
	a := h.account()
	p := h.memoryProfile()

	roots := byRoot(p)
	for _, o := range append(a.Owners, owner{Name: "unexplained", Bytes: &a.Unexplained}) {
		if got := roots[o.Name]; o.Bytes != nil && !within(got, *o.Bytes, 0.02, 256*kib) {
			t.Errorf("[%s] has %d, the account says %d", o.Name, got, *o.Bytes)
		}
		delete(roots, o.Name)
	}
	if len(roots) != 0 {
		t.Errorf("roots that are no owner: %v", roots)
	}
	var stacks int64
	h.fact("thread_stacks", &stacks)
	for _, want := range []struct {
		owner, function string
		bytes           int64
		fraction        float64
	}{
		{"c_live", "main.cMalloc", 100000 * 1024, 0.15}, // 1600 samples of it
		// not the GiB; scaled together with the estimate
		{"c_live", "main.cBig", 64 * mib, 0.1},
		{"c_mmap", "main.cMap", 50 * mib, 0.02},
		{"c_mmap", "main.cCage", 32 * mib, 0.02},
		{"thread_stacks", "main.cThreads", stacks, 0.02},
	} {
		if got := below(p, want.owner, want.function); !within(got, want.bytes, want.fraction, 0) {
			t.Errorf("%s has %d below [%s], true is %d", want.function, got, want.owner, want.bytes)
		}
		if got := below(p, want.owner, want.function) - below(p, want.owner, "main.main"); got > 0 {
			t.Errorf("%d bytes of %s do not reach main.main", got, want.function)
		}
	}
	wantInPprof(t, h, b, a)
}

// wantInPprof: real pprof shows it, with the owners as functions.
func wantInPprof(t *testing.T, h *host, b build, a account) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "memory.pb.gz")
	if err := os.WriteFile(path, h.get("/debug/pprof/memory"), 0o644); err != nil {
		t.Fatal(err)
	}
	top := pprof(t, b, dir, "-top", "-cum", "-unit=MB", "-nodefraction=0", path)
	if !strings.Contains(top, "Type: memory_space") {
		t.Errorf("pprof says\n%s", top)
	}
	topRow(t, top, "[c_live]")
	topRow(t, top, "[c_retained]")
	total := regexp.MustCompile(
		`accounting for [0-9.]+MB, .* of ([0-9.]+)MB total`).FindStringSubmatch(
		strings.ReplaceAll(top, "Showing nodes ", ""))
	var mb float64
	if total == nil {
		t.Fatalf("pprof says no total\n%s", top)
	}
	if fmt.Sscan(total[1], &mb); !within(int64(mb*float64(mib)), a.RSS, 0.01, 0) {
		t.Errorf("pprof's total is %s MB, rss_bytes is %d", total[1], a.RSS)
	}
}

// `cgoheap profile --memory` saves the same.
func TestMemoryProfileCommand(t *testing.T) {
	h := start(t, program(t, "go-account", oneBuild()), hostOptions{})
	h.tell("malloc 50000 1016 1")
	path := filepath.Join(t.TempDir(), "memory.pb.gz")
	cgoheap(t, h, "profile", "--memory", fmt.Sprint(h.pid()), "-o", path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.ParseData(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := byRoot(p)["c_live"]; !within(got, 50000*1024, 0.02, 64*kib) {
		t.Errorf("[c_live] has %d", got)
	}
}

// cgoheap runs the command, which must succeed; its output.
func cgoheap(t testing.TB, h *host, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(built(t, "cgoheap"), args...)
	cmd.Env = append(cleanEnviron(), "XDG_RUNTIME_DIR="+filepath.Dir(h.socket))
	var errors lockedBuffer
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("cgoheap %q: %v\n%s%s", args, err, out, errors.String())
	}
	return out
}

// What C maps and the stacks of threads are in the cgoheap profile too: usable
// bytes, to the last one; of stacks in use, what their threads have touched.
func TestMappingOrigins(t *testing.T) {
	h := start(t, program(t, "go-account", oneBuild()), hostOptions{})
	h.tellAll([]string{fmt.Sprint("map ", 100*mib, " ", mib), fmt.Sprint("map ", 3*mib, " 0"),
		fmt.Sprint("cage ", 4*gib, " 200 ", mib),
		"threads 20 100000 0", fmt.Sprint("threads 10 1000 ", 256*kib)})
	origins := map[string]figures{}
	for _, s := range h.profile("").Sample {
		if goCaller(s) == "" {
			continue
		}
		key := strings.Join(s.Label["origin"], " ") + " " + goCaller(s)
		f := origins[key]
		f.add(s)
		origins[key] = f
	}
	stacks := 20*defaultStackBytes(t) + 10*256*kib
	for key, want := range map[string]figures{
		"mmap main.cMap":  {2, 103 * mib, 2, 103 * mib},
		"mmap main.cCage": {200, 200 * mib, 200, 200 * mib},
	} {
		if origins[key] != want {
			t.Errorf("%s has %+v, want %+v", key, origins[key], want)
		}
	}
	const touched, most = 20*100_000 + 10*1000, 20*100_000 + 30*64*kib
	got := origins["thread_stack main.cThreads"]
	if want := (figures{30, stacks, 30, got.inUseBytes}); got != want || got.inUseBytes < touched ||
		got.inUseBytes > most {
		t.Errorf("threads have %+v, want %+v with in use from %d to %d", got, want, touched, most)
	}
	if t.Failed() {
		t.Logf("%+v", origins)
	}
}

// defaultStackBytes is what libc gives a thread that asks for nothing.
func defaultStackBytes(t *testing.T) int64 {
	t.Helper()
	const rlimitStack, unlimited = 3, 2 << 20
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(rlimitStack, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur == ^uint64(0) {
		return unlimited
	}
	return int64(limit.Cur) &^ (page - 1)
}

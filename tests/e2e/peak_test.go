package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/pprof/profile"
)

// wantPeak checks what each caller had when most was in use; alloc figures repeat it.
func wantPeak(t *testing.T, p *profile.Profile, when string, want map[string]int64) {
	t.Helper()
	for function, objects := range want {
		bytes := objects * 1000
		if got, all := sum(p, function), (figures{objects, bytes, objects, bytes}); got != all {
			t.Errorf("%s: %s has %+v, want %+v", when, function, got, all)
		}
	}
}

func hasComment(p *profile.Profile, pattern string) bool {
	return regexp.MustCompile(pattern).MatchString(strings.Join(p.Comments, "\n"))
}

// At interval 1 the peak is exact, however short it was and whoever looks when.
func TestPeak(t *testing.T) {
	path := program(t, "go-driven", oneBuild())
	box := boxDir(t)
	h := start(t, path, hostOptions{sampleBytes: 1, env: []string{"CGOHEAP_BLACKBOX=" + box}})
	peak := func(query string) *profile.Profile { return h.profile("?view=peak" + query) }

	h.tell("alloc B 10 1000")
	h.tell("alloc A 3000 1000")
	wantPeak(t, peak(""), "still growing", map[string]int64{"main.allocA": 3000, "main.allocB": 10})
	h.tell("free A 2900")
	h.tell("alloc C 200 1000")
	now := h.profile("")
	for function, objects := range map[string]int64{"main.allocA": 100, "main.allocC": 200} {
		if got := sum(now, function).inUseObjects; got != objects {
			t.Errorf("%s has %d in use now, want %d", function, got, objects)
		}
	}
	then := map[string]int64{"main.allocA": 3000, "main.allocB": 10, "main.allocC": 0}
	for _, query := range []string{"", "&of=c", "&frames=all"} {
		wantPeak(t, peak(query), "over, "+query, then)
	}
	if p := peak(""); !hasComment(p, `peak of C in use: 3\d{6} bytes at \S+Z, the highest `) ||
		!hasComment(p, `C in use now: 3\d{5} bytes`) {
		t.Errorf("comments: %q", p.Comments)
	}
	text := string(h.get("/debug/pprof/cgoheap?view=peak&debug=1"))
	if !strings.Contains(text, "\n3000: 3000000 [3000: 3000000] @") ||
		!strings.Contains(text, "main.allocA") {
		t.Errorf("debug=1 has no peak:\n%s", text)
	}
	if p := peak("&of=rss"); !hasComment(p, `peak of RSS: \d{7,} bytes at `) ||
		!hasComment(p, `highest RSS by the kernel, since the program began: \d{7,} bytes`) {
		t.Errorf("comments: %q", p.Comments)
	}

	wantPeak(t, peak("&reset=1"), "answered before the reset", then)
	left := map[string]int64{"main.allocA": 100, "main.allocB": 10, "main.allocC": 200}
	wantPeak(t, peak(""), "since the reset", left)
	h.tell("free C 200")
	h.tell("alloc B 150 1000")
	wantPeak(t, peak(""), "a lower one", left)
	h.tell("alloc B 5000 1000")
	h.tell("free B 5160")
	h.tell("free A 100")

	// Killed: the recording has it to the last block.
	if err := h.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-h.ended
	files, _ := filepath.Glob(filepath.Join(box, "*.cgoheap"))
	out := filepath.Join(t.TempDir(), "p.pb.gz")
	for _, of := range []string{"c", "rss"} {
		text, err := exec.Command(built(t, "cgoheap"), "profile", files[0], "--peak", "--of", of,
			"-o", out).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	}
	said, err := exec.Command(built(t, "cgoheap"), "profile", files[0], "--peak", "-o",
		out).CombinedOutput()
	if err != nil || !strings.Contains(string(said), " when most was") {
		t.Fatalf("%v\n%s", err, said)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.ParseData(data)
	if err != nil {
		t.Fatal(err)
	}
	wantPeak(t, p, "killed", map[string]int64{"main.allocA": 100, "main.allocB": 5160,
		"main.allocC": 0})
}

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// diffDocument is what the tests read of diff --json.
type diffDocument struct {
	OneProcess bool `json:"one_process"`
	Restarted  bool `json:"restarted"`
	Tested     int  `json:"stacks_tested"`
	Total      struct{ Change, Low, High int64 }
	Rest       struct{ Stacks, Change int64 }
	Rows       []diffRow
	Notes      []string
}

type diffRow struct {
	GoCaller          string `json:"go_caller"`
	Change, Low, High int64
	Changed           bool
}

// never: at 95 % one run in twenty would have a false alarm.
const never = "--confidence=0.99999"

func runDiff(t *testing.T, dir string, args ...string) (d diffDocument) {
	t.Helper()
	out, errs, code := runCommand(t, dir, append([]string{"diff", "--json", never}, args...)...)
	if err := json.Unmarshal([]byte(out), &d); err != nil || code != 0 {
		t.Fatalf("diff %q: exit code %d, %v\n%s%s", args, code, err, out, errs)
	}
	// The Go runtime may have started a thread meanwhile.
	d.Rows = slices.DeleteFunc(d.Rows, func(r diffRow) bool {
		return !strings.HasPrefix(r.GoCaller, "main.")
	})
	return d
}

// A service with a leak, looked at twice at the default interval: the leak is named; what is turned
// over meanwhile, and what is held, are not.
func TestDiffNamesTheLeak(t *testing.T) {
	b, box := oneBuild(), t.TempDir()
	h := start(t, program(t, "go-drip", b), hostOptions{})
	save(t, h, box, "before.pb.gz", "")
	h.tell("serve")
	save(t, h, box, "after.pb.gz", "")

	d := runDiff(t, box, "before.pb.gz", "after.pb.gz")
	if !d.OneProcess || len(d.Rows) != 1 || d.Rows[0].GoCaller != "main.leak" ||
		d.Rows[0].Low <= 0 || d.Rows[0].Low > d.Rows[0].Change ||
		d.Rows[0].Change > d.Rows[0].High {
		t.Errorf("%+v", d)
	}
	all := runDiff(t, box, "before.pb.gz", "after.pb.gz", "--all")
	if len(all.Rows) < 2 || all.Rows[1].Changed || all.Rows[1].GoCaller != "main.replace" {
		t.Errorf("with --all: %+v", all)
	}
	// Taken for two processes their errors are larger.
	if two := runDiff(t, box, "before.pb.gz", "after.pb.gz", "--process", "two"); two.OneProcess ||
		two.Total.High-two.Total.Low <= d.Total.High-d.Total.Low {
		t.Errorf("as two processes: %+v", two)
	}
	// The other way round is refused, and what is compared with itself has not changed.
	if out, errs, code := runCommand(t, box, "diff", "after.pb.gz", "before.pb.gz"); code != 2 ||
		!strings.Contains(errs, "name the older one first") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	if out, _, code := runCommand(t, box, "diff", "after.pb.gz", "after.pb.gz"); code != 0 ||
		!strings.Contains(out, ": nothing changed, it is the same profile\n") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	testDiffForPprof(t, b, box, all.Rest.Change != 0)
	testDiffWithProcess(t, h, box)
	testDiffOfSeries(t, h, box)
	other := start(t, program(t, "go-drip", b), hostOptions{})
	testDiffAcrossRestart(t, box, other)
}

func testDiffWithProcess(t *testing.T, h *host, box string) {
	t.Helper()
	h.tell("serve")
	pid := fmt.Sprint(h.pid())
	d := runDiff(t, box, "before.pb.gz", pid)
	if !d.OneProcess || len(d.Rows) == 0 || d.Rows[0].GoCaller != "main.leak" {
		t.Errorf("against the process: %+v", d)
	}
	wantDocument(t, box, "diff", 0, "diff", "before.pb.gz", pid)
}

// testDiffOfSeries: the leak comes after the first scene, and one scene is taken after it.
func testDiffOfSeries(t *testing.T, h *host, box string) {
	t.Helper()
	cmd := exec.Command(built(t, "cgoheap"), "collect", fmt.Sprint(h.pid()), "--every", "1s",
		"--for", "1h", "-o", "series")
	cmd.Dir = box
	var said lockedBuffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	scenes := func() int {
		found, _ := filepath.Glob(filepath.Join(box, "series", "*", "cgoheap.pb.gz"))
		return len(found)
	}
	waitFor := func(wanted int) {
		for deadline := time.Now().Add(patience); scenes() < wanted; {
			if time.Now().After(deadline) {
				t.Fatalf("no scene %d\n%s", wanted, said.String())
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	waitFor(1)
	h.tell("serve")
	waitFor(scenes() + 2) // the next one may have been asked for before the leak
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
	out, errs, code := runCommand(t, box, "diff", "series", "--stacks", never)
	if code != 0 || !strings.Contains(out, "    main.leak\n") {
		t.Errorf("of a series: exit code %d\n%s%s", code, out, errs)
	}
}

// testDiffForPprof: what -o saves is what -diff_base shows; without --all, but for one frame, if
// there is noise at all: by chance as much may be sampled after as before.
func testDiffForPprof(t *testing.T, b build, box string, isNoise bool) {
	t.Helper()
	for _, flag := range []string{"--all", "--stacks"} {
		out, errs, code := runCommand(t, box, "diff", "before.pb.gz", "after.pb.gz", flag, never,
			"-o", "diff.pb.gz")
		if code != 0 {
			t.Fatalf("exit code %d\n%s%s", code, out, errs)
		}
		show := []string{"-top", "-cum", "-nodecount=200", "-nodefraction=0"}
		want := pprof(t, b, box, append(show, "-diff_base=before.pb.gz", "after.pb.gz")...)
		got := pprof(t, b, box, append(show, "diff.pb.gz")...)
		rows := func(text string) string { return text[strings.Index(text, "Showing "):] }
		if flag == "--all" && rows(got) != rows(want) {
			t.Errorf("pprof shows\n%s\nby -diff_base\n%s", got, want)
		}
		if flag != "--all" && (!strings.Contains(got, "main.leak") ||
			strings.Contains(got, "main.replace") ||
			strings.Contains(got, "[changed by less than the sampling error]") != isNoise) {
			t.Errorf("without noise pprof shows\n%s", got)
		}
	}
}

// testDiffAcrossRestart: another process of the program began after the first profile.
func testDiffAcrossRestart(t *testing.T, box string, h *host) {
	t.Helper()
	save(t, h, box, "restarted.pb.gz", "")
	d := runDiff(t, box, "before.pb.gz", "restarted.pb.gz")
	if d.OneProcess || !d.Restarted || len(d.Notes) == 0 ||
		!strings.Contains(d.Notes[0], "the process was restarted between the two") {
		t.Errorf("across a restart: %+v", d)
	}
	scene := filepath.Join(box, "mixed")
	for i, name := range []string{"before.pb.gz", "restarted.pb.gz"} {
		dir := filepath.Join(scene, fmt.Sprintf("%03d", i+1))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		from, to := filepath.Join(box, name), filepath.Join(dir, "cgoheap.pb.gz")
		if err := os.Link(from, to); err != nil {
			t.Fatal(err)
		}
	}
	if d = runDiff(t, box, "mixed"); !d.Restarted {
		t.Errorf("a series across a restart: %+v", d)
	}
	same := runDiff(t, box, "after.pb.gz", "restarted.pb.gz", "--normalize")
	if same.Total.Change < -1 || same.Total.Change > 1 {
		t.Errorf("normalized: %+v", same.Total)
	}
}

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The command as its users meet it: with a real library on the other side.

// runCommand runs it and returns stdout, stderr and the exit code.
func runCommand(t *testing.T, dir string, args ...string) (string, string, int) {
	t.Helper()
	cmd := exec.Command(built(t, "cgoheap"), args...)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// TestManyWaitForGrowth: 40 at a time, and a scrape meanwhile; all are answered.
func TestManyWaitForGrowth(t *testing.T) {
	const waiting = 40
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1})
	dir := t.TempDir()
	var wait sync.WaitGroup
	var failed sync.Map
	for i := 0; i < waiting; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			name := fmt.Sprintf("%d.pb.gz", i)
			if _, errs, code := runCommand(t, dir, "profile", fmt.Sprint(h.pid()), "--seconds", "5",
				"-o", name); code != 0 {
				failed.Store(name, errs)
			}
		}()
	}
	ended := make(chan struct{})
	go func() { wait.Wait(); close(ended) }()
	scrapes := 0
	for running := true; running; scrapes++ {
		// As Prometheus does: once each, nothing is tried again.
		if code, _, body := h.request("GET", "/metrics"); code != 200 {
			t.Errorf("scrape %d: %d %s", scrapes, code, body)
		}
		select {
		case <-ended:
			running = false
		case <-time.After(100 * time.Millisecond):
		}
	}
	failed.Range(func(name, errs any) bool { t.Errorf("%s: %s", name, errs); return true })
	files, _ := filepath.Glob(filepath.Join(dir, "*.pb.gz"))
	if len(files) != waiting {
		t.Errorf("%d of %d files", len(files), waiting)
	}
	t.Logf("%d scrapes meanwhile", scrapes)
}

// TestProfileInterrupt: the growth so far is saved.
func TestProfileInterrupt(t *testing.T) {
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1})
	path := filepath.Join(t.TempDir(), "p.pb.gz")
	cmd := exec.Command(built(t, "cgoheap"), "profile", fmt.Sprint(h.pid()), "--seconds", "3600",
		"-o", path)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h.awaitConnection() // else it would count what comes now as before
	h.tell("alloc A 1000 1000")
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil ||
		!strings.Contains(errs.String(), "the growth so far is saved") {
		t.Fatalf("%v\n%s", err, &errs)
	}
	out, err := exec.Command("go", "tool", "pprof", "-sample_index=inuse_space", "-unit=B", "-top",
		path).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "main.allocA") ||
		!strings.Contains(string(out), "1000000B") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestAutopsyWithoutBinary: names are said to be missing, not made up; a copy of the program brings
// them back.
func TestAutopsyWithoutBinary(t *testing.T) {
	box, dir := boxDir(t), t.TempDir()
	original := program(t, "go-driven", oneBuild())
	text, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	gone := filepath.Join(dir, "gone")
	if err := os.WriteFile(gone, text, 0o755); err != nil {
		t.Fatal(err)
	}
	h := start(t, gone, hostOptions{sampleBytes: 1, env: []string{"CGOHEAP_BLACKBOX=" + box}})
	h.tell("alloc A 1000 1000")
	h.waitForMoments(box, 2)
	h.cmd.Process.Kill()
	<-h.ended
	os.Remove(gone)
	out, errs, code := runCommand(t, dir, "autopsy", box)
	if code != 0 || !strings.Contains(out, "(no names: gone is missing)") ||
		strings.Contains(out, "(C thread)") ||
		!strings.Contains(errs, "cgoheap: names are missing: ") {
		t.Errorf("%d\n%s\n%s", code, out, errs)
	}
	out, errs, code = runCommand(t, dir, "autopsy", box, "--binary", original)
	if code != 0 || !strings.Contains(out, "main.allocA") || errs != "" {
		t.Errorf("%d\n%s\n%s", code, out, errs)
	}
	_, errs, code = runCommand(t, dir, "autopsy", box, "--binary", "/bin/true")
	if code != 1 || !strings.HasPrefix(errs, "cgoheap: --binary names a different program: "+
		"/bin/true: has build ID ") {
		t.Errorf("%d %s", code, errs)
	}
	_, errs, code = runCommand(t, dir, "autopsy", dir)
	if code != 1 || !strings.Contains(errs, "no recording (*.cgoheap) in ") {
		t.Errorf("%d %s", code, errs)
	}
}

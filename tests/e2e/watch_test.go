package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The example leaks under its load: --fail-on sees it and names who, and the recording of that
// time says it again.
func TestWatchExample(t *testing.T) {
	dir := filepath.Join(repositoryRoot(), "examples", "notes")
	b, box := oneBuild(), t.TempDir()
	service := buildPackage(t, dir, []string{dir}, b, ".")
	load := buildPackage(t, dir, []string{dir}, b, "./load")
	h := startHost(t, service, hostOptions{args: []string{"-addr=127.0.0.1:0"}, sampleBytes: 1,
		env: []string{"CGOHEAP_MAX_MEMORY=256MiB"}})
	url := strings.Fields(<-h.lines)[2]
	h.drain()
	pid, path := fmt.Sprint(h.pid()), filepath.Join(box, "a.jsonl")

	wantWatchedFigures(t, box, pid, url)
	// Without load nothing grows.
	judge := []string{"watch", pid, "--interval", "100ms", "--fail-on", "c_live>1MiB/min", "--for"}
	if out, errs, code := runCommand(t, box, append(judge, "2s")...); code != 0 || errs != "" {
		t.Errorf("idle: exit code %d\n%s%s", code, out, errs)
	}
	cmd := exec.Command(load, "-url="+url, "-duration=12s", "-searches=1000", "-blobs=120",
		"-audits=300")
	cmd.Env = cleanEnviron()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out, errs, code := runCommand(t, box, append(judge, "6s", "--record", path)...)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if code != 1 || !strings.Contains(errs, "cgoheap: C live grows by ") ||
		!strings.Contains(errs, "in use by main.") || !strings.Contains(errs, "    main.") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	if !strings.Contains(errs, "main.audit_actor") && !strings.Contains(errs, "main.compress") {
		t.Errorf("none of the leaks is among the stacks that grow:\n%s", errs)
	}
	wantRecording(t, path)
	if out, errs, code = runCommand(t, box, "watch", "--replay", path, "--once", "--fail-on",
		"c_live>1MiB/min"); code != 1 || !strings.Contains(out, "\nC live ") {
		t.Errorf("replayed: exit code %d\n%s%s", code, out, errs)
	}
}

// wantWatchedFigures: the service's pprof server says what the library cannot know without the Go
// package.
func wantWatchedFigures(t *testing.T, dir, pid, url string) {
	t.Helper()
	out, errs, code := runCommand(t, dir, "watch", pid, "--once", "--json", "--url", url)
	var d struct {
		Values map[string]*float64
		Notes  []string
	}
	if err := json.Unmarshal([]byte(out), &d); err != nil || code != 0 {
		t.Fatalf("%v, exit code %d\n%s%s", err, code, out, errs)
	}
	for _, name := range []string{"rss_bytes", "vm_size_bytes", "vm_data_bytes", "vm_stack_bytes",
		"rss_anon_bytes", "rss_file_bytes", "rss_shmem_bytes", "swap_bytes", "threads",
		"go_in_use_bytes", "go_goal_bytes", "go_released_bytes", "goroutines", "gc_cycles",
		"gc_pause_ns", "gc_cpu_ratio", "c_live_bytes", "c_retained_bytes", "c_mmap_bytes",
		"thread_stacks_bytes", "sample_bytes", "owner_go_heap_bytes"} {
		if d.Values[name] == nil {
			t.Errorf("%s is not known: %q", name, d.Notes)
		}
	}
}

// wantRecording holds each line against its schema.
func wantRecording(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := loadSchema(t, "watch-line.json")
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i, line := range lines {
		var v any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		for _, problem := range s.problems(t, fmt.Sprint("line ", i+1), v) {
			t.Error(problem)
		}
	}
	if len(lines) < 10 {
		t.Errorf("%d lines", len(lines))
	}
}

// A process without the library, and one that goes away.
func TestWatchWithoutLibrary(t *testing.T) {
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{noShim: true})
	pid := fmt.Sprint(h.pid())
	out, errs, code := runCommand(t, t.TempDir(), "watch", pid, "--once")
	if code != 0 || errs != "" || !strings.Contains(out, "\nRSS anonymous ") ||
		strings.Contains(out, "\nC live") ||
		!strings.Contains(out, "does not have cgoheap loaded") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	h.cmd.Process.Kill()
	<-h.ended
	_, errs, code = runCommand(t, t.TempDir(), "watch", pid, "--once")
	if code != 1 || !strings.Contains(errs, "process "+pid+" does not exist") {
		t.Errorf("exit code %d\n%s", code, errs)
	}
}

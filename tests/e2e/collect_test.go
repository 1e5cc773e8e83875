package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// TestCollectExample: the scene of the example under its load has every file, each can be read, and
// its first lines blame C.
func TestCollectExample(t *testing.T) {
	dir := filepath.Join(repositoryRoot(), "examples", "notes")
	b := oneBuild()
	service := buildPackage(t, dir, []string{dir}, b, ".")
	load := buildPackage(t, dir, []string{dir}, b, "./load")
	h := startHost(t, service, hostOptions{args: []string{"-addr=127.0.0.1:0"}, sampleBytes: 1,
		env: []string{"CGOHEAP_MAX_MEMORY=256MiB"}})
	url := strings.Fields(<-h.lines)[2]
	h.drain()
	cmd := exec.Command(load, "-url="+url, "-duration=2s", "-searches=1000", "-blobs=40",
		"-audits=100")
	cmd.Env = cleanEnviron()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	work := t.TempDir()
	out, errs, code := runCommand(t, work, "collect", fmt.Sprint(h.pid()), "--url", url,
		"--cpu", "1s", "-o", "scene")
	if code != 0 || !strings.HasPrefix(out, "Does the Go heap explain the RSS? No.\n") {
		t.Fatalf("%d\n%s\n%s", code, out, errs)
	}
	scene := filepath.Join(work, "scene")
	m := readScene(t, scene)
	// The example registers the index and the profile of the processor, no other page.
	for _, f := range m.Files {
		if f.Error != nil && f.Path != "go/cmdline.txt" {
			t.Errorf("%s: %s", f.Path, *f.Error)
		}
	}
	for _, path := range []string{"cgoheap.pb.gz", "memory.pb.gz", "account.json", "status.json",
		"metrics.txt", "proc/status", "proc/smaps_rollup", "proc/smaps", "proc/maps", "proc/limits",
		"proc/cgroup", "proc/cmdline", "host/loadavg", "host/meminfo", "host/zombies",
		"host/kernel",
		"go/heap.pb.gz", "go/heap-gc.pb.gz", "go/allocs.pb.gz", "go/memstats.txt",
		"go/goroutine.pb.gz", "go/goroutine.txt", "go/threadcreate.pb.gz", "go/mutex.pb.gz",
		"go/block.pb.gz", "go/cpu.pb.gz"} {
		if info, err := os.Stat(filepath.Join(scene, path)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", path, err)
		}
	}
	if groups, _ := filepath.Glob(filepath.Join(scene, "cgroup", "memory.*")); len(groups) == 0 {
		t.Error("no file of the cgroup")
	}
	wantReadable(t, scene)
	wantDocument(t, work, "collect", 0, "collect", fmt.Sprint(h.pid()), "-o", "other")
	wantDocument(t, work, "collect", 0, "collect", fmt.Sprint(h.pid()), "-o", "series",
		"--every", "1s", "--for", "1s")
}

type sceneManifest struct {
	Files []struct {
		Path  string
		Error *string
	}
}

func readScene(t *testing.T, dir string) (m sceneManifest) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// wantReadable: pprof reads each profile, and the commands of the README.txt that show text run.
func wantReadable(t *testing.T, scene string) {
	t.Helper()
	for _, pattern := range []string{"*.pb.gz", "go/*.pb.gz"} {
		files, _ := filepath.Glob(filepath.Join(scene, pattern))
		for _, path := range files {
			text, err := os.Open(path)
			if err == nil {
				_, err = profile.Parse(text)
				text.Close()
			}
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	readme, err := os.ReadFile(filepath.Join(scene, "README.txt"))
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, line := range strings.Split(string(readme), "\n") {
		line = strings.TrimSpace(line)
		isText := strings.HasPrefix(line, "go tool pprof ") && !strings.Contains(line, "-http")
		if !isText && !strings.HasPrefix(line, "grep ") {
			continue
		}
		cmd := exec.Command("sh", "-c", strings.TrimSuffix(line, " | less"))
		cmd.Dir = scene
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		if strings.HasSuffix(line, "inuse_space -top cgoheap.pb.gz") &&
			!strings.Contains(string(out), "main.") {
			t.Errorf("%s\n%s", line, out)
		}
		ran++
	}
	if ran < 8 {
		t.Errorf("%d commands in\n%s", ran, readme)
	}
}

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

// wantComplete: of what was sampled on stacks that Go called, at least 99.9 %
// reach a root. Counted by the shim and, apart from it, from the profile.
func wantComplete(t *testing.T, h *host) {
	t.Helper()
	const fraction = 0.999
	s := h.status()
	var ends, complete int64
	for end, n := range s.Stacks.ByEnd {
		ends += n
		if strings.HasPrefix(end, "complete_") {
			complete += n
		} else if n > 0 {
			t.Logf("%d stacks end in %s", n, end)
		}
	}
	if ends == 0 || float64(complete) < fraction*float64(ends) {
		t.Errorf("%d of %d stacks are complete by /v1/status: %v", complete, ends, s.Stacks.ByEnd)
	}
	all, rooted := rootedSamples(h.profile("?frames=all"), t)
	if all == 0 || float64(rooted) < fraction*float64(all) {
		t.Errorf("%d of %d samples called from Go are complete by the profile", rooted, all)
	}
	t.Logf("%d of %d stacks complete; %d of %d called from Go; %d live samples, %d KiB",
		complete, ends, rooted, all, s.Samples.Live, s.Memory.Resident>>10)
	h.wantNothingDropped()
}

// rootedSamples counts allocations on stacks with a Go frame, and those of them
// that end at the start of a goroutine, of a thread, or of the runtime.
func rootedSamples(p *profile.Profile, t *testing.T) (all, rooted int64) {
	t.Helper()
	shown := 0
	for _, s := range p.Sample {
		list := frames(s)
		if !hasGo(list) {
			continue
		}
		all += s.Value[0]
		if isRoot(list[len(list)-1]) {
			rooted += s.Value[0]
		} else if shown++; shown <= 5 {
			t.Logf("no root:\n%s", dump(s))
		}
	}
	return all, rooted
}

func hasGo(list []frame) bool {
	for _, f := range list {
		if isGo(f.function) {
			return true
		}
	}
	return false
}

// A root in frames=all: what starts a goroutine or the runtime's own thread, or
// libc, where a thread that C made begins.
func isRoot(f frame) bool {
	switch f.function {
	case "runtime.goexit", "runtime.main", "runtime.mstart", "runtime.mstart0", "runtime.rt0_go",
		"runtime.mcall", "runtime.morestack":
		return true
	}
	return f.mapping != nil && strings.Contains(filepath.Base(f.mapping.File), "libc.so")
}

// drain reads the output of a program that knows nothing of steps.
func (h *host) drain() {
	go func() {
		for range h.lines {
		}
	}()
}

// The example under its load: every stack whole, and what each leak holds as
// the service itself counts it, by zstd's, SQLite's and its own measure.
func TestExampleService(t *testing.T) {
	dir := filepath.Join(repositoryRoot(), "examples", "notes")
	b := oneBuild()
	service := buildPackage(t, dir, []string{dir}, b, ".")
	load := buildPackage(t, dir, []string{dir}, b, "./load")
	h := startHost(t, service, hostOptions{
		args: []string{"-addr=127.0.0.1:0"}, sampleBytes: 1,
		env: []string{"CGOHEAP_MAX_MEMORY=256MiB"}})
	url := strings.Fields(<-h.lines)[2]
	h.drain()
	cmd := exec.Command(load, "-url="+url, "-duration=4s", "-searches=1000", "-blobs=40",
		"-audits=100")
	cmd.Env = cleanEnviron()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wantComplete(t, h)
	wantLeaks(t, h.profile(""), getTruth(t, url))
}

type exampleTruth struct {
	Leaks []struct {
		Name, Function string
		Count, Bytes   int64
		Exact          bool
	}
	SqliteHeap struct{ Blocks, Bytes int64 } `json:"sqlite_heap"`
}

func getTruth(t *testing.T, url string) (truth exampleTruth) {
	t.Helper()
	response, err := http.Get(url + "/truth")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&truth); err != nil {
		t.Fatal(err)
	}
	return truth
}

func wantLeaks(t *testing.T, p *profile.Profile, truth exampleTruth) {
	t.Helper()
	for _, leak := range truth.Leaks {
		got := sum(p, leak.Function)
		t.Logf("%s: %d blocks, %d bytes below %s; the service says %d and %d", leak.Name,
			got.inUseObjects, got.inUseBytes, leak.Function, leak.Count, leak.Bytes)
		if leak.Count == 0 || leak.Bytes == 0 {
			t.Errorf("the service says of %s: %+v", leak.Name, leak)
		}
		if leak.Exact && got.inUseBytes != leak.Bytes {
			t.Errorf("%s: %d bytes, the service says %d", leak.Name, got.inUseBytes, leak.Bytes)
		}
		if !leak.Exact && (got.inUseBytes < leak.Bytes || got.inUseBytes > 2*leak.Bytes) {
			t.Errorf("%s: %d bytes, the service says at least %d", leak.Name, got.inUseBytes,
				leak.Bytes)
		}
	}
	var sqlite figures
	for _, s := range p.Sample {
		if contains(s, "sqlite3MemMalloc") || contains(s, "sqlite3MemRealloc") {
			sqlite.add(s)
		}
	}
	if sqlite.inUseObjects != truth.SqliteHeap.Blocks ||
		sqlite.inUseBytes != truth.SqliteHeap.Bytes {
		t.Errorf("SQLite has %d blocks, %d bytes; it says %d and %d",
			sqlite.inUseObjects, sqlite.inUseBytes, truth.SqliteHeap.Blocks, truth.SqliteHeap.Bytes)
	}
}

// moduleDir is where the module cache has a module, which it fetches if need be.
func moduleDir(t testing.TB, b build, module string) string {
	t.Helper()
	cmd := goCommand(b.goVersion, t.TempDir(), "mod", "download", "-json", module)
	out, err := cmd.Output()
	var m struct{ Dir, Error string }
	if json.Unmarshal(out, &m) != nil || err != nil || m.Dir == "" {
		t.Skipf("no %s here: %v %s", module, err, m.Error)
	}
	return m.Dir
}

// rqlite, a database server over SQLite that was not written with us in mind,
// under load at interval 1.
func TestRqlite(t *testing.T) {
	b := build{oneBuild().goVersion, "plain"}
	if b.goVersion < "1.24" {
		t.Skipf("rqlite needs a newer Go than %s", b.goVersion)
	}
	dir := moduleDir(t, b, "github.com/rqlite/rqlite/v8@v8.36.0")
	path := buildPackage(t, dir, []string{filepath.Join(dir, "cmd")}, b, "./cmd/rqlited")
	address, raft := freePort(t), freePort(t)
	data := t.TempDir()
	h := startHost(t, path, hostOptions{sampleBytes: 1, env: []string{"CGOHEAP_MAX_MEMORY=256MiB"},
		args: []string{"-http-addr=" + address, "-raft-addr=" + raft, data}})
	h.drain()
	if _, err := getEventually("http://" + address + "/readyz"); err != nil {
		waitReady(t, h, "http://"+address+"/readyz")
	}
	execute := func(path string, statements ...any) {
		body, _ := json.Marshal(statements)
		response, err := http.Post("http://"+address+path, "application/json",
			strings.NewReader(string(body)))
		if err != nil {
			t.Fatalf("%s: %v\n%s", path, err, h.stderr.String())
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		if response.StatusCode != 200 || strings.Contains(string(text), `"error"`) {
			t.Fatalf("%s %s: %s %s", path, body, response.Status, text)
		}
	}
	execute("/db/execute?transaction", "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, "+
		"body TEXT)", "CREATE INDEX i ON t(name)")
	for i := 0; i < 300; i++ {
		execute("/db/execute?transaction",
			[]any{"INSERT INTO t(name, body) VALUES(?, ?)", fmt.Sprint("name", i),
				strings.Repeat("text ", i%100)},
			[]any{"UPDATE t SET body = body || ? WHERE name < ?", "more", "name5"})
		execute("/db/query?timings", []any{"SELECT name, count(*), max(body) FROM t WHERE body " +
			"LIKE ? GROUP BY name ORDER BY 2 DESC", "%e%"})
	}
	wantComplete(t, h)
	h.cmd.Process.Kill()
}

func waitReady(t *testing.T, h *host, url string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		if _, err := getEventually(url); err == nil {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("%v\n%s", err, h.stderr.String())
		}
	}
}

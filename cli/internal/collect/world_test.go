package collect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/fakeshim"
)

// A world for tests: a service's net/http/pprof, a library, and a /proc and /sys of files.

const mib = 1 << 20

const testPID = 4242

type world struct {
	t        *testing.T
	root     string
	account  *account.Account
	memStats map[string]int64
	text     string // of the goroutines
	fail     map[string]http.HandlerFunc
	asked    []string
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, root: t.TempDir(), fail: map[string]http.HandlerFunc{},
		memStats: map[string]int64{"HeapIdle": 30 * mib, "HeapInuse": 60 * mib,
			"HeapReleased": 10 * mib, "Stack": 2 * mib, "MSpan": mib, "MCache": mib,
			"BuckHashSys": mib, "GCSys": mib, "OtherSys": mib, "NumGC": 7, "MaxRSS": 950 * mib},
		text: goroutineText(7, "IO wait", "net/http.(*Server).Serve", 0)}
	w.account = &account.Account{Time: testStart, Process: account.Process{Threads: num(14)},
		Allocator:    account.Allocator{Name: "glibc", Arenas: num(37)},
		ThreadStacks: 14, Mappings: 400}
	w.owners(80*mib, 572*mib, 100*mib)
	for path, text := range map[string]string{
		"status": "Name:\tservice\nVmRSS:\t 922624 kB\nRssAnon:\t 889856 kB\n" +
			"RssFile:\t 32768 kB\nRssShmem:\t 0 kB\nThreads:\t14\n",
		"smaps_rollup": "Rss: 922624 kB\n", "smaps": "7f00-7f01 rw-p\nRss: 4 kB\n",
		"maps": "7f00-7f01 rw-p\n", "limits": "Max open files 1024\n",
		"cgroup": "0::/service\n", "cmdline": "/x/service\x00-v\x00", "oom_score": "666\n",
		"oom_score_adj": "0\n", "stat": "4242 (service) S 1 2 3\n",
	} {
		w.write(fmt.Sprintf("proc/%d/%s", testPID, path), text)
	}
	for path, text := range map[string]string{
		"self/mountinfo": "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
		"loadavg":        "0.1 0.2 0.3 1/100 4242\n", "meminfo": "MemTotal: 1 kB\n",
		"vmstat": "oom_kill 0\n", "pressure/memory": "some avg10=0.00\n",
		"pressure/cpu": "some avg10=0.00\n", "pressure/io": "some avg10=0.00\n",
		"77/stat": "77 (defunct )) Z 1 77\n", "version": "Linux version 6.8\n",
	} {
		w.write("proc/"+path, text)
	}
	w.cgroup(1000*mib, 40*mib)
	return w
}

func (w *world) write(path, text string) {
	w.t.Helper()
	path = filepath.Join(w.root, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755),
		os.WriteFile(path, []byte(text), 0o644)); err != nil {
		w.t.Fatal(err)
	}
}

// cgroup is charged so much, of which so much is page cache; its limit is 2 GiB.
func (w *world) cgroup(now, cache int64) {
	version := 2
	anon := now - cache
	w.account.Cgroup = account.Cgroup{Version: &version, Path: "/service", Current: &now,
		Limit: num(2048 * mib), File: &cache, Anon: &anon, Kernel: num(0)}
	w.write("sys/fs/cgroup/service/memory.current", fmt.Sprintln(now))
	w.write("sys/fs/cgroup/service/memory.max", fmt.Sprintln(2048*mib))
	w.write("sys/fs/cgroup/service/memory.stat", fmt.Sprintf("anon %d\nfile %d\n", anon, cache))
}

func num(n int64) *int64 { return &n }

// owners makes an account of Go's heap, C live and C retained, and of 149 MiB of others.
func (w *world) owners(heap, live, retained int64) {
	a := w.account
	a.Owners, a.RSS = nil, 0
	for _, o := range []struct {
		name  string
		bytes int64
	}{{account.GoHeap, heap}, {account.GoStacks, 2 * mib}, {account.GoMetadata, 3 * mib},
		{account.CLive, live}, {account.CRetained, retained}, {account.CMmap, 101 * mib},
		{account.ThreadStacks, 4 * mib}, {account.Program, 12 * mib}, {account.Libraries, 9 * mib},
		{account.MappedFiles, 10 * mib}, {account.Shim, 8 * mib}} {
		a.Owners = append(a.Owners, account.Owner{Name: o.name, Bytes: num(o.bytes), Exact: true,
			Mapped: num(2 * o.bytes)})
		a.RSS += o.bytes
	}
	a.Allocator.InUse, a.Allocator.Free = num(live), num(retained)
	a.CLiveEstimate.Bytes, a.CLiveEstimate.StandardError = num(live), num(12*mib)
	a.Process.RSSAnon, a.Process.RSSFile = num(a.RSS-31*mib), num(31*mib)
	a.Process.RSSShmem = num(0)
}

// goroutineText is what debug=2 says of n goroutines that are alike.
func goroutineText(n int, state, creator string, minutes int) string {
	if minutes > 0 {
		state += fmt.Sprintf(", %d minutes", minutes)
	}
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "goroutine %d [%s]:\nmain.wait(0x1)\n\t/x/main.go:7 +0x1\n"+
			"created by %s in goroutine 1\n\t/x/main.go:9 +0x2\n\n", i+1, state, creator)
	}
	return b.String()
}

// library answers as the library would.
func (w *world) library(page string) ([]byte, error) {
	if w.fail[page] != nil {
		rec := httptest.NewRecorder()
		w.fail[page](rec, httptest.NewRequest("GET", page, nil))
		return nil, errors.New(strings.TrimSpace(rec.Body.String()))
	}
	if page == "/v1/account" {
		return json.Marshal(w.account)
	}
	if page == "/metrics" {
		return []byte("# HELP cgoheap_x y\n"), nil
	}
	rec := httptest.NewRecorder()
	fakeshim.New("serve").ServeHTTP(rec, httptest.NewRequest("GET", page, nil))
	return rec.Body.Bytes(), nil
}

// ServeHTTP is the service's net/http/pprof.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	page := strings.TrimPrefix(r.URL.Path, "/debug/pprof/")
	if r.URL.RawQuery != "" {
		page += "?" + r.URL.RawQuery
	}
	w.asked = append(w.asked, page)
	for _, name := range []string{page, "*"} {
		if w.fail[name] != nil {
			w.fail[name](rw, r)
			return
		}
	}
	switch page {
	case "heap?debug=1":
		fmt.Fprint(rw, "heap profile: 1: 2 [3: 4] @ heap/1048576\n\n# runtime.MemStats\n")
		for name, n := range w.memStats {
			fmt.Fprintf(rw, "# %s = %d\n", name, n)
		}
	case "goroutine?debug=2":
		io.WriteString(rw, w.text)
	case "cmdline":
		io.WriteString(rw, "/x/service\x00-v")
	case "trace?seconds=1":
		io.WriteString(rw, "go 1.26 trace\x00\x00\x00")
	case "mutex", "block":
		fakeshim.NewProfileBuilder(1).Profile.Write(rw)
	case "heap", "heap?gc=1", "allocs", "goroutine", "threadcreate", "profile?seconds=1":
		fakeshim.Profile(524288, 1).Write(rw)
	default:
		http.NotFound(rw, r)
	}
}

var testStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// options collect from this world, with times that a test can wait for.
func (w *world) options() *Options {
	w.t.Helper()
	limits := Limits{Connect: time.Second, Each: 10 * time.Second, Pause: time.Millisecond,
		Retries: 2}
	ticks := int64(0)
	return &Options{Process: &attach.Process{PID: testPID}, Library: w.library,
		Server: w.server("http://service:6060/debug/pprof", limits), CPU: time.Second,
		Trace: time.Second, GC: true, Limits: limits, Host: "host1", Program: "service",
		Root: w.root, Progress: io.Discard, Clock: func() (time.Time, int64) {
			ticks++
			return testStart.Add(time.Duration(ticks) * time.Millisecond), ticks * 1e6
		}}
}

// server reaches this world at any address.
func (w *world) server(address string, limits Limits) *Server {
	w.t.Helper()
	s, err := ParseURL(address, limits)
	if err != nil {
		w.t.Fatal(err)
	}
	real := httptest.NewServer(w)
	w.t.Cleanup(real.Close)
	s.client.Transport.(*http.Transport).DialContext =
		func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", real.Listener.Addr().String())
		}
	return s
}

// take collects into a new directory.
func (w *world) take(o *Options) (string, *Manifest, error) {
	w.t.Helper()
	dir := filepath.Join(w.t.TempDir(), "scene")
	m, err := Take(context.Background(), dir, o)
	return dir, m, err
}

func readText(t *testing.T, parts ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func fileOf(m *Manifest, path string) *File {
	for i := range m.Files {
		if m.Files[i].Path == path {
			return &m.Files[i]
		}
	}
	return nil
}

// missing are the paths with an error.
func missing(m *Manifest) (list []string) {
	for _, f := range m.Files {
		if f.Error != nil {
			list = append(list, f.Path)
		}
	}
	return list
}

func lines(text string, n int) string {
	return string(bytes.Join(bytes.SplitN([]byte(text), []byte("\n"), n+1)[:n], []byte("\n")))
}

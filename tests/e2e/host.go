package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

// patience ends what hangs. Nothing is asserted about time.
const patience = 3 * time.Minute

// A host is a test program running under the shim.
type host struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  chan string
	output []string // of stdout, all but facts and "ready"
	stderr lockedBuffer
	socket string
	facts  map[string]json.RawMessage
	ended  chan struct{}
	client http.Client
	// mayPrint: stderr is the test's to check.
	mayPrint bool
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type hostOptions struct {
	args        []string
	env         []string
	sampleBytes int    // 0: not said
	preload     string // behind the shim
	noShim      bool
	mayPrint    bool
	dir         string
}

// startHost starts the program; it has not run to its first stop yet.
func startHost(t testing.TB, path string, o hostOptions) *host {
	t.Helper()
	h := &host{t: t, lines: make(chan string, 1024), facts: map[string]json.RawMessage{},
		ended: make(chan struct{}), mayPrint: o.mayPrint}
	// Not t.TempDir: a test's name in it can make the path too long for a socket.
	dir, err := os.MkdirTemp("", "cgoheap")
	if err != nil {
		t.Fatal(err)
	}
	h.socket = filepath.Join(dir, "s")
	h.cmd = hostCommand(path, o.args, append(cleanEnviron(), hostEnviron(t, h.socket, o)...))
	h.cmd.Dir = o.dir
	h.cmd.Stderr = &h.stderr
	h.stdin, _ = h.cmd.StdinPipe()
	stdout, _ := h.cmd.StdoutPipe()
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go h.read(stdout)
	h.client.Timeout = patience
	h.client.Transport = &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return h.dial(ctx)
		}}
	t.Cleanup(func() {
		h.cmd.Process.Kill()
		<-h.ended
		os.RemoveAll(dir)
		if text := h.stderr.String(); !h.mayPrint && strings.Contains("\n"+text, "\ncgoheap: ") {
			t.Errorf("the shim printed:\n%s", text)
		}
	})
	return h
}

// start runs the program to its first stop.
func start(t testing.TB, path string, o hostOptions) *host {
	t.Helper()
	h := startHost(t, path, o)
	h.ready()
	return h
}

func hostEnviron(t testing.TB, socket string, o hostOptions) (env []string) {
	if !o.noShim {
		preload := shimPath(t)
		if o.preload != "" {
			preload += " " + o.preload
		}
		env = append(env, "LD_PRELOAD="+preload, "CGOHEAP_SOCKET="+socket)
	}
	if o.sampleBytes != 0 {
		env = append(env, "CGOHEAP_SAMPLE_BYTES="+strconv.Itoa(o.sampleBytes))
	}
	return append(env, o.env...)
}

// cleanEnviron is the environment without what would change a host.
func cleanEnviron() (env []string) {
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "CGOHEAP_") && !strings.HasPrefix(e, "LD_PRELOAD=") &&
			!strings.HasPrefix(e, "GODEBUG=") {
			env = append(env, e)
		}
	}
	return env
}

func (h *host) read(stdout io.Reader) {
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			h.lines <- strings.TrimSuffix(line, "\n")
		}
		if err != nil {
			break
		}
	}
	close(h.lines)
	h.cmd.Wait()
	close(h.ended)
}

// ready waits until the program stands still, and keeps the facts it says.
func (h *host) ready() {
	h.t.Helper()
	if !h.readUntilReady() {
		h.t.Fatalf("%s ended before it was ready: %v\n%s", h.cmd.Path, h.cmd.ProcessState,
			h.stderr.String())
	}
}

func (h *host) readUntilReady() bool {
	h.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case line, open := <-h.lines:
			if !open {
				<-h.ended
				return false
			}
			if line == "ready" {
				return true
			}
			h.keep(line)
		case <-deadline:
			h.cmd.Process.Kill()
			h.t.Fatalf("%s hangs\n%s", h.cmd.Path, h.stderr.String())
		}
	}
}

func (h *host) keep(line string) {
	name, value, found := strings.Cut(line, " ")
	if found && json.Valid([]byte(value)) {
		h.facts[name] = json.RawMessage(value)
		return
	}
	h.output = append(h.output, line)
}

// fact is what the program said under this name, into *value.
func (h *host) fact(name string, value any) {
	h.t.Helper()
	text, ok := h.facts[name]
	if !ok {
		h.t.Fatalf("%s said nothing of %s", h.cmd.Path, name)
	}
	if err := json.Unmarshal(text, value); err != nil {
		h.t.Fatal(err)
	}
}

// tell gives the program its next command and waits until it is done.
func (h *host) tell(format string, args ...any) {
	h.t.Helper()
	fmt.Fprintf(h.stdin, format+"\n", args...)
	h.ready()
}

// finish lets the program run to its end and returns its exit code.
func (h *host) finish(lastWords ...string) int {
	h.t.Helper()
	for _, w := range lastWords {
		fmt.Fprintln(h.stdin, w)
	}
	h.stdin.Close()
	for h.readUntilReady() {
	}
	return h.cmd.ProcessState.ExitCode()
}

func (h *host) pid() int { return h.cmd.Process.Pid }

// dial connects, waiting for a socket that is not there yet.
func (h *host) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := d.DialContext(ctx, "unix", h.socket)
		if err == nil || time.Now().After(deadline) {
			return conn, err
		}
	}
}

// dialOnce does not wait for a socket.
func (h *host) dialOnce() (net.Conn, error) { return net.Dial("unix", h.socket) }

func (h *host) request(method, path string) (int, http.Header, []byte) {
	h.t.Helper()
	request, err := http.NewRequest(method, "http://cgoheap"+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	response, err := h.client.Do(request)
	if err != nil {
		h.t.Fatalf("%s %s: %v\n%s", method, path, err, h.stderr.String())
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	return response.StatusCode, response.Header, body
}

func (h *host) get(path string) []byte {
	h.t.Helper()
	code, _, body := h.request("GET", path)
	if code != 200 {
		h.t.Fatalf("GET %s: %d %s", path, code, body)
	}
	return body
}

// awaitConnection waits until a client stays connected: its request has been read and is not
// answered yet.
func (h *host) awaitConnection() {
	h.t.Helper()
	deadline := time.Now().Add(patience)
	for since := time.Now(); time.Since(since) < 500*time.Millisecond; {
		if !h.isConnected() {
			since = time.Now()
		}
		if time.Now().After(deadline) {
			h.t.Fatal("no client is connected")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// isConnected: connections have the name of the socket that took them, beside the socket itself.
func (h *host) isConnected() bool {
	text, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.Count(string(text), " "+h.socket+"\n") > 1
}

// profile fetches and parses the cgo profile; query is "" or "?...".
func (h *host) profile(query string) *profile.Profile {
	h.t.Helper()
	p, err := profile.ParseData(h.get("/debug/pprof/cgoheap" + query))
	if err != nil {
		h.t.Fatalf("profile%s: %v", query, err)
	}
	if err := p.CheckValid(); err != nil {
		h.t.Fatalf("profile%s: %v", query, err)
	}
	return p
}

// status is /v1/status.
type status struct {
	Version     string
	PID         int
	State       string
	SampleBytes int64  `json:"sample_bytes"`
	Remaining   *int64 `json:"sampling_remaining_ns"`
	Samples     struct{ Taken, Live int64 }
	Dropped     map[string]int64
	Stacks      struct {
		Distinct, Sites, Complete, Truncated int64
		ByEnd                                map[string]int64 `json:"by_end"`
		NoRoom                               int64            `json:"no_room"`
	}
	Memory struct {
		Resident int64 `json:"resident_bytes"`
		Max      int64 `json:"max_bytes"`
	}
	Threads int
	// "known", "none_used" or "unknown: why"
	GoroutineLabels *string          `json:"goroutine_labels"`
	LabelSets       map[string]int64 `json:"label_sets"`
	Host            struct {
		GoVersion  string `json:"go_version"`
		Allocator  string
		Executable string
	}
	Socket  *string
	TCPPort *int `json:"tcp_port"`
}

func (h *host) status() (s status) {
	h.t.Helper()
	body := h.get("/v1/status")
	if err := json.Unmarshal(body, &s); err != nil {
		h.t.Fatalf("/v1/status: %v\n%s", err, body)
	}
	return s
}

// wantNothingDropped: every allocation at interval 1 must be in the tables.
// "reentered" is what an allocator asks itself for inside of malloc.
func (h *host) wantNothingDropped() {
	h.t.Helper()
	s := h.status()
	for why, n := range s.Dropped {
		if n != 0 && !(why == "reentered" && s.Host.Allocator != "glibc") {
			h.t.Errorf("dropped %s: %d", why, n)
		}
	}
}

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A value that is not understood: one line on stderr that names the variable,
// the value and what is allowed; the program then runs with the default.
func TestBadEnvironment(t *testing.T) {
	path := program(t, "go-driven", oneBuild())
	for _, c := range []struct {
		variable, value string
		allowed         string // what the line offers
		check           func(*testing.T, status)
	}{
		{"CGOHEAP_START", "asleep", "dormant", wantSampling},
		{"CGOHEAP_SAMPLE_BYTES", "often", "524288", wantDefaultInterval},
		{"CGOHEAP_SAMPLE_BYTES", "0", "524288", wantDefaultInterval},
		{"CGOHEAP_SAMPLE_BYTES", "-1", "524288", wantDefaultInterval},
		{"CGOHEAP_SAMPLE_BYTES", "512 KiB or so", "524288", wantDefaultInterval},
		{"CGOHEAP_SAMPLE_BYTES", "99999999999999999999999", "524288", wantDefaultInterval},
		{"CGOHEAP_MAX_MEMORY", "lots", "32MiB", wantDefaultMemory},
		{"CGOHEAP_MAX_MEMORY", "1", "32MiB", wantDefaultMemory},
		{"CGOHEAP_LISTEN", "0.0.0.0:6061", "127.0.0.1:6061", wantNoPort},
		{"CGOHEAP_LISTEN", "6061", "127.0.0.1:6061", wantNoPort},
		{"CGOHEAP_LISTEN", "127.0.0.1:99999", "127.0.0.1:6061", wantNoPort},
		{"CGOHEAP_ANY", "perhaps", "1", wantSampling},
		{"CGOHEAP_SAMPLE_BITES", "1", "CGOHEAP_SAMPLE_BYTES", wantDefaultInterval},
		{"CGOHEAP_START", "\x01\xff\"", "dormant", wantSampling},
	} {
		t.Run(c.variable+"="+c.value, func(t *testing.T) {
			h := start(t, path, hostOptions{env: []string{c.variable + "=" + c.value},
				mayPrint: true})
			h.tell("alloc A 10 1000")
			c.check(t, h.status())
			lines := wantOneLine(t, h.stderr.String(), c.variable, c.allowed)
			if plain := !strings.ContainsAny(c.value, "\x01"); plain &&
				c.variable != "CGOHEAP_SAMPLE_BITES" && !strings.Contains(lines, c.value) {
				t.Errorf("the line does not show the value: %s", lines)
			}
			wantUntouched(t, h)
		})
	}
}

func wantSampling(t *testing.T, s status) {
	if s.State != "sampling" {
		t.Errorf("state %s", s.State)
	}
}

func wantDefaultInterval(t *testing.T, s status) {
	wantSampling(t, s)
	if s.SampleBytes != defaultInterval {
		t.Errorf("sample_bytes %d", s.SampleBytes)
	}
}

func wantDefaultMemory(t *testing.T, s status) {
	wantSampling(t, s)
	if s.Memory.Max != 32<<20 {
		t.Errorf("max_bytes %d", s.Memory.Max)
	}
}

func wantNoPort(t *testing.T, s status) {
	wantSampling(t, s)
	if s.TCPPort != nil {
		t.Errorf("listens on %d", *s.TCPPort)
	}
}

// wantOneLine: exactly one line, "cgoheap: ...", that holds the words; printable.
func wantOneLine(t testing.TB, stderr string, words ...string) string {
	t.Helper()
	if strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "\n") ||
		!strings.HasPrefix(stderr, "cgoheap: ") {
		t.Errorf("not one line of cgoheap: %q", stderr)
	}
	for _, w := range words {
		if !strings.Contains(stderr, w) {
			t.Errorf("%q is not in: %s", w, stderr)
		}
	}
	for _, r := range strings.TrimSuffix(stderr, "\n") {
		if r < ' ' || r > '~' {
			t.Errorf("not printable: %q", stderr)
			break
		}
	}
	return stderr
}

// wantUntouched: the program's own output and exit code are as ever.
func wantUntouched(t testing.TB, h *host) {
	t.Helper()
	if code := h.finish("exit 3"); code != 3 {
		t.Errorf("exit code %d, want 3", code)
	}
	if len(h.output) > 0 {
		t.Errorf("on stdout: %q", h.output)
	}
}

// A socket that cannot be had: one line, and the program runs without.
func TestBadSocket(t *testing.T) {
	path := program(t, "go-driven", oneBuild())
	dir, err := os.MkdirTemp("", "cgoheap")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	long := filepath.Join(dir, strings.Repeat("long", 30))
	plain := filepath.Join(dir, "file")
	if err := os.WriteFile(plain, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken := filepath.Join(dir, "taken")
	listener, err := net.Listen("unix", taken)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for name, c := range map[string]struct{ socket, word string }{
		"too long":            {long, "107"},
		"in use":              {taken, taken},
		"is a file":           {plain, plain},
		"no such directory":   {filepath.Join(dir, "no", "such"), filepath.Join(dir, "no", "such")},
		"directory is a file": {filepath.Join(plain, "s"), filepath.Join(plain, "s")},
		"not writable":        {"/proc/cgoheap.sock", "/proc/cgoheap.sock"},
		"relative":            {"some/where/s", "some/where/s"},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, path, hostOptions{env: []string{"CGOHEAP_SOCKET=" + c.socket},
				mayPrint: true})
			h.tell("alloc A 10 1000")
			wantOneLine(t, h.stderr.String(), c.word)
			wantUntouched(t, h)
		})
	}
	if text, _ := os.ReadFile(plain); string(text) != "precious" {
		t.Error("a file in the place of the socket was written to")
	}
	if _, err := net.Dial("unix", taken); err != nil {
		t.Errorf("the socket of another process was taken away: %v", err)
	}
}

// A socket that a killed process left behind is no obstacle; one is removed or
// can be taken again after the process ends.
func TestSocketLeftBehind(t *testing.T) {
	path := program(t, "go-driven", oneBuild())
	h := start(t, path, hostOptions{})
	h.status()
	h.cmd.Process.Kill()
	<-h.ended
	if _, err := os.Stat(h.socket); err != nil {
		t.Skipf("a killed process leaves no socket: %v", err)
	}
	again := start(t, path, hostOptions{env: []string{"CGOHEAP_SOCKET=" + h.socket}})
	again.socket = h.socket
	if s := again.status(); s.PID != again.pid() {
		t.Errorf("pid %d answers, want %d", s.PID, again.pid())
	}
}

func TestSocketIsPrivate(t *testing.T) {
	path := program(t, "go-driven", oneBuild())
	runtimeDir := t.TempDir()
	h := start(t, path, hostOptions{env: []string{"CGOHEAP_SOCKET=", "XDG_RUNTIME_DIR=" +
		runtimeDir}})
	dir := filepath.Join(runtimeDir, fmt.Sprintf("cgoheap-%d", os.Getuid()))
	h.socket = filepath.Join(dir, fmt.Sprintf("%d.sock", h.pid()))
	if s := h.status(); s.PID != h.pid() {
		t.Errorf("pid %d answers", s.PID)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%s: %v, %v", dir, info.Mode(), err)
	}
}

// What is not understood is refused in one line, and the host does not notice.
func TestBadRequests(t *testing.T) {
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1})
	h.tell("alloc A 10 1000")
	for _, c := range []struct {
		method, path string
		code         int
		word         string
	}{
		{"GET", "/debug/pprof/cgoheap?seconds=x", 400, "seconds"},
		{"GET", "/debug/pprof/cgoheap?seconds=-1", 400, "seconds"},
		{"GET", "/debug/pprof/cgoheap?seconds=99999999999", 400, "seconds"},
		{"GET", "/debug/pprof/cgoheap?older=yesterday", 400, "older"},
		{"GET", "/debug/pprof/cgoheap?symbols=all", 400, "symbols"},
		{"GET", "/debug/pprof/cgoheap?frames=some", 400, "frames"},
		{"GET", "/debug/pprof/cgoheap?debug=yes", 400, "debug"},
		{"GET", "/debug/pprof/cgoheap?colour=red", 400, "colour"},
		{"GET", "/debug/pprof/nothing", 404, "/debug/pprof/nothing"},
		{"GET", "/../../etc/passwd", 404, ""},
		{"POST", "/debug/pprof/cgoheap", 405, "GET"},
		{"DELETE", "/v1/status", 405, "GET"},
		{"GET", "/v1/sampling?state=on", 405, "POST"},
		{"POST", "/v1/sampling?state=maybe", 400, "state"},
		{"POST", "/v1/sampling?state=on&for=ages", 400, "for"},
		{"POST", "/v1/sampling?state=on&sample_bytes=0", 400, "sample_bytes"},
		{"POST", "/v1/sampling", 400, "state"},
	} {
		code, header, body := h.request(c.method, c.path)
		if code != c.code || !strings.Contains(string(body), c.word) {
			t.Errorf("%s %s: %d %s", c.method, c.path, code, body)
		}
		if strings.Count(string(body), "\n") != 1 || !strings.HasPrefix(header.Get("Content-Type"),
			"text/plain") {
			t.Errorf("%s %s: not one line of text: %q (%s)", c.method, c.path, body,
				header.Get("Content-Type"))
		}
	}
	if s := h.status(); s.State != "sampling" || s.SampleBytes != 1 {
		t.Errorf("a refused request changed the state: %+v", s)
	}
}

// Bytes that are no HTTP. Each gets a 4xx or a closed connection, never a stop.
func TestGarbageOnSocket(t *testing.T) {
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1})
	for name, text := range map[string]string{
		"noise":          "\x00\x01\x02\xff\xfe\r\n\r\n",
		"TLS hello":      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"no version":     "GET /v1/status\r\n\r\n",
		"HTTP/2 preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"long line":      "GET /" + strings.Repeat("a", 100_000) + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"many headers": "GET /v1/status HTTP/1.1\r\nHost: x\r\n" +
			strings.Repeat("X-Y: zzzzzzzzzz\r\n", 10_000) + "\r\n",
		"bad escape":  "GET /v1/status?%zz=1 HTTP/1.1\r\nHost: x\r\n\r\n",
		"NUL in path": "GET /v1/status%00 HTTP/1.1\r\nHost: x\r\n\r\n",
		"two lengths": "POST /v1/sampling?state=on HTTP/1.1\r\nHost: x\r\nContent-Length: " +
			"1\r\nContent-Length: 2\r\n\r\nab",
		"negative length": "POST /v1/sampling?state=on HTTP/1.1\r\nHost: x\r\nContent-Length: " +
			"-5\r\n\r\n",
		"endless body": "POST /v1/sampling?state=on HTTP/1.1\r\nHost: x\r\nContent-Length: " +
			"99999999999\r\n\r\n",
		"chunked": "POST /v1/sampling?state=on HTTP/1.1\r\nHost: x\r\n" +
			"Transfer-Encoding: chunked\r\n\r\n",
		"folded header":    "GET /v1/status HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
		"space in header":  "GET /v1/status HTTP/1.1\r\nHo st : x\r\n\r\n",
		"other protocol":   "GET /v1/status FTP/1.1\r\nHost: x\r\n\r\n",
		"nothing but CRLF": "\r\n\r\n",
	} {
		conn, err := net.Dial("unix", h.socket)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		io.WriteString(conn, text) // may fail: refused before its end
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil && (response.StatusCode < 400 || response.StatusCode > 505) {
			t.Errorf("%s: %s", name, response.Status)
		}
		if err != nil && !strings.Contains(err.Error(), "EOF") &&
			!strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: %v", name, err)
		}
		conn.Close()
	}
	wantServes(t, h)
	wantUntouched(t, h)
}

// Clients that say nothing, stop in the middle, or do not read.
func TestSlowClients(t *testing.T) {
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1})
	h.tell("spread 1000 2 64") // an answer larger than a socket's buffer
	h.status()
	for _, text := range []string{"", "GET /v1/sta", "GET /debug/pprof/cgoheap?debug=1 " +
		"HTTP/1.1\r\nHost: x\r\n\r\n"} {
		conn, err := net.Dial("unix", h.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, text)
	}
	wantServes(t, h)
	for i := 0; i < 100; i++ { // and gone before the answer
		conn, err := h.dial(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, "GET /debug/pprof/cgoheap HTTP/1.1\r\nHost: x\r\n\r\n")
		conn.Close()
	}
	wantServes(t, h)
	wantUntouched(t, h)
}

// wantServes: host and server are as before.
func wantServes(t *testing.T, h *host) {
	t.Helper()
	h.tell("alloc A 10 1000")
	if got := sum(h.profile(""), "main.allocA"); got.inUseObjects == 0 {
		t.Errorf("the profile has %+v", got)
	}
}

func compileC(t testing.TB, source string, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "program")
	args := append([]string{"-o", out, filepath.Join("testdata", source), "-pthread"}, flags...)
	if text, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
		t.Fatalf("cc %q: %v\n%s", args, err, text)
	}
	return out
}

func countThreads(t testing.TB, pid int) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// In what is no Go program the shim has no thread and no socket, and says
// nothing, even of bad variables; CGOHEAP_ANY=1 asks for it there.
func TestOtherPrograms(t *testing.T) {
	threads := compileC(t, "threads.c")
	t.Run("C is left alone", func(t *testing.T) {
		for _, args := range [][]string{nil, {"threads"}} {
			h := start(t, threads, hostOptions{args: args, env: []string{"CGOHEAP_START=nonsense"}})
			if got := countThreads(t, h.pid()); got != 1+2*len(args) {
				t.Errorf("%d threads", got)
			}
			if _, err := os.Stat(h.socket); err == nil {
				t.Error("there is a socket")
			}
			if code := h.finish(); code != 5 {
				t.Errorf("exit code %d", code)
			}
		}
	})
	t.Run("C with CGOHEAP_ANY=1", func(t *testing.T) {
		for _, args := range [][]string{nil, {"threads"}} {
			h := start(t, threads, hostOptions{args: args, env: []string{"CGOHEAP_ANY=1"},
				sampleBytes: 1})
			s := h.status()
			if s.State != "sampling" || s.PID != h.pid() {
				t.Errorf("status is %+v", s)
			}
			if got := sum(h.profile(""), "hold"); len(args) > 0 && (got.inUseObjects != 2 ||
				got.inUseBytes != 2*12345) {
				t.Errorf("the threads hold %+v", got)
			}
			if code := h.finish(); code != 5 {
				t.Errorf("exit code %d", code)
			}
		}
	})
	t.Run("static C", func(t *testing.T) {
		h := start(t, compileC(t, "threads.c", "-static"), hostOptions{})
		if _, err := os.Stat(h.socket); err == nil {
			t.Error("there is a socket")
		}
		if code := h.finish(); code != 5 {
			t.Errorf("exit code %d", code)
		}
	})
	t.Run("shell", func(t *testing.T) {
		cmd := exec.Command("/bin/sh", "-c", "echo out; echo err >&2; ls / | head -1 "+
			">/dev/null; exit 4")
		cmd.Env = append(cleanEnviron(), "LD_PRELOAD="+shimPath(t))
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, _ := cmd.Output()
		if string(out) != "out\n" || stderr.String() != "err\n" ||
			cmd.ProcessState.ExitCode() != 4 {
			t.Errorf("%q, %q, %d", out, stderr.String(), cmd.ProcessState.ExitCode())
		}
	})
}

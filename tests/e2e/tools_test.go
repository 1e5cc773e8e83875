package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pprof runs `go tool pprof` of the build's release.
func pprof(t testing.TB, b build, dir string, args ...string) string {
	t.Helper()
	cmd := pprofCommand(b, dir, args...)
	var errors bytes.Buffer
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go tool pprof %q: %v\n%s%s", args, err, out, errors.String())
	}
	return string(out)
}

func pprofCommand(b build, dir string, args ...string) *exec.Cmd {
	cmd := goCommand(b.goVersion, dir, append([]string{"tool", "pprof"}, args...)...)
	cmd.Env = append(cmd.Env, "PPROF_TMPDIR="+dir)
	return cmd
}

// topRow is flat and cum of one function in the output of -top -unit=b.
func topRow(t testing.TB, output, function string) (flat, cum string) {
	t.Helper()
	row := regexp.MustCompile(`(?m)^\s*(\S+)\s+\S+%?\s+\S+%\s+(\S+)\s+\S+%\s+` +
		regexp.QuoteMeta(function) + `( \(inline\))?$`)
	m := row.FindStringSubmatch(output)
	if m == nil {
		t.Fatalf("%s is not in\n%s", function, output)
	}
	return m[1], m[2]
}

func wantCum(t testing.TB, output, function, want string) {
	t.Helper()
	if _, cum := topRow(t, output, function); cum != want {
		t.Errorf("%s has %s, want %s, in\n%s", function, cum, want, output)
	}
}

func save(t testing.TB, h *host, dir, name, query string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, h.get("/debug/pprof/cgoheap"+query), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Real `go tool pprof` of each release on what the shim serves.
func TestPprofTool(t *testing.T) {
	for _, version := range outerVersions() {
		t.Run("go"+version, func(t *testing.T) {
			t.Parallel()
			testPprofTool(t, build{version, "plain"})
		})
	}
}

func testPprofTool(t *testing.T, b build) {
	dir := t.TempDir()
	h := start(t, program(t, "go-driven", b), hostOptions{sampleBytes: 1,
		env: []string{"CGOHEAP_LISTEN=127.0.0.1:0"}})
	h.tell("alloc A 10 1000")
	first := save(t, h, dir, "first.pb.gz", "")
	h.tell("alloc A 3 1000")
	h.tell("alloc B 5 2000")
	second := save(t, h, dir, "second.pb.gz", "")
	h.tell("heap " + filepath.Join(dir, "heap.pb.gz"))

	top := pprof(t, b, dir, "-top", "-unit=b", "-nodefraction=0", second)
	if !strings.Contains(top, "Type: inuse_space") {
		t.Errorf("pprof opens with another type than inuse_space:\n%s", top)
	}
	wantCum(t, top, "main.allocA", "13000B")
	wantCum(t, top, "main.allocB", "10000B")
	if flat, _ := topRow(t, top, "malloc"); !strings.HasSuffix(flat, "B") {
		t.Errorf("malloc has flat %s", flat)
	}

	t.Run("traces", func(t *testing.T) { wantTrace(t, pprof(t, b, dir, "-traces", second)) })
	t.Run("tagfocus", func(t *testing.T) {
		wantCum(t, pprof(t, b, dir, "-top", "-unit=b", "-nodefraction=0", "-tagfocus=origin=malloc",
			second), "main.allocA", "13000B")
		none, _ := pprofCommand(b, dir, "-top", "-unit=b", "-tagfocus=origin=mmap",
			second).CombinedOutput()
		if strings.Contains(string(none), "main.allocA") {
			t.Errorf("origin=mmap has malloc's:\n%s", none)
		}
	})
	t.Run("diff_base", func(t *testing.T) {
		diff := pprof(t, b, dir, "-top", "-unit=b", "-nodefraction=0", "-diff_base="+first, second)
		wantCum(t, diff, "main.allocA", "3000B")
		wantCum(t, diff, "main.allocB", "10000B")
	})
	t.Run("merge", func(t *testing.T) {
		merged := pprof(t, b, dir, "-top", "-unit=b", "-nodefraction=0",
			filepath.Join(dir, "heap.pb.gz"), second)
		wantCum(t, merged, "main.allocA", "13000B")
		// Go's own: 8 MiB of the Go heap, in the same tree.
		if flat, _ := topRow(t, merged, "main.main"); len(flat) < len("8388608B") {
			t.Errorf("main.main has %s of its own in\n%s", flat, merged)
		}
	})
	t.Run("http", func(t *testing.T) { wantWebPages(t, b, dir, second) })
	t.Run("url", func(t *testing.T) {
		port := h.status().TCPPort
		if port == nil {
			t.Fatal("/v1/status has no tcp_port")
		}
		url := fmt.Sprintf("http://127.0.0.1:%d/debug/pprof/cgoheap", *port)
		wantCum(t, pprof(t, b, dir, "-top", "-unit=b", "-nodefraction=0", url), "main.allocB",
			"10000B")
		growth := pprof(t, b, dir, "-top", "-unit=b", "-seconds=1", url)
		if strings.Contains(growth, "main.allocB") {
			t.Errorf("-seconds=1 shows what did not grow:\n%s", growth)
		}
	})
}

// wantTrace: from C to main.main without a gap, as text.
func wantTrace(t *testing.T, traces string) {
	t.Helper()
	for _, trace := range strings.Split(traces, "-----------+") {
		var list []string
		for _, line := range strings.Split(trace, "\n") {
			if f := strings.Fields(line); len(f) > 0 {
				list = append(list, f[len(f)-1])
			}
		}
		text := strings.Join(list, " ")
		if strings.Contains(text, "malloc dr_malloc main._Cfunc_dr_malloc main.allocA main.alloc "+
			"main.obey main.main runtime.main") {
			return
		}
	}
	t.Errorf("no trace from malloc over dr_malloc and main.allocA to runtime.main in\n%s", traces)
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func wantWebPages(t *testing.T, b build, dir, file string) {
	address := freePort(t)
	cmd := pprofCommand(b, dir, "-http="+address, "-no_browser", file)
	// `go tool` has pprof as its child: they end together.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var output lockedBuffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	}()
	pages := []string{"/ui/flamegraph", "/ui/top", "/ui/peek?f=main.allocA"}
	if _, err := exec.LookPath("dot"); err == nil {
		pages = append(pages, "/ui/")
	}
	for _, page := range pages {
		body, err := getEventually("http://" + address + page)
		if err != nil {
			t.Fatalf("%s: %v\n%s", page, err, output.String())
		}
		if !strings.Contains(body, "main.allocA") {
			t.Errorf("%s does not show main.allocA", page)
		}
	}
}

// getEventually waits for a server that is coming up.
func getEventually(url string) (string, error) {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		response, err := http.Get(url)
		if err != nil {
			if time.Now().After(deadline) {
				return "", err
			}
			continue
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if response.StatusCode != 200 {
			err = fmt.Errorf("%s: %s", response.Status, body)
		}
		return string(body), err
	}
}

// C++ names as people write them, in what pprof prints.
func TestCxxNames(t *testing.T) {
	for _, version := range outerVersions() {
		b := build{version, "plain"}
		h := start(t, program(t, "go-stacks", b), hostOptions{sampleBytes: 1})
		dir := t.TempDir()
		traces := pprof(t, b, dir, "-traces", save(t, h, dir, "p.pb.gz", ""))
		for _, want := range []string{"shapes::Holder::fill", "shapes::fail", "operator new"} {
			if !strings.Contains(traces, want) {
				t.Errorf("go%s: pprof -traces has no %s", version, want)
			}
		}
		if strings.Contains(traces, "_ZN6shapes") {
			t.Errorf("go%s: pprof -traces has mangled names", version)
		}
	}
}

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Test suites that were not written for us must give the same under the shim,
// at interval 1, as without it: the same tests pass and fail. (Whether one skips
// itself may hang on its timing: go-sqlite3's TestExecContextCancel.)

func TestGoCgoSuite(t *testing.T) {
	for _, version := range outerVersions() {
		t.Run("go"+version, func(t *testing.T) {
			t.Parallel()
			compareSuite(t, build{version, "plain"}, "", "cmd/cgo/internal/test")
		})
	}
}

func TestSqliteSuite(t *testing.T) {
	b := oneBuild()
	compareSuite(t, b, moduleDir(t, b, "github.com/mattn/go-sqlite3@v1.14.28"), ".")
}

// compareSuite builds one test binary and runs it twice.
func compareSuite(t *testing.T, b build, dir, pkg string) {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	binary := buildTest(t, b, dir, pkg)
	where := packageDir(t, b, dir, pkg)
	without := runSuite(t, b, where, binary, nil)
	watch := watchSocket(t)
	with := runSuite(t, b, where, binary, []string{"LD_PRELOAD=" + shimPath(t),
		"CGOHEAP_SAMPLE_BYTES=1", "CGOHEAP_SOCKET=" + watch.socket})
	watch.wantSampled(t)
	if len(without) == 0 {
		t.Fatal("no test ran")
	}
	counts := map[string]int{}
	for name, result := range without {
		counts[result]++
		if with[name] != result && (with[name] == "" || with[name] == "fail" || result == "fail") {
			t.Errorf("%s: %s without the shim, %s under it", name, result, with[name])
		}
	}
	for name, result := range with {
		if _, ok := without[name]; !ok {
			t.Errorf("%s: not there without the shim, %s under it", name, result)
		}
	}
	t.Logf("%s with go%s: %v", pkg, b.goVersion, counts)
}

// A watcher asks a process for its status until that is gone, and keeps the last.
type watcher struct {
	socket string
	stop   chan bool
	last   chan status
}

func watchSocket(t *testing.T) *watcher {
	t.Helper()
	dir, err := os.MkdirTemp("", "cgoheap")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &watcher{filepath.Join(dir, "s"), make(chan bool), make(chan status, 1)}
	go func() {
		var last status
		for {
			select {
			case <-w.stop:
				w.last <- last
				return
			case <-time.After(100 * time.Millisecond):
			}
			if s, err := statusAt(w.socket); err == nil {
				last = s
			}
		}
	}()
	return w
}

func statusAt(socket string) (s status, err error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return s, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(conn, "GET /v1/status HTTP/1.0\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return s, err
	}
	return s, json.NewDecoder(response.Body).Decode(&s)
}

// wantSampled: the suite did run under a shim that records.
func (w *watcher) wantSampled(t *testing.T) {
	t.Helper()
	close(w.stop)
	s := <-w.last
	if s.Samples.Taken == 0 {
		t.Error("the suite ran without samples")
	}
	t.Logf("%d samples; stacks end in %v; dropped %v", s.Samples.Taken, s.Stacks.ByEnd, s.Dropped)
}

func buildTest(t *testing.T, b build, dir, pkg string) string {
	t.Helper()
	key, err := hashInputs(nil, b, []string{dir, pkg, "test"})
	if err != nil {
		t.Fatal(err)
	}
	if pkg != "." {
		key += "-" + strings.ReplaceAll(pkg, "/", "-")
	}
	out := filepath.Join(cacheDir(t), key, filepath.Base(pkg)+".test")
	if _, err := os.Stat(out); err == nil {
		return out
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		t.Fatal(err)
	}
	if text, err := goCommand(b.goVersion, dir, "test", "-c", "-o", out,
		pkg).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return out
}

func packageDir(t *testing.T, b build, dir, pkg string) string {
	t.Helper()
	out, err := goCommand(b.goVersion, dir, "list", "-f", "{{.Dir}}", pkg).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// runSuite is the result of each test, by its name; of the whole, by "".
func runSuite(t *testing.T, b build, dir, binary string, env []string) map[string]string {
	t.Helper()
	// test2json as `go test -json` runs it.
	args := append(env, binary, "-test.v=test2json", "-test.timeout=300s")
	cmd := exec.Command("env", args...)
	cmd.Dir = dir
	cmd.Env = append(cleanEnviron(), "GOTOOLCHAIN=go"+b.goVersion)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	results := map[string]string{"": "pass"}
	if err != nil {
		results[""] = err.Error()
	}
	events := goCommand(b.goVersion, "", "tool", "test2json")
	events.Stdin = bytes.NewReader(output.Bytes())
	out, err := events.Output()
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var e struct{ Action, Test string }
		json.Unmarshal(lines.Bytes(), &e)
		if e.Test != "" && slices.Contains([]string{"pass", "fail", "skip"}, e.Action) {
			results[e.Test] = e.Action
		}
	}
	if results[""] != "pass" {
		tail := strings.Split(output.String(), "\n")
		t.Logf("%v: %s\n%s", env, results[""], strings.Join(tail[max(0, len(tail)-30):], "\n"))
	}
	return results
}

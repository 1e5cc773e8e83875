package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Test suites that were not written for us must give the same under the shim,
// at interval 1, as without it: the same tests pass, fail and are skipped.

func TestGoCgoSuite(t *testing.T) {
	for _, version := range goVersions() {
		t.Run("go"+version, func(t *testing.T) {
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
	socket := filepath.Join(t.TempDir(), "s")
	with := runSuite(t, b, where, binary, []string{"LD_PRELOAD=" + shimPath(t), "CGOHEAP_SAMPLE_BYTES=1", "CGOHEAP_SOCKET=" + socket})
	if len(without) == 0 {
		t.Fatal("no test ran")
	}
	counts := map[string]int{}
	for name, result := range without {
		counts[result]++
		if with[name] != result {
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
	if text, err := goCommand(b.goVersion, dir, "test", "-c", "-o", out, pkg).CombinedOutput(); err != nil {
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

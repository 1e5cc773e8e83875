// Package e2e drives real Go programs under the shim, and reads what it serves
// with real pprof tools.
//
// The shim is tested as it lies in build/; `make test` builds it first. Test
// programs come from ../programs, built by each toolchain in each way, and are
// kept under $XDG_CACHE_HOME/cgoheap/e2e by the hash of all that went into them.
package e2e

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// A build is one way to make a Go program.
type build struct {
	goVersion string // "1.26.8"
	mode      string // a key of buildFlags
}

func (b build) String() string { return "go" + b.goVersion + "-" + b.mode }

var buildFlags = map[string][]string{
	"plain":    nil,
	"pie":      {"-buildmode=pie"},
	"stripped": {"-ldflags=-s -w"},
	// Without cgo, for programs that call C all the same.
	"nocgo":          nil,
	"nocgo-stripped": {"-ldflags=-s -w"},
}

// goVersions is each Go release whose runtime differs in what matters here.
// CGOHEAP_E2E_GO, a list with commas, restricts it.
func goVersions() []string {
	if only := os.Getenv("CGOHEAP_E2E_GO"); only != "" {
		return strings.Split(only, ",")
	}
	return []string{"1.21.13", "1.24.13", "1.26.8", "1.27.4"}
}

// outerVersions are the oldest and the newest, for what depends little on the
// release; make test-long has all.
func outerVersions() []string {
	versions := goVersions()
	if longTests || len(versions) < 3 {
		return versions
	}
	return []string{versions[0], versions[len(versions)-1]}
}

// everyBuild is each release as it is, without symbols the oldest and the newest,
// and one position-independent; make test-long has each release in each way.
func everyBuild() (list []build) {
	if longTests {
		return eachWay(goVersions())
	}
	for _, v := range goVersions() {
		list = append(list, build{v, "plain"})
	}
	for _, v := range outerVersions() {
		list = append(list, build{v, "stripped"})
	}
	return append(list, build{oneBuild().goVersion, "pie"})
}

func eachWay(versions []string) (list []build) {
	for _, v := range versions {
		list = append(list, build{v, "plain"}, build{v, "pie"}, build{v, "stripped"})
	}
	return list
}

// oneBuild is for what does not depend on the Go release.
func oneBuild() build {
	versions := goVersions()
	if len(versions) > 1 {
		return build{"1.26.8", "plain"}
	}
	return build{versions[0], "plain"}
}

func repositoryRoot() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

func shimPath(t testing.TB) string { return built(t, "libcgoheap.so") }

// built is a file that make has made. CGOHEAP_E2E_BUILD names another BUILD
// directory than make's own.
func built(t testing.TB, name string) string {
	dir := os.Getenv("CGOHEAP_E2E_BUILD")
	if dir == "" {
		dir = filepath.Join(repositoryRoot(), "build")
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run make first", err)
	}
	return path
}

func cacheDir(t testing.TB) string {
	base := os.Getenv("XDG_CACHE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		base = filepath.Join(home, ".cache")
	}
	return filepath.Join(base, "cgoheap", "e2e")
}

// goCommand is `go args...` of one release, in dir.
func goCommand(version, dir string, args ...string) *exec.Cmd {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=go"+version, "GOWORK=off",
		"GOFLAGS=-buildvcs=false", "CGO_ENABLED=1")
	return cmd
}

var builds sync.Map // of string, the key, to func() (string, error)

// program builds tests/programs/name and returns the executable.
func program(t testing.TB, name string, b build) string {
	t.Helper()
	dir := filepath.Join(repositoryRoot(), "tests", "programs", name)
	return buildPackage(t, dir, []string{dir, filepath.Join(filepath.Dir(dir), "go-steps")}, b, ".")
}

// buildPackage builds one package of the module at dir. Its inputs are the
// files under the directories.
func buildPackage(t testing.TB, dir string, inputs []string, b build, pkg string,
	flags ...string) string {
	t.Helper()
	key, err := hashInputs(inputs, b, append(flags, pkg))
	if err != nil {
		t.Fatal(err)
	}
	once, _ := builds.LoadOrStore(key, sync.OnceValues(func() (string, error) {
		out := filepath.Join(cacheDir(t), key, filepath.Base(dir))
		if _, err := os.Stat(out); err == nil {
			return out, nil
		}
		args := append([]string{"build", "-o", out + ".new"}, buildFlags[b.mode]...)
		command := goCommand(b.goVersion, dir, append(append(args, flags...), pkg)...)
		command.Env = append(command.Env, targetEnviron()...)
		if strings.HasPrefix(b.mode, "nocgo") {
			command.Env = append(command.Env, "CGO_ENABLED=0")
		}
		text, err := command.CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("building %s with %v: %v\n%s", dir, b, err, text)
		}
		return out, os.Rename(out+".new", out)
	}))
	path, err := once.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func hashInputs(dirs []string, b build, flags []string) (string, error) {
	h := sha256.New()
	version, err := compile("--version").Output()
	if err != nil {
		return "", fmt.Errorf("cc --version: %v", err)
	}
	fmt.Fprintln(h, b, append(flags, targetEnviron()...), string(version))
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			fmt.Fprintln(h, path, len(text))
			h.Write(text)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil))[:24], nil
}

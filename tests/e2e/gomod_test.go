package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// aged is a build flag by which the module at dir says `go version` in its go.mod, which decides
// what net/http's mux takes, among other things.
func aged(t testing.TB, dir, version string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`(?m)^go .*`).ReplaceAll(text, []byte("go "+version))
	path := filepath.Join(cacheDir(t), "gomod-"+version, filepath.Base(dir)+".mod")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{path: text}
	if sum, err := os.ReadFile(filepath.Join(dir, "go.sum")); err == nil {
		files[strings.TrimSuffix(path, ".mod")+".sum"] = sum
	}
	for name, text := range files {
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return "-modfile=" + path
}

// agedProgram is a program of tests/programs with the Go package in it, by the newest Go there is
// here.
func agedProgram(t testing.TB, name, version string) string {
	t.Helper()
	versions := goVersions()
	root := repositoryRoot()
	dir := filepath.Join(root, "tests", "programs", name)
	inputs := []string{dir, filepath.Join(root, "tests", "programs", "go-steps"),
		filepath.Join(root, "cgo_bridge")}
	return buildPackage(t, dir, inputs, build{versions[len(versions)-1], "plain"}, ".",
		aged(t, dir, version))
}

// agedPrograms are started in TestGoModVersions; gomod_long_test.go adds what takes long to build.
var agedPrograms = []string{"go-bridge"}

// TestGoModVersions: whatever go.mod says, the import does not end the program before main, and
// says nothing.
func TestGoModVersions(t *testing.T) {
	versions := goVersions()
	newest := versions[len(versions)-1]
	newest = newest[:strings.LastIndex(newest, ".")]
	for _, version := range []string{"1.21", "1.22", newest} {
		for _, name := range agedPrograms {
			t.Run(version+"-"+name, func(t *testing.T) {
				t.Parallel()
				h := start(t, agedProgram(t, name, version), hostOptions{})
				if name == "go-bridge" {
					h.wantEveryPage()
				}
				if text := h.stderr.String(); text != "" {
					t.Errorf("it said:\n%s", text)
				}
			})
		}
	}
}

// wantEveryPage: ours, and those of net/http/pprof beside them.
func (h *host) wantEveryPage() {
	h.t.Helper()
	for _, page := range []string{"cgoheap", "allheap", "memory"} {
		h.pageProfile("/debug/pprof/" + page)
	}
	for _, page := range []string{"", "heap", "cmdline"} {
		if status, _, body := h.page("GET", "/debug/pprof/"+page); status != 200 {
			h.t.Errorf("%s: %d %s", page, status, body)
		}
	}
}

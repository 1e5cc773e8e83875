package cgo_bridge

import (
	"bytes"
	_ "expvar"
	"fmt"
	"net/http"
	_ "net/http/pprof" // with go 1.22 in go.mod it registers GET /debug/pprof/
	"strings"
	"testing"
)

// everyPattern covers each kind of pattern that could meet /debug/pprof/cgoheap: all
// methods, hosts, literals, wildcards and endings up to one segment beyond it.
func everyPattern() (patterns []string) {
	if !readsMethods() {
		return []string{"/", "/debug/", "/debug/pprof/", "/debug/pprof/cgoheap",
			"/debug/pprof/cgoheap/", "example.com/"}
	}
	paths := []string{""}
	for from, n := 0, 0; n <= 4; n++ {
		level := paths[from:]
		from = len(paths)
		for _, p := range level {
			literal := append(strings.Split(pathOf(ProfileC), "/")[1:], "more")[min(n, 3)]
			paths = append(paths, p+"/"+literal, p+"/other", fmt.Sprintf("%s/{x%d}", p, n))
		}
	}
	for _, p := range paths {
		for _, end := range []string{"", "/", "/{rest...}", "/{$}"} {
			for _, method := range []string{"", "GET ", "HEAD ", "POST "} {
				for _, host := range []string{"", "example.com"} {
					if p+end != "" {
						patterns = append(patterns, method+host+p+end)
					}
				}
			}
		}
	}
	return patterns
}

// mayConflict is what doc.go promises: the pattern itself, and HEAD with a wildcard or subtree
// above it.
func mayConflict(pattern string) bool {
	for _, kind := range served {
		if pattern == pathOf(kind) {
			return !readsMethods()
		}
		if pattern == "GET "+pathOf(kind) {
			return true
		}
	}
	return strings.HasPrefix(pattern, "HEAD /") && (strings.HasSuffix(pattern, "/") ||
		strings.Contains(pattern, "{"))
}

func TestNothingConflictsWithThePages(t *testing.T) {
	for _, pattern := range everyPattern() {
		var complaints bytes.Buffer
		mux := http.NewServeMux()
		register(mux, &complaints)
		if problem := handle(mux, pattern); problem != nil && !mayConflict(pattern) {
			t.Errorf("a program's %s: %v", pattern, problem)
		}
		if complaints.Len() != 0 {
			t.Errorf("on an empty mux: %s", &complaints)
		}
	}
}

func TestRegistersAfterAnything(t *testing.T) {
	for _, pattern := range everyPattern() {
		var complaints bytes.Buffer
		mux := http.NewServeMux()
		mux.HandleFunc(pattern, func(http.ResponseWriter, *http.Request) {})
		register(mux, &complaints)
		if complaints.Len() != 0 && !mayConflict(pattern) ||
			strings.Count(complaints.String(), "\n") > 1 {
			t.Errorf("after a program's %s: %s", pattern, &complaints)
		}
	}
}

func TestConflictIsSaidOnce(t *testing.T) {
	var complaints bytes.Buffer
	mux := http.NewServeMux()
	register(mux, &complaints)
	register(mux, &complaints)
	text := complaints.String()
	if strings.Count(text, "\n") != 1 ||
		!strings.HasPrefix(text, "cgo_bridge: http.DefaultServeMux does not take all of "+
			"its pages (") ||
		!strings.Contains(text, pathOf(ProfileC)) ||
		!strings.HasSuffix(text, "): serve cgo_bridge.Handler() at a path that is free\n") {
		t.Errorf("%q", text)
	}
}

// TestOurPageWins: the program's own patterns do not hide the pages, and keep what is not ours.
func TestOurPageWins(t *testing.T) {
	theirs := []string{"/", "/debug/pprof/"}
	if readsMethods() {
		theirs = []string{"GET /", "/debug/pprof/", "GET /debug/pprof/{name}", "/{path...}",
			"GET /debug/pprof/{$}"}
	}
	mux := http.NewServeMux()
	register(mux, &bytes.Buffer{})
	for _, pattern := range theirs {
		if problem := handle(mux, pattern); problem != nil {
			t.Logf("beside the others: %v", problem)
		}
	}
	for _, kind := range served {
		for _, method := range []string{"GET", "HEAD"} {
			r, _ := http.NewRequest(method, pathOf(kind), nil)
			if _, pattern := mux.Handler(r); !strings.HasSuffix(pattern, pathOf(kind)) {
				t.Errorf("%s %s goes to %q", method, pathOf(kind), pattern)
			}
		}
	}
	r, _ := http.NewRequest("GET", "/debug/pprof/heap", nil)
	if _, pattern := mux.Handler(r); strings.HasSuffix(pattern, "heap") || pattern == "" {
		t.Errorf("heap goes to %q", pattern)
	}
}

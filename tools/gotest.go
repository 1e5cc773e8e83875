// Gotest turns the output of `go test -json` into the lines that every suite
// prints: "ok NAME", "not ok NAME" with what the test said, "skip NAME reason".
// A parent of subtests counts only where it failed by itself.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

type event struct {
	Action, Package, Test, Output, ImportPath string
}

// key is a test; with Test "", what its package printed outside of any.
type key struct{ Package, Test string }

func (k key) String() string {
	if k.Test == "" {
		return k.Package
	}
	return k.Package + "." + k.Test
}

// parent is the test that k is a subtest of; at the end its package.
func (k key) parent() key {
	return key{k.Package, k.Test[:max(strings.LastIndex(k.Test, "/"), 0)]}
}

type run struct {
	output  map[key]*strings.Builder
	parents map[key]bool // tests that have subtests
	failed  map[key]bool // tests and packages below which one has failed
}

func main() {
	r := run{map[key]*strings.Builder{}, map[key]bool{}, map[key]bool{}}
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadString('\n')
		var e event
		if json.Unmarshal([]byte(line), &e) == nil {
			r.see(e)
		} else if line != "" {
			fmt.Print("    ", line)
		}
		if err != nil {
			return
		}
	}
}

func (r *run) see(e event) {
	k := key{e.Package, e.Test}
	if k.Test != "" {
		r.parents[k.parent()] = true
	}
	switch e.Action {
	case "build-output":
		// "package [package.test]", which Package does not say here.
		k.Package, _, _ = strings.Cut(e.ImportPath, " ")
		r.say(k, e.Output)
	case "output":
		r.say(k, e.Output)
	case "pass", "skip", "fail":
		r.end(k, e.Action)
	}
}

func (r *run) say(k key, text string) {
	if r.output[k] == nil {
		r.output[k] = &strings.Builder{}
	}
	r.output[k].WriteString(text)
}

func (r *run) end(k key, action string) {
	switch {
	case action == "fail":
		if !r.failed[k] {
			// A package comes here where it did not build, or died outside of a test.
			fmt.Printf("not ok %s\n%s", k, r.said(k))
		}
		for k.Test != "" {
			k = k.parent()
			r.failed[k] = true
		}
	case k.Test == "" || r.parents[k]:
	case action == "skip":
		fmt.Printf("skip %s %s\n", k, r.reason(k))
	default:
		fmt.Println("ok", k)
	}
}

func (r *run) said(k key) string {
	if r.output[k] == nil {
		return ""
	}
	return "    " + strings.ReplaceAll(strings.TrimRight(r.output[k].String(), "\n"), "\n",
		"\n    ") + "\n"
}

// reason is the line that t.Skip printed.
func (r *run) reason(k key) string {
	for _, line := range strings.Split(r.said(k), "\n") {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			return line
		}
	}
	return ""
}

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

type run struct {
	output  map[string]*strings.Builder // by test; "" is what no test said
	parents map[string]bool
	failed  map[string]bool // tests, and the parents of failed tests
}

func main() {
	r := run{map[string]*strings.Builder{}, map[string]bool{}, map[string]bool{}}
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadString('\n')
		var e event
		if json.Unmarshal([]byte(line), &e) == nil {
			r.see(e)
		} else if line != "" {
			r.say("", line)
		}
		if err != nil {
			return
		}
	}
}

func (r *run) say(test, text string) {
	if r.output[test] == nil {
		r.output[test] = &strings.Builder{}
	}
	r.output[test].WriteString(text)
}

func (r *run) see(e event) {
	if i := strings.LastIndex(e.Test, "/"); i >= 0 {
		r.parents[e.Test[:i]] = true
	}
	switch e.Action {
	case "output", "build-output":
		r.say(e.Test, e.Output)
	case "pass", "skip", "fail":
		r.end(e)
	}
}

func (r *run) end(e event) {
	switch {
	case e.Test == "" && e.Action == "fail" && !r.failed[""]:
		// It did not build, or it died outside of a test.
		fmt.Printf("not ok %s\n%s", e.Package, r.said(""))
	case e.Test == "":
		delete(r.output, "")
		r.failed = map[string]bool{}
	case e.Action == "fail":
		if !r.failed[e.Test] {
			fmt.Printf("not ok %s\n%s", e.Test, r.said(e.Test))
		}
		for parent := e.Test; parent != ""; {
			parent = parent[:max(strings.LastIndex(parent, "/"), 0)]
			r.failed[parent] = true
		}
	case r.parents[e.Test]:
	case e.Action == "skip":
		fmt.Printf("skip %s %s\n", e.Test, r.reason(e.Test))
	default:
		fmt.Println("ok", e.Test)
	}
}

func (r *run) said(test string) string {
	if r.output[test] == nil {
		return ""
	}
	return "    " + strings.ReplaceAll(strings.TrimRight(r.output[test].String(), "\n"), "\n", "\n    ") + "\n"
}

// reason is the line that t.Skip printed.
func (r *run) reason(test string) string {
	for _, line := range strings.Split(r.said(test), "\n") {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			return line
		}
	}
	return ""
}

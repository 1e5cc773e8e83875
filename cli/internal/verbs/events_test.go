package verbs

import (
	"encoding/json"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

func TestEventsUsage(t *testing.T) {
	for args, want := range map[string]string{
		"--kinds allocs": `invalid --kinds "allocs": expected a list of alloc, free, account, ` +
			`gc, go, with commas between`,
		"--kinds alloc,": `invalid --kinds "alloc,"`,
		"--account 10ms": `invalid --account "10ms"`,
		"--for 0":        `invalid --for "0"`,
	} {
		r := cgoheap(t, append([]string{"events"}, strings.Fields(args)...)...)
		if r.code != 2 || r.out != "" || !strings.Contains(r.err, want) {
			t.Errorf("%s: %+v", args, r)
		}
	}
}

func TestEventsQuery(t *testing.T) {
	for args, want := range map[string]string{
		"":                              "",
		"--kinds free,go,alloc":         "kinds=free%2Calloc",
		"--account 10s":                 "account=10s",
		"--account 10s --kinds gc":      "account=10s&kinds=gc%2Caccount",
		"--account 90s --kinds account": "account=1m30s&kinds=account",
		"--for 1m --kinds alloc --json": "kinds=alloc",
	} {
		o, _, err := parseEvents(strings.Fields(args))
		if err != nil || o.query().Encode() != want {
			t.Errorf("%q: %q, want %q (%v)", args, o.query().Encode(), want, err)
		}
	}
}

// TestEventsAreLines: what the library sends is passed on as it is, and a stream that was cut off
// is an error.
func TestEventsAreLines(t *testing.T) {
	s := startShim(t, "events cut")
	r := cgoheap(t, "events", s.arg(), "--kinds", "alloc,free")
	lines := strings.SplitAfter(r.out, "\n")
	if r.code != 1 || len(lines) != 14 || lines[13] != "" ||
		!strings.Contains(lines[0], `"query":"kinds=alloc%2Cfree"`) {
		t.Errorf("%d lines: %+v", len(lines), r)
	}
	for _, line := range lines[:13] {
		if !json.Valid([]byte(line)) {
			t.Errorf("%q", line)
		}
	}
	if want := "cgoheap: process PID (service) stopped sending events: it has ended, or runs " +
		"another program\n"; r.normal(s).err != want {
		t.Errorf("%q, want %q", r.normal(s).err, want)
	}
	s = startShim(t, "busy events")
	cgoheap(t, "events", s.arg()).normal(s).want(t, 1, "",
		"cgoheap: process PID (service) refused: 2 clients read events already: retry when one "+
			"has ended\n")
}

func TestEventsText(t *testing.T) {
	s := startShim(t, "events cut")
	text, got := newEventsText(), ""
	for _, line := range strings.SplitAfter(cgoheap(t, "events", s.arg()).out, "\n") {
		got += string(text.of([]byte(line)))
	}
	const at = "07:13:11.327  "
	want := at + "sampling 1 in 512KiB\n" +
		at + "alloc   ~512.5 KiB  thread 4243  main.load  parse\\x1b[1m\n" +
		at + "kept    ~512.5 KiB  the realloc failed: still there\n" +
		at + "free    ~512.5 KiB  thread 4243  main.load  parse\\x1b[1m, held for 300ms\n" +
		at + "free           8 B  thread 1  stack 00000000000000bb, held for 0s\n" +
		at + "gc         4.0 MiB  live, goal 8.0 MiB, 2 cycles, paused for 121µs\n" +
		at + "gc               -  live, goal -, cycles not known\n" +
		at + "account  100.0 MiB  RSS\n" +
		at + "lost        12,345  this reader was too slow\n" +
		at + "sampling is off: no allocation is an event until cgoheap sampling PID on\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestEventsInterrupt: Ctrl-C asks for the end, which comes.
func TestEventsInterrupt(t *testing.T) {
	s := startShim(t, "serve")
	for _, signal := range []os.Signal{syscall.SIGINT, nil} {
		args := []string{"events", s.arg()}
		if signal == nil {
			args = append(args, "--for", "1s")
		}
		c := command(nil, args...)
		var out lockedText
		c.Stdout = &out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		for signal != nil && !strings.Contains(out.String(), "later version") {
			time.Sleep(10 * time.Millisecond)
		}
		if signal != nil {
			c.Process.Signal(signal)
		}
		if err := c.Wait(); err != nil {
			t.Errorf("%v: %v", signal, err)
		}
	}
}

// goLook is a profile like /debug/pprof/allheap.
func goLook(values ...int64) *profile.Profile {
	p := &profile.Profile{PeriodType: &profile.ValueType{Type: "space", Unit: "bytes"}}
	for _, name := range []string{"alloc_objects", "alloc_space", "inuse_objects", "inuse_space"} {
		p.SampleType = append(p.SampleType, &profile.ValueType{Type: name})
	}
	for i, origin := range []string{"go", "malloc"} {
		f := &profile.Function{ID: uint64(i) + 1, Name: "main." + origin, Filename: "a.go"}
		l := &profile.Location{ID: f.ID, Line: []profile.Line{{Function: f, Line: 3}}}
		p.Sample = append(p.Sample, &profile.Sample{Location: []*profile.Location{l},
			Value: values, Label: map[string][]string{"origin": {origin}}})
	}
	return p
}

// TestGoEvents: the changes between looks, of Go's stacks alone; they begin with the first look.
func TestGoEvents(t *testing.T) {
	g := &goEvents{seen: map[string]bool{}}
	var got []string
	for _, values := range [][]int64{{5, 500, 5, 500}, {5, 500, 5, 500}, {8, 800, 6, 600},
		{8, 800, 0, 0}} {
		if err := g.look(goLook(values...)); err != nil {
			t.Fatal(err)
		}
		for _, line := range g.lines {
			_, rest, _ := strings.Cut(string(line), `"stack":"`)
			if len(rest) < 18 || !json.Valid(line) {
				t.Fatalf("%s", line)
			}
			got = append(got, strings.TrimSpace(rest[16:]))
		}
	}
	want := []string{`","frames":[{"function":"main.go","file":"a.go","line":3}]}`,
		`","alloc_objects":3,"alloc_bytes":300,"free_objects":2,"free_bytes":200}`,
		`","alloc_objects":0,"alloc_bytes":0,"free_objects":6,"free_bytes":600}`}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if err := g.look(&profile.Profile{Sample: goLook(1, 1, 1, 1).Sample}); err == nil {
		t.Error("a profile without the figures is read")
	}
}

// lockedText is written by a command and read by a test.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

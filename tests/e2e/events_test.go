package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// eventLine is a line of cgoheap events.
type eventLine struct {
	Kind         string
	Wall         time.Time
	Mono         int64 `json:"mono_ns"`
	Thread       int
	Address      string
	Size         int64
	Estimated    int64 `json:"estimated_bytes"`
	Stack        string
	Frames       []struct{ Function string }
	Labels       map[string]string
	Cycles       *int64
	Pause        *int64 `json:"pause_ns"`
	AllocBytes   int64  `json:"alloc_bytes"`
	AllocObjects int64  `json:"alloc_objects"`
	Count        int64
	Reason       string
	text         string
}

// eventReader is the command, reading.
type eventReader struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
	errs  bytes.Buffer
	all   []eventLine
}

func readEvents(t *testing.T, h *host, args ...string) *eventReader {
	t.Helper()
	r := &eventReader{t: t, cmd: exec.Command(built(t, "cgoheap"),
		append([]string{"events", fmt.Sprint(h.pid())}, args...)...)}
	r.cmd.Stderr = &r.errs
	out, err := r.cmd.StdoutPipe()
	if err == nil {
		err = r.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.cmd.Process.Kill() })
	r.lines = bufio.NewScanner(out)
	r.lines.Buffer(nil, 8<<20)
	return r
}

// until reads lines up to one for which it is true.
func (r *eventReader) until(isLast func(eventLine) bool) {
	r.t.Helper()
	for r.lines.Scan() {
		e := eventLine{text: r.lines.Text()}
		if err := json.Unmarshal(r.lines.Bytes(), &e); err != nil {
			r.t.Fatalf("%v: %s", err, e.text)
		}
		r.all = append(r.all, e)
		if isLast(e) {
			return
		}
	}
	r.t.Fatalf("the events end: %s", &r.errs)
}

func (r *eventReader) untilKind(kind string) {
	r.t.Helper()
	r.until(func(e eventLine) bool { return e.Kind == kind })
}

// end interrupts it; the rest is read.
func (r *eventReader) end() {
	r.t.Helper()
	r.cmd.Process.Signal(os.Interrupt)
	r.untilKind("end")
	if err := r.cmd.Wait(); err != nil || r.errs.Len() > 0 {
		r.t.Errorf("%v %s", err, &r.errs)
	}
}

// at counts the events of a kind whose stack has the function.
func (r *eventReader) at(kind, function string) (count, bytes int64) {
	has := map[string]bool{}
	for _, e := range r.all {
		for _, f := range e.Frames {
			has[e.Stack] = has[e.Stack] || f.Function == function
		}
		if e.Kind == kind && has[e.Stack] {
			count, bytes = count+1, bytes+e.Size
		}
	}
	return count, bytes
}

// wantInOrder checks each address: it is allocated and freed by turns.
func (r *eventReader) wantInOrder() {
	r.t.Helper()
	held, named := map[string]bool{}, map[string]int{}
	for _, e := range r.all {
		switch e.Kind {
		case "stack":
			named[e.Stack]++
		case "alloc", "free":
			isAlloc := e.Kind == "alloc"
			if was, known := held[e.Address]; known && was == isAlloc {
				r.t.Errorf("%s twice: %s", e.Kind, e.text)
			}
			held[e.Address] = isAlloc
			if named[e.Stack] != 1 {
				r.t.Errorf("its stack was sent %d times: %s", named[e.Stack], e.text)
			}
		}
	}
}

// TestEvents: of a known program every allocation and free is an event, each stack is sent once
// before it, and the lines are what the schema says.
func TestEvents(t *testing.T) {
	for _, version := range outerVersions() {
		b := build{version, "plain"}
		t.Run(b.String(), func(t *testing.T) {
			t.Parallel()
			h := start(t, program(t, "go-driven", b), hostOptions{sampleBytes: 1})
			h.tell("alloc B 10 100") // before: only its frees are events
			r := readEvents(t, h, "--account", "1s")
			r.untilKind("sampling")
			h.tell("alloc A 1000 1000")
			h.tell("free A 400")
			h.tell("free B 10")
			h.tell("alloc C 7 70")
			r.until(func(eventLine) bool { n, _ := r.at("alloc", "main.allocC"); return n == 7 })
			r.end()
			for _, want := range []struct {
				kind, function string
				count, bytes   int64
			}{{"alloc", "main.allocA", 1000, 1000_000}, {"free", "main.allocA", 400, 400_000},
				{"alloc", "main.allocB", 0, 0}, {"free", "main.allocB", 10, 1000},
				{"alloc", "main.allocC", 7, 490}, {"free", "main.allocC", 0, 0}} {
				if n, bytes := r.at(want.kind, want.function); n != want.count ||
					bytes != want.bytes {
					t.Errorf("%s of %s: %d, %d bytes", want.kind, want.function, n, bytes)
				}
			}
			r.wantInOrder()
			r.wantSchema()
			r.wantLokiPush()
			h.wantNothingDropped()
		})
	}
}

func (r *eventReader) wantSchema() {
	r.t.Helper()
	s, kinds := loadSchema(r.t, "events.json"), map[string]int{}
	for _, e := range r.all {
		if kinds[e.Kind]++; kinds[e.Kind] > 20 {
			continue
		}
		var v any
		json.Unmarshal([]byte(e.text), &v)
		path := "events"
		if e.Kind == "account" {
			path = "account" // what the library says may grow without the command
		}
		for _, problem := range s.problems(r.t, path, v) {
			r.t.Errorf("%s: %s", e.Kind, problem)
		}
	}
	for _, kind := range []string{"start", "sampling", "stack", "alloc", "free", "account", "end"} {
		if kinds[kind] == 0 {
			r.t.Errorf("no line of kind %s: %v", kind, kinds)
		}
	}
}

// wantLokiPush makes the body that docs/events.md shows, and checks it as Loki's
// POST /loki/api/v1/push has it: streams of labels, and values of nanoseconds and a line, both
// strings.
func (r *eventReader) wantLokiPush() {
	r.t.Helper()
	var lines strings.Builder
	for _, e := range r.all {
		lines.WriteString(e.text + "\n")
	}
	jq := exec.Command("jq", "-nRc", "--arg", "host", "web-1", "--arg", "job", "cgoheap", "-f",
		filepath.Join(repositoryRoot(), "docs", "fleet", "loki-push.jq"))
	jq.Stdin = strings.NewReader(lines.String())
	body, err := jq.Output()
	if err != nil {
		r.t.Fatal(err)
	}
	var push struct {
		Streams []struct {
			Stream map[string]string
			Values [][2]string
		}
	}
	strict := json.NewDecoder(bytes.NewReader(body))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&push); err != nil || strict.More() {
		r.t.Fatalf("%v: %.200s", err, body)
	}
	label := regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	sent := 0
	for _, s := range push.Streams {
		for name := range s.Stream {
			if !label.MatchString(name) {
				r.t.Errorf("label %q", name)
			}
		}
		if s.Stream["job"] != "cgoheap" || s.Stream["host"] != "web-1" || len(s.Stream) != 3 {
			r.t.Errorf("labels %v", s.Stream)
		}
		for _, v := range s.Values {
			var e eventLine
			if err := json.Unmarshal([]byte(v[1]), &e); err != nil ||
				fmt.Sprint(e.Wall.UnixNano()) != v[0] || e.Kind != s.Stream["kind"] ||
				!strings.Contains(lines.String(), v[1]+"\n") {
				r.t.Fatalf("%v: %v", err, v)
			}
			sent++
		}
	}
	if sent != len(r.all) {
		r.t.Errorf("%d of %d lines", sent, len(r.all))
	}
}

// TestEventsOfGo: collections, and what Go's own heap allocates, by stack.
func TestEventsOfGo(t *testing.T) {
	for _, version := range outerVersions() {
		b := build{version, "plain"}
		t.Run(b.String(), func(t *testing.T) {
			t.Parallel()
			h := start(t, bridgeProgram(t, b), hostOptions{sampleBytes: 1})
			r := readEvents(t, h, "--kinds", "alloc,gc,go")
			r.untilKind("sampling")
			h.tell("gc")
			time.Sleep(3 * time.Second) // the first look of each is where it begins
			h.tell("hold %d", 64<<20)
			h.tell("gc")
			h.tell("gc")
			bytes, cycles := int64(0), int64(0)
			holds := map[string]bool{}
			r.until(func(e eventLine) bool {
				for _, f := range e.Frames {
					holds[e.Stack] = holds[e.Stack] || f.Function == "main.hold"
				}
				if e.Kind == "go" && holds[e.Stack] {
					bytes += e.AllocBytes
				}
				if e.Kind == "gc" && e.Cycles != nil && e.Pause != nil {
					cycles += *e.Cycles
				}
				return bytes >= 64<<20 && cycles >= 2
			})
			if bytes != 64<<20 {
				t.Errorf("main.hold allocated %d bytes", bytes)
			}
			r.end()
		})
	}
}

// TestEventsWithoutReading: a reader that stops loses events and is told how many; the host is as
// quick, answers others, and loses nothing that the profile should have.
func TestEventsWithoutReading(t *testing.T) {
	const rounds, blocks = 20, 5000
	h := start(t, program(t, "go-driven", oneBuild()), hostOptions{sampleBytes: 1})
	conn, err := h.dialOnce()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /v1/events?kinds=alloc,free HTTP/1.1\r\nHost: cgoheap\r\n\r\n")
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, nil)
	if err != nil || response.StatusCode != 200 {
		t.Fatal(err, response)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 8<<20)
	lines.Scan() // the stream has begun
	for i := 0; i < rounds; i++ {
		h.tell("alloc A %d 64", blocks)
		h.tell("free A %d", blocks)
	}
	if f := sum(h.profile(""), "main.allocA"); f != (figures{rounds * blocks,
		rounds * blocks * 64, 0, 0}) {
		t.Errorf("the profile has %+v", f)
	}
	h.wantNothingDropped()
	conn.(interface{ CloseWrite() error }).CloseWrite()
	r := &eventReader{t: t, lines: lines}
	r.untilKind("end")
	lost, got := int64(0), int64(0)
	for _, e := range r.all {
		switch e.Kind {
		case "lost":
			lost += e.Count
		case "alloc", "free":
			got++
		}
	}
	// Go's runtime and the program's own buffers allocate a little besides.
	if total := got + lost; lost == 0 || got == 0 || total < 2*rounds*blocks ||
		total > 2*rounds*blocks+1000 {
		t.Errorf("%d events, %d lost", got, lost)
	}
}

package series

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 30, 6, 0, 0, 0, time.UTC)

const second = int64(time.Second)

var header = Header{Host: "h", Program: "svc", PID: 42, Wall: start, MonoNS: 5 * second,
	Interval: time.Second, Version: "0.1.0"}

// record writes a header and n samples, and returns the file's lines.
func record(t *testing.T, path string, h Header, n int) []string {
	t.Helper()
	w, err := Create(path, h)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		r := Row{Wall: h.Wall.Add(time.Duration(i) * time.Second),
			MonoNS: h.MonoNS + int64(i)*second}
		r.Set(RSS, float64(1<<30+i))
		if i%10 == 0 {
			r.Set(CLive, 7)
		}
		if err := w.Row(&r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return linesOf(t, path)
}

func linesOf(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
}

func read(t *testing.T, path string) *Recording {
	t.Helper()
	r, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	w, err := Create(path, header)
	if err != nil {
		t.Fatal(err)
	}
	row := Row{Wall: start.Add(time.Second), MonoNS: 6 * second}
	for name, value := range map[string]float64{
		RSS: 1 << 40, GCCPU: 0.25, "x.qps": -1.5e-7, "nan": math.NaN(), "inf": math.Inf(1),
		"huge": 1e308, "deep": -1e308} {
		row.Set(name, value)
	}
	event := Event{Wall: start, MonoNS: 7 * second, Kind: EventAlert, Rule: "c_leak",
		State: "firing", Text: "a\nb <c> \x1b[0m"}
	if err := errors.Join(w.Row(&row), w.Event(&event), w.Close()); err != nil {
		t.Fatal(err)
	}
	want := `{"schema":"cgoheap.watch/1","host":"h","program":"svc","pid":42,` +
		`"wall":"2026-11-30T06:00:00.000Z","mono_ns":5000000000,"interval_ns":1000000000,` +
		`"version":"0.1.0"}` + "\n" +
		`{"wall":"2026-11-30T06:00:01.000Z","mono_ns":6000000000,` +
		`"values":{"gc_cpu_ratio":0.25,"rss_bytes":1099511627776,"x.qps":-1.5e-7}}` + "\n" +
		`{"wall":"2026-11-30T06:00:00.000Z","mono_ns":7000000000,"event":{"kind":"alert",` +
		`"rule":"c_leak","state":"firing","text":"a\nb <c> \u001b[0m"}}`
	if got := strings.Join(linesOf(t, path), ""); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	got := read(t, path)
	if got.Header != header || got.Ends != "" || !reflect.DeepEqual(got.Rows, []Row{row}) ||
		!reflect.DeepEqual(got.Events, []Event{event}) {
		t.Errorf("%+v", got)
	}
	if len(row.Values) != 3 {
		t.Errorf("%v has what no figure can be", row.Values)
	}
}

// A figure whose JSON has an exponent ("1e+21") is read again.
func TestEveryNumberIsReadAgain(t *testing.T) {
	for _, v := range []float64{0, 1, -1, 1e21, 1e-9, 1 << 62, -maxValue, math.Pi} {
		r := Row{Wall: start, MonoNS: 1}
		r.Set("x.a", v)
		l := r.line()
		text, err := l.text()
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseLine(text)
		if err != nil || *back.Values["x.a"] != v {
			t.Errorf("%g: %s %v", v, text, err)
		}
	}
}

// Wherever the file is cut, all whole lines before count.
func TestCutOffAtEachByte(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	text := []byte(strings.Join(record(t, path, header, 4), ""))
	head := bytes.IndexByte(text, '\n')
	for size := range len(text) {
		r, err := Read(bytes.NewReader(text[:size]))
		if size < head {
			if !errors.Is(err, ErrNotRecording) {
				t.Fatalf("cut at %d: %v", size, err)
			}
			continue
		}
		whole := bytes.Count(text[:size], []byte("\n")) - 1
		if size == head || text[size-1] != '\n' && text[size] == '\n' {
			whole++ // the line is there, its end is not
		}
		if err != nil || len(r.Rows) != whole {
			t.Fatalf("cut at %d: %d rows, want %d, %v", size, len(r.Rows), whole, err)
		}
		isCut := size > head+1 && text[size-1] != '\n' && text[size] != '\n'
		if (r.Ends != "") != isCut {
			t.Fatalf("cut at %d it says %q", size, r.Ends)
		}
	}
}

func TestEdited(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	lines := record(t, path, header, 3)
	good := strings.Join(lines[:3], "")
	sample := func(values string) string {
		return `{"wall":"2026-11-30T06:00:09Z","mono_ns":9000000000,` + values + "}\n"
	}
	for text, ends := range map[string]string{
		"nonsense\n": "line 4 is not a line of a recording: " +
			"invalid character 'o' in literal null (expecting 'u')",
		"[]\n": "line 4 is not a line of a recording: " +
			"json: cannot unmarshal array into Go value of type series.line",
		"\x1b[2J\n": "line 4 is not a line of a recording: " +
			`invalid character '\x1b' looking for beginning of value`,
		"{}\n":                                   `line 4 has no time in "wall"`,
		`{"wall":"2026-11-30T06:00:09Z"}` + "\n": `line 4 has no time in "mono_ns"`,
		`{"wall":"x","mono_ns":9}` + "\n":        `line 4 has no time in "wall"`,
		`{"wall":"2026-11-30T06:00:09Z","mono_ns":1}` + "\n": "line 4 is older " +
			"than the line before it",
		`{"wall":"2026-11-30T06:00:09Z","mono_ns":-1}` + "\n": `line 4 has no time in "mono_ns"`,
		sample(`"values":{"rss_bytes":-5}`):                   "line 4 says that rss_bytes is -5",
		sample(`"values":{"rss_bytes":1e300}`): "line 4 says that " +
			"rss_bytes is 1e+300",
		sample(`"schema":"cgoheap.watch/2"`): "line 4 has the schema " +
			`"cgoheap.watch/2", not cgoheap.watch/1`,
		strings.Repeat("a", maxLineBytes+1):   "line 4 is longer than 4.0 MiB",
		sample(`"values":{"rss_bytes":null}`): "",
		sample(`"values":{"later_figure":1}`): "",
		sample(`"later":[1]`):                 "",
		"\n \n":                               "",
	} {
		r, err := Read(strings.NewReader(good + text + sample(`"values":{"rss_bytes":1}`)))
		if err != nil {
			t.Fatal(err)
		}
		if ends != "" {
			ends += ": what comes after it is left out"
		}
		if r.Ends != ends {
			t.Errorf("%.60q: %s\nwant %s", text, r.Ends, ends)
		}
		if last := r.Rows[len(r.Rows)-1].Values; (last[RSS] == 1) != (ends == "") {
			t.Errorf("%.60q: %v is the last row", text, last)
		}
	}
	for _, text := range []string{"", "\n", "{}", "PK\x03\x04", "{\"schema\":\"cgoheap.top/1\"}",
		lines[1], strings.Repeat("x", maxLineBytes+1)} {
		if _, err := Read(strings.NewReader(text)); !errors.Is(err, ErrNotRecording) {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}

// A wall clock that jumps changes nothing: MonoNS counts.
func TestWallClockJumps(t *testing.T) {
	var text bytes.Buffer
	l := header.line()
	head, _ := l.text()
	text.Write(head)
	for i, wall := range []time.Duration{0, time.Hour, -time.Hour, time.Second} {
		r := Row{Wall: start.Add(wall), MonoNS: header.MonoNS + int64(i)*second}
		r.Set(RSS, 1)
		l := r.line()
		body, _ := l.text()
		text.Write(body)
	}
	r, err := Read(&text)
	if err != nil || len(r.Rows) != 4 || r.Ends != "" {
		t.Fatalf("%+v %v", r, err)
	}
	seconds, _ := Points(r.Rows, RSS)
	if !slices.Equal(seconds, []float64{5, 6, 7, 8}) {
		t.Errorf("%v", seconds)
	}
}

// A later watch goes on in the same file, after a cut line, a reboot or in another process.
func TestContinued(t *testing.T) {
	for why, c := range map[string]struct {
		change func(h *Header)
		tail   string
		kind   string
		text   string
		gap    int64 // seconds after the last row
	}{
		"the same process": {func(h *Header) { h.MonoNS += 60 * second }, "",
			EventGap, "not watched for 58s", 58},
		"after a cut": {func(h *Header) { h.MonoNS += 60 * second },
			`{"wall":"2026-11-`, EventGap, "not watched for 58s", 58},
		"another process": {func(h *Header) { h.MonoNS += 60 * second; h.PID = 43 },
			"", EventRestart, "not watched for 58s; from here on it is svc (43) on h", 58},
		"after a reboot": {func(h *Header) { h.MonoNS = second; h.Wall = h.Wall.Add(time.Hour) },
			"", EventGap, "not watched for 59m58s", 3598},
		"both clocks back": {func(h *Header) { h.MonoNS = second; h.Wall = h.Wall.Add(-time.Hour) },
			"", EventGap, "not watched for 0s", 0},
		"another machine": {func(h *Header) {
			h.Host, h.MonoNS, h.Wall = "i", h.MonoNS*1000, h.Wall.Add(time.Hour)
		}, "", EventRestart, "not watched for 59m58s; from here on it is svc (42) on i", 3598},
	} {
		path := filepath.Join(t.TempDir(), "a.jsonl")
		record(t, path, header, 3)
		f, _ := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		_, _ = f.WriteString(c.tail)
		f.Close()
		later := header
		c.change(&later)
		record(t, path, later, 2)
		r := read(t, path)
		if r.Ends != "" || len(r.Rows) != 5 || len(r.Events) != 1 {
			t.Fatalf("%s: %+v", why, r)
		}
		e := r.Events[0]
		if e.Kind != c.kind || e.Text != c.text {
			t.Errorf("%s: %+v", why, e)
		}
		if gap := (r.Rows[3].MonoNS - r.Rows[2].MonoNS) / second; gap != c.gap {
			t.Errorf("%s: %d seconds between the parts, want %d", why, gap, c.gap)
		}
	}
}

func TestCreateLeavesOtherFilesAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.jsonl")
	lines := record(t, path, header, 2)
	busy, err := Create(filepath.Join(dir, "busy"), header)
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for name, c := range map[string]struct{ text, want string }{
		"other":  {"hello\nworld", "it exists and is not a recording: name another file"},
		"noend":  {"hello", "it exists and is not a recording: name another file"},
		"broken": {lines[0] + "x\n", "it exists, and line 2 is not a line of a recording"},
		"busy":   {"", "another cgoheap is writing to it: name another file"},
		".":      {"", "is a directory"},
		"no/no":  {"", "no such file or directory"},
	} {
		path := filepath.Join(dir, name)
		if c.text != "" {
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Create(path, header)
		if err == nil || !strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if now, err := os.ReadFile(path); c.text != "" && string(now) != c.text {
			t.Errorf("%s was changed to %q, %v", name, now, err)
		}
	}
}

// A disk that is full takes no line or a part of one; the file stays a recording.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root mounts a small disk")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8k"); err != nil {
		t.Skip("no tmpfs here:", err)
	}
	defer syscall.Unmount(dir, 0)
	path := filepath.Join(dir, "a.jsonl")
	w, err := Create(path, header)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	written := 0
	for ; err == nil; written++ {
		r := Row{Wall: start, MonoNS: header.MonoNS}
		r.Set(RSS, 1)
		err = w.Row(&r)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if r := read(t, path); r.Ends != "" || len(r.Rows) != written-1 {
		t.Errorf("%d rows of %d, %s", len(r.Rows), written-1, r.Ends)
	}
}

func TestNames(t *testing.T) {
	for word, want := range map[string]string{"c_live": CLive, "c_live_bytes": CLive,
		"threads": Threads, "gc_pause": GCPause, "gc_cpu": GCCPU, "x.qps": "x.qps",
		"owner_go_heap": "owner_go_heap_bytes", "nothing": "", "x.": "", "": "", "owner_": ""} {
		if f, ok := Resolve(word); f.Name != want || ok != (want != "") {
			t.Errorf("%q is %+v, want %s", word, f, want)
		}
	}
	if f := About("owner_c_live_bytes"); f.Label != "C live resident" || f.Unit != Bytes {
		t.Errorf("%+v", f)
	}
	if f := About("x.\x1b[0m"); f.Label != `\x1b[0m` {
		t.Errorf("%+v", f)
	}
	rows := []Row{{Values: map[string]float64{"x.b": 1, CLive: 1}},
		{Values: map[string]float64{"x.a": 1, RSS: 1}}}
	if got := fmt.Sprint(Names(rows)); got != "[rss_bytes c_live_bytes x.a x.b]" {
		t.Error(got)
	}
}

func TestText(t *testing.T) {
	for want, c := range map[string]struct {
		unit Unit
		v    float64
	}{"1.5 KiB": {Bytes, 1536}, "-1.0 KiB": {Bytes, -1024}, "1,204": {Count, 1204},
		"0.5": {Count, 0.5}, "1.2 %": {Percent, 1.234}, "12.0 %": {Ratio, 0.12},
		"3ms": {Nanoseconds, 3.2e6}, "2m": {Nanoseconds, 120e9}, "0.1235": {Plain, 0.12345},
		"12,346": {Plain, 12345.6}, "1e+300": {Plain, 1e300}, "4.0 EiB": {Bytes, 1e300}} {
		if got := Text(c.unit, c.v); got != want {
			t.Errorf("%s %g: %s, want %s", c.unit, c.v, got, want)
		}
	}
}

// A file with another name in each line would take hours to judge.
func TestMoreFiguresThanAnyRecordingHas(t *testing.T) {
	var text bytes.Buffer
	write := func(l Line) {
		if err := WriteLine(&text, l); err != nil {
			t.Fatal(err)
		}
	}
	write(&header)
	for i := range maxNames + 10 {
		r := Row{Wall: start, MonoNS: header.MonoNS + int64(i)}
		r.Set(fmt.Sprintf("x.%d", i), 1)
		write(&r)
	}
	r, err := Read(&text)
	if err != nil || len(r.Rows) != maxNames ||
		!strings.Contains(r.Ends, "line 4098 makes it more than 4096 figures") {
		t.Errorf("%d rows, %q, %v", len(r.Rows), r.Ends, err)
	}
}

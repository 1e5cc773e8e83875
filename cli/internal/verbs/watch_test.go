package verbs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cgoheap.example/cli/internal/fakeshim"
	"cgoheap.example/cli/internal/series"
)

// recorded writes a recording of so many seconds, one sample a second.
func recorded(t *testing.T, seconds int, fill func(second int, r *series.Row)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.jsonl")
	begin := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	w, err := series.Create(path, series.Header{Host: "h", Program: "svc", PID: 42, Wall: begin,
		MonoNS: 1e9, Interval: time.Second, Version: "0.1.0"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for i := range seconds {
		r := series.Row{Wall: begin.Add(time.Duration(i) * time.Second), MonoNS: int64(i+1) * 1e9}
		fill(i, &r)
		if err := w.Row(&r); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// leaky: C live grows by 6 MiB a minute below a limit, the rest is level.
func leaky(i int, r *series.Row) {
	live := float64(100<<20) + float64(i)*float64(6<<20)/60
	r.Set(series.RSS, live+float64(60<<20))
	r.Set(series.RSSAnon, live+float64(40<<20))
	r.Set(series.RSSFile, float64(20<<20))
	r.Set(series.CgroupUsage, live+float64(60<<20))
	r.Set(series.CgroupLimit, float64(1<<30))
	r.Set(series.Threads, 9)
	if i%4 == 0 {
		r.Set(series.CLive, live)
		r.Set(series.OwnerName("c_live"), live)
		r.Set(series.GoInUse, float64(30<<20))
		r.Set(series.SampleBytes, 524288)
	}
}

func level(i int, r *series.Row) {
	leaky(0, r)
	r.Set(series.RSS, float64(160<<20)+float64(1<<20)*math.Sin(float64(i)))
}

func TestWatchReplayOnce(t *testing.T) {
	path := recorded(t, 900, leaky)
	r := cgoheap(t, "watch", "--replay", path, "--once")
	for _, want := range []string{"svc (42) on h  2026-11-30 12:14:59\n", "\nRSS  ", "▁▂",
		"+6.0 MiB/min (6.0 MiB to 6.0 MiB)", "\nthreads  ", "0/min",
		"the limit is reached in"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q in\n%s", want, r.out)
		}
	}
	if r.code != 0 || r.err != "" || strings.Contains(r.out, "owner") {
		t.Errorf("%d %s\n%s", r.code, r.err, r.out)
	}
}

func TestWatchReplayJSON(t *testing.T) {
	path := recorded(t, 900, leaky)
	var d struct {
		Schema  string
		PID     int
		Values  map[string]*float64
		Figures map[string]struct {
			Value  *float64
			AgeNS  *int64   `json:"age_ns"`
			Minute *float64 `json:"per_minute"`
		}
		Causes   []struct{ Rule, Text string }
		Forecast *string
	}
	r := cgoheap(t, "watch", "--replay", path, "--once", "--json")
	if err := json.Unmarshal([]byte(r.out), &d); err != nil || r.code != 0 {
		t.Fatal(r.code, err, r.out)
	}
	live := d.Figures[series.CLive]
	if d.Schema != "cgoheap.watch/1" || d.PID != 42 || d.Values[series.CLive] != nil ||
		live.Value == nil || *live.AgeNS != 3e9 || math.Abs(*live.Minute-6<<20) > 1<<16 {
		t.Errorf("%s", r.out)
	}
	if v, there := d.Values[series.Goroutines]; v != nil || !there {
		t.Error("what is not known is not null")
	}
	if len(d.Causes) == 0 || d.Causes[0].Rule != "c_leak" || d.Forecast == nil {
		t.Errorf("%+v", d.Causes)
	}
	// Without --once it is the recording again, with the alerts.
	r = cgoheap(t, "watch", "--replay", path, "--json")
	again := filepath.Join(t.TempDir(), "b.jsonl")
	if err := os.WriteFile(again, []byte(r.out), 0o600); err != nil {
		t.Fatal(err)
	}
	back, err := series.ReadFile(again)
	if err != nil || len(back.Rows) != 900 || back.Ends != "" ||
		!slices.ContainsFunc(back.Events, func(e series.Event) bool {
			return e.Rule == "c_leak" && e.State == "firing"
		}) {
		t.Errorf("%v %+v", err, back.Events)
	}
}

func TestWatchReplayLines(t *testing.T) {
	path := recorded(t, 3, leaky)
	cgoheap(t, "watch", "--replay", path).want(t, 0,
		`TIME            RSS       ANON     C LIVE  GO IN USE    THREADS     CGROUP
12:00:00  160.0 MiB  140.0 MiB  100.0 MiB   30.0 MiB          9  160.0 MiB
12:00:01  160.1 MiB  140.1 MiB          -          -          9  160.1 MiB
12:00:02  160.2 MiB  140.2 MiB          -          -          9  160.2 MiB
`, "")
}

func TestWatchReplayBadInput(t *testing.T) {
	dir := t.TempDir()
	path := recorded(t, 3, leaky)
	text, _ := os.ReadFile(path)
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cut := put("cut", string(text[:len(text)-5]))
	r := cgoheap(t, "watch", "--replay", cut)
	if r.code != 0 || strings.Count(r.out, "12:00:0") != 2 || r.err != "cgoheap: "+cut+
		": line 4 is not a line of a recording: unexpected end of JSON input: "+
		"what comes after it is left out\n" {
		t.Errorf("%d %q\n%s", r.code, r.err, r.out)
	}
	for path, want := range map[string]string{
		put("other", "hello"): "is neither a recording of cgoheap watch nor one of the flight " +
			"recorder: it is not a cgoheap recording",
		put("header", strings.SplitAfter(string(text), "\n")[0]): "has no samples",
		dir + "/none": "no such file or directory",
		dir:           "is not a file",
	} {
		r := cgoheap(t, "watch", "--replay", path)
		if r.code != 1 || strings.Count(r.err, "\n") != 1 || !strings.Contains(r.err, want) {
			t.Errorf("%s: %d %q, want %q", path, r.code, r.err, want)
		}
	}
}

// The flight recorder's ring in the same view.
func TestWatchReplaysTheRing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "1.cgoheap")
	if err := os.WriteFile(path, fakeshim.Recording(), 0o600); err != nil {
		t.Fatal(err)
	}
	r := cgoheap(t, "watch", "--replay", path, "--once")
	if r.code != 0 || !strings.Contains(r.out, "(4242)") || !strings.Contains(r.out, "\nRSS ") {
		t.Errorf("%d %s%s", r.code, r.out, r.err)
	}
}

func TestWatchFailOn(t *testing.T) {
	growing, steady := recorded(t, 400, leaky), recorded(t, 400, level)
	short := recorded(t, 3, leaky)
	for _, c := range []struct {
		path, condition string
		code            int
		err             string
	}{
		{growing, "c_live>1MiB/min", 1, "C live grows by 6.0 MiB/min (6.0 MiB to 6.0 MiB), " +
			"and --fail-on says 'c_live>1MiB/min'"},
		{growing, "c_live>300MiB/h", 1, "C live grows by 360.0 MiB/h"},
		{growing, "c_live>7MiB/min", 0, ""},
		{steady, "rss>1KiB/min", 0, ""},
		{steady, "rss>100MiB", 1, "RSS is 160."},
		{steady, "rss>162MiB", 0, ""},
		{short, "c_live>1MiB/min", 1, "--fail-on 'c_live>1MiB/min' could not be judged: " +
			"C live has too few values in 2s"},
		{recorded(t, 2, level), "rss>162MiB", 1, "RSS has too few values in 1s"},
		{recorded(t, 3, level), "rss>162MiB", 0, ""},
		{steady, "goroutines>5", 1, "--fail-on 'goroutines>5' could not be judged: " +
			"goroutines was never known"},
		{steady, "x.qps>5", 1, "could not be judged: qps was never known"},
		{steady, "nonsense>5", 2, `invalid --fail-on "nonsense>5": expected a figure before the >`},
	} {
		for _, once := range []string{"--once", "--json"} {
			r := cgoheap(t, "watch", "--replay", c.path, "--fail-on", c.condition, once)
			if r.code != c.code || !strings.Contains(r.err, c.err) || c.err == "" && r.err != "" {
				t.Errorf("%s %s: %d %q", c.condition, once, r.code, r.err)
			}
		}
	}
}

func TestWatchAlerts(t *testing.T) {
	path := recorded(t, 900, leaky)
	out := filepath.Join(t.TempDir(), "alerts")
	r := cgoheap(t, "watch", "--replay", path, "--on-alert",
		"echo $CGOHEAP_ALERT_STATE $CGOHEAP_ALERT_RULE $CGOHEAP_ALERT_PROGRAM >>"+out+
			"; cat >"+out+".json")
	text, _ := os.ReadFile(out)
	if got := string(text); strings.Count(got, "firing c_leak svc\n") != 1 || r.code != 0 {
		t.Errorf("%d %q %s", r.code, got, r.err)
	}
	var d struct {
		Schema, State, Rule, Text string
		Before, After             []struct{ Values map[string]float64 }
	}
	text, _ = os.ReadFile(out + ".json")
	if err := json.Unmarshal(text, &d); err != nil || d.Schema != "cgoheap.alert/1" ||
		len(d.Before) < 100 || len(d.After) != 0 || d.Before[50].Values[series.RSS] == 0 {
		t.Errorf("%v %.200s", err, text)
	}
	if !strings.Contains(r.out, "  alert c_leak firing: C live ") {
		t.Errorf("no alert in its lines")
	}
}

func TestWatchUsage(t *testing.T) {
	for args, want := range map[string]string{
		"--metrics h:1 1":              "--metrics needs --metric NAME after it",
		"--metric up 1":                `invalid --metric "up": expected --metrics URL before it`,
		"--replay a 1":                 "--replay shows a file: leave out 1",
		"--replay a --record b":        "--replay shows a file, and takes no samples",
		"--once --for 5m 1":            "--once takes one sample",
		"--interval 1ms 1":             `invalid --interval "1ms": expected a time from 100ms`,
		"--webhook x 1":                `invalid --webhook "x": expected a URL`,
		"--csv :time=x 1":              `invalid --csv ":time=x": expected FILE`,
		"--url unix:///x 1":            `invalid --url "unix:///x": expected a URL`,
		"--fail-on c_live>1MiB/week 1": "expected s, min, h or day after the /",
	} {
		r := cgoheap(t, append([]string{"watch"}, strings.Fields(args)...)...)
		if r.code != 2 || !strings.Contains(r.err, want) || strings.Count(r.err, "\n") != 1 {
			t.Errorf("%s: %d %q, want %q", args, r.code, r.err, want)
		}
	}
	self := fmt.Sprint(os.Getpid())
	for args, want := range map[string]string{
		"999999999":  "process 999999999 does not exist",
		"no-program": "no process",
		self + " --record /nonexistent/a": "cannot write to /nonexistent/a (no such file or " +
			"directory): name another file with --record",
		self + " --record /":         "is a directory",
		self + " --csv /nonexistent": "cannot read /nonexistent: no such file",
		self + " --fail-on c_live>1MiB/min": "--fail-on 'c_live>1MiB/min' cannot be judged: " +
			"process",
	} {
		r := cgoheap(t, append([]string{"watch"}, strings.Fields(args)...)...)
		if r.code != 1 || !strings.Contains(r.err, want) || strings.Count(r.err, "\n") != 1 {
			t.Errorf("%s: %d %q, want %q", args, r.code, r.err, want)
		}
	}
}

// A process without the library: /proc and the cgroup.
func TestWatchWithoutLibrary(t *testing.T) {
	r := cgoheap(t, "watch", fmt.Sprint(os.Getpid()), "--once")
	if r.code != 0 || !strings.Contains(r.out, "\nRSS ") || strings.Contains(r.out, "C live") ||
		!strings.Contains(r.out, "does not have cgoheap loaded: C memory is not known") {
		t.Errorf("%d %s%s", r.code, r.out, r.err)
	}
}

func TestWatchRecords(t *testing.T) {
	s := startShim(t, "serve")
	path := filepath.Join(t.TempDir(), "a.jsonl")
	r := cgoheap(t, "watch", s.arg(), "--interval", "100ms", "--for", "1s", "--record", path)
	if r.code != 0 || r.err != "" || strings.Count(r.out, "\n") < 4 {
		t.Errorf("%d %s%s", r.code, r.out, r.err)
	}
	back, err := series.ReadFile(path)
	if err != nil || back.Ends != "" || len(back.Rows) < 4 || back.Header.PID != s.pid {
		t.Fatalf("%v %+v", err, back)
	}
	live := 0
	for i := range back.Rows {
		if _, known := back.Rows[i].Value(series.CLive); known {
			live++
		}
	}
	if live == 0 || live == len(back.Rows) { // the fake account says that it costs much
		t.Errorf("%d of %d rows have the account", live, len(back.Rows))
	}
}

func TestWatchFullDisk(t *testing.T) {
	dir := t.TempDir()
	if os.Geteuid() != 0 || syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4k") != nil {
		t.Skip("no small disk can be mounted here")
	}
	defer syscall.Unmount(dir, 0)
	path := filepath.Join(dir, "a.jsonl")
	r := cgoheap(t, "watch", fmt.Sprint(os.Getpid()), "--interval", "100ms", "--for", "3s",
		"--record", path)
	note := regexp.MustCompile(`note: the recording \S+ ends here ` +
		`\(no space left on device\); the watch goes on\n`)
	at := note.FindStringIndex(r.out)
	if r.code != 0 || at == nil || strings.Count(r.out[at[1]:], "\n") < 3 ||
		len(note.FindAllString(r.out, -1)) != 1 {
		t.Errorf("%d %s%s", r.code, r.out, r.err)
	}
	if back, err := series.ReadFile(path); err != nil || back.Ends != "" || len(back.Rows) == 0 {
		t.Errorf("%v %+v", err, back)
	}
}

func TestWatchProcessEnds(t *testing.T) {
	s := startShim(t, "serve")
	c := command(nil, "watch", s.arg(), "--interval", "100ms")
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.StdoutPipe()
	check0(errors.Join(err, c.Start()))
	readUntil(t, out, "\n")
	s.kill()
	io.Copy(io.Discard, out)
	c.Wait()
	want := fmt.Sprintf("cgoheap: process %d has ended\n", s.pid)
	if code := c.ProcessState.ExitCode(); code != 0 || errs.String() != want {
		t.Errorf("%d %q", code, &errs)
	}
}

func TestWatchLive(t *testing.T) {
	s := startShim(t, "serve")
	term := openTerminal(t, 20, 8, "watch", "--interval", "100ms", s.arg())
	frame := func() string {
		return strings.ReplaceAll(readUntil(t, term.master, endOfFrame), "\r\r\n", "\r\n")
	}
	first := frame()
	if !strings.HasPrefix(first, enterScreen) {
		t.Errorf("%q", first)
	}
	var text string
	for !strings.Contains(text, "C live") {
		io.WriteString(term.master, "j") // the table is longer than the screen
		text = frame()
		checkFrame(t, text, 20, 8)
	}
	term.resize(t, 90, 30)
	for !strings.Contains(text, "/min (") {
		text = frame()
	}
	checkFrame(t, text, 90, 30)
	io.WriteString(term.master, "q")
	rest, code := term.end(t)
	if code != 0 || !strings.Contains(rest, leaveScreen) {
		t.Errorf("exit code %d, %q", code, rest)
	}
}

// Keys go through a recording; at each place only what was known then is shown.
func TestWatchReplayLive(t *testing.T) {
	term := openTerminal(t, 100, 20, "watch", "--replay", recorded(t, 900, leaky))
	frame := func() string { return readUntil(t, term.master, endOfFrame) }
	if text := frame(); !strings.Contains(text, "900/900") || !strings.Contains(text, "C live") ||
		!strings.Contains(text, "12:14:59") {
		t.Errorf("%q", text)
	}
	for _, move := range []struct{ key, want string }{{"0", "1/900"}, {"$", "900/900"}} {
		io.WriteString(term.master, move.key)
		if text := frame(); !strings.Contains(text, move.want) {
			t.Errorf("%s: %q", move.key, text)
		}
	}
	io.WriteString(term.master, "hq")
	rest, code := term.end(t)
	if code != 0 || !strings.Contains(rest, "885/900") {
		t.Errorf("exit code %d, %q", code, rest)
	}
}

// Hostile names in a recording do nothing to the terminal.
func TestWatchHostileRecording(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	text := `{"schema":"cgoheap.watch/1","host":"\u001b[2J","program":"\u001b]0;x\u0007","pid":1,` +
		`"wall":"2026-11-30T12:00:00Z","mono_ns":1}` + "\n" +
		`{"wall":"2026-11-30T12:00:00Z","mono_ns":2,"values":` +
		`{"x.\u001b[31m":1e308,"rss_bytes":4}}` + "\n" + `{"wall":"2026-11-30T12:00:00Z",` +
		`"mono_ns":2,"event":{"kind":"\u001b[A","text":"\r\u009b"}}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, how := range [][]string{{"--once"}, {}} {
		r := cgoheap(t, append([]string{"watch", "--replay", path}, how...)...)
		if r.code != 0 || strings.ContainsAny(r.out+r.err, "\x1b\x07\r\u009b") {
			t.Errorf("%d %q %q", r.code, r.out, r.err)
		}
	}
}

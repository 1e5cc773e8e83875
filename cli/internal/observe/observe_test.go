package observe

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/series"
)

func TestStatus(t *testing.T) {
	var r series.Row
	text := "Name:\tVmRSS: 5 kB\nState:\tS (sleeping)\nVmSize:\t  200 kB\nVmRSS:\t 100 kB\n" +
		"RssAnon:\tx kB\nVmSwap:\t0 kB\nThreads:\t7\n"
	if !readStatus([]byte(text), &r) {
		t.Error("it is not alive")
	}
	want := values{series.VMSize: 200 << 10, series.RSS: 100 << 10, series.Swap: 0,
		series.Threads: 7}
	if fmt.Sprint(r.Values) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", r.Values, want)
	}
	if readStatus([]byte("State:\tZ (zombie)\n"), &r) {
		t.Error("a zombie is alive")
	}
}

func TestClocks(t *testing.T) {
	const s = int64(time.Second)
	const late = "no samples for 1m: the machine was busy, or this watch was stopped"
	last := Instant{noon, 100 * s, 100 * s}
	for why, c := range map[string]struct {
		wall       time.Duration
		mono, boot int64
		want       string
	}{
		"nothing":      {time.Second, s, s, ""},
		"an NTP step":  {time.Second + 500*time.Millisecond, s, s, ""},
		"forward":      {time.Hour, s, s, "the wall clock was set forward by 59m59s"},
		"back":         {-time.Hour, s, s, "the wall clock was set back by 1h00m1s"},
		"suspended":    {time.Hour + time.Second, s, 3601 * s, "the machine was suspended for 1h"},
		"late":         {time.Minute, 60 * s, 60 * s, late},
		"a bit late":   {2 * time.Second, 2 * s, 2 * s, ""},
		"late and set": {0, 60 * s, 60 * s, "the wall clock was set back by 1m; " + late},
	} {
		now := Instant{last.Wall.Add(c.wall), last.Mono + c.mono, last.Boot + c.boot}
		var texts []string
		for _, e := range jumps(last, now, time.Second) {
			if e.Kind != series.EventGap || e.MonoNS != now.Mono {
				t.Errorf("%s: %+v", why, e)
			}
			texts = append(texts, e.Text)
		}
		got := strings.Join(texts, "; ")
		if strings.ReplaceAll(got, "1h00m1s", "1h") != strings.ReplaceAll(c.want, "1h00m1s", "1h") {
			t.Errorf("%s: %q, want %q", why, got, c.want)
		}
	}
}

// put writes files below a directory that plays the mounted hierarchy.
func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err == nil {
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestCgroup(t *testing.T) {
	const none = "9223372036854771712\n"
	for why, c := range map[string]struct {
		membership, kind, root string
		files                  map[string]string
		want                   values // nil: no cgroup
	}{
		"v2": {"0::/a/b\n", "cgroup2 cgroup2 rw", "/", map[string]string{
			"a/b/memory.current": "100\n", "a/b/memory.max": "max\n",
			"a/memory.current": "700", "a/memory.max": "1000\n",
			"a/b/memory.pressure": "some avg10=1.50 avg60=0 avg300=0 total=1\n" +
				"full avg10=0.25 avg60=0 avg300=0 total=1\n"},
			values{series.CgroupUsage: 700, series.CgroupLimit: 1000,
				series.CgroupPressureSome: 1.5, series.CgroupPressureFull: 0.25}},
		"v2 without a limit": {"0::/a\n", "cgroup2 cgroup2 rw", "/",
			map[string]string{"a/memory.current": "0\n", "a/memory.max": "max\n"},
			values{series.CgroupUsage: 0}},
		"v1": {"9:cpu,memory:/a\n0::/\n", "cgroup cgroup rw,memory", "/", map[string]string{
			"a/memory.usage_in_bytes": "5\n", "a/memory.limit_in_bytes": "10\n",
			"memory.usage_in_bytes": "6\n", "memory.limit_in_bytes": none},
			values{series.CgroupUsage: 5, series.CgroupLimit: 10}},
		"v1 in a container": {"3:memory:/docker/c\n", "cgroup cgroup rw,memory", "/docker/c",
			map[string]string{"memory.usage_in_bytes": "5\n", "memory.limit_in_bytes": none},
			values{series.CgroupUsage: 5}},
		"outside of the mount": {"3:memory:/other\n", "cgroup cgroup rw,memory", "/docker/c",
			map[string]string{"memory.usage_in_bytes": "5\n"}, nil},
		"above the namespace": {"0::/../x\n", "cgroup2 cgroup2 rw", "/",
			map[string]string{"memory.current": "5\n"}, nil},
		"damaged": {"0::/a\n", "cgroup2 cgroup2 rw", "/", map[string]string{
			"a/memory.current": "x", "a/memory.max": "-5",
			"a/memory.pressure": "some\nfull avg10=y\n"},
			values{}},
		"none": {"", "ext4 /dev/sda rw", "/", nil, nil},
	} {
		dir := filepath.Join(t.TempDir(), "with space")
		put(t, dir, c.files)
		mountinfo := "30 20 0:1 / /proc rw - proc proc rw\n31 20 0:26 " + c.root + " " +
			strings.ReplaceAll(dir, " ", `\040`) + " rw shared:4 - " + c.kind + "\n"
		g := findCgroup(c.membership, mountinfo)
		if (g == nil) != (c.want == nil) {
			t.Errorf("%s: %+v", why, g)
			continue
		}
		var r series.Row
		if g != nil {
			g.read(&r)
		}
		if fmt.Sprint(r.Values) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, want %v", why, r.Values, c.want)
		}
	}
}

const goStats = "heap profile: 0: 0 [0: 0] @ heap/1048576\n\n# runtime.MemStats\n" +
	"# HeapInuse = 100\n# HeapReleased = 20\n# NextGC = 300\n# NumGC = %d\n# PauseNs = [%s]\n" +
	"# GCCPUFraction = 0.25\n"

func ring(pauses map[int]int) string {
	all := make([]string, pauseRoom)
	for i := range all {
		all[i] = fmt.Sprint(pauses[i])
	}
	return strings.Join(all, " ")
}

func TestGoFigures(t *testing.T) {
	g := newGoURL("http://h/debug/pprof/heap?debug=1")
	if g.index != "http://h/debug/pprof/" {
		t.Error(g.index)
	}
	for i, c := range []struct {
		cycles int
		pauses map[int]int
		want   float64
	}{
		{2, map[int]int{0: 5, 1: 6}, 11},
		{2, map[int]int{0: 5, 1: 6}, 11},
		{4, map[int]int{0: 5, 1: 6, 2: 7, 3: 8}, 26},
		{258, map[int]int{0: 50, 1: 60, 2: 7, 3: 8}, 136}, // two more than once around
		{1000, map[int]int{0: 1}, 137},                    // what the ring has lost is missing
		{1, map[int]int{0: 9}, 9},                         // another process
	} {
		var r series.Row
		stats := fmt.Sprintf(goStats, c.cycles, ring(c.pauses))
		if err := g.addMemStats(&r, []byte(stats)); err != nil {
			t.Fatal(err)
		}
		if r.Values[series.GCPause] != c.want || r.Values[series.GCCycles] != float64(c.cycles) ||
			r.Values[series.GoInUse] != 100 || r.Values[series.GoGoal] != 300 ||
			r.Values[series.GoReleased] != 20 || r.Values[series.GCCPU] != 0.25 {
			t.Errorf("%d: %v, want %g", i, r.Values, c.want)
		}
	}
	page := "<tr>\n<td>1234</td>\n<td>\n<a href='goroutine?debug=1'>goroutine</a>"
	if n, ok := goroutineCount([]byte(page)); !ok || n != 1234 {
		t.Error(n, ok)
	}
	if _, ok := goroutineCount([]byte("<td>9</td>")); ok {
		t.Error("a count without goroutines")
	}
}

func TestFetch(t *testing.T) {
	hang := make(chan struct{})
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hang":
			<-hang
		case "/away":
			http.Redirect(w, r, other.URL, http.StatusFound)
		case "/here":
			http.Redirect(w, r, "/ok", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/secret":
			if _, password, _ := r.BasicAuth(); password != "pw" {
				http.Error(w, "no", http.StatusUnauthorized)
			}
		case "/ok":
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	defer close(hang)
	base := server.URL
	user := func(login string) string {
		return strings.Replace(base, "http://", "http://"+login+"@", 1)
	}
	for url, want := range map[string]string{
		base + "/ok": "", base + "/here": "",
		user("u:pw") + "/secret": "",
		base + "/hang":           base + "/hang gave no answer within 200ms",
		base + "/away": base + "/away redirects to " + other.URL +
			": name that one if you mean it",
		base + "/round":       base + "/round redirects in a circle",
		base + "/none":        base + "/none answers 404 Not Found",
		"http://127.0.0.1:1/": "http://127.0.0.1:1/ cannot be fetched: no server listens there",
		user("u:no") + "/secret": user("...") +
			"/secret answers 401, it needs a password: write http://USER:PASSWORD@HOST/...",
	} {
		_, err := fetch(t.Context(), url, 200*time.Millisecond)
		if text := fmt.Sprint(err); err == nil && want != "" || err != nil && text != want {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}

const metricsPage = `# TYPE requests_total counter
requests_total{code="200",path="/"} %d
requests_total{code="500",path="/"} %d
# TYPE inflight gauge
inflight 3
# TYPE took_seconds histogram
took_seconds_bucket{le="+Inf"} %d
took_seconds_sum %g
took_seconds_count %d
bare 7
`

func TestMetrics(t *testing.T) {
	p, err := ParsePage("127.0.0.1:9")
	if err != nil || p.url != "http://127.0.0.1:9/metrics" {
		t.Fatal(p, err)
	}
	for _, text := range []string{"requests_total", `requests_total{code="500"}`,
		"requests_total{code=500,path=/}", "inflight", "took_seconds", "bare", "none"} {
		m, err := ParseMetric(text)
		if err != nil {
			t.Fatal(err)
		}
		p.Metrics = append(p.Metrics, m)
	}
	take := func(body string, at time.Time) (values, error) {
		var r series.Row
		err := p.take(&r, []byte(body), at)
		return r.Values, err
	}
	const lacks = `http://127.0.0.1:9/metrics has no metric "none"`
	got, err := take(fmt.Sprintf(metricsPage, 10, 1, 4, 2.0, 4), noon)
	if fmt.Sprint(got) != fmt.Sprint(values{"x.inflight": 3, "x.bare": 7}) ||
		fmt.Sprint(err) != lacks {
		t.Errorf("%v %v", got, err)
	}
	got, _ = take(fmt.Sprintf(metricsPage, 30, 5, 8, 4.0, 8), noon.Add(2*time.Second))
	want := values{"x.inflight": 3, "x.bare": 7, "x.requests_total": 12, "x.took_seconds": 0.5,
		`x.requests_total{code="500"}`: 2, "x.requests_total{code=500,path=/}": 2}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	got, _ = take(fmt.Sprintf(metricsPage, 1, 0, 8, 4.0, 8), noon.Add(3*time.Second))
	if _, ok := got["x.requests_total"]; ok || len(got) != 2 {
		t.Errorf("%v after a reset", got)
	}
	for body, want := range map[string]string{"<!DOCTYPE html><p>": "answers an HTML page",
		"hello world\n": "has no metrics for Prometheus: text format parsing error",
		"\x00":          "no metrics"} {
		if _, err := take(body, noon); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", body, err)
		}
	}
	for _, bad := range []string{"", "a{", "{a=b}", "a{b}", "a b", "a=b"} {
		if m, err := ParseMetric(bad); err == nil {
			t.Errorf("%q: %+v", bad, m)
		}
	}
	for _, bad := range []string{"", "unix:///x", "http://"} {
		if p, err := ParsePage(bad); err == nil {
			t.Errorf("%q: %+v", bad, p)
		}
	}
}

// slow is a source that answers when a test lets it.
type slow struct {
	answers chan answer
	reads   chan struct{}
}

func (s *slow) name() string { return "slow" }

func (s *slow) read() (series.Row, time.Duration, error) {
	s.reads <- struct{}{}
	a := <-s.answers
	return a.row, a.pause, a.err
}

func self(t *testing.T) *attach.Process {
	t.Helper()
	p, err := attach.OpenProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// observer has clocks that a test moves.
func observer(t *testing.T, p *attach.Process, sources ...source) (*Observer, *Instant) {
	t.Helper()
	o := New(p, Options{Interval: time.Second})
	at := &Instant{noon, int64(time.Hour), int64(time.Hour)}
	o.now = func() Instant {
		at.Wall, at.Mono, at.Boot = at.Wall.Add(time.Second), at.Mono+int64(time.Second),
			at.Boot+int64(time.Second)
		return *at
	}
	for _, s := range sources {
		o.pollers = append(o.pollers, newPoller(s))
	}
	return o, at
}

func take(t *testing.T, o *Observer) Sample {
	t.Helper()
	s, err := o.Take()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A source that hangs delays no sample and is asked once; its answer is in one sample only.
func TestSlowSource(t *testing.T) {
	s := &slow{make(chan answer), make(chan struct{}, 100)}
	o, _ := observer(t, self(t), s)
	for range 5 {
		if r := take(t, o).Row; r.Values[series.CLive] != 0 || r.Values[series.RSS] == 0 {
			t.Errorf("%v", r.Values)
		}
	}
	<-s.reads
	if len(s.reads) > 0 {
		t.Error("it is asked again before it has answered")
	}
	row := series.Row{Values: values{series.CLive: 7}}
	got := 0
	s.answers <- answer{row: row, pause: 3 * time.Second}
	for deadline := time.Now().Add(10 * time.Second); got == 0 && time.Now().Before(deadline); {
		if r := take(t, o).Row; r.Values[series.CLive] == 7 {
			got++
		}
	}
	if got != 1 {
		t.Fatal("its answer is in no sample")
	}
	for i := range 3 { // it is left alone for as long as it said
		if r := take(t, o).Row; len(r.Values) == 0 || r.Values[series.CLive] != 0 {
			t.Errorf("%d: its answer is repeated", i)
		}
		if (len(s.reads) > 0) != (i == 2) && i < 2 {
			t.Errorf("%d: it is asked too early", i)
		}
	}
	<-s.reads
	s.answers <- answer{err: errors.New("it is gone")}
	var text string
	for deadline := time.Now().Add(10 * time.Second); text == "" && time.Now().Before(deadline); {
		for _, e := range take(t, o).Events {
			text = e.Kind + " " + e.Text
		}
	}
	if text != "note it is gone" || fmt.Sprint(o.faults()) != "[it is gone]" {
		t.Errorf("%s %q", text, o.faults())
	}
}

// A figure that two sources know comes from one of them.
func TestOneSourceForAFigure(t *testing.T) {
	a, b := &slow{}, &slow{}
	o, _ := observer(t, self(t), a, b)
	first, second := o.pollers[0], o.pollers[1]
	of := func(p *poller, v float64) float64 {
		var s Sample
		o.add(&s, p, series.Row{Values: values{series.GoInUse: v}})
		return s.Row.Values[series.GoInUse]
	}
	if of(second, 1) != 1 || of(first, 2) != 2 || of(second, 3) != 0 || of(first, 4) != 4 {
		t.Error("both are taken")
	}
}

func TestProcessEnds(t *testing.T) {
	c := exec.Command("sleep", "1000")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := attach.OpenProcess(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	o, _ := observer(t, p)
	take(t, o)
	_ = c.Process.Kill()
	var ended error
	for end := time.Now().Add(10 * time.Second); ended == nil && time.Now().Before(end); {
		_, ended = o.Take() // a zombie at last
	}
	if !errors.Is(ended, ErrEnded) {
		t.Error(ended)
	}
	_ = c.Wait()
	if _, err := o.Take(); !errors.Is(err, ErrEnded) {
		t.Error(err)
	}
	reused := *self(t)
	reused.Started = "1"
	o, _ = observer(t, &reused)
	if _, err := o.Take(); !errors.Is(err, ErrEnded) {
		t.Errorf("another process with its ID: %v", err)
	}
}

func TestExec(t *testing.T) {
	c := exec.Command("sh", "-c", "read x; exec sleep 1000")
	in, _ := c.StdinPipe()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Process.Kill(); _ = c.Wait() }()
	p, err := attach.OpenProcess(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	o, _ := observer(t, p)
	if s := take(t, o); len(s.Events) != 0 {
		t.Errorf("%+v", s.Events)
	}
	fmt.Fprintln(in)
	var events []series.Event
	for end := time.Now().Add(10 * time.Second); events == nil && time.Now().Before(end); {
		events = take(t, o).Events
	}
	want := fmt.Sprintf("process %d runs another program from here on: ", p.PID)
	if len(events) != 1 || events[0].Kind != series.EventRestart ||
		!strings.HasPrefix(events[0].Text, want) {
		t.Errorf("%+v", events)
	}
	if s := take(t, o); len(s.Events) != 0 {
		t.Errorf("again: %+v", s.Events)
	}
}

func TestAccount(t *testing.T) {
	n := func(v int64) *int64 { return &v }
	a := &account.Account{Owners: []account.Owner{{Name: account.CLive, Bytes: n(5)},
		{Name: account.CRetained}, {Name: "later", Bytes: n(0)}},
		Go: account.Go{HeapInUse: n(9)}}
	var r series.Row
	addAccount(&r, a)
	want := values{series.CLive: 5, "owner_c_live_bytes": 5, "owner_later_bytes": 0,
		series.GoInUse: 9}
	if fmt.Sprint(r.Values) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", r.Values, want)
	}
}

// An account has a thousandth of a processor; a busy machine makes few of them long.
func TestAccountPause(t *testing.T) {
	l := &library{}
	for i, c := range []struct{ took, want time.Duration }{
		{3 * time.Millisecond, 3 * time.Second}, {20 * time.Millisecond, 3750 * time.Millisecond},
		{2 * time.Millisecond, 2 * time.Second}} {
		if got := l.pause(c.took); got != c.want {
			t.Errorf("%d: %s, want %s", i, got, c.want)
		}
	}
	if got := (&library{}).pause(time.Second); got != maxAccountPause {
		t.Error(got)
	}
	if got := (&library{most: time.Second}).pause(time.Second); got != time.Second {
		t.Error(got)
	}
}

package cause

import (
	"flag"
	"fmt"
	"math"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/series"
)

// The recordings in testdata/rules are made by `go test ./internal/cause -update`, from the
// scenes below; those in testdata/real are of real programs, with the figures that rules use.
var update = flag.Bool("update", false, "write testdata/rules")

// scene is what a recording shows.
type scene struct {
	name    string
	minutes float64
	lacks   []string // figures of a usual process that it has not
	// What differs from a usual process, by figure; in MiB where the figure is in bytes.
	values map[string]func(minute float64) float64
	rules  []string // that fire, in order
}

func is(v float64) func(float64) float64           { return func(float64) float64 { return v } }
func grows(from, by float64) func(float64) float64 { return rises(from, by, 2, 1e9) }

// rises by a minute from one minute to another.
func rises(from, by, begin, end float64) func(float64) float64 {
	return func(m float64) float64 { return from + by*min(max(0, m-begin), end-begin) }
}

const (
	ownerGoHeap = "owner_" + account.GoHeap + "_bytes"
	ownerStacks = "owner_" + account.GoStacks + "_bytes"
)

// usual is a process that does nothing remarkable.
var usual = map[string]func(float64) float64{
	series.RSS: is(400), series.RSSAnon: is(360), series.RSSFile: is(40), series.RSSShmem: is(0),
	series.Swap: is(0), series.VMData: is(900), series.Threads: is(14), series.GoInUse: is(120),
	series.GoLive: is(80), series.GoGoal: is(160), series.Goroutines: is(60),
	series.CLive: is(90), series.CRetained: is(20), series.CMmap: is(60),
	ownerGoHeap: is(130), ownerStacks: is(4),
}

var scenes = []scene{
	{"mapping_leak", 9, nil, all(grows(60, 8), series.CMmap, add(series.RSS, 340),
		add(series.RSSAnon, 300), add(series.VMData, 840)), []string{"mapping_leak"}},
	{"mapping_leak-near-reserved", 9, nil, all(grows(840, 60), series.VMData), nil},
	{"c_leak", 9, nil, all(grows(90, 6), series.CLive, add(series.RSS, 310),
		add(series.RSSAnon, 270), add(series.VMData, 810)), []string{"c_leak"}},
	{"c_leak-near-cache", 12, nil, all(rises(90, 80, 4, 5), series.CLive, add(series.RSS, 310),
		add(series.RSSAnon, 270)), nil},
	{"fragmentation", 9, nil, all(grows(20, 6), series.CRetained, add(series.RSS, 380),
		add(series.RSSAnon, 340)), []string{"fragmentation"}},
	{"fragmentation-near-live", 9, nil, all(grows(20, 6), series.CRetained,
		add(series.CLive, 70), add(series.RSS, 380), add(series.RSSAnon, 340)),
		[]string{"c_leak"}},
	{"goroutine_leak", 9, nil, map[string]func(float64) float64{
		series.Goroutines: grows(60, 400), ownerStacks: grows(4, 4), series.RSS: grows(400, 4),
		series.RSSAnon: grows(360, 4)}, []string{"goroutine_leak"}},
	{"goroutine_leak-near-pool", 12, nil, map[string]func(float64) float64{
		series.Goroutines: rises(60, 800, 4, 5), ownerStacks: rises(4, 8, 4, 5)}, nil},
	{"go_leak", 9, nil, all(grows(80, 6), series.GoLive, add(series.GoInUse, 40),
		add(series.RSS, 320), add(series.RSSAnon, 280), add(ownerGoHeap, 50)),
		[]string{"go_leak"}},
	{"go_leak-near-sawtooth", 12, []string{series.GoLive}, map[string]func(float64) float64{
		series.GoInUse: func(m float64) float64 { return 100 + 80*math.Mod(2.3*m, 1) }}, nil},
	{"thread_leak", 9, nil, map[string]func(float64) float64{series.Threads: grows(14, 4),
		series.VMData: grows(900, 32)}, []string{"thread_leak"}},
	{"thread_leak-near-pool", 12, nil, map[string]func(float64) float64{
		series.Threads: rises(14, 30, 4, 4.5)}, nil},
	{"go_released_lags", 12, nil, map[string]func(float64) float64{
		ownerGoHeap: rises(130, 100, 1, 2)}, []string{"go_released_lags"}},
	{"go_released_lags-near-returned", 12, nil, map[string]func(float64) float64{
		ownerGoHeap: func(m float64) float64 {
			return 130 + 100*min(1, max(0, m-1)) - 90*min(1, max(0, m-4))
		}}, nil},
	{"gc_goal_near_limit", 6, nil, map[string]func(float64) float64{
		series.GoGoal: is(700), series.CgroupLimit: is(1024)}, []string{"gc_goal_near_limit"}},
	{"gc_goal_near_limit-near-room", 6, nil, map[string]func(float64) float64{
		series.GoGoal: is(600), series.CgroupLimit: is(1024)}, nil},
	{"gc_pressure", 6, nil, map[string]func(float64) float64{series.GoGoal: is(82)},
		[]string{"gc_pressure"}},
	{"gc_pressure-cpu", 6, nil, map[string]func(float64) float64{series.GCCPU: is(0.4)},
		[]string{"gc_pressure"}},
	{"gc_pressure-pauses", 14, nil, map[string]func(float64) float64{
		series.GCCycles: rises(100, 60, 0, 1e9), series.GCPause: func(m float64) float64 {
			return 1e6 * (100 + 60*m + 20*m*m)
		}}, []string{"gc_pressure"}},
	{"gc_pressure-near-short", 6, nil, map[string]func(float64) float64{
		series.GoGoal: func(m float64) float64 {
			if m > 2 && m < 3 {
				return 82
			}
			return 160
		}}, nil},
	{"swap", 6, nil, map[string]func(float64) float64{series.Swap: is(100)}, []string{"swap"}},
	{"swap-near-little", 6, nil, map[string]func(float64) float64{series.Swap: is(12)}, nil},
	{"near_limit", 6, nil, map[string]func(float64) float64{series.RSSAnon: is(480),
		series.CgroupLimit: is(512), series.CgroupUsage: is(511), series.GoGoal: is(90),
		series.RSS: is(500), series.GoInUse: is(60), series.GoLive: is(40),
		ownerGoHeap: is(80)}, []string{"near_limit"}},
	{"near_limit-near-cache", 6, nil, map[string]func(float64) float64{
		series.CgroupLimit: is(512), series.CgroupUsage: is(511)}, nil},
	{"memory_grows", 9, []string{series.CLive, series.CRetained, series.CMmap, ownerGoHeap,
		ownerStacks}, map[string]func(float64) float64{series.RSS: grows(400, 10),
		series.RSSAnon: grows(360, 10)}, []string{"memory_grows"}},
	{"memory_grows-near-files", 9, nil, map[string]func(float64) float64{
		series.RSS: grows(400, 10), series.RSSFile: grows(40, 10)}, nil},
	{"forecast-near-no-limit", 9, nil, all(grows(90, 6), series.CLive, add(series.RSS, 310),
		add(series.RSSAnon, 270)), []string{"c_leak"}},
	{"forecast", 12, nil, all(grows(90, 6), series.CLive, add(series.RSS, 310),
		add(series.RSSAnon, 270), add(series.CgroupLimit, 0)), []string{"c_leak"}},
	{"together", 58, nil, errors(true), []string{"c_leak"}},
	{"together-near", 58, nil, errors(false), []string{"c_leak"}},
}

// add is the level of another figure that changes as the first does.
type level struct {
	name string
	at   float64
}

func add(name string, at float64) level { return level{name, at} }

// all have the change of the first; a limit stays.
func all(f func(float64) float64, name string, others ...level) map[string]func(float64) float64 {
	m := map[string]func(float64) float64{name: f}
	for _, o := range others {
		m[o.name] = func(minute float64) float64 { return o.at + f(minute) }
		if o.name == series.CgroupLimit {
			m[o.name] = is(2048)
		}
	}
	return m
}

// errors: C memory grows while requests fail, in bursts; or the errors have nothing to do with it.
func errors(related bool) map[string]func(float64) float64 {
	const burst = 1.5 // minutes
	r := rand.New(rand.NewSource(5))
	rate, sum := make([]float64, 50), make([]float64, 50)
	for i := range rate {
		rate[i] = 1 + 30*math.Floor(r.Float64()+0.4)
		if i > 0 {
			sum[i] = sum[i-1] + rate[i-1]
		}
	}
	other := slices.Clone(rate)
	if !related {
		r.Shuffle(len(other), func(i, j int) { other[i], other[j] = other[j], other[i] })
	}
	leaked := func(m float64) float64 {
		i := int(m / burst)
		return 0.3 * (sum[i] + rate[i]*(m/burst-float64(i)))
	}
	return map[string]func(float64) float64{
		"x.error_rate": func(m float64) float64 { return other[int(m/burst)] },
		series.CLive:   func(m float64) float64 { return 90 + leaked(m) },
		series.RSS:     func(m float64) float64 { return 400 + leaked(m) },
		series.RSSAnon: func(m float64) float64 { return 360 + leaked(m) },
	}
}

// step is the seconds between rows: small files.
func (s *scene) step() float64 {
	if s.minutes > 30 {
		return 30
	}
	return 15
}

func (s *scene) rows() []series.Row {
	r := rand.New(rand.NewSource(1))
	begin := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	var rows []series.Row
	for t := 0.0; t < s.minutes*60; t += s.step() {
		row := series.Row{Wall: begin.Add(time.Duration(t) * time.Second),
			MonoNS: int64(1e9 * (1000 + t))}
		values := map[string]func(float64) float64{}
		for name, f := range usual {
			values[name] = f
		}
		for name, f := range s.values {
			values[name] = f
		}
		names := []string{}
		for name := range values {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			if slices.Contains(s.lacks, name) {
				continue
			}
			v := values[name](t / 60)
			f := series.About(name)
			if f.Unit == series.Bytes {
				v *= 1 << 20
			}
			if f.Kind == series.Gauge {
				v *= 1 + 0.002*r.NormFloat64()
			}
			if f.Unit == series.Bytes || f.Unit == series.Count {
				v = math.Round(v)
			}
			row.Set(name, v)
		}
		rows = append(rows, row)
	}
	return rows
}

func (s *scene) path() string { return filepath.Join("testdata", "rules", s.name+".jsonl") }

func (s *scene) write(t *testing.T) {
	os.Remove(s.path())
	rows := s.rows()
	w, err := series.Create(s.path(), series.Header{Host: "host", Program: "service", PID: 42,
		Wall: rows[0].Wall, MonoNS: rows[0].MonoNS, Interval: time.Duration(s.step()) * time.Second,
		Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for i := range rows {
		if err := w.Row(&rows[i]); err != nil {
			t.Fatal(err)
		}
	}
}

// replayed is what is said of a recording.
type replayed struct {
	*Watcher
	begun   []Alert
	begunAt []time.Time
	rows    []series.Row
}

func replay(t *testing.T, path string) *replayed {
	t.Helper()
	recording, err := series.ReadFile(path)
	if err != nil || recording.Ends != "" {
		t.Fatal(err, recording)
	}
	r := &replayed{Watcher: New(Options{PID: 42}), rows: recording.Rows}
	for _, row := range recording.Rows {
		for _, a := range r.Add(row) {
			if !a.Ended {
				r.begun, r.begunAt = append(r.begun, a), append(r.begunAt, row.Wall)
			}
		}
	}
	return r
}

func (r *replayed) names() string {
	var names []string
	for _, a := range r.begun {
		names = append(names, a.Rule)
	}
	return fmt.Sprint(names)
}

// TestRules: each rule has a scene that it speaks of, once, and a near one of which it does not.
func TestRules(t *testing.T) {
	fires, near := map[string]bool{}, map[string]bool{}
	for _, s := range scenes {
		if *update {
			s.write(t)
		}
		r := replay(t, s.path())
		if got := r.names(); got != fmt.Sprint(append([]string{}, s.rules...)) {
			t.Errorf("%s: %s\n%v", s.name, got, r.begun)
		}
		for _, a := range r.begun {
			fires[a.Rule] = true
			t.Logf("%s: %s", s.name, a.Text)
		}
		for i := range rules {
			name := rules[i].name
			near[name] = near[name] || len(s.name) > len(name)+5 &&
				s.name[:len(name)+5] == name+"-near" && !slices.Contains(s.rules, name)
		}
	}
	for i := range rules {
		if name := rules[i].name; !fires[name] || !near[name] {
			t.Errorf("%s has no scene that it fires in, or no near one", name)
		}
	}
}

// TestForecast says when the limit is reached, and nothing without a limit or without growth.
func TestForecast(t *testing.T) {
	r := replay(t, filepath.Join("testdata", "rules", "forecast.jsonl"))
	growth := func(n int64) *int64 { n <<= 20; return &n }
	mapped := int64(0)
	grown := &holders.Summary{Rows: []holders.Row{
		{RowKey: holders.RowKey{GoCaller: "main.audit_actor"}, Growth: growth(40)},
		{RowKey: holders.RowKey{GoCaller: "main.other"}, Growth: growth(14)},
		{RowKey: holders.RowKey{GoCaller: "main.maps"}, Growth: growth(99), Mapped: &mapped},
	}}
	f, ok := r.Forecast(0, grown)
	if !ok || math.Abs(f.In.Minutes()-(2048-420)/6.) > 15 || f.Soonest > f.In || f.Latest < f.In {
		t.Errorf("%+v", f)
	}
	const says = `At 20 % of 2.0 GiB; at this slope the limit is reached in 4 h 30 min ` +
		`(4 h 20 min to 4 h 40 min); 99 % of the growth is C live, of which 74 % is ` +
		`main.audit_actor.`
	if got := f.String(); got != says {
		t.Errorf("%s", got)
	}
	if f, ok := r.Forecast(1e15, nil); !ok || !strings.Contains(f.String(), "more than a week;") {
		t.Errorf("%v", f)
	}
	for _, near := range []string{"forecast-near-no-limit", "near_limit", "near_limit-near-cache"} {
		r := replay(t, filepath.Join("testdata", "rules", near+".jsonl"))
		if f, ok := r.Forecast(0, nil); ok {
			t.Errorf("%s: %s", near, f)
		}
	}
}

// TestTogether: a series from elsewhere is named only where it moved with the memory.
func TestTogether(t *testing.T) {
	const named = "when error_rate was high"
	for name, want := range map[string]bool{"together": true, "together-near": false} {
		alerts := replay(t, filepath.Join("testdata", "rules", name+".jsonl")).Alerts()
		if len(alerts) != 1 || strings.Contains(alerts[0].Text, "error_rate") != want ||
			want && !strings.Contains(alerts[0].Text, named) {
			t.Errorf("%s: %v", name, alerts)
		}
	}
}

// TestLacks: a rule without its figures says which they are.
func TestLacks(t *testing.T) {
	r := replay(t, filepath.Join("testdata", "rules", "memory_grows.jsonl"))
	lacks := map[string]string{}
	for _, l := range r.Lacks() {
		lacks[l.Rule] = l.String()
	}
	if got := lacks["fragmentation"]; got !=
		"fragmentation is not judged: it lacks C retained, C live" {
		t.Errorf("%q", got)
	}
	if _, ok := lacks["memory_grows"]; ok || len(lacks) < 5 {
		t.Errorf("%v", lacks)
	}
}

// TestSourceGone: a source that does not answer for a while makes no end and no new begin.
func TestSourceGone(t *testing.T) {
	for _, test := range []struct {
		rows int
		want string
	}{{30, "[c_leakfalse]"}, {90, "[c_leakfalse c_leaktrue memory_growsfalse]"}} {
		s := scene{minutes: 29, values: all(grows(90, 6), series.CLive, add(series.RSS, 310),
			add(series.RSSAnon, 270))}
		w := New(Options{})
		var said []string
		for i, row := range s.rows() {
			if i >= 26 && i < 26+test.rows {
				delete(row.Values, series.CLive)
			}
			for _, a := range w.Add(row) {
				said = append(said, fmt.Sprint(a.Rule, a.Ended))
			}
		}
		if fmt.Sprint(said) != test.want {
			t.Errorf("%d rows missing: %v", test.rows, said)
		}
	}
}

// TestOneCauseOneAlert: an alert ends once its growth has, and what comes after is another.
func TestOneCauseOneAlert(t *testing.T) {
	s := scene{minutes: 60, values: all(rises(90, 8, 4, 30), series.CLive, add(series.RSS, 310),
		add(series.RSSAnon, 270))}
	w := New(Options{})
	var said []string
	for _, row := range s.rows() {
		for _, a := range w.Add(row) {
			said = append(said, fmt.Sprint(a.Rule, a.Ended))
		}
	}
	if fmt.Sprint(said) != "[c_leakfalse c_leaktrue]" {
		t.Error(said)
	}
	w = New(Options{})
	for _, row := range s.rows()[:40] {
		w.Add(row)
	}
	if ended := w.Restart(); len(ended) != 1 || !ended[0].Ended || len(w.Alerts()) != 0 {
		t.Error(ended)
	}
}

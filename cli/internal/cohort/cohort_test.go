package cohort

import (
	"encoding/json"
	"errors"
	"math/rand"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/fakeshim"
	"cgoheap.example/cli/internal/holders"
)

func TestParseAges(t *testing.T) {
	for text, want := range map[string]ages{
		"10m-15m": {from: 10 * time.Minute, to: 15 * time.Minute}, "0s-5s": {to: 5 * time.Second},
		"1h-": {from: time.Hour}, "older": {isOlder: true},
		"1h0m0s-2h0m0s": {from: time.Hour, to: 2 * time.Hour},
	} {
		if got, err := parseAges(text); err != nil || got != want {
			t.Errorf("%s: %+v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-", "5m", "5m-1m", "5m-5m", "-5m-1m", "a-b", "1m-b", "-1h",
		"2000000h-"} {
		if got, err := parseAges(text); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

func read(t *testing.T, p *profile.Profile) *Table {
	t.Helper()
	table, err := Read(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// What is in use is what the plain profile says, and rows are those of holders.
func TestRead(t *testing.T) {
	table := read(t, fakeshim.WhyProfile(524288, true))
	plain, err := holders.Summarize(fakeshim.WhyProfile(524288, false), nil)
	if err != nil || len(table.Rows) != len(plain.Rows) {
		t.Fatal(err, len(table.Rows), len(plain.Rows))
	}
	want := map[string]Class{
		"main.audit_actor": Leak, "main.(*Parser).Parse": Cache, "main.(*Cache).Put": Cache,
		"main.initTables": WarmUp, "main.lookup": Leak, "main.report": TooEarly,
	}
	for _, r := range plain.Rows {
		row := table.Rows[r.RowKey]
		if row == nil {
			t.Fatalf("no row of %+v", r.RowKey)
		}
		if row.InUse() != r.Bytes {
			t.Errorf("%s: %d bytes, %d in the plain profile", r.GoCaller, row.InUse(), r.Bytes)
		}
		if w := row.Judge(nil); w.Class != want[r.GoCaller] {
			t.Errorf("%s: %s", r.GoCaller, w.Says)
		}
	}
}

// Threads' stacks are allocated with their size and live with what was touched: what lives of them
// is told by their number.
func TestStacksOfThreads(t *testing.T) {
	p := fakeshim.WhyProfile(524288, true)
	var s *profile.Sample
	for _, s = range p.Sample {
		if s.Label["age"][0] != "older" {
			break
		}
	}
	s.Label["origin"] = []string{"thread_stack"}
	gone := &profile.Sample{Location: s.Location, Label: s.Label, NumLabel: s.NumLabel,
		Value: []int64{1, 8 << 20, 0, 0}}
	s.Value = []int64{3, 24 << 20, 3, 36 << 10}
	p.Sample = []*profile.Sample{s, gone}
	for _, row := range read(t, p).Rows {
		if share := row.Survives(); row.InUse() != 36<<10 || share == nil || *share != 0.75 {
			t.Errorf("%d bytes, a share of %v", row.InUse(), share)
		}
	}
}

// A row with a leaking and a churning stack says both, and the leak's bytes are those of its stack.
func TestRowOfTwoClasses(t *testing.T) {
	for key, row := range read(t, fakeshim.WhyProfile(524288, true)).Rows {
		if key.GoCaller != "main.lookup" {
			continue
		}
		w := row.Judge(nil)
		if len(w.Parts) != 2 || w.Parts[0].Class != Leak || w.Parts[1].Class != Churn ||
			w.Leaked != w.Parts[0].Bytes || w.Leaked >= row.InUse() ||
			!strings.HasSuffix(w.Says, "+120.0 MiB an hour (1 of 2 stacks, churn 25.0 MiB)") {
			t.Errorf("%+v", w)
		}
	}
}

// Stacks that have too few samples each may have enough together.
func TestRowOfManyStacks(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	row := &Row{History: *historyOf(leaking(1)(r, 30, 20), 30)}
	for range 40 {
		s := &Stack{History: *historyOf(leaking(1)(r, 30, 0.5), 30)}
		row.Stacks = append(row.Stacks, s)
		if f := s.Judge(nil); f.Class != TooEarly {
			t.Fatalf("a stack alone: %s", f.Says())
		}
	}
	if w := row.Judge(nil); w.Class != Leak || w.Leaked == 0 || *w.WaitsFor != WaitsForNothing {
		t.Errorf("%+v", w)
	}
}

// Nor does a stack that churns hide those of the same row that never free.
func TestRowOfSomeThatNeverFree(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	of := func(l load, perMinute float64) *Stack {
		return &Stack{History: *historyOf(l(r, 30, perMinute), 30)}
	}
	row := &Row{Stacks: []*Stack{of(leaking(1), 1), of(leaking(1), 1), of(leaking(1), 1),
		of(exponential(5), 30)}}
	row.freed = map[string]int64{}
	for _, s := range row.Stacks {
		if f := s.Judge(nil); f.Class == Leak {
			t.Fatalf("a stack alone: %s", f.Says())
		}
		for _, c := range s.Cohorts {
			row.add(ages{}, c, "")
		}
	}
	if w := row.Judge(nil); w.Class != Leak || w.Leaked < 30<<20 || w.Leaked > 60<<20 {
		t.Errorf("%+v", w)
	}
	row.Stacks = nil
	for range 60 {
		row.Stacks = append(row.Stacks, of(exponential(30), 0.8))
	}
	if f := row.neverFreed().Judge(nil); f.Class == Leak {
		t.Errorf("%s", f.Says())
	}
}

// Intervals in which a stack allocated nothing are part of its history.
func TestFill(t *testing.T) {
	for key, row := range read(t, fakeshim.WhyProfile(524288, true)).Rows {
		want := map[string]int{"main.initTables": 14, "main.report": 5}[key.GoCaller]
		if want > 0 && (len(row.Cohorts) != want || len(row.Stacks[0].Cohorts) != want) {
			t.Errorf("%s: %d cohorts", key.GoCaller, len(row.Cohorts))
		}
	}
}

// Bounds that a comment lists are intervals, even if no stack allocated in them; without one the
// youngest is.
func TestBounds(t *testing.T) {
	for comment, want := range map[string]int{
		"ages: 0s 5s 10s 1h 2h; the last is when the library started": 4, "": 2, "ages: x y": 2,
	} {
		p := fakeshim.WhyProfile(524288, true)
		p.Comments, p.Sample = []string{comment}, p.Sample[:1]
		p.Sample[0].Label["age"] = []string{"1h-2h"}
		for _, row := range read(t, p).Rows {
			if len(row.Cohorts) != want || row.Cohorts[0].From != 0 {
				t.Errorf("%q: %+v", comment, row.Cohorts)
			}
		}
	}
}

func TestReadRefusesOtherProfiles(t *testing.T) {
	if _, err := Read(fakeshim.WhyProfile(524288, false), nil); !errors.Is(err, ErrNoAges) {
		t.Error(err)
	}
	p := fakeshim.WhyProfile(524288, true)
	p.Sample[3].Label["age"] = []string{"soon"}
	if _, err := Read(p, nil); err == nil || !strings.Contains(err.Error(), `age "soon"`) {
		t.Error(err)
	}
	cpu := []*profile.ValueType{{Type: "cpu", Unit: "nanoseconds"}}
	if _, err := Read(&profile.Profile{SampleType: cpu}, nil); err == nil {
		t.Error("a CPU profile was taken for a heap profile")
	}
}

// What was allocated before the cohorts begin is in use, and no share of anything.
func TestOlder(t *testing.T) {
	p := fakeshim.WhyProfile(524288, true)
	for _, s := range p.Sample {
		s.Label["age"] = []string{"older"}
		s.Value[0], s.Value[1] = 0, 0
	}
	for key, row := range read(t, p).Rows {
		w := row.Judge(nil)
		if w.Class != TooEarly || w.Survives != nil || w.Confidence != nil || w.Percent() != "-" ||
			w.Older != row.InUse() {
			t.Errorf("%v: %+v", key, w)
		}
	}
}

// Figures that no library sends do no harm.
func TestHostileFigures(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	odd := []int64{-1 << 63, -1, 0, 1, 1 << 40, 1<<63 - 1}
	for range 300 {
		p := fakeshim.WhyProfile(odd[r.Intn(6)], true)
		for _, s := range p.Sample {
			for i := range s.Value {
				if r.Intn(3) == 0 {
					s.Value[i] = odd[r.Intn(6)]
				}
			}
			if r.Intn(4) == 0 {
				age := []string{"0s-", "1ns-2ns", "100000h-", "older"}[r.Intn(4)]
				s.Label["age"] = []string{age}
			}
		}
		for _, row := range read(t, p).Rows {
			w := row.Judge(nil)
			if _, err := json.Marshal(w); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestSays(t *testing.T) {
	c := func(from, to time.Duration, allocated, live int64) Cohort {
		return Cohort{from, to, allocated, live, float64(allocated), float64(live)}
	}
	const minute = time.Minute
	for want, f := range map[string]Finding{
		"leak: 3.0 % of what was allocated 30m to 1h ago still lives, and none of that dies; " +
			"+9.0 MiB an hour": {Class: Leak, Confidence: 0.99, PerHour: 9 << 20,
			Evidence: c(30*minute, 60*minute, 1000, 30)},
		"leak (75 % sure): of what was allocated 10m to 20m ago, all still lives; a cache that " +
			"still fills looks the same; +1.0 MiB an hour": {Class: Leak, Confidence: 0.75,
			PerHour: 1 << 20, Evidence: c(10*minute, 20*minute, 1000, 1000)},
		"leak: of what was allocated more than 1h ago, all still lives; +1.0 MiB an hour": {
			Class: Leak, Confidence: 0.96, PerHour: 1 << 20, Evidence: c(60*minute, 0, 100, 100)},
		"a cache: of what was allocated 10m to 20m ago, 1.2 % lives; at most 20 % of what is in " +
			"use can be a leak": {Class: Cache, Evidence: c(10*minute, 20*minute, 1000, 12),
			most: 0.2},
		"churn: of what was allocated 5s to 20m ago, nothing lives": {Class: Churn,
			Evidence: c(5*time.Second, 20*minute, 1000, 0)},
		"too early to say: a leak shows after 10m; so far, of what was allocated 5m to 8m ago, " +
			"12 % lives": {Class: TooEarly, reason: watchedShort,
			Evidence: c(5*minute+time.Second, 8*minute, 1000, 120)},
		"too early to say: only Go's GC frees it, and none came since it was allocated": {
			Class: TooEarly, reason: waitsForGC},
	} {
		if got := f.Says(); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
}

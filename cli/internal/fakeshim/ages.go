package fakeshim

import (
	"slices"
	"time"

	"github.com/google/pprof/profile"
)

// A cohort of a fake stack: bytes allocated in this interval, and what of them lives.
type cohort struct {
	age             string
	allocated, live int64
}

// ages are the intervals of a process that runs for an hour.
var ages = []string{"0s-5s", "5s-10s", "10s-30s", "30s-1m0s", "1m0s-2m0s", "2m0s-3m0s", "3m0s-5m0s",
	"5m0s-7m0s", "7m0s-10m0s", "10m0s-15m0s", "15m0s-20m0s", "20m0s-30m0s", "30m0s-40m0s",
	"40m0s-1h0m0s"}

// length of an interval.
func length(age string) time.Duration {
	var from, to string
	for i := range age {
		if age[i] == '-' {
			from, to = age[:i], age[i+1:]
		}
	}
	a, _ := time.ParseDuration(from)
	b, _ := time.ParseDuration(to)
	return b - a
}

// steady allocates so much a minute, of which a share lives that depends on the interval.
func steady(perMinute int64, share func(i int) float64) []cohort {
	var all []cohort
	for i, age := range ages {
		n := int64(length(age).Minutes() * float64(perMinute))
		all = append(all, cohort{age, n, int64(share(i) * float64(n))})
	}
	return all
}

func younger(than int) func(int) float64 {
	return func(i int) float64 {
		if i < than {
			return 1
		}
		return 0
	}
}

// fakeStack is a stack with its cohorts, of blocks of 4 KiB.
type fakeStack struct {
	cohorts []cohort
	freedBy string
	frames  []string
}

var root = []string{"main.main@main.go", "runtime.main@proc.go", "runtime.goexit@asm_amd64.s"}

// whyStacks hold memory for one reason each, and lookup for two.
func whyStacks() []fakeStack {
	every := func(int) float64 { return 1 }
	cstring := []string{"malloc", "main._Cfunc__CMalloc@_cgo_gotypes.go",
		"main._Cfunc_CString@_cgo_gotypes.go"}
	one := func(freedBy string, cohorts []cohort, frames ...string) fakeStack {
		return fakeStack{cohorts, freedBy, append(frames, root...)}
	}
	return []fakeStack{
		one("", steady(10<<20, every),
			append(slices.Clone(cstring), "main.audit_actor@audit.go")...),
		one("finalizer", steady(80<<20, younger(6)), "malloc", "ts_tree_new",
			"main._Cfunc_ts_parser_parse@_cgo_gotypes.go", "main.(*Parser).Parse@parser.go"),
		one("c", steady(30<<20, func(i int) float64 {
			return []float64{1, 1, 1, .9, .8, .5, .3, .1, .02, 0, 0, 0, 0, 0}[i]
		}), "malloc", "block_new", "main._Cfunc_cache_put@_cgo_gotypes.go",
			"main.(*Cache).Put@cache.go"),
		one("", []cohort{{"40m0s-1h0m0s", 64 << 20, 64 << 20}}, "malloc", "tables_new",
			"main._Cfunc_tables_new@_cgo_gotypes.go", "main.initTables@tables.go"),
		one("go", steady(300<<20, younger(1)), "malloc", "sqlite3MemMalloc",
			"main._Cfunc_sqlite3_step@_cgo_gotypes.go", "main.lookup@store.go", "main.get@http.go"),
		one("", steady(2<<20, every), "malloc", "sqlite3MemMalloc",
			"main._Cfunc_sqlite3_step@_cgo_gotypes.go", "main.lookup@store.go",
			"main.list@http.go"),
		one("", []cohort{{"1m0s-2m0s", 1 << 20, 1 << 20}}, "malloc", "buffer_new",
			"main._Cfunc_buffer_new@_cgo_gotypes.go", "main.report@report.go"),
	}
}

const ageBlock = 4 << 10

// WhyProfile is a profile of whyStacks, by age if asked so.
func WhyProfile(period int64, byAge bool) *profile.Profile {
	b := NewProfileBuilder(period)
	for _, s := range whyStacks() {
		var all cohort
		for _, c := range s.cohorts {
			all.allocated, all.live = all.allocated+c.allocated, all.live+c.live
			if byAge {
				b.addCohort(s, c)
			}
		}
		if !byAge {
			b.addCohort(s, all)
		}
	}
	return b.Profile
}

func (b *ProfileBuilder) addCohort(s fakeStack, c cohort) {
	b.Add(c.live/ageBlock, c.live, s.frames...)
	sample := b.Profile.Sample[len(b.Profile.Sample)-1]
	sample.Value[0], sample.Value[1] = c.allocated/ageBlock, c.allocated
	sample.NumLabel["bytes"] = []int64{ageBlock}
	if c.age != "" {
		sample.Label["age"] = []string{c.age}
	}
	if s.freedBy != "" {
		sample.Label["freed_by"] = []string{s.freedBy}
	}
}

// older is a profile of which all was there before the cohorts began.
func older(p *profile.Profile) *profile.Profile {
	for _, s := range p.Sample {
		s.Label["age"] = []string{"older"}
		s.Value[0], s.Value[1] = 0, 0
	}
	return p
}

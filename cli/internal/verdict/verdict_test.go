package verdict

import (
	"slices"
	"strings"
	"testing"
	"time"

	"cgoheap.example/cli/internal/account"
)

// quiet is an account that no rule but nothing_dominates has a word for; a test changes one thing.
func quiet() *Situation {
	ten := func(name string) account.Owner { return part(name, 100*mib) }
	a := &account.Account{RSS: 1000 * mib, Owners: []account.Owner{
		ten(account.GoHeap), ten(account.GoStacks), ten(account.GoMetadata),
		ten(account.CLive), ten(account.CRetained), ten(account.CMmap),
		part(account.ThreadStacks, 50*mib), part(account.Program, 70*mib),
		part(account.Libraries, 30*mib), ten(account.MappedFiles), ten(account.SharedMemory),
		part(account.Shim, 50*mib), part(account.UntrackedMmap, 99*mib), part(account.CBrk, 0),
		part(account.FileCopies, 0), part(account.DeviceMaps, 0),
	}, Unexplained: 1 * mib, ThreadStacks: 14, Time: time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)}
	a.Allocator.Name = "glibc"
	a.Allocator.InUse, a.Allocator.Arenas = num(105*mib), num(37)
	a.CLiveEstimate = account.Estimate{
		Bytes: num(100 * mib), StandardError: num(5 * mib), SampleBytes: num(524288)}
	a.Go.HeapInUse, a.Go.HeapFree = num(80*mib), num(15*mib)
	a.Process.VMSwap, a.Process.Threads, a.Process.RSSShmem = num(0), num(14), num(100*mib)
	a.Process.RSSFile = num(400 * mib)
	two := 2
	a.Cgroup.Version, a.Cgroup.File = &two, num(300*mib)
	a.Cgroup.Current, a.Cgroup.Limit = num(1500*mib), num(2000*mib)
	a.MmapTop = mappedBy("mmap", "os_pages_map", "main.query")
	return &Situation{Account: a, PID: 4242, Env: map[string]string{}}
}

// mappedBy is a mapping of 90 MiB with this stack.
func mappedBy(frames ...string) []account.MmapStack {
	return []account.MmapStack{{Bytes: 90 * mib, Frames: frames}}
}

const mib = 1 << 20

func num(n int64) *int64 { return &n }

func part(name string, bytes int64) account.Owner {
	return account.Owner{Name: name, Bytes: num(bytes), Exact: true, Mapped: num(2 * bytes)}
}

// set gives an owner so many bytes; the account still adds up.
func (s *Situation) set(name string, bytes int64) *Situation {
	for i := range s.Account.Owners {
		if o := &s.Account.Owners[i]; o.Name == name {
			s.Account.RSS += bytes - account.Known(o.Bytes)
			o.Bytes = num(bytes)
		}
	}
	return s
}

// mapped gives an owner one mapping with all it has.
func (s *Situation) mapped(owner, file string, frames ...string) *Situation {
	p := account.MappedPart{Owner: owner,
		MmapStack: account.MmapStack{Bytes: s.has(owner), Frames: frames}}
	if file != "" {
		p.File = &file
	}
	s.Account.MappedTop = []account.MappedPart{p}
	return s
}

// kept gives C retained so much, in its parts.
func (s *Situation) kept(returnable, ends, arenas, cached, pinned int64) *Situation {
	s.Account.Kept = account.Kept{Returnable: &returnable, ArenaEnds: &ends, Ends: &arenas,
		Cached: &cached, Pinned: &pinned}
	return s.set(account.CRetained, returnable+ends+cached+pinned)
}

// pinnedBy gives what is pinned its blocks: half of their bytes have the second stack.
func (s *Situation) pinnedBy(bytes, off, blocks int64, frames, others []string) *Situation {
	half := account.Holding{Bytes: bytes / 2, StandardError: off, BlockBytes: blocks / 2}
	s.Account.Kept.PinnedBy = &account.PinnedBy{Method: "samples",
		Holding: account.Holding{Bytes: bytes, StandardError: off, BlockBytes: blocks},
		Stacks: []account.PinnedStack{{Holding: half, Frames: frames},
			{Holding: half, Frames: others}}}
	return s
}

func (s *Situation) part(name string) *account.Owner {
	for i := range s.Account.Owners {
		if s.Account.Owners[i].Name == name {
			return &s.Account.Owners[i]
		}
	}
	return nil
}

// after gives the situation an earlier look, from which the owner has grown by so much.
func (s *Situation) after(elapsed time.Duration, name string, grew int64) *Situation {
	last := *s.Account
	last.Owners = slices.Clone(s.Account.Owners)
	last.Time = s.Account.Time.Add(-elapsed)
	last.Allocator.InUse = num(account.Known(s.Account.Allocator.InUse))
	for i := range last.Owners {
		if last.Owners[i].Name == name {
			last.Owners[i].Bytes = num(account.Known(last.Owners[i].Bytes) - grew)
		}
	}
	if name == account.CLive {
		*last.Allocator.InUse -= grew
	}
	last.RSS -= grew
	s.Grown = account.GrowthSince(&last, s.Account)
	return s
}

// andAfter takes the growth that there is as an hour's, and gives the situation a last look, from
// which the owner has grown by so much.
func (s *Situation) andAfter(elapsed time.Duration, name string, grew int64) *Situation {
	hour := s.Grown
	s.after(elapsed, name, grew)
	s.Hour = hour
	return s
}

func TestVerdict(t *testing.T) {
	for _, c := range verdictCases {
		got := ""
		findings := Judge(c.is())
		for _, f := range findings {
			if f.Rule == c.rule {
				got = f.Text
			}
		}
		if got != c.wants {
			t.Errorf("%s, %s:\n%s\nwant\n%s\namong %v", c.rule, c.why, got, c.wants, findings)
		}
	}
}

func TestEachRuleHasBothDirections(t *testing.T) {
	for _, r := range rules {
		var speaks, silent bool
		for _, c := range verdictCases {
			speaks = speaks || c.rule == r.name && c.wants != ""
			silent = silent || c.rule == r.name && c.wants == ""
		}
		if !speaks || !silent {
			t.Errorf("%s: an account that triggers it: %v, a near miss: %v", r.name, speaks, silent)
		}
	}
}

// Of a process that has ended nothing can be asked, and its recording has no earlier look.
func TestVerdictOfTheDead(t *testing.T) {
	said := map[string]string{}
	for _, c := range verdictCases {
		s := c.is()
		s.Ended, s.File, s.GoPprof = true, "/var/lib/a b.cgoheap", ""
		for _, f := range Judge(s) {
			for _, asks := range []string{
				"4242", "run this again", "Look again", "last look",
				"`cgoheap trim", "`cgoheap top",
			} {
				if strings.Contains(f.Text, asks) {
					t.Errorf("%s, %s: %q of a process that has ended:\n%s",
						c.rule, c.why, asks, f.Text)
				}
			}
			if f.Rule == c.rule && said[c.rule] == "" {
				said[c.rule] = f.Text
			}
		}
	}
	for rule, want := range map[string]string{
		"c_retained": "Not a leak. Next time, run with MALLOC_TRIM_THRESHOLD_=131072, " +
			"and have the program call malloc_trim(0) after its peaks",
		"c_live_grows": "If the load was steady, it is a leak: " +
			"the table of C memory shows who held it, and " +
			"`cgoheap autopsy '/var/lib/a b.cgoheap' -o killed.pb.gz` saves that as a profile.",
		"c_mmap": "`cgoheap autopsy '/var/lib/a b.cgoheap' -o killed.pb.gz` has the stacks " +
			"(`-tagfocus=origin=mmap` to pprof)",
		"go_heap_dominates": "Go's profiler is the tool: " +
			"`go tool pprof http://SERVICE/debug/pprof/heap` on the next run.",
		"c_live": "in blocks that are in use: the table of C memory shows who.",
	} {
		if !strings.Contains(said[rule], want) {
			t.Errorf("%s:\n%s\nwant\n%s", rule, said[rule], want)
		}
	}
}

// Whoever dominates is spoken of, and first.
func TestDominantOwnerComesFirst(t *testing.T) {
	for _, o := range quiet().Account.Owners {
		name := o.Name
		s := quiet().set(name, 2000*mib)
		s.Env["GOMEMLIMIT"] = "4GiB"
		got := Judge(s)
		if name == account.Libraries {
			name = account.Program
		}
		at := slices.IndexFunc(rules, func(r rule) bool { return r.name == got[0].Rule })
		if s.dominant != name || rules[at].about != name || len(got) < 2 {
			t.Errorf("%s: %q dominates, %v", name, s.dominant, got)
		}
	}
	// What grows is said of C live before anything else.
	got := Judge(quiet().set(account.CLive, 2000*mib).after(time.Hour, account.CLive, 500*mib))
	if got[0].Rule != "c_live_grows" {
		t.Error(got)
	}
}

// The table shows three findings, and names the others.
func TestVerdictIsShort(t *testing.T) {
	s := quiet().set(account.CRetained, 900*mib)
	s.part(account.CRetained).Huge = num(500 * mib)
	s.Account.Process.VMSwap = num(500 * mib)
	s.Account.Unexplained = 100 * mib
	s.Account.Cgroup.Current = num(2500 * mib)
	const less = "Less pressing, in full with --json: swap, unexplained."
	if shown := Paragraphs(Judge(s)); len(shown) != 4 || shown[3] != less {
		t.Errorf("%q", shown)
	}
}

func TestParseGoMemLimit(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "100B": 100, "2KiB": 2048, "900MiB": 900 * mib, "1GiB": 1 << 30, "3TiB": 3 << 40,
		"0": 0,
	} {
		if got, ok := parseGoMemLimit(text); !ok || got != want {
			t.Errorf("%q: %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "off", "-1", "1.5GiB", "1GB", "MiB", "9999999TiB", "1 MiB"} {
		if got, ok := parseGoMemLimit(text); ok {
			t.Errorf("%q: %d", text, got)
		}
	}
}

// The shim's own warning of the same is left out where the verdict says more.
func TestWarningsAreNotRepeated(t *testing.T) {
	const warning = "the C allocator has more in use than the samples account for"
	s := quiet()
	if Repeats(Judge(s), warning) {
		t.Error("left out, and nothing says it")
	}
	s.Account.Allocator.InUse = num(165 * mib)
	findings := Judge(s)
	if !Repeats(findings, warning) || Repeats(findings, "the table of mappings was full") {
		t.Error("said twice, or not at all")
	}
}

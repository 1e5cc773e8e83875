package verdict

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"cgoheap/cli/internal/account"
	"cgoheap/cli/internal/termtext"
)

// What no verdict may say, of any account.

// randomSituation has owners of any size, known or not, one of them unheard of, and
// sometimes an earlier look from which each has changed.
func randomSituation(r *rand.Rand) *Situation {
	s := quiet()
	s.Account.Owners = append(s.Account.Owners, part("kernel", 0), part("an_owner_of_a_later_version", 0))
	size := func() int64 { return int64(r.ExpFloat64()*float64(int64(1)<<(10+r.Intn(24)))) * int64(r.Intn(3)) / 2 }
	s.Account.RSS = 0
	for i := range s.Account.Owners {
		o := &s.Account.Owners[i]
		o.Bytes = num(size())
		if r.Intn(12) == 0 {
			o.Bytes = nil
		}
		s.Account.RSS += account.Known(o.Bytes)
	}
	s.Account.Unexplained = size() / 8
	s.Account.RSS += s.Account.Unexplained
	s.Account.Allocator.InUse = num(s.Account.Resident(account.CLive))
	s.Account.Estimate.Bytes = num(max(0, s.Account.Resident(account.CLive)+size()-size()))
	s.Dormant, s.Dropped = r.Intn(4) == 0, uint64(r.Intn(3))
	s.Missed, s.Off = uint64(r.Intn(3)), time.Duration(r.Intn(3))*time.Second
	if r.Intn(3) == 0 {
		s.Account.Allocator.InUse = nil
	}
	if r.Intn(4) > 0 {
		s.Grown = s.looked(r, size)
		if before := s.looked(r, size); before.Elapsed >= EvidenceTime && before.Elapsed > s.Grown.Elapsed {
			s.Hour = before
		}
	}
	return s
}

// looked is the growth since an earlier look: seconds, minutes or days ago.
func (s *Situation) looked(r *rand.Rand, size func() int64) *account.Growth {
	last := *s.Account
	last.Owners = slices.Clone(s.Account.Owners)
	last.Time = s.Account.Time.Add(-time.Duration(1 + r.Int63n(int64(time.Second)<<r.Intn(18))))
	last.RSS = 0
	for i := range last.Owners {
		if o := &last.Owners[i]; o.Bytes != nil {
			grew, shrank := size(), size()
			o.Bytes = num(max(0, *o.Bytes+(grew-shrank)/4))
			last.RSS += *o.Bytes
		}
	}
	if s.Account.Allocator.InUse != nil {
		last.Allocator.InUse = num(last.Resident(account.CLive))
	}
	last.Unexplained = size() / 8
	last.RSS += last.Unexplained
	return account.GrowthSince(&last, s.Account)
}

// aboutOwners are the owners that a finding is about.
func (s *Situation) aboutOwners(f Finding) []string {
	for _, r := range rules {
		if r.name == f.Rule && r.about != "" {
			return []string{r.about}
		}
	}
	return nil
}

func checkVerdict(t *testing.T, s *Situation, table string, findings []Finding) {
	t.Helper()
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("%s\n%s\n%+v", fmt.Sprintf(format, args...), table, findings)
	}
	all := ""
	told := map[string]string{} // of each owner, all that is said
	for _, f := range findings {
		all += f.Text + "\n"
		for _, name := range s.aboutOwners(f) {
			told[name] += f.Text
		}
	}
	for _, never := range []string{"rather than a leak", "not grown since", "very small blocks", "%!"} {
		if strings.Contains(all, never) {
			fail("it says %q", never)
		}
	}
	// Growth that is printed is given wherever its owner is spoken of, and never denied.
	for name, text := range told {
		for _, g := range s.windows() {
			grew := s.grewBy(g, name)
			if grew <= 0 {
				continue
			}
			said := "by " + termtext.Bytes(grew) + " in " + termtext.Duration(g.Elapsed)
			if n := strings.Count(all, said); n > 1 && strings.Count(table, "+"+termtext.Bytes(grew)) <= 1 {
				fail("%s grew %s, which is said %d times", name, said, n)
			}
			if !strings.Contains(all, said) {
				fail("%s grew %s, which is not said", name, said)
			}
			if strings.Contains(text, "has not grown") {
				fail("%s grew %s, which is denied", name, said)
			}
		}
		if s.Grown != nil && s.grewBy(s.Grown, name) > 0 && strings.Contains(text, "but not in the last") {
			fail("%s grew since the last look, which is denied", name)
		}
	}
	if s.Grown != nil && s.Grown.Elapsed < time.Minute && s.Hour == nil && strings.Contains(all, "an hour since") {
		fail("a rate of %s", s.Grown.Elapsed)
	}
	if (s.Grown == nil || s.Grown.Elapsed < time.Hour) && s.Hour == nil && strings.Contains(all, "a working set") {
		fail("acquitted without an hour's evidence")
	}
	for _, g := range s.windows() {
		if n := account.Known(g.Of(account.CLive)); g.Elapsed >= time.Hour && n < -s.has(account.CLive)/20 && n < -2<<20 && s.Hour == nil && strings.Contains(all, "a working set") {
			fail("acquitted though it shrank by %d, which hides what grew", -n)
		}
	}
	if isLeak := strings.Contains(all, "it is a leak") || strings.Contains(all, "that is a leak"); isLeak && strings.Contains(strings.ToLower(all), "not a leak") {
		fail("not a leak beside one")
	}
	// Everything with a third of RSS is spoken of, and C's blocks from a fifth on.
	for _, name := range s.ranked() {
		if s.third(name) && told[name] == "" && !strings.Contains(all, upperFirst(speakOf(name))+": ") {
			fail("nothing is said of %s, %s", name, s.of(s.has(name)))
		}
	}
	if s.Account.Allocator.InUse == nil && strings.Contains(told[account.CRetained], "free in") || strings.Contains(told[account.CRetained], "Not a leak") &&
		(s.Account.Allocator.InUse == nil || s.large(account.CLive) || s.large(account.CMmap) || s.large(account.UntrackedMmap)) {
		fail("free, where the allocator does not say it")
	}
	for _, o := range s.Account.Owners {
		if o.Bytes == nil && o.Name != account.GoStacks && !strings.Contains(all, account.Label(o.Name)) && !strings.Contains(all, "in use is unknown") {
			fail("nothing is said of %s, which is not known", o.Name)
		}
	}
	if s.large(account.CLive) && told[account.CLive] == "" {
		fail("nothing is said of C live, %s", s.of(s.has(account.CLive)))
	}
	if strings.Contains(all, "dropped") && s.Dropped == 0 || strings.Contains(all, "was off") && s.Off == 0 ||
		strings.Contains(all, "missed") && s.Missed == 0 {
		fail("a reason that does not hold")
	}
}

// growthIn is what the table's columns of growth say.
func growthIn(s *Situation) string {
	var cells []string
	for _, g := range s.windows() {
		cells = append(cells, termtext.Growth(g.RSS), termtext.Growth(s.grewBy(g, unexplainedOwner)))
		for _, o := range s.Account.Owners {
			if n := g.Of(o.Name); n != nil {
				cells = append(cells, termtext.Growth(*n))
			}
		}
	}
	return strings.Join(cells, "\n")
}

func TestVerdictsCanBeDefended(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	spoken := map[string]int{}
	for range 20000 {
		s := randomSituation(r)
		findings := Judge(s)
		checkVerdict(t, s, growthIn(s), findings)
		for _, f := range findings {
			spoken[f.Rule]++
		}
		printed := Paragraphs(findings)
		for _, f := range findings {
			if f.pressing && !slices.Contains(printed, f.Text) {
				t.Fatalf("%s is pressing and not printed:\n%q", f.Rule, printed)
			}
		}
	}
	for _, rule := range []string{liveGrowsRule, ownerGrowsRule, estimateRule, "c_live", "c_retained", "owner_large", "unexplained", "mapped_files"} {
		if spoken[rule] < 100 {
			t.Errorf("of 20000 accounts %d make %s speak: the test does not try it", spoken[rule], rule)
		}
	}
}

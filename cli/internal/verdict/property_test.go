package verdict

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/cohort"
	"cgoheap.example/cli/internal/termtext"
)

// What no verdict may say, of any account.

// randomSituation has owners of any size, known or not, one of them unheard of, and
// sometimes an earlier look from which each has changed.
func randomSituation(r *rand.Rand) *Situation {
	s := quiet()
	s.Account.Owners = append(s.Account.Owners, part("kernel", 0),
		part("an_owner_of_a_later_version", 0))
	size := func() int64 {
		scale := float64(int64(1) << (10 + r.Intn(24)))
		return int64(r.ExpFloat64()*scale) * int64(r.Intn(3)) / 2
	}
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
	s.Account.CLiveEstimate.Bytes = num(max(0, s.Account.Resident(account.CLive)+size()-size()))
	s.Dormant, s.Dropped = r.Intn(4) == 0, uint64(r.Intn(3))
	s.Missed, s.Off = uint64(r.Intn(3)), time.Duration(r.Intn(3))*time.Second
	if r.Intn(3) == 0 {
		s.Account.Allocator.InUse = nil
	}
	for range r.Intn(6) {
		s.Held = append(s.Held, randomHeld(r, size()))
	}
	if r.Intn(4) > 0 {
		s.Grown = s.looked(r, size)
		before := s.looked(r, size)
		if before.Elapsed >= EvidenceTime && before.Elapsed > s.Grown.Elapsed {
			s.Hour = before
		}
	}
	return s
}

func randomHeld(r *rand.Rand, bytes int64) cohort.Held {
	classes := []cohort.Class{cohort.Leak, cohort.Cache, cohort.WarmUp, cohort.Churn,
		cohort.TooEarly}
	h := cohort.Held{Bytes: bytes, Why: &cohort.Why{Class: classes[r.Intn(len(classes))]}}
	h.Origin = []string{"malloc", "mmap"}[r.Intn(2)]
	if h.Class == cohort.Leak {
		h.Leaked = 1 + bytes/2
	}
	return h
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

// judged is a verdict that is checked.
type judged struct {
	*Situation
	t        *testing.T
	table    string
	findings []Finding
	all      string            // that is said
	told     map[string]string // of each owner
}

func checkVerdict(t *testing.T, s *Situation, table string, findings []Finding) {
	t.Helper()
	j := &judged{Situation: s, t: t, table: table, findings: findings, told: map[string]string{}}
	for _, f := range findings {
		j.all += f.Text + "\n"
		for _, name := range s.aboutOwners(f) {
			j.told[name] += f.Text
		}
	}
	j.checkGrowth()
	j.checkEvidence()
	j.checkOwners()
	j.checkWords()
}

func (j *judged) fail(format string, args ...any) {
	j.t.Helper()
	j.t.Fatalf("%s\n%s\n%+v", fmt.Sprintf(format, args...), j.table, j.findings)
}

// checkGrowth: growth that is printed is given wherever its owner is spoken of, and never denied.
func (j *judged) checkGrowth() {
	j.t.Helper()
	for name, text := range j.told {
		for _, g := range j.windows() {
			grew := j.grewBy(g, name)
			if grew <= 0 {
				continue
			}
			said := "by " + termtext.Bytes(grew) + " in " + termtext.Duration(g.Elapsed)
			n, inTable := strings.Count(j.all, said), "+"+termtext.Bytes(grew)
			if n > 1 && strings.Count(j.table, inTable) <= 1 {
				j.fail("%s grew %s, which is said %d times", name, said, n)
			}
			if !strings.Contains(j.all, said) {
				j.fail("%s grew %s, which is not said", name, said)
			}
			if strings.Contains(text, "has not grown") {
				j.fail("%s grew %s, which is denied", name, said)
			}
		}
		if j.Grown != nil && j.grewBy(j.Grown, name) > 0 &&
			strings.Contains(text, "but not in the last") {
			j.fail("%s grew since the last look, which is denied", name)
		}
	}
}

// checkEvidence: a rate, an acquittal and a leak each need some.
func (j *judged) checkEvidence() {
	j.t.Helper()
	hasRate := strings.Contains(j.all, "an hour since")
	if hasRate && j.Grown != nil && j.Grown.Elapsed < time.Minute && j.Hour == nil {
		j.fail("a rate of %s", j.Grown.Elapsed)
	}
	j.checkAges()
	isLeak := strings.Contains(j.all, "it is a leak") || strings.Contains(j.all, "that is a leak")
	if isLeak && strings.Contains(strings.ToLower(j.all), "not a leak") {
		j.fail("not a leak beside one")
	}
}

// checkAges: only cohorts acquit, and only what they are of.  A leak is always printed, beside
// whatever else there is.
func (j *judged) checkAges() {
	j.t.Helper()
	of, leaked := map[cohort.Class]int64{}, int64(0)
	for _, h := range j.Held {
		if leaked += h.Leaked; h.Origin == "malloc" {
			of[h.Class] += h.Bytes
		}
	}
	for class, words := range map[cohort.Class]string{
		cohort.Cache: " is a cache", cohort.WarmUp: " is from a warm-up", cohort.Churn: " is churn",
	} {
		all := strings.ReplaceAll(j.all, termtext.Bytes(of[class])+words, "")
		if strings.Contains(all, words) && of[class] == 0 || strings.Count(all, words) > 0 {
			j.fail("%q of %d bytes", words, of[class])
		}
	}
	isSaid := strings.Contains(j.all, "Leak: "+termtext.Bytes(leaked)+" that stays")
	if isSaid != (leaked > 0 && (leaked >= leakBytes || j.share(leaked) >= leakShare)) {
		j.fail("a leak of %d bytes", leaked)
	}
	for _, f := range j.findings {
		if f.Rule == leakRule && !f.pressing {
			j.fail("a leak is not pressing")
		}
	}
	if isSaid && strings.Contains(j.all, "Not a leak") {
		j.fail("not a leak beside one")
	}
}

// checkOwners: everything with a third of RSS is spoken of, and C's blocks from a fifth on.
func (j *judged) checkOwners() {
	j.t.Helper()
	for _, name := range j.ranked() {
		owner := upperFirst(speakOf(name)) + ": "
		if j.third(name) && j.told[name] == "" && !strings.Contains(j.all, owner) {
			j.fail("nothing is said of %s, %s", name, j.of(j.has(name)))
		}
	}
	kept, unknown := j.told[account.CRetained], j.Account.Allocator.InUse == nil
	mayLeak := unknown || j.large(account.CLive) || j.large(account.CMmap) ||
		j.large(account.UntrackedMmap)
	if unknown && strings.Contains(kept, "free in") ||
		mayLeak && strings.Contains(kept, "Not a leak") {
		j.fail("free, where the allocator does not say it")
	}
	for _, o := range j.Account.Owners {
		said := strings.Contains(j.all, account.Label(o.Name)) ||
			strings.Contains(j.all, "in use is unknown")
		if o.Bytes == nil && o.Name != account.GoStacks && !said {
			j.fail("nothing is said of %s, which is not known", o.Name)
		}
	}
	if j.large(account.CLive) && j.told[account.CLive] == "" {
		j.fail("nothing is said of C live, %s", j.of(j.has(account.CLive)))
	}
}

// checkWords: what is never said, and reasons only where they hold.
func (j *judged) checkWords() {
	j.t.Helper()
	for _, never := range []string{
		"rather than a leak", "a working set", "suggests a cache", "not grown since",
		"very small blocks", "%!",
	} {
		if strings.Contains(j.all, never) {
			j.fail("it says %q", never)
		}
	}
	if strings.Contains(j.all, "dropped") && j.Dropped == 0 ||
		strings.Contains(j.all, "was off") && j.Off == 0 ||
		strings.Contains(j.all, "missed") && j.Missed == 0 {
		j.fail("a reason that does not hold")
	}
}

// growthIn is what the table's columns of growth say.
func growthIn(s *Situation) string {
	var cells []string
	for _, g := range s.windows() {
		cells = append(cells, termtext.Growth(g.RSS),
			termtext.Growth(s.grewBy(g, unexplainedOwner)))
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
	for _, rule := range []string{
		liveGrowsRule, ownerGrowsRule, estimateRule,
		"c_live", "c_retained", "owner_large", "unexplained", "mapped_files",
	} {
		if spoken[rule] < 100 {
			t.Errorf("of 20000 accounts %d make %s speak: the test does not try it",
				spoken[rule], rule)
		}
	}
}

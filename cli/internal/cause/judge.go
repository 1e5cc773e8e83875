package cause

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/drift"
	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/termtext"
	"cgoheap.example/cli/internal/verdict"
)

// ruleState is what a rule has said.
type ruleState struct {
	firing bool
	alert  Alert
	grows  growth  // as it was last
	held   float64 // since when its condition holds without a break; 0: it does not
	gone   float64 // since when it does not
}

// judge goes through the rules.
func (w *Watcher) judge() []Alert {
	var changes []Alert
	now := w.last.Seconds()
	for i := range rules {
		r, s := &rules[i], &w.rules[i]
		holds, grows := r.holds(w)
		switch {
		case holds:
			s.gone = 0
			if s.held == 0 {
				s.held = now
			}
			if s.firing { // the text has today's figures
				s.grows, s.alert.Text = grows, r.text(w, grows)
				continue
			}
			if now-s.held < r.hold(w) {
				continue
			}
			since := s.held
			if r.figure != nil {
				since = grows.state.Since
			}
			s.firing, s.grows = true, grows
			s.alert = Alert{Rule: r.name, Text: r.text(w, grows), Figure: grows.name,
				Since: w.wall(since)}
			changes = append(changes, s.alert)
		case s.firing && s.gone == 0:
			s.gone = now
		case s.firing && now-s.gone >= r.gone(w):
			s.alert.Ended = true
			changes = append(changes, s.alert)
			*s = ruleState{}
		case !s.firing:
			s.held = 0
		}
	}
	return changes
}

// hold is for how long the condition must hold first.  A drift has been seen for minutes.
func (r *rule) hold(w *Watcher) float64 {
	switch {
	case r.figure == nil:
		return holdSeconds
	case r.name == fallback && w.knows(series.CLive): // what explains it may be found later
		return fallbackSeconds
	}
	return 0
}

// gone is for how long the condition must not hold before the alert ends.  A figure that is
// missing does not say that growth has ended.
func (r *rule) gone(w *Watcher) float64 {
	switch {
	case len(r.lacking(w)) > 0:
		return goneUnknownSeconds
	case r.name == fallback && w.explained():
		return 0
	}
	return goneSeconds
}

// holds says whether the rule's condition does, and what grows.
func (r *rule) holds(w *Watcher) (bool, growth) {
	if len(r.lacking(w)) > 0 {
		return false, growth{}
	}
	if r.figure == nil {
		return r.when(w, growth{}), growth{}
	}
	g := growth{name: r.figure(w)}
	g.state = w.State(g.name)
	g.grew = w.now(g.name) - g.state.From
	if g.state.Shape != drift.Growing {
		return false, g
	}
	return (w.firing(r.name) || w.matters(g)) && r.when(w, g), g
}

func (w *Watcher) firing(name string) bool {
	return slices.ContainsFunc(w.rules, func(s ruleState) bool {
		return s.firing && s.alert.Rule == name
	})
}

// matters: the figure has a part in the growth of RSS; figures that are no bytes always matter.
func (w *Watcher) matters(g growth) bool {
	if series.About(g.name).Unit != series.Bytes {
		return true
	}
	if w.State(series.RSS).Shape == drift.Growing && g.grew <
		causeShare*w.rise(series.RSS, w.State(series.RSS).Since) {
		return false
	}
	rss := w.now(series.RSS)
	return math.IsNaN(rss) || g.grew >= verdict.GrowthShare*(rss-g.grew)
}

// text is the alert's sentences.
func (r *rule) text(w *Watcher, g growth) string {
	means := r.means(w, g)
	if r.figure == nil {
		return means
	}
	said := fmt.Sprintf("%s grows by %s since %s", upperFirst(label(g.name)),
		rate(g.name, w.slope(g.name, g.state)), w.clock(g.state.Since))
	if !math.IsNaN(g.grew) {
		said += fmt.Sprintf(", %s so far", amount(g.name, g.grew))
	}
	said += "."
	if series.About(g.name).Unit == series.Count {
		said = strings.Replace(said, " grows by ", " grow by ", 1)
	}
	return joined(said, means, w.together(g), verdict.WhereToLook(w.situation(), r.owner))
}

// rate per minute, with its interval where that is sure.
func rate(name string, s drift.Slope) string {
	const minute = 60
	text := amount(name, s.PerSecond*minute) + " a minute"
	if s.Low > 0 {
		text += fmt.Sprintf(" (%s to %s)", amount(name, s.Low*minute), amount(name, s.High*minute))
	}
	return text
}

// clock is the wall time of a moment, with the day if it is long ago.
func (w *Watcher) clock(seconds float64) string {
	at := w.wall(seconds).Local()
	if w.last.Seconds()-seconds > (12 * time.Hour).Seconds() {
		return at.Format("2006-01-02 15:04")
	}
	return at.Format("15:04")
}

// situation is the last samples as the verdict knows them.
func (w *Watcher) situation() *verdict.Situation {
	known := func(name string) *int64 {
		v := w.now(name)
		if math.IsNaN(v) || !w.knows(name) {
			return nil
		}
		n := int64(v)
		return &n
	}
	a := &account.Account{RSS: account.Known(known(series.RSS))}
	for name := range w.detectors {
		if owner, ok := series.OwnerOf(name); ok {
			a.Owners = append(a.Owners, account.Owner{Name: owner, Bytes: known(name)})
		}
	}
	a.Go.HeapFree, a.Go.HeapInUse = known(goFree), known(series.GoInUse)
	a.Process.VMSwap, a.Cgroup.Limit = known(series.Swap), known(series.CgroupLimit)
	if n := w.unreclaimable(); !math.IsNaN(n) {
		bytes := int64(n)
		a.Cgroup.Current = &bytes
	}
	return &verdict.Situation{Account: a, PID: w.options.PID, GoPprof: w.options.GoPprof}
}

// unreclaimable is what the kernel cannot take from this process without swap: files go first.
// The cgroup's own figure has the page cache in it, and fills up to the limit without harm.
func (w *Watcher) unreclaimable() float64 {
	n := w.now(series.RSSAnon)
	if shared := w.now(series.RSSShmem); shared > 0 {
		n += shared
	}
	return n
}

// Alerts are those that have begun and not ended, with today's figures.
func (w *Watcher) Alerts() []Alert {
	var firing []Alert
	for i := range w.rules {
		if w.rules[i].firing {
			firing = append(firing, w.rules[i].alert)
		}
	}
	return firing
}

// Lack is a rule that cannot be judged, and the figures that it lacks.
type Lack struct {
	Rule    string
	Figures []string
}

func (l Lack) String() string {
	var labels []string
	for _, need := range l.Figures {
		var either []string
		for _, name := range strings.Split(need, "|") {
			either = append(either, label(name))
		}
		labels = append(labels, strings.Join(either, " or "))
	}
	return fmt.Sprintf("%s is not judged: it lacks %s", l.Rule, strings.Join(labels, ", "))
}

// Lacks are the rules that cannot be judged now.
func (w *Watcher) Lacks() []Lack {
	var lacks []Lack
	for i := range rules {
		if missing := rules[i].lacking(w); len(missing) > 0 {
			lacks = append(lacks, Lack{rules[i].name, missing})
		}
	}
	return lacks
}

// amount writes a figure's value.
func amount(name string, v float64) string {
	switch series.About(name).Unit {
	case series.Bytes:
		return termtext.Bytes(int64(v))
	case series.Nanoseconds:
		return time.Duration(v).Round(time.Microsecond).String()
	case series.Count:
		return termtext.Count(int64(math.Round(v)))
	}
	if strings.HasSuffix(name, "_ns") {
		return time.Duration(v).Round(time.Microsecond).String()
	}
	return fmt.Sprintf("%.3g", v)
}

// label of a figure in a sentence.
func label(name string) string {
	switch name {
	case goFree:
		return "free Go heap"
	case pauseEach:
		return "GC pauses"
	}
	return series.About(name).Label
}

// ownerOf a figure in an account; "": it is no owner's.
func ownerOf(figure string) string {
	switch figure {
	case series.CLive:
		return account.CLive
	case series.CRetained:
		return account.CRetained
	case series.CMmap:
		return account.CMmap
	case series.ThreadStacks:
		return account.ThreadStacks
	}
	if owner, ok := series.OwnerOf(figure); ok {
		return owner
	}
	return ""
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// joined are the sentences that are not "".
func joined(sentences ...string) string {
	var said []string
	for _, s := range sentences {
		if s != "" {
			said = append(said, s)
		}
	}
	return strings.Join(said, " ")
}

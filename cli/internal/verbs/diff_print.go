package verbs

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/difference"
	"cgoheap.example/cli/internal/holders"
	figures "cgoheap.example/cli/internal/sampling"
	"cgoheap.example/cli/internal/termtext"
)

// What diff shows.

// amount of a figure: bytes or objects.
func (o *diffOptions) amount(n int64) string {
	if o.Figure.IsBytes() {
		return termtext.Bytes(n)
	}
	return termtext.Count(n)
}

func (o *diffOptions) signed(n int64) string {
	if n > 0 {
		return "+" + o.amount(n)
	}
	return o.amount(n)
}

// between is an interval of a change: of objects three digits, as bytes are rounded too.
func (o *diffOptions) between(low, high int64) string {
	limit := func(n int64) string {
		if !o.Figure.IsBytes() && n != 0 {
			unit := int64(math.Pow10(max(0, int(math.Log10(math.Abs(float64(n))))-2)))
			n = int64(math.Round(float64(n)/float64(unit))) * unit
		}
		return o.signed(n)
	}
	return limit(low) + " to " + limit(high)
}

func isEstimated(d *difference.Difference) bool {
	return d.Before.Profile.Period > 1 || d.After.Profile.Period > 1
}

func (o *diffOptions) print(std stdio, d *difference.Difference) {
	width := textWidth(std)
	line := func(text string) { termtext.WriteWrapped(std.out, text, "", width) }
	for _, text := range momentLines(d) {
		fmt.Fprintln(std.out, text)
	}
	line(o.totalLine(d))
	for _, note := range d.Notes {
		line("note: " + termtext.Escape(note))
	}
	rows := o.wanted(d)
	if len(rows) > 0 {
		fmt.Fprintln(std.out)
		o.printRows(std, d, rows)
	}
	fmt.Fprintln(std.out)
	for _, text := range o.restLines(d) {
		line(text)
	}
}

// momentLines: one process has one line, two have one each.
func momentLines(d *difference.Difference) []string {
	a, b := d.Before, d.After
	sampled := "sampled " + a.Interval()
	if a.Interval() != b.Interval() {
		sampled += ", then " + b.Interval()
	}
	if !d.IsOne {
		return []string{momentLine(a), momentLine(b)}
	}
	parts := []string{b.Title(), sampled}
	if !a.Time.IsZero() && !b.Time.IsZero() {
		parts = []string{parts[0], fmt.Sprintf("%s to %s (%s)", clock(a.Time, b.Time),
			clock(b.Time, a.Time), termtext.Duration(b.Time.Sub(a.Time))), parts[1]}
	}
	return []string{strings.Join(parts, "  ")}
}

func momentLine(m *difference.Moment) string {
	text := m.Label + ": " + m.Title()
	if !m.Started.IsZero() {
		text += ", started " + m.Started.Local().Format(time.DateTime)
	}
	if !m.Time.IsZero() {
		text += ", taken " + m.Time.Local().Format(time.DateTime)
	}
	return text + ", sampled " + m.Interval()
}

// clock has the day if the two are not of one.
func clock(t, other time.Time) string {
	t, other = t.Local(), other.Local()
	if t.Format(time.DateOnly) != other.Format(time.DateOnly) {
		return t.Format(time.DateTime)
	}
	return t.Format(time.TimeOnly)
}

// state of the blocks that the figure counts.
func (o *diffOptions) state() string {
	if o.Figure == figures.AllocBytes || o.Figure == figures.AllocObjects {
		return "allocated"
	}
	return "in use"
}

func (o *diffOptions) totalLine(d *difference.Difference) string {
	estimate := func(n int64) string { return termtext.Estimate(o.amount(n), isEstimated(d)) }
	t := d.Total
	text := fmt.Sprintf("%s %s %s, then %s: ", d.Before.Kind(), o.state(), estimate(t.Before),
		estimate(t.After))
	if !o.Figure.IsBytes() {
		text = "objects of " + text
	}
	switch {
	case d.IsSame:
		return text + "nothing changed, it is the same profile"
	case t.Change == 0 && t.Low == 0 && t.High == 0 && len(d.Rows) == 0:
		return text + "nothing changed"
	}
	text += o.signed(t.Change)
	if t.Low != t.High {
		text += fmt.Sprintf(" (%s)", o.between(t.Low, t.High))
	}
	if d.IsOne && !d.Before.Time.IsZero() {
		g := &account.Growth{Elapsed: d.After.Time.Sub(d.Before.Time)}
		if rate := g.PerHour(t.Change); rate != nil {
			text += fmt.Sprintf(", %s an hour", o.signed(*rate))
		}
	}
	return text
}

// wanted rows, of those that match.
func (o *diffOptions) wanted(d *difference.Difference) []difference.Row {
	rows := d.Rows
	if o.All {
		rows = append(rows[:len(rows):len(rows)], d.Noise...)
	}
	if o.filter == nil {
		return rows
	}
	var kept []difference.Row
	for _, r := range rows {
		if o.filter.MatchString(r.GoCaller) || o.filter.MatchString(r.CLeaf) {
			kept = append(kept, r)
		}
	}
	return kept
}

var (
	diffColumns = []string{"CHANGE", "BETWEEN", "NOW", "WHAT", "GO CALLER", "C LEAF"}
	diffSpare   = []string{"WHAT", "NOW", "BETWEEN", "C LEAF"}
)

func (o *diffOptions) printRows(std stdio, d *difference.Difference, rows []difference.Row) {
	shown := rows[:min(o.rows, len(rows))]
	cells := [][]string{diffColumns}
	for i := range shown {
		cells = append(cells, o.cells(&shown[i]))
	}
	for i, text := range tableLines(std, cells, diffSpare) {
		fmt.Fprintln(std.out, text)
		if i > 0 && o.stacks {
			for _, f := range shown[i-1].Stack {
				fmt.Fprintln(std.out, "    "+termtext.Escape(f))
			}
		}
	}
	if left := len(rows) - len(shown); left > 0 {
		fmt.Fprintf(std.out, "and %s\n", termtext.CountOf(left, "row more", "rows more"))
	}
}

func (o *diffOptions) cells(r *difference.Row) []string {
	between, now := "counted", o.amount(r.After)
	if r.Low != r.High {
		between, now = o.between(r.Low, r.High), "~"+now
	}
	change := o.signed(r.Change)
	if !r.Changed {
		change = "(" + change + ")"
	}
	what := (&holders.Row{RowKey: r.RowKey}).What()
	what = strings.Replace(what, "in use", o.state(), 1)
	return []string{change, between, now, what, termtext.Escape(r.GoCaller),
		termtext.Escape(r.CLeaf)}
}

// restLines are what the rows do not show, and how sure they are.
func (o *diffOptions) restLines(d *difference.Difference) (lines []string) {
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	stacks := func(n int) string { return termtext.CountOf(n, "stack", "stacks") }
	if len(d.Rows) == 0 && !d.IsSame {
		add("no stack changed by more than its sampling error, at %s confidence",
			percentage(o.Confidence))
	}
	if n := d.Rest.Stacks; n > 0 {
		whose := map[bool]string{true: "its", false: "their"}[n == 1]
		add("%s changed by less than %s sampling error: %s together (%s)", stacks(n), whose,
			o.signed(d.Rest.Change), o.between(d.Rest.Low, d.Rest.High))
	}
	if d.Same > 0 {
		add("nothing came or went in %s", stacks(d.Same))
	}
	if d.Tested > 0 && len(d.Rows) > 0 {
		add("with %s confidence no row is noise (%s had samples enough to tell; each row is "+
			"%s sure)", percentage(o.Confidence), stacks(d.Tested), percentage(d.RowConfidence))
	}
	return lines
}

// percentage has as many digits as a share near 1 needs, and never says more: 95 %, 99.98 %.
func percentage(share float64) string {
	left := 100 * (1 - share)
	digits := max(0, 1-int(math.Floor(math.Log10(left))))
	unit := math.Pow10(-digits)
	shown := math.Floor((100-left)/unit+1e-6) * unit
	text := strconv.FormatFloat(shown, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text + " %"
}

type diffJSON struct {
	Before        momentJSON       `json:"before"`
	After         momentJSON       `json:"after"`
	Elapsed       *int64           `json:"elapsed_ns"` // null: not known
	OneProcess    bool             `json:"one_process"`
	Restarted     bool             `json:"restarted"`
	SampleIndex   string           `json:"sample_index"`
	Unit          string           `json:"unit"`
	Estimated     bool             `json:"estimated"`
	Confidence    float64          `json:"confidence"`
	RowConfidence float64          `json:"row_confidence"`
	Tested        int              `json:"stacks_tested"`
	Same          int              `json:"stacks_same"`
	Total         difference.Sum   `json:"total"`
	Rest          difference.Sum   `json:"rest"`
	Rows          []difference.Row `json:"rows"`
	RowsLeft      int              `json:"rows_left_out"`
	Notes         []string         `json:"notes"`
}

type momentJSON struct {
	Name        string  `json:"name"`
	Program     *string `json:"program"`
	PID         *int    `json:"pid"`
	Started     *string `json:"start_time"`
	Time        *string `json:"time"`
	SampleBytes int64   `json:"sample_bytes"`
}

func momentOf(m *difference.Moment) momentJSON {
	j := momentJSON{Name: m.Label, SampleBytes: max(m.Profile.Period, 1)}
	if m.Program != "" {
		j.Program = &m.Program
	}
	if m.PID != 0 {
		j.PID = &m.PID
	}
	moment := func(t time.Time) *string {
		if t.IsZero() {
			return nil
		}
		text := t.UTC().Format(time.RFC3339Nano)
		return &text
	}
	j.Started, j.Time = moment(m.Started), moment(m.Time)
	return j
}

func (o *diffOptions) toJSON(d *difference.Difference) diffJSON {
	rows := o.wanted(d)
	shown := append([]difference.Row{}, rows[:min(o.rows, len(rows))]...)
	j := diffJSON{Before: momentOf(d.Before), After: momentOf(d.After), OneProcess: d.IsOne,
		Restarted: d.IsRestart, SampleIndex: o.Figure.String(), Unit: "objects",
		Estimated: isEstimated(d), Confidence: o.Confidence, RowConfidence: d.RowConfidence,
		Tested: d.Tested, Same: d.Same, Total: d.Total, Rest: d.Rest, Rows: shown,
		RowsLeft: len(rows) - len(shown), Notes: append([]string{}, d.Notes...)}
	if o.Figure.IsBytes() {
		j.Unit = "bytes"
	}
	if d.IsOne && !d.Before.Time.IsZero() && !d.After.Time.IsZero() {
		elapsed := int64(d.After.Time.Sub(d.Before.Time))
		j.Elapsed = &elapsed
	}
	return j
}

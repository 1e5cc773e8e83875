package verbs

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/cohort"
	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/termtext"
	"cgoheap.example/cli/internal/verdict"
)

// What top shows of one look.

// header is the lines above the table, each safe for a terminal.
func (v *view) header() []string {
	s, sum := v.status, v.summary
	first := headline(s, v.process)
	if v.rss >= 0 {
		first += "  RSS " + termtext.Bytes(v.rss)
	}
	second := fmt.Sprintf("C memory in use %s in %s", sum.Amount(),
		termtext.Estimate(termtext.CountOf(int(sum.Objects), "object", "objects"), sum.Estimated))
	if sum.Growth != nil {
		second += ", " + termtext.Growth(*sum.Growth) + " since the last look"
	}
	if line := v.grownLine(); line != "" {
		second += ", " + line
	}
	lines := []string{first, second}
	if line := sum.MappedLine(); line != "" {
		lines = append(lines, line)
	}
	return append(lines, v.notes()...)
}

// grown is the growth of what is in use since the first look; nil on the first.
func (v *view) grown() *account.Growth {
	if v.first == nil {
		return nil
	}
	return &account.Growth{Since: v.first.time, Elapsed: v.time.Sub(v.first.time)}
}

// grownLine is "" until the time is long enough for a rate: "+24.0 MiB since 14:02 (1.4 GiB an
// hour)".
func (v *view) grownLine() string {
	g := v.grown()
	if g == nil {
		return ""
	}
	n := v.inUse - v.first.inUse
	rate := g.PerHour(n)
	if rate == nil {
		return ""
	}
	return fmt.Sprintf("%s since %s (%s an hour)", termtext.Growth(n), g.Clock(),
		termtext.Growth(*rate))
}

// notes are what a reader has to know before the table.
func (v *view) notes() []string {
	lines := cautions(v.status, v.process.PID)
	if v.rss >= 0 && v.summary.Bytes > v.rss+v.sampleMargin() {
		lines = append(lines, "more is in use than resident: blocks that were never touched or "+
			"are swapped out are not in the RSS")
	}
	return lines
}

// sampleMargin is how far the samples may be off. Their standard error is the root of bytes times
// interval for small blocks, and less for large ones.
func (v *view) sampleMargin() int64 {
	if !v.summary.Estimated {
		return 0
	}
	interval := max(v.status.SampleBytes, v.status.ConfiguredSampleBytes)
	return int64(verdict.EstimateErrors * math.Sqrt(float64(max(v.summary.Bytes, 0))*float64(
		interval)))
}

var topColumns = []string{"BYTES", errorColumn, "GROWTH", "OBJECTS", "WHAT", "GO CALLER", "C LEAF"}

// errorColumn is left out if everything is exact.
const errorColumn = "ERROR"

// textColumns are those that come after the figures.
var textColumns = []string{"WHAT", "WAITS FOR", "GO CALLER"}

// rightOf says which columns of the table are aligned to the right: the figures.
func rightOf(cells [][]string) []bool {
	right := make([]bool, len(cells[0]))
	for i, name := range cells[0] {
		if slices.Contains(textColumns, name) {
			break
		}
		right[i] = true
	}
	return right
}

func (v *view) cells(limit int) [][]string {
	rows := [][]string{topColumns}
	for _, r := range v.summary.Rows[:min(limit, len(v.summary.Rows))] {
		growth := "-"
		if r.Growth != nil {
			growth = termtext.Growth(*r.Growth)
		}
		rows = append(rows, []string{r.Amount(v.summary.Estimated), r.Margin(), growth,
			r.Count(v.summary.Estimated), r.What(), termtext.Escape(r.GoCaller),
			termtext.Escape(r.CLeaf)})
	}
	if !v.summary.Estimated {
		rows, _ = withoutColumn(rows, rightOf(rows), errorColumn)
	}
	return rows
}

// lines of the table, cut to the terminal's width if there is one.
func (v *view) lines(std stdio, limit int) []string {
	return tableLines(std, v.cells(limit), spareColumns)
}

// tableLines are cut to the terminal's width if there is one; spare columns go first.
func tableLines(std stdio, cells [][]string, spare []string) []string {
	if width := widthOf(std); width > 0 {
		return fitTable(cells, spare, width)
	}
	var table bytes.Buffer
	termtext.WriteTable(&table, rightOf(cells), cells)
	return strings.Split(strings.TrimRight(table.String(), "\n"), "\n")
}

// widthOf the terminal; 0: there is none.
func widthOf(std stdio) int {
	if std.terminal != nil {
		if width, _, err := term.GetSize(int(std.terminal.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 0
}

func (v *view) print(std stdio, limit int) {
	fmt.Fprintf(std.out, "%s\n\n", strings.Join(v.header(), "\n"))
	if len(v.summary.Rows) == 0 {
		fmt.Fprintln(std.out, v.summary.NoRows())
		return
	}
	if v.why != nil {
		for _, line := range v.whyLines(widthOf(std), limit) {
			fmt.Fprintln(std.out, line)
		}
		v.printLeft(std, limit)
		return
	}
	for i, line := range v.lines(std, limit) {
		fmt.Fprintln(std.out, line)
		if i > 0 {
			for _, f := range v.summary.Rows[i-1].Stack {
				fmt.Fprintln(std.out, "    "+termtext.Escape(f))
			}
		}
	}
	v.printLeft(std, limit)
}

func (v *view) printLeft(std stdio, limit int) {
	if left := len(v.summary.Rows) - limit; left > 0 {
		fmt.Fprintf(std.out, "and %s\n", termtext.CountOf(left, "row more", "rows more"))
	}
}

type topJSON struct {
	PID         int    `json:"pid"`
	Program     string `json:"program"`
	Time        string `json:"time"`
	State       string `json:"state"`
	SampleBytes uint64 `json:"sample_bytes"`
	Estimated   bool   `json:"estimated"`
	RSS         *int64 `json:"rss_bytes"`
	Bytes       int64  `json:"in_use_bytes"`
	Objects     int64  `json:"in_use_objects"`
	Growth      *int64 `json:"growth_bytes"`
	holders.Errors
	Notes    []string              `json:"notes"`  // what the lines above the table say
	Mapped   map[string]mappedJSON `json:"mapped"` // by origin
	Rows     []rowJSON             `json:"rows"`
	RowsLeft int                   `json:"rows_left_out"`
}

// rowJSON is a row, with --why what is known of it.
type rowJSON struct {
	holders.Row
	*cohort.Why
}

type mappedJSON struct {
	Resident *int64 `json:"resident_bytes"` // null: not known
	Mapped   int64  `json:"mapped_bytes"`
}

func (v *view) toJSON(limit int) topJSON {
	shown := []rowJSON{}
	for _, r := range holders.Stated(v.summary.Rows[:min(limit, len(v.summary.Rows))]) {
		shown = append(shown, rowJSON{r, v.why.of(r.RowKey)})
	}
	t := topJSON{
		PID: v.process.PID, Program: v.process.Program(), Time: v.time.UTC().Format(time.RFC3339),
		State: v.status.State, SampleBytes: v.status.SampleBytes, Estimated: v.summary.Estimated,
		Bytes: v.summary.Bytes, Objects: v.summary.Objects, Growth: v.summary.Growth,
		Errors: v.summary.Errors(),
		Notes:  append([]string{}, v.notes()...), Mapped: map[string]mappedJSON{},
		Rows: shown, RowsLeft: len(v.summary.Rows) - len(shown),
	}
	for origin, sum := range v.summary.Mapped {
		m := mappedJSON{Mapped: sum.Mapped}
		if v.summary.Resident {
			m.Resident = &sum.Bytes
		}
		t.Mapped[origin] = m
	}
	if v.rss >= 0 {
		t.RSS = &v.rss
	}
	return t
}

package verbs

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/cohort"
	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/stacks"
	"cgoheap.example/cli/internal/termtext"
)

// What `top --why` adds: why the memory of each row is still there.

// reasons are what is known of each row.
type reasons map[holders.RowKey]*cohort.Why

// of a row; nil: nothing is known.
func (r reasons) of(key holders.RowKey) *cohort.Why { return r[key] }

// Cohorts change slowly.  For an account the kernel walks the page tables.
const (
	agesPause    = 5 * time.Second
	accountPause = time.Minute
)

// ages are looked at repeatedly.
type ages struct {
	at      time.Time
	was     reasons
	account *account.Account // for Go's figures
}

func (a *ages) look(c *attach.Client, callers *stacks.CallerRule) (reasons, error) {
	if a.was != nil && time.Since(a.at) < agesPause {
		return a.was, nil
	}
	table, err := cohortsOf(c, callers)
	if err != nil {
		return nil, err
	}
	held := table.Judge(nil)
	if cohort.NeedsGC(held) {
		if a.account == nil || time.Since(a.account.Time) > accountPause {
			a.account, _, _ = c.Account() // without it the time of the last GC is not known
		}
		held = table.Judge(a.account)
	}
	a.at, a.was = time.Now(), reasons{}
	for _, h := range held {
		a.was[h.RowKey] = h.Why
	}
	return a.was, nil
}

func cohortsOf(c *attach.Client, callers *stacks.CallerRule) (*cohort.Table, error) {
	p, err := c.ProfileByAge()
	if err != nil {
		return nil, err
	}
	table, err := cohort.Read(p, callers)
	if err != nil {
		return nil, fmt.Errorf("%s sent a profile that cannot be read: %s", c.Process.Title(),
			termtext.Escape(err.Error()))
	}
	return table, nil
}

var whyColumns = []string{"IN USE", "SURVIVES", "WAITS FOR", "GO CALLER", "C LEAF", ""}

// whyCells are the rows of the table; the last cell of each is its sentence.
func (v *view) whyCells(limit int) [][]string {
	cells := [][]string{slices.Clone(whyColumns)}
	for _, r := range v.summary.Rows[:min(limit, len(v.summary.Rows))] {
		w := v.why.of(r.RowKey)
		survives, waits, says := "-", "-", "not known by age"
		if w != nil {
			survives, waits, says = w.Percent(), w.Waits(), w.Says
		}
		cells = append(cells, []string{r.Amount(v.summary.Estimated), survives, waits,
			termtext.Escape(r.GoCaller), termtext.Escape(r.CLeaf), termtext.Escape(says)})
	}
	return cells
}

var whyRight = []bool{true, true, false, false, false, false}

// whyRows are the table's lines: the header, and those of each row.  width 0: as long as they are.
// Where a sentence does not fit beside its row, all are below theirs.
func (v *view) whyRows(width, limit int) [][]string {
	cells := v.whyCells(limit)
	if wide := writeTable(whyRight, cells); width == 0 || widest(wide) <= width {
		rows := make([][]string, len(wide))
		for i, line := range wide {
			rows[i] = []string{line}
		}
		return rows
	}
	says := make([]string, len(cells))
	for i, row := range cells {
		says[i], cells[i] = row[5], row[:5]
	}
	var rows [][]string
	for i, line := range fitTable(cells, []string{"WAITS FOR", "C LEAF"}, width) {
		row := []string{line}
		if i > 0 {
			for _, text := range termtext.Wrap(says[i], max(width-2, 20)) {
				row = append(row, "  "+termtext.CutEnd(text, width-2))
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func writeTable(right []bool, cells [][]string) []string {
	var table bytes.Buffer
	termtext.WriteTable(&table, right, cells)
	return strings.Split(strings.TrimRight(table.String(), "\n"), "\n")
}

func widest(lines []string) int {
	width := 0
	for _, line := range lines {
		width = max(width, utf8.RuneCountInString(line))
	}
	return width
}

func (v *view) whyLines(width, limit int) []string {
	return slices.Concat(v.whyRows(width, limit)...)
}

// whyFrame are as many rows, up to limit, as fit in height, and their number.
func (v *view) whyFrame(width, height, limit int) (lines []string, shown int) {
	for i, row := range v.whyRows(width, limit) {
		if len(lines)+len(row) > height && i > 1 {
			break
		}
		lines, shown = append(lines, row...), i
	}
	return lines, shown
}

package verbs

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/termtext"
	"cgoheap.example/cli/internal/verdict"
)

// The tables of `cgoheap explain`.

// printOwners prints the table, with details under an owner's row.
func (e *explanation) printOwners(std stdio, width int) {
	a := e.account
	windows := account.Windows(e.grown, e.hour)
	rows := [][]string{{"OWNER", "RESIDENT", "SHARE"}}
	for _, g := range windows {
		rows[0] = append(rows[0], g.Column())
	}
	if len(windows) > 0 {
		rows[0][3] = "GROWN"
	}
	details := [][]string{nil}
	add := func(label, resident string, bytes int64, grown func(*account.Growth) *int64,
		inside []string) {
		row := []string{label, resident, "-"}
		if a.RSS > 0 && resident != "-" {
			row[2] = fmt.Sprintf("%.1f %%", 100*float64(bytes)/float64(a.RSS))
		}
		for _, g := range windows {
			change := "-"
			if n := grown(g); n != nil {
				change = termtext.Growth(*n)
			}
			row = append(row, change)
		}
		rows = append(rows, row)
		details = append(details, inside)
	}
	for _, o := range a.Owners {
		inside := e.details(o)
		grown := func(g *account.Growth) *int64 { return g.Of(o.Name) }
		switch {
		case o.Bytes == nil:
			add(account.Label(o.Name), "-", 0, grown, inside)
		case *o.Bytes != 0 || account.Known(e.grown.Of(o.Name)) != 0 ||
			account.Known(e.hour.Of(o.Name)) != 0 || o.Name == account.CLive:
			add(account.Label(o.Name), termtext.Estimate(termtext.Bytes(*o.Bytes), !o.Exact),
				*o.Bytes, grown, inside)
		}
	}
	add("unexplained", termtext.Bytes(a.Unexplained), a.Unexplained,
		func(g *account.Growth) *int64 {
			change := a.Unexplained - g.Last.Unexplained
			return &change
		}, nil)
	add("RSS", termtext.Bytes(a.RSS), a.RSS, func(g *account.Growth) *int64 { return &g.RSS }, nil)
	// shares follow from the bytes, growth from nothing else
	if len(windows) > 0 && tableWidth(rows) > width {
		for i := range rows {
			rows[i] = slices.Delete(rows[i], 2, 3)
		}
	}
	// the verdict says the longer one if it matters
	if len(windows) > 1 && tableWidth(rows) > width {
		for i := range rows {
			rows[i] = rows[i][:len(rows[i])-1]
		}
	}
	printDetailed(std, rows, details, width)
}

func tableWidth(rows [][]string) int {
	width := 2 * (len(rows[0]) - 1)
	for i := range rows[0] {
		width += termtext.ColumnWidth(rows, i)
	}
	return width
}

func printDetailed(std stdio, rows, details [][]string, width int) {
	var table bytes.Buffer
	termtext.WriteTable(&table, []bool{false, true, true, true, true}[:len(rows[0])], rows)
	for i, line := range strings.Split(strings.TrimRight(table.String(), "\n"), "\n") {
		fmt.Fprintln(std.out, line)
		for _, d := range details[i] {
			printDetail(std, d, width)
		}
	}
}

// printDetail breaks long lines, but cuts stacks: their root matters least.
func printDetail(std stdio, d string, width int) {
	lines := []string{termtext.CutEnd(d, width-2)}
	if lines[0] != d && !strings.Contains(d, " < ") {
		lines = termtext.Wrap(d, width-4)
	}
	fmt.Fprintln(std.out, "  "+lines[0])
	for _, line := range lines[1:] {
		fmt.Fprintln(std.out, "    "+line)
	}
}

// details are lines, each safe for a terminal.
func (e *explanation) details(o account.Owner) []string {
	var lines []string
	add := func(line string) {
		if line != "" {
			lines = append(lines, line)
		}
	}
	switch o.Name {
	case account.GoHeap:
		add(e.insideGoHeap())
		add(e.insideGoObjects())
	case account.GoStacks:
		add(e.insideGoStacks(o))
	case account.GoMetadata:
		if n := e.account.Go.Metadata; n != nil {
			add(termtext.Bytes(*n) + " by the runtime's count, touched or not")
		}
	case account.CLive:
		add(e.insideLive())
		add(e.account.DebtLine())
		lines = append(lines, e.heldLines()...)
	case account.CRetained:
		add(e.insideRetained())
		add(e.account.Kept.Line())
		lines = append(lines, e.account.Kept.PinnedBy.Lines(e.callers)...)
	case account.CMmap:
		if o.Mapped != nil && *o.Mapped > account.Known(o.Bytes) {
			add(termtext.Bytes(*o.Mapped) + " mapped and usable")
		}
		lines = append(lines, e.account.PrivateLines()...)
		lines = append(lines, e.account.MmapLines(e.callers)...)
	case account.CBrk, account.FileCopies, account.DeviceMaps, account.MappedFiles,
		account.SharedMemory:
		lines = append(lines, e.account.MappedLines(o.Name, e.callers)...)
	case account.ThreadStacks:
		add(e.account.StacksCount() + mappedOf(o))
		if account.Known(o.Bytes) >= shownStackBytes {
			lines = append(lines, e.account.MappedLines(o.Name, e.callers)...)
		}
	}
	if o.Name == account.UntrackedMmap && account.Known(o.Bytes) >= verdict.NotableBytes {
		lines = append(lines, e.account.Untracked.Lines(e.callers)...)
	}
	add(kernelKinds(o))
	return lines
}

func (e *explanation) insideGoHeap() string {
	g := &e.account.Go
	if g.HeapInUse == nil && g.HeapFree == nil && g.HeapReleased == nil {
		if e.recorded {
			return "how much of it is in use is unknown"
		}
		return "how much of it is in use is unknown; --go-pprof URL asks the service"
	}
	return fmt.Sprintf("in use %s, free and not returned %s, released %s (%s)",
		termtext.BytesOrDash(g.HeapInUse), termtext.BytesOrDash(g.HeapFree),
		termtext.BytesOrDash(g.HeapReleased), termtext.Escape(cmp.Or(g.Source, "-")))
}

// insideGoObjects is known only from the Go package.
func (e *explanation) insideGoObjects() string {
	g := &e.account.Go
	if g.HeapLive == nil || g.HeapDead == nil {
		return ""
	}
	return fmt.Sprintf("in use are objects found live %s, dead or newer ones %s, gaps %s",
		termtext.Bytes(*g.HeapLive),
		termtext.Bytes(*g.HeapDead), termtext.BytesOrDash(g.HeapUnused))
}

func (e *explanation) insideGoStacks(o account.Owner) string {
	text := e.goStacksCount(o)
	if n := e.account.Go.Goroutines; n != nil && text != "" {
		text += ", " + termtext.CountOf(int(*n), "goroutine", "goroutines")
	}
	return text
}

func (e *explanation) goStacksCount(o account.Owner) string {
	n := e.account.Go.Stacks
	switch {
	case o.Bytes == nil && n == nil:
		return "not known separately: included in Go heap"
	case o.Bytes == nil:
		return "included in Go heap: " + termtext.Bytes(*n) + " by the runtime's count"
	case n != nil:
		return termtext.Bytes(*n) + " by the runtime's count"
	}
	return ""
}

func (e *explanation) insideLive() string {
	var parts []string
	if n := e.account.Allocator.InUse; n != nil {
		parts = append(parts, fmt.Sprintf("in use %s, %s says", termtext.Bytes(*n), e.allocator()))
	}
	if n := e.account.CLiveEstimate.Bytes; n != nil && *n == 0 &&
		account.Known(e.account.CLiveEstimate.SampleBytes) != 1 {
		parts = append(parts, "too little for a sample")
	} else if n != nil {
		margin := account.Known(e.account.CLiveEstimate.StandardError)
		text := termtext.Estimate(termtext.Bytes(*n), margin > 0) + " by samples"
		if margin > 0 {
			text += fmt.Sprintf(" (standard error %s)", termtext.Bytes(margin))
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

const (
	shownHeld      = 3
	shownHeldBytes = 1 << 20
)

// heldLines are the largest holders and what their cohorts say.
func (e *explanation) heldLines() []string {
	var lines []string
	for _, h := range e.held {
		if h.Origin != "malloc" || h.Bytes < shownHeldBytes {
			continue
		}
		if len(lines) == shownHeld {
			break
		}
		lines = append(lines, fmt.Sprintf("%s %s, %s: %s", h.Amount(),
			termtext.Escape(h.GoCaller), termtext.Escape(h.CLeaf), termtext.Escape(h.Says)))
	}
	return lines
}

func (e *explanation) insideRetained() string {
	a := &e.account.Allocator
	var parts []string
	if a.Free != nil {
		parts = append(parts, fmt.Sprintf("free %s, %s says", termtext.Bytes(*a.Free),
			e.allocator()))
	}
	if a.Arenas != nil {
		parts = append(parts, termtext.CountOf(int(*a.Arenas), "arena", "arenas"))
	}
	if a.InUse == nil && a.Free == nil {
		parts = append(parts, "beyond what the samples stand for: how much of it is free "+
			"is unknown")
	}
	return strings.Join(parts, "; ")
}

// shownStackBytes is from how many bytes on it matters whose thread stacks they are.
const shownStackBytes = 1 << 20

func (e *explanation) allocator() string {
	return termtext.Escape(cmp.Or(e.account.Allocator.Name, "the allocator"))
}

func mappedOf(o account.Owner) string {
	if o.Mapped == nil {
		return ""
	}
	return ", " + termtext.Bytes(*o.Mapped) + " mapped"
}

// kernelKinds are bytes for which "resident" has another meaning.
func kernelKinds(o account.Owner) string {
	var parts []string
	for _, k := range []struct {
		bytes *int64
		what  string
	}{{o.Huge, "in huge pages"}, {o.Lazy, "freed lazily"}, {o.Swap, "more in swap"}} {
		if n := account.Known(k.bytes); n > 0 {
			parts = append(parts, termtext.Bytes(n)+" "+k.what)
		}
	}
	return strings.Join(parts, ", ")
}

// printKernel prints the kernel's figures, which other tools show.
func (e *explanation) printKernel(std stdio, width int) {
	p := &e.account.Process
	rss := fmt.Sprintf("VmRSS %s = RssAnon %s + RssFile %s + RssShmem %s",
		termtext.BytesOrDash(p.VMRSS), termtext.BytesOrDash(p.RSSAnon),
		termtext.BytesOrDash(p.RSSFile), termtext.BytesOrDash(p.RSSShmem))
	threads := "-"
	if p.Threads != nil {
		threads = termtext.Count(*p.Threads)
	}
	size := fmt.Sprintf("VmSize %s  VmData %s  VmStk %s  VmSwap %s  threads %s",
		termtext.BytesOrDash(p.VMSize), termtext.BytesOrDash(p.VMData),
		termtext.BytesOrDash(p.VMStk), termtext.BytesOrDash(p.VMSwap), threads)
	for _, line := range append([]string{rss, size}, e.cgroupLines()...) {
		if utf8.RuneCountInString(line) <= width {
			fmt.Fprintln(std.out, line)
			continue
		}
		termtext.WriteWrapped(std.out, line, "  ", width)
	}
}

func (e *explanation) cgroupLines() []string {
	c := &e.account.Cgroup
	if c.Version == nil || c.Current == nil {
		return []string{"no memory cgroup was found"}
	}
	limit := "no limit"
	if c.Limit != nil {
		limit = "limit " + termtext.Bytes(*c.Limit)
	}
	names := [4]string{"memory.current", "anon", "file", "kernel"}
	if *c.Version == 1 {
		names = [4]string{"usage", "rss", "cache", "kernel"}
	}
	lines := []string{
		fmt.Sprintf("cgroup v%d %s: %s %s, %s; %s %s, %s %s, %s %s, swap %s", *c.Version,
			termtext.QuoteShell(c.Path), names[0],
			termtext.Bytes(*c.Current), limit, names[1], termtext.BytesOrDash(c.Anon), names[2],
			termtext.BytesOrDash(c.File),
			names[3], termtext.BytesOrDash(c.Kernel), termtext.BytesOrDash(c.Swap)),
	}
	if why := e.account.CgroupDiffers(); why != "" {
		lines = append(lines, why)
	}
	return lines
}

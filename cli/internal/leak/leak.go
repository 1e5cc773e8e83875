// Package leak judges recordings: which C memory a program allocated after its start-up and
// still held when it ended. A recording made for a leak check is exact to the last instruction:
// it is a shared mapping of the library's tables, which the kernel keeps.
package leak

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/google/pprof/profile"

	"cgoheap.example/cgo_bridge/leaktest/suppress"
	"cgoheap.example/cli/internal/recorder"
	"cgoheap.example/cli/internal/stacks"
	"cgoheap.example/cli/internal/termtext"
)

// Rules say what is not reported.
type Rules struct {
	User, Default *suppress.List // nil: none
	IsEstimate    bool           // an interval above 1 was asked for
}

// Amount is bytes in blocks; mappings count as blocks.
type Amount struct {
	Bytes, Blocks int64
}

func (a *Amount) add(b Amount) {
	a.Bytes += b.Bytes
	a.Blocks += b.Blocks
}

// Held is what stacks hold that are one from their innermost Go frame on.
type Held struct {
	Amount
	Origin string // "malloc", "mmap"
	Ways   int    // how many stacks
	Frames []Line // leaf first, of the stack that holds most
	most   int64  // what that one holds
	goAt   int    // its innermost Go frame
}

// Line is a frame for people; File is "" where it is unknown.
type Line struct {
	Function, File string
	Line           int64
}

// Result is what one program held when it ended.
type Result struct {
	Program    string
	PID        uint32
	Leaks      []Held // largest first
	Total      Amount // of them
	Suppressed Amount
	Startup    Amount
	IsEstimate bool
	// Why it cannot be told that there is no leak.
	Unknown []string
	// What names lack, and the like.
	Notes []string
}

// Judge reads one recording. program is a file with the program's symbols, "" for where it was.
func Judge(b *recorder.Recording, program string, rules Rules) *Result {
	r := &Result{Program: b.Program, PID: b.PID, IsEstimate: rules.IsEstimate}
	r.whatIsUnknown(b)
	damages := len(b.Notes)
	symbols := recorder.FindNames(b, program)
	for _, note := range b.Notes[damages:] { // of files with lines, not of the recording
		r.Notes = append(r.Notes, termtext.Escape(note))
	}
	byStack := map[string]*Held{}
	for _, s := range b.Profile(symbols).Sample {
		r.addSample(s, rules, byStack)
	}
	for _, h := range byGo(byStack) {
		r.Leaks = append(r.Leaks, *h)
		r.Total.add(h.Amount)
	}
	slices.SortFunc(r.Leaks, func(a, b Held) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(keyOf(&a), keyOf(&b)))
	})
	for _, why := range symbols.Missing() {
		r.Notes = append(r.Notes, "no names from "+why)
	}
	return r
}

// addSample merges block sizes of one stack.
func (r *Result) addSample(s *profile.Sample, rules Rules, byStack map[string]*Held) {
	amount := Amount{Blocks: s.Value[2], Bytes: s.Value[3]}
	origin := s.Label["origin"][0]
	if amount == (Amount{}) || origin == "thread_stack" {
		return
	}
	frames := framesOf(s)
	switch {
	case suppress.IsStartup(frames):
		r.Startup.add(amount)
		return
	case rules.User.Match(frames) != nil || rules.Default.Match(frames) != nil:
		r.Suppressed.add(amount)
		return
	}
	lines := linesOf(s)
	one := &Held{Origin: origin, Frames: lines}
	if known := byStack[keyOf(one)]; known != nil {
		one = known
	} else {
		byStack[keyOf(one)] = one
	}
	one.Amount.add(amount)
	one.goAt = suppress.FirstGo(frames)
}

// byGo merges stacks that are one from their innermost Go frame on.
func byGo(stacks map[string]*Held) map[string]*Held {
	merged := map[string]*Held{}
	for _, one := range stacks {
		key := keyOf(&Held{Origin: one.Origin, Frames: one.Frames[one.goAt:]})
		h := merged[key]
		if h == nil {
			h = &Held{Origin: one.Origin, Frames: one.Frames}
			merged[key] = h
		}
		if h.Ways++; one.Bytes > h.most {
			h.most, h.Frames = one.Bytes, one.Frames
		}
		h.Amount.add(one.Amount)
	}
	return merged
}

func keyOf(h *Held) string { return fmt.Sprint(h.Origin, h.Frames) }

// framesOf and linesOf have the same frames: for the rules, and for people.
func framesOf(s *profile.Sample) (frames []suppress.Frame) {
	at := 0
	names := stacks.FramesOf(s)
	for _, l := range s.Location {
		module := ""
		if l.Mapping != nil {
			module = l.Mapping.File
		}
		for i := range max(len(l.Line), 1) {
			f := suppress.Frame{Function: names[at].Name, Module: module,
				Inlined: i+1 < len(l.Line)}
			if i < len(l.Line) && l.Line[i].Function != nil {
				f.File = l.Line[i].Function.Filename
			}
			frames = append(frames, f)
			at++
		}
	}
	return frames
}

func linesOf(s *profile.Sample) (lines []Line) {
	at := 0
	names := stacks.FramesOf(s)
	for _, l := range s.Location {
		for i := range max(len(l.Line), 1) {
			line := Line{Function: termtext.Escape(names[at].Name)}
			if i < len(l.Line) && l.Line[i].Function != nil {
				line.File = termtext.Escape(l.Line[i].Function.Filename)
				line.Line = l.Line[i].Line
			}
			lines = append(lines, line)
			at++
		}
	}
	return lines
}

// whatIsUnknown: a check that could not look must not pass.
func (r *Result) whatIsUnknown(b *recorder.Recording) {
	unknown := func(format string, args ...any) {
		r.Unknown = append(r.Unknown, fmt.Sprintf(format, args...))
	}
	if b.HasLost {
		unknown("allocations could not be recorded, for lack of room: raise --max-memory")
	}
	if b.WasCoarse && !r.IsEstimate {
		unknown("for a time sampling was off or not of every allocation " +
			"(--max-cpu, or the program changed it)")
	}
	if b.IsCopied {
		unknown("the recording was not made for a leak check, and its last second is missing")
	}
	for _, why := range b.Notes {
		unknown("its recording is damaged: %s", termtext.Escape(why))
	}
}

// Name is the program's file name and process ID.
func (r *Result) Name() string {
	name := termtext.Escape(filepath.Base(cmp.Or(r.Program, "unknown")))
	if r.PID == 0 {
		return name
	}
	return fmt.Sprintf("%s (%d)", name, r.PID)
}

// Text is "1.2 KiB (1,234 bytes) in 5 blocks", as exact as it is known.
func (a Amount) Text(isEstimate bool) string {
	text := termtext.CountOf(int(a.Bytes), "byte", "bytes")
	if a.Bytes >= 1<<10 {
		text = fmt.Sprintf("%s (%s)", termtext.Bytes(a.Bytes), text)
	}
	return termtext.Estimate(text, isEstimate) + " in " +
		termtext.Estimate(termtext.CountOf(int(a.Blocks), "block", "blocks"), isEstimate)
}

package account

import (
	"fmt"
	"math"
	"sort"

	"cgoheap.example/cli/internal/stacks"
	"cgoheap.example/cli/internal/termtext"
)

// Holding is how much free memory blocks in use keep from going back, and those blocks.
type Holding struct {
	Bytes         int64 `json:"bytes"`
	StandardError int64 `json:"standard_error_bytes"`
	Blocks        int64 `json:"blocks"`
	BlockBytes    int64 `json:"block_bytes"`
}

// PinnedBy is what pins the C allocator's free memory, by stack.
type PinnedBy struct {
	Method string `json:"method"` // "samples" or "sizes"
	Holding
	Partial bool          `json:"partial"` // time ran out
	Stacks  []PinnedStack `json:"stacks"`  // those that pin most
}

// PinnedStack is a stack whose blocks pin free memory.
type PinnedStack struct {
	Holding
	Frames []string `json:"frames"` // leaf first
}

// Pinner is what stacks with the same C function and the same Go caller pin.
type Pinner struct {
	Holding
	Name string // "sqlite3_prepare_v2 < main.(*store).search"
}

// In standard errors, how far apart the limits of a share are: 95 %.
const limits = 2

// Share is the part of all that the blocks pin, as people read it: "70 %", or "50 to 90 %" where
// that is as much as is known.
func (h *Holding) Share(all int64) string {
	percent := func(n float64) float64 { return min(100, max(0, 100*n/float64(max(all, 1)))) }
	middle, off := float64(h.Bytes), limits*float64(h.StandardError)
	low, high := math.Round(percent(middle-off)), math.Round(percent(middle+off))
	if high-low <= 10 {
		return fmt.Sprintf("%.0f %%", percent(middle))
	}
	return fmt.Sprintf("%.0f to %.0f %%", low, high)
}

// IsCertain: that the blocks pin anything does not hang on a few samples.
func (h *Holding) IsCertain() bool {
	return h.Bytes > limits*h.StandardError
}

// Pinners, most first.
func (p *PinnedBy) Pinners(callers *stacks.CallerRule) []Pinner {
	var list []Pinner
	place := map[string]int{}
	for _, s := range p.Stacks {
		name := s.name(callers)
		at, known := place[name]
		if !known {
			at = len(list)
			place[name] = at
			list = append(list, Pinner{Name: name})
		}
		list[at].add(&s.Holding)
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].Bytes > list[j].Bytes })
	return list
}

func (h *Holding) add(more *Holding) {
	h.Bytes += more.Bytes
	h.StandardError = int64(math.Hypot(float64(h.StandardError), float64(more.StandardError)))
	h.Blocks += more.Blocks
	h.BlockBytes += more.BlockBytes
}

func (s *PinnedStack) name(callers *stacks.CallerRule) string {
	frames := stacks.Named(s.Frames)
	entry := stacks.ReadableName(stacks.CEntry(frames))
	if caller := stacks.ReadableName(callers.UserCaller(frames)); caller != "" && caller != entry {
		return entry + " < " + caller
	}
	return entry
}

const shownPinners = 3

// Lines are those below C retained in the table.
func (p *PinnedBy) Lines(callers *stacks.CallerRule) []string {
	var lines []string
	if p == nil {
		return nil
	}
	all := p.Pinners(callers)
	for _, s := range all[:min(shownPinners, len(all))] {
		lines = append(lines, fmt.Sprintf("%s pinned by %s in %s: %s", s.amount(),
			termtext.CountOf(int(s.Blocks), "block", "blocks"), termtext.Bytes(s.BlockBytes),
			s.Name))
	}
	return lines
}

// amount has its 95 % limits where they matter.
func (h *Holding) amount() string {
	text := termtext.Bytes(h.Bytes)
	if off := limits * h.StandardError; off > h.Bytes/100 {
		text += " ± " + termtext.Bytes(off)
	}
	return text
}

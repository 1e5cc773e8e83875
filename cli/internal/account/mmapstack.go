package account

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"

	"cgoheap.example/cli/internal/stacks"
	"cgoheap.example/cli/internal/termtext"
)

// Who mapped C's memory, in a line each.  Below the call that mapped, a private
// allocator may have ten functions before the caller that wanted memory.

const (
	shownMmapStacks = 3
	shownFrames     = 5
)

// MmapStacks are the account's, equal stacks merged, largest first.
func (a *Account) MmapStacks() []MmapStack {
	var merged []MmapStack
	for _, s := range a.MmapTop {
		same := func(m MmapStack) bool { return slices.Equal(m.Frames, s.Frames) }
		at := slices.IndexFunc(merged, same)
		if at < 0 {
			merged = append(merged, s)
			continue
		}
		merged[at].Bytes += s.Bytes
		merged[at].Mapped += s.Mapped
	}
	sort.SliceStable(merged, func(i, j int) bool { return merged[i].Bytes > merged[j].Bytes })
	return merged
}

// How allocators name their functions.
var allocatorName = regexp.MustCompile(`(?i)alloc|map|extent|arena|chunk|(^|_)je_|^pac?_`)

// line leaves out the allocator's own functions between the one that mapped and
// the one that wanted memory, and ends with the Go function that asked.
func (s *MmapStack) line(callers *stacks.CallerRule) string {
	var names []string
	caller := s.GoCaller(callers)
	for _, f := range s.Frames {
		names = append(names, stacks.ReadableName(f))
		if caller != "" && names[len(names)-1] == caller {
			break
		}
	}
	if len(names) == 0 {
		return "(the stack is not known)"
	}
	wanted := 0
	for wanted < len(names) && allocatorName.MatchString(names[wanted]) {
		wanted++
	}
	shown := names
	if wanted > 3 {
		// If the frames end inside the allocator, its last one is nearest.
		shown = append(append(slices.Clone(names[:2]), "…"), names[min(wanted, len(names)-1):]...)
	}
	if len(shown) <= shownFrames {
		return strings.Join(shown, " < ")
	}
	text := strings.Join(shown[:shownFrames], " < ")
	if caller != "" && !slices.Contains(shown[:shownFrames], caller) {
		text += " < … < " + caller
	}
	return text
}

// GoCaller is the Go function that the rule chooses; "": unknown.
func (s *MmapStack) GoCaller(callers *stacks.CallerRule) string {
	return stacks.ReadableName(callers.UserCaller(stacks.Named(s.Frames)))
}

// Mapper is the C function that mapped, as top names it.
func (s *MmapStack) Mapper() string {
	return stacks.ReadableName(stacks.CLeaf(stacks.Named(s.Frames)))
}

// By names the C function that mapped and the Go function that called it.
func (s *MmapStack) By(callers *stacks.CallerRule) string {
	name, caller := s.Mapper(), s.GoCaller(callers)
	switch {
	case caller == "":
		return name
	case name == stacks.ReadableName(s.Frames[0]): // mmap itself
		return caller
	}
	return name + " for " + caller
}

// MmapLines are the lines below C mmap in the table.
func (a *Account) MmapLines(callers *stacks.CallerRule) []string {
	all := a.MmapStacks()
	shown := all[:min(shownMmapStacks, len(all))]
	width := 0
	for _, s := range shown {
		width = max(width, len(termtext.Bytes(s.Bytes)))
	}
	var lines []string
	for _, s := range shown {
		line := fmt.Sprintf("%*s  %s", width, termtext.Bytes(s.Bytes), s.line(callers))
		lines = append(lines, line)
	}
	if left := len(all) - len(shown); left > 0 {
		lines = append(lines, "and "+termtext.CountOf(left, "stack more", "stacks more"))
	}
	return lines
}

// MappedParts are those of one owner, largest first.
func (a *Account) MappedParts(owner string) []MappedPart {
	var parts []MappedPart
	for _, p := range a.MappedTop {
		if p.Owner == owner {
			parts = append(parts, p)
		}
	}
	return parts
}

// MappedLines are the lines below an owner in the table: files and who mapped them.
func (a *Account) MappedLines(owner string, callers *stacks.CallerRule) []string {
	parts := a.MappedParts(owner)
	parts = parts[:min(shownMmapStacks, len(parts))]
	width := 0
	for _, p := range parts {
		width = max(width, len(termtext.Bytes(p.Bytes)))
	}
	var lines []string
	for _, p := range parts {
		line := fmt.Sprintf("%*s  ", width, termtext.Bytes(p.Bytes))
		switch {
		case p.File == nil:
			line += p.line(callers)
		case len(p.Frames) == 0:
			line += termtext.Escape(*p.File)
		default:
			line += termtext.Escape(*p.File) + ", mapped by " + p.By(callers)
		}
		lines = append(lines, line)
	}
	return lines
}

// UntrackedSeen are cgo calls whose threads touched new memory while anonymous memory grew.
// Memory mapped by raw system calls has no stack; these calls are the candidates.
type UntrackedSeen struct {
	Looks int64       `json:"looks"`
	Calls []SeenCalls `json:"in_cgo_calls"` // most faults first
}

// SeenCalls counts looks that saw one stack in such a call.
type SeenCalls struct {
	Looks  int64    `json:"looks"`
	Faults int64    `json:"faults"`
	Frames []string `json:"frames"` // Go's, innermost first
}

const (
	shownCalls = 3
	// The share of all page faults seen from which a candidate is shown.
	seenShare = 0.20
)

// often are the calls with at least seenShare of the faults.
func (u *UntrackedSeen) often() []SeenCalls {
	var all int64
	for _, c := range u.Calls {
		all += c.Faults
	}
	n := 0
	for n < min(shownCalls, len(u.Calls)) {
		if faults := u.Calls[n].Faults; faults <= 0 || float64(faults) < seenShare*float64(all) {
			break
		}
		n++
	}
	return u.Calls[:n]
}

// Lines are the lines below untracked mmap in the table.
func (u *UntrackedSeen) Lines(callers *stacks.CallerRule) []string {
	var lines []string
	for _, c := range u.often() {
		stack := MmapStack{Frames: c.Frames}
		lines = append(lines, fmt.Sprintf("%s touched, at %d of %s: %s",
			termtext.CountOf(int(c.Faults), "page", "pages"), c.Looks,
			termtext.CountOf(int(u.Looks), "look", "looks"), stack.line(callers)))
	}
	return lines
}

// MostSeen is a sentence about the likeliest call; "": none was seen.
func (u *UntrackedSeen) MostSeen(callers *stacks.CallerRule) string {
	often := u.often()
	if len(often) == 0 {
		return ""
	}
	stack := MmapStack{Frames: often[0].Frames}
	return fmt.Sprintf("While memory grew, the thread of a cgo call by %s touched new memory "+
		"at %d of %s: the likeliest.", stack.GoCaller(callers),
		often[0].Looks, termtext.CountOf(int(u.Looks), "look", "looks"))
}

// Package holders makes rows of (Go caller, C leaf) of a profile: which Go function
// asked for memory, and which C function called the allocator for it.
package holders

import (
	"errors"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/sampling"
	"cgoheap.example/cli/internal/stacks"
)

// The values of the label origin.
const (
	originMalloc = "malloc"
	originMmap   = "mmap"
	originStack  = "thread_stack"
)

// RowKey tells rows apart.
type RowKey struct {
	Origin   string `json:"origin"`
	GoCaller string `json:"go_caller"`
	CLeaf    string `json:"c_leaf"`
}

// KeyOf is the row of a sample with these frames.
func KeyOf(s *profile.Sample, frames []stacks.Frame, callers *stacks.CallerRule) RowKey {
	return RowKey{sampling.OriginOf(s), callers.GoCaller(frames), stacks.CLeaf(frames)}
}

// Row is blocks in use, or resident bytes of mappings and thread stacks: mapped bytes if
// what is resident is unknown.
type Row struct {
	RowKey
	Bytes   int64  `json:"in_use_bytes"`
	Mapped  *int64 `json:"mapped_bytes"` // null of blocks
	Growth  *int64 `json:"growth_bytes"` // since the last look; null on the first
	Objects int64  `json:"in_use_objects"`
	Stacks  int    `json:"stacks"`
	Errors

	figures *sampling.Figures // nil: counted, or gone

	Stack   []string `json:"largest_stack,omitempty"` // leaf first; where it was asked for
	largest int64
}

// total of the rows of one origin.
type total struct {
	Bytes, Mapped int64
}

// Summary is one look at a profile.
type Summary struct {
	Rows      []Row
	Bytes     int64 // blocks in use
	Objects   int64
	Growth    *int64
	Estimated bool
	figures   *sampling.Figures // of the blocks in use
	filtered  bool              // rows were left out
	Resident  bool              // resident bytes of mappings are known
	Mapped    map[string]total  // by origin, but for malloc
}

// SampleTypeIndex is the place of a sample type among a sample's values; -1: there is none.
func SampleTypeIndex(p *profile.Profile, name string) int {
	for i, t := range p.SampleType {
		if t.Type == name {
			return i
		}
	}
	return -1
}

// Summarize reads a heap profile; largest rows first.
func Summarize(p *profile.Profile, callers *stacks.CallerRule) (*Summary, error) {
	design, err := sampling.Of(p)
	if err != nil {
		return nil, err
	}
	bytesAt, objectsAt := SampleTypeIndex(p, "inuse_space"), SampleTypeIndex(p, "inuse_objects")
	s := &Summary{Estimated: !design.IsExact()}
	byKey := map[RowKey]*Row{}
	for _, sample := range p.Sample {
		frames := stacks.FramesOf(sample)
		key := KeyOf(sample, frames, callers)
		r := byKey[key]
		if r == nil {
			r = &Row{RowKey: key, figures: &sampling.Figures{}}
			byKey[key] = r
		}
		r.Bytes += sample.Value[bytesAt]
		r.Objects += sample.Value[objectsAt]
		*r.figures = r.figures.Plus(design.Sample(sample))
		r.Stacks++
		if r.Stack == nil || sample.Value[bytesAt] > r.largest {
			r.Stack, r.largest = stacks.NamesOf(frames), sample.Value[bytesAt]
		}
	}
	for _, r := range byKey {
		if r.Bytes == 0 && r.Objects == 0 { // all freed
			continue
		}
		if r.Origin != originMalloc {
			mapped := r.Bytes
			r.Mapped, r.figures = &mapped, nil
		}
		s.Rows = append(s.Rows, *r)
	}
	s.sum()
	s.SortBy("inuse")
	return s, nil
}

// Keep drops rows whose caller and leaf do not match.
func (s *Summary) Keep(filter *regexp.Regexp) {
	n := len(s.Rows)
	s.Rows = slices.DeleteFunc(s.Rows, func(r Row) bool {
		return !filter.MatchString(r.GoCaller) && !filter.MatchString(r.CLeaf)
	})
	s.filtered = len(s.Rows) < n
}

// DropStacks drops the rows' largest stacks.
func (s *Summary) DropStacks() {
	for i := range s.Rows {
		s.Rows[i].Stack = nil
	}
}

func (s *Summary) sum() {
	s.Bytes, s.Objects, s.Mapped = 0, 0, map[string]total{}
	s.figures = &sampling.Figures{}
	for _, r := range s.Rows {
		if r.Origin == originMalloc {
			s.Bytes += r.Bytes
			s.Objects += r.Objects
			if r.figures != nil {
				*s.figures = s.figures.Plus(*r.figures)
			}
			continue
		}
		t := s.Mapped[r.Origin]
		s.Mapped[r.Origin] = total{t.Bytes + r.Bytes, t.Mapped + account.Known(r.Mapped)}
	}
}

// mappedRoots are the owners in a memory profile whose stacks are of mappings by C code.  Page
// cache is none of its memory.
var mappedRoots = map[string]string{
	"[" + account.CMmap + "]": originMmap, "[" + account.CBrk + "]": originMmap,
	"[" + account.DeviceMaps + "]": originMmap, "[" + account.FileCopies + "]": originMmap,
	"[" + account.SharedMemory + "]": originMmap, "[" + account.ThreadStacks + "]": originStack,
}

// Resident is how much of one row's mappings is resident, and the stack with most of it.
type Resident struct {
	bytes, largest int64
	stack          []string
}

// ResidentBy reads those owners' stacks from a memory profile.
func ResidentBy(p *profile.Profile, callers *stacks.CallerRule) (map[RowKey]Resident, error) {
	at := SampleTypeIndex(p, "memory_space")
	if at < 0 {
		return nil, errors.New("the profile has no memory_space")
	}
	found := map[RowKey]Resident{}
	for _, sample := range p.Sample {
		frames := stacks.FramesOf(sample)
		if len(frames) < 2 {
			continue
		}
		origin, leaf := mappedRoots[frames[len(frames)-1].Name], frames[0].Name
		if origin == "" || leaf == "[stack not known]" || strings.HasPrefix(leaf, "/") {
			continue
		}
		frames = frames[:len(frames)-1]
		key := RowKey{origin, callers.GoCaller(frames), stacks.CLeaf(frames)}
		r := found[key]
		if r.bytes += sample.Value[at]; r.stack == nil || sample.Value[at] > r.largest {
			r.stack, r.largest = stacks.NamesOf(frames), sample.Value[at]
		}
		found[key] = r
	}
	return found, nil
}

// SetResident replaces mapped by resident bytes.  It adds rows that no heap profile has:
// devices, files, and stacks of threads that have ended.
func (s *Summary) SetResident(found map[RowKey]Resident) {
	had := map[RowKey]bool{}
	for i := range s.Rows {
		if r := &s.Rows[i]; r.Mapped != nil {
			r.Bytes = found[r.RowKey].bytes
			*r.Mapped = max(*r.Mapped, r.Bytes) // it was looked at later
			had[r.RowKey] = true
		}
	}
	for key, r := range found {
		if !had[key] && r.bytes > 0 {
			s.Rows = append(s.Rows,
				Row{RowKey: key, Bytes: r.bytes, Mapped: &r.bytes, Stack: r.stack})
		}
	}
	s.Resident = true
	s.sum()
	s.SortBy("inuse")
}

// GrowSince fills in growth; rows that are gone stay for one look, at 0.
func (s *Summary) GrowSince(before *Summary) {
	old := map[RowKey]int64{}
	for _, r := range before.Rows {
		old[r.RowKey] = r.Bytes
	}
	for i := range s.Rows {
		growth := s.Rows[i].Bytes - old[s.Rows[i].RowKey]
		s.Rows[i].Growth = &growth
		delete(old, s.Rows[i].RowKey)
	}
	for key, bytes := range old {
		if bytes != 0 {
			growth := -bytes
			s.Rows = append(s.Rows, Row{RowKey: key, Growth: &growth})
		}
	}
	total := s.Bytes - before.Bytes
	s.Growth = &total
}

// SortBy inuse, growth or objects, largest first.
func (s *Summary) SortBy(order string) {
	value := func(r *Row) int64 {
		switch {
		case order == "objects":
			return r.Objects
		case order == "growth" && r.Growth != nil:
			return *r.Growth
		}
		return r.Bytes
	}
	sort.Slice(s.Rows, func(i, j int) bool {
		a, b := &s.Rows[i], &s.Rows[j]
		if va, vb := value(a), value(b); va != vb {
			return va > vb
		}
		if a.Bytes != b.Bytes {
			return a.Bytes > b.Bytes
		}
		if a.GoCaller != b.GoCaller {
			return a.GoCaller < b.GoCaller
		}
		return a.CLeaf < b.CLeaf
	})
}

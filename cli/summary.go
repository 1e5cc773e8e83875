package main

import (
	"errors"
	"slices"
	"sort"
	"strings"

	"github.com/google/pprof/profile"

	"cgoheap/cli/internal/account"
	"cgoheap/cli/internal/stacks"
)

// A profile as rows of (Go caller, C leaf): which Go function asked, and which
// C function called the allocator for it.

// The values of the label origin.
const (
	originMalloc = "malloc"
	originMmap   = "mmap"
	originStack  = "thread_stack"
)

type rowKey struct {
	Origin   string `json:"origin"`
	GoCaller string `json:"go_caller"`
	CLeaf    string `json:"c_leaf"`
}

// row is blocks in use; of mappings and thread stacks the resident bytes, or those mapped
// where what is resident is not known.
type row struct {
	rowKey
	Bytes   int64  `json:"in_use_bytes"`
	Mapped  *int64 `json:"mapped_bytes"` // null of blocks
	Growth  *int64 `json:"growth_bytes"` // since the last look; null on the first
	Objects int64  `json:"in_use_objects"`
	Stacks  int    `json:"stacks"`

	Stack   []string `json:"largest_stack,omitempty"` // leaf first; where it was asked for
	largest int64
}

// total is what rows of one origin sum to.
type total struct {
	bytes, mapped int64
}

type summary struct {
	rows      []row
	bytes     int64 // blocks in use
	objects   int64
	growth    *int64
	estimated bool
	filtered  bool             // rows were left out
	resident  bool             // of mappings it is known what is resident
	mapped    map[string]total // by origin, but for malloc
}

func sampleTypeIndex(p *profile.Profile, name string) int {
	for i, t := range p.SampleType {
		if t.Type == name {
			return i
		}
	}
	return -1
}

func summarize(p *profile.Profile, callers *stacks.CallerRule) (*summary, error) {
	bytesAt, objectsAt := sampleTypeIndex(p, "inuse_space"), sampleTypeIndex(p, "inuse_objects")
	if bytesAt < 0 || objectsAt < 0 {
		return nil, errors.New("the profile has no inuse_space and inuse_objects: it is not a heap profile")
	}
	s := &summary{estimated: p.Period > 1}
	byKey := map[rowKey]*row{}
	for _, sample := range p.Sample {
		frames := stacks.FramesOf(sample)
		key := rowKey{originOf(sample), callers.GoCaller(frames), stacks.CLeaf(frames)}
		r := byKey[key]
		if r == nil {
			r = &row{rowKey: key}
			byKey[key] = r
		}
		r.Bytes += sample.Value[bytesAt]
		r.Objects += sample.Value[objectsAt]
		r.Stacks++
		if r.Stack == nil || sample.Value[bytesAt] > r.largest {
			r.Stack, r.largest = stacks.NamesOf(frames), sample.Value[bytesAt]
		}
	}
	for _, r := range byKey {
		if r.Bytes == 0 && r.Objects == 0 { // all freed: of no interest here
			continue
		}
		if r.Origin != originMalloc {
			mapped := r.Bytes
			r.Mapped = &mapped
		}
		s.rows = append(s.rows, *r)
	}
	s.sum()
	s.sortBy("inuse")
	return s, nil
}

// choose leaves the rows, and of them the parts, that were asked for.
func (s *summary) choose(o *topOptions) {
	if o.filter != nil {
		n := len(s.rows)
		s.rows = slices.DeleteFunc(s.rows, func(r row) bool { return !o.filter.MatchString(r.GoCaller) && !o.filter.MatchString(r.CLeaf) })
		s.filtered = len(s.rows) < n
	}
	if !o.stacks {
		s.dropStacks()
	}
}

func (s *summary) dropStacks() {
	for i := range s.rows {
		s.rows[i].Stack = nil
	}
}

func originOf(sample *profile.Sample) string {
	if origin := sample.Label["origin"]; len(origin) == 1 && origin[0] != "" {
		return origin[0]
	}
	return originMalloc
}

func (s *summary) sum() {
	s.bytes, s.objects, s.mapped = 0, 0, map[string]total{}
	for _, r := range s.rows {
		if r.Origin == originMalloc {
			s.bytes += r.Bytes
			s.objects += r.Objects
			continue
		}
		t := s.mapped[r.Origin]
		s.mapped[r.Origin] = total{t.bytes + r.Bytes, t.mapped + account.Known(r.Mapped)}
	}
}

// mappedRoots are the owners in a memory profile whose stacks are of mappings by C code.  Page
// cache is none of its memory.
var mappedRoots = map[string]string{"[" + account.CMmap + "]": originMmap, "[" + account.CBrk + "]": originMmap, "[" + account.DeviceMaps + "]": originMmap,
	"[" + account.FileCopies + "]": originMmap, "[" + account.SharedMemory + "]": originMmap, "[" + account.ThreadStacks + "]": originStack}

// resident is what is resident of one row's mappings, and the stack with most of it.
type resident struct {
	bytes, largest int64
	stack          []string
}

// residentBy is what a memory profile has below those owners.
func residentBy(p *profile.Profile, callers *stacks.CallerRule) (map[rowKey]resident, error) {
	at := sampleTypeIndex(p, "memory_space")
	if at < 0 {
		return nil, errors.New("the profile has no memory_space")
	}
	found := map[rowKey]resident{}
	for _, sample := range p.Sample {
		frames := stacks.FramesOf(sample)
		if len(frames) < 2 {
			continue
		}
		origin := mappedRoots[frames[len(frames)-1].Name]
		if origin == "" || frames[0].Name == "[stack not known]" || strings.HasPrefix(frames[0].Name, "/") {
			continue
		}
		frames = frames[:len(frames)-1]
		key := rowKey{origin, callers.GoCaller(frames), stacks.CLeaf(frames)}
		r := found[key]
		if r.bytes += sample.Value[at]; r.stack == nil || sample.Value[at] > r.largest {
			r.stack, r.largest = stacks.NamesOf(frames), sample.Value[at]
		}
		found[key] = r
	}
	return found, nil
}

// setResident counts mappings by what of them is resident.  Some are in no heap profile:
// devices', files', and stacks of threads that have ended.
func (s *summary) setResident(found map[rowKey]resident) {
	had := map[rowKey]bool{}
	for i := range s.rows {
		if r := &s.rows[i]; r.Mapped != nil {
			r.Bytes = found[r.rowKey].bytes
			*r.Mapped = max(*r.Mapped, r.Bytes) // it was looked at later
			had[r.rowKey] = true
		}
	}
	for key, r := range found {
		if !had[key] && r.bytes > 0 {
			s.rows = append(s.rows, row{rowKey: key, Bytes: r.bytes, Mapped: &r.bytes, Stack: r.stack})
		}
	}
	s.resident = true
	s.sum()
	s.sortBy("inuse")
}

// growSince fills in what changed; rows that are gone stay visible for one look, at 0.
func (s *summary) growSince(before *summary) {
	old := map[rowKey]int64{}
	for _, r := range before.rows {
		old[r.rowKey] = r.Bytes
	}
	for i := range s.rows {
		growth := s.rows[i].Bytes - old[s.rows[i].rowKey]
		s.rows[i].Growth = &growth
		delete(old, s.rows[i].rowKey)
	}
	for key, bytes := range old {
		if bytes != 0 {
			growth := -bytes
			s.rows = append(s.rows, row{rowKey: key, Growth: &growth})
		}
	}
	total := s.bytes - before.bytes
	s.growth = &total
}

func (s *summary) sortBy(order string) {
	value := func(r *row) int64 {
		switch {
		case order == "objects":
			return r.Objects
		case order == "growth" && r.Growth != nil:
			return *r.Growth
		}
		return r.Bytes
	}
	sort.Slice(s.rows, func(i, j int) bool {
		a, b := &s.rows[i], &s.rows[j]
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

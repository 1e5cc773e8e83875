package fakeshim

import (
	"bytes"
	"strings"

	"github.com/google/pprof/profile"
)

// ProfileBuilder makes profiles of stacks given as "function" or "function@file", leaf first.
type ProfileBuilder struct {
	Profile   *profile.Profile
	locations map[string]*profile.Location
}

// NewProfileBuilder is for a heap profile that sampled once in period bytes.
func NewProfileBuilder(period int64) *ProfileBuilder {
	types := []*profile.ValueType{
		{Type: "alloc_objects", Unit: "count"}, {Type: "alloc_space", Unit: "bytes"},
		{Type: "inuse_objects", Unit: "count"}, {Type: "inuse_space", Unit: "bytes"},
	}
	return &ProfileBuilder{locations: map[string]*profile.Location{}, Profile: &profile.Profile{
		SampleType: types, DefaultSampleType: "inuse_space", Period: period,
		PeriodType: &profile.ValueType{Type: "space", Unit: "bytes"},
	}}
}

func (b *ProfileBuilder) location(frame string) *profile.Location {
	if l := b.locations[frame]; l != nil {
		return l
	}
	name, file, _ := strings.Cut(frame, "@")
	f := &profile.Function{ID: uint64(len(b.Profile.Function) + 1), Name: name, Filename: file}
	b.Profile.Function = append(b.Profile.Function, f)
	line := []profile.Line{{Function: f, Line: 7}}
	l := &profile.Location{ID: f.ID, Address: f.ID * 16, Line: line}
	b.Profile.Location = append(b.Profile.Location, l)
	b.locations[frame] = l
	return l
}

// Add a sample; its frames are leaf first.
func (b *ProfileBuilder) Add(objects, bytes int64, frames ...string) {
	s := &profile.Sample{Value: []int64{objects, bytes, objects, bytes},
		Label:    map[string][]string{"origin": {"malloc"}},
		NumLabel: map[string][]int64{"bytes": {bytes / max(objects, 1)}}}
	for _, f := range frames {
		s.Location = append(s.Location, b.location(f))
	}
	b.Profile.Sample = append(b.Profile.Sample, s)
}

// Profile is the answer to look n: the store grows by 1 MiB each time.
func Profile(period, n int64) *profile.Profile {
	b := NewProfileBuilder(period)
	root := []string{"main.main@main.go", "runtime.main@proc.go", "runtime.goexit@asm_amd64.s"}
	stack := func(frames ...string) []string { return append(frames, root...) }
	b.Add(81003, 639<<20+n<<20, stack("malloc", "sqlite3MemMalloc", "sqlite3_prepare_v2",
		"github.com/mattn/go-sqlite3._Cfunc_sqlite3_prepare_v2@_cgo_gotypes.go",
		"github.com/mattn/go-sqlite3.(*SQLiteConn).prepare@sqlite3.go",
		"cgoheap.example/cli/internal/store.(*Store).lookup@store.go")...)
	b.Profile.Sample[0].NumLabel["bytes"] = []int64{8284} // the same at each look
	b.Profile.TimeNanos = 1_767_323_045e9 + n*60e9
	b.Add(200, 172<<20, stack("malloc", "ZSTD_createCCtx",
		"main._Cfunc_ZSTD_createCCtx@_cgo_gotypes.go", "main.compress@main.go")...)
	b.Add(3, 96, stack("malloc", "main._Cfunc__CMalloc@_cgo_gotypes.go",
		"main._Cfunc_CString@_cgo_gotypes.go", "main.header@main.go")...)
	return b.Profile
}

// memoryProfile is 901 MiB in two stacks.
func memoryProfile() *profile.Profile {
	b := NewProfileBuilder(1)
	b.Profile.SampleType = []*profile.ValueType{{Type: "memory_space", Unit: "bytes"}}
	b.Profile.DefaultSampleType = ""
	for name, bytes := range map[string]int64{"[c_live]": 572 << 20, "[go_heap]": 329 << 20} {
		b.Profile.Sample = append(b.Profile.Sample, &profile.Sample{
			Location: []*profile.Location{b.location(name)}, Value: []int64{bytes}})
	}
	return b.Profile
}

// Encode writes a profile as the library sends it.
func Encode(p *profile.Profile) []byte {
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		panic(err)
	}
	return b.Bytes()
}

package main

import (
	"errors"
	"fmt"
	"math"
	"time"

	"cgoheap/cli/internal/binread"
	"cgoheap/cli/internal/release"
	"cgoheap/cli/internal/symbolize"
	"cgoheap/cli/internal/termtext"
)

// The file of a flight recorder, as shim/region.h, stacks.h and blackbox.h lay
// it out.  It is of a process that was killed in the middle of something, on a
// disk that may have lost the end of it, or of no shim at all: every offset is
// checked, every chain is cut where it comes back to itself, and what cannot be
// read is said in notes.

const (
	boxMagic   = 0x00706165686f6763
	boxVersion = 4

	boxHeaderBytes  = 184
	boxStackBytes   = 40
	boxSiteBytes    = 64
	boxFixedBytes   = 584 // of struct blackbox, before its accounts
	boxModuleBytes  = 368
	boxMomentBytes  = 272
	boxMaxFrames    = 4096
	boxUnknown      = ^uint64(0)
	boxIsCopied     = 1
	boxModuleMain   = 1
	boxModuleShim   = 2
	boxModuleHasELF = 4
)

type boxModule struct {
	start, end, fileOffset, loadBias uint64
	flags                            uint32
	buildID, path                    string
}

// boxMoment is one second's figures; boxUnknown where the kernel did not say.
type boxMoment struct {
	Time                            time.Time
	RSS, Anon, File, Shmem, Swap    uint64
	CgroupCurrent, CgroupLimit      uint64
	CLive, CObjects, CMapped        uint64
	ThreadStacks                    uint64 // resident
	Samples, Dropped                uint64
	SampleBytes, ConfiguredInterval uint32

	// As the allocator and Go's runtime say.
	AllocatorInUse, AllocatorFree, AllocatorSystem    uint64
	GoHeapInUse, GoHeapFree, GoHeapReleased, GoStacks uint64

	// Of the last account before it, in that one's order of owners; all ones: not known.
	AccountTime      uint64 // 0: there was none
	OwnerPages       [boxOwners]uint32
	UnexplainedPages uint32
}

type boxSite struct {
	id                       uint32
	size                     uint64
	origin                   uint32
	mixed                    bool
	allocObjects, allocBytes int64
	inUseObjects, inUseBytes int64
}

type boxStack struct {
	frames []uint64
	labels []boxLabel
	sites  []boxSite
}

type blackbox struct {
	pid                             uint32
	start                           time.Time
	program, goVersion, shimVersion string
	modules                         []boxModule
	moments                         []boxMoment // oldest first
	stacks                          []boxStack
	goText, goEnd                   uint64
	goIs120                         bool
	goTables                        [7]symbolize.Table
	account                         binread.Image     // nil: there is none
	isCopied                        bool              // written once a second: shim/blackbox_disk.h
	lacksFigures, lacksStacks       bool              // cut off
	environment                     map[string]string // of what it was started with, what a verdict asks for
	notes                           []string          // what could not be read
}

func (b *blackbox) note(format string, args ...any) {
	if len(b.notes) < 16 {
		b.notes = append(b.notes, fmt.Sprintf(format, args...))
	}
}

// readBlackbox: an error where it is no such file; else what there is of it.
func readBlackbox(data []byte) (*blackbox, error) {
	d := binread.Image(data)
	switch {
	case len(d) == 0:
		return nil, errors.New("it is empty: the process ended before it had written anything")
	case d.U64(0) != boxMagic:
		return nil, errors.New("it is not a flight recorder of cgoheap")
	case d.U32(8) != boxVersion:
		return nil, fmt.Errorf("its format is version %d, and this cgoheap %s reads version %d: use the cgoheap of the same release",
			d.U32(8), release.Version, boxVersion)
	case len(d) < boxHeaderBytes:
		return nil, fmt.Errorf("it is cut off after %d bytes, in the middle of its header", len(d))
	}
	b := &blackbox{pid: d.U32(40), start: unixNano(d.U64(24)), isCopied: d.U32(44)&boxIsCopied != 0}
	if size := d.U64(16); size > uint64(len(d)) {
		b.note("the file is cut off: %d of %d bytes are there", len(d), size)
	}
	b.readFixed(d)
	b.readStacks(d)
	b.scaleThreadStacks()
	return b, nil
}

func unixNano(ns uint64) time.Time { return time.Unix(int64(ns/1e9), int64(ns%1e9)) }

func (b *blackbox) readFixed(d binread.Image) {
	at := d.U64(168)
	if d.At(at, boxFixedBytes) == nil || at < boxHeaderBytes {
		b.lacksFigures = true
		b.note("the table of modules and the figures of the last hour are missing")
		return
	}
	f := d[at:]
	b.program, b.goVersion, b.shimVersion = f.Text(160, 256), f.Text(416, 64), f.Text(480, 32)
	b.goText, b.goEnd, b.goIs120 = f.U64(32), f.U64(40), f.U32(20) != 0
	for i := range b.goTables {
		b.goTables[i] = symbolize.Table{Address: f.U64(48 + 16*uint64(i)), Len: f.U64(56 + 16*uint64(i))}
	}
	if f.U32(0) != boxModuleBytes || f.U32(4) != boxMomentBytes {
		b.note("modules and moments have sizes this cgoheap %s does not know", release.Version)
		return
	}
	b.environment = map[string]string{"GOMEMLIMIT": f.Text(512, 32), "MALLOC_ARENA_MAX": f.Text(544, 32)}
	if f.U32(576) != boxAccountBytes {
		b.note("accounts have a size this cgoheap %s does not know", release.Version)
		return
	}
	moduleRoom, momentRoom, accountRoom := uint64(f.U32(8)), uint64(f.U32(12)), uint64(f.U32(580))
	b.readAccounts(f[boxFixedBytes:], accountRoom)
	modules := boxFixedBytes + accountRoom*boxAccountBytes
	if modules > uint64(len(f)) {
		b.note("the table of modules and the figures of the last hour are cut off")
		return
	}
	b.readModules(f[modules:], moduleRoom, uint64(f.U32(16)))
	if end := modules + moduleRoom*boxModuleBytes; end <= uint64(len(f)) {
		b.readMoments(f[end:], momentRoom, f.U64(24))
	} else {
		b.note("the figures of the last hour are cut off")
	}
}

func (b *blackbox) readModules(f binread.Image, room, count uint64) {
	for i := uint64(0); i < min(count, room); i++ {
		at := i * boxModuleBytes
		if f.At(at, boxModuleBytes) == nil {
			b.note("the table of modules is cut off")
			return
		}
		m := boxModule{f.U64(at), f.U64(at + 8), f.U64(at + 16), f.U64(at + 24), f.U32(at + 32),
			f.Text(at+40, 72), f.Text(at+112, 256)}
		if m.start >= m.end || m.path == "" {
			b.note("module %d makes no sense", i)
			continue
		}
		b.modules = append(b.modules, m)
	}
}

func (b *blackbox) readMoments(f binread.Image, room, count uint64) {
	if room == 0 || room > 1<<20 {
		b.note("the figures of the last hour make no sense")
		return
	}
	first := uint64(0)
	if count > room {
		first = count - room
	}
	for i := first; i < count && i-first < room; i++ {
		at := i % room * boxMomentBytes
		if f.At(at, boxMomentBytes) == nil {
			b.note("the figures of the last hour are cut off")
			return
		}
		if f.U64(at) == 0 {
			continue
		}
		b.moments = append(b.moments, readMoment(f[at:]))
	}
}

func readMoment(f binread.Image) boxMoment {
	m := boxMoment{unixNano(f.U64(0)), f.U64(8), f.U64(16), f.U64(24), f.U64(32), f.U64(40), f.U64(48), f.U64(56),
		f.U64(64), f.U64(72), f.U64(80), f.U64(88), f.U64(96), f.U64(104), f.U32(112), f.U32(116),
		f.U64(120), f.U64(128), f.U64(136), f.U64(144), f.U64(152), f.U64(160), f.U64(168),
		f.U64(176), [boxOwners]uint32{}, f.U32(264)}
	for i := range m.OwnerPages {
		m.OwnerPages[i] = f.U32(184 + 4*uint64(i))
	}
	return m
}

// boxReader walks the chains of stacks and sites.
type boxReader struct {
	box        *blackbox
	data       binread.Image
	start, end uint64 // of the arena, as far as it is used
	seen       map[uint32]bool
	labelSets  map[uint32][]boxLabel
	bad        int
}

func (b *blackbox) readStacks(d binread.Image) {
	r := &boxReader{box: b, data: d, start: d.U64(48), seen: map[uint32]bool{}, labelSets: map[uint32][]boxLabel{}}
	used := d.U64(56) // how much of it is in use only the process knew
	if r.start < boxHeaderBytes || r.start > uint64(len(d)) {
		b.lacksStacks = true
		b.note("the stacks are missing")
		return
	}
	r.end = r.start + min(used, uint64(len(d))-r.start)
	buckets, bytes := d.U64(64), d.U64(72)
	if buckets > uint64(len(d)) || bytes > uint64(len(d))-buckets {
		b.note("the index of stacks is cut off")
		if buckets > uint64(len(d)) {
			return
		}
		bytes = uint64(len(d)) - buckets
	}
	for at := buckets; at+4 <= buckets+bytes; at += 4 {
		for id := d.U32(at); id != 0; {
			id = r.stack(id)
		}
	}
	if r.bad > 0 {
		b.note("%s of stacks, sites or labels led to nowhere, and what hung there is missing",
			termtext.CountOf(r.bad, "reference", "references"))
	}
}

// take is the offset of a record that has not been read yet; 0: none.
func (r *boxReader) take(id uint32, n uint64) uint64 {
	at := uint64(id) * 8
	if at < r.start || at > r.end || r.end-at < n || r.seen[id] {
		r.bad++
		return 0
	}
	r.seen[id] = true
	return at
}

// stack reads one and returns the next in its bucket.
func (r *boxReader) stack(id uint32) uint32 {
	at := r.take(id, boxStackBytes)
	if at == 0 {
		return 0
	}
	count := uint64(r.data.U16(at + 20))
	next := r.data.U32(at + 8)
	if count > boxMaxFrames || count*8 > r.end-at-boxStackBytes {
		r.bad++
		return next
	}
	s := boxStack{labels: r.labels(r.data.U32(at + 32))}
	for i := uint64(0); i < count; i++ {
		s.frames = append(s.frames, r.data.U64(at+boxStackBytes+8*i))
	}
	for site := r.data.U32(at + 12); site != 0; {
		site = r.site(site, id, &s)
	}
	if len(s.sites) > 0 {
		r.box.stacks = append(r.box.stacks, s)
	}
	return next
}

// scaleThreadStacks: a thread's stack is recorded by its size, of which little
// is ever touched. What was resident is known of all of them together.
func (b *blackbox) scaleThreadStacks() {
	const threadStack = 2
	last, mapped := b.last(), 0.0
	for _, s := range b.stacks {
		for _, site := range s.sites {
			if site.origin == threadStack {
				mapped += float64(site.inUseBytes)
			}
		}
	}
	scale := 0.0
	if last != nil && mapped > 0 {
		scale = min(float64(last.ThreadStacks)/mapped, 1)
	}
	for _, s := range b.stacks {
		for i := range s.sites {
			if site := &s.sites[i]; site.origin == threadStack {
				site.inUseBytes = int64(float64(site.inUseBytes) * scale)
			}
		}
	}
}

// More than this is not in use at one site.
const boxMostBytes = 1 << 50

// boxTotal is what was allocated in all, of which turns counts how often the top
// bit of low has changed; where the two do not agree, one was about to be counted.
func boxTotal(low uint64, turns uint16, bits uint) int64 {
	high := (uint64(turns) + (low>>63 ^ uint64(turns)&1)) >> 1
	if high>>(bits-1) != 0 {
		return math.MaxInt64
	}
	return int64(high<<(64-bits) | low>>bits)
}

func (r *boxReader) site(id, stack uint32, s *boxStack) uint32 {
	at := r.take(id, boxSiteBytes)
	if at == 0 {
		return 0
	}
	d := r.data
	next := d.U32(at + 4)
	allocObjects, allocBytes := d.U64(at+32), d.U64(at+40)
	site := boxSite{id: id, size: d.U64(at + 8), origin: uint32(d.U16(at + 16)), mixed: d[at+18] != 0,
		allocObjects: boxTotal(allocObjects, d.U16(at+20), 16), allocBytes: boxTotal(allocBytes, d.U16(at+22), 8),
		inUseObjects: int64(allocObjects-d.U64(at+48)+1<<15) >> 16,
		inUseBytes:   int64(allocBytes-d.U64(at+56)+1<<7) >> 8}
	for _, n := range []int64{site.inUseObjects, site.inUseBytes} {
		if d.U32(at) != stack || n < 0 || n > boxMostBytes {
			r.bad++
			return next
		}
	}
	s.sites = append(s.sites, site)
	return next
}

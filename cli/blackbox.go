package main

import (
	"errors"
	"fmt"
	"math"
	"time"
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
	goTables                        [7]boxTable
	account                         boxImage          // nil: there is none
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
	d := boxImage(data)
	switch {
	case len(d) == 0:
		return nil, errors.New("it is empty: the process ended before it had written anything")
	case d.u64(0) != boxMagic:
		return nil, errors.New("it is not a flight recorder of cgoheap")
	case d.u32(8) != boxVersion:
		return nil, fmt.Errorf("its format is version %d, and this cgoheap %s reads version %d: use the cgoheap of the same release",
			d.u32(8), version, boxVersion)
	case len(d) < boxHeaderBytes:
		return nil, fmt.Errorf("it is cut off after %d bytes, in the middle of its header", len(d))
	}
	b := &blackbox{pid: d.u32(40), start: unixNano(d.u64(24)), isCopied: d.u32(44)&boxIsCopied != 0}
	if size := d.u64(16); size > uint64(len(d)) {
		b.note("the file is cut off: %d of %d bytes are there", len(d), size)
	}
	b.readFixed(d)
	b.readStacks(d)
	b.scaleThreadStacks()
	return b, nil
}

func unixNano(ns uint64) time.Time { return time.Unix(int64(ns/1e9), int64(ns%1e9)) }

func (b *blackbox) readFixed(d boxImage) {
	at := d.u64(168)
	if d.at(at, boxFixedBytes) == nil || at < boxHeaderBytes {
		b.lacksFigures = true
		b.note("the table of modules and the figures of the last hour are missing")
		return
	}
	f := d[at:]
	b.program, b.goVersion, b.shimVersion = f.text(160, 256), f.text(416, 64), f.text(480, 32)
	b.goText, b.goEnd, b.goIs120 = f.u64(32), f.u64(40), f.u32(20) != 0
	for i := range b.goTables {
		b.goTables[i] = boxTable{f.u64(48 + 16*uint64(i)), f.u64(56 + 16*uint64(i))}
	}
	if f.u32(0) != boxModuleBytes || f.u32(4) != boxMomentBytes {
		b.note("modules and moments have sizes this cgoheap %s does not know", version)
		return
	}
	b.environment = map[string]string{"GOMEMLIMIT": f.text(512, 32), "MALLOC_ARENA_MAX": f.text(544, 32)}
	if f.u32(576) != boxAccountBytes {
		b.note("accounts have a size this cgoheap %s does not know", version)
		return
	}
	moduleRoom, momentRoom, accountRoom := uint64(f.u32(8)), uint64(f.u32(12)), uint64(f.u32(580))
	b.readAccounts(f[boxFixedBytes:], accountRoom)
	modules := boxFixedBytes + accountRoom*boxAccountBytes
	if modules > uint64(len(f)) {
		b.note("the table of modules and the figures of the last hour are cut off")
		return
	}
	b.readModules(f[modules:], moduleRoom, uint64(f.u32(16)))
	if end := modules + moduleRoom*boxModuleBytes; end <= uint64(len(f)) {
		b.readMoments(f[end:], momentRoom, f.u64(24))
	} else {
		b.note("the figures of the last hour are cut off")
	}
}

func (b *blackbox) readModules(f boxImage, room, count uint64) {
	for i := uint64(0); i < min(count, room); i++ {
		at := i * boxModuleBytes
		if f.at(at, boxModuleBytes) == nil {
			b.note("the table of modules is cut off")
			return
		}
		m := boxModule{f.u64(at), f.u64(at + 8), f.u64(at + 16), f.u64(at + 24), f.u32(at + 32),
			f.text(at+40, 72), f.text(at+112, 256)}
		if m.start >= m.end || m.path == "" {
			b.note("module %d makes no sense", i)
			continue
		}
		b.modules = append(b.modules, m)
	}
}

func (b *blackbox) readMoments(f boxImage, room, count uint64) {
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
		if f.at(at, boxMomentBytes) == nil {
			b.note("the figures of the last hour are cut off")
			return
		}
		if f.u64(at) == 0 {
			continue
		}
		b.moments = append(b.moments, readMoment(f[at:]))
	}
}

func readMoment(f boxImage) boxMoment {
	m := boxMoment{unixNano(f.u64(0)), f.u64(8), f.u64(16), f.u64(24), f.u64(32), f.u64(40), f.u64(48), f.u64(56),
		f.u64(64), f.u64(72), f.u64(80), f.u64(88), f.u64(96), f.u64(104), f.u32(112), f.u32(116),
		f.u64(120), f.u64(128), f.u64(136), f.u64(144), f.u64(152), f.u64(160), f.u64(168),
		f.u64(176), [boxOwners]uint32{}, f.u32(264)}
	for i := range m.OwnerPages {
		m.OwnerPages[i] = f.u32(184 + 4*uint64(i))
	}
	return m
}

// boxReader walks the chains of stacks and sites.
type boxReader struct {
	box        *blackbox
	data       boxImage
	start, end uint64 // of the arena, as far as it is used
	seen       map[uint32]bool
	labelSets  map[uint32][]boxLabel
	bad        int
}

func (b *blackbox) readStacks(d boxImage) {
	r := &boxReader{box: b, data: d, start: d.u64(48), seen: map[uint32]bool{}, labelSets: map[uint32][]boxLabel{}}
	used := d.u64(56) // how much of it is in use only the process knew
	if r.start < boxHeaderBytes || r.start > uint64(len(d)) {
		b.lacksStacks = true
		b.note("the stacks are missing")
		return
	}
	r.end = r.start + min(used, uint64(len(d))-r.start)
	buckets, bytes := d.u64(64), d.u64(72)
	if buckets > uint64(len(d)) || bytes > uint64(len(d))-buckets {
		b.note("the index of stacks is cut off")
		if buckets > uint64(len(d)) {
			return
		}
		bytes = uint64(len(d)) - buckets
	}
	for at := buckets; at+4 <= buckets+bytes; at += 4 {
		for id := d.u32(at); id != 0; {
			id = r.stack(id)
		}
	}
	if r.bad > 0 {
		b.note("%s of stacks, sites or labels led to nowhere, and what hung there is missing",
			countOf(r.bad, "reference", "references"))
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
	count := uint64(r.data.u16(at + 20))
	next := r.data.u32(at + 8)
	if count > boxMaxFrames || count*8 > r.end-at-boxStackBytes {
		r.bad++
		return next
	}
	s := boxStack{labels: r.labels(r.data.u32(at + 32))}
	for i := uint64(0); i < count; i++ {
		s.frames = append(s.frames, r.data.u64(at+boxStackBytes+8*i))
	}
	for site := r.data.u32(at + 12); site != 0; {
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
	next := d.u32(at + 4)
	allocObjects, allocBytes := d.u64(at+32), d.u64(at+40)
	site := boxSite{id: id, size: d.u64(at + 8), origin: uint32(d.u16(at + 16)), mixed: d[at+18] != 0,
		allocObjects: boxTotal(allocObjects, d.u16(at+20), 16), allocBytes: boxTotal(allocBytes, d.u16(at+22), 8),
		inUseObjects: int64(allocObjects-d.u64(at+48)+1<<15) >> 16,
		inUseBytes:   int64(allocBytes-d.u64(at+56)+1<<7) >> 8}
	for _, n := range []int64{site.inUseObjects, site.inUseBytes} {
		if d.u32(at) != stack || n < 0 || n > boxMostBytes {
			r.bad++
			return next
		}
	}
	s.sites = append(s.sites, site)
	return next
}

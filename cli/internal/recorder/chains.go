package recorder

import (
	"math"

	"cgoheap/cli/internal/binread"
	"cgoheap/cli/internal/recordlayout"
	"cgoheap/cli/internal/termtext"
)

// Stacks, and the sites of each, as the recorded process chained them.

type siteRecord struct {
	id                       uint32
	size                     uint64
	origin                   uint32
	mixed                    bool
	allocObjects, allocBytes int64
	inUseObjects, inUseBytes int64
}

type stackRecord struct {
	frames []uint64
	labels []label
	sites  []siteRecord
}

// chains walks the chains of stacks and sites.
type chains struct {
	recording  *Recording
	data       binread.Image
	start, end uint64 // of the arena, as far as it is used
	seen       map[uint32]bool
	labelSets  map[uint32][]label
	bad        int
}

func (b *Recording) readStacks(d binread.Image) {
	r := &chains{recording: b, data: d, start: d.U64(48), seen: map[uint32]bool{}, labelSets: map[uint32][]label{}}
	used := d.U64(56) // the arena's current use; only the process knows it exactly
	if r.start < recordlayout.HeaderBytes || r.start > uint64(len(d)) {
		b.LacksStacks = true
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

// take is the offset of a record; 0: it is outside of the arena, or was read before.
func (r *chains) take(id uint32, n uint64) uint64 {
	at := uint64(id) * 8
	if at < r.start || at > r.end || r.end-at < n || r.seen[id] {
		r.bad++
		return 0
	}
	r.seen[id] = true
	return at
}

// stack reads one and returns the next in its bucket.
func (r *chains) stack(id uint32) uint32 {
	at := r.take(id, recordlayout.StackBytes)
	if at == 0 {
		return 0
	}
	count := uint64(r.data.U16(at + 20))
	next := r.data.U32(at + 8)
	if count > recordlayout.MaxFrames || count*8 > r.end-at-recordlayout.StackBytes {
		r.bad++
		return next
	}
	s := stackRecord{labels: r.labels(r.data.U32(at + 32))}
	for i := uint64(0); i < count; i++ {
		s.frames = append(s.frames, r.data.U64(at+recordlayout.StackBytes+8*i))
	}
	for site := r.data.U32(at + 12); site != 0; {
		site = r.site(site, id, &s)
	}
	if len(s.sites) > 0 {
		r.recording.stacks = append(r.recording.stacks, s)
	}
	return next
}

// No site has more in use.
const mostBytes = 1 << 50

// totalOf is what was allocated in all, of which turns counts how often the top
// bit of low has changed; where the two do not agree, one was about to be counted.
func totalOf(low uint64, turns uint16, bits uint) int64 {
	high := (uint64(turns) + (low>>63 ^ uint64(turns)&1)) >> 1
	if high>>(bits-1) != 0 {
		return math.MaxInt64
	}
	return int64(high<<(64-bits) | low>>bits)
}

func (r *chains) site(id, stack uint32, s *stackRecord) uint32 {
	at := r.take(id, recordlayout.SiteBytes)
	if at == 0 {
		return 0
	}
	d := r.data
	next := d.U32(at + 4)
	allocObjects, allocBytes := d.U64(at+32), d.U64(at+40)
	site := siteRecord{id: id, size: d.U64(at + 8), origin: uint32(d.U16(at + 16)), mixed: d[at+18] != 0,
		allocObjects: totalOf(allocObjects, d.U16(at+20), 16), allocBytes: totalOf(allocBytes, d.U16(at+22), 8),
		inUseObjects: int64(allocObjects-d.U64(at+48)+1<<15) >> 16,
		inUseBytes:   int64(allocBytes-d.U64(at+56)+1<<7) >> 8}
	for _, n := range []int64{site.inUseObjects, site.inUseBytes} {
		if d.U32(at) != stack || n < 0 || n > mostBytes {
			r.bad++
			return next
		}
	}
	s.sites = append(s.sites, site)
	return next
}

// scaleThreadStacks: thread stacks are recorded by their sizes, of which little is touched.
// What was resident is known only of all together.
func (b *Recording) scaleThreadStacks() {
	const threadStack = 2
	last, mapped := b.Last(), 0.0
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

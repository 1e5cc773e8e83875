package recorder

import (
	"math"

	"cgoheap.example/cli/internal/binread"
	"cgoheap.example/cli/internal/recordlayout"
	"cgoheap.example/cli/internal/termtext"
)

// Stacks, and the sites of each, as the recorded process chained them.

type siteRecord struct {
	size                     uint64
	origin                   uint8
	mixed                    bool
	allocObjects, allocBytes int64
	inUseObjects, inUseBytes int64
	atPeaks                  [2]atPeak
}

// atPeak is what was in use at a site when most was.
type atPeak struct{ objects, bytes int64 }

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
	peaks      [2]recordlayout.RegionPeak
	bad        int
}

func (b *Recording) readStacks(d binread.Image, header *recordlayout.RegionHeader) {
	r := &chains{recording: b, data: d, start: header.Arena.Offset,
		peaks: header.Peaks, seen: map[uint32]bool{}, labelSets: map[uint32][]label{}}
	used := header.Arena.Bytes // the arena's current use; only the process knows it exactly
	if r.start < recordlayout.RegionHeaderBytes || r.start > uint64(len(d)) {
		b.LacksStacks = true
		b.note("the stacks are missing")
		return
	}
	r.end = r.start + min(used, uint64(len(d))-r.start)
	buckets, bytes := header.StackBuckets.Offset, header.StackBuckets.Bytes
	if buckets > uint64(len(d)) || bytes > uint64(len(d))-buckets {
		b.note("the index of stacks is truncated")
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
		b.note("%s of stacks, sites or labels point nowhere, and what depends on them is missing",
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
	stack, _ := recordlayout.Get[recordlayout.Stack](r.data, at)
	count := uint64(stack.FrameCount)
	if count > maxFrames || count*8 > r.end-at-recordlayout.StackBytes {
		r.bad++
		return stack.Next
	}
	s := stackRecord{labels: r.labels(stack.Labels)}
	for i := range count {
		s.frames = append(s.frames, r.data.U64(at+recordlayout.StackBytes+8*i))
	}
	for site := stack.FirstSite; site != 0; {
		site = r.site(site, id, &s)
	}
	if len(s.sites) > 0 {
		r.recording.stacks = append(r.recording.stacks, s)
	}
	return stack.Next
}

// No stack has more frames, and no site more in use.
const (
	maxFrames = 4096
	mostBytes = 1 << 50
)

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
	f, _ := recordlayout.Get[recordlayout.Site](r.data, at)
	site := siteRecord{size: f.Size, origin: f.Origin, mixed: f.Mixed != 0,
		allocBytes: totalOf(f.AllocBytesFx, f.AllocBytesTurns, recordlayout.ByteBits),
		inUseBytes: rounded(f.AllocBytesFx-f.FreeBytesFx, recordlayout.ByteBits)}
	if f.Origin == recordlayout.OriginMalloc && f.Size != 0 {
		site.allocObjects = objectsOf(site.allocBytes, f.Size)
		site.inUseObjects = objectsOf(site.inUseBytes, f.Size)
		r.readPeaks(&site, &f, nil)
	} else {
		objects, ok := recordlayout.Get[recordlayout.SiteObjects](r.data,
			at+recordlayout.SiteBytes)
		if !ok {
			r.bad++
			return f.Next
		}
		site.allocObjects = totalOf(objects.AllocObjectsFx, f.AllocObjectsTurns,
			recordlayout.ObjectBits)
		site.inUseObjects = rounded(objects.AllocObjectsFx-objects.FreeObjectsFx,
			recordlayout.ObjectBits)
		r.readPeaks(&site, &f, &objects)
	}
	for _, n := range []int64{site.inUseObjects, site.inUseBytes} {
		if f.Stack != stack || n < 0 || n > mostBytes {
			r.bad++
			return f.Next
		}
	}
	s.sites = append(s.sites, site)
	return f.Next
}

// readPeaks: a site that has changed since a peak has kept what it had then, under the peak's
// number; any other had what it has now. objects is nil of a site whose blocks have one size.
func (r *chains) readPeaks(site *siteRecord, f *recordlayout.Site,
	objects *recordlayout.SiteObjects) {
	if f.Origin == recordlayout.OriginThreadStack {
		return // not part of it
	}
	for i := range site.atPeaks {
		then := atPeak{site.inUseObjects, site.inUseBytes}
		if n, ok := r.keptAt(i, f.PeakBytes[i]); ok {
			then = atPeak{objectsOf(n, max(f.Size, 1)), n}
			if objects != nil {
				then.objects, _ = r.keptAt(i, objects.PeakObjects[i])
			}
		}
		site.atPeaks[i] = then
	}
}

// keptAt is the figure of a site's word, if it is of that peak.
func (r *chains) keptAt(peak int, word uint64) (int64, bool) {
	const figureBits = 64 - recordlayout.PeakNumberBits
	number := r.peaks[peak].Now & (1<<recordlayout.PeakNumberBits - 1)
	return int64(word & (1<<figureBits - 1)), word>>figureBits == number
}

// objectsOf is how many blocks of that size are so many bytes: where a site's blocks have one
// size, they are not counted.
func objectsOf(bytes int64, size uint64) int64 {
	return int64((uint64(max(bytes, 0)) + size/2) / size)
}

// rounded is fixed point with that many bits behind the point.
func rounded(n uint64, bits uint) int64 { return int64(n+1<<(bits-1)) >> bits }

// scaleThreadStacks: thread stacks are recorded by their sizes, of which little is touched.
// What was resident is known only of all together.
func (b *Recording) scaleThreadStacks() {
	last, mapped := b.Last(), 0.0
	for _, s := range b.stacks {
		for _, site := range s.sites {
			if site.origin == recordlayout.OriginThreadStack {
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
			if site := &s.sites[i]; site.origin == recordlayout.OriginThreadStack {
				site.inUseBytes = int64(float64(site.inUseBytes) * scale)
			}
		}
	}
}

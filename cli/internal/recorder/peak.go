package recorder

import (
	"fmt"
	"time"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/recordlayout"
)

// Peak is what was highest: C in use, or RSS.
type Peak struct {
	Bytes int64
	At    time.Time
	Since time.Time           // it was looked for
	Other recordlayout.Figure // the other figure then
}

// PeakNames are as the parameter of= and --of say them.
var PeakNames = [2]string{recordlayout.PeakC: "c", recordlayout.PeakRSS: "rss"}

func (b *Recording) readPeaks(header *recordlayout.RegionHeader) {
	at := func(tick uint32) time.Time {
		return b.Start.Add(time.Duration(tick) * recordlayout.PeakTickNs)
	}
	for i, p := range header.Peaks {
		b.Peaks[i] = Peak{Bytes: int64(min(p.Highest, mostBytes)), At: at(p.Tick),
			Since: at(header.PeaksSinceTick), Other: p.OtherBytes}
	}
}

// ProfileAtPeak is what the heap profile would have been at a peak.
func (b *Recording) ProfileAtPeak(symbols *Names, peak int) *profile.Profile {
	then := *b
	then.stacks = nil
	for _, s := range b.stacks {
		var sites []siteRecord
		for _, site := range s.sites {
			had := site.atPeaks[peak]
			if had == (atPeak{}) {
				continue
			}
			site.inUseObjects, site.inUseBytes = had.objects, had.bytes
			site.allocObjects, site.allocBytes = had.objects, had.bytes
			sites = append(sites, site)
		}
		if s.sites = sites; len(sites) > 0 {
			then.stacks = append(then.stacks, s)
		}
	}
	p := then.Profile(symbols)
	p.TimeNanos = b.Peaks[peak].At.UnixNano()
	p.Comments = append(p.Comments, b.Peaks[peak].comments(peak)...)
	return p
}

// comments are as the library's with view=peak.
func (p *Peak) comments(peak int) []string {
	what, other := "C in use", "RSS"
	if peak == recordlayout.PeakRSS {
		what, other = other, what
	}
	const layout = "2006-01-02T15:04:05.000000000Z"
	lines := []string{fmt.Sprintf("peak of %s: %d bytes at %s, the highest since %s", what,
		p.Bytes, p.At.UTC().Format(layout), p.Since.UTC().Format(layout))}
	if p.Other.IsKnown() {
		lines = append(lines, fmt.Sprintf("%s then: %d bytes", other, p.Other))
	}
	return append(lines, "alloc_* repeats inuse_*; stacks of threads are not included")
}

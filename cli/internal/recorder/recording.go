// Package recorder reads a recording: the file that the library's recorder keeps of a
// process, as it was when the process ended.  The process may have been killed while it
// wrote, the disk may have lost the end of the file, or it may be any other file.  So
// every offset is checked, a chain ends where it meets itself, and notes say what could
// not be read.
package recorder

import (
	"errors"
	"fmt"
	"time"

	"cgoheap.example/cli/internal/binread"
	"cgoheap.example/cli/internal/recordlayout"
	"cgoheap.example/cli/internal/release"
	"cgoheap.example/cli/internal/symbolize"
)

// Recording is what is in the file.
type Recording struct {
	PID                             uint32
	Start                           time.Time
	Program, GoVersion, ShimVersion string
	Modules                         []Module
	Seconds                         []recordlayout.Second // oldest first
	stacks                          []stackRecord
	goText, goEnd                   uint64
	goIs120                         bool
	goTables                        [7]symbolize.Table
	account                         []byte // as /v1/account would have answered; nil: there is none
	IsCopied                        bool   // written once a second, to a disk
	HasLost                         bool   // something could not be recorded
	WasCoarse                       bool   // sampling was off, or not of every allocation
	LacksFigures, LacksStacks       bool   // cut off
	// Of what it was started with, what a verdict asks for.
	Environment map[string]string
	Notes       []string // what could not be read
	Peaks       [2]Peak  // by recordlayout.PeakC and PeakRSS
}

// Module is a file that the process had mapped.
type Module struct {
	start, end, fileOffset, loadBias uint64
	flags                            uint32
	buildID, Path                    string
}

func (b *Recording) note(format string, args ...any) {
	if len(b.Notes) < 16 {
		b.Notes = append(b.Notes, fmt.Sprintf(format, args...))
	}
}

// Read returns an error if it is not a recording, else as much as can be read of it.
func Read(data []byte) (*Recording, error) {
	begin := make([]byte, recordlayout.RegionHeaderBytes) // zeros where data ends
	copy(begin, data)
	header, _ := recordlayout.Get[recordlayout.RegionHeader](begin, 0)
	switch {
	case len(data) == 0:
		return nil, errors.New("it is empty: the process ended before it had written anything")
	case header.Magic != recordlayout.Magic:
		return nil, errors.New("it is not a cgoheap recording")
	case header.Version != recordlayout.Version:
		return nil, fmt.Errorf("it has format version %d, and this cgoheap %s reads version %d: "+
			"use the cgoheap release that recorded it",
			header.Version, release.Version, recordlayout.Version)
	case len(data) < len(begin):
		return nil, fmt.Errorf("it is truncated after %d bytes, within its header", len(data))
	}
	b := &Recording{PID: header.PID, Start: header.StartRealtimeNs.Time(),
		IsCopied:  header.Flags&recordlayout.IsCopied != 0,
		HasLost:   header.Flags&recordlayout.Lost != 0,
		WasCoarse: header.Flags&recordlayout.Coarse != 0}
	if header.RegionBytes > uint64(len(data)) {
		b.note("the file is truncated: it has %d of %d bytes", len(data), header.RegionBytes)
	}
	b.readFixed(data, header.Recording.Offset)
	b.readPeaks(&header)
	b.readStacks(data, &header)
	b.scaleThreadStacks()
	return b, nil
}

func (b *Recording) readFixed(data binread.Image, at uint64) {
	f, ok := recordlayout.Get[recordlayout.Recording](data, at)
	if !ok || at < recordlayout.RegionHeaderBytes {
		b.LacksFigures = true
		b.note("the table of modules and the figures of the last hour are missing")
		return
	}
	b.Program = recordlayout.Text(f.Program[:])
	b.GoVersion = recordlayout.Text(f.GoVersion[:])
	b.ShimVersion = recordlayout.Text(f.ShimVersion[:])
	b.Environment = map[string]string{
		"GOMEMLIMIT":       recordlayout.Text(f.GoMemoryLimit[:]),
		"MALLOC_ARENA_MAX": recordlayout.Text(f.MallocArenaMax[:]),
	}
	b.goText, b.goEnd, b.goIs120 = f.GoText, f.GoEtext, f.GoIs120 != 0
	for i, t := range f.GoTables {
		b.goTables[i] = symbolize.Table(t)
	}
	at += recordlayout.RecordingBytes
	b.readAccounts(data, at, uint64(f.AccountBytes))
	at += recordlayout.Accounts * uint64(f.AccountBytes)
	b.readModules(data, at, uint64(min(f.ModuleCount, f.ModuleRoom)))
	at += uint64(f.ModuleRoom) * recordlayout.ModuleBytes
	b.readSeconds(data, at, uint64(f.SecondRoom), f.SecondCount)
}

func (b *Recording) readModules(data []byte, at, count uint64) {
	for i := range count {
		m, ok := recordlayout.Get[recordlayout.Module](data, at+i*recordlayout.ModuleBytes)
		if !ok {
			b.note("the table of modules is truncated")
			return
		}
		path := recordlayout.Text(m.Path[:])
		if m.Start >= m.End || path == "" {
			b.note("module %d is invalid", i)
			continue
		}
		b.Modules = append(b.Modules, Module{m.Start, m.End, m.FileOffset, m.LoadBias, m.Flags,
			recordlayout.Text(m.BuildID[:]), path})
	}
}

func (b *Recording) readSeconds(data []byte, at, room, count uint64) {
	if room == 0 || room > 1<<20 {
		b.note("the figures of the last hour are invalid")
		return
	}
	first := uint64(0)
	if count > room {
		first = count - room
	}
	for i := first; i < count && i-first < room; i++ {
		place := at + i%room*recordlayout.SecondBytes
		second, ok := recordlayout.Get[recordlayout.Second](data, place)
		if !ok {
			b.note("the figures of the last hour are truncated")
			return
		}
		if second.Time != 0 {
			b.Seconds = append(b.Seconds, second)
		}
	}
}

// Last second; nil: there is none.
func (b *Recording) Last() *recordlayout.Second {
	if len(b.Seconds) == 0 {
		return nil
	}
	return &b.Seconds[len(b.Seconds)-1]
}

// IsEstimated unless every allocation was recorded.
func (b *Recording) IsEstimated() bool {
	for _, m := range b.Seconds {
		if m.SampleBytes > 1 {
			return true
		}
	}
	return b.LacksFigures // the interval is then unknown
}

// Before is the second that long before the last; nil: the recording is shorter.
func (b *Recording) Before(back time.Duration) *recordlayout.Second {
	last := b.Last()
	for i := len(b.Seconds) - 1; i >= 0; i-- {
		// Each second's tick is a little late: the oldest of an hour counts as an hour.
		if age := last.Time.Time().Sub(b.Seconds[i].Time.Time()); age >= back-back/20 {
			return &b.Seconds[i]
		}
	}
	return nil
}

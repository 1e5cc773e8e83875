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

	"cgoheap/cli/internal/binread"
	"cgoheap/cli/internal/recordlayout"
	"cgoheap/cli/internal/release"
	"cgoheap/cli/internal/symbolize"
)

// Module is a file that the process had mapped.
type Module struct {
	start, end, fileOffset, loadBias uint64
	flags                            uint32
	buildID, Path                    string
}

// Second is one second's figures; recordlayout.Unknown where the kernel did not say.
type Second struct {
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
	OwnerPages       [recordlayout.Owners]uint32
	UnexplainedPages uint32
}

// Recording is what is in the file.
type Recording struct {
	PID                             uint32
	Start                           time.Time
	Program, GoVersion, ShimVersion string
	Modules                         []Module
	Seconds                         []Second // oldest first
	stacks                          []stackRecord
	goText, goEnd                   uint64
	goIs120                         bool
	goTables                        [7]symbolize.Table
	account                         binread.Image     // nil: there is none
	IsCopied                        bool              // written once a second, to a disk
	LacksFigures, LacksStacks       bool              // cut off
	Environment                     map[string]string // of what it was started with, what a verdict asks for
	Notes                           []string          // what could not be read
}

func (b *Recording) note(format string, args ...any) {
	if len(b.Notes) < 16 {
		b.Notes = append(b.Notes, fmt.Sprintf(format, args...))
	}
}

// Read returns an error if it is not a recording, else as much as can be read of it.
func Read(data []byte) (*Recording, error) {
	d := binread.Image(data)
	switch {
	case len(d) == 0:
		return nil, errors.New("it is empty: the process ended before it had written anything")
	case d.U64(0) != recordlayout.Magic:
		return nil, errors.New("it is not a recording of cgoheap")
	case d.U32(8) != recordlayout.Version:
		return nil, fmt.Errorf("its format is version %d, and this cgoheap %s reads version %d: use the cgoheap of the same release",
			d.U32(8), release.Version, recordlayout.Version)
	case len(d) < recordlayout.HeaderBytes:
		return nil, fmt.Errorf("it is cut off after %d bytes, in the middle of its header", len(d))
	}
	b := &Recording{PID: d.U32(40), Start: unixNano(d.U64(24)), IsCopied: d.U32(44)&recordlayout.IsCopied != 0}
	if size := d.U64(16); size > uint64(len(d)) {
		b.note("the file is cut off: %d of %d bytes are there", len(d), size)
	}
	b.readFixed(d)
	b.readStacks(d)
	b.scaleThreadStacks()
	return b, nil
}

func unixNano(ns uint64) time.Time { return time.Unix(int64(ns/1e9), int64(ns%1e9)) }

func (b *Recording) readFixed(d binread.Image) {
	at := d.U64(168)
	if d.At(at, recordlayout.FixedBytes) == nil || at < recordlayout.HeaderBytes {
		b.LacksFigures = true
		b.note("the table of modules and the figures of the last hour are missing")
		return
	}
	f := d[at:]
	b.Program, b.GoVersion, b.ShimVersion = f.Text(160, 256), f.Text(416, 64), f.Text(480, 32)
	b.goText, b.goEnd, b.goIs120 = f.U64(32), f.U64(40), f.U32(20) != 0
	for i := range b.goTables {
		b.goTables[i] = symbolize.Table{Address: f.U64(48 + 16*uint64(i)), Len: f.U64(56 + 16*uint64(i))}
	}
	if f.U32(0) != recordlayout.ModuleBytes || f.U32(4) != recordlayout.SecondBytes {
		b.note("modules and seconds have sizes this cgoheap %s does not know", release.Version)
		return
	}
	b.Environment = map[string]string{"GOMEMLIMIT": f.Text(512, 32), "MALLOC_ARENA_MAX": f.Text(544, 32)}
	if f.U32(576) != recordlayout.AccountBytes {
		b.note("accounts have a size this cgoheap %s does not know", release.Version)
		return
	}
	moduleRoom, secondRoom, accountRoom := uint64(f.U32(8)), uint64(f.U32(12)), uint64(f.U32(580))
	b.readAccounts(f[recordlayout.FixedBytes:], accountRoom)
	modules := recordlayout.FixedBytes + accountRoom*recordlayout.AccountBytes
	if modules > uint64(len(f)) {
		b.note("the table of modules and the figures of the last hour are cut off")
		return
	}
	b.readModules(f[modules:], moduleRoom, uint64(f.U32(16)))
	if end := modules + moduleRoom*recordlayout.ModuleBytes; end <= uint64(len(f)) {
		b.readSeconds(f[end:], secondRoom, f.U64(24))
	} else {
		b.note("the figures of the last hour are cut off")
	}
}

func (b *Recording) readModules(f binread.Image, room, count uint64) {
	for i := uint64(0); i < min(count, room); i++ {
		at := i * recordlayout.ModuleBytes
		if f.At(at, recordlayout.ModuleBytes) == nil {
			b.note("the table of modules is cut off")
			return
		}
		m := Module{f.U64(at), f.U64(at + 8), f.U64(at + 16), f.U64(at + 24), f.U32(at + 32),
			f.Text(at+40, 72), f.Text(at+112, 256)}
		if m.start >= m.end || m.Path == "" {
			b.note("module %d makes no sense", i)
			continue
		}
		b.Modules = append(b.Modules, m)
	}
}

func (b *Recording) readSeconds(f binread.Image, room, count uint64) {
	if room == 0 || room > 1<<20 {
		b.note("the figures of the last hour make no sense")
		return
	}
	first := uint64(0)
	if count > room {
		first = count - room
	}
	for i := first; i < count && i-first < room; i++ {
		at := i % room * recordlayout.SecondBytes
		if f.At(at, recordlayout.SecondBytes) == nil {
			b.note("the figures of the last hour are cut off")
			return
		}
		if f.U64(at) == 0 {
			continue
		}
		b.Seconds = append(b.Seconds, readSecond(f[at:]))
	}
}

func readSecond(f binread.Image) Second {
	m := Second{unixNano(f.U64(0)), f.U64(8), f.U64(16), f.U64(24), f.U64(32), f.U64(40), f.U64(48), f.U64(56),
		f.U64(64), f.U64(72), f.U64(80), f.U64(88), f.U64(96), f.U64(104), f.U32(112), f.U32(116),
		f.U64(120), f.U64(128), f.U64(136), f.U64(144), f.U64(152), f.U64(160), f.U64(168),
		f.U64(176), [recordlayout.Owners]uint32{}, f.U32(264)}
	for i := range m.OwnerPages {
		m.OwnerPages[i] = f.U32(184 + 4*uint64(i))
	}
	return m
}

// Last second; nil: there is none.
func (b *Recording) Last() *Second {
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
func (b *Recording) Before(back time.Duration) *Second {
	last := b.Last()
	for i := len(b.Seconds) - 1; i >= 0; i-- {
		// Each second's tick is a little late: the oldest of an hour counts as an hour.
		if age := last.Time.Sub(b.Seconds[i].Time); age >= back-back/20 {
			return &b.Seconds[i]
		}
	}
	return nil
}

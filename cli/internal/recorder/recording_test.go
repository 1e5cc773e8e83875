package recorder

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"cgoheap.example/cli/internal/fakeshim"
	"cgoheap.example/cli/internal/holders"
)

// Totals of years are more than 64 bits of fixed point.
func TestTotals(t *testing.T) {
	for _, c := range []struct {
		low   uint64
		turns uint16
		want  int64
	}{
		{5 << 8, 0, 5},
		{1<<63 + 256, 1, 1<<55 + 1},
		{1<<63 + 256, 0, 1<<55 + 1}, // its turn was about to be counted
		{512, 2, 1<<56 + 2},
		{512, 1, 1<<56 + 2},
		{0, 2 * 127, 127 << 56},
		{0, 2 * 128, math.MaxInt64},
	} {
		if got := totalOf(c.low, c.turns, 8); got != c.want {
			t.Errorf("%#x with %d turns: %d, want %d", c.low, c.turns, got, c.want)
		}
	}
}

func TestRecordingIsRead(t *testing.T) {
	b, err := Read(fakeshim.Recording())
	if err != nil || len(b.Notes) != 0 {
		t.Fatal(err, b.Notes)
	}
	if b.PID != 4242 || b.Program != "/bin/gone" || len(b.Modules) != 1 ||
		len(b.Seconds) != 4 || len(b.stacks) != 2 {
		t.Errorf("%+v", b)
	}
	if last := b.Last(); last.RSS != 4<<20 || b.Seconds[0].RSS != 1<<20 {
		t.Errorf("seconds are out of order: %+v", b.Seconds)
	}
	symbols := FindNames(b, "")
	if m := symbols.Missing(); len(m) != 1 || m[0] != "/nowhere/gone: not there" {
		t.Errorf("missing: %q", m)
	}
	p := b.Profile(symbols)
	if err := p.CheckValid(); err != nil {
		t.Error(err)
	}
	for i, want := range []string{"map[origin:[malloc]]",
		`map[label.origin:[own] long:[x...] origin:[malloc] tenant:[a\x1b[1m]]`} {
		if got := fmt.Sprint(p.Sample[i].Label); got != want {
			t.Errorf("sample %d has labels %s, want %s", i, got, want)
		}
	}
	sum, err := holders.Summarize(p, nil)
	if err != nil || sum.Bytes != 1020 || sum.Objects != 12 {
		t.Errorf("%v: %+v", err, sum)
	}
}

// A set that is not whole is none: its samples stay, and a note says so.
func TestLabelsDamage(t *testing.T) {
	good := fakeshim.Recording()
	for at := 1400; at < 1400+16+10; at++ {
		if at >= 1408 && at < 1412 || at == 1415 { // the next set, and whether there were more
			continue
		}
		bad := append([]byte{}, good...)
		bad[at] ^= 1
		b, err := Read(bad)
		if err != nil || len(b.stacks) != 2 || b.stacks[1].labels != nil || len(b.Notes) != 1 {
			t.Errorf("byte %d: %v, %+v, notes %q", at, err, b.stacks, b.Notes)
		}
	}
	for _, id := range []uint32{1, 1024/8 - 1, 2048 / 8, 1<<32 - 1} {
		bad := append([]byte{}, good...)
		binary.LittleEndian.PutUint32(bad[1200+32:], id)
		b, err := Read(bad)
		if err != nil || len(b.stacks) != 2 || b.stacks[1].labels != nil || len(b.Notes) != 1 {
			t.Errorf("id %d: %v, %+v", id, err, b)
		}
	}
}

//go:build statistics

package sampling

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// record is one of those that bench/statistics_record.c writes.
type record struct {
	Block, Old, Size, Stack, Thread uint64
}

func readRecords(t *testing.T, path string) []record {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var head record
	if err := binary.Read(f, binary.LittleEndian, &head); err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	size := int64(binary.Size(head))
	data := make([]byte, size*min(int64(head.Size), info.Size()/size-1))
	if _, err := f.ReadAt(data, size); err != nil {
		t.Fatal(err)
	}
	records := make([]record, int64(len(data))/size)
	if err := binary.Read(bytes.NewReader(data), binary.LittleEndian, records); err != nil {
		t.Fatal(err)
	}
	return records
}

// reallocations are the frees that are the first half of one.
func reallocations(records []record) map[int]bool {
	found, last := map[int]bool{}, map[uint64]int{}
	for i, r := range records {
		before, ok := last[r.Thread]
		if ok && r.Block != 0 && r.Old != 0 && records[before].Old == r.Old &&
			records[before].Block == 0 {
			found[before] = true
		}
		last[r.Thread] = i
	}
	return found
}

// converter numbers blocks, stacks and threads.
type converter struct {
	events  []event
	blocks  map[uint64]uint32 // by address
	moving  map[uint64]uint32 // by thread
	free    []uint32
	next    uint32
	stacks  map[uint64]uint16
	threads map[uint64]uint8
}

func (c *converter) newBlock() uint32 {
	if n := len(c.free); n > 0 {
		b := c.free[n-1]
		c.free = c.free[:n-1]
		return b
	}
	c.next++
	return c.next - 1
}

func (c *converter) add(r record, isMoved bool) {
	thread, ok := c.threads[r.Thread]
	if !ok {
		thread = uint8(len(c.threads))
		c.threads[r.Thread] = thread
	}
	if r.Block == 0 {
		block, ok := c.blocks[r.Old]
		delete(c.blocks, r.Old)
		switch {
		case !ok:
		case isMoved:
			c.moving[r.Thread] = block
		default:
			c.events = append(c.events, event{Block: block, Thread: thread, Operation: free})
			c.free = append(c.free, block)
		}
		return
	}
	stack, ok := c.stacks[r.Stack]
	if !ok && len(c.stacks) < math.MaxUint16 {
		stack = uint16(len(c.stacks) + 1)
		c.stacks[r.Stack] = stack
	}
	e := event{Size: r.Size, Stack: stack, Thread: thread}
	block, isMoving := c.moving[r.Thread]
	if delete(c.moving, r.Thread); isMoving && r.Old != 0 {
		e.Block, e.Operation = block, reallocate
	} else {
		e.Block = c.newBlock()
	}
	c.blocks[r.Block] = e.Block
	c.events = append(c.events, e)
}

// recorded reads a trace, up to when most was in use in its second half.  Blocks of 0 bytes are
// left out: no interval above 1 samples them.
func recorded(t *testing.T, path string) *trace {
	t.Helper()
	records := readRecords(t, path)
	moved := reallocations(records)
	c := &converter{blocks: map[uint64]uint32{}, moving: map[uint64]uint32{},
		stacks: map[uint64]uint16{}, threads: map[uint64]uint8{}}
	for i, r := range records {
		if r.Block == 0 || r.Size > 0 {
			c.add(r, moved[i])
		}
	}
	tr := &trace{name: strings.TrimSuffix(filepath.Base(path), ".record")}
	sizes := map[uint32]uint64{}
	var inUse, most uint64
	end := 0
	for i, e := range c.events {
		inUse -= sizes[e.Block]
		sizes[e.Block] = e.Size
		if inUse += e.Size; i >= len(c.events)/2 && inUse >= most {
			most, end = inUse, i+1
		}
	}
	tr.events = c.events[:end]
	tr.interval = 1 << max(6, min(19, int(math.Log2(float64(most)/1000))))
	return tr
}

// TestStatistics is what bench/statistics runs: it prints the figures of recorded traces too, by
// how many samples there are, and fails where they are biased.
func TestStatistics(t *testing.T) {
	seeds, err := strconv.Atoi(os.Getenv("STATISTICS_SEEDS"))
	if err != nil {
		t.Fatal("STATISTICS_SEEDS is not set")
	}
	var traces []*trace
	for _, r := range recipes {
		traces = append(traces, r.trace())
	}
	paths, _ := filepath.Glob(filepath.Join(os.Getenv("STATISTICS_TRACES"), "*.record"))
	sort.Strings(paths)
	for _, path := range paths {
		traces = append(traces, recorded(t, path))
	}
	for _, s := range schedules {
		all := newResult()
		var bias [figures]float64 // the mean over traces
		fmt.Printf("\ninterval %s; of %d seeds\n%-24s %9s %8s %-14s %7s %6s %8s\n", s.name, seeds,
			"trace", "events", "interval", "total of", "bias %", "error", "covered")
		for _, tr := range traces {
			tr.write(t)
			r := tr.compare(t, s.of(tr.interval), seeds)
			for f := range figures {
				y := r.total(f)
				fmt.Printf("%-24s %9d %8d %-14s %+7.2f %6.2f %6.1f %%\n", tr.name, len(tr.events),
					tr.interval, f, 100*y.bias(), 100*y.biasError(), 100*y.coverage())
				if math.Abs(y.bias()) > 0.005+4*y.biasError() {
					t.Errorf("%s: %v is biased", tr.name, f)
				}
				bias[f] += y.bias() / float64(len(traces))
			}
			all.merge(r)
		}
		all.printClasses()
		for f := range figures {
			fmt.Printf("figure bias_%s_%v %.2f -0.5..0.5\n", s.name, f, 100*bias[f])
		}
		for f := range figures {
			fmt.Printf("figure covered_%s_%v_total %.1f 93..97\n", s.name, f,
				100*all.total(f).coverage())
			fmt.Printf("figure covered_%s_%v_stacks_over_3_samples %.1f 93..97\n", s.name, f,
				100*all.stacks(f, 3).coverage())
			fmt.Printf("figure covered_%s_%v_stacks_1_to_3_samples %.1f\n", s.name, f,
				100*all[0][f].coverage())
		}
	}
}

func (r result) printClasses() {
	fmt.Printf("\n%-14s %-12s %9s %7s %6s %8s %8s\n", "of stacks", "samples", "intervals", "bias %",
		"error", "covered", "width")
	for f := range figures {
		for c := range r {
			if y := &r[c][f]; y.n > 0 {
				fmt.Printf("%-14s %-12s %9.0f %+7.2f %6.2f %6.1f %% %8.2f\n", f, className(c), y.n,
					100*y.bias(), 100*y.biasError(), 100*y.coverage(), y.width/y.needed)
			}
		}
	}
	fmt.Println()
}

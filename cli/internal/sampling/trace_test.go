package sampling

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// event is one line of a trace, as tests/unit/replay_trace.c reads it.
type event struct {
	Size      uint64
	Block     uint32
	Stack     uint16
	Thread    uint8
	Operation uint8
}

const (
	allocate = iota
	free
	reallocate
)

// trace is what a program allocated, of which everything is known.
type trace struct {
	name     string
	path     string
	interval uint32 // that gives it enough samples
	events   []event
}

func (tr *trace) write(t *testing.T) {
	t.Helper()
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, tr.events); err != nil {
		t.Fatal(err)
	}
	tr.path = filepath.Join(t.TempDir(), "trace")
	if err := os.WriteFile(tr.path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readTrace(t *testing.T, path string) *trace {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tr := &trace{name: filepath.Base(path), path: path,
		events: make([]event, len(data)/binary.Size(event{}))}
	if err := binary.Read(bytes.NewReader(data), binary.LittleEndian, tr.events); err != nil {
		t.Fatal(err)
	}
	return tr
}

// change is an interval and the share of the trace from which on it is in force.
type change struct {
	interval uint32
	from     float64
}

type schedule []change

// String is how replay_trace takes it.
func (s schedule) String() string {
	var words []string
	for _, c := range s {
		words = append(words, fmt.Sprintf("%d@%g", c.interval, c.from))
	}
	return strings.Join(words, ",")
}

// truth is what there was, and the variance of its estimates.
type truth struct {
	is, variance [figures]float64
}

// samples is how many of equal weight would make as sure of it as those to be expected.
func (of *truth) samples(f Figure) float64 {
	return of.is[f] * of.is[f] / of.variance[f]
}

func (tr *trace) truths(s schedule) (total truth, stacks map[uint16]*truth) {
	type block struct {
		stack   uint16
		size, p float64
	}
	stacks = map[uint16]*truth{}
	live := map[uint32]block{}
	count := func(b block, f Figure, sign float64) {
		for _, of := range []*truth{&total, stacks[b.stack]} {
			of.is[f] += sign
			of.is[f+1] += sign * b.size
			of.variance[f] += sign * (1 - b.p) / b.p
			of.variance[f+1] += sign * b.size * b.size * (1 - b.p) / b.p
		}
	}
	interval, next := 1.0, 0
	for i, e := range tr.events {
		for next < len(s) && float64(i) >= s[next].from*float64(len(tr.events)) {
			interval = float64(s[next].interval)
			next++
		}
		if e.Operation != allocate {
			count(live[e.Block], InUseObjects, -1)
			delete(live, e.Block)
		}
		if e.Operation != free {
			b := block{e.Stack, float64(e.Size), 1}
			if interval > 1 {
				b.p = -math.Expm1(-b.size / interval)
			}
			if stacks[b.stack] == nil {
				stacks[b.stack] = &truth{}
			}
			live[e.Block] = b
			count(b, AllocObjects, 1)
			count(b, InUseObjects, 1)
		}
	}
	return total, stacks
}

const replayer = "../../../build/unit/replay_trace"

// replay has the library sample the trace.
func (tr *trace) replay(seed int, s schedule) (*profile.Profile, error) {
	var said bytes.Buffer
	cmd := exec.Command(replayer, tr.path, strconv.Itoa(seed), s.String())
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", tr.name, err, said.String())
	}
	return profile.ParseData(out)
}

// stackOf reads the number that replay_trace's functions spell.
func stackOf(s *profile.Sample) uint16 {
	digits := ""
	for _, l := range s.Location { // leaf first
		for _, line := range l.Line {
			if digit, ok := strings.CutPrefix(line.Function.Name, "digit_"); ok {
				digits = digit + digits
			}
		}
	}
	n, _ := strconv.ParseUint(digits, 16, 16)
	return uint16(n)
}

// ---- made up ----

// recipe makes a trace: stacks of different activity, some of which keep what they allocate.
type recipe struct {
	name     string
	interval uint32 // that the trace is made for
	events   int
	stacks   int
	size     func(rng *rand.Rand, stack int) float64
	// Of the blocks of a stack: the share that stays, and that is reallocated.
	stays, grows float64
}

const threads = 4

func (r recipe) trace() *trace {
	rng := rand.New(rand.NewPCG(uint64(len(r.name)), 7))
	tr := &trace{name: r.name, interval: r.interval}
	var freed, passing []uint32
	var next uint32
	for len(tr.events) < r.events {
		// Stack n allocates about e^(-n/10) as much as the first.
		stack := int(rng.ExpFloat64()*10) % r.stacks
		e := event{Size: uint64(max(1, r.size(rng, stack))), Stack: uint16(stack*257 + 1),
			Thread: uint8(rng.IntN(threads))}
		if n := len(freed); n > 0 {
			e.Block, freed = freed[n-1], freed[:n-1]
		} else {
			e.Block = next
			next++
		}
		tr.events = append(tr.events, e)
		if rng.Float64() < r.grows {
			e.Operation, e.Size = reallocate, e.Size*2
			tr.events = append(tr.events, e)
		}
		if rng.Float64() >= r.stays {
			passing = append(passing, e.Block)
		}
		for len(passing) > 1000 {
			i := rng.IntN(len(passing))
			tr.events = append(tr.events, event{Block: passing[i], Operation: free,
				Thread: uint8(rng.IntN(threads))})
			freed = append(freed, passing[i])
			passing[i] = passing[len(passing)-1]
			passing = passing[:len(passing)-1]
		}
	}
	return tr
}

var recipes = []recipe{
	{"small blocks", 1 << 11, 300000, 60, func(_ *rand.Rand, stack int) float64 {
		return float64(int(8) << (stack % 6))
	}, 0.2, 0.1},
	{"about the interval", 1 << 14, 40000, 60, func(_ *rand.Rand, stack int) float64 {
		return float64(int(1<<11) << (stack % 7))
	}, 0.2, 0.1},
	{"heavy tails, many sizes", 1 << 14, 200000, 40, func(rng *rand.Rand, _ int) float64 {
		return min(1<<24, 32*math.Pow(rng.Float64(), -1.2))
	}, 0.2, 0.1},
}

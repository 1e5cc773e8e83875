package difference

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"cgoheap.example/cli/internal/fakeshim"
	"cgoheap.example/cli/internal/sampling"
)

// A process whose truth is known: stacks that allocate and free blocks, and a sampler that draws as
// the library does (shim/record/sample.h): each block with p = 1 - e^(-size/interval), once.

type block struct{ sampled bool }

type modelStack struct {
	size  int64
	live  []block
	total float64 // of sampled blocks since the start, by weight
}

type model struct {
	rng      *rand.Rand
	interval int64
	stacks   []*modelStack
	pid      int
	clock    int64
}

func newModel(seed uint64, interval int64, sizes ...int64) *model {
	m := &model{rng: rand.New(rand.NewPCG(seed, 7)), interval: interval, pid: 4242}
	for _, size := range sizes {
		m.stacks = append(m.stacks, &modelStack{size: size})
	}
	return m
}

func (m *model) odds(size int64) float64 {
	if m.interval == 1 {
		return 1
	}
	return -math.Expm1(-float64(size) / float64(m.interval))
}

func (m *model) allocate(at, n int) {
	s := m.stacks[at]
	for range n {
		b := block{m.rng.Float64() < m.odds(s.size)}
		if b.sampled {
			s.total += 1 / m.odds(s.size)
		}
		s.live = append(s.live, b)
	}
}

// free frees any of the blocks.
func (m *model) free(at, n int) {
	s := m.stacks[at]
	for range n {
		i := m.rng.IntN(len(s.live))
		s.live[i] = s.live[len(s.live)-1]
		s.live = s.live[:len(s.live)-1]
	}
}

func stackName(at int) string { return fmt.Sprintf("main.stack%d@main.go", at) }

// look is the profile that the library would write now.
func (m *model) look() *Moment {
	m.clock++
	b := fakeshim.NewProfileBuilder(m.interval)
	for at, s := range m.stacks {
		inUse := 0.0
		for _, block := range s.live {
			if block.sampled {
				inUse += 1 / m.odds(s.size)
			}
		}
		if s.total == 0 {
			continue
		}
		b.Add(1, s.size, "malloc", "grab", "main._Cfunc_grab@_cgo_gotypes.go", stackName(at))
		last := b.Profile.Sample[len(b.Profile.Sample)-1]
		size := float64(s.size)
		last.Value = []int64{round(s.total), round(s.total * size), round(inUse),
			round(inUse * size)}
	}
	b.Profile.TimeNanos = (1_700_000_000 + m.clock) * 1e9
	b.Profile.Comments = []string{"cgoheap 0.1.0",
		fmt.Sprintf("process %d, started %s", m.pid, time.Unix(1_600_000_000, 0).UTC().
			Format(time.RFC3339Nano))}
	moment, err := Read(fmt.Sprintf("look %d", m.clock), fakeshim.Encode(b.Profile))
	if err != nil {
		panic(err)
	}
	return moment
}

func options() *Options {
	return &Options{Figure: sampling.InUseBytes, Confidence: 0.95}
}

package cohort

import (
	"container/list"
	"math"
	"math/rand"
	"sort"
	"time"
)

// A load is the sampled blocks of one stack: when each was allocated and freed, in minutes.
type block struct{ born, dies float64 }

var never = math.Inf(1)

// load makes the blocks of so many minutes, perMinute sampled on average.
type load func(r *rand.Rand, minutes, perMinute float64) []block

// arrivals are Poisson.
func arrivals(r *rand.Rand, minutes, perMinute float64, dies func(born float64) float64) []block {
	var all []block
	for t := r.ExpFloat64() / perMinute; t < minutes; t += r.ExpFloat64() / perMinute {
		all = append(all, block{t, dies(t)})
	}
	return all
}

func lifetimes(draw func(r *rand.Rand) float64) load {
	return func(r *rand.Rand, minutes, perMinute float64) []block {
		return arrivals(r, minutes, perMinute, func(t float64) float64 { return t + draw(r) })
	}
}

func fixed(minutes float64) load {
	return lifetimes(func(*rand.Rand) float64 { return minutes })
}

func exponential(mean float64) load {
	return lifetimes(func(r *rand.Rand) float64 { return mean * r.ExpFloat64() })
}

// pareto lifetimes of a second at least.
func pareto(exponent float64) load {
	return lifetimes(func(r *rand.Rand) float64 {
		return math.Pow(1-r.Float64(), -1/exponent) / 60
	})
}

// leaking keeps this share, after a churn of two seconds.
func leaking(share float64) load {
	return lifetimes(func(r *rand.Rand) float64 {
		if r.Float64() < share {
			return never
		}
		return r.ExpFloat64() / 30
	})
}

// together are several loads of one stack, each with its part of the blocks.
func together(parts map[float64]load) load {
	return func(r *rand.Rand, minutes, perMinute float64) []block {
		var all []block
		var shares []float64
		for share := range parts {
			shares = append(shares, share)
		}
		sort.Float64s(shares)
		for _, share := range shares {
			all = append(all, parts[share](r, minutes, perMinute*share)...)
		}
		return all
	}
}

// during lets a load run from one minute to another, which may be past the end.
func during(from, to float64, of load) load {
	return func(r *rand.Rand, minutes, perMinute float64) []block {
		var all []block
		for _, b := range of(r, max(0, min(to, minutes)-from), perMinute) {
			all = append(all, block{b.born + from, b.dies + from})
		}
		return all
	}
}

// burst allocates blocks within a second.
func burst(r *rand.Rand, at float64, blocks float64, dies float64) []block {
	var all []block
	for range int(blocks) {
		all = append(all, block{at + r.Float64()/60, dies})
	}
	return all
}

// batches of each period live for hold.
func batches(period, hold float64) load {
	return func(r *rand.Rand, minutes, perMinute float64) []block {
		var all []block
		for t := period * r.Float64(); t < minutes; t += period {
			all = append(all, burst(r, t, period*perMinute, t+hold)...)
		}
		return all
	}
}

// waves of load, each of a period, with a lifetime.
func waves(period, mean float64) load {
	return func(r *rand.Rand, minutes, perMinute float64) []block {
		all := arrivals(r, minutes, 2*perMinute, func(t float64) float64 {
			return t + mean*r.ExpFloat64()
		})
		n := 0
		for _, b := range all {
			if r.Float64() < (1+math.Sin(2*math.Pi*b.born/period))/2 {
				all[n] = b
				n++
			}
		}
		return all[:n]
	}
}

// pool never frees, and grows by slabs when more is in use than ever: the number in use is
// Poisson with a mean of 50, and changes about each second.
func pool(slab float64) load {
	return func(r *rand.Rand, minutes, _ float64) []block {
		var all []block
		most, used := 0.0, 50.0
		for t := 0.0; t < minutes; t += 1.0 / 60 {
			used += 0.3*(50-used) + r.NormFloat64()*math.Sqrt(50*(1-0.7*0.7))
			for used > most {
				all = append(all, burst(r, t, slab, never)...)
				most++
			}
		}
		return all
	}
}

// randomCache evicts at random once it holds what comes in within fill minutes.
func randomCache(fill float64) load {
	return func(r *rand.Rand, minutes, perMinute float64) []block {
		all := arrivals(r, minutes, perMinute, func(float64) float64 { return never })
		var held []int
		for i := range all {
			if len(held) < int(fill*perMinute)+1 {
				held = append(held, i)
				continue
			}
			at := r.Intn(len(held))
			all[held[at]].dies = all[i].born
			held[at] = i
		}
		return all
	}
}

// lru holds as many entries as make up this many minutes of misses at first; keys are by Zipf.
func lru(fill float64) load {
	return func(r *rand.Rand, minutes, perMinute float64) []block {
		capacity := int(fill*perMinute) + 1
		keys := rand.NewZipf(r, 1.1, 1, uint64(20*capacity))
		order, held := list.New(), map[uint64]*list.Element{}
		type entry struct {
			key uint64
			at  int
		}
		var all []block
		for t := 0.0; t < minutes; t += r.ExpFloat64() / (3 * perMinute) {
			key := keys.Uint64()
			if e := held[key]; e != nil {
				order.MoveToFront(e)
				continue
			}
			if order.Len() == capacity {
				last := order.Back()
				all[last.Value.(entry).at].dies = t
				delete(held, last.Value.(entry).key)
				order.Remove(last)
			}
			held[key] = order.PushFront(entry{key, len(all)})
			all = append(all, block{t, never})
		}
		return all
	}
}

// bounds of the cohorts: as the library keeps them.
func bounds(age float64) []float64 {
	var at []float64
	add := func(from, to, step float64) {
		for t := from; t < min(to, age)-1e-9; t += step {
			at = append(at, t)
		}
	}
	add(0, 1, 5.0/60)
	add(1, 10, 1)
	add(10, 60, 5)
	for t := 60.0; t < age; t *= 2 {
		at = append(at, t)
	}
	return append(at, age)
}

const sampleBytes = 512 << 10

// historyOf is what a look finds at this minute.
func historyOf(blocks []block, minute float64) *History {
	at := bounds(minute)
	h := &History{}
	for i := range at[1:] {
		h.Cohorts = append(h.Cohorts, Cohort{From: minutes(at[i]), To: minutes(at[i+1])})
	}
	for _, b := range blocks {
		if b.born > minute {
			continue
		}
		c := &h.Cohorts[sort.SearchFloat64s(at[1:], minute-b.born)]
		c.sampled++
		c.Allocated += sampleBytes
		if b.dies > minute {
			c.alive++
			c.Live += sampleBytes
		}
	}
	return h
}

func minutes(n float64) time.Duration {
	return time.Duration(n * float64(time.Minute)).Round(time.Second)
}

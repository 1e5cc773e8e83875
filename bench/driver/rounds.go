package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// A metric is a column of rounds.tsv.
type metric string

const (
	wall         metric = "wall_ns"
	cpu          metric = "cpu_ns"
	instructions metric = "instructions"
	peak         metric = "peak_kib"
	size         metric = "profile_bytes"
	request      metric = "request_ns"
)

// A key is a workload under a profiler.
type key struct{ workload, profiler string }

// rounds is all that was measured: of each figure its value in each round. Counts of instructions
// are of round 0.
type rounds struct {
	values  map[key]map[metric]map[int]float64
	callers map[key]string  // "yes" or "no", where a profile was looked into
	failed  map[key]string  // why there is no figure
	amounts map[key]float64 // how much of the workload a round does
	counted map[key]float64 // and callgrind
}

func newRounds() *rounds {
	return &rounds{map[key]map[metric]map[int]float64{}, map[key]string{}, map[key]string{},
		map[key]float64{}, map[key]float64{}}
}

func (r *rounds) of(k key, m metric) map[int]float64 { return r.values[k][m] }

func (r *rounds) add(k key, m metric, round int, value float64) {
	if r.values[k] == nil {
		r.values[k] = map[metric]map[int]float64{}
	}
	if r.values[k][m] == nil {
		r.values[k][m] = map[int]float64{}
	}
	r.values[k][m][round] = value
}

// median is NaN where nothing was measured.
func (r *rounds) median(k key, m metric) float64 { return spreadOf(values(r.of(k, m))).median }

func values(of map[int]float64) []float64 {
	var all []float64
	for _, v := range of {
		all = append(all, v)
	}
	return all
}

// against is f of the profiler's figure and of the same round's run without it, in each round.
// Times and instructions are by unit of work: a slow profiler does less of it.
func (r *rounds) against(k key, base string, m metric,
	f func(x, y float64) float64) map[int]float64 {
	b := key{k.workload, base}
	work := 1.0
	switch m {
	case wall, cpu:
		work = r.amounts[b] / r.amounts[k]
	case instructions:
		work = r.counted[b] / r.counted[k]
	}
	return pairwise(r.of(k, m), r.of(b, m), func(x, y float64) float64 { return f(x*work, y) })
}

// cost is the spread of the ratios.
func (r *rounds) cost(k key, base string, m metric) spread {
	return spreadOf(values(r.against(k, base, m, ratio)))
}

// count is how many rounds there are.
func (r *rounds) count() int {
	most := 0
	for _, of := range r.values {
		most = max(most, len(of[wall]))
	}
	return most
}

// A row is a line of rounds.tsv: ROUND WORKLOAD PROFILER WHAT VALUE, separated by tabs. WHAT is a
// metric, "caller", "failed", "amount" or "counted".
type row struct {
	round int
	key   key
	what  string
	value string
}

func (w row) String() string {
	return fmt.Sprintf("%d\t%s\t%s\t%s\t%s\n", w.round, w.key.workload, w.key.profiler, w.what,
		strings.NewReplacer("\t", " ", "\n", " ").Replace(w.value))
}

// put takes a line in.
func (r *rounds) put(w row) error {
	switch w.what {
	case "caller":
		r.callers[w.key] = w.value
		return nil
	case "failed":
		r.failed[w.key] = w.value
		return nil
	}
	v, err := strconv.ParseFloat(w.value, 64)
	if err != nil || math.IsNaN(v) {
		return fmt.Errorf("%s of %s under %s in round %d is %q: expected a number", w.what,
			w.key.workload, w.key.profiler, w.round, w.value)
	}
	switch w.what {
	case "amount":
		r.amounts[w.key] = v
	case "counted":
		r.counted[w.key] = v
	default:
		r.add(w.key, metric(w.what), w.round, v)
	}
	return nil
}

func readRounds(from io.Reader) (*rounds, error) {
	r := newRounds()
	lines := bufio.NewScanner(from)
	for n := 1; lines.Scan(); n++ {
		f := strings.Split(lines.Text(), "\t")
		if len(f) != 5 {
			return nil, fmt.Errorf("line %d has %d fields, expected 5", n, len(f))
		}
		round, err := strconv.Atoi(f[0])
		if err != nil {
			return nil, fmt.Errorf("line %d: round %q: expected a number", n, f[0])
		}
		if err := r.put(row{round, key{f[1], f[2]}, f[3], f[4]}); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	return r, lines.Err()
}

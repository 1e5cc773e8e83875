package main

import (
	"math"
	"slices"
)

// A spread is the middle and the usual range of values: median, 10th and 90th percentile.
type spread struct {
	median, low, high float64
	n                 int
}

// spreadOf is of the values that are numbers; its n is 0 where none is.
func spreadOf(values []float64) spread {
	v := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	slices.Sort(v)
	return spread{percentile(v, 50), percentile(v, 10), percentile(v, 90), len(v)}
}

// percentile interpolates between neighbours; v is sorted.
func percentile(v []float64, percent float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	at := percent / 100 * float64(len(v)-1)
	i := int(at)
	if i+1 == len(v) {
		return v[i]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}

// pairwise is f of the values of each round that has both: what one round has in common (the
// machine's load, its clock) cancels out.
func pairwise(a, b map[int]float64, f func(x, y float64) float64) map[int]float64 {
	all := map[int]float64{}
	for round, x := range a {
		if y, ok := b[round]; ok {
			all[round] = f(x, y)
		}
	}
	return all
}

func ratio(x, y float64) float64 {
	if y == 0 {
		return math.NaN()
	}
	return x / y
}

func difference(x, y float64) float64 { return x - y }

// Package drift says of a series of figures whether it grows, and how fast: a robust slope with
// an interval, growth told from a step, from noise and from the sawtooth of a collector, and
// when a limit is reached.  It knows seconds and values, and not what they mean.  It keeps a
// bounded state, reads no clock, and is not safe for use by several goroutines at once.
package drift

import (
	"math"
	"slices"
)

// Point is a value at a time, in seconds since any fixed moment.
type Point struct{ Seconds, Value float64 }

// Slope is a change per second, with the interval that contains it with 95 % confidence.
type Slope struct {
	PerSecond, Low, High float64
	// Z is Mann and Kendall's statistic, with its variance corrected for autocorrelation:
	// above 3 there is a trend upwards, below -3 one downwards.
	Z float64
}

// Sure says that the interval does not contain 0.
func (s Slope) Sure() bool { return s.Low > 0 || s.High < 0 }

const (
	confidence = 1.96 // of the interval, in standard deviations: 95 %
	// Theil and Sen's slope takes all pairs; more points than this are joined to medians first.
	mostPoints  = 240
	leastPoints = 5
)

// SlopeOf is Theil and Sen's slope: the median slope of all pairs, which a third of wrong points
// does not change much.  False: there are too few points, or all at one time.
func SlopeOf(points []Point) (Slope, bool) {
	points = joined(measured(points), mostPoints)
	n := len(points)
	if n < leastPoints || points[0].Seconds >= points[n-1].Seconds {
		return Slope{}, false
	}
	slopes := make([]float64, 0, n*(n-1)/2)
	sign := 0
	for i, a := range points {
		for _, b := range points[i+1:] {
			if b.Seconds > a.Seconds {
				slopes = append(slopes, (b.Value-a.Value)/(b.Seconds-a.Seconds))
				sign += direction(b.Value - a.Value)
			}
		}
	}
	slices.Sort(slopes)
	s := Slope{PerSecond: middle(slopes)}
	deviation := math.Sqrt(kendallVariance(points) * inflation(residuals(points, s.PerSecond)))
	if sign != 0 && deviation > 0 {
		s.Z = float64(sign-direction(float64(sign))) / deviation
	}
	reach := confidence * deviation / 2
	half := float64(len(slopes)-1) / 2
	s.Low = slopes[max(0, int(math.Floor(half-reach)))]
	s.High = slopes[min(len(slopes)-1, int(math.Ceil(half+reach)))]
	return s, true
}

// A value above this is no measurement, and products of such values are no numbers.
const mostValue = 1e100

func (p Point) isMeasured() bool { return math.Abs(p.Value) <= mostValue } // false of NaN

// measured are the points without those that are no numbers, or larger than anything measured.
func measured(points []Point) []Point {
	return slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return !p.isMeasured() })
}

func direction(x float64) int {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

// kendallVariance of the sum of signs of independent points; ties say less.
func kendallVariance(points []Point) float64 {
	values := make([]float64, len(points))
	for i, p := range points {
		values[i] = p.Value
	}
	slices.Sort(values)
	pairs := func(n int) float64 { f := float64(n); return f * (f - 1) * (2*f + 5) / 18 }
	variance := pairs(len(values))
	for i := 0; i < len(values); {
		j := i
		for j < len(values) && values[j] == values[i] {
			j++
		}
		variance -= pairs(j - i)
		i = j
	}
	return variance
}

// residuals of a line with that slope.
func residuals(points []Point, slope float64) []float64 {
	left := make([]float64, len(points))
	for i, p := range points {
		left[i] = p.Value - slope*p.Seconds
	}
	return left
}

// inflation is by how much neighbours that resemble each other increase the variance of a sum
// of n points, as if they were an AR(1) process.
func inflation(left []float64) float64 {
	n := float64(len(left))
	r := min(neighbours(left), mostAlike)
	factor := 1.0
	for k, power := 1.0, r; k < n && power > 1e-3; k, power = k+1, power*r {
		factor += 2 * (1 - k/n) * power
	}
	return factor
}

const mostAlike = 0.98

// neighbours is the correlation of neighbours' ranks, at least 0.  A short detrended series
// has less than the process (Kendall 1954), which is added again.
func neighbours(left []float64) float64 {
	n := float64(len(left))
	ranks := ranksOf(left)
	mean := (n - 1) / 2
	var product, square float64
	for i, rank := range ranks {
		square += (rank - mean) * (rank - mean)
		if i > 0 {
			product += (rank - mean) * (ranks[i-1] - mean)
		}
	}
	if square == 0 || n <= 5 {
		return 0
	}
	return max(0, (n*product/square+2)/(n-4))
}

// ranksOf gives each value its rank from 0; equal ones share the mean.
func ranksOf(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return direction(values[a] - values[b]) })
	ranks := make([]float64, len(values))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && values[order[j]] == values[order[i]] {
			j++
		}
		for _, at := range order[i:j] {
			ranks[at] = float64(i+j-1) / 2
		}
		i = j
	}
	return ranks
}

// joined makes at most n points of more: medians of neighbours.
func joined(points []Point, n int) []Point {
	if len(points) <= n {
		return points
	}
	some := (len(points) + n - 1) / n
	var out []Point
	for part := range slices.Chunk(points, some) {
		out = append(out, Point{part[len(part)/2].Seconds, medianOf(values(part))})
	}
	return out
}

func values(points []Point) []float64 {
	v := make([]float64, len(points))
	for i, p := range points {
		v[i] = p.Value
	}
	return v
}

// medianOf sorts its argument.
func medianOf(v []float64) float64 {
	slices.Sort(v)
	return middle(v)
}

// middle of sorted values.
func middle(sorted []float64) float64 {
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

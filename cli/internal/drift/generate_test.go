package drift

import (
	"math"
	"math/rand"
)

// noise makes values around 1, one a second; NaN is a gap.
type noise struct {
	name string
	in5  float64 // share of series in which 1 % a minute must be found in 5 minutes
	make func(r *rand.Rand) func(second int) float64
}

// uniform between low and high.
func uniform(r *rand.Rand, low, high float64) float64 { return low + (high-low)*r.Float64() }

// ar is an AR(1) process, which resembles itself for some seconds.
func ar(r *rand.Rand, seconds, deviation float64) func() float64 {
	keep := math.Exp(-1 / seconds)
	push := deviation * math.Sqrt(1-keep*keep)
	x := deviation * r.NormFloat64()
	return func() float64 { x = keep*x + push*r.NormFloat64(); return x }
}

func sawtooth(r *rand.Rand, period, height float64) func() float64 {
	at, top := r.Float64(), 1.0
	return func() float64 {
		at += 1 / period
		if at >= top {
			at, top = 0, uniform(r, 0.9, 1.1)
		}
		return height * at
	}
}

// wave of -1 to 1.
func wave(second int, period, at float64) float64 {
	return math.Sin(at + float64(second)*2*math.Pi/period)
}

// heavy is Student's t with two degrees of freedom.
func heavy(r *rand.Rand) float64 { return r.NormFloat64() / math.Sqrt(r.ExpFloat64()) }

// noises of steady series.  The teeth of "long teeth" are longer than the shortest segment.
var noises = []noise{
	{"white", 0.9, func(r *rand.Rand) func(int) float64 {
		d := uniform(r, 0.002, 0.03)
		return func(int) float64 { return 1 + d*r.NormFloat64() }
	}},
	{"AR(1)", 0.9, func(r *rand.Rand) func(int) float64 {
		x := ar(r, uniform(r, 5, 60), uniform(r, 0.001, 0.008))
		return func(int) float64 { return 1 + x() }
	}},
	{"AR(1), slow", 0.9, func(r *rand.Rand) func(int) float64 {
		x := ar(r, uniform(r, 60, 900), uniform(r, 0.001, 0.006))
		return func(int) float64 { return 1 + x() }
	}},
	{"sawtooth", 0.9, func(r *rand.Rand) func(int) float64 {
		x, y := sawtooth(r, uniform(r, 3, 30), uniform(r, 0.05, 0.6)), ar(r, 10, 0.003)
		return func(int) float64 { return 1 + x() + y() }
	}},
	{"long teeth", 0, func(r *rand.Rand) func(int) float64 {
		x, y := sawtooth(r, uniform(r, 30, 240), uniform(r, 0.05, 0.6)), ar(r, 10, 0.003)
		return func(int) float64 { return 1 + x() + y() }
	}},
	{"heavy tails", 0.9, func(r *rand.Rand) func(int) float64 {
		d := uniform(r, 0.002, 0.01)
		return func(int) float64 { return 1 + d*heavy(r) }
	}},
	{"daily and hourly waves", 0.9, func(r *rand.Rand) func(int) float64 {
		day, hour := uniform(r, 0.05, 0.2), uniform(r, 0, 0.015)
		at, x := uniform(r, 0, 7), ar(r, 10, 0.004)
		return func(t int) float64 {
			return 1 + day/2*wave(t, 86400, at) + hour/2*wave(t, 3600, at) + x()
		}
	}},
	{"quantised", 0.8, func(r *rand.Rand) func(int) float64 {
		q, x := uniform(r, 0.005, 0.02), ar(r, 30, uniform(r, 0.002, 0.006))
		return func(int) float64 { return math.Round((1+x())/q) * q }
	}},
	{"gaps", 0.9, func(r *rand.Rand) func(int) float64 {
		x, left := ar(r, 10, 0.006), 0
		return func(int) float64 {
			if left--; left > 0 || r.Float64() < 0.05 {
				return math.NaN()
			}
			if r.Float64() < 0.0005 {
				left = 30 + r.Intn(600)
			}
			return 1 + x()
		}
	}},
	{"drop-outs", 0.9, func(r *rand.Rand) func(int) float64 {
		x, left := ar(r, 10, 0.006), 0
		return func(int) float64 {
			if left--; left > 0 || r.Float64() < 0.01 {
				if left <= 0 {
					left = r.Intn(3)
				}
				return uniform(r, 0, 0.5)
			}
			return 1 + x()
		}
	}},
	{"all together", 0.8, func(r *rand.Rand) func(int) float64 {
		x, y := sawtooth(r, uniform(r, 3, 30), uniform(r, 0.05, 0.3)),
			ar(r, uniform(r, 5, 300), 0.003)
		return func(t int) float64 {
			if r.Float64() < 0.01 {
				return math.NaN()
			}
			return 1 + x() + y() + 0.03*wave(t, 86400, 0) + 0.003*heavy(r)
		}
	}},
}

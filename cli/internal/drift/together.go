package drift

import (
	"math"
	"slices"
)

// Together is how much two series change at the same times.
type Together struct {
	// Rank correlation of the changes from segment to segment, -1 to 1.
	Rank float64
	// Z is Rank in standard deviations of what two series without relation show, with
	// neighbours that resemble each other.
	Z float64
	N int // changes compared
}

const (
	leastTogether = 12
	strongRank    = 0.5
	strongZ       = 4
)

// Strong says that chance does not explain it: once in some ten thousand pairs of series.
func (t Together) Strong() bool { return t.Rank >= strongRank && t.Z >= strongZ }

// TogetherOf compares the changes of a with those of b, over segments of that many seconds.
// Segments in which either has no value are left out.
func TogetherOf(a, b []Point, seconds float64) Together {
	da, db, _ := changesOf(a, b, seconds)
	return compared(da, db)
}

// FollowsOf compares the changes of a with the values of b: a grows while b is high.
func FollowsOf(a, b []Point, seconds float64) Together {
	da, _, vb := changesOf(a, b, seconds)
	return compared(da, vb)
}

// changesOf both from segment to segment, and the means of b meanwhile.
func changesOf(a, b []Point, seconds float64) (da, db, vb []float64) {
	a, b = measured(a), measured(b)
	byTime := map[int64]float64{}
	for _, p := range segmentsOf(b, seconds) {
		byTime[int64(p.Seconds/seconds)] = p.Value
	}
	var lastA, lastB float64
	last := int64(math.MinInt64)
	for _, p := range segmentsOf(a, seconds) {
		number := int64(p.Seconds / seconds)
		v, ok := byTime[number]
		if !ok {
			continue
		}
		if last == number-1 {
			da, db, vb = append(da, p.Value-lastA), append(db, v-lastB), append(vb, (lastB+v)/2)
		}
		last, lastA, lastB = number, p.Value, v
	}
	return da, db, vb
}

// compared by ranks.  Neighbours that resemble each other in both leave fewer independent pairs.
func compared(a, b []float64) Together {
	if len(a) < leastTogether {
		return Together{N: len(a)}
	}
	alike := serial(a) * serial(b)
	n := max(3, float64(len(a))*(1-alike)/(1+alike))
	rank := correlation(ranksOf(a), ranksOf(b))
	return Together{Rank: rank, Z: rank * math.Sqrt(n-1), N: len(a)}
}

// segmentsOf are medians of the values in each segment.
func segmentsOf(points []Point, seconds float64) []Point {
	var out []Point
	for len(points) > 0 {
		number := math.Floor(points[0].Seconds / seconds)
		n := slices.IndexFunc(points, func(p Point) bool {
			return math.Floor(p.Seconds/seconds) != number
		})
		if n < 0 {
			n = len(points)
		}
		out = append(out, Point{number * seconds, medianOf(values(points[:n]))})
		points = points[n:]
	}
	return out
}

// serial correlation of neighbours, 0 to mostAlike.
func serial(v []float64) float64 {
	ranks := ranksOf(v)
	return min(mostAlike, max(0, correlation(ranks[:len(ranks)-1], ranks[1:])))
}

func correlation(a, b []float64) float64 {
	var ma, mb float64
	for i := range a {
		ma, mb = ma+a[i]/float64(len(a)), mb+b[i]/float64(len(b))
	}
	var ab, aa, bb float64
	for i := range a {
		ab += (a[i] - ma) * (b[i] - mb)
		aa += (a[i] - ma) * (a[i] - ma)
		bb += (b[i] - mb) * (b[i] - mb)
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

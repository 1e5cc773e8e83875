package termtext

import "math"

var sparks = []rune("▁▂▃▄▅▆▇█")

// Sparkline draws values from their least to their greatest; NaN is a gap.  Values that differ
// by less than one part in ten thousand are level.
func Sparkline(values []float64) string {
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if !math.IsNaN(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	isLevel := high-low <= 1e-4*math.Abs(high)
	line := make([]rune, len(values))
	for i, v := range values {
		switch {
		case math.IsNaN(v):
			line[i] = ' '
		case isLevel:
			line[i] = sparks[0]
		default:
			line[i] = sparks[int((v-low)/(high-low)*float64(len(sparks)-1)+0.5)]
		}
	}
	return string(line)
}

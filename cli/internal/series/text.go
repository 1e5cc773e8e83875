package series

import (
	"math"
	"strconv"
	"time"

	"cgoheap.example/cli/internal/termtext"
)

// Text writes a value for people: "812.4 MiB", "1,204", "0.3 %".
func Text(unit Unit, v float64) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	switch unit {
	case Bytes:
		return sign + termtext.Bytes(int64(min(v, math.MaxInt64/2)))
	case Count:
		if v < 10 && v != math.Trunc(v) {
			return sign + strconv.FormatFloat(v, 'f', 1, 64)
		}
		return sign + termtext.Count(int64(min(math.Round(v), math.MaxInt64/2)))
	case Percent:
		return sign + strconv.FormatFloat(v, 'f', 1, 64) + " %"
	case Ratio:
		return sign + strconv.FormatFloat(100*v, 'f', 1, 64) + " %"
	case Nanoseconds:
		return sign + termtext.Duration(rounded(v))
	}
	return sign + plain(v)
}

// rounded keeps three digits of what is below a second.
func rounded(ns float64) time.Duration {
	d := time.Duration(min(ns, math.MaxInt64/2))
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d
}

func plain(v float64) string {
	if v >= 1000 && v < 1e15 {
		return termtext.Count(int64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

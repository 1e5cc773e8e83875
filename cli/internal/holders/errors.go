package holders

import (
	"fmt"
	"math"

	"cgoheap.example/cli/internal/sampling"
)

// Confidence of all intervals that are shown.
const Confidence = 0.95

// Errors say how far what is in use may be off because only some blocks were sampled.  All are null
// of mappings, which are counted, and of rows that no profile has.
type Errors struct {
	StandardError        *int64 `json:"standard_error_bytes"`
	StandardErrorObjects *int64 `json:"standard_error_objects"`
	// Where the truth is, with 95 % confidence.
	Low  *int64 `json:"in_use_low_bytes"`
	High *int64 `json:"in_use_high_bytes"`
}

func errorsOf(f *sampling.Figures) Errors {
	if f == nil {
		return Errors{}
	}
	round := func(x float64) *int64 {
		n := int64(math.Round(x))
		return &n
	}
	low, high := f[sampling.InUseBytes].Interval(Confidence)
	return Errors{round(f[sampling.InUseBytes].StandardError()),
		round(f[sampling.InUseObjects].StandardError()), round(low), round(high)}
}

// Errors of the sum of all blocks.
func (s *Summary) Errors() Errors { return errorsOf(s.figures) }

// Stated are copies of rows with their errors, which take a while to compute.
func Stated(rows []Row) []Row {
	stated := make([]Row, len(rows))
	for i, r := range rows {
		r.Errors = errorsOf(r.figures)
		stated[i] = r
	}
	return stated
}

// Margin is how far the bytes of all blocks may be off, in percent; "" if they are exact.
func (s *Summary) Margin() string { return marginOf(s.figures) }

// Margin is how far a row's bytes may be off; "-" if they are exact.
func (r *Row) Margin() string {
	if m := marginOf(r.figures); m != "" {
		return m
	}
	return "-"
}

// marginOf is the longer side of the interval, as people read it.
func marginOf(f *sampling.Figures) string {
	if f == nil {
		return ""
	}
	bytes := f[sampling.InUseBytes]
	if bytes.Value() <= 0 || bytes.Variance() == 0 { // of growth, no share says anything
		return ""
	}
	low, high := bytes.Interval(Confidence)
	percent := 100 * max(high-bytes.Value(), bytes.Value()-low) / bytes.Value()
	switch {
	case percent > 999:
		return ">999 %"
	case percent < 9.95:
		return fmt.Sprintf("±%.1f %%", percent)
	}
	return fmt.Sprintf("±%.0f %%", percent)
}

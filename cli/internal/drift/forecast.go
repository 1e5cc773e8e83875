package drift

// Forecast is when a limit is reached, in seconds from now.
type Forecast struct {
	Seconds   float64
	Soonest   float64 // with the steepest slope of the interval
	Latest    float64
	PerSecond float64
}

// When says when a series that is at value reaches limit.  False: the slope's interval has 0 in
// it, so that it may never.
func (s Slope) When(value, limit float64) (Forecast, bool) {
	if s.Low <= 0 || limit <= 0 {
		return Forecast{}, false
	}
	left := max(0, limit-value)
	return Forecast{left / s.PerSecond, left / s.High, left / s.Low, s.PerSecond}, true
}

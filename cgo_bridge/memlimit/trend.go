package memlimit

import "time"

// A trend is a series over a window of time, of which the slope is asked.
type trend struct {
	window time.Duration
	points []point
	steady float64 // what slope says
}

type point struct {
	at time.Time
	n  float64
}

const (
	trendPoints  = 100     // in a window, at most
	trendEnough  = 5       // of the window, a fifth must be known
	trendFit     = 0.7     // of the variance, what the line explains (R²)
	trendRecent  = 1.0 / 3 // of the window; and what its slope must be of the whole's
	trendAtLeast = 10      // points
)

// add keeps a point if the last one is old enough, and forgets what is too old.
func (t *trend) add(at time.Time, n float64) {
	if k := len(t.points); k > 0 && at.Sub(t.points[k-1].at) < t.window/trendPoints {
		return
	}
	keep := 0
	for keep < len(t.points) && at.Sub(t.points[keep].at) > t.window {
		keep++
	}
	t.points = append(t.points[:copy(t.points, t.points[keep:])], point{at, n})
	t.steady = t.fit()
}

// slope is per second, of a line through the window; 0 where there is no steady
// growth: too short a time, a bad fit, or a step that is over.
func (t *trend) slope() float64 { return t.steady }

func (t *trend) fit() float64 {
	k := len(t.points)
	if k < trendAtLeast || t.points[k-1].at.Sub(t.points[0].at) < t.window/trendEnough {
		return 0
	}
	whole, fit := line(t.points)
	recent, _ := line(t.points[k-max(k/3, 3):])
	if whole <= 0 || fit < trendFit || recent < whole*trendRecent {
		return 0
	}
	return whole
}

// rise is how much the line has gone up over what is known.
func (t *trend) rise() float64 {
	if len(t.points) == 0 {
		return 0
	}
	return t.slope() * t.points[len(t.points)-1].at.Sub(t.points[0].at).Seconds()
}

// line is least squares: the slope, and R².
func line(points []point) (slope, fit float64) {
	var meanX, meanY, xx, xy, yy float64
	for _, p := range points {
		meanX += p.at.Sub(points[0].at).Seconds() / float64(len(points))
		meanY += p.n / float64(len(points))
	}
	for _, p := range points {
		x, y := p.at.Sub(points[0].at).Seconds()-meanX, p.n-meanY
		xx, xy, yy = xx+x*x, xy+x*y, yy+y*y
	}
	if xx == 0 || yy == 0 {
		return 0, 0
	}
	return xy / xx, xy * xy / (xx * yy)
}

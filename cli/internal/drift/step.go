package drift

// Step is a rise that happened once.
type Step struct {
	Seconds  float64 // when; the segment after it begins then
	From, To float64
}

// squares of a series' values: what a level, or a line, leaves of a part of it.
type squares struct {
	sums []struct{ sum, square float64 } // of all values before
}

func squaresOf(w []Point) *squares {
	s := &squares{make([]struct{ sum, square float64 }, len(w)+1)}
	middle := mean(w)
	for i, p := range w {
		x := p.Value - middle
		s.sums[i+1].sum = s.sums[i].sum + x
		s.sums[i+1].square = s.sums[i].square + x*x
	}
	return s
}

// level is what the mean of the values from a to b leaves.
func (s *squares) level(a, b int) float64 {
	sum := s.sums[b].sum - s.sums[a].sum
	return s.sums[b].square - s.sums[a].square - sum*sum/float64(b-a)
}

// line is what the best line leaves.
func (s *squares) line() float64 {
	n := len(s.sums) - 1
	var slope, spread float64
	for i := range n {
		at := float64(i) - float64(n-1)/2
		slope += at * (s.sums[i+1].sum - s.sums[i].sum)
		spread += at * at
	}
	return s.sums[n].square - slope*slope/spread
}

// steps is what that many steps leave at best; at is where the last of them is.
func (s *squares) steps(count int) (left float64, at int) {
	n := len(s.sums) - 1
	best := make([]float64, n+1) // of the values before i
	for i := 1; i <= n; i++ {
		best[i] = s.level(0, i)
	}
	for range count {
		next := make([]float64, n+1)
		for i := 1; i <= n; i++ {
			next[i] = best[i]
			for j := 1; j < i; j++ {
				if with := best[j] + s.level(j, i); with < next[i] {
					next[i] = with
					if i == n {
						at = j
					}
				}
			}
		}
		best = next
	}
	return best[n], at
}

// fewSteps says that a few steps describe a window better than a line does.  fine is the same
// window in shorter segments, if there are such.
func fewSteps(w, fine []Point) bool {
	s := squaresOf(w)
	line := s.line()
	one, _ := s.steps(1)
	two, _ := s.steps(2)
	if one < oneStep*line || two < twoSteps*line {
		return true
	}
	if len(fine) < 3*windowSegments {
		return false
	}
	s = squaresOf(fine)
	four, _ := s.steps(4)
	return four < fourSteps*s.line()
}

// stepOf a window, and the number of the segment after it.
func stepOf(w []Point) (Step, int) {
	_, at := squaresOf(w).steps(1)
	return Step{w[at].Seconds, medianOf(values(w[:at])), medianOf(values(w[at:]))}, at
}

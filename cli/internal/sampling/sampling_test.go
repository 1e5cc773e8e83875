package sampling

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/pprof/profile"
)

func near(t *testing.T, what string, got, want, relative float64) {
	t.Helper()
	if math.Abs(got-want) > math.Abs(want)*relative {
		t.Errorf("%s is %g, want %g", what, got, want)
	}
}

// Exact limits of a Poisson count are quantiles of gamma variables (Garwood 1936).
func TestGammaAgreesWithTables(t *testing.T) {
	near(t, "P(1, 1)", gammaP(1, 1), 1-math.Exp(-1), 1e-12)
	near(t, "P(5, 2)", gammaP(5, 2), 0.052653017343711, 1e-12)
	near(t, "P(0.5, 3)", gammaP(0.5, 3), math.Erf(math.Sqrt(3)), 1e-12)
	near(t, "chi-square 95 %, 10 degrees", 2*quantileOf(5, 0.95), 18.307038053275, 1e-10)
	near(t, "as the sums", quantileOf(manyShape+1, 0.975), quantileOf(manyShape, 0.975)+1.044, 1e-5)
}

func quantileOf(shape, p float64) float64 {
	return midQuantile(shifted{shape: shape, scale: 1}, shifted{shape: shape, scale: 1}, p)
}

func profileOf(period int64, samples ...*profile.Sample) *profile.Profile {
	p := &profile.Profile{Period: period, Sample: samples}
	for f := range figures {
		p.SampleType = append(p.SampleType, &profile.ValueType{Type: f.String()})
	}
	return p
}

func sample(size int64, values ...int64) *profile.Sample {
	s := &profile.Sample{Value: values}
	if size > 0 {
		s.NumLabel = map[string][]int64{"bytes": {size}}
	}
	return s
}

func design(t *testing.T, p *profile.Profile) *Design {
	t.Helper()
	d, err := Of(p)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// n/p blocks have the variance n (1-p) / p^2.
func TestVarianceOfASample(t *testing.T) {
	const size, interval, n = 1 << 18, 1 << 19, 7
	p := -math.Expm1(-float64(size) / interval)
	objects, bytes := int64(math.Round(n/p)), int64(math.Round(n/p*size))
	s := sample(size, 2*objects, 2*bytes, objects, bytes)
	f := design(t, profileOf(interval)).Sample(s)
	want := n * (1 - p) / p / p
	near(t, "objects' variance", f[InUseObjects].Variance(), want, 0.05)
	near(t, "bytes' variance", f[InUseBytes].Variance(), want*size*size, 1e-6)
	near(t, "allocated bytes' variance", f[AllocBytes].Variance(), 2*want*size*size, 1e-6)
	near(t, "what was seen", f[InUseBytes].gained.seen, n*size, 1e-6)
	sum := f.Plus(f)
	near(t, "the variance of a sum", sum[InUseBytes].Variance(), 2*want*size*size, 1e-6)
}

func TestExactFiguresHaveNoError(t *testing.T) {
	exact := profileOf(1, sample(100, 5, 500, 3, 300), sample(0, 5, 0, 5, 0))
	if d := design(t, exact); !d.IsExact() || d.Total(exact)[InUseBytes].Variance() != 0 {
		t.Error("an exact profile has an error")
	}
	mapped := sample(4096, 5, 20480, 5, 20480)
	mapped.Label = map[string][]string{"origin": {"mmap"}}
	low, high := design(t, profileOf(1<<19)).Sample(mapped)[InUseBytes].Interval(0.95)
	if low != 20480 || high != 20480 {
		t.Errorf("mapped bytes are %g to %g", low, high)
	}
	if _, err := Of(&profile.Profile{}); err == nil {
		t.Error("a profile without heap samples was read")
	}
}

func TestMidPLimitsOfFewSamples(t *testing.T) {
	d := design(t, profileOf(1<<19))
	low, high := d.Absent(0)[InUseBytes].Interval(0.95)
	near(t, "at most, if none was sampled", high, 2.9957*(1<<19), 1e-3) // e^-x / 2 = 2.5 %
	if low != 0 {
		t.Errorf("none was sampled, but there are at least %g bytes", low)
	}
	// Mid-p limits of a Poisson mean after 1 and 10 counts.
	for n, want := range map[int64][2]float64{1: {0.0500, 4.93}, 10: {5.05, 17.8}} {
		low, high = d.Sample(sample(16, n<<15, n<<19, n<<15, n<<19))[InUseBytes].Interval(0.95)
		near(t, "the lower limit", low/(1<<19), want[0], 0.01)
		near(t, "the upper limit", high/(1<<19), want[1], 0.01)
	}
}

// From blocks that are hardly ever sampled to those that are never missed.
func TestIntervalsAreNumbersAboutTheValue(t *testing.T) {
	const interval = 1 << 16
	d := design(t, profileOf(interval))
	small := d.Sample(sample(64, 4096, 4096*64, 1024, 1024*64))
	for size := int64(1); size < interval<<12; size = size*5/4 + 1 {
		p := -math.Expm1(-float64(size) / interval)
		for _, k := range []float64{1, 2, 100} {
			n, bytes := int64(math.Round(k/p)), int64(math.Round(k/p*float64(size)))
			alone := d.Sample(sample(size, n, bytes, n, bytes))
			for _, of := range []Figures{alone, alone.Plus(small), alone.Plus(d.Absent(64))} {
				for f, e := range of {
					low, high := e.Interval(0.95)
					if !(low <= e.Value() && e.Value() <= high && !math.IsInf(high, 0)) {
						t.Fatalf("%v of %g blocks of %d bytes: %g is in %g to %g", Figure(f), k,
							size, e.Value(), low, high)
					}
				}
			}
			low, high := alone[InUseObjects].Interval(0.95)
			if seen := k * float64(size); size > 16*interval && (low > k || high > k+0.5) ||
				alone[InUseBytes].gained.seen > seen {
				t.Fatalf("%g blocks of %d bytes: %g to %g, %g bytes seen", k, size, low, high,
					alone[InUseBytes].gained.seen)
			}
		}
	}
}

// Many small blocks were allocated, and none that is in use was sampled.  Some may be.
func TestSmallBlocksMayBeInUseUnsampled(t *testing.T) {
	d := design(t, profileOf(1<<14))
	large := d.Sample(sample(4096, 4000, 4000*4096, 4000, 4000*4096))
	small := d.Sample(sample(16, 80<<10, 80<<14, 0, 0))
	_, alone := large[InUseObjects].Interval(0.95)
	low, high := large.Plus(small)[InUseObjects].Interval(0.95)
	if low > 4000 || high < 4000+1<<10 || high > 4000+4<<10 {
		t.Errorf("%g to %g, without small blocks at most %g", low, high, alone)
	}
	if high < alone+1<<10 {
		t.Errorf("small blocks make %g of %g", high, alone)
	}
}

// Blocks of many sizes about the interval, drawn as the library draws them.
func TestIntervalsCover(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const interval, rounds = 1 << 16, 2000
	for _, sizes := range [][]int64{{64}, {1 << 16}, {1 << 15, 1 << 17}, {16, 4096, 1 << 18}} {
		for _, bytes := range []int64{10 * interval, 100 * interval} {
			covered := map[Figure]int{}
			for range rounds {
				f, truth := draw(rng, sizes, bytes, interval)
				for _, v := range []Figure{InUseBytes, InUseObjects} {
					if low, high := f[v].Interval(0.95); low <= truth[v] && truth[v] <= high {
						covered[v]++
					}
				}
			}
			for v, n := range covered {
				if share := float64(n) / rounds; share < 0.925 || share > 0.99 {
					t.Errorf("%v of %d bytes in blocks of %v: %.3f covered", v, bytes, sizes, share)
				}
			}
		}
	}
}

// draw samples bytes in blocks of each size.
func draw(rng *rand.Rand, sizes []int64, bytes, interval int64) (Figures, [figures]float64) {
	d, _ := Of(profileOf(interval))
	var sum Figures
	var truth [figures]float64
	for _, size := range sizes {
		n, k := bytes/int64(len(sizes))/size, 0
		p := -math.Expm1(-float64(size) / float64(interval))
		for range n {
			if rng.Float64() < p {
				k++
			}
		}
		objects := int64(math.Round(float64(k) / p))
		inBytes := int64(math.Round(float64(k) / p * float64(size)))
		sum = sum.Plus(d.Sample(sample(size, objects, inBytes, objects, inBytes)))
		truth[InUseObjects] += float64(n)
		truth[InUseBytes] += float64(n * size)
	}
	return sum, truth
}

// One sampled block more says little, although none was seen to go: a block that was not sampled
// may have gone.
func TestGrowthOfOneSample(t *testing.T) {
	d := design(t, profileOf(1<<19))
	const size = 64
	weigh := func(k float64) int64 { return int64(k * (1 << 19) / size) }
	looks := func(total, now float64) Figures {
		a, u := weigh(total), weigh(now)
		return d.Sample(sample(size, a, a*size, u, u*size))
	}
	for _, c := range []struct {
		total, now float64
		grew       bool
	}{{41, 11, false}, {44, 14, false}, {50, 20, true}, {240, 20, false}, {40, 3, true}} {
		for _, f := range []Figure{InUseObjects, InUseBytes} {
			low, high := Grown(looks(40, 10), looks(c.total, c.now), f).Interval(0.95)
			if (low > 0 || high < 0) != c.grew {
				t.Errorf("%v, 10 samples in use, then %v and %v new: %g to %g", f, c.now,
					c.total-40, low, high)
			}
		}
	}
	before, after := looks(40, 10), looks(41, 11)
	if low, _ := Grown(before, after, AllocBytes).Interval(0.95); low <= 0 {
		t.Errorf("what was allocated cannot become less: %g", low)
	}
	g := design(t, &profile.Profile{Period: 1 << 19, DurationNanos: 1,
		SampleType: profileOf(1).SampleType})
	low, _ := g.Sample(sample(size, weigh(1), size*weigh(1), weigh(1), size*weigh(1)))[InUseBytes].
		Interval(0.95)
	if low > 0 {
		t.Errorf("a profile of the growth: %g", low)
	}
}

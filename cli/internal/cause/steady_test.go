package cause

import (
	"maps"
	"math"
	"math/rand"
	"slices"
	"testing"

	"cgoheap.example/cli/internal/series"
)

// TestSteadyProcesses: all rules over all figures of processes under a noisy load, each for a
// day, say nothing more than once.
func TestSteadyProcesses(t *testing.T) {
	const processes, seconds = 6, 24 * 3600
	said := map[string]int{}
	all := 0
	for seed := range processes {
		w, next := New(Options{}), noisyProcess(rand.New(rand.NewSource(int64(seed))))
		for at := 0; at < seconds; at += 5 {
			for _, a := range w.Add(next(at)) {
				if !a.Ended {
					said[a.Rule]++
					all++
				}
			}
		}
	}
	t.Logf("%d processes of %d figures for a day: %d false alarms %v", processes, len(usual), all,
		said)
	if all > processes {
		t.Error("too many false alarms")
	}
}

// noisyProcess has load that wanders and has its wave of a day; figures follow it more or less.
func noisyProcess(r *rand.Rand) func(second int) series.Row {
	own := map[string]float64{}
	load, phase, wave := 0.0, 6*r.Float64(), 0.02+0.08*r.Float64()
	tooth, height := 10+50*r.Float64(), 0.1+0.4*r.Float64()
	names := slices.Sorted(maps.Keys(usual))
	return func(second int) series.Row {
		load = 0.98*load + 0.2*0.01*r.NormFloat64()
		day := wave * math.Sin(phase+2*math.Pi*float64(second)/86400)
		row := series.Row{MonoNS: int64(second+1000) * 1e9}
		for _, name := range names {
			f := usual[name]
			own[name] = 0.9*own[name] + 0.43*0.004*r.NormFloat64()
			v := f(0) * (1 + own[name])
			switch series.About(name).Kind {
			case series.Gauge:
				v *= 1 + load + day
			}
			if name == series.GoInUse {
				v *= 1 + height*math.Mod(float64(second)/tooth, 1)
			}
			if series.About(name).Unit == series.Bytes {
				v = math.Round(v) * (1 << 20)
			}
			row.Set(name, math.Round(v))
		}
		return row
	}
}

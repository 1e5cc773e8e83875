package difference

import (
	"slices"
	"strings"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/sampling"
)

// Profile is the difference as go tool pprof -diff_base makes it: the second profile's samples, and
// the first one's negated, under the label by which pprof knows what percentages are of.  Without
// all, what changed by less than its sampling error is one frame, so that totals stay right.
func (d *Difference) Profile(all bool) (*profile.Profile, error) {
	before, after := d.Before.Profile.Copy(), d.After.Profile.Copy()
	if d.o.Normalize {
		if err := after.Normalize(before); err != nil {
			return nil, err
		}
	}
	if !all {
		d.foldNoise(before)
		d.foldNoise(after)
	}
	before.SetLabel(baseLabel, []string{"true"})
	before.Scale(-1)
	p, err := profile.Merge([]*profile.Profile{after, before})
	if err != nil {
		return nil, err
	}
	p.Comments = slices.DeleteFunc(p.Comments, sampling.IsOfErrors)
	p.DefaultSampleType = d.o.Figure.String()
	p.TimeNanos = after.TimeNanos
	return p, p.CheckValid()
}

// foldNoise puts all stacks that did not surely change below one frame.
func (d *Difference) foldNoise(p *profile.Profile) {
	changed := map[string]bool{}
	for _, r := range d.Rows {
		changed[r.Origin+"\x00"+strings.Join(r.Stack, "\x00")] = true
	}
	var noise *profile.Location
	for _, s := range p.Sample {
		if _, stack := d.keys(s); changed[stack] {
			continue
		}
		if noise == nil {
			noise = addFrame(p, frameNoise)
		}
		s.Location = []*profile.Location{noise}
		s.NumLabel, s.NumUnit = nil, nil
	}
}

// addFrame adds a frame that is not code.
func addFrame(p *profile.Profile, name string) *profile.Location {
	f := &profile.Function{Name: name, SystemName: name}
	for _, other := range p.Function {
		f.ID = max(f.ID, other.ID)
	}
	f.ID++
	l := &profile.Location{Line: []profile.Line{{Function: f}}}
	for _, other := range p.Location {
		l.ID = max(l.ID, other.ID)
	}
	l.ID++
	p.Function, p.Location = append(p.Function, f), append(p.Location, l)
	return l
}

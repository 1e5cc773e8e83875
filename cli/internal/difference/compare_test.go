package difference

import (
	"strings"
	"testing"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/sampling"
)

func compare(t *testing.T, before, after *Moment, o *Options) *Difference {
	t.Helper()
	d, err := Compare(before, after, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// At interval 1 each change is one, to the byte.
func TestEveryAllocation(t *testing.T) {
	m := newModel(1, 1, 64, 100)
	m.allocate(0, 5)
	m.allocate(1, 7)
	before := m.look()
	m.allocate(0, 1)
	m.free(0, 1)
	m.allocate(1, 1)
	d := compare(t, before, m.look(), options())
	if len(d.Rows) != 1 || d.Rows[0].Change != 100 || d.Rows[0].Low != 100 ||
		d.Rows[0].High != 100 || d.Same != 1 || d.Total.Low != 100 || d.Total.High != 100 {
		t.Errorf("%+v", d)
	}
	// What was allocated meanwhile counts although it is gone.
	o := options()
	o.Figure = sampling.AllocBytes
	if d = compare(t, before, m.look(), o); len(d.Rows) != 2 || d.Total.Change != 164 {
		t.Errorf("allocated: %+v", d.Rows)
	}
}

// A stack that was removed to make room, and came back, has a count that began again: all that it
// held has come and gone.
func TestReclaimedStacks(t *testing.T) {
	m := newModel(1, interval, 16<<10)
	m.allocate(0, 40*32) // 40 samples
	before := m.look()
	limits := func(reclaimed bool) (Sum, int) {
		after := newModel(2, interval, 16<<10)
		after.allocate(0, 42*32)
		after.clock = 10
		look := after.look()
		at := look.Profile.Sample[0]
		at.Value[0], at.Value[1] = before.Profile.Sample[0].Value[0]+64, before.Profile.Sample[0].
			Value[1]+64*(16<<10)
		if reclaimed {
			frame := addFrame(look.Profile, frameReclaimed)
			look.Profile.Sample = append(look.Profile.Sample, &profile.Sample{
				Location: []*profile.Location{frame}, Value: []int64{1 << 20, 1 << 34, 0, 0}})
		}
		d := compare(t, before, look, options())
		return d.Total, len(d.Rows)
	}
	kept, _ := limits(false)
	reborn, rows := limits(true)
	if reborn.High-reborn.Low < 2*(kept.High-kept.Low) || rows != 0 {
		t.Errorf("kept %+v, reborn %+v and %d rows", kept, reborn, rows)
	}
}

// Another load is scaled away, and what is not in proportion stays.
func TestNormalize(t *testing.T) {
	sizes := []int64{16 << 10, 16 << 10, 16 << 10}
	a, b := newModel(1, interval, sizes...), newModel(2, interval, sizes...)
	b.pid, b.clock = 4243, 10
	for i := range sizes {
		a.allocate(i, 300*32)
		b.allocate(i, 100*32)
	}
	b.allocate(2, 200*32)
	o := options()
	o.Normalize = true
	d := compare(t, a.look(), b.look(), o)
	if d.IsOne || d.Total.Change < -1 || d.Total.Change > 1 || len(d.Rows) != 3 ||
		d.Rows[0].GoCaller != "main.stack2" || d.Rows[0].Change <= 0 || d.Rows[1].Change >= 0 {
		t.Errorf("%+v", d)
	}
}

// A stack is its frames: addresses and labels differ within one.
func TestStackIsFrames(t *testing.T) {
	m := newModel(1, interval, 16<<10, 16<<10)
	m.allocate(0, 100*32)
	m.allocate(1, 100*32)
	before := m.look()
	m.allocate(0, 50*32)
	m.allocate(1, 50*32)
	after := m.look()
	for _, look := range []*Moment{before, after} {
		p := look.Profile
		p.Sample[1].Location = append([]*profile.Location{}, p.Sample[1].Location...)
		last := *p.Sample[0].Location[3]
		last.ID, last.Address = 77, 0x777
		p.Sample[1].Location[3] = &last
		p.Sample[1].Label["tenant"] = []string{"acme"}
		p.Location = append(p.Location, &last)
		p.Comments = append(p.Comments, "standard errors: alloc_objects 1, alloc_space 2, "+
			"inuse_objects 3, inuse_space 4")
	}
	d := compare(t, before, after, options())
	if len(d.Rows) != 1 || d.Total.Stacks != 1 {
		t.Errorf("%+v", d.Rows)
	}
	// What is saved for pprof sums to the same, with and without what is noise.
	for _, all := range []bool{false, true} {
		p, err := d.Profile(all)
		if err != nil {
			t.Fatal(err)
		}
		sum := int64(0)
		for _, s := range p.Sample {
			sum += s.Value[sampling.InUseBytes]
		}
		if sum != d.Total.Change {
			t.Errorf("saved %d, want %d", sum, d.Total.Change)
		}
		if said := strings.Join(p.Comments, "\n"); strings.Contains(said, "errors") {
			t.Errorf("the saved difference has its profiles' errors:\n%s", said)
		}
	}
}

package recorder

import (
	"testing"
	"time"

	"cgoheap.example/cli/internal/fakeshim"
	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/recordlayout"
)

// One site has freed since the peak and has kept what it had; the other has not changed. What was
// kept for an older peak says nothing.
func TestPeaks(t *testing.T) {
	b, err := Read(fakeshim.Recording())
	if err != nil {
		t.Fatal(err)
	}
	symbols := FindNames(b, "")
	for _, c := range []struct {
		peak           int
		bytes, objects int64
		seconds        float64
		said           string
	}{
		{recordlayout.PeakC, 5020, 52, 7.5, "peak of C in use: 5020 bytes at " +
			"2023-11-14T22:13:27.500000000Z, the highest since 2023-11-14T22:13:20.000000000Z"},
		{recordlayout.PeakRSS, 1020, 12, 9, "peak of RSS: 8388608 bytes at " +
			"2023-11-14T22:13:29.000000000Z, the highest since 2023-11-14T22:13:20.000000000Z"},
	} {
		p := b.ProfileAtPeak(symbols, c.peak)
		if err := p.CheckValid(); err != nil {
			t.Error(err)
		}
		sum, err := holders.Summarize(p, nil)
		if err != nil || sum.Bytes != c.bytes || sum.Objects != c.objects {
			t.Errorf("peak %d: %v %+v", c.peak, err, sum)
		}
		after := time.Duration(p.TimeNanos - b.Start.UnixNano())
		if after != time.Duration(c.seconds*1e9) {
			t.Errorf("peak %d is %v after the start", c.peak, after)
		}
		found := false
		for _, line := range p.Comments {
			found = found || line == c.said
		}
		if !found {
			t.Errorf("peak %d: %q lacks %q", c.peak, p.Comments, c.said)
		}
	}
	if at := b.Profile(symbols); at.Sample[0].Value[3] != 1000 {
		t.Errorf("the profile of the end has changed: %v", at.Sample[0].Value)
	}
}

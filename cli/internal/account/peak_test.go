package account

import (
	"strings"
	"testing"
	"time"
)

func TestPeakLine(t *testing.T) {
	at := time.Date(2026, 11, 30, 14, 2, 11, 0, time.Local)
	for _, c := range []struct {
		peak, now int64
		said      bool
	}{
		{812 << 20, 312 << 20, true}, {812 << 20, 700 << 20, true},
		{812 << 20, 800 << 20, false}, // near
		{812 << 20, 812 << 20, false}, // now
		{900 << 10, 0, false},         // small
	} {
		a := &Account{Peak: Peak{CInUse: &c.peak, CInUseNow: &c.now, CInUseAt: &at}}
		line := PeakLine(a, "42", false)
		if (line != "") != c.said {
			t.Errorf("%d and %d: %q", c.peak, c.now, line)
		}
		if c.said && (!strings.HasPrefix(line, "peak: C in use was ~812.0 MiB at 2026-11-30 "+
			"14:02:11, and is ~") || !strings.HasSuffix(line, " now. "+
			"`cgoheap profile 42 --peak` shows what it was")) {
			t.Error(line)
		}
	}
	peak, end, every := int64(812<<20), int64(312<<20), int64(1)
	a := &Account{Peak: Peak{CInUse: &peak, CInUseNow: &end, CInUseAt: &at},
		CLiveEstimate: Estimate{SampleBytes: &every}}
	if line := PeakLine(a, "a.cgoheap", true); line != "peak: C in use was 812.0 MiB at "+
		"2026-11-30 14:02:11, and was 312.0 MiB at the end. "+
		"`cgoheap profile a.cgoheap --peak` shows what it was" {
		t.Error("of a recording: ", line)
	}
	if line := PeakLine(&Account{}, "42", false); line != "" {
		t.Error("without a peak: ", line)
	}
}

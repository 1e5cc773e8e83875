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
		line := PeakLine(a, "42")
		if (line != "") != c.said {
			t.Errorf("%d and %d: %q", c.peak, c.now, line)
		}
		if c.said && !strings.HasPrefix(line, "peak: C in use was 812.0 MiB at 2026-11-30 "+
			"14:02:11, and is ") || c.said && !strings.HasSuffix(line, "`cgoheap profile 42 --peak` shows "+
			"what it was") {
			t.Error(line)
		}
	}
	if line := PeakLine(&Account{}, "42"); line != "" {
		t.Error("without a peak: ", line)
	}
}

// Package observe takes samples of one process: from /proc, its cgroup, the library's account,
// Go's own figures, logs that grow and Prometheus pages.  Nothing that is slow to answer delays
// a sample: its figures come with a later one, or are missing.  A figure is never repeated.
package observe

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"cgoheap.example/cli/internal/series"
	"cgoheap.example/cli/internal/termtext"
)

// Instant is one moment on three clocks.
type Instant struct {
	Wall time.Time
	Mono int64 // CLOCK_MONOTONIC: stands still while the machine is suspended
	Boot int64 // CLOCK_BOOTTIME: does not
}

// Now reads the clocks.
func Now() Instant {
	return Instant{Wall: time.Now().Round(0), Mono: clock(unix.CLOCK_MONOTONIC),
		Boot: clock(unix.CLOCK_BOOTTIME)}
}

func clock(id int32) int64 {
	var t unix.Timespec
	if unix.ClockGettime(id, &t) != nil {
		return 0
	}
	return t.Nano()
}

// Less than this no clock jumps, and no sample is late: an NTP step, a busy machine.
const leastJump = 2 * time.Second

// jumps says what is wrong between two samples that should be one interval apart.
func jumps(last, now Instant, interval time.Duration) []series.Event {
	var events []series.Event
	add := func(format string, args ...any) {
		events = append(events, series.Event{Wall: now.Wall, MonoNS: now.Mono,
			Kind: series.EventGap, Text: fmt.Sprintf(format, args...)})
	}
	passed := time.Duration(now.Mono - last.Mono)
	suspended := time.Duration(now.Boot-last.Boot) - passed
	wall := now.Wall.Sub(last.Wall) - passed - suspended
	if suspended >= leastJump {
		add("the machine was suspended for %s", termtext.Duration(suspended))
	}
	switch {
	case wall >= leastJump:
		add("the wall clock was set forward by %s", termtext.Duration(wall))
	case wall <= -leastJump:
		add("the wall clock was set back by %s", termtext.Duration(-wall))
	}
	if late := passed - interval; late >= max(leastJump, 2*interval) {
		add("no samples for %s: the machine was busy, or this watch was stopped",
			termtext.Duration(passed))
	}
	return events
}

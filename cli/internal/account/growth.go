package account

import (
	"fmt"
	"slices"
	"time"

	"cgoheap.example/cli/internal/termtext"
)

// rateTime is the shortest window for which a rate per hour means something.
const rateTime = time.Minute

// Growth is the difference of two accounts of one process.
type Growth struct {
	Since   time.Time     `json:"since"`
	Elapsed time.Duration `json:"elapsed_ns"`
	RSS     int64         `json:"rss_bytes"`
	RSSRate *int64        `json:"rss_bytes_per_hour"` // nil: too short a time
	Owners  []OwnerGrowth `json:"owners"`

	Last *Account `json:"-"`
}

// OwnerGrowth is how one owner changed.
type OwnerGrowth struct {
	Name  string `json:"name"`
	Bytes *int64 `json:"bytes"` // nil: not known then or now
	Rate  *int64 `json:"bytes_per_hour"`
}

// GrowthSince is nil without a last account, or if that is not older.
func GrowthSince(last, now *Account) *Growth {
	if last == nil || !last.Time.Before(now.Time) {
		return nil
	}
	g := &Growth{Since: last.Time, Elapsed: now.Time.Sub(last.Time), Last: last}
	g.RSS = now.RSS - last.RSS
	g.RSSRate = g.PerHour(g.RSS)
	for _, o := range now.Owners {
		change := OwnerGrowth{Name: o.Name}
		if before := last.Owner(o.Name).Bytes; before != nil && o.Bytes != nil {
			n := *o.Bytes - *before
			change.Bytes, change.Rate = &n, g.PerHour(n)
		}
		g.Owners = append(g.Owners, change)
	}
	return g
}

// Of is how many bytes an owner grew by; nil: unknown.
func (g *Growth) Of(name string) *int64 {
	if g == nil {
		return nil
	}
	for _, o := range g.Owners {
		if o.Name == name {
			return o.Bytes
		}
	}
	return nil
}

// Says how much, in which time, and the rate.
func (g *Growth) Says(n int64) string {
	text := fmt.Sprintf("by %s in %s", termtext.Bytes(n), termtext.Duration(g.Elapsed))
	if rate := g.PerHour(n); rate != nil {
		text += fmt.Sprintf(" (%s an hour since %s)", termtext.Bytes(*rate), g.Clock())
	}
	return text
}

// PerHour is a rate; nil: the window is too short for one.
func (g *Growth) PerHour(n int64) *int64 {
	if g == nil || g.Elapsed < rateTime {
		return nil
	}
	rate := int64(float64(n) * float64(time.Hour) / float64(g.Elapsed))
	return &rate
}

// Column is the heading for a second window.
func (g *Growth) Column() string {
	return "IN " + termtext.Duration(g.Elapsed)
}

// Clock is when the window began in local time, with the day if it is long.
func (g *Growth) Clock() string {
	since := g.Since.Local()
	if g.Elapsed > 12*time.Hour {
		return since.Format("2006-01-02 15:04")
	}
	return since.Format("15:04")
}

// Windows are those of the two that are not nil.
func Windows(last, hour *Growth) []*Growth {
	return slices.DeleteFunc([]*Growth{last, hour}, func(g *Growth) bool { return g == nil })
}

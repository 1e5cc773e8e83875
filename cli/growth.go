package main

import (
	"fmt"
	"time"

	"cgoheap/cli/internal/termtext"
)

// rateTime is how long a window has to be for a rate per hour to mean something.
const rateTime = time.Minute

// growth is the difference of two accounts of one process.
type growth struct {
	Since   time.Time     `json:"since"`
	Elapsed time.Duration `json:"elapsed_ns"`
	RSS     int64         `json:"rss_bytes"`
	RSSRate *int64        `json:"rss_bytes_per_hour"` // nil: too short a time
	Owners  []ownerGrowth `json:"owners"`

	last *account
}

type ownerGrowth struct {
	Name  string `json:"name"`
	Bytes *int64 `json:"bytes"` // nil: not known then or now
	Rate  *int64 `json:"bytes_per_hour"`
}

// growthSince is nil without a last account, or where its clock makes no sense.
func growthSince(last, now *account) *growth {
	if last == nil || !last.Time.Before(now.Time) {
		return nil
	}
	g := &growth{Since: last.Time, Elapsed: now.Time.Sub(last.Time), RSS: now.RSS - last.RSS, last: last}
	g.RSSRate = g.perHour(g.RSS)
	for _, o := range now.Owners {
		change := ownerGrowth{Name: o.Name}
		if before := last.owner(o.Name).Bytes; before != nil && o.Bytes != nil {
			n := *o.Bytes - *before
			change.Bytes, change.Rate = &n, g.perHour(n)
		}
		g.Owners = append(g.Owners, change)
	}
	return g
}

// of is what an owner grew by; nil: not known.
func (g *growth) of(name string) *int64 {
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

// says an amount and its rate.
func (g *growth) says(n int64) string {
	text := fmt.Sprintf("by %s in %s", termtext.Bytes(n), termtext.Duration(g.Elapsed))
	if rate := g.perHour(n); rate != nil {
		text += fmt.Sprintf(" (%s an hour since %s)", termtext.Bytes(*rate), g.clock())
	}
	return text
}

// perHour is a rate; nil: the window is too short for one.
func (g *growth) perHour(n int64) *int64 {
	if g == nil || g.Elapsed < rateTime {
		return nil
	}
	rate := int64(float64(n) * float64(time.Hour) / float64(g.Elapsed))
	return &rate
}

// column is its heading, where it is not the only one.
func (g *growth) column() string {
	return "IN " + termtext.Duration(g.Elapsed)
}

// clock is when the window began, in the reader's time: with the day where that is another.
func (g *growth) clock() string {
	since := g.Since.Local()
	if g.Elapsed > 12*time.Hour {
		return since.Format("2006-01-02 15:04")
	}
	return since.Format("15:04")
}

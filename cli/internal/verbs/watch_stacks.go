package verbs

import (
	"fmt"
	"io"
	"sync"
	"time"

	"cgoheap.example/cli/internal/attach"
	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/stacks"
	"cgoheap.example/cli/internal/termtext"
)

// growingStacks is the growth of C memory by stack since the watch began.
type growingStacks struct {
	client  *attach.Client
	callers stacks.CallerRule
	first   *holders.Summary

	mu      sync.Mutex
	latest  *holders.Summary
	asked   time.Time
	pending bool
}

// newGrowingStacks takes the first profile; nil: the library does not answer.
func newGrowingStacks(c *attach.Client) *growingStacks {
	g := &growingStacks{client: c}
	g.callers.Know(attach.ProcPath(c.Process.PID, "exe"))
	first, err := g.take()
	if err != nil {
		return nil
	}
	g.first = first
	return g
}

func (g *growingStacks) take() (*holders.Summary, error) {
	p, err := g.client.Profile(nil)
	if err != nil {
		return nil, err
	}
	return holders.Summarize(p, &g.callers)
}

// stacksEvery is how often a profile is taken while something grows: it costs the process a
// millisecond and more.
const stacksEvery = time.Minute

// summary is the last one, of which Growth is since the watch began; nil: there is none yet.  If
// it is old, another is fetched in the background.
func (g *growingStacks) summary() *holders.Summary {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.pending && time.Since(g.asked) > stacksEvery {
		g.pending, g.asked = true, time.Now()
		go func() {
			s, err := g.take()
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.pending = false; err == nil {
				s.GrowSince(g.first)
				g.latest = s
			}
		}()
	}
	return g.latest
}

const mostGrowing = 5

// print shows the stacks that grew most.
func (g *growingStacks) print(out io.Writer) {
	s, err := g.take()
	if err != nil {
		fmt.Fprintf(out, "the stacks that grow are not known: %s\n", err)
		return
	}
	s.GrowSince(g.first)
	s.SortBy("growth")
	for i, r := range s.Rows {
		if i == mostGrowing || r.Growth == nil || *r.Growth <= 0 {
			break
		}
		fmt.Fprintf(out, "%s  %s %s, asked for in %s\n",
			termtext.Estimate(termtext.Growth(*r.Growth), s.Estimated), r.What(),
			termtext.Escape(r.GoCaller), termtext.Escape(r.CLeaf))
		for _, f := range r.Stack {
			fmt.Fprintln(out, "    "+termtext.Escape(f))
		}
	}
}

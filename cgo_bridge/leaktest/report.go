package leaktest

import (
	"fmt"
	"sort"
	"strings"

	"cgoheap.example/cgo_bridge/leaktest/suppress"
)

// mostStacks are shown.
const mostStacks = 20

// group is stacks that are one from their innermost Go frame on.
type group struct {
	held // with the stack of the one that holds most
	ways int64
}

// sortBySize puts the largest first.
func sortBySize(leaks []*held) {
	sort.Slice(leaks, func(i, j int) bool {
		a, b := leaks[i], leaks[j]
		if a.bytes != b.bytes {
			return a.bytes > b.bytes
		}
		return fmt.Sprint(a.stack) < fmt.Sprint(b.stack)
	})
}

func groupsOf(leaks []*held) (groups []*group) {
	sortBySize(leaks)
	byGo := map[string]*group{}
	for _, h := range leaks {
		key := fmt.Sprint(h.origin, h.stack[suppress.FirstGo(suppressFrames(h.stack)):])
		g := byGo[key]
		if g == nil {
			g = &group{held: held{origin: h.origin, stack: h.stack}}
			byGo[key] = g
			groups = append(groups, g)
		}
		g.bytes, g.blocks, g.ways = g.bytes+h.bytes, g.blocks+h.blocks, g.ways+1
	}
	sort.SliceStable(groups, func(i, j int) bool { return groups[i].bytes > groups[j].bytes })
	return groups
}

// text says what leaked.
func (c *check) text(what string) string {
	groups := groupsOf(c.leaks)
	var blocks int64
	for _, h := range c.leaks {
		blocks += h.blocks
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s of C memory were allocated in %s and are still in use:\n",
		amount(c.bytes(), blocks), what)
	for i, g := range groups {
		if i == mostStacks {
			fmt.Fprintf(&b, "\n  and %s more\n", countOf(int64(len(groups)-i), "stack"))
			break
		}
		g.write(&b)
	}
	return b.String()
}

func (g *group) write(b *strings.Builder) {
	how := ""
	if g.origin == "mmap" {
		how = ", mapped"
	}
	if g.ways > 1 {
		how += fmt.Sprintf(", by %d ways through C; the largest:", g.ways)
	}
	fmt.Fprintf(b, "\n  %s%s\n", amount(g.bytes, g.blocks), how)
	for _, f := range g.stack {
		fmt.Fprintf(b, "    %s\n", f.Function)
		if f.File != "" {
			fmt.Fprintf(b, "        %s:%d\n", f.File, f.line)
		}
	}
}

func amount(bytes, blocks int64) string {
	return countOf(bytes, "byte") + " in " + countOf(blocks, "block")
}

func countOf(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

package report

import (
	"cmp"
	"slices"
	"strings"

	"github.com/google/pprof/profile"

	"cgoheap.example/cli/internal/holders"
	"cgoheap.example/cli/internal/stacks"
	"cgoheap.example/cli/internal/termtext"
)

// The flame graph: a profile as a tree, root first.

// A frame narrower than this share of all cannot be seen; a page has room for so many frames.
const (
	leastShare = 1.0 / 5000
	maxFrames  = 4000
	maxNames   = 160 << 10 // cost of all names
)

// Kinds of frames.
const (
	frameOwner = 0
	frameGo    = 1
	frameC     = 2
)

type flameData struct {
	Names []string `json:"names"`
	Nodes []int64  `json:"nodes"` // depth first: name, depth, bytes, kind of each
	total int64
	left  int // frames too narrow to be kept
}

type frameKey struct {
	name string
	kind int64
}

type frameNode struct {
	frameKey
	bytes    int64
	children map[frameKey]*frameNode
}

func (n *frameNode) child(k frameKey) *frameNode {
	if n.children == nil {
		n.children = map[frameKey]*frameNode{}
	}
	if n.children[k] == nil {
		n.children[k] = &frameNode{frameKey: k}
	}
	return n.children[k]
}

// frameOf: names in brackets are owners at the root of a memory profile, and elsewhere what a stack
// lacks.
func frameOf(f stacks.Frame, isRoot bool) frameKey {
	switch owner, inBrackets := strings.CutPrefix(f.Name, "["); {
	case inBrackets && isRoot:
		return frameKey{ownerLabel(strings.TrimSuffix(owner, "]")), frameOwner}
	case inBrackets:
		return frameKey{shown(f.Name), frameOwner}
	case f.IsGo():
		return frameKey{shown(f.Name), frameGo}
	}
	return frameKey{shown(f.Name), frameC}
}

// valueOf is the sample type that a page shows; -1: the profile has none of memory.
func valueOf(p *profile.Profile) int {
	for _, name := range []string{"memory_space", "inuse_space"} {
		if at := holders.SampleTypeIndex(p, name); at >= 0 {
			return at
		}
	}
	return -1
}

// flame is nil without a profile of memory that has a sample.
func (in *Input) flame() *flameData {
	if in.Profile == nil || valueOf(in.Profile) < 0 {
		return nil
	}
	at := valueOf(in.Profile)
	root := &frameNode{frameKey: frameKey{"all", frameOwner}}
	for _, s := range in.Profile.Sample {
		if s.Value[at] <= 0 {
			continue
		}
		node := root
		node.bytes += s.Value[at]
		frames := stacks.FramesOf(s)
		for i := len(frames) - 1; i >= 0; i-- {
			node = node.child(frameOf(frames[i], i == len(frames)-1 && in.isMemoryProfile()))
			node.bytes += s.Value[at]
		}
	}
	if root.bytes <= 0 {
		return nil
	}
	f := &flameData{total: root.bytes}
	for least := max(1, int64(float64(root.bytes)*leastShare)); ; least *= 2 {
		f.Names, f.Nodes, f.left = nil, nil, 0
		f.add(root, 0, least, map[string]int64{})
		bytes := 0
		for _, name := range f.Names {
			bytes += cost(name)
		}
		if len(f.Nodes) <= 4*maxFrames && bytes <= maxNames {
			return f
		}
	}
}

func (f *flameData) add(n *frameNode, depth, least int64, known map[string]int64) {
	name, ok := known[n.name]
	if !ok {
		name = int64(len(f.Names))
		known[n.name] = name
		f.Names = append(f.Names, n.name)
	}
	f.Nodes = append(f.Nodes, name, depth, n.bytes, n.kind)
	children := make([]*frameNode, 0, len(n.children))
	for _, c := range n.children {
		if c.bytes < least {
			f.left++
			continue
		}
		children = append(children, c)
	}
	slices.SortFunc(children, func(a, b *frameNode) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.name, b.name))
	})
	for _, c := range children {
		f.add(c, depth+1, least, known)
	}
}

// holder is a row of the table beside the flame graph.
type holder struct {
	Owner, Caller, Leaf, Bytes, Share string
	bytes                             int64
}

const maxHolders = 25

// holders are the largest by whose memory it is, the Go function and the C function.
func (in *Input) holders() []holder {
	if in.Profile == nil || valueOf(in.Profile) < 0 {
		return nil
	}
	at, total := valueOf(in.Profile), int64(0)
	by := map[[3]string]int64{}
	callers := &stacks.CallerRule{}
	callers.Know(in.Executable)
	for _, s := range in.Profile.Sample {
		frames := stacks.FramesOf(s)
		owner := ""
		if n := len(frames); n > 0 && in.isMemoryProfile() {
			owner, frames = frameOf(frames[n-1], true).name, frames[:n-1]
		}
		key := [3]string{owner}
		if len(frames) > 0 {
			key[1], key[2] = shown(callers.GoCaller(frames)), shown(stacks.CLeaf(frames))
		}
		by[key] += s.Value[at]
		total += s.Value[at]
	}
	var list []holder
	for key, n := range by {
		if n > 0 {
			list = append(list, holder{key[0], key[1], key[2], termtext.Bytes(n),
				percent(n, total), n})
		}
	}
	slices.SortFunc(list, func(a, b holder) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.Owner+a.Caller+a.Leaf,
			b.Owner+b.Caller+b.Leaf))
	})
	return list[:min(len(list), maxHolders)]
}

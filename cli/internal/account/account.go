// Package account describes what the resident memory of a process consists of, as the
// library answers at /v1/account: its owners, their details, and how they grew between
// two looks.  It fetches nothing.
package account

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"cgoheap.example/cli/internal/termtext"
)

// GoOwnFigures is the source if the process has the Go package, which knows all.
const GoOwnFigures = "runtime/metrics"

// MmapStack is C memory mapped past malloc, by who mapped it; leaf first.
type MmapStack struct {
	Bytes  int64    `json:"bytes"`
	Mapped int64    `json:"mapped_bytes"`
	Frames []string `json:"frames"`
}

// MappedPart is one of the largest mappings of another owner, by who mapped it and what.
type MappedPart struct {
	Owner string  `json:"owner"`
	File  *string `json:"file"`
	MmapStack
}

var ownerLabels = map[string]string{
	GoHeap: "Go heap", GoStacks: "goroutine stacks", GoMetadata: "Go metadata",
	CLive: "C live", CRetained: "C retained", CMmap: "C mmap", CBrk: "C brk",
	ThreadStacks: "thread stacks", Libraries: "libraries", Shim: "cgoheap itself",
	UntrackedMmap: "untracked mmap",
}

// Label is the owner's name for people; an owner that this command does not know keeps its name.
func Label(name string) string {
	if label := ownerLabels[name]; label != "" {
		return label
	}
	return strings.ReplaceAll(termtext.Escape(name), "_", " ")
}

// Labelled replaces owners' names by their labels in a text of the library's.
func Labelled(text string) string {
	label := func(name string) string { return cmp.Or(ownerLabels[name], name) }
	return ownerName.ReplaceAllStringFunc(text, label)
}

var ownerName = regexp.MustCompile(`\b[a-z]+_[a-z]+\b`)

// Owner by its name; one that the account lacks has unknown bytes.
func (a *Account) Owner(name string) Owner {
	for _, o := range a.Owners {
		if o.Name == name {
			return o
		}
	}
	return Owner{Name: name}
}

// Resident bytes of these owners; an unknown figure counts as 0.
func (a *Account) Resident(names ...string) int64 {
	var sum int64
	for _, name := range names {
		sum += Known(a.Owner(name).Bytes)
	}
	return sum
}

// Known is a figure, or 0 where it is not known.
func Known(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

// A peak that is less than an eighth above what is in use now explains nothing.
const peakShare = 8

// Over is the highest C in use, where it is over: nil where it is not known, or still near.
func (p *Peak) Over() *int64 {
	if p.CInUse == nil || p.CInUseNow == nil || p.CInUseAt == nil {
		return nil
	}
	if *p.CInUse-*p.CInUseNow < max(*p.CInUse/peakShare, 1<<20) {
		return nil
	}
	return p.CInUse
}

// PeakLine says that C in use was far higher, and which command shows by what; "": it was not.
// recorded: the account is the last one of a recording.
func PeakLine(a *Account, target string, recorded bool) string {
	bytes := a.Peak.Over()
	if bytes == nil {
		return ""
	}
	at := a.Peak.CInUseAt.Local().Format("2006-01-02 15:04:05")
	now := fmt.Sprintf("is %s now", a.sampled(*a.Peak.CInUseNow))
	if recorded {
		now = fmt.Sprintf("was %s at the end", a.sampled(*a.Peak.CInUseNow))
	}
	return fmt.Sprintf("peak: C in use was %s at %s, and %s. "+
		"`cgoheap profile %s --peak` shows what it was", a.sampled(*bytes), at, now, target)
}

// sampled is a size by the samples: an estimate unless each allocation is one.
func (a *Account) sampled(bytes int64) string {
	return termtext.Estimate(termtext.Bytes(bytes), Known(a.CLiveEstimate.SampleBytes) != 1)
}

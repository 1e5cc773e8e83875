package account

import (
	"fmt"
	"strings"

	"cgoheap.example/cli/internal/termtext"
)

// From this share of the RSS, and these bytes, the cgroup's figure and the RSS differ.
const (
	differShare = 0.10
	differBytes = 16 << 20
)

// CgroupDiffers answers the commonest question about the two figures; "": they hardly differ.
// Only what the cgroup itself counts is a reason.
func (a *Account) CgroupDiffers() string {
	if a.Cgroup.Current == nil {
		return ""
	}
	more := *a.Cgroup.Current - a.RSS
	switch {
	case a.differs(more):
		return a.cgroupHasMore(more)
	case a.differs(-more):
		return a.cgroupHasLess(-more)
	}
	return ""
}

func (a *Account) differs(n int64) bool {
	return n >= differBytes && float64(n) >= differShare*float64(a.RSS)
}

func (a *Account) cgroupHasMore(more int64) string {
	c, p := &a.Cgroup, &a.Process
	var reasons []string
	add := func(n int64, what string) {
		if n > 0 && float64(n) >= differShare*float64(more) {
			reasons = append(reasons, termtext.Bytes(n)+" "+what)
		}
	}
	add(Known(c.File)-Known(p.RSSFile)-Known(p.RSSShmem),
		"of page cache that this process does not map")
	add(Known(c.Kernel), "of the kernel's own memory")
	if p.RSSAnon != nil {
		add(Known(c.Anon)-*p.RSSAnon, "of other processes")
	}
	text := fmt.Sprintf("The cgroup has %s more than this process's RSS", termtext.Bytes(more))
	if len(reasons) > 0 {
		text += ": " + strings.Join(reasons, ", ")
	}
	return text + "."
}

func (a *Account) cgroupHasLess(less int64) string {
	text := fmt.Sprintf("The cgroup has %s less than this process's RSS", termtext.Bytes(less))
	if shared := Known(a.Process.RSSFile) + Known(a.Process.RSSShmem); shared >= less {
		text += ": file and shared pages, of which this process maps " + termtext.Bytes(shared) +
			", are charged once, to the cgroup that touched them first"
	}
	return text + "."
}

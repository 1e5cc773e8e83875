// Package series is figures of one process over time: their names, samples of them, and the
// recording in which `watch` keeps them, a JSON document a line.  It takes no samples.
package series

import (
	"strings"

	"cgoheap.example/cli/internal/account"
	"cgoheap.example/cli/internal/termtext"
)

// Unit says how a figure is shown.
type Unit string

// The units.
const (
	Bytes       Unit = "bytes"
	Count       Unit = "count"
	Percent     Unit = "percent"
	Nanoseconds Unit = "ns"
	Ratio       Unit = "ratio" // 0 to 1
	Plain       Unit = "plain" // of a series from elsewhere: any number
)

// Kind says what a change of a figure means.
type Kind string

// The kinds.
const (
	Gauge   Kind = "gauge"   // may go up and down
	Total   Kind = "total"   // of all time; only its rate says something
	Setting Kind = "setting" // somebody's choice, such as a limit: no drift
)

// Source is where a figure comes from.
type Source string

// The sources.
const (
	Proc     Source = "proc"
	Cgroup   Source = "cgroup"
	Go       Source = "go"
	Library  Source = "library"
	External Source = "external"
)

// Names of figures.
const (
	RSS                = "rss_bytes"
	VMSize             = "vm_size_bytes"
	VMData             = "vm_data_bytes"
	VMStack            = "vm_stack_bytes"
	RSSAnon            = "rss_anon_bytes"
	RSSFile            = "rss_file_bytes"
	RSSShmem           = "rss_shmem_bytes"
	Swap               = "swap_bytes"
	Threads            = "threads"
	CgroupUsage        = "cgroup_usage_bytes"
	CgroupLimit        = "cgroup_limit_bytes"
	CgroupPressureSome = "cgroup_pressure_some"
	CgroupPressureFull = "cgroup_pressure_full"
	GoInUse            = "go_in_use_bytes"
	GoGoal             = "go_goal_bytes"
	GoReleased         = "go_released_bytes"
	GoLive             = "go_live_bytes"
	Goroutines         = "goroutines"
	GCCycles           = "gc_cycles"
	GCPause            = "gc_pause_ns"
	GCCPU              = "gc_cpu_ratio"
	CLive              = "c_live_bytes"
	CRetained          = "c_retained_bytes"
	CMmap              = "c_mmap_bytes"
	ThreadStacks       = "thread_stacks_bytes"
	SampleBytes        = "sample_bytes"
)

// Figure is what is known of a name.
type Figure struct {
	Name   string
	Label  string // for people, safe for a terminal
	Unit   Unit
	Kind   Kind
	Source Source
}

// figures in the order in which they are shown.
var figures = []Figure{
	{RSS, "RSS", Bytes, Gauge, Proc},
	{RSSAnon, "RSS anonymous", Bytes, Gauge, Proc},
	{RSSFile, "RSS file", Bytes, Gauge, Proc},
	{RSSShmem, "RSS shared", Bytes, Gauge, Proc},
	{Swap, "swap", Bytes, Gauge, Proc},
	{VMSize, "VmSize", Bytes, Gauge, Proc},
	{VMData, "VmData", Bytes, Gauge, Proc},
	{VMStack, "VmStk", Bytes, Gauge, Proc},
	{Threads, "threads", Count, Gauge, Proc},
	{CgroupUsage, "cgroup usage", Bytes, Gauge, Cgroup},
	{CgroupLimit, "cgroup limit", Bytes, Setting, Cgroup},
	{CgroupPressureSome, "pressure some", Percent, Gauge, Cgroup},
	{CgroupPressureFull, "pressure full", Percent, Gauge, Cgroup},
	{GoInUse, "Go in use", Bytes, Gauge, Go},
	{GoLive, "Go live", Bytes, Gauge, Go},
	{GoGoal, "GC goal", Bytes, Gauge, Go},
	{GoReleased, "Go released", Bytes, Gauge, Go},
	{Goroutines, "goroutines", Count, Gauge, Go},
	{GCCycles, "GC cycles", Count, Total, Go},
	{GCPause, "GC pause", Nanoseconds, Total, Go},
	{GCCPU, "GC CPU", Ratio, Gauge, Go},
	{CLive, "C live", Bytes, Gauge, Library},
	{CRetained, "C retained", Bytes, Gauge, Library},
	{CMmap, "C mmap", Bytes, Gauge, Library},
	{ThreadStacks, "thread stacks", Bytes, Gauge, Library},
	{SampleBytes, "sample interval", Bytes, Setting, Library},
}

var byName = func() map[string]Figure {
	m := map[string]Figure{}
	for _, f := range figures {
		m[f.Name] = f
	}
	return m
}()

// Figures are those of the table, in the order in which they are shown.
func Figures() []Figure { return append([]Figure(nil), figures...) }

const (
	ownerPrefix    = "owner_"
	externalPrefix = "x."
	bytesSuffix    = "_bytes"
)

// OwnerName is the figure of an owner of the account: its resident bytes.
func OwnerName(owner string) string { return ownerPrefix + owner + bytesSuffix }

// ExternalName is the figure of a series from elsewhere.
func ExternalName(name string) string { return externalPrefix + name }

// OwnerOf is the owner of such a figure.
func OwnerOf(name string) (owner string, ok bool) {
	rest, isOwner := strings.CutPrefix(name, ownerPrefix)
	owner, isBytes := strings.CutSuffix(rest, bytesSuffix)
	return owner, isOwner && isBytes && owner != ""
}

// About is what is known of any name; one that is not in the table is shown as it is.
func About(name string) Figure {
	if f, ok := byName[name]; ok {
		return f
	}
	if owner, ok := OwnerOf(name); ok {
		return Figure{name, account.Label(owner) + " resident", Bytes, Gauge, Library}
	}
	f := Figure{name, termtext.Escape(name), Plain, Gauge, External}
	if label, ok := strings.CutPrefix(name, externalPrefix); ok && label != "" {
		f.Label = termtext.Escape(label)
	}
	if strings.HasSuffix(name, bytesSuffix) {
		f.Unit = Bytes
	}
	return f
}

// Resolve is the figure that a user means: its name, with or without the unit.
func Resolve(word string) (Figure, bool) {
	for _, name := range []string{word, word + bytesSuffix, word + "_ns", word + "_ratio"} {
		if f, ok := byName[name]; ok {
			return f, true
		}
		if _, ok := OwnerOf(name); ok {
			return About(name), true
		}
	}
	if strings.HasPrefix(word, externalPrefix) && word != externalPrefix {
		return About(word), true
	}
	return Figure{}, false
}

package collect

import (
	"fmt"
	"time"
)

// What a scene consists of: one row a file, in the order in which they are taken.  Memory
// comes first and fastest, because it may be gone with the process; then what costs the
// service more; the profile of the processor, which takes half a minute, last.

// Where a file comes from.
const (
	fromLibrary = "library" // its socket; where there is none, the service's own pages
	fromProc    = "proc"    // of the process
	fromCgroup  = "cgroup"  // of the process
	fromHost    = "host"
	fromGo      = "go" // net/http/pprof
)

// Kinds of file.
const (
	kindProfile = "profile"
	kindJSON    = "json"
	kindText    = "text"
	kindTrace   = "trace"
)

// source is one file of a scene.
type source struct {
	path  string // in the scene
	from  string
	kind  string
	page  string // what is asked for there
	only  string // asked for only with this option; "" always
	wants string // what a text begins with; "" anything but a web page
}

// AgesFile is the profile by age: what of each past interval still lives.
const AgesFile = "ages.pb.gz"

var sources = []source{
	{path: "cgoheap.pb.gz", from: fromLibrary, kind: kindProfile, page: "/debug/pprof/cgoheap"},
	{path: "memory.pb.gz", from: fromLibrary, kind: kindProfile, page: "/debug/pprof/memory"},
	{path: "account.json", from: fromLibrary, kind: kindJSON, page: "/v1/account"},
	{path: "status.json", from: fromLibrary, kind: kindJSON, page: "/v1/status"},
	{path: "metrics.txt", from: fromLibrary, kind: kindText, page: "/metrics", wants: "# "},
	{path: AgesFile, from: fromLibrary, kind: kindProfile,
		page: "/debug/pprof/cgoheap?labels=age"},

	{path: "proc/status", from: fromProc, kind: kindText, page: "status"},
	{path: "proc/smaps_rollup", from: fromProc, kind: kindText, page: "smaps_rollup"},
	{path: "proc/smaps", from: fromProc, kind: kindText, page: "smaps"},
	{path: "proc/maps", from: fromProc, kind: kindText, page: "maps"},
	{path: "proc/limits", from: fromProc, kind: kindText, page: "limits"},
	{path: "proc/cgroup", from: fromProc, kind: kindText, page: "cgroup"},
	{path: "proc/cmdline", from: fromProc, kind: kindText, page: "cmdline"},
	{path: "proc/stat", from: fromProc, kind: kindText, page: "stat"},
	{path: "proc/oom_score", from: fromProc, kind: kindText, page: "oom_score"},
	{path: "proc/oom_score_adj", from: fromProc, kind: kindText, page: "oom_score_adj"},

	{from: fromCgroup, kind: kindText}, // each file of the cgroup: see cgroupSources

	{path: "host/loadavg", from: fromHost, kind: kindText, page: "loadavg"},
	{path: "host/meminfo", from: fromHost, kind: kindText, page: "meminfo"},
	{path: "host/vmstat", from: fromHost, kind: kindText, page: "vmstat"},
	{path: "host/pressure-memory", from: fromHost, kind: kindText, page: "pressure/memory"},
	{path: "host/pressure-cpu", from: fromHost, kind: kindText, page: "pressure/cpu"},
	{path: "host/pressure-io", from: fromHost, kind: kindText, page: "pressure/io"},
	{path: "host/zombies", from: fromHost, kind: kindText, page: zombiesPage},
	{path: "host/kernel", from: fromHost, kind: kindText, page: kernelPage},

	{path: "go/heap.pb.gz", from: fromGo, kind: kindProfile, page: "heap"},
	{path: "go/memstats.txt", from: fromGo, kind: kindText, page: "heap?debug=1",
		wants: "heap profile:"},
	{path: "go/heap-gc.pb.gz", from: fromGo, kind: kindProfile, page: "heap?gc=1", only: onlyGC},
	{path: "go/allocs.pb.gz", from: fromGo, kind: kindProfile, page: "allocs"},
	{path: "go/goroutine.pb.gz", from: fromGo, kind: kindProfile, page: "goroutine"},
	{path: "go/goroutine.txt", from: fromGo, kind: kindText, page: "goroutine?debug=2",
		wants: "goroutine "},
	{path: "go/threadcreate.pb.gz", from: fromGo, kind: kindProfile, page: "threadcreate"},
	{path: "go/mutex.pb.gz", from: fromGo, kind: kindProfile, page: "mutex"},
	{path: "go/block.pb.gz", from: fromGo, kind: kindProfile, page: "block"},
	{path: "go/cmdline.txt", from: fromGo, kind: kindText, page: "cmdline"},
	{path: "go/trace.out", from: fromGo, kind: kindTrace, page: "trace", only: onlyTrace,
		wants: "go 1."},
	{path: "go/cpu.pb.gz", from: fromGo, kind: kindProfile, page: "profile", only: onlyCPU},
}

// Options that add a source.
const (
	onlyGC    = "--gc on"
	onlyTrace = "--trace 5s"
	onlyCPU   = "--cpu 30s"
)

// lasts is how long the service works for a source before it answers.
func (o *Options) lasts(s source) time.Duration {
	switch s.only {
	case onlyCPU:
		return o.CPU
	case onlyTrace:
		return o.Trace
	}
	return 0
}

// isWanted by the options.
func (o *Options) isWanted(s source) bool {
	return s.only == "" || s.only == onlyGC && o.GC || o.lasts(s) > 0
}

// pageOf adds the time to a page that lasts.
func (o *Options) pageOf(s source) string {
	if d := o.lasts(s); d > 0 {
		return fmt.Sprintf("%s?seconds=%d", s.page, int64((d+time.Second-1)/time.Second))
	}
	return s.page
}

// plan is the sources that these options reach.
func (o *Options) plan() []source {
	var list []source
	for _, s := range sources {
		switch {
		case !o.isWanted(s):
		case s.from == fromLibrary && o.Library == nil && s.isOfGoPackage() == "":
		case s.from == fromGo && o.Server == nil:
		case (s.from == fromProc || s.from == fromHost) && o.Process == nil:
		case s.from == fromCgroup:
			list = append(list, o.cgroupSources()...)
		default:
			list = append(list, s)
		}
	}
	return list
}

// isOfGoPackage is the page below /debug/pprof/ that the Go package serves at the service's own
// address; "": it does not.
func (s source) isOfGoPackage() string {
	switch s.page {
	case "/debug/pprof/cgoheap":
		return "cgoheap"
	case "/debug/pprof/memory":
		return "memory"
	}
	return ""
}

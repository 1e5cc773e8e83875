package cgo_bridge

import (
	"context"
	"net/http"
	"time"
)

// A MemoryAccount says what the resident set of this process is made of: every
// resident page has one owner. Owners and Unexplained sum to RSS. Sizes are bytes.
// A pointer that is nil is a figure that is not known, which is not 0.
type MemoryAccount struct {
	Time          time.Time `json:"time"`
	RSS           int64     `json:"rss_bytes"`
	Owners        []Owner   `json:"owners"`
	Unexplained   int64     `json:"unexplained_bytes"` // changed hands while it was counted
	TookNS        int64     `json:"took_ns"`           // to take this account
	Allocator     Allocator `json:"allocator"`
	CLiveEstimate Estimate  `json:"c_live_estimate"`
	Go            Go        `json:"go"`
	Process       Process   `json:"process"`
	Cgroup        Cgroup    `json:"cgroup"`
	ThreadStacks  int64     `json:"thread_stacks"` // a number
	Mappings      int64     `json:"mappings"`      // a number
	Warnings      []string  `json:"warnings"`      // what is not as it should be, as sentences
}

// An Owner is who has a part of the RSS: go_heap, go_stacks, go_metadata, c_live,
// c_retained, c_mmap, c_brk, file_copies, device_maps, thread_stacks, program, libraries,
// mapped_files, shared_memory, shim, kernel, untracked_mmap. A later library may know more.
type Owner struct {
	Name   string `json:"name"`
	Bytes  *int64 `json:"bytes"` // resident; nil: part of a neighbour's, which a warning names
	Exact  bool   `json:"exact"` // counted, not estimated
	Huge   *int64 `json:"huge_bytes"`
	Lazy   *int64 `json:"lazy_free_bytes"`
	Swap   *int64 `json:"swap_bytes"`
	Mapped *int64 `json:"mapped_bytes"` // usable address space, resident or not
}

// Allocator is what the C allocator behind malloc says of itself.
type Allocator struct {
	Name   string `json:"name"` // "glibc", "jemalloc", "tcmalloc", "mimalloc"
	InUse  *int64 `json:"in_use_bytes"`
	Free   *int64 `json:"free_bytes"`
	Mapped *int64 `json:"mapped_bytes"` // big blocks with a mapping of their own; part of InUse
	System *int64 `json:"system_bytes"` // all it has from the system
	Arenas *int64 `json:"arenas"`
}

// An Estimate is C memory in use by the samples, beside the allocator's own count.
type Estimate struct {
	Bytes         *int64 `json:"bytes"`
	StandardError *int64 `json:"standard_error_bytes"`
	SampleBytes   *int64 `json:"sample_bytes"` // mean bytes between samples
}

// Go is what the runtime counts, which need not be resident. With this package
// all of it is known, from runtime/metrics (Source), unless Go did not answer
// within 100 ms; then a warning says so.
type Go struct {
	Source       string           `json:"source"`
	HeapInUse    *int64           `json:"heap_in_use_bytes"`      // spans with objects in them
	HeapObjects  *int64           `json:"heap_objects_bytes"`     // objects, live or not yet swept
	HeapLive     *int64           `json:"heap_live_bytes"`        // found live by the last collection
	HeapDead     *int64           `json:"heap_dead_or_new_bytes"` // HeapObjects less HeapLive
	HeapUnused   *int64           `json:"heap_unused_bytes"`      // gaps in spans in use
	HeapFree     *int64           `json:"heap_free_bytes"`        // free and not returned to the system
	HeapReleased *int64           `json:"heap_released_bytes"`    // returned: not resident
	Stacks       *int64           `json:"stacks_bytes"`           // of goroutines
	Metadata     *int64           `json:"metadata_bytes"`         // all else that the runtime has
	MappedReady  *int64           `json:"mapped_ready_bytes"`     // all it has, less HeapReleased: what MemoryLimit bounds
	GCGoal       *int64           `json:"gc_goal_bytes"`
	MemoryLimit  *int64           `json:"memory_limit_bytes"` // GOMEMLIMIT as it is now; nil too where there is none
	Goroutines   *int64           `json:"goroutines"`
	LastGC       *time.Time       `json:"last_gc_time"`    // nil too before the first
	Metrics      map[string]int64 `json:"runtime_metrics"` // by their names in runtime/metrics
}

// Process is /proc/self/status.
type Process struct {
	VMRSS    *int64 `json:"vm_rss_bytes"`
	VMHWM    *int64 `json:"vm_hwm_bytes"` // the highest VMRSS there was
	RSSAnon  *int64 `json:"rss_anon_bytes"`
	RSSFile  *int64 `json:"rss_file_bytes"`
	RSSShmem *int64 `json:"rss_shmem_bytes"`
	VMSwap   *int64 `json:"vm_swap_bytes"`
	Threads  *int64 `json:"threads"` // a number
}

// Cgroup is what the kernel charges the memory cgroup that the process is in.
type Cgroup struct {
	Version *int   `json:"version"` // 1 or 2; nil: none was found
	Path    string `json:"path"`
	Current *int64 `json:"current_bytes"`
	Limit   *int64 `json:"limit_bytes"` // the lowest of it and those above it; nil: none
	Anon    *int64 `json:"anon_bytes"`
	File    *int64 `json:"file_bytes"`
	Kernel  *int64 `json:"kernel_bytes"`
	Swap    *int64 `json:"swap_bytes"`
}

// Resident is what the named owners have together; owners that are not known count as 0.
func (a *MemoryAccount) Resident(names ...string) int64 {
	var sum int64
	for _, name := range names {
		for _, o := range a.Owners {
			if o.Name == name && o.Bytes != nil {
				sum += *o.Bytes
			}
		}
	}
	return sum
}

// NonGo is the part of RSS that is not the Go runtime's: what GOMEMLIMIT does not see.
func (a *MemoryAccount) NonGo() int64 {
	return a.RSS - a.Resident("go_heap", "go_stacks", "go_metadata")
}

// Account has the library count now, which takes about 20 ms for each GiB that is
// resident; nothing is stopped meanwhile. The error is [ErrNotPreloaded], a
// [*VersionError], a [*PassiveError], a [*RequestError], ctx's, or one of the
// connection.
func Account(ctx context.Context) (*MemoryAccount, error) {
	a := &MemoryAccount{}
	if err := askJSON(ctx, http.MethodGet, "/v1/account", nil, a); err != nil {
		return nil, err
	}
	return a, nil
}

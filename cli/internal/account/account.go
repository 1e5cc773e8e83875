// Package account describes what the resident memory of a process consists of, as the
// library answers at /v1/account: its owners, their details, and how they grew between
// two looks.  It fetches nothing.
package account

import (
	"cmp"
	"regexp"
	"strings"
	"time"

	"cgoheap/cli/internal/termtext"
)

// Account is the answer to /v1/account.  What the library does not know is nil.
type Account struct {
	RSS         int64     `json:"rss_bytes"`
	Owners      []Owner   `json:"owners"`
	Unexplained int64     `json:"unexplained_bytes"`
	TookNS      int64     `json:"took_ns"`
	Time        time.Time `json:"time"`
	Allocator   struct {
		Name   string `json:"name"`
		InUse  *int64 `json:"in_use_bytes"`
		Free   *int64 `json:"free_bytes"`
		Arenas *int64 `json:"arenas"`
	} `json:"allocator"`
	Kept     Kept               `json:"c_retained_kept"`
	Private  []PrivateAllocator `json:"private_allocators"`
	Estimate struct {
		Bytes       *int64 `json:"bytes"`
		Error       *int64 `json:"standard_error_bytes"`
		SampleBytes *int64 `json:"sample_bytes"`
	} `json:"c_live_estimate"`
	Go           GoSplit      `json:"go"`
	Process      processStats `json:"process"`
	Cgroup       cgroupStats  `json:"cgroup"`
	ThreadStacks int64        `json:"thread_stacks"`
	// Of threads that have ended: how many, and their address space.
	EndedStacks int64         `json:"thread_stacks_ended"`
	EndedBytes  int64         `json:"thread_stacks_ended_bytes"`
	MmapTop     []MmapStack   `json:"c_mmap_top"`
	Untracked   UntrackedSeen `json:"untracked_candidates"`
	MappedTop   []MappedPart  `json:"mapped_top"`
	Warnings    []string      `json:"warnings"`
}

// Owner is one owner's part of the RSS.
type Owner struct {
	Name     string `json:"name"`
	Bytes    *int64 `json:"bytes"` // nil: in a neighbour's figure
	Exact    bool   `json:"exact"`
	Huge     int64  `json:"huge_bytes"`
	LazyFree int64  `json:"lazy_free_bytes"`
	Swap     int64  `json:"swap_bytes"`
	Mapped   *int64 `json:"mapped_bytes"`
}

// GoOwnFigures is the source if the process has the Go package, which knows all.
const GoOwnFigures = "runtime/metrics"

// GoSplit is what Go's heap consists of, in bytes as the runtime counts them, not resident ones.
type GoSplit struct {
	Source   *string `json:"source"`
	InUse    *int64  `json:"heap_in_use_bytes"`
	Free     *int64  `json:"heap_free_bytes"`
	Released *int64  `json:"heap_released_bytes"`
	Stacks   *int64  `json:"stacks_bytes"`
	Metadata *int64  `json:"metadata_bytes,omitempty"`
	Limit    *int64  `json:"memory_limit_bytes,omitempty"` // as it is now; nil: none, or not known
	// Of what is in use, where the program has the Go package.
	Live       *int64 `json:"heap_live_bytes,omitempty"`
	DeadOrNew  *int64 `json:"heap_dead_or_new_bytes,omitempty"`
	Unused     *int64 `json:"heap_unused_bytes,omitempty"`
	Goroutines *int64 `json:"goroutines,omitempty"`
}

type processStats struct {
	RSS      *int64 `json:"vm_rss_bytes"`
	RSSAnon  *int64 `json:"rss_anon_bytes"`
	RSSFile  *int64 `json:"rss_file_bytes"`
	RSSShmem *int64 `json:"rss_shmem_bytes"`
	Data     *int64 `json:"vm_data_bytes"`
	Stk      *int64 `json:"vm_stk_bytes"`
	Size     *int64 `json:"vm_size_bytes"`
	Swap     *int64 `json:"vm_swap_bytes"`
	Threads  *int64 `json:"threads"`
}

type cgroupStats struct {
	Version *int   `json:"version"` // nil: none was found
	Path    string `json:"path"`
	Current *int64 `json:"current_bytes"`
	Limit   *int64 `json:"limit_bytes"` // nil: none
	Anon    *int64 `json:"anon_bytes"`
	File    *int64 `json:"file_bytes"`
	Kernel  *int64 `json:"kernel_bytes"`
	Swap    *int64 `json:"swap_bytes"`
}

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

// The owners' names, fixed by the interface.
const (
	GoHeap        = "go_heap"
	GoStacks      = "go_stacks"
	GoMetadata    = "go_metadata"
	CLive         = "c_live"
	CRetained     = "c_retained"
	CMmap         = "c_mmap"
	CBrk          = "c_brk"
	FileCopies    = "file_copies"
	DeviceMaps    = "device_maps"
	ThreadStacks  = "thread_stacks"
	Program       = "program"
	Libraries     = "libraries"
	MappedFiles   = "mapped_files"
	SharedMemory  = "shared_memory"
	Shim          = "shim"
	UntrackedMmap = "untracked_mmap"
)

var ownerLabels = map[string]string{
	GoHeap: "Go heap", GoStacks: "goroutine stacks", GoMetadata: "Go metadata", CLive: "C live", CRetained: "C retained",
	CMmap: "C mmap", CBrk: "C brk", ThreadStacks: "thread stacks", Libraries: "libraries", Shim: "cgoheap itself",
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
	return ownerName.ReplaceAllStringFunc(text, func(name string) string { return cmp.Or(ownerLabels[name], name) })
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

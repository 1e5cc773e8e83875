package main

import (
	"cmp"
	"regexp"
	"strings"
	"time"

	"cgoheap/cli/internal/termtext"
)

// account is /v1/account: what the RSS is made of.  What the shim does not know is nil.
type account struct {
	RSS         int64       `json:"rss_bytes"`
	Owners      []ownerPart `json:"owners"`
	Unexplained int64       `json:"unexplained_bytes"`
	TookNS      int64       `json:"took_ns"`
	Time        time.Time   `json:"time"`
	Allocator   struct {
		Name   string `json:"name"`
		InUse  *int64 `json:"in_use_bytes"`
		Free   *int64 `json:"free_bytes"`
		Arenas *int64 `json:"arenas"`
	} `json:"allocator"`
	Kept     keptParts        `json:"c_retained_kept"`
	Private  []privateFigures `json:"private_allocators"`
	Estimate struct {
		Bytes       *int64 `json:"bytes"`
		Error       *int64 `json:"standard_error_bytes"`
		SampleBytes *int64 `json:"sample_bytes"`
	} `json:"c_live_estimate"`
	Go           goSplit      `json:"go"`
	Process      processStats `json:"process"`
	Cgroup       cgroupStats  `json:"cgroup"`
	ThreadStacks int64        `json:"thread_stacks"`
	// Of threads that have ended: how many, and their address space.
	EndedStacks int64         `json:"thread_stacks_ended"`
	EndedBytes  int64         `json:"thread_stacks_ended_bytes"`
	MmapTop     []mmapStack   `json:"c_mmap_top"`
	Untracked   untrackedSeen `json:"untracked_candidates"`
	MappedTop   []mappedPart  `json:"mapped_top"`
	Warnings    []string      `json:"warnings"`
}

// ownerPart is what one owner has of the RSS.
type ownerPart struct {
	Name     string `json:"name"`
	Bytes    *int64 `json:"bytes"` // nil: in a neighbour's figure
	Exact    bool   `json:"exact"`
	Huge     int64  `json:"huge_bytes"`
	LazyFree int64  `json:"lazy_free_bytes"`
	Swap     int64  `json:"swap_bytes"`
	Mapped   *int64 `json:"mapped_bytes"`
}

// goOwnFigures is the source where the process has the Go package: all is known.
const goOwnFigures = "runtime/metrics"

// goSplit is what Go's heap is made of: not resident bytes, but what the runtime counts.
type goSplit struct {
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

// mmapStack is C memory mapped past malloc, by who mapped it; leaf first.
type mmapStack struct {
	Bytes  int64    `json:"bytes"`
	Mapped int64    `json:"mapped_bytes"`
	Frames []string `json:"frames"`
}

// mappedPart is one of the largest mappings of another owner, by who mapped it and what.
type mappedPart struct {
	Owner string  `json:"owner"`
	File  *string `json:"file"`
	mmapStack
}

// The owners' names, fixed by the interface.
const (
	goHeap        = "go_heap"
	goStacks      = "go_stacks"
	goMetadata    = "go_metadata"
	cLive         = "c_live"
	cRetained     = "c_retained"
	cMmap         = "c_mmap"
	cBrk          = "c_brk"
	fileCopies    = "file_copies"
	deviceMaps    = "device_maps"
	threadStacks  = "thread_stacks"
	programOwner  = "program"
	librariesPart = "libraries"
	mappedFiles   = "mapped_files"
	sharedMemory  = "shared_memory"
	shimOwner     = "shim"
	untrackedMmap = "untracked_mmap"
)

var ownerLabels = map[string]string{
	goHeap: "Go heap", goStacks: "goroutine stacks", goMetadata: "Go metadata", cLive: "C live", cRetained: "C retained",
	cMmap: "C mmap", cBrk: "C brk", threadStacks: "thread stacks", librariesPart: "libraries", shimOwner: "cgoheap itself",
	untrackedMmap: "untracked mmap",
}

// ownerLabel is for people; an owner that this command does not know yet keeps its name.
func ownerLabel(name string) string {
	if label := ownerLabels[name]; label != "" {
		return label
	}
	return strings.ReplaceAll(termtext.Escape(name), "_", " ")
}

// labelled is a text of the shim's, with the owners called as in the table.
func labelled(text string) string {
	return ownerName.ReplaceAllStringFunc(text, func(name string) string { return cmp.Or(ownerLabels[name], name) })
}

var ownerName = regexp.MustCompile(`\b[a-z]+_[a-z]+\b`)

func (a *account) owner(name string) ownerPart {
	for _, o := range a.Owners {
		if o.Name == name {
			return o
		}
	}
	return ownerPart{Name: name}
}

// resident is what an owner has; 0 also where it is not known.
func (a *account) resident(names ...string) int64 {
	var sum int64
	for _, name := range names {
		sum += known(a.owner(name).Bytes)
	}
	return sum
}

func known(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

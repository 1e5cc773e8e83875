/*
 * Describes every figure of the account once. /v1/account (profile/account_json.c) and the
 * account's part of /metrics (serve/metrics.c) are written from these lists. tools/generate makes
 * the Go types of cgo_bridge and of the command from them, and the families of cgo_bridge/prom.
 *
 * A list has the members of one JSON object in order, each X(KIND, ...):
 *
 *   FIGURE(value, unit, key, Name, metric, help)  UNKNOWN is null in JSON, nil in Go, and has no
 *       line in /metrics. value: an expression in s, the struct of the list (account.h). unit:
 *       bytes, count or nanoseconds (seconds in /metrics). Name: in Go. metric: without
 *       "cgoheap_"; "": none. help: HELP in /metrics, and the comment in Go.
 *   NUMBER(value, unit, key, Name, metric, help)  A figure that is always known.
 *   METRIC(value, unit, metric, help)  A figure that is only in /metrics.
 *   TEXT(value, key, Name, help)  FLAG(value, key, Name, help)
 *   PART(member, Name, type, whose, help)  A member that account_json.c writes itself. type: in
 *       Go. whose: BRIDGE, COMMAND or BOTH have it.
 */
#ifndef CGOHEAP_ACCOUNT_FIGURES_H
#define CGOHEAP_ACCOUNT_FIGURES_H

/* X(OWNER, name, Name in Go), in display order. */
#define ACCOUNT_OWNERS(X)                                                                          \
	X(GO_HEAP, "go_heap", GoHeap)                                                              \
	X(GO_STACKS, "go_stacks", GoStacks)                                                        \
	X(GO_METADATA, "go_metadata", GoMetadata)                                                  \
	X(C_LIVE, "c_live", CLive)                                                                 \
	X(C_RETAINED, "c_retained", CRetained)                                                     \
	X(C_MMAP, "c_mmap", CMmap)                                                                 \
	X(C_BRK, "c_brk", CBrk)                   /* taken by sbrk or brk past malloc */           \
	X(FILE_COPIES, "file_copies", FileCopies) /* written pages of private file mappings */     \
	X(DEVICE_MAPS, "device_maps", DeviceMaps) /* of sockets, devices, io_uring, perf */        \
	X(THREAD_STACKS, "thread_stacks", ThreadStacks)                                            \
	X(PROGRAM, "program", Program)                                                             \
	X(LIBRARIES, "libraries", Libraries)                                                       \
	X(MAPPED_FILES, "mapped_files", MappedFiles)                                               \
	X(SHARED_MEMORY, "shared_memory", SharedMemory)                                            \
	X(SHIM, "shim", Shim)                                                                      \
	X(KERNEL, "kernel", Kernel)                        /* vdso, vvar */                        \
	X(UNTRACKED_MMAP, "untracked_mmap", UntrackedMmap) /* by a raw call, or before the shim */

/* Of struct account. */
#define ACCOUNT_WHOLE(X)                                                                           \
	X(NUMBER, s->rss_bytes, bytes, "rss_bytes", RSS, "rss_bytes",                              \
	  "Resident set size: the sum over all mappings.")                                         \
	X(PART, owners, Owners, "[]Owner", BOTH, "They and Unexplained sum to RSS.")               \
	X(NUMBER, s->unexplained_bytes, bytes, "unexplained_bytes", Unexplained, "",               \
	  "Resident memory whose owner changed while it was counted.")                             \
	X(NUMBER, s->took_ns, nanoseconds, "took_ns", TookNS, "account_duration_seconds",          \
	  "Time taken by this account.")                                                           \
	X(PART, time, Time, "time.Time", BOTH, "When it was taken.")                               \
	X(PART, allocator, Allocator, "Allocator", BOTH, "")                                       \
	X(PART, private_allocators, Private, "[]PrivateAllocator", BOTH, "")                       \
	X(PART, c_retained_kept, Kept, "Kept", BOTH, "")                                           \
	X(PART, c_live_estimate, CLiveEstimate, "Estimate", BOTH, "")                              \
	X(PART, c_blocks_resident_ratio, ResidentRatio, "*float64", BRIDGE,                        \
	  "Resident share of the bytes of sampled blocks in use.")                                 \
	X(FIGURE, s->debt.bytes, bytes, "finalizer_debt_bytes", Debt, "finalizer_debt_bytes",      \
	  "C memory in use that finalizers or cleanups free, after a collection of Go's.")         \
	X(FIGURE, s->debt.survived_bytes, bytes, "finalizer_debt_survived_bytes", DebtSurvived,    \
	  "finalizer_debt_survived_bytes",                                                         \
	  "Part of it that was there when the last collection began.")                             \
	X(FIGURE, s->debt.new_bytes, bytes, "finalizer_debt_new_bytes", DebtNew,                   \
	  "finalizer_debt_new_bytes", "Part of it that was allocated since the last collection.")  \
	X(PART, peak, Peak, "Peak", BOTH, "")                                                      \
	X(PART, go, Go, "Go", BOTH, "")                                                            \
	X(PART, process, Process, "Process", BOTH, "")                                             \
	X(PART, cgroup, Cgroup, "Cgroup", BOTH, "")                                                \
	X(NUMBER, s->mappings, count, "mappings", Mappings, "mappings",                            \
	  "Mappings of the address space.")                                                        \
	X(NUMBER, s->split_mappings, count, "split_mappings", SplitMappings, "",                   \
	  "Of them, those with more than one owner.")                                              \
	X(NUMBER, s->thread_stacks_count, count, "thread_stacks", ThreadStacks, "thread_stacks",   \
	  "Known thread stacks.")                                                                  \
	X(NUMBER, s->ended_stacks_count, count, "thread_stacks_ended", EndedStacks, "",            \
	  "Stacks of threads that have ended.")                                                    \
	X(NUMBER, s->ended_stacks_bytes, bytes, "thread_stacks_ended_bytes", EndedBytes, "",       \
	  "Their address space.")                                                                  \
	X(PART, c_mmap_top, MmapTop, "[]MmapStack", COMMAND, "")                                   \
	X(PART, mapped_top, MappedTop, "[]MappedPart", COMMAND, "")                                \
	X(PART, untracked_candidates, Untracked, "UntrackedSeen", COMMAND, "")                     \
	X(FLAG, s->is_partial, "partial", Partial,                                                 \
	  "Time ran out: what is missing is in Unexplained.")                                      \
	X(PART, warnings, Warnings, "[]string", BOTH, "Problems, in sentences.")

/* Of struct account_bytes. In /metrics, one family per figure, by owner. */
#define ACCOUNT_OWNER(X)                                                                           \
	X(PART, name, Name, "string", BOTH, "The owner; a later library may have more.")           \
	X(FIGURE, s->resident, bytes, "bytes", Bytes, "memory_bytes",                              \
	  "Resident memory by owner; all owners together are the RSS.")                            \
	X(FLAG, s->exact, "exact", Exact, "Counted, not estimated.")                               \
	X(FIGURE, s->huge, bytes, "huge_bytes", Huge, "memory_huge_bytes",                         \
	  "Resident memory in transparent huge pages, by owner.")                                  \
	X(FIGURE, s->lazy_free, bytes, "lazy_free_bytes", Lazy, "memory_lazy_free_bytes",          \
	  "Resident memory marked MADV_FREE, by owner.")                                           \
	X(FIGURE, s->swapped, bytes, "swap_bytes", Swap, "memory_swap_bytes",                      \
	  "Swapped out, by owner.")                                                                \
	X(FIGURE, s->mapped, bytes, "mapped_bytes", Mapped, "memory_mapped_bytes",                 \
	  "Usable address space by owner, resident or not.")

/* Of struct allocator_stats. */
#define ACCOUNT_ALLOCATOR(X)                                                                       \
	X(TEXT, s->name, "name", Name, "Such as glibc, jemalloc, tcmalloc, mimalloc.")             \
	X(FIGURE, s->in_use_bytes, bytes, "in_use_bytes", InUse, "allocator_in_use_bytes",         \
	  "Blocks that the C allocator has handed out.")                                           \
	X(FIGURE, s->free_bytes, bytes, "free_bytes", Free, "allocator_free_bytes",                \
	  "Free memory inside the C allocator.")                                                   \
	X(FIGURE, s->mapped_bytes, bytes, "mapped_bytes", Mapped, "allocator_mapped_bytes",        \
	  "Big blocks in use that have their own mapping.")                                        \
	X(FIGURE, s->system_bytes, bytes, "system_bytes", System, "allocator_system_bytes",        \
	  "Memory that the C allocator has from the system.")                                      \
	X(FIGURE, s->cached_bytes, bytes, "cached_bytes", Cached, "",                              \
	  "Free blocks kept for requests of the same size.")                                       \
	X(FIGURE, s->arenas, count, "arenas", Arenas, "allocator_arenas",                          \
	  "Arenas of the C allocator.")                                                            \
	X(FIGURE, s->nanoseconds, nanoseconds, "nanoseconds", Nanoseconds,                         \
	  "allocator_statistics_duration_seconds",                                                 \
	  "Time that the C allocator's statistics took, under its locks.")

/* Of struct privatealloc. */
#define ACCOUNT_PRIVATE(X)                                                                         \
	X(TEXT, "jemalloc", "name", Name, "")                                                      \
	X(TEXT, s->prefix, "prefix", Prefix, "The prefix of its function names.")                  \
	X(FIGURE, s->in_use, bytes, "in_use_bytes", InUse, "", "Blocks handed out.")               \
	X(FIGURE, s->active, bytes, "active_bytes", Active, "", "Pages with blocks in use.")       \
	X(FIGURE, s->metadata, bytes, "metadata_bytes", Metadata, "", "Its tables.")               \
	X(FIGURE, s->resident, bytes, "resident_bytes", Resident, "", "Resident at most.")         \
	X(FIGURE, s->mapped, bytes, "mapped_bytes", Mapped, "", "Mapped and in use by it.")        \
	X(FIGURE, s->retained, bytes, "retained_bytes", Retained, "", "Mapped and kept unused.")

/* Of struct kept_bytes. */
#define ACCOUNT_KEPT(X)                                                                            \
	X(FIGURE, s->returnable, bytes, "returnable_bytes", Returnable, "",                        \
	  "What malloc_trim returns.")                                                             \
	X(FIGURE, s->arena_ends, bytes, "arena_ends_bytes", ArenaEnds, "",                         \
	  "At the ends of arenas, which malloc_trim never returns.")                               \
	X(FIGURE, s->end_count, count, "arena_ends", Ends, "", "Number of arenas with such ends.") \
	X(FIGURE, s->cached, bytes, "cached_bytes", Cached, "",                                    \
	  "In small blocks, which malloc_trim joins first.")                                       \
	X(FIGURE, s->pinned, bytes, "pinned_bytes", Pinned, "",                                    \
	  "On pages that also hold blocks in use.")                                                \
	X(PART, pinned_by, PinnedBy, "*PinnedBy", COMMAND,                                         \
	  "By which stacks; nil: not known, or too little to matter.")

/* Of struct account. */
#define ACCOUNT_ESTIMATE(X)                                                                        \
	X(FIGURE, s->c_live_estimate_bytes, bytes, "bytes", Bytes, "c_live_estimate_bytes",        \
	  "C memory in use by the samples.")                                                       \
	X(FIGURE, s->c_live_estimate_error, bytes, "standard_error_bytes", StandardError,          \
	  "c_live_estimate_standard_error_bytes", "Standard error of that estimate.")              \
	X(FIGURE, (uint64_t)control_get().sample_bytes, bytes, "sample_bytes", SampleBytes, "",    \
	  "Mean bytes between samples.")

/* Of struct account. */
#define ACCOUNT_PEAK(X)                                                                            \
	X(FIGURE, s->c_peak.bytes, bytes, "c_in_use_bytes", CInUse, "",                            \
	  "The highest C in use, by the samples, without stacks of threads.")                      \
	X(PART, c_in_use_at, CInUseAt, "*time.Time", BOTH, "When that was.")                       \
	X(FIGURE, s->c_in_use_now_bytes, bytes, "c_in_use_now_bytes", CInUseNow, "",               \
	  "The same figure now.")                                                                  \
	X(FIGURE, s->rss_peak.bytes, bytes, "rss_bytes", RSS, "",                                  \
	  "The highest RSS that was seen while sampling was on.")                                  \
	X(PART, rss_at, RSSAt, "*time.Time", BOTH, "When that was.")

/* Of struct go_stats. */
#define ACCOUNT_GO(X)                                                                              \
	X(TEXT, s->source, "source", Source, "Where the figures come from.")                       \
	X(FIGURE, s->heap_in_use_bytes, bytes, "heap_in_use_bytes", HeapInUse,                     \
	  "go_heap_in_use_bytes", "Go heap spans in use.")                                         \
	X(FIGURE, s->heap_free_bytes, bytes, "heap_free_bytes", HeapFree, "go_heap_free_bytes",    \
	  "Go heap free and not returned.")                                                        \
	X(FIGURE, s->heap_released_bytes, bytes, "heap_released_bytes", HeapReleased,              \
	  "go_heap_released_bytes", "Go heap returned to the system.")                             \
	X(FIGURE, s->stacks_bytes, bytes, "stacks_bytes", Stacks, "go_stacks_bytes",               \
	  "Go arenas that are not heap: stacks and manual spans.")                                 \
	X(FIGURE, s->mapped_ready_bytes, bytes, "mapped_ready_bytes", MappedReady,                 \
	  "go_mapped_ready_bytes",                                                                 \
	  "Memory that the Go runtime has ready, which GOMEMLIMIT limits.")                        \
	X(FIGURE, s->total_alloc_bytes, bytes, "total_alloc_bytes", TotalAlloc, "",                \
	  "All objects allocated so far.")                                                         \
	X(FIGURE, s->metadata_bytes, bytes, "metadata_bytes", Metadata, "",                        \
	  "Other memory of the runtime.")                                                          \
	X(FIGURE, s->runtime[CGOHEAP_GO_HEAP_OBJECTS], bytes, "heap_objects_bytes", HeapObjects,   \
	  "", "Objects, live or not yet swept.")                                                   \
	X(FIGURE, gostats_heap_live(s), bytes, "heap_live_bytes", HeapLive, "",                    \
	  "Found live by the last collection.")                                                    \
	X(FIGURE, gostats_heap_dead(s), bytes, "heap_dead_or_new_bytes", HeapDead, "",             \
	  "HeapObjects less HeapLive.")                                                            \
	X(FIGURE, s->runtime[CGOHEAP_GO_HEAP_UNUSED], bytes, "heap_unused_bytes", HeapUnused, "",  \
	  "Gaps in spans in use.")                                                                 \
	X(FIGURE, s->gc.goal_bytes, bytes, "gc_goal_bytes", GCGoal, "",                            \
	  "The same as heap_goal_bytes, by its name of older releases.")                           \
	X(FIGURE, s->gc.memory_limit, bytes, "memory_limit_bytes", MemoryLimit, "",                \
	  "The current GOMEMLIMIT; also nil if there is none.")                                    \
	X(FIGURE, s->runtime[CGOHEAP_GO_GOROUTINES], count, "goroutines", Goroutines, "", "")      \
	X(PART, last_gc_time, LastGC, "*time.Time", BRIDGE,                                        \
	  "When the last collection ended; also nil before the first.")                            \
	X(PART, last_gc, LastGC, "*time.Time", COMMAND,                                            \
	  "When the last collection ended; also nil before the first.")                            \
	X(METRIC, s->gc.ended_unix_ns, nanoseconds, "go_last_gc_timestamp_seconds",                \
	  "When the last collection ended, since 1970; 0: there was none.")                        \
	X(FIGURE, s->gc.cycles, count, "gc_cycles", GCCycles, "", "Collections that have ended.")  \
	X(FIGURE, s->gc.goal_bytes, bytes, "heap_goal_bytes", HeapGoal, "go_heap_goal_bytes",      \
	  "The heap size at which the next collection should end; nil: none is due.")              \
	X(FIGURE, s->gc.heap_bytes, bytes, "heap_now_bytes", HeapNow, "",                          \
	  "The heap as the goal counts it.")                                                       \
	X(PART, gc_percent, GCPercent, "*int64", BOTH, "GOGC; -1: off.")                           \
	X(FIGURE, s->gc.finalizers_waiting, count, "finalizers_waiting", FinalizersWaiting,        \
	  "go_finalizers_waiting",                                                                 \
	  "Finalizers that a collection has queued and that have not "                             \
	  "run.")                                                                                  \
	X(FIGURE, s->gc.cleanups_waiting, count, "cleanups_waiting", CleanupsWaiting,              \
	  "go_cleanups_waiting", "Cleanups that a collection has queued and that have not run.")   \
	X(PART, finalizer_running, FinalizerRunning, "*bool", BOTH, "A finalizer is running now.") \
	X(PART, runtime_metrics, Metrics, "map[string]int64", BRIDGE,                              \
	  "By their names in runtime/metrics.")

/* Of struct process_stats. */
#define ACCOUNT_PROCESS(X)                                                                         \
	X(FIGURE, s->vm_rss, bytes, "vm_rss_bytes", VMRSS, "process_vm_rss_bytes",                 \
	  "VmRSS of the process.")                                                                 \
	X(FIGURE, s->rss_anon, bytes, "rss_anon_bytes", RSSAnon, "process_rss_anon_bytes",         \
	  "RssAnon of the process.")                                                               \
	X(FIGURE, s->rss_file, bytes, "rss_file_bytes", RSSFile, "process_rss_file_bytes",         \
	  "RssFile of the process.")                                                               \
	X(FIGURE, s->rss_shmem, bytes, "rss_shmem_bytes", RSSShmem, "process_rss_shmem_bytes",     \
	  "RssShmem of the process.")                                                              \
	X(FIGURE, s->vm_data, bytes, "vm_data_bytes", VMData, "process_vm_data_bytes",             \
	  "VmData of the process.")                                                                \
	X(FIGURE, s->vm_stk, bytes, "vm_stk_bytes", VMStk, "process_vm_stk_bytes",                 \
	  "VmStk of the process: the main thread's stack.")                                        \
	X(FIGURE, s->vm_size, bytes, "vm_size_bytes", VMSize, "process_vm_size_bytes",             \
	  "VmSize of the process.")                                                                \
	X(FIGURE, s->vm_swap, bytes, "vm_swap_bytes", VMSwap, "process_vm_swap_bytes",             \
	  "VmSwap of the process.")                                                                \
	X(FIGURE, s->vm_hwm, bytes, "vm_hwm_bytes", VMHWM, "process_vm_hwm_bytes",                 \
	  "VmHWM of the process: its highest RSS.")                                                \
	X(FIGURE, s->threads, count, "threads", Threads, "process_threads",                        \
	  "Threads of the process.")

/* Of struct cgroup_stats. */
#define ACCOUNT_CGROUP(X)                                                                          \
	X(PART, version, Version, "*int", BOTH, "1 or 2; nil: none was found.")                    \
	X(TEXT, s->path, "path", Path, "")                                                         \
	X(FIGURE, s->current, bytes, "current_bytes", Current, "cgroup_current_bytes",             \
	  "Memory charged to the cgroup.")                                                         \
	X(FIGURE, s->limit, bytes, "limit_bytes", Limit, "cgroup_limit_bytes",                     \
	  "Lowest limit on the cgroup or one above it.")                                           \
	X(FIGURE, s->anon, bytes, "anon_bytes", Anon, "cgroup_anon_bytes",                         \
	  "Anonymous memory of the cgroup.")                                                       \
	X(FIGURE, s->file, bytes, "file_bytes", File, "cgroup_file_bytes",                         \
	  "Page cache of the cgroup.")                                                             \
	X(FIGURE, s->kernel, bytes, "kernel_bytes", Kernel, "cgroup_kernel_bytes",                 \
	  "Kernel memory of the cgroup.")                                                          \
	X(FIGURE, s->swap, bytes, "swap_bytes", Swap, "cgroup_swap_bytes", "Swap of the cgroup.")

#endif

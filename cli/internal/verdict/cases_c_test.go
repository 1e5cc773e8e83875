package verdict

import (
	"time"

	"cgoheap.example/cli/internal/account"
)

var cCases = []verdictCase{
	{"c_live", "no earlier look", owning(account.CLive, 900*mib),
		"C code holds 900.0 MiB (50 % of RSS) in blocks that are in use: " +
			"`cgoheap top 4242` shows who. To see whether it grows, " +
			"run this again in a few minutes."},
	{"c_live", "steady", changed(func(s *Situation) {
		s.set(account.CLive, 900*mib).after(time.Hour, account.CLive, 0)
	}), "C code holds 900.0 MiB (50 % of RSS) in blocks that are in use: " +
		"`cgoheap top 4242` shows who. It has not grown in 1h; " +
		"without load a leak does not grow either."},
	{"c_live", "steady, for less than an hour", changed(func(s *Situation) {
		s.set(account.CLive, 900*mib).after(59*time.Minute, account.CLive, 0)
	}), "C code holds 900.0 MiB (50 % of RSS) in blocks that are in use: " +
		"`cgoheap top 4242` shows who. It has not grown in 59m, which is too short to tell."},
	{"c_live", "steady, by somebody who looks each minute", changed(func(s *Situation) {
		s.set(account.CLive, 900*mib).after(61*time.Minute, account.CLive, 0)
		s.andAfter(time.Minute, account.CLive, 0)
	}), "C code holds 900.0 MiB (50 % of RSS) in blocks that are in use: " +
		"`cgoheap top 4242` shows who. It has not grown in 1h01m; " +
		"without load a leak does not grow either."},
	{"c_live", "it shrank, which may hide a leak", changed(func(s *Situation) {
		s.set(account.CLive, 900*mib).after(2*time.Hour, account.CLive, -300*mib)
	}), "C code holds 900.0 MiB (50 % of RSS) in blocks that are in use: " +
		"`cgoheap top 4242` shows who. It shrank by 300.0 MiB in 2h; " +
		"that may hide something else that grew."},
	{"c_live", "it shrank by what is noise", changed(func(s *Situation) {
		s.set(account.CLive, 900*mib).after(2*time.Hour, account.CLive, -mib)
	}), "C code holds 900.0 MiB (50 % of RSS) in blocks that are in use: " +
		"`cgoheap top 4242` shows who. It has not grown in 2h; " +
		"without load a leak does not grow either."},
	{"c_live", "it grew, but not since the last look", changed(func(s *Situation) {
		s.set(account.CLive, 900*mib).after(time.Hour, account.CLive, 10*mib)
		s.andAfter(time.Minute, account.CLive, 0)
	}), "C code holds 900.0 MiB (50 % of RSS) in blocks that are in use: " +
		"`cgoheap top 4242` shows who. It grew by 10.0 MiB in 1h (10.0 MiB an hour since " +
		"02:00), but not in the last 1m."},
	{"c_live", "less growth than a leak's", changed(func(s *Situation) {
		s.set(account.CLive, 900*mib).after(time.Hour, account.CLive, 10*mib)
	}), "C code holds 900.0 MiB (50 % of RSS) in blocks that are in use: " +
		"`cgoheap top 4242` shows who. It grew by 10.0 MiB in 1h (10.0 MiB an hour since 02:00)."},
	{"c_live", "retained is not known", changed(func(s *Situation) {
		s.set(account.CLive, 900*mib)
		s.part(account.CRetained).Bytes = nil
	}), "The C allocator has 900.0 MiB (50 % of RSS); how much of that is in use is unknown. " +
		"`cgoheap top 4242` shows who allocated the blocks in use, " +
		"and `cgoheap trim 4242` whether the rest can be returned. " +
		"To see whether it grows, run this again in a few minutes."},
	{"c_live", "a fifth, beside a larger one", changed(func(s *Situation) {
		s.set(account.CLive, 300*mib).set(account.GoHeap, 320*mib)
	}), "C code holds 300.0 MiB (21 % of RSS) in blocks that are in use: " +
		"`cgoheap top 4242` shows who. To see whether it grows, run this again in a few minutes."},
	{"c_live", "growing", changed(func(s *Situation) {
		s.set(account.CLive, 900*mib).after(time.Hour, account.CLive, 40*mib)
	}), ""},
	{"c_live", "less than a fifth", owning(account.CLive, 224*mib), ""},

	{"c_mmap", "a private allocator", owning(account.CMmap, 900*mib),
		"C code mapped 900.0 MiB (50 % of RSS) past malloc: " +
			"a private allocator, a cache or a buffer pool. " +
			"The largest part, 90.0 MiB, was mapped by os_pages_map for main.query. " +
			"A pool's stack shows who made it grow, not who holds its memory. " +
			"`cgoheap profile 4242` has the stacks (`-tagfocus=origin=mmap` to pprof); " +
			"the library's own statistics say how much of it is in use."},
	{"c_mmap", "the stack is not known", changed(func(s *Situation) {
		s.set(account.CMmap, 225*mib)
		s.Account.MmapTop = []account.MmapStack{{Bytes: 1}}
	}), "C code mapped 225.0 MiB (20 % of RSS) past malloc: " +
		"a private allocator, a cache or a buffer pool. " +
		"`cgoheap profile 4242` has the stacks (`-tagfocus=origin=mmap` to pprof); " +
		"the library's own statistics say how much of it is in use."},
	{"c_mmap", "Python's", changed(func(s *Situation) {
		s.set(account.CMmap, 900*mib)
		s.Account.MmapTop = mappedBy("mmap", "_PyObject_Malloc", "PyDict_New", "main.handle")
	}), "C code mapped 900.0 MiB (50 % of RSS) past malloc: " +
		"a private allocator, a cache or a buffer pool. " +
		"The largest part, 90.0 MiB, was mapped by _PyObject_Malloc for main.handle. " +
		"A pool's stack shows who made it grow, not who holds its memory. " +
		"`cgoheap profile 4242` has the stacks (`-tagfocus=origin=mmap` to pprof); " +
		"with PYTHONMALLOC=malloc each of Python's blocks has its own stack."},
	{"c_mmap", "by mmap itself", changed(func(s *Situation) {
		s.set(account.CMmap, 900*mib)
		s.Account.MmapTop = mappedBy("mmap", "main._Cfunc_map", "main.query")
	}), "C code mapped 900.0 MiB (50 % of RSS) past malloc: " +
		"a private allocator, a cache or a buffer pool. " +
		"The largest part, 90.0 MiB, was mapped by main.query. " +
		"A pool's stack shows who made it grow, not who holds its memory. " +
		"`cgoheap profile 4242` has the stacks (`-tagfocus=origin=mmap` to pprof); " +
		"the library's own statistics say how much of it is in use."},
	{"c_mmap", "an allocator that says what is in use", changed(func(s *Situation) {
		s.set(account.CMmap, 225*mib)
		s.Account.MmapTop = nil
		s.Account.Private = []account.PrivateAllocator{{Name: "jemalloc", Prefix: "duckdb_je_",
			InUse: num(150 * mib), Metadata: num(5 * mib), Resident: num(220 * mib)}}
	}), "C code mapped 225.0 MiB (20 % of RSS) past malloc: " +
		"a private allocator, a cache or a buffer pool. " +
		"`cgoheap profile 4242` has the stacks (`-tagfocus=origin=mmap` to pprof). " +
		"By their own statistics, jemalloc as duckdb_je_malloc: " +
		"in use 150.0 MiB, kept free 65.0 MiB, its own tables 5.0 MiB."},
	{"c_mmap", "less than a fifth", owning(account.CMmap, 224*mib), ""},

	{"c_brk", "a library's", changed(func(s *Situation) {
		s.set(account.CBrk, 900*mib).mapped(account.CBrk, "", "sbrk", "pool_grow", "main.loadIndex")
	}), "C code took 900.0 MiB (47 % of RSS) by sbrk, past malloc: " +
		"an allocator inside a library (dlmalloc or a relative) or a pool. " +
		"The largest part, 900.0 MiB, was taken by pool_grow for main.loadIndex. " +
		"The library's own statistics say how much of it is in use."},
	{"c_brk", "less than a fifth", owning(account.CBrk, 249*mib), ""},

	{"file_copies", "a model", changed(func(s *Situation) {
		s.set(account.FileCopies, 900*mib)
		s.mapped(account.FileCopies, "/tmp/model.bin", "mmap", "patch", "main.loadModel")
	}), "900.0 MiB (47 % of RSS) is copies of file pages that were mapped MAP_PRIVATE and " +
		"written to. The largest part, 900.0 MiB of \"/tmp/model.bin\", " +
		"was mapped by patch for main.loadModel. " +
		"That is anonymous memory, not page cache: the kernel cannot reclaim it."},
	{"file_copies", "less than a fifth", owning(account.FileCopies, 249*mib), ""},

	{"device_maps", "rings", changed(func(s *Situation) {
		s.set(account.DeviceMaps, 900*mib).mapped(account.DeviceMaps, "socket", "mmap")
	}), "900.0 MiB (47 % of RSS) is memory of drivers and sockets that the program mapped: " +
		"packet rings, io_uring, perf, GPU buffers. " +
		"The largest part, 900.0 MiB of \"socket\", was mapped by mmap. " +
		"It is freed when it is unmapped and the descriptor is closed."},
	{"device_maps", "less than a fifth", owning(account.DeviceMaps, 249*mib), ""},

	{"thread_stacks", "a tenth", owning(account.ThreadStacks, 106*mib),
		"Thread stacks hold 106.0 MiB (10 % of RSS): 14 stacks. " +
			"`cgoheap profile 4242 --memory` has the stacks that made them."},
	{"thread_stacks", "Go's", changed(func(s *Situation) {
		s.set(account.ThreadStacks, 106*mib)
		s.mapped(account.ThreadStacks, "", "pthread_create", "_cgo_try_pthread_create",
			"runtime.asmcgocall", "runtime.newm1")
		s.Account.EndedStacks, s.Account.EndedBytes = 1, 8*mib
	}), "Thread stacks hold 106.0 MiB (10 % of RSS): " +
		"15 stacks, of which 1 belongs to a thread that has ended (libc keeps them for new " +
		"threads). Most, 106.0 MiB, are of threads that Go made, " +
		"one for each concurrent cgo call: limit how many run at once. " +
		"`cgoheap profile 4242 --memory` has the stacks that made them."},
	{"thread_stacks", "never joined", changed(func(s *Situation) {
		s.set(account.ThreadStacks, 106*mib)
		s.mapped(account.ThreadStacks, "", "pthread_create", "main._Cfunc_notify_async",
			"main.handleEvent", "main.main")
		s.Account.EndedStacks, s.Account.EndedBytes = 6000, 48000*mib
	}), "Thread stacks hold 106.0 MiB (10 % of RSS): " +
		"6,014 stacks, of which 6,000 belong to threads that have ended (not joined). " +
		"A thread that is neither joined nor detached keeps its stack. " +
		"Most, 106.0 MiB, are of threads that main.handleEvent made. " +
		"`cgoheap profile 4242 --memory` has the stacks that made them."},
	{"thread_stacks", "less", owning(account.ThreadStacks, 105*mib), ""},
	{"thread_stacks", "few bytes of many that were never joined", changed(func(s *Situation) {
		s.set(account.ThreadStacks, 3*mib)
		s.Account.EndedStacks, s.Account.EndedBytes = 180, 180*8*mib
	}), "Thread stacks hold 3.0 MiB (0 % of RSS): " +
		"194 stacks, of which 180 belong to threads that have ended (not joined). " +
		"A thread that is neither joined nor detached keeps its stack. " +
		"`cgoheap profile 4242 --memory` has the stacks that made them."},
	{"thread_stacks", "few that were never joined", changed(func(s *Situation) {
		s.set(account.ThreadStacks, 3*mib)
		s.Account.EndedStacks, s.Account.EndedBytes = 63, 63*8*mib
	}), ""},

	{"untracked_mmap", "somebody was in a cgo call", changed(func(s *Situation) {
		s.set(account.UntrackedMmap, 900*mib)
		s.Account.Untracked = account.UntrackedSeen{Looks: 5, Calls: []account.SeenCalls{{
			Looks: 4, Faults: 900,
			Frames: []string{"main._Cfunc_instance", "main.resetInstance", "main.main"}}}}
		s.RawMappers = func() []string {
			return []string{"Go's syscall.Mmap (off-heap caches such as fastcache)",
				"Rust code (rustix, as in wasmtime)"}
		}
	}), "900.0 MiB (50 % of RSS) was mapped by system calls that bypass libc, " +
		"so its callers are unknown. While memory grew, " +
		"the thread of a cgo call by main.resetInstance touched new memory at 4 of 5 looks: " +
		"the likeliest. What the program contains that maps this way: " +
		"Go's syscall.Mmap (off-heap caches such as fastcache) and Rust code (rustix, " +
		"as in wasmtime). `strace -f -k -e trace=mmap` on a canary shows the C side of the " +
		"callers."},
	{"untracked_mmap", "none is found", changed(func(s *Situation) {
		s.set(account.UntrackedMmap, 226*mib)
		s.RawMappers = func() []string { return []string{} }
	}), "226.0 MiB (20 % of RSS) was mapped by system calls that bypass libc, " +
		"so its callers are unknown. Neither Go's syscall.Mmap nor Rust code is in the program: " +
		"it is C or assembly that makes system calls itself. " +
		"`strace -f -k -e trace=mmap` on a canary shows the C side of the callers."},
	{"untracked_mmap", "a fifth, in a process that may not be looked into",
		changed(func(s *Situation) {
			s.set(account.UntrackedMmap, 226*mib)
			s.RawMappers = func() []string { return nil }
		}), "226.0 MiB (20 % of RSS) was mapped by system calls that bypass libc, " +
			"so its callers are unknown. " +
			"`strace -f -k -e trace=mmap` on a canary shows the C side of the callers."},
	{"untracked_mmap", "less", owning(account.UntrackedMmap, 225*mib), ""},

	{"huge_pages", "retained", changed(func(s *Situation) {
		s.part(account.CRetained).Huge = num(50 * mib)
	}), "Transparent huge pages inflate C retained: 50.0 MiB of its 100.0 MiB is in huge pages, " +
		"each of which keeps 2 MiB resident for a single touched byte. " +
		"To compare, set /sys/kernel/mm/transparent_hugepage/enabled to madvise and restart the " +
		"program."},
	{"huge_pages", "less than half", changed(func(s *Situation) {
		s.part(account.CRetained).Huge = num(49 * mib)
	}), ""},
	{"huge_pages", "Go's, with free memory", changed(func(s *Situation) {
		s.part(account.GoHeap).Huge = num(98 * mib)
		s.Account.Go.HeapFree = num(20 * mib)
	}), "Transparent huge pages inflate Go heap: 98.0 MiB of its 100.0 MiB is in huge pages, " +
		"each of which keeps 2 MiB resident for a single touched byte. " +
		"To compare, set /sys/kernel/mm/transparent_hugepage/enabled to madvise, " +
		"or run with GODEBUG=disablethp=1 and restart the program."},
	{"huge_pages", "Go's, in use", changed(func(s *Situation) {
		s.part(account.GoHeap).Huge = num(98 * mib)
		s.Account.Go.HeapFree = num(19 * mib)
	}), ""},
	{"huge_pages", "C live's, in use", changed(func(s *Situation) {
		s.part(account.CLive).Huge = num(98 * mib)
	}), ""},

	{"lazy_free", "a tenth", changed(func(s *Situation) {
		s.part(account.GoHeap).Lazy = num(40 * mib)
		s.part(account.CMmap).Lazy = num(60 * mib)
	}), "100.0 MiB (10 % of RSS) only looks resident: " +
		"it is freed (MADV_FREE), and the kernel takes it back when it needs memory. " +
		"Most of it is in C mmap."},
	{"lazy_free", "less", changed(func(s *Situation) {
		s.part(account.GoHeap).Lazy = num(39 * mib)
		s.part(account.CMmap).Lazy = num(60 * mib)
	}), ""},

	// (100 + 4 * 5) * 4/3 + 1 + 14/4 = 164.5
	{estimateRule, "more than the samples", inUse(165 * mib),
		"The allocator says 165.0 MiB is in use, the samples stand for 100.0 MiB ± 20.0 MiB: " +
			"cgoheap does not know why. The profile shows that much less."},
	{estimateRule, "samples were dropped", changed(func(s *Situation) {
		s.Account.Allocator.InUse = num(165 * mib)
		s.Dropped = 1200
	}), "The allocator says 165.0 MiB is in use, the samples stand for 100.0 MiB ± 20.0 MiB: " +
		"1,200 samples were dropped. The profile shows that much less."},
	{estimateRule, "began later", changed(func(s *Situation) {
		s.Account.Allocator.InUse = num(165 * mib)
		s.Off = 20 * time.Minute
	}), "The allocator says 165.0 MiB is in use, the samples stand for 100.0 MiB ± 20.0 MiB: " +
		"sampling was off for 20m, and what was allocated then is not recorded. " +
		"The profile shows that much less."},
	{estimateRule, "within the error", inUse(164 * mib), ""},
	{estimateRule, "less than the samples", inUse(78 * mib),
		"The samples stand for 100.0 MiB ± 20.0 MiB, " +
			"the allocator says only 78.0 MiB is in use: cgoheap does not know why. " +
			"The profile may show blocks that are freed."},
	{estimateRule, "a malloc past every hook", changed(func(s *Situation) {
		s.Account.Allocator.InUse = num(165 * mib)
		s.Purego = "github.com/ebitengine/purego"
	}), "The allocator says 165.0 MiB is in use, the samples stand for 100.0 MiB ± 20.0 MiB: " +
		"the program calls C through github.com/ebitengine/purego, " +
		"and a malloc that it looks up in libc's own handle bypasses the hooks. " +
		"The profile shows that much less."},
	{estimateRule, "C++ past every hook", changed(func(s *Situation) {
		s.Account.Allocator.InUse = num(165 * mib)
		s.OwnNew = func() string { return "libtcmalloc.so.4" }
	}), "The allocator says 165.0 MiB is in use, the samples stand for 100.0 MiB ± 20.0 MiB: " +
		"C++'s operator new is libtcmalloc.so.4's own, and bypasses the hooks. " +
		"The profile shows that much less."},
	{estimateRule, "frees were missed", changed(func(s *Situation) {
		s.Account.Allocator.InUse = num(78 * mib)
		s.Missed = 2562
	}), "The samples stand for 100.0 MiB ± 20.0 MiB, " +
		"the allocator says only 78.0 MiB is in use: at least 2,562 frees were missed. " +
		"The profile may show blocks that are freed."},
	{estimateRule, "less, within the error", inUse(79 * mib), ""},
	{estimateRule, "the allocator does not say", changed(func(s *Situation) {
		s.Account.Allocator.InUse = nil
	}), ""},

	{"c_untouched", "never touched", inUse(1124 * mib),
		"1.1 GiB of C blocks are in use, 1.0 GiB of which is not resident: " +
			"it was allocated and never touched, and costs no RSS. " +
			"The cgoheap profile counts it anyway, the memory profile does not."},
	{"c_untouched", "little", inUse(163 * mib), ""},
	{"c_untouched", "swapped", changed(func(s *Situation) {
		s.Account.Allocator.InUse = num(1124 * mib)
		s.part(account.CLive).Swap = num(1000 * mib)
	}), ""},
}

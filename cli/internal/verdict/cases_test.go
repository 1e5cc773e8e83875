package verdict

import (
	"time"

	"cgoheap/cli/internal/account"
)

type verdictCase struct {
	rule  string
	why   string
	is    func() *Situation
	wants string // all of its text; "" the rule is silent
}

func changed(change func(s *Situation)) func() *Situation {
	return func() *Situation {
		s := quiet()
		change(s)
		return s
	}
}

func goLimited(limit string) func() *Situation {
	return changed(func(s *Situation) { s.Env["GOMEMLIMIT"] = limit })
}

// goLimitedNow is with the Go package, which knows the limit as it is; 0: none.
func goLimitedNow(started string, now int64) func() *Situation {
	return changed(func(s *Situation) {
		s.Env["GOMEMLIMIT"] = started
		source := account.GoOwnFigures
		s.Account.Go.Source = source
		if now != 0 {
			s.Account.Go.MemoryLimit = num(now)
		}
	})
}

// Each rule has an account that triggers it, and one that misses by little.
var verdictCases = []verdictCase{
	{"nothing_dominates", "all alike", quiet,
		"No single owner dominates: the largest are Go heap, 100.0 MiB (10 % of RSS), and goroutine stacks, 100.0 MiB (10 % of RSS)."},
	{"nothing_dominates", "one has a third", changed(func(s *Situation) { s.set(account.CLive, 450*mib) }), ""},
	{"nothing_dominates", "one has little less than a third", changed(func(s *Situation) { s.set(account.CLive, 449*mib) }),
		"No single owner dominates: the largest are C live, 449.0 MiB (33 % of RSS), and Go heap, 100.0 MiB (7 % of RSS)."},

	{"c_live_grows", "an hour", changed(func(s *Situation) { s.after(2*time.Hour, account.CLive, 40*mib) }),
		"C live grew by 40.0 MiB in 2h (20.0 MiB an hour since 01:00), to 100.0 MiB (10 % of RSS). If it keeps growing under a steady load, " +
			"it is a leak: `cgoheap top 4242` shows who holds it, and `cgoheap profile 4242 --older 10m` saves only the old blocks."},
	{"c_live_grows", "seconds, dormant", changed(func(s *Situation) { s.after(5*time.Second, account.CLive, 2*mib); s.Dormant = true }),
		"C live grew by 2.0 MiB in 5s, to 100.0 MiB (10 % of RSS). If it keeps growing under a steady load, it is a leak: " +
			"`cgoheap top 4242` shows who holds it, and `cgoheap profile 4242 --older 10m` saves only the old blocks. " +
			"But it is dormant, and only blocks allocated from now on can be shown: `cgoheap sampling 4242 on` first."},
	{"c_live_grows", "1.6 % in a minute is 90 % in an hour", changed(func(s *Situation) { s.set(account.CLive, 1500*mib).after(time.Minute, account.CLive, 24*mib) }),
		"C live grew by 24.0 MiB in 1m (1.4 GiB an hour since 02:59), to 1.5 GiB (62 % of RSS). If it keeps growing under a steady load, " +
			"it is a leak: `cgoheap top 4242` shows who holds it, and `cgoheap profile 4242 --older 10m` saves only the old blocks."},
	{"c_live_grows", "by less than 2 %", changed(func(s *Situation) { s.after(time.Hour, account.CLive, 15*mib/10) }), ""},
	{"c_live_grows", "it shrank", changed(func(s *Situation) { s.after(time.Hour, account.CLive, -40*mib) }), ""},
	{"c_live_grows", "resident, but not in use", changed(func(s *Situation) {
		s.after(time.Hour, account.CLive, 40*mib)
		s.Grown.Last.Allocator.InUse = s.Account.Allocator.InUse
	}), ""},
	{"c_live_grows", "no earlier look", quiet, ""},

	{"c_live", "no earlier look", changed(func(s *Situation) { s.set(account.CLive, 900*mib) }),
		"C code holds 900.0 MiB (50 % of RSS) in blocks that are in use: `cgoheap top 4242` shows who. " +
			"To see whether it grows, run this again in a few minutes."},
	{"c_live", "steady", changed(func(s *Situation) { s.set(account.CLive, 900*mib).after(time.Hour, account.CLive, 0) }),
		"C code holds 900.0 MiB (50 % of RSS) in blocks that are in use: `cgoheap top 4242` shows who. " +
			"It has not grown in 1h. Under load that suggests a cache or a working set; without load a leak does not grow either."},
	{"c_live", "steady, for less than an hour", changed(func(s *Situation) { s.set(account.CLive, 900*mib).after(59*time.Minute, account.CLive, 0) }),
		"C code holds 900.0 MiB (50 % of RSS) in blocks that are in use: `cgoheap top 4242` shows who. " +
			"It has not grown in 59m, which is too short to tell."},
	{"c_live", "steady, by somebody who looks each minute", changed(func(s *Situation) {
		s.set(account.CLive, 900*mib).after(61*time.Minute, account.CLive, 0).andAfter(time.Minute, account.CLive, 0)
	}), "C code holds 900.0 MiB (50 % of RSS) in blocks that are in use: `cgoheap top 4242` shows who. " +
		"It has not grown in 1h01m. Under load that suggests a cache or a working set; without load a leak does not grow either."},
	{"c_live", "it shrank, which may hide a leak", changed(func(s *Situation) { s.set(account.CLive, 900*mib).after(2*time.Hour, account.CLive, -300*mib) }),
		"C code holds 900.0 MiB (50 % of RSS) in blocks that are in use: `cgoheap top 4242` shows who. " +
			"It shrank by 300.0 MiB in 2h; that may hide something else that grew."},
	{"c_live", "it shrank by what is noise", changed(func(s *Situation) { s.set(account.CLive, 900*mib).after(2*time.Hour, account.CLive, -mib) }),
		"C code holds 900.0 MiB (50 % of RSS) in blocks that are in use: `cgoheap top 4242` shows who. " +
			"It has not grown in 2h. Under load that suggests a cache or a working set; without load a leak does not grow either."},
	{"c_live", "it grew, but not since the last look", changed(func(s *Situation) {
		s.set(account.CLive, 900*mib).after(time.Hour, account.CLive, 10*mib).andAfter(time.Minute, account.CLive, 0)
	}), "C code holds 900.0 MiB (50 % of RSS) in blocks that are in use: `cgoheap top 4242` shows who. " +
		"It grew by 10.0 MiB in 1h (10.0 MiB an hour since 02:00), but not in the last 1m."},
	{"c_live_grows", "a slow leak, by somebody who looks each minute", changed(func(s *Situation) {
		s.after(61*time.Minute, account.CLive, 12*mib).andAfter(time.Minute, account.CLive, mib/5)
	}), "C live grew by 204.8 KiB in 1m (12.0 MiB an hour since 02:59), by 12.0 MiB in 1h01m (11.8 MiB an hour since 01:59), to 100.0 MiB (10 % of RSS). " +
		"If it keeps growing under a steady load, it is a leak: `cgoheap top 4242` shows who holds it, and `cgoheap profile 4242 --older 10m` saves only the old blocks."},
	{"c_live_grows", "since a peak was freed", changed(func(s *Situation) {
		s.set(account.CLive, 900*mib).after(time.Hour, account.CLive, -300*mib).andAfter(time.Minute, account.CLive, 40*mib)
	}), "C live grew by 40.0 MiB in 1m (2.3 GiB an hour since 02:59), to 900.0 MiB (50 % of RSS). " +
		"If it keeps growing under a steady load, it is a leak: `cgoheap top 4242` shows who holds it, and `cgoheap profile 4242 --older 10m` saves only the old blocks."},
	{"owner_grows", "in an hour, but not since the last look", changed(func(s *Situation) {
		s.set(account.GoHeap, 300*mib).after(time.Hour, account.GoHeap, 200*mib).andAfter(time.Minute, account.GoHeap, 0)
	}), "Go heap grew by 200.0 MiB in 1h (200.0 MiB an hour since 02:00), but not in the last 1m: from 100.0 MiB to 300.0 MiB. " +
		"To see what is in use: `go tool pprof http://SERVICE/debug/pprof/heap`."},
	{"c_live", "less growth than a leak's", changed(func(s *Situation) { s.set(account.CLive, 900*mib).after(time.Hour, account.CLive, 10*mib) }),
		"C code holds 900.0 MiB (50 % of RSS) in blocks that are in use: `cgoheap top 4242` shows who. " +
			"It grew by 10.0 MiB in 1h (10.0 MiB an hour since 02:00)."},
	{"c_live", "retained is not known", changed(func(s *Situation) {
		s.set(account.CLive, 900*mib)
		s.part(account.CRetained).Bytes = nil
	}), "The C allocator has 900.0 MiB (50 % of RSS); how much of that is in use is unknown. `cgoheap top 4242` shows who allocated the blocks in use, " +
		"and `cgoheap trim 4242` whether the rest can be returned. To see whether it grows, run this again in a few minutes."},
	{"c_live", "a fifth, beside a larger one", changed(func(s *Situation) { s.set(account.CLive, 300*mib).set(account.GoHeap, 320*mib) }),
		"C code holds 300.0 MiB (21 % of RSS) in blocks that are in use: `cgoheap top 4242` shows who. " +
			"To see whether it grows, run this again in a few minutes."},
	{"c_live", "growing", changed(func(s *Situation) { s.set(account.CLive, 900*mib).after(time.Hour, account.CLive, 40*mib) }), ""},
	{"c_live", "less than a fifth", changed(func(s *Situation) { s.set(account.CLive, 224*mib) }), ""},

	{"c_retained", "37 arenas", changed(func(s *Situation) { s.set(account.CRetained, 1126*mib).set(account.CLive, 600<<10) }),
		"The C allocator keeps 1.1 GiB free in 37 arenas; live C memory is 600.0 KiB. Not a leak. " +
			"Try `cgoheap trim 4242`; if it returns, have the program call malloc_trim(0) after its peaks, or run it with jemalloc preloaded."},
	{"c_retained", "the ends of arenas", changed(func(s *Situation) { s.kept(100*mib, 790*mib, 11, 0, 10*mib) }),
		"The C allocator keeps 900.0 MiB free in 37 arenas; live C memory is 100.0 MiB. Not a leak. 790.0 MiB of it lies at the ends of 11 arenas, " +
			"which malloc_trim never returns: run with MALLOC_TRIM_THRESHOLD_=131072, and free does (cost: system calls and page faults)."},
	{"c_retained", "the ends of arenas, all the same", changed(func(s *Situation) {
		s.kept(100*mib, 790*mib, 11, 0, 10*mib)
		s.Env["MALLOC_TRIM_THRESHOLD_"] = "1000000"
	}), "The C allocator keeps 900.0 MiB free in 37 arenas; live C memory is 100.0 MiB. Not a leak. 790.0 MiB of it lies at the ends of 11 arenas, " +
		"which malloc_trim never returns: a smaller MALLOC_TRIM_THRESHOLD_ makes free return them, or run with jemalloc preloaded."},
	{"c_retained", "the small ends of many arenas", changed(func(s *Situation) { s.kept(0, 900*mib, 4000, 0, 0) }),
		"The C allocator keeps 900.0 MiB free in 37 arenas; live C memory is 100.0 MiB. Not a leak. 900.0 MiB of it lies at the ends of 4,000 arenas, " +
			"which malloc_trim never returns: each is small, so run with MALLOC_ARENA_MAX=2 (cost: threads wait for each other more)."},
	{"c_retained", "what trim returns, and what is pinned", changed(func(s *Situation) { s.kept(500*mib, 0, 11, 10*mib, 390*mib) }),
		"The C allocator keeps 900.0 MiB free in 37 arenas; live C memory is 100.0 MiB. Not a leak. `cgoheap trim 4242` returns 510.0 MiB of it; " +
			"to keep it small, have the program call malloc_trim(0) after its peaks (cost: arena locks during the call, page faults later), " +
			"or run it with jemalloc preloaded. 390.0 MiB of it shares its pages with blocks in use: no trim and no setting returns it; new blocks reuse it."},
	{"c_retained", "small blocks", changed(func(s *Situation) { s.kept(0, 0, 11, 900*mib, 0) }),
		"The C allocator keeps 900.0 MiB free in 37 arenas; live C memory is 100.0 MiB. Not a leak. `cgoheap trim 4242` returns up to 900.0 MiB of it; " +
			"to keep it small, have the program call malloc_trim(0) after its peaks (cost: arena locks during the call, page faults later), " +
			"or run it with jemalloc preloaded."},
	{"c_retained", "one arena", changed(func(s *Situation) {
		s.set(account.CRetained, 900*mib)
		s.Account.Allocator.Arenas = num(1)
	}), "The C allocator keeps 900.0 MiB free in 1 arena; live C memory is 100.0 MiB. Not a leak. Try `cgoheap trim 4242`; if it returns, " +
		"have the program call malloc_trim(0) after its peaks, or run it with jemalloc preloaded."},
	{"c_retained", "a fifth, of jemalloc", changed(func(s *Situation) {
		s.set(account.CRetained, 225*mib)
		s.Account.Allocator.Name, s.Account.Allocator.Arenas = "jemalloc", nil
	}), "The C allocator keeps 225.0 MiB free; live C memory is 100.0 MiB. Not a leak. Try `cgoheap trim 4242`; if it returns, " +
		"run with MALLOC_CONF=background_thread:true,dirty_decay_ms:1000."},
	{"c_retained", "the allocator does not say what is in use", changed(func(s *Situation) {
		s.set(account.CRetained, 900*mib)
		s.Account.Allocator.Name, s.Account.Allocator.InUse, s.Account.Allocator.Arenas = "mimalloc", nil, nil
	}), "The C allocator has 900.0 MiB (50 % of RSS) beyond what the samples stand for; how much of that is free is unknown. " +
		"`cgoheap trim 4242` shows how much of it returns."},
	{"c_retained", "less than a fifth", changed(func(s *Situation) { s.set(account.CRetained, 224*mib) }), ""},
	{"c_retained", "too little to matter", changed(func(s *Situation) {
		s.Account = &account.Account{RSS: 20 * mib, Owners: []account.Owner{part(account.CRetained, 6*mib), part(account.Program, 14*mib)}}
	}), ""},

	{"c_mmap", "a private allocator", changed(func(s *Situation) { s.set(account.CMmap, 900*mib) }),
		"C code mapped 900.0 MiB (50 % of RSS) past malloc: a private allocator, a cache or a buffer pool. " +
			"The largest part, 90.0 MiB, was mapped by os_pages_map for main.query. A pool's stack shows who made it grow, not who holds its memory. " +
			"`cgoheap profile 4242` has the stacks (`-tagfocus=origin=mmap` to pprof); the library's own statistics say how much of it is in use."},
	{"c_mmap", "the stack is not known", changed(func(s *Situation) { s.set(account.CMmap, 225*mib); s.Account.MmapTop = []account.MmapStack{{Bytes: 1}} }),
		"C code mapped 225.0 MiB (20 % of RSS) past malloc: a private allocator, a cache or a buffer pool. " +
			"`cgoheap profile 4242` has the stacks (`-tagfocus=origin=mmap` to pprof); the library's own statistics say how much of it is in use."},
	{"c_mmap", "Python's", changed(func(s *Situation) {
		s.set(account.CMmap, 900*mib)
		s.Account.MmapTop = []account.MmapStack{{Bytes: 90 * mib, Frames: []string{"mmap", "_PyObject_Malloc", "PyDict_New", "main.handle"}}}
	}), "C code mapped 900.0 MiB (50 % of RSS) past malloc: a private allocator, a cache or a buffer pool. " +
		"The largest part, 90.0 MiB, was mapped by _PyObject_Malloc for main.handle. A pool's stack shows who made it grow, not who holds its memory. " +
		"`cgoheap profile 4242` has the stacks (`-tagfocus=origin=mmap` to pprof); with PYTHONMALLOC=malloc each of Python's blocks has its own stack."},
	{"c_mmap", "by mmap itself", changed(func(s *Situation) {
		s.set(account.CMmap, 900*mib)
		s.Account.MmapTop = []account.MmapStack{{Bytes: 90 * mib, Frames: []string{"mmap", "main._Cfunc_map", "main.query"}}}
	}), "C code mapped 900.0 MiB (50 % of RSS) past malloc: a private allocator, a cache or a buffer pool. " +
		"The largest part, 90.0 MiB, was mapped by main.query. A pool's stack shows who made it grow, not who holds its memory. " +
		"`cgoheap profile 4242` has the stacks (`-tagfocus=origin=mmap` to pprof); the library's own statistics say how much of it is in use."},
	{"c_mmap", "an allocator that says what is in use", changed(func(s *Situation) {
		s.set(account.CMmap, 225*mib)
		s.Account.MmapTop = nil
		s.Account.Private = []account.PrivateAllocator{{Name: "jemalloc", Prefix: "duckdb_je_", InUse: num(150 * mib), Metadata: num(5 * mib), Resident: num(220 * mib)}}
	}), "C code mapped 225.0 MiB (20 % of RSS) past malloc: a private allocator, a cache or a buffer pool. " +
		"`cgoheap profile 4242` has the stacks (`-tagfocus=origin=mmap` to pprof). By their own statistics, " +
		"jemalloc as duckdb_je_malloc: in use 150.0 MiB, kept free 65.0 MiB, its own tables 5.0 MiB."},
	{"c_mmap", "less than a fifth", changed(func(s *Situation) { s.set(account.CMmap, 224*mib) }), ""},

	{"c_brk", "a library's", changed(func(s *Situation) {
		s.set(account.CBrk, 900*mib).mapped(account.CBrk, "", "sbrk", "pool_grow", "main.loadIndex")
	}),
		"C code took 900.0 MiB (47 % of RSS) by sbrk, past malloc: an allocator inside a library (dlmalloc or a relative) or a pool. " +
			"The largest part, 900.0 MiB, was taken by pool_grow for main.loadIndex. The library's own statistics say how much of it is in use."},
	{"c_brk", "less than a fifth", changed(func(s *Situation) { s.set(account.CBrk, 249*mib) }), ""},
	{"file_copies", "a model", changed(func(s *Situation) {
		s.set(account.FileCopies, 900*mib).mapped(account.FileCopies, "/tmp/model.bin", "mmap", "patch", "main.loadModel")
	}),
		"900.0 MiB (47 % of RSS) is copies of file pages that were mapped MAP_PRIVATE and written to. " +
			"The largest part, 900.0 MiB of \"/tmp/model.bin\", was mapped by patch for main.loadModel. That is anonymous memory, not page cache: " +
			"the kernel cannot reclaim it."},
	{"file_copies", "less than a fifth", changed(func(s *Situation) { s.set(account.FileCopies, 249*mib) }), ""},
	{"device_maps", "rings", changed(func(s *Situation) { s.set(account.DeviceMaps, 900*mib).mapped(account.DeviceMaps, "socket", "mmap") }),
		"900.0 MiB (47 % of RSS) is memory of drivers and sockets that the program mapped: packet rings, io_uring, perf, GPU buffers. " +
			"The largest part, 900.0 MiB of \"socket\", was mapped by mmap. It is freed when it is unmapped and the descriptor is closed."},
	{"device_maps", "less than a fifth", changed(func(s *Situation) { s.set(account.DeviceMaps, 249*mib) }), ""},

	{"go_heap_dominates", "in use", changed(func(s *Situation) { s.set(account.GoHeap, 900*mib) }),
		"Go's own heap is 900.0 MiB (50 % of RSS). That is not C memory, and Go's profiler is the tool: `go tool pprof http://SERVICE/debug/pprof/heap`."},
	{"go_heap_dominates", "with stacks in it, at a URL", changed(func(s *Situation) {
		s.set(account.GoHeap, 900*mib)
		s.part(account.GoStacks).Bytes = nil
		s.GoPprof = "http://127.0.0.1:6060/debug/pprof/heap?debug=1"
	}), "Go's own heap (with goroutine stacks in it) is 900.0 MiB (50 % of RSS). That is not C memory, and Go's profiler is the tool: " +
		"`go tool pprof http://127.0.0.1:6060/debug/pprof/heap`."},
	{"go_heap_dominates", "mostly free", changed(func(s *Situation) { s.set(account.GoHeap, 900*mib); s.Account.Go.HeapFree = num(451 * mib) }), ""},
	{"go_heap_dominates", "less than a third", changed(func(s *Situation) { s.set(account.GoHeap, 449*mib) }), ""},

	{"go_heap_free", "a fifth", changed(func(s *Situation) { s.set(account.GoHeap, 300*mib); s.Account.Go.HeapFree = num(240 * mib) }),
		"Go keeps 240.0 MiB (20 % of RSS) free for the next cycle, and over minutes returns what it does not use. " +
			"A lower GOGC or a GOMEMLIMIT makes it keep less; debug.FreeOSMemory() returns it once."},
	{"go_heap_free", "less", changed(func(s *Situation) { s.set(account.GoHeap, 300*mib); s.Account.Go.HeapFree = num(239 * mib) }), ""},
	{"go_heap_free", "not resident", changed(func(s *Situation) { s.Account.Go.HeapFree = num(900 * mib) }), ""},

	{"go_stacks", "many", changed(func(s *Situation) { s.set(account.GoStacks, 225*mib) }),
		"Goroutine stacks are 225.0 MiB (20 % of RSS): many goroutines, or deep ones. See which with `go tool pprof http://SERVICE/debug/pprof/goroutine`."},
	{"go_stacks", "by the runtime's count", changed(func(s *Situation) {
		s.set(account.GoHeap, 1000*mib)
		s.part(account.GoStacks).Bytes = nil
		s.Account.Go.Stacks = num(900 * mib)
	}), "Goroutine stacks are 900.0 MiB (47 % of RSS): many goroutines, or deep ones. See which with `go tool pprof http://SERVICE/debug/pprof/goroutine`."},
	{"go_stacks", "less than a fifth", changed(func(s *Situation) { s.set(account.GoStacks, 224*mib) }), ""},

	{"go_metadata", "a fifth", changed(func(s *Situation) { s.set(account.GoMetadata, 225*mib) }),
		"The Go runtime's own data is 225.0 MiB (20 % of RSS): span and heap tables, sized by the largest heap there has been, and profiling records. " +
			"runtime/metrics reports it under /memory/classes/metadata and /memory/classes/profiling."},
	{"go_metadata", "less", changed(func(s *Situation) { s.set(account.GoMetadata, 224*mib) }), ""},

	{"thread_stacks", "a tenth", changed(func(s *Situation) { s.set(account.ThreadStacks, 106*mib) }),
		"Thread stacks hold 106.0 MiB (10 % of RSS): 14 stacks. `cgoheap profile 4242 --memory` has the stacks that made them."},
	{"thread_stacks", "Go's", changed(func(s *Situation) {
		s.set(account.ThreadStacks, 106*mib).mapped(account.ThreadStacks, "", "pthread_create", "_cgo_try_pthread_create", "runtime.asmcgocall", "runtime.newm1")
		s.Account.EndedStacks, s.Account.EndedBytes = 1, 8*mib
	}), "Thread stacks hold 106.0 MiB (10 % of RSS): 15 stacks, of which 1 belongs to a thread that has ended (libc keeps them for new threads). " +
		"Most, 106.0 MiB, are of threads that Go made, one for each concurrent cgo call: limit how many run at once. " +
		"`cgoheap profile 4242 --memory` has the stacks that made them."},
	{"thread_stacks", "never joined", changed(func(s *Situation) {
		s.set(account.ThreadStacks, 106*mib).mapped(account.ThreadStacks, "", "pthread_create", "main._Cfunc_notify_async", "main.handleEvent", "main.main")
		s.Account.EndedStacks, s.Account.EndedBytes = 6000, 48000*mib
	}), "Thread stacks hold 106.0 MiB (10 % of RSS): 6,014 stacks, of which 6,000 belong to threads that have ended (not joined). " +
		"A thread that is neither joined nor detached keeps its stack. Most, 106.0 MiB, are of threads that main.handleEvent made. " +
		"`cgoheap profile 4242 --memory` has the stacks that made them."},
	{"thread_stacks", "less", changed(func(s *Situation) { s.set(account.ThreadStacks, 105*mib) }), ""},

	{"mapped_files", "a fifth", changed(func(s *Situation) { s.set(account.MappedFiles, 225*mib) }),
		"Mapped files are 225.0 MiB (20 % of RSS). They count as RSS, but are page cache, which the kernel reclaims when it needs memory."},
	{"mapped_files", "by name", changed(func(s *Situation) {
		s.set(account.MappedFiles, 225*mib).mapped(account.MappedFiles, "/t.db", "mmap", "main._Cfunc_scan", "main.open")
	}),
		"Mapped files are 225.0 MiB (20 % of RSS). The largest part, 225.0 MiB of \"/t.db\", was mapped by main.open. " +
			"They count as RSS, but are page cache, which the kernel reclaims when it needs memory."},
	{"mapped_files", "written to", changed(func(s *Situation) { s.set(account.MappedFiles, 225*mib); s.Account.Process.RSSFile = num(200 * mib) }),
		"Mapped files are 225.0 MiB (20 % of RSS). At most 200.0 MiB of that is page cache (RssFile); the rest was written to, and the kernel cannot reclaim it."},
	{"mapped_files", "the kernel does not say", changed(func(s *Situation) { s.set(account.MappedFiles, 225*mib); s.Account.Process.RSSFile = nil }),
		"Mapped files are 225.0 MiB (20 % of RSS). How much of that is page cache is unknown."},
	{"mapped_files", "less", changed(func(s *Situation) { s.set(account.MappedFiles, 224*mib) }), ""},

	{"shared_memory", "a fifth", changed(func(s *Situation) { s.set(account.SharedMemory, 225*mib) }),
		"Shared memory is 225.0 MiB (20 % of RSS). It counts in the RSS of every process that maps it: do not add up their RSS. " +
			"This process's fair share is in `grep Pss: /proc/4242/smaps_rollup`."},
	{"shared_memory", "less", changed(func(s *Situation) { s.set(account.SharedMemory, 224*mib) }), ""},

	{"program_dominates", "with its libraries", changed(func(s *Situation) { s.set(account.Program, 300*mib).set(account.Libraries, 320*mib) }),
		"620.0 MiB (41 % of RSS) is the program itself and its libraries: code, data and .bss."},
	{"program_dominates", "less than a third", changed(func(s *Situation) { s.set(account.Program, 220*mib).set(account.Libraries, 220*mib) }), ""},

	{"shim_dominates", "a third", changed(func(s *Situation) { s.set(account.Shim, 500*mib) }),
		"500.0 MiB (34 % of RSS) is cgoheap's own bookkeeping. It is limited: a smaller CGOHEAP_MAX_MEMORY or a larger " +
			"CGOHEAP_SAMPLE_BYTES reduces it."},
	{"shim_dominates", "less", changed(func(s *Situation) { s.set(account.Shim, 450*mib) }), ""},

	{"untracked_mmap", "somebody was in a cgo call", changed(func(s *Situation) {
		s.set(account.UntrackedMmap, 900*mib)
		s.Account.Untracked = account.UntrackedSeen{Looks: 5, Calls: []account.SeenCalls{{Looks: 4, Faults: 900, Frames: []string{"main._Cfunc_instance", "main.resetInstance", "main.main"}}}}
		s.RawMappers = func() []string {
			return []string{"Go's syscall.Mmap (off-heap caches such as fastcache)", "Rust code (rustix, as in wasmtime)"}
		}
	}), "900.0 MiB (50 % of RSS) was mapped by system calls that bypass libc, so its callers are unknown. While memory grew, " +
		"the thread of a cgo call by main.resetInstance touched new memory at 4 of 5 looks: the likeliest. What the program contains that maps this way: Go's syscall.Mmap (off-heap caches " +
		"such as fastcache) and Rust code (rustix, as in wasmtime). " +
		"`strace -f -k -e trace=mmap` on a canary shows the C side of the callers."},
	{"untracked_mmap", "none is found", changed(func(s *Situation) {
		s.set(account.UntrackedMmap, 226*mib)
		s.RawMappers = func() []string { return []string{} }
	}), "226.0 MiB (20 % of RSS) was mapped by system calls that bypass libc, so its callers are unknown. " +
		"Neither Go's syscall.Mmap nor Rust code is in the program: it is C or assembly that makes system calls itself. " +
		"`strace -f -k -e trace=mmap` on a canary shows the C side of the callers."},
	{"untracked_mmap", "a fifth, in a process that may not be looked into", changed(func(s *Situation) {
		s.set(account.UntrackedMmap, 226*mib)
		s.RawMappers = func() []string { return nil }
	}),
		"226.0 MiB (20 % of RSS) was mapped by system calls that bypass libc, so its callers are unknown. " +
			"`strace -f -k -e trace=mmap` on a canary shows the C side of the callers."},
	{"untracked_mmap", "less", changed(func(s *Situation) { s.set(account.UntrackedMmap, 225*mib) }), ""},

	{"near_limit", "nine tenths", changed(func(s *Situation) { s.Account.Cgroup.Current = num(2000 * mib) }),
		"The cgroup is near its limit: 1.8 GiB of 2.0 GiB cannot be reclaimed; 200.0 MiB more and the OOM killer acts."},
	{"near_limit", "full of page cache", changed(func(s *Situation) {
		s.Account.Cgroup.Current, s.Account.Cgroup.File = num(2000*mib), num(301*mib)
	}), ""},
	{"near_limit", "no limit", changed(func(s *Situation) { s.Account.Cgroup.Limit = nil }), ""},

	// 500 MiB are neither Go's nor a file's.
	{"go_memory_limit", "does not fit", goLimited("1501MiB"),
		"GOMEMLIMIT=1501MiB and 500.0 MiB of memory outside Go do not fit into the cgroup's limit of 2.0 GiB: Go collects too late. " +
			"GOMEMLIMIT=1400MiB would fit; the Go package cgo_bridge/memlimit adjusts it as C memory changes."},
	{"go_memory_limit", "fits", goLimited("1500MiB"), ""},
	{"go_memory_limit", "off", goLimited("off"), ""},
	{"go_memory_limit", "set by the program", goLimitedNow("", 1843*mib),
		"GOMEMLIMIT, which the program set to 1.8 GiB, and 500.0 MiB of memory outside Go do not fit into the cgroup's limit of 2.0 GiB: " +
			"Go collects too late. GOMEMLIMIT=1400MiB would fit; the Go package cgo_bridge/memlimit adjusts it as C memory changes."},
	{"go_memory_limit", "as the program was started", goLimitedNow("1501MiB", 1501*mib),
		"GOMEMLIMIT=1501MiB and 500.0 MiB of memory outside Go do not fit into the cgroup's limit of 2.0 GiB: Go collects too late. " +
			"GOMEMLIMIT=1400MiB would fit; the Go package cgo_bridge/memlimit adjusts it as C memory changes."},
	{"go_memory_limit", "lowered by the program", goLimitedNow("1501MiB", 1500*mib), ""},
	{"go_memory_limit", "taken away by the program", goLimitedNow("1501MiB", 0), ""},
	{"go_memory_limit", "what is in use does not", changed(func(s *Situation) {
		s.Env["GOMEMLIMIT"] = "2GiB"
		s.Account.Go.HeapInUse = num(1301 * mib)
	}), "GOMEMLIMIT=2GiB and 500.0 MiB of memory outside Go do not fit into the cgroup's limit of 2.0 GiB: Go collects too late. " +
		"No GOMEMLIMIT helps: what Go has in use does not fit. Reduce the rest, or raise the limit."},

	{"owner_grows", "mappings", changed(func(s *Situation) { s.after(10*time.Minute, account.CMmap, 50*mib) }),
		"C mmap grew by 50.0 MiB in 10m (300.0 MiB an hour since 02:50): from 50.0 MiB to 100.0 MiB. " +
			"Who mapped it: `cgoheap profile 4242 --seconds 60`, and `-tagfocus=origin=mmap` to pprof."},
	{"owner_grows", "what dominates has said its command", changed(func(s *Situation) { s.set(account.GoHeap, 900*mib).after(time.Minute, account.GoHeap, 500*mib) }),
		"Go heap grew by 500.0 MiB in 1m (29.3 GiB an hour since 02:59): from 400.0 MiB to 900.0 MiB."},
	{"owner_grows", "less than a twentieth, but fast", changed(func(s *Situation) { s.after(10*time.Minute, account.CMmap, 17*mib) }),
		"C mmap grew by 17.0 MiB in 10m (102.0 MiB an hour since 02:50): from 83.0 MiB to 100.0 MiB. " +
			"Who mapped it: `cgoheap profile 4242 --seconds 60`, and `-tagfocus=origin=mmap` to pprof."},
	{"owner_grows", "less than a twentieth, and slow", changed(func(s *Situation) { s.after(time.Hour, account.CMmap, 49*mib) }), ""},
	{"owner_grows", "C live, which has its own rule", changed(func(s *Situation) { s.after(10*time.Minute, account.CLive, 50*mib) }), ""},

	{"huge_pages", "retained", changed(func(s *Situation) { s.part(account.CRetained).Huge = num(50 * mib) }),
		"Transparent huge pages inflate C retained: 50.0 MiB of its 100.0 MiB is in huge pages, each of which keeps 2 MiB resident for a single touched byte. " +
			"To compare, set /sys/kernel/mm/transparent_hugepage/enabled to madvise and restart the program."},
	{"huge_pages", "less than half", changed(func(s *Situation) { s.part(account.CRetained).Huge = num(49 * mib) }), ""},
	{"huge_pages", "Go's, with free memory", changed(func(s *Situation) { s.part(account.GoHeap).Huge = num(98 * mib); s.Account.Go.HeapFree = num(20 * mib) }),
		"Transparent huge pages inflate Go heap: 98.0 MiB of its 100.0 MiB is in huge pages, each of which keeps 2 MiB resident for a single touched byte. " +
			"To compare, set /sys/kernel/mm/transparent_hugepage/enabled to madvise, or run with GODEBUG=disablethp=1 and restart the program."},
	{"huge_pages", "Go's, in use", changed(func(s *Situation) { s.part(account.GoHeap).Huge = num(98 * mib); s.Account.Go.HeapFree = num(19 * mib) }), ""},
	{"huge_pages", "C live's, in use", changed(func(s *Situation) { s.part(account.CLive).Huge = num(98 * mib) }), ""},

	{"lazy_free", "a tenth", changed(func(s *Situation) {
		s.part(account.GoHeap).Lazy = num(40 * mib)
		s.part(account.CMmap).Lazy = num(60 * mib)
	}),
		"100.0 MiB (10 % of RSS) only looks resident: it is freed (MADV_FREE), and the kernel takes it back when it needs memory. Most of it is in C mmap."},
	{"lazy_free", "less", changed(func(s *Situation) {
		s.part(account.GoHeap).Lazy = num(39 * mib)
		s.part(account.CMmap).Lazy = num(60 * mib)
	}), ""},

	{"swap", "a twentieth", changed(func(s *Situation) { s.Account.Process.VMSwap = num(50 * mib) }),
		"50.0 MiB more is swapped out: RSS does not count it, and growth may not show in RSS."},
	{"swap", "less", changed(func(s *Situation) { s.Account.Process.VMSwap = num(49 * mib) }), ""},

	// (100 + 4 * 5) * 4/3 + 1 + 14/4 = 164.5
	{estimateRule, "more than the samples", changed(func(s *Situation) { s.Account.Allocator.InUse = num(165 * mib) }),
		"The allocator says 165.0 MiB is in use, the samples stand for 100.0 MiB ± 20.0 MiB: cgoheap does not know why. " +
			"The profile shows that much less."},
	{estimateRule, "samples were dropped", changed(func(s *Situation) { s.Account.Allocator.InUse = num(165 * mib); s.Dropped = 1200 }),
		"The allocator says 165.0 MiB is in use, the samples stand for 100.0 MiB ± 20.0 MiB: 1,200 samples were dropped. " +
			"The profile shows that much less."},
	{estimateRule, "began later", changed(func(s *Situation) {
		s.Account.Allocator.InUse = num(165 * mib)
		s.Off = 20 * time.Minute
	}), "The allocator says 165.0 MiB is in use, the samples stand for 100.0 MiB ± 20.0 MiB: sampling was off for 20m, " +
		"and what was allocated then is not recorded. The profile shows that much less."},
	{estimateRule, "within the error", changed(func(s *Situation) { s.Account.Allocator.InUse = num(164 * mib) }), ""},
	{estimateRule, "less than the samples", changed(func(s *Situation) { s.Account.Allocator.InUse = num(78 * mib) }),
		"The samples stand for 100.0 MiB ± 20.0 MiB, the allocator says only 78.0 MiB is in use: cgoheap does not know why. " +
			"The profile may show blocks that are freed."},
	{estimateRule, "a malloc past every hook", changed(func(s *Situation) {
		s.Account.Allocator.InUse = num(165 * mib)
		s.Purego = "github.com/ebitengine/purego"
	}),
		"The allocator says 165.0 MiB is in use, the samples stand for 100.0 MiB ± 20.0 MiB: the program calls C through github.com/ebitengine/purego, " +
			"and a malloc that it looks up in libc's own handle bypasses the hooks. The profile shows that much less."},
	{estimateRule, "C++ past every hook", changed(func(s *Situation) {
		s.Account.Allocator.InUse = num(165 * mib)
		s.OwnNew = func() string { return "libtcmalloc.so.4" }
	}), "The allocator says 165.0 MiB is in use, the samples stand for 100.0 MiB ± 20.0 MiB: C++'s operator new is libtcmalloc.so.4's own, " +
		"and bypasses the hooks. The profile shows that much less."},
	{estimateRule, "frees were missed", changed(func(s *Situation) { s.Account.Allocator.InUse = num(78 * mib); s.Missed = 2562 }),
		"The samples stand for 100.0 MiB ± 20.0 MiB, the allocator says only 78.0 MiB is in use: at least 2,562 frees were missed. " +
			"The profile may show blocks that are freed."},
	{estimateRule, "less, within the error", changed(func(s *Situation) { s.Account.Allocator.InUse = num(79 * mib) }), ""},
	{estimateRule, "the allocator does not say", changed(func(s *Situation) { s.Account.Allocator.InUse = nil }), ""},

	{"c_untouched", "never touched", changed(func(s *Situation) { s.Account.Allocator.InUse = num(1124 * mib) }),
		"1.1 GiB of C blocks are in use, 1.0 GiB of which is not resident: it was allocated and never touched, and costs no RSS. " +
			"The cgoheap profile counts it anyway, the memory profile does not."},
	{"c_untouched", "little", changed(func(s *Situation) { s.Account.Allocator.InUse = num(163 * mib) }), ""},
	{"c_untouched", "swapped", changed(func(s *Situation) {
		s.Account.Allocator.InUse = num(1124 * mib)
		s.part(account.CLive).Swap = num(1000 * mib)
	}), ""},

	{"unexplained", "more than 1 %", changed(func(s *Situation) { s.Account.Unexplained = 11 * mib }),
		"11.0 MiB (1 % of RSS) is unexplained: cgoheap knows no owner for it. " +
			"Look again; if it stays, report it with `cgoheap explain 4242 --json`."},
	{"unexplained", "1 %", changed(func(s *Situation) { s.Account.Unexplained = 10 * mib }), ""},
	{"unexplained", "most of it", changed(func(s *Situation) { s.Account.Unexplained = 600 * mib; s.Account.RSS += 600 * mib; s.Ended = true }),
		"600.0 MiB (38 % of RSS) is unexplained: cgoheap knows no owner for it."},
	{"owner_large", "one without a rule", changed(func(s *Situation) {
		s.Account.Owners = append(s.Account.Owners, part("kernel", 0), part("later_one", 0))
		s.set("kernel", 2000*mib).set("later_one", 1000*mib).after(time.Hour, "kernel", 9*mib)
	}), "Kernel: 2.0 GiB (50 % of RSS), memory that the kernel shares, such as the rings of io_uring and AIO. " +
		"It grew by 9.0 MiB in 1h (9.0 MiB an hour since 02:00). Later one: 1000.0 MiB (25 % of RSS)."},
	{"owner_large", "figures that are not known", changed(func(s *Situation) {
		s.part(account.CLive).Bytes, s.part(account.CRetained).Bytes, s.part(account.GoStacks).Bytes = nil, nil, nil
	}), "C live and C retained are unknown."},
	{"owner_large", "what is not known is in a neighbour that says so", changed(func(s *Situation) {
		s.set(account.CLive, 900*mib)
		s.part(account.CRetained).Bytes, s.part(account.GoStacks).Bytes = nil, nil
	}), ""},
	{"owner_large", "less than a fifth", changed(func(s *Situation) {
		s.Account.Owners = append(s.Account.Owners, part("kernel", 0))
		s.set("kernel", 200*mib)
	}), ""},
	{"unexplained", "1 MiB of a small process", changed(func(s *Situation) {
		s.Account = &account.Account{RSS: 4 * mib, Unexplained: 1 * mib, Owners: []account.Owner{part(account.Program, 3*mib)}}
	}), ""},
}

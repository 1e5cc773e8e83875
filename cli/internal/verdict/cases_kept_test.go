package verdict

import (
	"cgoheap.example/cli/internal/account"
)

// pinning is a stack from the allocator to Go.
func pinning(caller string) []string {
	return []string{"malloc", "sqlite3MemMalloc", "sqlite3_prepare_v2", "_cgo_1234_Cfunc_prepare",
		"runtime.asmcgocall", "runtime.cgocall", "main._Cfunc_prepare", caller, "main.main"}
}

var keptCases = []verdictCase{
	{"c_retained", "37 arenas", changed(func(s *Situation) {
		s.set(account.CRetained, 1126*mib).set(account.CLive, 600<<10)
	}), "The C allocator keeps 1.1 GiB free in 37 arenas; live C memory is 600.0 KiB. " +
		"Not a leak. Try `cgoheap trim 4242`; if it returns, " +
		"have the program call malloc_trim(0) after its peaks, " +
		"or run it with jemalloc preloaded."},
	{"c_retained", "the ends of arenas", changed(func(s *Situation) {
		s.kept(100*mib, 790*mib, 11, 0, 10*mib)
	}), "The C allocator keeps 900.0 MiB free in 37 arenas; live C memory is 100.0 MiB. " +
		"Not a leak. 790.0 MiB of it lies at the ends of 11 arenas, " +
		"which malloc_trim never returns: run with MALLOC_TRIM_THRESHOLD_=131072, " +
		"and free does (cost: system calls and page faults)."},
	{"c_retained", "the ends of arenas, all the same", changed(func(s *Situation) {
		s.kept(100*mib, 790*mib, 11, 0, 10*mib)
		s.Env["MALLOC_TRIM_THRESHOLD_"] = "1000000"
	}), "The C allocator keeps 900.0 MiB free in 37 arenas; live C memory is 100.0 MiB. " +
		"Not a leak. 790.0 MiB of it lies at the ends of 11 arenas, " +
		"which malloc_trim never returns: a smaller MALLOC_TRIM_THRESHOLD_ makes free return " +
		"them, or run with jemalloc preloaded."},
	{"c_retained", "the small ends of many arenas", changed(func(s *Situation) {
		s.kept(0, 900*mib, 4000, 0, 0)
	}), "The C allocator keeps 900.0 MiB free in 37 arenas; live C memory is 100.0 MiB. " +
		"Not a leak. 900.0 MiB of it lies at the ends of 4,000 arenas, " +
		"which malloc_trim never returns: each is small, so run with MALLOC_ARENA_MAX=2 (cost: " +
		"threads wait for each other more)."},
	{"c_retained", "what trim returns, and what is pinned", changed(func(s *Situation) {
		s.kept(500*mib, 0, 11, 10*mib, 390*mib)
	}), "The C allocator keeps 900.0 MiB free in 37 arenas; live C memory is 100.0 MiB. " +
		"Not a leak. `cgoheap trim 4242` returns 510.0 MiB of it; " +
		"to keep it small, have the program call malloc_trim(0) after its peaks (cost: " +
		"arena locks during the call, page faults later), or run it with jemalloc preloaded. " +
		"390.0 MiB of it shares its pages with blocks in use: " +
		"no trim and no setting returns it; new blocks reuse it."},
	{"c_retained", "who pins it", changed(func(s *Situation) {
		s.kept(240*mib, 70*mib, 3, 0, 790*mib).pinnedBy(780*mib, 8*mib, 38*mib,
			pinning("main.(*store).search"), pinning("main.(*store).search"))
	}), "The C allocator keeps 1.1 GiB free in 37 arenas; live C memory is 100.0 MiB. " +
		"Not a leak. `cgoheap trim 4242` returns 240.0 MiB of it; " +
		"to keep it small, have the program call malloc_trim(0) after its peaks (cost: " +
		"arena locks during the call, page faults later), or run it with jemalloc preloaded. " +
		"70.0 MiB of it lies at the ends of 3 arenas, below glibc's trim threshold. " +
		"790.0 MiB of it is pinned by 38.0 MiB of blocks in use, 99 % of it by " +
		"sqlite3_prepare_v2 < main.(*store).search: " +
		"no trim and no setting returns it; new blocks reuse it."},
	{"c_retained", "who pinned it, of a process that has ended", changed(func(s *Situation) {
		s.kept(240*mib, 0, 0, 0, 790*mib).pinnedBy(780*mib, 8*mib, 38*mib,
			pinning("main.(*store).search"), pinning("main.(*store).search"))
		s.Ended = true
	}), "The C allocator keeps 1.0 GiB free in 37 arenas; live C memory is 100.0 MiB. " +
		"Not a leak. A trim would have returned 240.0 MiB of it: next time, " +
		"have the program call malloc_trim(0) after its peaks (cost: " +
		"arena locks during the call, page faults later), or run it with jemalloc preloaded. " +
		"790.0 MiB of it is pinned by 38.0 MiB of blocks in use, 99 % of it by " +
		"sqlite3_prepare_v2 < main.(*store).search: " +
		"no trim and no setting returns it; new blocks reuse it."},
	{"c_retained", "roughly who pins it", changed(func(s *Situation) {
		s.kept(0, 0, 3, 0, 800*mib).pinnedBy(800*mib, 60*mib, 38*mib,
			pinning("main.(*store).search"), pinning("main.other"))
	}), "The C allocator keeps 800.0 MiB free in 37 arenas; live C memory is 100.0 MiB. " +
		"Not a leak. 800.0 MiB of it is pinned by ~38.0 MiB of blocks in use, " +
		"35 to 65 % of it by sqlite3_prepare_v2 < main.(*store).search: " +
		"no trim and no setting returns it; new blocks reuse it."},
	{"c_retained", "who pins half of it", changed(func(s *Situation) {
		s.kept(0, 0, 3, 0, 800*mib).pinnedBy(400*mib, 0, 38*mib,
			pinning("main.a"), pinning("main.a"))
	}), "The C allocator keeps 800.0 MiB free in 37 arenas; live C memory is 100.0 MiB. " +
		"Not a leak. 800.0 MiB of it shares its pages with blocks in use, 50 % of that " +
		"with 38.0 MiB of blocks whose stacks are known, " +
		"50 % of it by sqlite3_prepare_v2 < main.a: " +
		"no trim and no setting returns it; new blocks reuse it."},
	{"c_retained", "who pins it is not certain", changed(func(s *Situation) {
		s.kept(0, 0, 3, 0, 800*mib).pinnedBy(400*mib, 250*mib, 38*mib, pinning("main.a"), nil)
	}), "The C allocator keeps 800.0 MiB free in 37 arenas; live C memory is 100.0 MiB. " +
		"Not a leak. 800.0 MiB of it shares its pages with blocks in use: " +
		"no trim and no setting returns it; new blocks reuse it."},
	{"c_retained", "small blocks", changed(func(s *Situation) { s.kept(0, 0, 11, 900*mib, 0) }),
		"The C allocator keeps 900.0 MiB free in 37 arenas; live C memory is 100.0 MiB. " +
			"Not a leak. `cgoheap trim 4242` returns up to 900.0 MiB of it; " +
			"to keep it small, have the program call malloc_trim(0) after its peaks (cost: " +
			"arena locks during the call, page faults later), or run it with jemalloc preloaded."},
	{"c_retained", "one arena", changed(func(s *Situation) {
		s.set(account.CRetained, 900*mib)
		s.Account.Allocator.Arenas = num(1)
	}), "The C allocator keeps 900.0 MiB free in 1 arena; live C memory is 100.0 MiB. " +
		"Not a leak. Try `cgoheap trim 4242`; if it returns, " +
		"have the program call malloc_trim(0) after its peaks, " +
		"or run it with jemalloc preloaded."},
	{"c_retained", "a fifth, of jemalloc", changed(func(s *Situation) {
		s.set(account.CRetained, 225*mib)
		s.Account.Allocator.Name, s.Account.Allocator.Arenas = "jemalloc", nil
	}), "The C allocator keeps 225.0 MiB free; live C memory is 100.0 MiB. Not a leak. " +
		"Try `cgoheap trim 4242`; if it returns, run with " +
		"MALLOC_CONF=background_thread:true,dirty_decay_ms:1000."},
	{"c_retained", "pinned in slabs of jemalloc", changed(func(s *Situation) {
		s.kept(300*mib, 0, 0, 0, 600*mib).pinnedBy(600*mib, 0, 38*mib,
			pinning("main.a"), pinning("main.a"))
		s.Account.Allocator.Name, s.Account.Allocator.Arenas = "jemalloc", nil
	}), "The C allocator keeps 900.0 MiB free; live C memory is 100.0 MiB. Not a leak. " +
		"`cgoheap trim 4242` returns 300.0 MiB of it; to keep it small, " +
		"run with MALLOC_CONF=background_thread:true,dirty_decay_ms:1000. " +
		"600.0 MiB of it is pinned by 38.0 MiB of blocks in use, " +
		"100 % of it by sqlite3_prepare_v2 < main.a: " +
		"no trim and no setting returns it; new blocks reuse it."},
	{"c_retained", "of musl", changed(func(s *Situation) {
		s.set(account.CRetained, 225*mib)
		s.Account.Allocator.Name, s.Account.Allocator.Arenas = "musl mallocng", nil
	}), "The C allocator keeps 225.0 MiB free; live C memory is 100.0 MiB. Not a leak. " +
		"musl has no trim: it returns a group of blocks when the last of them is freed, " +
		"and new blocks reuse what is free. To keep it small, " +
		"run with jemalloc or mimalloc preloaded."},
	{"c_retained", "the allocator does not say what is in use", changed(func(s *Situation) {
		s.set(account.CRetained, 900*mib)
		s.Account.Allocator = account.Allocator{Name: "mimalloc"}
	}), "The C allocator has 900.0 MiB (50 % of RSS) beyond what the samples stand for; " +
		"how much of that is free is unknown. `cgoheap trim 4242` shows how much of it returns."},
	{"c_retained", "less than a fifth", owning(account.CRetained, 224*mib), ""},
	{"c_retained", "too little to matter", changed(func(s *Situation) {
		s.Account = &account.Account{RSS: 20 * mib, Owners: []account.Owner{
			part(account.CRetained, 6*mib), part(account.Program, 14*mib)}}
	}), ""},
}

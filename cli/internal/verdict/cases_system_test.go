package verdict

import (
	"cgoheap.example/cli/internal/account"
)

var systemCases = []verdictCase{
	{"go_heap_dominates", "in use", owning(account.GoHeap, 900*mib),
		"Go's own heap is 900.0 MiB (50 % of RSS). " +
			"That is not C memory, and Go's profiler is the tool: " +
			"`go tool pprof http://SERVICE/debug/pprof/heap`."},
	{"go_heap_dominates", "with stacks in it, at a URL", changed(func(s *Situation) {
		s.set(account.GoHeap, 900*mib)
		s.part(account.GoStacks).Bytes = nil
		s.GoPprof = "http://127.0.0.1:6060/debug/pprof/heap?debug=1"
	}), "Go's own heap (with goroutine stacks in it) is 900.0 MiB (50 % of RSS). " +
		"That is not C memory, and Go's profiler is the tool: " +
		"`go tool pprof http://127.0.0.1:6060/debug/pprof/heap`."},
	{"go_heap_dominates", "mostly free", changed(func(s *Situation) {
		s.set(account.GoHeap, 900*mib)
		s.Account.Go.HeapFree = num(451 * mib)
	}), ""},
	{"go_heap_dominates", "less than a third", owning(account.GoHeap, 449*mib), ""},

	{"go_heap_free", "a fifth", changed(func(s *Situation) {
		s.set(account.GoHeap, 300*mib)
		s.Account.Go.HeapFree = num(240 * mib)
	}), "Go keeps 240.0 MiB (20 % of RSS) free for the next cycle, " +
		"and over minutes returns what it does not use. " +
		"A lower GOGC or a GOMEMLIMIT makes it keep less; debug.FreeOSMemory() returns it once."},
	{"go_heap_free", "less", changed(func(s *Situation) {
		s.set(account.GoHeap, 300*mib)
		s.Account.Go.HeapFree = num(239 * mib)
	}), ""},
	{"go_heap_free", "not resident", changed(func(s *Situation) {
		s.Account.Go.HeapFree = num(900 * mib)
	}), ""},

	{"go_stacks", "many", owning(account.GoStacks, 225*mib),
		"Goroutine stacks are 225.0 MiB (20 % of RSS): many goroutines, or deep ones. " +
			"See which with `go tool pprof http://SERVICE/debug/pprof/goroutine`."},
	{"go_stacks", "by the runtime's count", changed(func(s *Situation) {
		s.set(account.GoHeap, 1000*mib)
		s.part(account.GoStacks).Bytes = nil
		s.Account.Go.Stacks = num(900 * mib)
	}), "Goroutine stacks are 900.0 MiB (47 % of RSS): many goroutines, or deep ones. " +
		"See which with `go tool pprof http://SERVICE/debug/pprof/goroutine`."},
	{"go_stacks", "less than a fifth", owning(account.GoStacks, 224*mib), ""},

	{"go_metadata", "a fifth", owning(account.GoMetadata, 225*mib),
		"The Go runtime's own data is 225.0 MiB (20 % of RSS): " +
			"span and heap tables, sized by the largest heap there has been, " +
			"and profiling records. runtime/metrics reports it under /memory/classes/metadata " +
			"and /memory/classes/profiling."},
	{"go_metadata", "less", owning(account.GoMetadata, 224*mib), ""},

	{"mapped_files", "a fifth", owning(account.MappedFiles, 225*mib),
		"Mapped files are 225.0 MiB (20 % of RSS). " +
			"They count as RSS, but are page cache, which the kernel reclaims when it needs " +
			"memory."},
	{"mapped_files", "by name", changed(func(s *Situation) {
		s.set(account.MappedFiles, 225*mib)
		s.mapped(account.MappedFiles, "/t.db", "mmap", "main._Cfunc_scan", "main.open")
	}), "Mapped files are 225.0 MiB (20 % of RSS). " +
		"The largest part, 225.0 MiB of \"/t.db\", was mapped by main.open. " +
		"They count as RSS, but are page cache, which the kernel reclaims when it needs memory."},
	{"mapped_files", "written to", changed(func(s *Situation) {
		s.set(account.MappedFiles, 225*mib)
		s.Account.Process.RSSFile = num(200 * mib)
	}), "Mapped files are 225.0 MiB (20 % of RSS). " +
		"At most 200.0 MiB of that is page cache (RssFile); " +
		"the rest was written to, and the kernel cannot reclaim it."},
	{"mapped_files", "the kernel does not say", changed(func(s *Situation) {
		s.set(account.MappedFiles, 225*mib)
		s.Account.Process.RSSFile = nil
	}), "Mapped files are 225.0 MiB (20 % of RSS). How much of that is page cache is unknown."},
	{"mapped_files", "less", owning(account.MappedFiles, 224*mib), ""},

	{"shared_memory", "a fifth", owning(account.SharedMemory, 225*mib),
		"Shared memory is 225.0 MiB (20 % of RSS). " +
			"It counts in the RSS of every process that maps it: do not add up their RSS. " +
			"This process's fair share is in `grep Pss: /proc/4242/smaps_rollup`."},
	{"shared_memory", "less", owning(account.SharedMemory, 224*mib), ""},

	{"program_dominates", "with its libraries", changed(func(s *Situation) {
		s.set(account.Program, 300*mib).set(account.Libraries, 320*mib)
	}), "620.0 MiB (41 % of RSS) is the program itself and its libraries: code, data and .bss."},
	{"program_dominates", "less than a third", changed(func(s *Situation) {
		s.set(account.Program, 220*mib).set(account.Libraries, 220*mib)
	}), ""},

	{"shim_dominates", "a third", owning(account.Shim, 500*mib),
		"500.0 MiB (34 % of RSS) is cgoheap's own bookkeeping. " +
			"It is limited: a smaller CGOHEAP_MAX_MEMORY or a larger CGOHEAP_SAMPLE_BYTES " +
			"reduces it."},
	{"shim_dominates", "less", owning(account.Shim, 450*mib), ""},

	{"near_limit", "nine tenths", changed(func(s *Situation) {
		s.Account.Cgroup.Current = num(2000 * mib)
	}), "The cgroup is near its limit: 1.8 GiB of 2.0 GiB cannot be reclaimed; " +
		"200.0 MiB more and the OOM killer acts."},
	{"near_limit", "full of page cache", changed(func(s *Situation) {
		s.Account.Cgroup.Current, s.Account.Cgroup.File = num(2000*mib), num(301*mib)
	}), ""},
	{"near_limit", "no limit", changed(func(s *Situation) { s.Account.Cgroup.Limit = nil }), ""},

	// 500 MiB are neither Go's nor a file's.
	{"go_memory_limit", "does not fit", goLimited("1501MiB"),
		"GOMEMLIMIT=1501MiB and 500.0 MiB of memory outside Go do not fit into the cgroup's " +
			"limit of 2.0 GiB: Go collects too late. " +
			"GOMEMLIMIT=1400MiB would fit; the Go package cgo_bridge/memlimit adjusts it as C " +
			"memory changes."},
	{"go_memory_limit", "fits", goLimited("1500MiB"), ""},
	{"go_memory_limit", "off", goLimited("off"), ""},
	{"go_memory_limit", "set by the program", goLimitedNow("", 1843*mib),
		"GOMEMLIMIT, which the program set to 1.8 GiB, " +
			"and 500.0 MiB of memory outside Go do not fit into the cgroup's limit of 2.0 GiB: " +
			"Go collects too late. GOMEMLIMIT=1400MiB would fit; " +
			"the Go package cgo_bridge/memlimit adjusts it as C memory changes."},
	{"go_memory_limit", "as the program was started", goLimitedNow("1501MiB", 1501*mib),
		"GOMEMLIMIT=1501MiB and 500.0 MiB of memory outside Go do not fit into the cgroup's " +
			"limit of 2.0 GiB: Go collects too late. " +
			"GOMEMLIMIT=1400MiB would fit; the Go package cgo_bridge/memlimit adjusts it as C " +
			"memory changes."},
	{"go_memory_limit", "lowered by the program", goLimitedNow("1501MiB", 1500*mib), ""},
	{"go_memory_limit", "taken away by the program", goLimitedNow("1501MiB", 0), ""},
	{"go_memory_limit", "what is in use does not", changed(func(s *Situation) {
		s.Env["GOMEMLIMIT"] = "2GiB"
		s.Account.Go.HeapInUse = num(1301 * mib)
	}), "GOMEMLIMIT=2GiB and 500.0 MiB of memory outside Go do not fit into the cgroup's limit " +
		"of 2.0 GiB: Go collects too late. No GOMEMLIMIT helps: " +
		"what Go has in use does not fit. Reduce the rest, or raise the limit."},

	{"swap", "a twentieth", changed(func(s *Situation) {
		s.Account.Process.VMSwap = num(50 * mib)
	}), "50.0 MiB more is swapped out: RSS does not count it, and growth may not show in RSS."},
	{"swap", "less", changed(func(s *Situation) { s.Account.Process.VMSwap = num(49 * mib) }), ""},

	{"unexplained", "more than 1 %", changed(func(s *Situation) {
		s.Account.Unexplained = 11 * mib
	}), "11.0 MiB (1 % of RSS) is unexplained: cgoheap knows no owner for it. " +
		"Look again; if it stays, report it with `cgoheap explain 4242 --json`."},
	{"unexplained", "1 %", changed(func(s *Situation) { s.Account.Unexplained = 10 * mib }), ""},
	{"unexplained", "most of it", changed(func(s *Situation) {
		s.Account.Unexplained = 600 * mib
		s.Account.RSS += 600 * mib
		s.Ended = true
	}), "600.0 MiB (38 % of RSS) is unexplained: cgoheap knows no owner for it."},
	{"unexplained", "1 MiB of a small process", changed(func(s *Situation) {
		s.Account = &account.Account{RSS: 4 * mib, Unexplained: 1 * mib,
			Owners: []account.Owner{part(account.Program, 3*mib)}}
	}), ""},
}

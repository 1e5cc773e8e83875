// Package memlimit keeps Go's memory limit right in a program that also has C
// memory. GOMEMLIMIT limits what the Go runtime has and knows of nothing else. Set
// once, to a share of the container's limit, it lets the Go heap grow into what C
// has taken since, and the kernel kills the process. This package keeps it at
//
//	min(cgroup limit, given limit) - memory that is not Go's - headroom
//
// for as long as the program runs:
//
//	func main() {
//		limit, err := memlimit.Start(memlimit.Options{Logger: slog.Default()})
//		if err != nil {
//			slog.Warn("GOMEMLIMIT does not follow C memory", "error", err)
//		} else {
//			defer limit.Stop()
//		}
//		...
//
// Nothing happens before [Start]: the import starts no goroutine and reads no file.
// The package needs Go 1.21 and Linux (elsewhere Start returns an error), no cgo,
// and no preloaded library.
//
// # What is not Go's
//
// The kernel kills when a cgroup's memory reaches its limit and none of it can be
// reclaimed. So the package counts the cgroup's usage less its page cache
// (active_file and inactive_file; shared memory is on neither list and stays in).
// That includes children and other processes of the cgroup, page tables and other
// kernel memory: they use up the limit as well. Every cgroup that has a limit is
// considered, from the process's own up to the highest that can be seen, each with
// its own usage; the one that leaves the least to Go decides. In version 1 the
// limit is memory.limit_in_bytes, in version 2 the lower of memory.max and
// memory.high, because above memory.high a process is slowed to a crawl.
// [Options.Limit] limits what this process alone has: RssAnon and RssShmem of
// /proc/self/status.
//
// From that usage, the resident part of Go's memory is subtracted. Go's own figure
// is /memory/classes/total less /memory/classes/heap/released, exactly what a
// memory limit limits. But it includes pages that were never touched or are swapped
// out, which are in no cgroup's usage. After make([]byte, 1<<30), the difference of
// the two figures is 1 GiB too small. The limit would rise by 1 GiB, the heap would
// grow by that, and when the slice is filled at last, the kernel kills. So the
// package counts the resident pages of the Go heap in /proc/self/pagemap, at every
// regular look and before each change of the limit. What is not resident counts as
// Go's, which it will be. If they cannot be counted (a sandbox without that file),
// the plain difference is used. The runtime's own tables are assumed to be as
// resident as the heap they describe, so what is not Go's may be a few MiB more than
// the package reports.
//
// Memory that Go has returned to the system is no longer Go's. The part of it that
// is still resident, because a huge page holds it, counts as not Go's.
//
// # Headroom, and the floor
//
// Headroom (5 %, at least 16 MiB, see [Options]) covers what changes between two
// looks. The limit is never set below what Go needs: the heap that was live at the
// last collection plus a quarter, gaps in spans, goroutine stacks and the runtime's
// own tables. Below that, Go would collect all the time, with up to half of all CPU
// time, and free nothing. If C leaves less than that, the limit stays at the floor
// and an event says so ([NoRoom]): the container is then too small, or C leaks.
//
// # When it changes
//
// It goes down at once, if the difference is a quarter of the headroom or more. It
// goes up only to what would have been possible for all of the last 30 s (ten
// intervals), and only by half of the headroom or more. If a raise did not last,
// that time doubles, up to 16 times as long: C memory that comes and goes is not
// followed, its peaks count. There is one exception: if the live heap has outgrown
// the limit, the limit goes up to the floor at once.
//
// Setting the limit costs 0.1 µs. A limit below what Go has starts a collection as
// soon as the program allocates. From then on, whoever allocates first returns free
// memory to the system until the limit holds (the runtime does that when it takes a
// span, not only in the background at 1 % of the CPU). A program that does not
// allocate does none of this: its garbage stays. For that case alone the package
// calls [runtime/debug.FreeOSMemory]: Go still has more than the limit one look
// after it was lowered, and half of the headroom is used up, or the rest will be
// within a second. It is not called at each lowering, because it is a whole
// collection and also returns what the program will need again at once. The next
// call comes after 20 times as long as the last one took, and at least after 10 s. The
// 10 s double each time that the call did not help, up to 10 min.
//
// # How often it looks
//
// Every [Options.Interval], 3 s, while there is much room. With less room, it looks
// often enough that a sudden growth of 256 MiB a second cannot take what is left
// between two looks, together with whatever Go may take without a collection: every
// 100 ms if 26 MiB are left beside Go's heap. While memory grows, it looks four times
// within the time in which memory would reach the limit at that rate. It never looks
// more often than every 20 ms, and never so often that looking takes more than 2 % of
// a CPU and counting pages another 2 %, except a few times in a row. A look takes
// about 0.15 ms. Counting takes 8 ms for each GiB of Go heap; every 3 s, that is
// 0.3 %.
//
// Then it takes a collection until Go has come down. C memory that grows by the
// headroom within that time is not caught. Seen with 512 MiB, the headroom of 26 MiB,
// a heap that fills its limit and 60 MiB of it live, on two busy CPUs: 33 MiB/s of C
// were survived in all of 18 runs, 100 MiB/s in 23 of 24. While C memory grows, the
// limit is set for a second ahead, at most by the headroom again. To survive more,
// give more headroom.
//
// # Early warning
//
// A line through the last five minutes of the memory that is not Go's predicts when
// it leaves Go less than the floor. If that is within [Options.Horizon], 10 min, an
// event says so ([Growth]), with the slope and the time left, and again each time
// half of that has passed. There is no warning in the first minute, none for a step,
// which is over, and none if the line fits badly.
//
// # Collections for C's memory
//
// C memory that finalizers or cleanups free waits for a collection, and Go counts a few
// bytes of each block: a heap of 11 MiB may have its next collection at 64 MiB, and a
// GiB of C memory waits. Lowering the limit does not help where Go's heap is small. With
// [Options.CollectC] the package calls [runtime.GC] when that is worth it: less than
// twice the headroom is left, or what is left would be gone in 2 s at the present speed;
// and since the last collection, whoever started it, what is not Go's has grown by a
// tenth and by half of the headroom. An event says how much came back ([Collected]).
//
// The package does not know whether that growth waits for a collection, so it learns from what
// came back: after a call that brought back less than a quarter of the growth, the
// next comes after 2 s at the earliest, then 4 s, up to 10 min. Calls take at most a
// twentieth of the time. With the preloaded library, [Options.Debt] tells: set it to
// cgo_bridge.Debt, and there is no call for memory that no finalizer frees. Memory that
// C's allocator keeps after the frees counts as used, though C will use it again.
//
// In a cgroup of 512 MiB, a program that allocates 133 MiB a second and leaves all of it
// to finalizers is killed after 4 s without the option. With it, the program lives, at
// one collection about every 2 s.
//
// # Others who set the limit
//
// The limit before Start, set by GOMEMLIMIT in the environment or by
// [runtime/debug.SetMemoryLimit], is an upper bound, and [Controller.Stop] restores
// it. If the program sets another limit later, that becomes the upper bound
// ([Ceiling]). GOGC works as usual: it decides how far the heap stays below the
// limit.
package memlimit

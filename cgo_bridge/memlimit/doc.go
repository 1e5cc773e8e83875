// Package memlimit keeps Go's memory limit right in a program that has C memory
// too. GOMEMLIMIT bounds what the Go runtime has and knows of nothing else; set
// once, to a share of the container's limit, it lets the Go heap grow into what C
// has taken meanwhile, and the kernel kills the process. Here it follows
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
// The kernel kills when a cgroup's memory reaches its limit and nothing of it can
// be reclaimed. So what is counted is the cgroup's usage less its page cache
// (active_file and inactive_file; shared memory is on neither list, and stays in).
// Children and other processes of the cgroup are in it, as are page tables and
// other memory of the kernel: they use up the limit as well. Each cgroup from the
// process's own up to the top of what can be seen has a say if it has a limit
// (version 1: memory.limit_in_bytes; version 2: the lower of memory.max and
// memory.high, since above the latter a process is slowed down to a crawl), each
// with the usage of that same cgroup; the one that leaves the least to Go decides.
// [Options.Limit] bounds what this process alone has: RssAnon and RssShmem of
// /proc/self/status.
//
// From that is taken what of Go's memory is resident. Go's own figure is
// /memory/classes/total less /memory/classes/heap/released, exactly what a memory
// limit bounds. But it counts pages that were never touched, or are swapped out,
// and those are in no cgroup's usage: after make([]byte, 1<<30) the difference of
// the two figures is 1 GiB too small, the limit would go up by 1 GiB, the heap
// would grow by that, and when the slice is filled at last the kernel kills. So the
// pages of the Go heap are counted, in /proc/self/pagemap, at every regular look
// and before each change of the limit. What is not resident counts as Go's, which
// it will be. Where they cannot be counted (a sandbox without that file) the plain
// difference is used. The runtime's own tables are taken to be as resident as the
// heap they are for, so what is not Go's may be some MiB more than it is said to
// be.
//
// Memory that Go has returned to the system is Go's no more. What of it is still
// resident, because a huge page holds it, counts as not Go's.
//
// # Headroom, and the floor
//
// Headroom (5 %, at least 16 MiB, see [Options]) is for what moves between two
// looks. The limit is never set below what Go needs: the heap that was live at the
// last collection and a quarter of it, gaps in spans, goroutine stacks and the
// runtime's own tables. Below that Go would collect all the time, up to half of all
// CPU time, and free nothing. Where C leaves less than that, the limit stays at the
// floor and an event says so ([NoRoom]): then the container is too small, or C
// leaks.
//
// # When it changes
//
// Down at once, when the difference is a quarter of the headroom or more. Up only
// to what would have been possible all the time for the last 30 s at least (ten
// intervals), and only by half of the headroom or more. When a raise did not last,
// that time doubles, up to 16 times as long: C memory that comes and goes is not
// followed, its peaks count. One exception: the live heap has outgrown the limit;
// then it goes up to the floor at once.
//
// Setting the limit costs 0.1 µs. A limit below what Go has starts a collection as
// soon as the program allocates, and from then on whoever allocates first returns
// free memory to the system until the limit holds (the runtime does that when it
// takes a span, not only in the background at 1 % of the CPU). A program that does
// not allocate does none of this: its garbage stays. So there is
// [runtime/debug.FreeOSMemory], for that case alone: Go still has more than the
// limit one look after it was lowered, and half of the headroom is used up, or all
// that is left will be within a second. It is not done at each lowering, since it
// is a whole collection and returns also what the program will need again at once,
// and not again before 20 times as long as it took has passed, and 10 s, which
// double each time that it did not help, up to 10 min.
//
// # How often it looks
//
// Every [Options.Interval], 3 s, while there is much room. With less, often enough
// that 256 MiB a second, begun from standstill, do not take what is left between
// two looks, and whatever Go may take without a collection with it: every 100 ms
// where 26 MiB are left beside Go's heap. When memory grows, four times within the
// time in which it would reach the limit at that rate. Never more often than every
// 20 ms, and never so often that looking takes more than 2 % of a CPU, and counting
// pages another 2 %, a few times in a row aside. A look takes about 0.15 ms;
// counting, 8 ms for each GiB of Go heap, so every 3 s 0.3 %.
//
// From then on it takes a collection until Go has come down: C memory that grows by
// the headroom within that time is not caught. Seen with 512 MiB, the headroom of
// 26 MiB, a heap that fills its limit and 60 MiB of it live, on two busy CPUs: 33
// MiB/s of C were survived in all of 18 runs, 100 MiB/s in 23 of 24. While C memory
// grows, the limit is set for a second ahead, at most by the headroom again. Where
// more has to be survived, give more headroom.
//
// # Early warning
//
// A line through the last five minutes of the memory that is not Go's tells when it
// leaves Go less than the floor. If that is within [Options.Horizon], 10 min, an
// event says so ([Growth]), with the slope and the time left, and again each time
// half of that has passed. There is no warning in the first minute, nor for a step,
// which is over, nor where the line fits badly.
//
// # Others who set the limit
//
// What the limit was before Start, by GOMEMLIMIT in the environment or by
// [runtime/debug.SetMemoryLimit], is an upper bound, and [Controller.Stop] restores
// it. If the program sets another one meanwhile, that becomes the upper bound
// ([Ceiling]). GOGC works as ever: it decides how much less than the limit the heap
// is.
package memlimit

/*
 * What each workload of the bench has in common: a beginning, an end, and a profile on request.
 *
 *   long n = work_begin(argc, argv);   how much is to do
 *   ...                                what is measured
 *   work_end();                        while what the workload keeps is still live
 *
 * work_end prints "done WALL_NS CPU_NS" and then does what standard input asks, a line each, until
 * it ends:
 *
 *   jemalloc FILE | tcmalloc FILE | gperftools FILE
 *       the profile of the allocator that is preloaded; prints "dumped NS", or "dumped -1" where
 *       it has none (gperftools puts it at FILE.0001.heap or a later number)
 *
 * Under callgrind only what lies between the two calls is counted. One thread calls both.
 */
#ifndef CGOHEAP_BENCH_WORK_H
#define CGOHEAP_BENCH_WORK_H

long work_begin(int argc, char **argv);
void work_end(void);

/* The compiler must neither remove a block nor know what is in it. */
static inline void *work_opaque(void *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

#endif

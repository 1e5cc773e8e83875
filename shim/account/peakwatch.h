/*
 * Looks whether RSS is higher than ever (record/peak.h): one small file of /proc, once a second,
 * and 20 times a second as long as each look finds a peak that is at least a MiB above the last.
 * Only while sampling is on, because without samples the stacks of that moment are not known.
 */
#ifndef CGOHEAP_PEAKWATCH_H
#define CGOHEAP_PEAKWATCH_H

#include "base/base.h"

/* Server's loop. Returns the nanoseconds until the next call. */
uint64_t peakwatch_tick(void);

/* Looks at once. Server thread. Returns RSS in bytes, or UNKNOWN (pagemap.h). */
uint64_t peakwatch_look(void);
#define PEAKWATCH_FAST_MS 50

#endif

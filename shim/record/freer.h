/*
 * Who a freeing stack belongs to, by the function that its goroutine or thread began with.
 *
 * Finalizers run on one goroutine (runtime.runfinq, since Go 1.25 runtime.runFinalizers), cleanups
 * on others (runtime.runCleanups), in Go 1.24 on the finalizers'. What a finalizer hands to another
 * goroutine is freed by that one.
 *
 * Any thread; lock-free, async-signal-safe.
 */
#ifndef CGOHEAP_FREER_H
#define CGOHEAP_FREER_H

#include "base/base.h"
#include "record/frees.h"

/* frames, leaf first, and end as in struct capture. */
enum freed_by freer_kind(const uint64_t *frames, uint32_t count, uint32_t end);

#endif

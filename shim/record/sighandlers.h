/*
 * Whether the program's signal handlers run on the stack they interrupt.
 *
 * A handler without SA_ONSTACK, or on a thread without an alternate stack, that interrupts
 * recording would run on the recording stack. It may need more room than there is. A garbage
 * collector that stops threads by signal (Boehm's, D's, Mono's) would also take the handler's
 * stack pointer for the start of the thread's stack. If there is such a handler, hooks record on
 * the thread's own stack as long as that stack is known and has enough room (recstack.h).
 */
#ifndef CGOHEAP_SIGHANDLERS_H
#define CGOHEAP_SIGHANDLERS_H

#include "base/base.h"

/* Asks the kernel and tells recstack; not under a seccomp filter (sys_rare). */
void sighandlers_look(void);

/* The same when a thread is created: collectors are told of each thread, after they have set
 * their handler. At most a few thousand times a second. */
void sighandlers_look_at_thread(void);

#endif

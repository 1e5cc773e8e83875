/*
 * Whether signal handlers of the program's run on the stack they interrupt.
 *
 * A handler without SA_ONSTACK, or on a thread that has no other stack, that comes while a hook
 * records would run on the recording stack.  It may want more than is there; and a collector of
 * garbage that stops threads so (Boehm's, D's, Mono's) takes the handler's stack pointer for where
 * the thread's stack begins.  Where there is one, hooks record on the thread's own
 * stack as long as that is known and has much room (recstack.h).
 */
#ifndef CGOHEAP_SIGHANDLERS_H
#define CGOHEAP_SIGHANDLERS_H

#include "base/base.h"

/* Asks the kernel, and tells recstack; not under a filter (sys_rare). */
void sighandlers_look(void);

/* The same where a thread is made: collectors are told of each, after they have set their handler.
 * Some thousand times a second at most. */
void sighandlers_look_at_thread(void);

#endif

/*
 * The loaded module that contains an address, found without the loader's lock, which another
 * thread may hold for as long as a library's constructor runs.
 *
 * Since 2.35 glibc answers itself (_dl_find_object). Before, a table of ours does: it is read
 * again by threads that may wait for the loader, which are those that call dlsym or dlclose, and
 * the worker. What dlopen brings is in it from the first dlsym after, or within a second.
 */
#ifndef CGOHEAP_LOADED_H
#define CGOHEAP_LOADED_H

#include <link.h>

#include "base/base.h"

struct code_module {
	const ElfW(Phdr) * headers;
	size_t count;
	uint64_t bias;
	uint64_t table; /* .eh_frame_hdr; 0: none */
};

/* In the constructor; again is harmless. */
void loaded_init(void);

/* False: none, or its program headers are not where every linker puts them.  What is returned
 * lasts as long as the module.  Any thread, async-signal-safe. */
bool loaded_find(uint64_t address, struct code_module *out);

/* The caller is going to load a module; the second: one that may close others past dlclose, so
 * from now on only those of the start are found.  Any thread, async-signal-safe. */
void loaded_will_change(void);
void loaded_will_change_unseen(void);
/* Whether one was loaded since the table was read. */
bool loaded_is_old(void);
/* Whether there is a table, which has to be read again from time to time, and should be now: an
 * address was not found, as in what libc loads itself. */
bool loaded_is_watched(void);
bool loaded_is_doubtful(void);

/*
 * Reads the table again, then calls the function of loaded_on_added for each module that was not
 * in it.  Returns whether anything changed.  Waits for other threads in dlopen: only where the
 * caller may wait for the loader.  No effect where glibc answers itself.
 */
bool loaded_update(void);

/* Takes from the table what is no longer loaded.  After dlclose, before its place is used again;
 * does not wait for dlopen. */
void loaded_forget(void);

/* Once: added, which may be called on any thread that updates. */
void loaded_on_added(void (*added)(uint64_t start));

/* In a forked child. */
void loaded_after_fork_in_child(void);

#endif

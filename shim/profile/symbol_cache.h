/*
 * What addresses are called, from one profile to the next.
 *
 * Names are valid while the same files are mapped at the same places and nothing was unloaded. The
 * cache has an eighth of scratch, and less if others need it; it is given up when it was not used
 * for ten minutes.
 *
 * One user at a time, on any of the library's threads: another one goes without it, and never
 * waits.
 */
#ifndef CGOHEAP_SYMBOL_CACHE_H
#define CGOHEAP_SYMBOL_CACHE_H

#include "profile/symbolize.h"

/* 0: the caller has the cache until symbol_cache_give, and what it knows is valid for modules.
 * -1: another one has it. */
int symbol_cache_take(const struct modules *modules);
void symbol_cache_give(void);

/* Gives the list's locations what the cache knows of them. Their lines are the cache's, valid until
 * symbol_cache_give. */
void symbol_cache_fill(const struct symbols *symbols);

/* Takes over what is known of the list's locations; all of it or nothing. Call symbol_cache_fill
 * after it. */
void symbol_cache_add(const struct symbols *symbols);

/* Gives the memory up if the cache has not been used for long. Returns the nanoseconds until the
 * next look. */
uint64_t symbol_cache_tick(void);

/* In a child of fork: its memory is the parent's. */
void symbol_cache_forget(void);

#endif

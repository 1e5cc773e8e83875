/*
 * Where a Go program keeps g in thread-local storage: its linker resolves that and leaves no
 * relocation.  The processor's.
 */
#ifndef CGOHEAP_GOTLS_H
#define CGOHEAP_GOTLS_H

#include "go/gomodules.h"

/* *offset: for arch_tls_at.  False: unknown.  In the constructor; the module
 * is in the list. */
bool gotls_is_found(const struct gomodule *program, uint64_t *offset);

#endif

/* A C audit log, as a service would get it from a vendor: Go calls it, and it calls back. */
#ifndef AUDIT_H
#define AUDIT_H

#include <stddef.h>
#include <stdint.h>

/*
 * Appends one event to the log, with the name of who did it, which it asks
 * the service for: audit_actor(request) returns memory that becomes ours.
 */
void audit_record(uintptr_t request, const char *event, size_t event_bytes);

/* The newest line, cut to size; returns its length. */
size_t audit_last(char *line, size_t size);

/* Whether audit_record frees what audit_actor gave it.  It should; by default it does not. */
void audit_set_frees(int frees);

#endif

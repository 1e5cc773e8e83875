/*
 * The last 256 events, in memory.  The leak is the classic one of callbacks
 * that return a string: the callee allocates, each side thinks the other frees.
 */
#include "audit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES      256
#define LINE_BYTES 160

extern char *audit_actor(uintptr_t request); /* exported by audit.go */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char lines[LINES][LINE_BYTES];
static unsigned long count;
static int frees;

void audit_set_frees(int on)
{
	frees = on;
}

void audit_record(uintptr_t request, const char *event, size_t event_bytes)
{
	char *actor = audit_actor(request);

	pthread_mutex_lock(&lock);
	snprintf(lines[count % LINES], LINE_BYTES, "#%lu %.*s by %.60s", count, (int)event_bytes,
		 event, actor);
	count++;
	pthread_mutex_unlock(&lock);
	if (frees)
		free(actor);
}

size_t audit_last(char *line, size_t size)
{
	size_t n = 0;

	pthread_mutex_lock(&lock);
	if (count > 0 && size > 0) {
		n = strnlen(lines[(count - 1) % LINES], size - 1);
		memcpy(line, lines[(count - 1) % LINES], n);
		line[n] = '\0';
	}
	pthread_mutex_unlock(&lock);
	return n;
}

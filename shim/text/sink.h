/* Where bytes go: a socket's answer, a buffer, a file. */
#ifndef CGOHEAP_SINK_H
#define CGOHEAP_SINK_H

#include <stddef.h>

struct sink {
	/* 0; -1 ends the writing (the client is gone, or out of memory). */
	int (*write)(struct sink *sink, const void *bytes, size_t count);
	void *arg;
};

#endif

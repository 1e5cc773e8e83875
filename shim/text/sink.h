/* Where bytes are written: a socket's answer, a buffer, a file. */
#ifndef CGOHEAP_SINK_H
#define CGOHEAP_SINK_H

#include <stddef.h>

struct sink {
	/* 0; -1 stops the writer (the client is gone, or no memory is left). */
	int (*write)(struct sink *sink, const void *bytes, size_t count);
	void *arg;
};

#endif

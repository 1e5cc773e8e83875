/*
 * A list of fixed-size pieces, filled at the end and sent from the front.
 */
#include "text/body.h"

#include <string.h>

#define PIECE_BYTES (16 * KIB)

struct body_piece {
	struct body_piece *next;
	size_t sent, used;
	char bytes[PIECE_BYTES - 24];
};

/* The piece to write to; NULL: out of scratch. */
static struct body_piece *writable_piece(struct body *b)
{
	if (b->last != NULL && b->last->used < sizeof(b->last->bytes))
		return b->last;
	struct body_piece *fresh = scratch_alloc(&b->scratch, sizeof(*fresh));
	if (fresh == NULL)
		return NULL;
	if (b->last != NULL)
		b->last->next = fresh;
	else
		b->first = fresh;
	return b->last = fresh;
}

static int body_write(struct sink *sink, const void *bytes, size_t count)
{
	struct body *b = sink->arg;
	const char *from = bytes;
	while (count > 0) {
		struct body_piece *piece = writable_piece(b);
		if (piece == NULL)
			return -1;
		size_t n = sizeof(piece->bytes) - piece->used;
		if (n > count)
			n = count;
		memcpy(piece->bytes + piece->used, from, n);
		piece->used += n;
		b->bytes += n;
		from += n;
		count -= n;
	}
	return 0;
}

void body_init(struct body *b)
{
	*b = (struct body){
		.scratch = SCRATCH_INIT(region_scratch_max_bytes()),
		.sink = {.write = body_write, .arg = b},
	};
}

void body_release(struct body *b)
{
	scratch_release(&b->scratch);
	body_init(b);
}

const char *body_front(const struct body *b, size_t *count)
{
	*count = b->first != NULL ? b->first->used - b->first->sent : 0;
	return *count > 0 ? b->first->bytes + b->first->sent : NULL;
}

void body_consume(struct body *b, size_t count)
{
	b->first->sent += count;
	if (b->first->sent == b->first->used && b->first->next != NULL)
		b->first = b->first->next;
}

/* See stack_key.h. */
#include "record/stack_key.h"

#include "unwind/pcinfo.h"
#include "record/unloads.h"

struct stack_key stack_key_of(const struct capture *c, uint32_t labels)
{
	return (struct stack_key){.frames = c->frames,
				  .count = c->count,
				  .end = c->end,
				  .omitted_at = c->omitted_at,
				  .labels = labels,
				  .need = c->end >= CAPTURE_NO_ROOM ? CELLS_LAST : CELLS_WHOLE};
}

/* Both halves of a product depend on all bits of both factors (after Wang Yi, wyhash). */
static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

void stack_key_finish(struct stack_key *key)
{
	const uint64_t *f = key->frames;
	uint64_t h = key->count | (uint64_t)key->end << 16 | (uint64_t)key->omitted_at << 32;
	uint32_t i;

	key->unloads = unloads_stamp(key->frames, key->count);
	h ^= key->unloads * UINT64_C(0xC2B2AE3D27D4EB4F) ^
	     key->labels * UINT64_C(0x165667B19E3779F9);
	for (i = 0; i + 1 < key->count; i += 2)
		h = fold(f[i] ^ UINT64_C(0x9E3779B97F4A7C15), f[i + 1] ^ h);
	if (i < key->count)
		h = fold(f[i] ^ UINT64_C(0x9E3779B97F4A7C15), h);
	key->hash = fold(h ^ UINT64_C(0xC2B2AE3D27D4EB4F), UINT64_C(0x165667B19E3779F9));
}

/* ---- no room ---------------------------------------------------------- */

/*
 * C frames from the leaf, then the first frames in Go: the crossing, and the caller of C. The
 * first form has room for `operator new` below the leaf's caller and for a driver's functions
 * below the program's, but there may be many stacks of that form.
 */
static const struct ends {
	uint32_t leaves, frames;
	enum cells_need need;
} ends_forms[STACK_KEY_ENDS_FORMS] = {{3, STACK_KEY_ENDS_FRAMES, CELLS_ENDS},
				      {2, STACK_KEY_ENDS_FEWER, CELLS_COARSE},
				      {1, 1, CELLS_LAST}};

static bool is_go(uint64_t frame)
{
	enum pcinfo_kind kind = pcinfo_at(frame - 1).kind;

	return kind == PCINFO_GO || kind == PCINFO_ASMCGOCALL;
}

struct stack_key stack_key_ends(const struct capture *c, size_t n,
				uint64_t frames[STACK_KEY_ENDS_FRAMES])
{
	const struct ends *form = &ends_forms[n];
	uint32_t count = 0, go = 0;
	struct stack_key key = {.frames = frames, .end = CAPTURE_NO_ROOM, .need = form->need};

	while (go < c->count && !is_go(c->frames[go])) {
		if (go < form->leaves)
			frames[count++] = c->frames[go];
		go++;
	}
	if (go > count && go < c->count && count < form->frames)
		key.omitted_at = count;
	while (go < c->count && count < form->frames)
		frames[count++] = c->frames[go++];
	key.count = count;
	return key;
}

/* See recorder_account.h. */
#include "recorder/recorder_account.h"

#include <string.h>
#define ZLIB_CONST /* zlib reads its input only */
#include <zlib.h>

#include "text/gzip.h"
#include "profile/account_json.h"

#define WITHOUT_STACKS "the stacks that mapped most are not recorded: they had no room"

static_assert(OWNER_COUNT <= RECORDING_OWNERS, "a new owner needs room");

static int append(struct sink *sink, const void *bytes, size_t count)
{
	struct recording_account *out = sink->arg;
	if (count > sizeof(out->json) - out->bytes)
		return -1;
	memcpy(out->json + out->bytes, bytes, count);
	out->bytes += (uint32_t)count;
	return 0;
}

static int compress_bytes(struct sink *sink, const void *bytes, size_t count)
{
	struct gzip *gzip = sink->arg;
	gzip_write(gzip, bytes, count);
	return gzip_failed(gzip) ? -1 : 0;
}

/* -1: it does not fit, or scratch was exhausted. */
static int write_json(struct recording_account *out, struct scratch *scratch,
		      const struct account *a, const struct account_parts *parts)
{
	struct sink slot = {.write = append, .arg = out};
	struct gzip *gzip = gzip_open(scratch, &slot, GZIP_SMALL);
	if (!gzip)
		return -1;
	struct sink sink = {.write = compress_bytes, .arg = gzip};
	struct json j;
	out->bytes = 0;
	json_init(&j, &sink);
	account_json_write(&j, NULL, scratch, a, parts);
	bool ok = json_finish(&j) == 0;
	return gzip_close(gzip) == 0 && ok ? 0 : -1;
}

static void warn(struct account *a, const char *warning)
{
	size_t i = 0;
	while (i < ACCOUNT_WARNINGS - 1 && a->warnings[i])
		i++;
	a->warnings[i] = warning;
}

/* Made beside the file, so that a slot is torn for no longer than a copy takes. */
int recorder_account_write(struct recording *recording, uint64_t sequence, struct scratch *scratch,
			   struct account *a, const struct account_parts *parts)
{
	const struct account_parts none = {0};
	struct recording_account *made = scratch_alloc(scratch, sizeof(*made));
	if (!made)
		return -1;
	made->sequence = sequence;
	if (write_json(made, scratch, a, parts)) {
		warn(a, WITHOUT_STACKS);
		if (write_json(made, scratch, a, &none))
			return -1;
	}
	size_t head = offsetof(struct recording_account, json);
	made->crc = (uint32_t)crc32(0, (const Bytef *)&made->bytes,
				    (uInt)(head - sizeof(made->crc) + made->bytes));
	memcpy(&recording->accounts[sequence % RECORDING_ACCOUNTS], made, head + made->bytes);
	return 0;
}

static uint32_t pages(uint64_t bytes)
{
	uint64_t n = bytes / PAGE_BYTES + (bytes % PAGE_BYTES >= PAGE_BYTES / 2);
	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

void recorder_account_remember(struct recording_second *out, const struct account *a)
{
	out->account_ns = a->time_ns;
	out->unexplained_pages = pages(a->unexplained_bytes);
	for (size_t i = 0; i < RECORDING_OWNERS; i++)
		out->owner_pages[i] = i < OWNER_COUNT && a->owners[i].known
					      ? pages(a->owners[i].resident)
					      : UINT32_MAX;
}

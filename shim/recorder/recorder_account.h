/*
 * Accounts for a later reader (recorder.h).  Private to recorder*.c.
 */
#ifndef CGOHEAP_RECORDER_ACCOUNT_H
#define CGOHEAP_RECORDER_ACCOUNT_H

#include "recorder/recorder.h"

/*
 * sequence: one more than the last one's, from 1; over the older of the two.  A process that
 * is killed on the way leaves the newer one whole.  False: scratch was exhausted, nothing is
 * written.
 */
bool recorder_account_write(struct recording *recording, uint64_t sequence, struct scratch *scratch,
			    const struct account *a, const struct account_parts *parts);

/* What a second has of it. */
void recorder_account_remember(struct recording_second *out, const struct account *a);

#endif

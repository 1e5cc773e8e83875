/*
 * Accounts for a later reader (recorder.h).  Private to recorder*.c.
 */
#ifndef CGOHEAP_RECORDER_ACCOUNT_H
#define CGOHEAP_RECORDER_ACCOUNT_H

#include "recorder/recorder.h"

/*
 * What /v1/account would answer, over the older of the two.  sequence: one more than the last
 * one's, from 1.  A process that is killed on the way leaves the newer one whole.  Where the
 * stacks that mapped most have no room, the account is written without them and has a warning.
 * -1: scratch was exhausted, nothing is written.
 */
int recorder_account_write(struct recording *recording, uint64_t sequence, struct scratch *scratch,
			   struct account *a, const struct account_parts *parts);

/* What a second has of it. */
void recorder_account_remember(struct recording_second *out, const struct account *a);

#endif

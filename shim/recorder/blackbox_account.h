/*
 * Accounts for a later reader (blackbox.h).  Private to blackbox*.c.
 */
#ifndef CGOHEAP_BLACKBOX_ACCOUNT_H
#define CGOHEAP_BLACKBOX_ACCOUNT_H

#include "recorder/blackbox.h"

/*
 * sequence: one more than the last one's, from 1; over the older of the two.  A process that
 * is killed on the way leaves the newer one whole.  False: scratch was exhausted, nothing is
 * written.
 */
bool blackbox_account_write(struct blackbox *box, uint64_t sequence, struct scratch *scratch,
			    const struct account *a, const struct account_parts *parts);

/* What a moment has of it. */
void blackbox_account_remember(struct blackbox_moment *out, const struct account *a);

#endif

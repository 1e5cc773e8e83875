/*
 * For builds with CGOHEAP_CHECK_WALKS (make checked-walks): each stack is walked both ways, and the
 * two must be the same.
 */
#ifndef CGOHEAP_CHECKWALKS_H
#define CGOHEAP_CHECKWALKS_H

#include "unwind/capture.h"

/* Ends the process, with both stacks on stderr, unless frames, end and gap are the same. */
void checkwalks_compare(const struct capture *quick, const struct capture *all);

#endif

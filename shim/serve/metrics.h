/*
 * The account and the shim's own counters for Prometheus: its text format 0.0.4,
 * which OpenMetrics scrapers take too.  A figure that is not known has no line.
 */
#ifndef CGOHEAP_METRICS_H
#define CGOHEAP_METRICS_H

#include "account/account.h"
#include "profile/profile.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* 0, or -1 when the sink failed. */
int metrics_write(struct sink *sink, const struct account *account);

#endif

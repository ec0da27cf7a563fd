/* SPDX-License-Identifier: MIT */
/* The file of the TAI64N lease: one line, seconds and nanoseconds of the wall clock, "1790000000.000000000". */
#ifndef GATEWAY_DAEMON_LEASE_H
#define GATEWAY_DAEMON_LEASE_H

#include "gateway/base/mono.h"

#include <stdio.h>

#define GW_LEASE_LINE_MAX 64u

/* false: it makes no sense, and *lease is untouched. */
bool gw_lease_read(struct gw_wall *lease, FILE *file);
/* Returns the line's length. */
size_t gw_lease_format(struct gw_wall lease, char out[GW_LEASE_LINE_MAX]);

#endif

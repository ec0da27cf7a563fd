/* SPDX-License-Identifier: MIT */
/* Two local sockets joined without a stream, for what a proxy passes on directly: half-close, reset and backpressure as in splice.h. A
 * direction holds a buffer only while bytes wait in it. */
#ifndef GATEWAY_LOCAL_PAIR_H
#define GATEWAY_LOCAL_PAIR_H

#include "gateway/link/loop.h"

#include <stddef.h>
#include <stdint.h>

struct gw_pair;
/* Both ended, or one broke; the pointer is invalid after the call. */
typedef void gw_pair_fn(struct gw_pair *pair, void *user);

/* Takes both non-blocking sockets (closed on failure too). `first`: bytes for b that were read from a already; copied. limit: how many more a may
 * send, UINT64_MAX = any number. 0 or GW_E_NOMEM. */
int gw_pair_new(struct gw_pair **out, struct gw_loop *loop, int a, int b, const void *first, size_t len,
                uint64_t limit, gw_pair_fn *on_end, void *user);
/* Closes both; on_end is not called. */
void gw_pair_close(struct gw_pair *pair);

#endif

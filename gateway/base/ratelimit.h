/* SPDX-License-Identifier: MIT */
/* Token buckets: a single one, and a bounded table of them by address prefix (/32 or /64) for strangers'
 * handshakes (docs/PROTOCOL.md, "Cookies and load"). A newcomer takes over the fullest bucket, with its
 * tokens; memory is fixed at birth. */
#ifndef GATEWAY_BASE_RATELIMIT_H
#define GATEWAY_BASE_RATELIMIT_H

#include "gateway/base/mono.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gw_bucket {
    double tokens;
    struct gw_mono filled; /* when tokens was right */
};

/* Starts full. rate: tokens a second. true = `amount` tokens were there and are taken; false takes none. A
 * `now` before the last one adds nothing. */
void gw_bucket_init(struct gw_bucket *bucket, double burst, struct gw_mono now);
bool gw_bucket_take(struct gw_bucket *bucket, double rate, double burst, double amount, struct gw_mono now);

struct gw_ratelimit; /* heap object, fixed size from birth */

/* rate a second and burst per key; at most `max_keys` (> 0) keys are remembered. NULL without memory. seed:
 * 16 bytes. */
struct gw_ratelimit *gw_ratelimit_new(double rate, double burst, size_t max_keys, const uint8_t seed[16]);
void gw_ratelimit_free(struct gw_ratelimit *limit);
/* May a packet from this prefix (8 bytes: IPv6 /64, or IPv4 /32 in the first 4 with the rest zero) pass? */
bool gw_ratelimit_take(struct gw_ratelimit *limit, const uint8_t prefix[8], struct gw_mono now);

#endif

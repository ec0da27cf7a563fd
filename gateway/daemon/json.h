/* SPDX-License-Identifier: MIT */
/* What several control commands say, of counters and of a peer, as JSON. */
#ifndef GATEWAY_DAEMON_JSON_H
#define GATEWAY_DAEMON_JSON_H

#include "gateway/daemon/guests.h"
#include "gateway/daemon/peers.h"

#include <jansson.h>

/* An object of counters. */
struct gw_json_counter {
    const char *name;
    uint64_t value;
};
json_t *gw_json_counters(const struct gw_json_counter *counters, size_t count);
#define GW_JSON_COUNTERS(...)                                       \
    gw_json_counters((const struct gw_json_counter[]){__VA_ARGS__}, \
                     sizeof((const struct gw_json_counter[]){__VA_ARGS__}) / sizeof(struct gw_json_counter))
json_t *gw_json_count(uint64_t value);

/* A duration in milliseconds with three decimals. */
json_t *gw_json_ms(int64_t ns);
/* Seconds from `then` to now with three decimals; null for GW_NEVER. */
json_t *gw_json_ago(struct gw_mono then, struct gw_mono now);
/* "state", "path": {"kind", "endpoint", ...} or null, "seal_conflict": {"code", "text"} or null. */
void gw_json_add_way(json_t *object, const struct gw_peer *peer, struct gw_mono now);
/* "name", "peer_id" (null when only the X25519 key is known), "public_key". */
void gw_json_add_who(json_t *object, const struct gw_peer *peer);
/* "name", "peer_id", "public_key", "reason": {"code", "text"}. */
json_t *gw_json_refused_peer(const struct gw_refused_peer *refused);
/* Everything `status` tells of a peer. guest: NULL without one. */
json_t *gw_json_peer(const struct gw_peer *peer, const struct gw_guest *guest, bool has_tun,
                     struct gw_mono now);

#endif

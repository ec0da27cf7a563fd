/* SPDX-License-Identifier: MIT */
/* Answers of upstreams, kept for as long as they say: bounded in entries and bytes, the least used goes first. Sans-IO. */
#ifndef FRONTENDS_DNS_CACHE_H
#define FRONTENDS_DNS_CACHE_H

#include "frontends/dns/message.h"
#include "gateway/base/mono.h"
#include "gateway/base/random.h"

#include <assert.h>

/* What was asked, apart from who asked. */
struct gw_dns_key {
    uint8_t name[GW_DNS_WIRE_NAME_MAX + 1]; /* lower case, zeros behind it */
    uint16_t type;
    uint8_t wants_dnssec, is_unchecked; /* DO and CD: other answers */
};
static_assert(sizeof(struct gw_dns_key) == 260, "a map key without padding");

void gw_dns_key_of(struct gw_dns_key *out, const struct gw_dns_query *query);

struct gw_dns_cache;
/* NULL without memory. */
struct gw_dns_cache *gw_dns_cache_new(size_t entries_max, struct gw_random *random);
void gw_dns_cache_free(struct gw_dns_cache *cache);
/* A message without OPT, copied; nothing happens when it is too long to keep, or ttl is 0. */
void gw_dns_cache_put(struct gw_dns_cache *cache, const struct gw_dns_key *key, const uint8_t *message,
                      size_t len, uint32_t ttl, struct gw_mono now);
/* Lent until the next call; *age_s is how long it has been here. An empty view when there is none. */
struct gw_view gw_dns_cache_get(struct gw_dns_cache *cache, const struct gw_dns_key *key, struct gw_mono now,
                                uint32_t *age_s);
size_t gw_dns_cache_count(const struct gw_dns_cache *cache);

#endif

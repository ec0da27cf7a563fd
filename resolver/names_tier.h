/* SPDX-License-Identifier: MIT */
/* The tier of the owner's own names (names.yaml): a table that the daemon fills. Asked before all others. */
#ifndef RESOLVER_NAMES_TIER_H
#define RESOLVER_NAMES_TIER_H

#include "resolver/resolver.h"

/* One line of the file. */
struct gw_names_entry {
    const char *host;    /* one label */
    const char *network; /* "" = in any network that has the peer */
    const char *service; /* "" = none */
    uint8_t public_key[GW_KEY_LEN];
};

struct gw_names_tier;
/* NULL without memory. resolver: whose gateways the keys are looked up in. Add it with gw_resolver_add_tier(resolver, gw_names_tier_of(names)),
 * free it after the resolver. */
struct gw_names_tier *gw_names_tier_new(struct gw_resolver *resolver);
void gw_names_tier_free(struct gw_names_tier *names);
struct gw_resolver_tier *gw_names_tier_of(struct gw_names_tier *names);
/* Replaces the whole table (a reload); copied. 0, GW_E_NOMEM, GW_E_INVAL (an entry is no label; *bad is its index): the old table stays. */
int gw_names_tier_set(struct gw_names_tier *names, const struct gw_names_entry *entries, size_t count,
                      size_t *bad);

#endif

/* SPDX-License-Identifier: MIT */
/* Endpoints that are host names: looked up without blocking, and again as time passes and when a peer cannot be reached, since a name is
 * written instead of an address where the address changes. */
#ifndef GATEWAY_DAEMON_ENDPOINTS_H
#define GATEWAY_DAEMON_ENDPOINTS_H

#include "gateway/config/config.h"
#include "gateway/gateway.h"
#include "gateway/link/loop.h"

/* The lookups of a daemon: a DNS client that exists from the first name on. */
struct gw_endpoints;
/* NULL without memory. */
struct gw_endpoints *gw_endpoints_new(struct gw_loop *loop);
/* Every lookup must have been freed. */
void gw_endpoints_free(struct gw_endpoints *endpoints);
/* Is there a lookup of this host name? Case does not count. */
bool gw_endpoints_has_name(const struct gw_endpoints *endpoints, const char *host);

/* One list of endpoints: a peer's, the STUN servers. */
struct gw_lookup;
struct gw_lookup_params {
    /* All that is known now, whenever something was learnt; at most GW_PEER_ENDPOINTS_MAX. Lent for the call. */
    void (*on_found)(struct gw_mono now, const struct gw_addr *addrs, unsigned count, void *ctx);
    const char *(*whose)(void *ctx); /* for the log */
    void *ctx;
};
/* Starts at once. The items are copied; at most GW_PEER_ENDPOINTS_MAX count. *out is NULL when none is a name. 0 or GW_E_NOMEM. */
int gw_lookup_new(struct gw_lookup **out, struct gw_endpoints *endpoints,
                  const struct gw_lookup_params *params, const struct gw_config_endpoint *items,
                  size_t count);
/* Before whoever is told is gone. NULL is fine. */
void gw_lookup_free(struct gw_lookup *lookup);
/* What was found could not be reached, or the network changed: look again, unless that was just done. NULL is fine. */
void gw_lookup_again(struct gw_lookup *lookup);

#endif

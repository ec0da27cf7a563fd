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

/* One peer's endpoints. */
struct gw_lookup;
/* Starts at once; peer's endpoints are set whenever something was learnt. config is copied. *out is NULL when no endpoint is a name. 0 or GW_E_NOMEM. */
int gw_lookup_new(struct gw_lookup **out, struct gw_endpoints *endpoints, struct gw_peer *peer,
                  const struct gw_config_peer *config);
/* Before the peer is removed. NULL is fine. */
void gw_lookup_free(struct gw_lookup *lookup);
/* The peer could not be reached, or the network changed: look again, unless that was just done. NULL is fine. */
void gw_lookup_again(struct gw_lookup *lookup);

#endif

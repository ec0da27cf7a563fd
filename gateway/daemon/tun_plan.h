/* SPDX-License-Identifier: MIT */
/* What the networks want of the machine's set-up: our addresses in each, routes to their peers from there, and what has to stay outside the tunnel. */
#ifndef GATEWAY_DAEMON_TUN_PLAN_H
#define GATEWAY_DAEMON_TUN_PLAN_H

#include "frontends/tun/plan.h"
#include "gateway/daemon/network.h"

struct gw_tun_plan {
    struct gw_plan_input input; /* of the arrays below */
    struct gw_prefix *addresses;
    struct gw_plan_route *routes;
    struct gw_addr *endpoints, *carriers;
    uint16_t *ports;
};

/* networks: a daemon's list, not empty. device: borrowed. with_routes: `tun.routes`. 0 or GW_E_NOMEM; gw_tun_plan_fini either way. */
int gw_tun_plan_make(struct gw_tun_plan *plan, const char *device, const struct gw_list *networks,
                     bool with_routes);
void gw_tun_plan_fini(struct gw_tun_plan *plan);

/* Ours in the network, with the lengths of their prefixes; how many. */
size_t gw_tun_own_prefixes(const struct gw_network *network, struct gw_prefix out[GW_ADDRESSES_OWN_MAX]);

#endif

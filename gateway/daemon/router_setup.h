/* SPDX-License-Identifier: MIT */
/* The virtual IP router over the guests of all networks: each has its address there, with the ports of the services it told. */
#ifndef GATEWAY_DAEMON_ROUTER_SETUP_H
#define GATEWAY_DAEMON_ROUTER_SETUP_H

#include "gateway/daemon/guests.h"

struct gw_router_setup { /* zero: there is none */
    struct gw_vrouter *router;
};

/* There is a router from now on with each guest of the networks under its address of now, or there is none. */
void gw_router_setup_apply(struct gw_router_setup *setup, struct gw_loop *loop,
                           const struct gw_list *networks, bool is_wanted, struct gw_mono now);
/* What it told it offers is listened for. */
void gw_router_setup_services(struct gw_guest *guest, struct gw_mono now);
/* It goes, and its connections end. */
void gw_router_setup_leave(struct gw_guest *guest, struct gw_mono now);

#endif

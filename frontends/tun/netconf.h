/* SPDX-License-Identifier: MIT */
/* Keeps the machine's network set-up as planned: makes it, journals it before, puts back what others take away, and takes all of it back at the end.
 * What a killed daemon left is taken back first. */
#ifndef FRONTENDS_TUN_NETCONF_H
#define FRONTENDS_TUN_NETCONF_H

#include "frontends/tun/plan.h"
#include "gateway/link/loop.h"

struct gw_netconf;

struct gw_netconf_params {
    struct gw_loop *loop;
    const char *journal; /* path */
    unsigned mtu;
    /* The interface is not there any more. Called from the loop, not from within a call of ours. */
    void (*on_lost)(void *ctx);
    void *ctx;
};

/* Takes back what the journal says. 0 or -errno (without netlink, or rights to use it). */
int gw_netconf_new(struct gw_netconf **out, const struct gw_netconf_params *params);
/* From what was planned before to this. What cannot be done is logged. 0, or the first error. The input is not kept. */
int gw_netconf_apply(struct gw_netconf *netconf, const struct gw_plan_input *input);
/* Undoes everything. NULL is fine. */
void gw_netconf_free(struct gw_netconf *netconf);

#endif

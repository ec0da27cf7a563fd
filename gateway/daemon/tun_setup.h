/* SPDX-License-Identifier: MIT */
/* The TUN front-end as the configuration asks for it: opened before the engine (which has to know whether checksums may be left out), set up
 * when the peers are there, opened again when somebody deletes it. */
#ifndef GATEWAY_DAEMON_TUN_SETUP_H
#define GATEWAY_DAEMON_TUN_SETUP_H

#include "frontends/tun/device.h"
#include "frontends/tun/lanes.h"
#include "frontends/tun/netconf.h"
#include "gateway/config/config.h"
#include "gateway/config/dir.h"
#include "gateway/daemon/network.h"

struct gw_tun_setup { /* zero: there is none */
    struct gw_loop *loop;
    struct gw_device *device;
    struct gw_tun_lanes *lanes;     /* NULL: the loop does it all */
    struct gw_netconf *netconf;     /* NULL: the interface's owner sees to addresses and routes */
    const struct gw_list *networks; /* struct gw_network.node; borrowed for life */
    const struct gw_config *config; /* borrowed until the next apply */
    char dir[GW_DIR_PATH_MAX];
    unsigned lanes_wanted;
    bool was_accelerated; /* since the start */
    struct event *reopen;
    unsigned reopen_s;
};

/* Opens the interface if the configuration wants one. 0, or an error with the reason in diag. */
int gw_tun_setup_open(struct gw_tun_setup *setup, struct gw_loop *loop, const struct gw_config *config,
                      const char *dir, struct gw_diag *diag);
/* Addresses, routes, packets. Then privileges are given up. 0 (also where not all could be set up: a warning), or an error with the reason in diag: an address range that the machine has elsewhere. networks: borrowed for life. */
int gw_tun_setup_start(struct gw_tun_setup *setup, const struct gw_list *networks, struct gw_diag *diag);
/* The networks, their peers or the configuration changed. */
void gw_tun_setup_apply(struct gw_tun_setup *setup, const struct gw_config *config);
/* The same networks: their peers' addresses may be others. */
void gw_tun_setup_replan(struct gw_tun_setup *setup);
/* Says which of these, with the configuration that comes next, only a restart brings: `lanes` where the interface was made without queues for them, or `tun.accelerate` was on. */
void gw_tun_setup_warn(const struct gw_tun_setup *setup, const struct gw_config *fresh, struct gw_diag *diag);
/* The main thread does it all from now on. */
void gw_tun_setup_end_lanes(struct gw_tun_setup *setup);
/* A network is about to go: the main thread does it all. Others that it had lanes with get theirs back with the next gw_tun_setup_apply. */
void gw_tun_setup_leave_lanes(struct gw_tun_setup *setup, const struct gateway *gateway);
/* It goes: lanes as above, and its packets are nobody's. */
void gw_tun_setup_forget(struct gw_tun_setup *setup, const struct gateway *gateway);
void gw_tun_setup_fini(struct gw_tun_setup *setup);

static inline bool gw_tun_setup_takes_partial(const struct gw_tun_setup *setup)
{
    return setup->device && (gw_device_tun(setup->device)->offload & GW_TUN_CHECKSUM);
}

#endif

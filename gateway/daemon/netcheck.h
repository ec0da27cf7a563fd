/* SPDX-License-Identifier: MIT */
/* What the network around this node lets through: asked of the anchors, of the STUN servers and of the router, within a few seconds. For the control socket's
 * `netcheck`, and for the command where no daemon runs. */
#ifndef GATEWAY_DAEMON_NETCHECK_H
#define GATEWAY_DAEMON_NETCHECK_H

#include "gateway/daemon/daemon.h"

struct gw_netcheck;

/* answer: the caller's. The check is gone when this is called. */
typedef void gw_netcheck_fn(json_t *answer, void *ctx);

/* Of one network, or of all (only: NULL). Begins at once; on_done is called from the loop, within 10 s. 0 or GW_E_NOMEM. */
int gw_netcheck_new(struct gw_netcheck **out, struct gw_daemon *daemon, const struct gw_network *only,
                    gw_netcheck_fn *on_done, void *ctx);
/* Before its end: on_done is not called. NULL is fine. */
void gw_netcheck_free(struct gw_netcheck *check);

/* netcheck_json.c: what is known now. has_tcp: GW_TCP_... of the attempts. */
enum gw_netcheck_tcp {
    GW_TCP_NOT_TRIED,
    GW_TCP_BLOCKED,
    GW_TCP_WORKS,
    GW_TCP_WORKS_AND_UDP, /* it arrives: the machine there says that nobody listens */
    GW_TCP_CAPTURED,      /* somebody answers for an address that nobody has */
};
json_t *gw_netcheck_json(const struct gw_network *network, enum gw_netcheck_tcp tcp, struct gw_mono now);
/* Does anybody answer by UDP, of IPv4 or IPv6 (4, 6; 0: either)? *is_asked: there is somebody to ask. */
bool gw_netcheck_has_udp(const struct gw_network *network, uint8_t family, struct gw_mono now,
                         bool *is_asked);

#endif

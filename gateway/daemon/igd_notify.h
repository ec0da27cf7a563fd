/* SPDX-License-Identifier: MIT */
/* Hears what a UPnP router tells everybody (gateway/portmap/ssdp.h): that it has started again, which loses what it was asked to forward. */
#ifndef GATEWAY_DAEMON_IGD_NOTIFY_H
#define GATEWAY_DAEMON_IGD_NOTIFY_H

#include "gateway/portmap/ssdp.h"
#include "gateway/wire/addr.h"

#include <event2/event.h>

struct gw_igd_notify {
    int fd;                 /* -1: closed */
    struct event *readable; /* NULL while closed */
    struct gw_addr router;
    struct gw_ssdp_watch watch;
    void (*on_alive)(bool is_anew, void *ctx);
    void *ctx;
};

void gw_igd_notify_init(struct gw_igd_notify *notify);
/* Listens on the interface with the address `client`, to the router alone; from the beginning where it does already. on_alive: the router says that it is there; is_anew: it has started since it
 * was last heard, or is heard for the first time. Without such a socket nothing is heard. */
void gw_igd_notify_open(struct gw_igd_notify *notify, struct event_base *base, const struct gw_addr *router,
                        const struct gw_addr *client, void (*on_alive)(bool is_anew, void *ctx), void *ctx);
/* Safe on one that is closed. */
void gw_igd_notify_close(struct gw_igd_notify *notify);

#endif

/* SPDX-License-Identifier: MIT */
/* Sockets besides the primary one, by number: for measuring the NAT, and many at once for a birthday search. Whoever opens one holds it; one that a path has come to use stays
 * open when it is let go, until no peer has such a path any more. For gateway/ only. */
#ifndef GATEWAY_DISCOVERY_LINKS_H
#define GATEWAY_DISCOVERY_LINKS_H

#include "gateway/peer/host.h"

#define GW_LINK_FIRST 2u   /* of those that come and go; before it are GW_LINK_PRIMARY and GW_LINK_SECOND */
#define GW_LINKS_MAX 1024u /* numbers are below it */

struct gw_links {
    struct gw_peer_host *host;
    struct gw_deadline sweep;
    uint32_t next;
    unsigned open_count;
    uint8_t state[GW_LINKS_MAX]; /* enum in links.c */
};

/* 0 or GW_E_NOMEM. */
int gw_links_init(struct gw_links *links, struct gw_peer_host *host);
/* Closes all. */
void gw_links_fini(struct gw_links *links);
/* A new IPv4 socket on a port of the system's choice: its number and that port. 0, or -errno (the limit of open files, or there are no further sockets
 * here: -ENOTSUP). */
int gw_links_open(struct gw_links *links, uint32_t *link, uint16_t *port);
/* No longer held: it is closed, now or when the last path by it is gone. */
void gw_links_release(struct gw_links *links, uint32_t link);

#endif

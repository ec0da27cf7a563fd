/* SPDX-License-Identifier: MIT */
/* What every front-end is given and may assume: a loop, a resolver, a dialer. None knows of a single gateway: which one a name belongs to, the resolver
 * says. */
#ifndef FRONTENDS_FRONTEND_H
#define FRONTENDS_FRONTEND_H

#include <stdbool.h>

struct gateway;
struct gw_dialer;
struct gw_loop;
struct gw_open;
struct gw_packet_dialer;
struct gw_resolver;
struct gw_target;

/* Borrowed for the front-end's life. */
struct gw_frontend {
    struct gw_loop *loop;
    struct gw_resolver *resolver;
    struct gw_dialer *dialer;
    struct gw_packet_dialer *packets; /* to peers that have only packets, and what lies behind peers */
    /* Where this node's own service listens, for names that are this node's own; false = not listed. May be NULL: nothing is. */
    bool (*own_service)(void *ctx, struct gateway *gateway, const struct gw_open *open,
                        struct gw_target *out);
    void *ctx;
};

#endif

/* SPDX-License-Identifier: MIT */
/* What every front-end is given and may assume: a loop, a resolver, a dialer. None knows of a single gateway: which one a name belongs to, the resolver
 * says. */
#ifndef FRONTENDS_FRONTEND_H
#define FRONTENDS_FRONTEND_H

#include "gateway/base/mono.h"

#include <stdbool.h>

struct gateway;
struct gw_dialer;
struct gw_loop;
struct gw_open;
struct gw_packet_dialer;
struct gw_peer;
struct gw_resolver;
struct gw_target;

/* How long a connection to a peer may take to be made, whoever asks for it, unless the configuration says otherwise. */
#define GW_OPENING_TIMEOUT GW_S(30)

/* What keeps data from passing to a peer. Static sentences without a full stop. */
struct gw_hindrance {
    const char *sentence;
    const char *advice; /* "": none */
    bool is_final;      /* it will not pass within seconds either: waiting is in vain */
};

/* Borrowed for the front-end's life. */
struct gw_frontend {
    struct gw_loop *loop;
    struct gw_resolver *resolver;
    struct gw_dialer *dialer;
    struct gw_packet_dialer *packets; /* to peers that have only packets, and what lies behind peers */
    /* Where this node's own service listens, for names that are this node's own; false = not listed. May be NULL: nothing is. */
    bool (*own_service)(void *ctx, struct gateway *gateway, const struct gw_open *open,
                        struct gw_target *out);
    /* Asked about a peer to which a connection is being made; false: nothing hinders it. May be NULL: nothing is known. */
    bool (*hindered)(struct gw_peer *peer, struct gw_hindrance *out, struct gw_mono now);
    int64_t opening_timeout_ns; /* 0 = GW_OPENING_TIMEOUT */
    void *ctx;
};

static inline bool gw_frontend_hindered(const struct gw_frontend *frontend, struct gw_peer *peer,
                                        struct gw_hindrance *out, struct gw_mono now)
{
    return peer && frontend->hindered && frontend->hindered(peer, out, now);
}

static inline int64_t gw_frontend_opening_timeout(const struct gw_frontend *frontend)
{
    return frontend->opening_timeout_ns ? frontend->opening_timeout_ns : GW_OPENING_TIMEOUT;
}

#endif

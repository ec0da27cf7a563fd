/* SPDX-License-Identifier: MIT */
/* How a peer is reached, or why it is not, in one sentence for a person: what `why` says, and whoever waited for a connection in vain. */
#ifndef GATEWAY_DAEMON_CONCLUDE_H
#define GATEWAY_DAEMON_CONCLUDE_H

#include "frontends/frontend.h"
#include "gateway/gateway.h"

/* Sentences without a full stop, static. */
struct gw_conclusion {
    const char *verdict;
    const char *advice; /* what would have to change; NULL: nothing */
    bool has_way;       /* the peer answers */
    bool is_blocked;    /* no data passes now */
    bool is_final;      /* and none will within seconds: what there was to be tried has failed */
};

struct gw_conclusion gw_conclude(const struct gw_peer *peer, const struct gw_peer_status *status,
                                 const struct gw_reach_view *view, struct gw_mono now);
/* For struct gw_frontend: false = data passes. */
bool gw_hindered(struct gw_peer *peer, struct gw_hindrance *out, struct gw_mono now);

#endif

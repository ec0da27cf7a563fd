/* SPDX-License-Identifier: MIT */
/* What discovery tells people: plain data for `status` and `why`. */
#ifndef GATEWAY_DISCOVERY_VIEW_H
#define GATEWAY_DISCOVERY_VIEW_H

#include "gateway/base/mono.h"
#include "gateway/wire/addr.h"

#include <stdbool.h>

struct gw_peer;
struct gw_anchor_use;

struct gw_anchor_view {
    struct gw_peer *peer;
    bool is_connected;
    bool is_registered;
    bool is_refused;         /* it answers, but does not serve us: see refusal */
    unsigned refusal;        /* peergate_Refusal of the last registration */
    unsigned tags;           /* registered with it */
    struct gw_addr observed; /* how it sees us; family 0 = not told yet */
    int64_t rtt_ns;          /* 0 = unknown */
};

#endif

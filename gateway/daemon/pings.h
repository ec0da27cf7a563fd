/* SPDX-License-Identifier: MIT */
/* The pings of one network that control clients asked for: PING frames through the session, one line of JSON for each answer or loss. */
#ifndef GATEWAY_DAEMON_PINGS_H
#define GATEWAY_DAEMON_PINGS_H

#include "gateway/daemon/control.h"
#include "gateway/daemon/echo.h"
#include "gateway/gateway.h"

struct gw_pings {
    struct gw_loop *loop;
    struct gw_echo *echo; /* for peers that have only packets */
    struct gw_list list;
};

struct gw_ping_params {
    struct gw_peer *peer;
    unsigned count; /* 0 = until the client goes away */
    unsigned interval_ms;
};

void gw_pings_init(struct gw_pings *pings, struct gw_loop *loop, struct gw_echo *echo);
/* The network goes: the clients are told. Zeroed is fine. */
void gw_pings_fini(struct gw_pings *pings);
/* As a task of the client, from now on. */
void gw_pings_start(struct gw_pings *pings, struct gw_control_client *client,
                    const struct gw_ping_params *params);
/* For gw_gateway_events.on_pong. */
void gw_pings_on_pong(struct gw_pings *pings, struct gw_peer *peer, uint32_t id, int64_t rtt_ns,
                      struct gw_mono now);

#endif

/* SPDX-License-Identifier: MIT */
/* How a network finds out where it is reached from outside, beside what anchors tell: the STUN servers of its configuration, and the port that the router forwards, or lets through. */
#ifndef GATEWAY_DAEMON_OUTSIDE_H
#define GATEWAY_DAEMON_OUTSIDE_H

#include "gateway/daemon/endpoints.h"
#include "gateway/daemon/port_mapping.h"

struct gw_outside {
    struct gateway *gateway; /* NULL before gw_outside_init */
    struct gw_endpoints *endpoints;
    struct gw_lookup *lookup; /* of the STUN servers that are names; NULL = none is */
    struct gw_config_endpoint stun[GW_STUN_SERVERS_MAX];
    size_t stun_count;
    struct gw_port_mapping mapping; /* of IPv4 */
    struct gw_port_mapping pinhole; /* of IPv6 */
};

/* on_change: gw_port_mapping_external of either is another one. Everything is borrowed for life; secret is read now. 0 or GW_E_NOMEM. */
int gw_outside_init(struct gw_outside *outside, struct gw_loop *loop, struct gateway *gateway,
                    struct gw_endpoints *endpoints, const uint8_t secret[32], void (*on_change)(void *ctx),
                    void *ctx);
/* May wait for the router, two seconds at most. Safe without init, and twice. */
void gw_outside_fini(struct gw_outside *outside);
/* As the configuration says from now on, for the port that the network has. */
void gw_outside_apply(struct gw_outside *outside, const struct gw_config_network *config, uint16_t port,
                      struct gw_mono now);
/* Somebody outside sees us elsewhere: is what the router was asked for still there? Safe within an event of the engine's, and before init. */
void gw_outside_doubt(struct gw_outside *outside, struct gw_mono now);
/* The network changed. (The engine asks the STUN servers by itself.) */
void gw_outside_kick(struct gw_outside *outside, struct gw_mono now);

#endif

/* SPDX-License-Identifier: MIT */
/* `peergate ping` of peers that have only packets (a stock WireGuard peer): by ICMP echo. Who is pinged answers elsewhere: the kernel, or the netstack. */
#ifndef GATEWAY_DAEMON_ECHO_H
#define GATEWAY_DAEMON_ECHO_H

#include "gateway/gateway.h"
#include "netstack/icmp.h"

#define GW_ECHO_MAX 64u /* requests without an answer that are remembered; the oldest makes room */

struct gw_echo_sent {
    uint32_t id; /* ICMP id and sequence; 0 = free */
    struct gw_mono at;
};

struct gw_echo {
    struct gw_addr addresses[2]; /* own, family 0 = none */
    uint16_t next_seq;
    unsigned waiting; /* of sent, those in use */
    struct gw_echo_sent sent[GW_ECHO_MAX];
    void (*on_pong)(struct gw_peer *peer, uint32_t id, int64_t rtt_ns, struct gw_mono now, void *ctx);
    void *ctx;
};

/* For gw_gateway_events.on_packet: true when it was the answer to a request of ours. */
bool gw_echo_input(struct gw_echo *echo, struct gw_peer *peer, const uint8_t *packet, size_t len,
                   struct gw_mono now);
/* Asks the first single address in the peer's allowed_ips. 0 and the id for on_pong; -EADDRNOTAVAIL (we, or it, have no virtual address of one
 * family); else gw_peer_send_packet's. */
int gw_echo_ping(struct gw_echo *echo, struct gw_peer *peer, struct gw_mono now, uint32_t *id);

#endif

/* SPDX-License-Identifier: MIT */
/* One destination, as udp_target.c (its life), udp_flow.c, udp_socket.c and udp_packets.c see it. */
#ifndef FRONTENDS_SOCKS5_UDP_TARGET_PRIVATE_H
#define FRONTENDS_SOCKS5_UDP_TARGET_PRIVATE_H

#include "frontends/socks5/private.h"
#include "frontends/socks5/udp_target.h"

/* Datagrams that came before the destination was known. */
#define UDP_TARGET_WAITING_MAX 4u

struct udp_waiting {
    size_t len;
    uint8_t bytes[];
};

enum udp_target_state {
    STATE_RESOLVING,
    STATE_OPENING, /* a flow, but no session yet, or maybe no flows at all: what were sent now would wait too long and be dropped */
    STATE_FLOW,
    STATE_DIALLING,
    STATE_DIRECT,
    STATE_PACKETS,
    STATE_FAILED,
};

struct udp_target {
    struct gw_list link;
    struct gw_udp_targets *targets; /* NULL: gone while the resolver was asked */
    enum udp_target_state state;
    bool is_resolving;
    struct gw_mono used;
    struct gw_stream *stream;
    struct gw_peer *flow_peer; /* while the flow is not accepted */
    struct gw_dial *dial;
    struct gw_packet_dial *packet_dial;
    struct gw_connection *connection; /* by packets */
    struct event event;               /* of fd */
    int fd;
    struct udp_waiting *waiting[UDP_TARGET_WAITING_MAX];
    unsigned waiting_count;
    struct gw_proxy_request request;
    size_t header_len;
    uint8_t header[GW_UDP_HEADER_MAX];
};

/* udp_target.c. The first two may free the target, as may who is called by them. */
void udp_target_free(struct udp_target *target, struct gw_mono now);
void udp_target_fail(struct udp_target *target, struct gw_mono now, enum gw_outcome outcome);
void udp_target_send_waiting(struct udp_target *target, struct gw_mono now);
void udp_target_reply(struct udp_target *target, const void *data, size_t len, struct gw_mono now);

/* udp_flow.c */
void udp_target_open_flow(struct udp_target *target, struct gw_peer *peer, const struct gw_open *open,
                          struct gw_mono now);
/* udp_socket.c. is_own: this node's own service, which no policy rules out. */
void udp_target_dial(struct udp_target *target, const struct gw_target *where, bool is_own,
                     struct gw_mono now);
/* udp_packets.c. to: as in gw_packet_dial_params. */
void udp_target_open_packets(struct udp_target *target, struct gw_peer *peer, const struct gw_addr *to,
                             struct gw_mono now);
/* The flow died of `reason`: because the peer turned out to have only packets? Then what waits goes by those; false = it was not that. */
bool udp_target_try_packets(struct udp_target *target, unsigned long long reason, struct gw_mono now);

#endif

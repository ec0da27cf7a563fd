/* SPDX-License-Identifier: MIT */
/* What the engine tells its user, and what it counts. Here rather than in gateway.h because peers report it. */
#ifndef GATEWAY_PEER_EVENTS_H
#define GATEWAY_PEER_EVENTS_H

#include "gateway/base/mono.h"
#include "gateway/flow/stream.h"
#include "gateway/wire/cursor.h"
#include "gateway/wire/train.h"

struct gateway;
struct gw_peer;

/* Called from within gw_gateway_, gw_peer_ and gw_stream_ calls. None may remove a peer or free the gateway. */
struct gw_gateway_events {
    /* A peer opened a flow: gw_stream_accept, gw_stream_attach (and accept later) or gw_stream_reset(reason) it. NULL refuses all. */
    void (*on_open)(struct gateway *gateway, struct gw_peer *peer, struct gw_stream *stream,
                    const struct gw_open *open, struct gw_mono now, void *ctx);
    /* A train brings packets: until on_packets_end all these bytes are lent, also what is around and between them. Not told of packets that come otherwise. May be NULL. */
    void (*on_packets_begin)(struct gateway *gateway, uint8_t *bytes, size_t len, void *ctx);
    /* An IP packet from a peer, source address checked against its allowed_ips (cryptokey routing). Lent until on_packets_end of the same
     * call, and the user's to change until then. is_partial: its layer-4 checksum is not filled in (the seal protected it). May be NULL. */
    void (*on_packet)(struct gateway *gateway, struct gw_peer *peer, uint8_t *packet, size_t len,
                      bool is_partial, struct gw_mono now, void *ctx);
    /* The train that brought packets is over. May be NULL. */
    void (*on_packets_end)(struct gateway *gateway, struct gw_mono now, void *ctx);
    /* Something a person would see in `status` changed. May be NULL. */
    void (*on_peer)(struct gateway *gateway, struct gw_peer *peer, struct gw_mono now, void *ctx);
    /* The answer to gw_peer_ping. May be NULL. */
    void (*on_pong)(struct gateway *gateway, struct gw_peer *peer, uint32_t id, int64_t rtt_ns,
                    struct gw_mono now, void *ctx);
    /* A train that this node relays, lent: it may leave at once from where it lies. Returns how many of its datagrams are dealt with (sent, or lost on the way);
     * the others the engine copies, and gives them with gw_gateway_output. May be NULL: 0. */
    unsigned (*on_forward)(struct gateway *gateway, const struct gw_train *train, struct gw_mono now,
                           void *ctx);
    /* A CONTROL message (protobuf body, lent) from a peer of ours. May be NULL. */
    void (*on_control)(struct gateway *gateway, struct gw_peer *peer, struct gw_view body, struct gw_mono now,
                       void *ctx);
    /* Opens a further UDP socket, which becomes the link with this number (1 to 1023), on a port of the system's choice: returns the port, or -errno. IPv4, and with_v6 also IPv6 on the
     * same port, as far as this machine has them. Trains come from it and go to it by the tuple's link. May be NULL: there are none, and then close_link too. */
    int (*open_link)(struct gateway *gateway, uint32_t link, bool with_v6, void *ctx);
    void (*close_link)(struct gateway *gateway, uint32_t link, void *ctx);
    /* An anchor sees this node at another address than before: what leads here from outside may be gone. May be NULL. */
    void (*on_seen_elsewhere)(struct gateway *gateway, struct gw_mono now, void *ctx);
    /* An anchor does not answer by UDP: a carrier to it may (gw_gateway_carrier_up). Told again and again while that is so. May be NULL. */
    void (*on_carrier_wanted)(struct gateway *gateway, struct gw_peer *peer, struct gw_mono now, void *ctx);
    void *ctx;
};

struct gw_gateway_stats {
    uint64_t datagrams_received, datagrams_sent;
    uint64_t dropped_malformed; /* not one of our messages, or not of its length */
    uint64_t dropped_unknown;   /* no such index, no such peer */
    uint64_t dropped_auth;      /* a wrong tag or handshake */
    uint64_t dropped_replay;
    uint64_t dropped_mac;      /* a handshake by somebody who does not know our key */
    uint64_t dropped_limit;    /* handshakes beyond the rate of their address */
    uint64_t dropped_queue;    /* handshakes or replies beyond their queue */
    uint64_t dropped_inner;    /* an opened packet that makes no sense */
    uint64_t dropped_too_long; /* a datagram of ours that no packet of the path carries */
    uint64_t false_acks; /* of flow packets that were never sent: each has ended the flows with a peer */
    uint64_t handshakes_queued, cookies_sent;
    uint64_t send_errors;
};

#endif

/* SPDX-License-Identifier: MIT */
/* What the peers of one gateway share: our side of every session, the deadlines, who is ready to send. Embedded in struct
 * gateway; peers hold a pointer. For gateway/peer and gateway/ only. */
#ifndef GATEWAY_PEER_HOST_H
#define GATEWAY_PEER_HOST_H

#include "gateway/base/deadline.h"
#include "gateway/base/list.h"
#include "gateway/flow/mux.h"
#include "gateway/packet/again.h"
#include "gateway/peer/allowedips.h"
#include "gateway/peer/events.h"
#include "gateway/peer/probes.h"
#include "gateway/session/session.h"
#include "gateway/wire/frame.h"
#include "gateway/wire/train.h"

/* What stands above peers in the engine (gateway/discovery, gateway/anchor) hears of them by these. Set before the first peer; all are there. None may
 * remove a peer. */
struct gw_peer_hooks {
    /* Added, or its configuration changed. */
    void (*on_known)(struct gw_peer *peer, struct gw_mono now, void *ctx);
    /* Before it is freed. */
    void (*on_gone)(struct gw_peer *peer, struct gw_mono now, void *ctx);
    /* A CONTROL message: true when it was for the engine, so that on_control of the user is not told. *is_answer (false before): gw_message_is_answer. */
    bool (*on_control)(struct gw_peer *peer, struct gw_view body, struct gw_mono now, bool *is_answer,
                       void *ctx);
    /* The session's state, the peer's kind or instance, or the path that we send on changed. */
    void (*on_changed)(struct gw_peer *peer, struct gw_mono now, void *ctx);
    /* It is to be reached, and the addresses that are known do not answer, or there are none. Called again and again while that is so. */
    void (*on_wanted)(struct gw_peer *peer, struct gw_mono now, void *ctx);
    /* A path to it has answered, the first one since gw_peer_kick. */
    void (*on_proven)(struct gw_peer *peer, struct gw_mono now, void *ctx);
    /* Data came by that relay, and then nothing for a while. */
    void (*on_quiet)(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *relay, void *ctx);
    /* The next PATH_CHALLENGE to an address that is no path yet: where to and with which 8 bytes; false: none is due. */
    bool (*take_check)(struct gw_peer *peer, struct gw_mono now, struct gw_tuple *to, uint8_t nonce[8],
                       void *ctx);
    /* A PATH_RESPONSE that belongs to no path: true when it proves one, with its round trip. */
    bool (*on_check_answered)(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *from,
                              const uint8_t nonce[8], struct gw_tuple *path, int64_t *rtt_ns, void *ctx);
    /* Who relays there; NULL when nobody does (any more). */
    const struct gw_peer *(*relay_of)(const struct gw_tuple *tuple, void *ctx);
    /* A PATH_CHALLENGE came from there. */
    void (*on_challenged)(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *from, void *ctx);
    void *ctx;
};

struct gw_lane_peer;

struct gw_peer_host {
    struct gateway *gateway;
    struct gw_peer_hooks hooks;
    struct gw_session_local local;
    struct gw_deadlines deadlines;
    struct gw_random *random;
    struct gw_flow_budget *budget;
    const struct gw_gateway_events *events;
    struct gw_session_events session_events;
    struct gw_gateway_stats stats;
    struct gw_list ready; /* gw_peer.ready: may have something to send */
    struct gw_probe_queue probes;
    struct gw_map peers; /* X25519 key -> gw_peer */
    struct gw_allowedips allowedips;
    uint64_t routes_version; /* counted up when allowedips changed */
    bool has_lanes;
    /* A peer is gone: the lanes' part of it is the callee's. */
    void (*on_lane_peer_gone)(struct gw_peer_host *host, struct gw_lane_peer *lane);
    struct gw_list changed;           /* gw_peer.changed: lanes may have to know */
    const struct gw_train *input;     /* under way; NULL: none, or not from a train */
    const struct gw_peer *again_peer; /* whose the packet before was, which .again is of */
    struct gw_again again;            /* of the input under way; none once frames were read */
    bool has_packets;                 /* this input brought IP packets */
    bool offers_relay;                /* says so in HELLO */
    bool is_no_anchor;                /* ... and is none */
    int64_t keepalive_most_ns;        /* our NAT closes ways that are silent for longer; 0 = none known */
    bool takes_partial;               /* the user of on_packet completes layer-4 checksums */
    uint8_t packet_seed[16];          /* of the packet queues' flow hashes */
    uint32_t max_peers;
    char hostname[GW_HELLO_NAME_MAX + 1];
    struct gw_addr addresses[2]; /* as the peers are told */
    struct gw_addr own_alias;    /* what our IPv4 one is on this machine; family 0 = the same */
    bool has_ed25519, is_derived;
    uint8_t ed25519[32], ed25519_secret[64]; /* libsodium's form: seed || public */
    uint16_t mtu_v4, mtu_v6;
    const char *log_suffix;   /* of gw_peer_tell; NULL = none */
    struct gw_mono shared_at; /* a stream was opened, or what is not a stream passed */
    struct gw_mono now;       /* of the call that is under way, for events without one */
};

#endif

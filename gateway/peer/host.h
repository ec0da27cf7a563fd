/* SPDX-License-Identifier: MIT */
/* What the peers of one gateway share: our side of every session, the deadlines, who is ready to send. Embedded in struct
 * gateway; peers hold a pointer. For gateway/peer and gateway/ only. */
#ifndef GATEWAY_PEER_HOST_H
#define GATEWAY_PEER_HOST_H

#include "gateway/base/deadline.h"
#include "gateway/base/list.h"
#include "gateway/flow/mux.h"
#include "gateway/peer/allowedips.h"
#include "gateway/peer/events.h"
#include "gateway/session/session.h"
#include "gateway/wire/frame.h"

struct gw_peer_host {
    struct gateway *gateway;
    struct gw_session_local local;
    struct gw_deadlines deadlines;
    struct gw_random *random;
    struct gw_flow_budget *budget;
    const struct gw_gateway_events *events;
    struct gw_session_events session_events;
    struct gw_gateway_stats stats;
    struct gw_list ready; /* gw_peer.ready: may have something to send */
    struct gw_map peers;  /* X25519 key -> gw_peer */
    struct gw_allowedips allowedips;
    bool has_packets;        /* this input brought IP packets */
    bool takes_partial;      /* the user of on_packet completes layer-4 checksums */
    uint8_t packet_seed[16]; /* of the packet queues' flow hashes */
    uint32_t max_peers;
    char hostname[GW_HELLO_NAME_MAX + 1];
    struct gw_addr addresses[2];
    bool has_ed25519, is_derived;
    uint8_t ed25519[32], ed25519_secret[64]; /* libsodium's form: seed || public */
    uint16_t mtu_v4, mtu_v6;
    const char *log_suffix; /* of gw_peer_tell; NULL = none */
    struct gw_mono now;     /* of the call that is under way, for events without one */
};

#endif

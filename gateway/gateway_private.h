/* SPDX-License-Identifier: MIT */
/* What the engine's root is made of. For the files beside it only. */
#ifndef GATEWAY_GATEWAY_PRIVATE_H
#define GATEWAY_GATEWAY_PRIVATE_H

#include "gateway/anchor/anchor.h"
#include "gateway/base/ratelimit.h"
#include "gateway/discovery/discovery.h"
#include "gateway/gateway.h"
#include "gateway/peer/peer_private.h"
#include "gateway/stun/stun.h"
#include "gateway/wire/message.h"

#define GW_HANDSHAKES_MAX 512u    /* queued messages of type 1 and 2 */
#define GW_HANDSHAKES_LOADED 256u /* more than this waiting: under load, a cookie first */
#define GW_REPLIES_MAX 64u        /* responses and cookie replies on their way out */
#define GW_HANDSHAKE_RATE 20.0    /* a second for each /32 or /64, when under load */
#define GW_HANDSHAKE_BURST 5.0
#define GW_HANDSHAKE_SOURCES 4096u /* addresses remembered for that */

/* One message with its address; the longest is the initiation. */
struct gw_handshake_slot {
    struct gw_tuple tuple;
    uint8_t len;
    uint8_t bytes[GW_INITIATION_LEN];
};

struct gw_handshake_ring {
    struct gw_handshake_slot *slots; /* `cap` of them */
    unsigned cap, head, len;
};

struct gw_lanes;

struct gateway {
    struct gw_peer_host host;
    struct gw_lanes *lanes;              /* NULL: there are none */
    struct gw_handshake_ring handshakes; /* in */
    struct gw_handshake_ring replies;    /* out */
    struct gw_ratelimit *sources;
    struct gw_discovery *discovery;
    struct gw_anchor *anchor; /* NULL: this node is none */
    struct gw_stun *stun;
    struct gw_mono kicked; /* the last time */
    bool is_anchor_auto;   /* it is one while this node is reachable from anywhere */
    bool is_forward_turn;  /* the next train is one that this node relays */
};

/* ---- gateway.c */
#define GW_STOPPED_NS GW_S(3)
/* A deadline was missed by so much, and nothing ran. */
void gw_gateway_was_stopped(struct gateway *gateway, struct gw_mono now);
/* Before anything else of a turn: whoever did not run for long (stopped, frozen) has been forgotten by routers and peers, as if the machine had slept. */
static inline void gw_gateway_look_back(struct gateway *gateway, struct gw_mono now)
{
    if (gw_mono_sub(now, gateway->host.now) > GW_STOPPED_NS &&
        gw_mono_due(gw_mono_add(gw_deadlines_next(&gateway->host.deadlines), GW_STOPPED_NS), now))
        gw_gateway_was_stopped(gateway, now);
}

/* ---- hooks.c: what discovery and anchor hear of peers */
void gw_hooks_init(struct gateway *gateway);
/* Does this node serve as an anchor now? */
bool gw_hooks_is_anchor(const struct gateway *gateway);

/* ---- output.c */
/* Datagrams of this length could not be sent there, which says something about the path. */
void gw_gateway_path_failed(struct gateway *gateway, struct gw_mono now, const struct gw_tuple *tuple,
                            size_t len, int err);

/* ---- lanes.c */
/* Lets the lanes know what changed; before anything is sent, so that no answer finds a lane that knows less than the peer. */
void gw_lanes_publish(struct gateway *gateway, struct gw_mono now);
void gw_lanes_add_stats(const struct gateway *gateway, struct gw_gateway_stats *stats);

/* ---- handshakes.c: strangers' messages wait here, behind data, in bounded room */
int gw_handshakes_init(struct gateway *gateway);
void gw_handshakes_fini(struct gateway *gateway);
/* A message of type 1 or 2 that passed the gate: mac1 is checked here, the rest when its turn comes. */
void gw_handshakes_input(struct gateway *gateway, struct gw_mono now, const struct gw_tuple *tuple,
                         const uint8_t *msg, size_t len);
void gw_handshakes_input_cookie(struct gateway *gateway, struct gw_mono now, const uint8_t *msg);
/* The oldest reply as a train of one; false when there is none. */
bool gw_handshakes_output(struct gateway *gateway, struct gw_train *train);

#endif

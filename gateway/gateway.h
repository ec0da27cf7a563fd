/* SPDX-License-Identifier: MIT */
/* The engine's root: one identity, its peers, their sessions, paths and flows. Sans-IO: trains of datagrams and `now` in; trains, events
 * and the next deadline out. Nothing blocks, nothing is process-wide: a process may have many. Not thread-safe.
 *
 * Turn of a loop: gw_gateway_input for each received train; gw_gateway_expire when the deadline is due; gw_gateway_handshake while
 * it says there is more and time is left (strangers' handshakes wait behind data); then gw_gateway_output until it has nothing or the
 * socket is full. All events are called from within these and from within gw_peer_ and gw_stream_ calls. */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "gateway/anchor/params.h"
#include "gateway/discovery/view.h"
#include "gateway/flow/mux.h"
#include "gateway/peer/events.h"
#include "gateway/peer/peer.h"
#include "gateway/stun/stun.h"
#include "gateway/wire/candidate.h"
#include "gateway/wire/train.h"

struct gateway;
struct gw_anchor;
struct gw_anchor_stats;

struct gw_gateway_params {
    const struct gw_crypto *crypto;
    struct gw_random *random;
    struct gw_wallclock *wallclock;
    struct gw_flow_budget *budget;          /* shared by all gateways of the daemon */
    const struct gw_gateway_events *events; /* borrowed for life */
    uint8_t secret[GW_KEY_LEN];             /* X25519; copied and wiped with the gateway */
    bool has_ed25519;                       /* this node has a peer ID */
    bool is_derived; /* the X25519 key is the Ed25519 key's own, so HELLO needs no signature */
    uint8_t ed25519[32];
    uint8_t ed25519_seed[32];
    char hostname[GW_PEER_NAME_MAX + 1]; /* display name in HELLO */
    struct gw_addr addresses[2];         /* own virtual addresses (IPv4, IPv6), family 0 = none */
    bool
        takes_partial; /* on_packet's user completes layer-4 checksums that are left out (a TUN with offload) */
    uint32_t max_peers;             /* 0 = 4096; provisional ones included */
    uint16_t mtu_v4, mtu_v6;        /* largest UDP payload ever tried; 0 = 1472 / 1452 */
    struct gw_anchor_params anchor; /* is_enabled: this node is an anchor */
};

/* 0, GW_E_NOMEM, GW_E_INVAL (key refused). */
int gw_gateway_new(struct gateway **out, const struct gw_gateway_params *params, struct gw_mono now);
/* Every stream ends with SHUTTING_DOWN, with the peers too when they get what gw_gateway_output gives then. gw_gateway_free follows. */
void gw_gateway_end_flows(struct gateway *gateway, struct gw_mono now);
/* Streams end with SHUTTING_DOWN. */
void gw_gateway_free(struct gateway *gateway, struct gw_mono now);

/* The train is lent; it is opened in place, so its bytes are garbage afterwards. */
void gw_gateway_input(struct gateway *gateway, struct gw_mono now, struct gw_train *train);
/* Fills train->slab (GW_TRAIN_SLAB bytes, the caller's) and the rest of *train; false = nothing to send now. */
bool gw_gateway_output(struct gateway *gateway, struct gw_mono now, struct gw_train *train);
/* Does more than old streams pass, so that turns should be short? A stream was opened within the last GW_SHARED_NS, or packets or relayed trains came. */
bool gw_gateway_is_shared(const struct gateway *gateway, struct gw_mono now);
/* The link could not send to train->tuple.remote: err is -errno (EMSGSIZE, ENETUNREACH, ...). Loss, as far as flows are concerned. */
void gw_gateway_send_failed(struct gateway *gateway, struct gw_mono now, const struct gw_train *train,
                            int err);
/* Works on one queued handshake message; true = there are more. */
bool gw_gateway_handshake(struct gateway *gateway, struct gw_mono now);
struct gw_mono gw_gateway_next_deadline(const struct gateway *gateway);
void gw_gateway_expire(struct gateway *gateway, struct gw_mono now);

/* ---- peers */

/* config is copied. 0, GW_E_NOMEM, GW_E_LIMIT, GW_E_INVAL (refused key), -EEXIST (that X25519 key is there, maybe as the sign-flipped peer ID). */
int gw_gateway_add_peer(struct gateway *gateway, struct gw_mono now, const struct gw_peer_config *config,
                        struct gw_peer **out);
/* What can change without a new session changes in place (name, endpoints, keepalive, policies); PSKs apply to the next handshake. */
int gw_gateway_update_peer(struct gateway *gateway, struct gw_mono now, struct gw_peer *peer,
                           const struct gw_peer_config *config);
/* The last datagram to a peer that is to be removed because it may not have a session with this node any more, as gw_gateway_output fills it: its streams and the
 * session end there at once. false: there is nobody to be told. */
bool gw_gateway_dismiss(struct gateway *gateway, struct gw_mono now, struct gw_peer *peer,
                        struct gw_train *train);
/* The gateway is to be freed: each peer that has a session with it is told, three times, so that a lost datagram or two are not all; those that others are reached by (anchors,
 * relays) last. */
struct gw_farewell { /* zeros: from the start */
    struct gw_peer *peer;
    unsigned round;
    bool are_relays;
};
/* The next datagram of it, as gw_gateway_output fills it. false: that was all. */
bool gw_gateway_farewell(struct gateway *gateway, struct gw_mono now, struct gw_farewell *farewell,
                         struct gw_train *train);
/* A peer that used this node as its anchor before it was started: a handshake goes to where it was then, three times at most, so that it need not find out by itself. Nothing is done where there
 * is a session, or a handshake under way. */
void gw_gateway_call(struct gateway *gateway, struct gw_mono now, struct gw_peer *peer,
                     const struct gw_addr *place);
/* Where that would be: false for who has registered nothing here, or is reached by no address of its own (a TLS connection). */
bool gw_gateway_client_place(const struct gateway *gateway, const struct gw_peer *peer, struct gw_addr *out);
/* The session ends at once, streams with UNREACHABLE. The peer hears nothing of it. */
void gw_gateway_remove_peer(struct gateway *gateway, struct gw_mono now, struct gw_peer *peer);
struct gw_peer *gw_gateway_find_peer(struct gateway *gateway, const uint8_t public_key[GW_KEY_LEN]);
/* In order of adding: NULL starts, NULL ends. */
struct gw_peer *gw_gateway_next_peer(const struct gateway *gateway, const struct gw_peer *peer);
/* The peer an address belongs to (longest prefix over allowed_ips), or NULL. */
struct gw_peer *gw_gateway_route(const struct gateway *gateway, const struct gw_addr *ip);

/* Our own virtual addresses (as in the params) are others from now on: the peers are told. */
void gw_gateway_set_addresses(struct gateway *gateway, const struct gw_addr addresses[2]);
/* On this machine our IPv4 address is that one, because another network has ours: packets are rewritten. family 0 = it is the same. */
void gw_gateway_set_own_alias(struct gateway *gateway, const struct gw_addr *alias);
/* The link changed or the machine slept: every session tries at once. */
void gw_gateway_kick(struct gateway *gateway, struct gw_mono now);

/* ---- finding peers through anchors (gateway/discovery) */

/* Where this node may be reached, as far as it knows itself: interfaces' addresses and configured ones, best first. What cannot be offered is left out. */
void gw_gateway_set_candidates(struct gateway *gateway, struct gw_mono now, const struct gw_candidate *list,
                               unsigned count);
/* STUN servers to ask where they see this node (gateway/stun); at most GW_STUN_SERVERS_MAX. What they say is offered to peers. */
void gw_gateway_set_stun(struct gateway *gateway, struct gw_mono now, const struct gw_addr *servers,
                         unsigned count);
/* Asks them now. gw_gateway_kick does too. */
void gw_gateway_ask_stun(struct gateway *gateway, struct gw_mono now);
/* To read what they said. */
const struct gw_stun *gw_gateway_stun(const struct gateway *gateway);
/* The anchors that we use; index from 0. false: no more. */
bool gw_gateway_anchor_view(const struct gateway *gateway, unsigned index, struct gw_mono now,
                            struct gw_anchor_view *out);
/* Whether anybody can reach this node, as far as that is known; and tries anew whether what nobody asked for gets in. */
void gw_gateway_public_view(const struct gateway *gateway, struct gw_public_view *out);
void gw_gateway_try_inbound(struct gateway *gateway, struct gw_mono now);
/* The NAT in front of this node, as measured. */
void gw_gateway_nat_view(const struct gateway *gateway, struct gw_nat_behaviour *out);
/* How the peer is, or is not, reached. */
void gw_peer_reach_view(const struct gw_peer *peer, struct gw_reach_view *out);
/* The anchor whose channel it is, as long as there is one; else NULL. */
struct gw_peer *gw_gateway_relay_of(const struct gateway *gateway, const struct gw_tuple *tuple);
/* false: this node is no anchor. */
bool gw_gateway_anchor_stats(const struct gateway *gateway, struct gw_anchor_stats *out);

/* The anchor's, for whoever holds the fleet's store (gateway/anchor/fleet.h); NULL: this node is none. */
struct gw_anchor *gw_gateway_anchor(const struct gateway *gateway);

/* ---- carriers: TLS connections that the link makes to anchors, and takes as one; each is a path like another, but the last to be used */

/* A connection to this peer is there; the tuple (GW_LINK_CARRIER) names it until gw_gateway_carrier_down. */
void gw_gateway_carrier_up(struct gateway *gateway, struct gw_mono now, struct gw_peer *peer,
                           const struct gw_tuple *tuple);
/* The connection is no more, ours or another's to us. */
void gw_gateway_carrier_down(struct gateway *gateway, struct gw_mono now, const struct gw_tuple *tuple);
/* Has some peer proven that it is at the other end? */
bool gw_gateway_carrier_is_used(const struct gateway *gateway, const struct gw_tuple *tuple);

/* What gw_peer_tell writes behind a dot after the peers' names, where other networks may have the same; NULL = nothing. Borrowed. */
void gw_gateway_set_log_suffix(struct gateway *gateway, const char *suffix);

void gw_gateway_stats(const struct gateway *gateway, struct gw_gateway_stats *out);
const uint8_t *gw_gateway_public_key(const struct gateway *gateway);
struct gw_session_local *gw_gateway_local(struct gateway *gateway);

#endif

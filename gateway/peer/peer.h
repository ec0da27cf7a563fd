/* SPDX-License-Identifier: MIT */
/* One peer as its users see it: open flows to it, send packets, ping, read its state. The object ties session, path and mux
 * together; it answers no question of theirs itself. Pointers stay valid until gw_gateway_remove_peer. */
#ifndef GATEWAY_PEER_PEER_H
#define GATEWAY_PEER_PEER_H

#include "gateway/base/log.h"
#include "gateway/flow/mux.h"
#include "gateway/packet/queue.h"
#include "gateway/path/mtu.h"
#include "gateway/peer/config.h"
#include "gateway/wire/train.h"

struct gw_peer;

/* What the far end turned out to be. */
enum gw_peer_kind {
    GW_PEER_UNKNOWN,   /* no answer to HELLO yet */
    GW_PEER_PEERGATE,  /* sent a HELLO */
    GW_PEER_WIREGUARD, /* a stock WireGuard peer: answers handshakes, not HELLOs */
};
extern const char *const gw_peer_kind_names[3];

/* Why nothing but HELLOs can pass, though there is a session. */
enum gw_seal_conflict {
    GW_SEAL_AGREED,               /* there is no conflict, or nothing is known yet */
    GW_SEAL_NOT_OFFERED,          /* `required` here, and the peer's HELLO lists no suite that we have */
    GW_SEAL_NO_HARDWARE,          /* `required` here, and this machine can do none fast */
    GW_SEAL_DEMANDED,             /* `forbidden` here, and the peer takes nothing else */
    GW_SEAL_DEMANDED_NO_HARDWARE, /* the peer takes nothing else, and this machine can do none that it can */
    GW_SEAL_WIREGUARD,            /* `required` here, of a stock WireGuard peer */
    GW_SEAL_CONFLICT_COUNT
};
extern const char *const gw_seal_conflict_names[GW_SEAL_CONFLICT_COUNT];

/* A flow to a service of the peer: works at once, whatever the session's state; what is written waits for it. A failed session ends it with
 * UNREACHABLE, a conflict about the seal with NO_SEAL, a peer that ends the session with SHUT_OUT. Same results as gw_stream_open; -EPROTONOSUPPORT to a
 * stock WireGuard peer, GW_E_NO_SEAL (also of the functions below) when the conflict is known already, GW_E_SHUT_OUT in the minute after the peer ended the session
 * (each such call asks it again, so one that lets us in again is there for the next). */
int gw_peer_open(struct gw_peer *peer, struct gw_mono now, const struct gw_open *open,
                 const struct gw_stream_ops *ops, void *user, struct gw_stream **out);

/* An IP packet to the peer: copied to its queue (gateway/packet/queue.h), cut in two on the way if the path is narrower and the peer is one of ours.
 * 0, GW_E_NOMEM, GW_E_MALFORMED (no IP packet), GW_E_NO_SEAL. */
int gw_peer_send_packet(struct gw_peer *peer, struct gw_mono now, const void *packet, size_t len);
/* The same for what a TUN with segmentation offload gives: up to 64 KB of one flow under one header (gateway/packet/super.h). */
int gw_peer_send_burst(struct gw_peer *peer, struct gw_mono now, const void *packet, size_t len,
                       const struct gw_super_hint *hint);
/* The same for one that was read in place (gw_super_set): not copied; the callee's on 0. */
int gw_peer_send_super(struct gw_peer *peer, struct gw_mono now, struct gw_super *super);

/* gw_packet_queue_is_backlogged, of its packets. */
bool gw_peer_is_backlogged(const struct gw_peer *peer, struct gw_mono now);

/* The longest packet in one piece that reaches the peer now: what is longer than it, and cannot be cut, is to be refused. SIZE_MAX while that is not known. */
size_t gw_peer_packet_room(const struct gw_peer *peer);

/* The longest packet that goes to the peer uncut, for what can be told once only (the MSS in a TCP SYN); SIZE_MAX while the search for the path's size goes on. */
size_t gw_peer_packet_whole(const struct gw_peer *peer);

/* The peer has not answered any handshake for the whole connection_timeout. It is tried again from time to time while somebody sends. */
bool gw_peer_is_unreachable(const struct gw_peer *peer);

/* Sends a PING through the session as soon as there is one; on_pong follows with the same id. 0, GW_E_LIMIT (16 unanswered),
 * -EPROTONOSUPPORT (stock peer). */
int gw_peer_ping(struct gw_peer *peer, struct gw_mono now, uint32_t *id);

/* A CONTROL message (at most 1100 bytes) to a peer of ours. 0, GW_E_TOO_BIG, GW_E_LIMIT, -ENOTCONN. */
int gw_peer_send_control(struct gw_peer *peer, struct gw_mono now, const void *body, size_t len);

/* Starts a session if there is none. */
void gw_peer_connect(struct gw_peer *peer, struct gw_mono now);
/* Replaces the endpoints of the configuration (a name was resolved again). */
void gw_peer_set_endpoints(struct gw_peer *peer, struct gw_mono now, const struct gw_addr *endpoints,
                           unsigned count);

/* A line of the log about what the peer does: "NAME: text". A peer can make it do so again and again, so after some lines it is two a minute, and the next
 * says how many were left out. Not for debug. */
__attribute__((format(printf, 4, 5))) void gw_peer_tell(struct gw_peer *peer, struct gw_mono now,
                                                        enum gw_log_level level, const char *format, ...);

const struct gw_peer_config *gw_peer_config(const struct gw_peer *peer);
/* Never empty; for logs. */
const char *gw_peer_name(const struct gw_peer *peer);
struct gateway *gw_peer_gateway(const struct gw_peer *peer);
/* A place for the daemon's own data about the peer. */
void *gw_peer_user(const struct gw_peer *peer);
void gw_peer_set_user(struct gw_peer *peer, void *user);

struct gw_peer_status {
    enum gw_peer_kind kind;
    struct gw_session_stats session;
    bool has_flows;
    struct gw_mux_stats flows; /* when has_flows */
    bool has_path;
    struct gw_tuple path;        /* the one we send to */
    bool is_relayed;             /* path is a relay's channel */
    int64_t rtt_ns;              /* best known: flows', else ping's, else the handshake's; 0 unknown */
    uint16_t payload_len;        /* largest UDP payload that the path is known to carry */
    enum gw_mtu_state mtu_state; /* whether that is its last word */
    enum gw_suite sending_suite;
    enum gw_seal_conflict seal_conflict;
    struct gw_mono
        shut_out_at; /* the peer ended the session then, since this node may have none with it; GW_NEVER: no, or not the last one */
    struct gw_mono ended_at; /* it ended then, and said so; GW_NEVER: no, or there was a session since */
    uint8_t peer_suites;
    char hello_name[64];                  /* display name that the peer gave itself; "" = none */
    struct gw_packet_queue_stats packets; /* IP packets to it */
    uint64_t packets_refused;             /* longer than the path carries */
    struct gw_addr ipv4, own_ipv4; /* its address here, and what it calls itself; family 0 = not known */
};
void gw_peer_status(const struct gw_peer *peer, struct gw_mono now, struct gw_peer_status *out);

#endif

/* SPDX-License-Identifier: MIT */
/* The objects of the front-end: struct gw_socks5 owns listeners and sessions; a session is one client from accept to close; its `opening` is what it needs
 * until the client has its answer, so that an open session is small. */
#ifndef FRONTENDS_SOCKS5_PRIVATE_H
#define FRONTENDS_SOCKS5_PRIVATE_H

#include "frontends/socks5/parse.h"
#include "frontends/socks5/socks5.h"
#include "gateway/base/list.h"
#include "gateway/base/ratelimit.h"
#include "gateway/local/dial.h"
#include "gateway/local/listener.h"
#include "gateway/local/pair.h"
#include "gateway/local/splice.h"
#include "netstack/bridge/packet_dial.h"
#include "netstack/bridge/pump.h"
#include "resolver/resolver.h"

#include <event2/event.h>
#include <event2/event_struct.h>

struct gw_association;

struct gw_socks5 {
    const struct gw_frontend *frontend;
    struct gw_listener **listeners;
    struct gw_target *listen; /* what they were asked for */
    size_t listen_count;
    struct gw_auth *auth;
    struct gw_policy policy; /* rules owned */
    bool no_http;
    uint32_t max_clients;
    int64_t handshake_timeout_ns, dial_timeout_ns;
    /* Sessions by what they wait for, the longest waiting first: with one timeout for each list the head is the next to run out. */
    struct gw_list handshaking, opening, open;
    struct event tick; /* runs while one of the first two has somebody */
    bool is_ticking;
    struct gw_bucket told;
    struct gw_socks5_stats stats;
};

/* What a session needs until it is open. */
struct opening {
    struct gw_proxy proxy;
    struct gw_auth *auth;
    struct session *session; /* NULL: it went while the resolver was asked */
    struct gw_dial *dial;
    struct gw_packet_dial *packet_dial;
    struct gw_peer *flow_peer; /* while a flow is asked for */
    struct gw_peer *peer;      /* whom it leads to: who goes ends it first */
    bool is_resolving;
};

enum session_state {
    SESSION_HANDSHAKE, /* reading the request */
    SESSION_RESOLVING,
    SESSION_OPENING,  /* the peer was asked; bytes may ride along */
    SESSION_DIALLING, /* not ours: a direct connection; or packets to a peer */
    SESSION_OPEN,
    SESSION_ASSOCIATED, /* UDP; the TCP connection only says how long */
    SESSION_CLOSING,    /* a last answer goes out */
};

struct session {
    struct gw_list link; /* in one of gw_socks5's lists */
    struct gw_socks5 *socks5;
    struct gw_splice *splice; /* NULL once `pair` or `pump` has the socket */
    struct gw_pair *pair;
    struct gw_pump *pump;
    struct gw_association *association;
    struct opening *opening;
    struct gw_mono since; /* in the list */
    enum session_state state;
};

/* session.c */
void session_new(struct gw_socks5 *socks5, int fd, struct gw_mono now);
/* Closes silently: a TCP reset. */
void session_close(struct session *session, struct gw_mono now);
/* Moves it to another list, behind those that waited longer. */
void session_set_state(struct session *session, enum session_state state, struct gw_mono now);
/* Answers no, in the client's protocol, and closes; told to the log. The session may be gone. */
void session_refuse(struct session *session, struct gw_mono now, enum gw_outcome outcome);
/* Answers yes; false = the socket broke and the session is gone. Frees `opening`. bound: for ASSOCIATE. */
bool session_say_yes(struct session *session, struct gw_mono now, const struct gw_addr *bound);
/* The client has its answer. */
void session_drop_opening(struct session *session);
/* Frees session, told by whoever had its socket. */
void session_free(struct session *session);
extern const struct gw_splice_events session_splice_events;

/* connect.c: from a request to a flow, or to direct.c. The session may be gone when it returns. */
void connect_start(struct session *session, struct gw_mono now);
/* Fills *open for a resolved name; false = neither service nor port says what is meant. */
bool connect_fill_open(struct gw_open *open, const struct gw_answer *answer, uint16_t port,
                       bool is_datagrams);

/* direct.c: a connection that no peer is part of. `target` is not ours (then the policy is asked), or this node's own service. */
void direct_start(struct session *session, const struct gw_target *target, bool is_own, struct gw_mono now);

/* packets.c: a connection to, or through, a peer that has only packets. to: as in gw_packet_dial_params. */
void packets_start(struct session *session, struct gw_peer *peer, const struct gw_addr *to,
                   struct gw_mono now);
/* The flow was refused because the peer turned out to have only packets? Then it is tried by those; false = it was not that. */
bool packets_try_instead(struct session *session, unsigned long long reason, struct gw_mono now);

/* associate.c */
void associate_start(struct session *session, struct gw_mono now);
void associate_free(struct gw_association *association, struct gw_mono now);

/* socks5.c */
void socks5_arm_tick(struct gw_socks5 *socks5);
bool socks5_may_tell(struct gw_socks5 *socks5, struct gw_mono now);

#endif

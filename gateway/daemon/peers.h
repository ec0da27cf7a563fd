/* SPDX-License-Identifier: MIT */
/* The daemon's peers: those of the configuration, and those that authorized_keys lets connect (they have no endpoint, so they come to us). Keeps
 * the engine's table in step with the files, and tells the log what becomes of each. */
#ifndef GATEWAY_DAEMON_PEERS_H
#define GATEWAY_DAEMON_PEERS_H

#include "gateway/daemon/addresses.h"
#include "gateway/daemon/endpoints.h"
#include "gateway/daemon/files.h"
#include "gateway/gateway.h"

struct gw_peers {
    struct gateway *gateway;
    struct gw_endpoints *endpoints;
    struct gw_vip_state *addresses; /* borrowed; NULL: peers have what is written only */
    struct gw_list list;            /* struct gw_known_peer.node */
    unsigned *connected;            /* how many have is_connected, in all networks */
    const char
        *suffix; /* what the log says behind their names: the network, if there are several; else NULL */
    char shown[2 * GW_PEER_NAME_MAX + 2];
    /* Before a peer is removed that may have no session any more: it is to be told. NULL: nobody does. */
    void (*on_dismiss)(struct gw_peer *peer, struct gw_mono now, void *ctx);
    /* Before a peer is removed. NULL: nobody asks. */
    void (*on_gone)(struct gw_peer *peer, struct gw_mono now, void *ctx);
    void *ctx;
    struct gw_list refused; /* struct gw_refused_peer.node */
};

/* A peer of the configuration whose line in authorized_keys says no: the engine does not know it, so it is a stranger on the wire. */
struct gw_refused_peer {
    struct gw_list node;
    struct gw_peer_config config;
    enum gw_verdict verdict;
    bool is_wanted; /* while gw_peers_apply runs */
};

/* gw_peer_user of every peer. */
struct gw_known_peer {
    struct gw_list node;
    struct gw_peer *peer;
    struct gw_peer_config config; /* as the files say it: with names not looked up */
    struct gw_lookup *lookup;     /* NULL: no endpoint is a name */
    bool is_configured;           /* in config.yaml; else in authorized_keys only */
    bool is_wanted;               /* while gw_peers_apply runs: still in the files */
    /* What was logged last. */
    enum gw_session_state state;
    bool is_connected;
    enum gw_peer_kind kind;
    enum gw_suite suite;
    enum gw_seal_conflict seal_conflict;
    bool has_path;
    struct gw_tuple path;
};

/* connected: the daemon's count; borrowed for life. */
void gw_peers_init(struct gw_peers *peers, struct gateway *gateway, struct gw_endpoints *endpoints,
                   struct gw_vip_state *addresses, unsigned *connected);
/* Removes every peer. */
void gw_peers_fini(struct gw_peers *peers, struct gw_mono now);

struct gw_peers_change {
    unsigned added, changed, removed;
};
/* Adds, updates and removes until the engine's peers are those of the files that may have a session as of `wall` (gw_authorize_session); sessions of what did not change are not touched. A peer that cannot be
 * added is logged and left out. */
void gw_peers_apply(struct gw_peers *peers, const struct gw_network_files *files, struct gw_wall wall,
                    struct gw_mono now, struct gw_peers_change *change);
/* Never empty; for logs. */
const char *gw_refused_peer_name(const struct gw_refused_peer *refused);
/* For gw_gateway_events.on_peer: logs what a person would want to know. */
void gw_peers_on_event(struct gw_peers *peers, struct gw_peer *peer, struct gw_mono now);
/* The network changed: names may have other addresses. */
void gw_peers_look_up_again(struct gw_peers *peers);

#endif

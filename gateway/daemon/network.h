/* SPDX-License-Identifier: MIT */
/* One network of the daemon: the engine with its identity on a UDP port of its own, and what belongs to that engine alone: peers, services, virtual
 * addresses, pings, questions. It knows no front-end: what concerns those goes to the events, and names this network. */
#ifndef GATEWAY_DAEMON_NETWORK_H
#define GATEWAY_DAEMON_NETWORK_H

#include "gateway/config/identity.h"
#include "gateway/daemon/carrier_setup.h"
#include "gateway/daemon/clients_state.h"
#include "gateway/daemon/echo.h"
#include "gateway/daemon/endpoints.h"
#include "gateway/daemon/files.h"
#include "gateway/daemon/guests.h"
#include "gateway/daemon/outside.h"
#include "gateway/daemon/peer_services.h"
#include "gateway/daemon/peers.h"
#include "gateway/daemon/pings.h"
#include "gateway/daemon/state.h"
#include "gateway/gateway.h"
#include "gateway/lane/flows.h"
#include "gateway/link/link.h"
#include "gateway/local/dial.h"
#include "gateway/services/services.h"

#define GW_NETWORK_NAME_MAX 63u

struct gw_network;

/* As gw_gateway_events have them. */
struct gw_network_events {
    void (*on_packets_begin)(struct gw_network *network, uint8_t *bytes, size_t len, void *ctx);
    void (*on_packet)(struct gw_network *network, struct gw_peer *peer, uint8_t *packet, size_t len,
                      bool is_partial, struct gw_mono now, void *ctx);
    void (*on_packets_end)(struct gw_network *network, struct gw_mono now, void *ctx);
    void (*on_peer)(struct gw_network *network, struct gw_peer *peer, struct gw_mono now, void *ctx);
    /* A TLS connection to an anchor is about to be made. */
    void (*on_carrier_wanted)(struct gw_network *network, void *ctx);
    /* Before it is removed. */
    void (*on_peer_gone)(struct gw_network *network, struct gw_peer *peer, struct gw_mono now, void *ctx);
    void *ctx;
};

/* What all networks of a daemon share. Borrowed for life. */
struct gw_network_params {
    struct gw_loop *loop;
    struct gw_flow_budget *budget;
    struct gw_dialer *dialer;
    struct gw_endpoints *endpoints;
    const struct gw_list *networks; /* all of them; struct gw_network.node */
    struct gw_vip_space *addresses;
    unsigned *connected; /* peers, of all networks */
    const struct gw_network_events *events;
    struct gw_network
        *predecessor;   /* it goes, and its sockets are this one's then; NULL: the port is opened */
    bool takes_partial; /* on_packet completes checksums that are left out */
    bool is_check;      /* it only looks, and is gone in a moment */
};

struct gw_network {
    struct gw_list node; /* the daemon's, in the order of the file */
    struct gw_network_params params;
    const struct gw_network_files *files; /* those in force; borrowed until gw_network_use */
    const struct gw_network_files
        *fresh; /* while files are reloaded: its new ones; NULL = it is not in them */
    /* As long as it runs, whatever the files say. */
    char name[GW_NETWORK_NAME_MAX + 1], hostname[GW_PEER_NAME_MAX + 1];
    bool is_top; /* the network of the files' top level */
    /* While files are reloaded: who goes on at this one's port when it goes. Its own link is NULL until then. */
    struct gw_network *heir;

    struct gw_identity *identity;
    struct gw_gateway_events gateway_events;
    struct gw_link *link;
    struct gateway *gateway;
    struct gw_fleet_setup *fleet; /* NULL: no anchor, or alone */
    struct gw_carrier_setup carriers;
    struct gw_state state;
    struct gw_clients_state clients; /* of an anchor */
    struct gw_outside outside;
    struct gw_services *services;
    struct gw_vip_state addresses; /* of the peers */
    struct gw_peers peers;
    struct gw_peer_services peer_services;
    struct gw_guests guests;
    struct gw_pings pings;
    struct gw_echo echo;
    uint8_t flow_seed[GW_FLOW_SEED_LEN]; /* of the gate's tables and of the lanes' */
    struct gw_lane_flows *lane_flows;    /* what the gate lets lanes carry; NULL: there were none yet */
};

/* Loads the identity, opens the port, makes engine and services; its peers come with gw_network_use. config: the file that files are of, for messages. 0, or an
 * error, with the reason in diag where a person can do something about it. */
int gw_network_new(struct gw_network **out, const struct gw_network_params *params,
                   const struct gw_config *config, const struct gw_network_files *files,
                   struct gw_diag *diag);
/* Takes down in two steps: who asks or uses it is told first, so that resets still reach the peers. Its heir gets its sockets. NULL is fine. */
void gw_network_end_services(struct gw_network *network, struct gw_mono now);
void gw_network_free(struct gw_network *network, struct gw_mono now);

/* Services and rights as in the files. All or nothing; 0, GW_E_NOMEM or an error with the reason in diag. */
int gw_network_apply_services(struct gw_network *network, const struct gw_config *config,
                              const struct gw_network_files *files, struct gw_diag *diag);
/* From now on these files are in force. gw_network_apply_peers has to follow, when this was done for all networks: what one of them kept of addresses goes before what another one
 * gives away anew. */
void gw_network_use(struct gw_network *network, const struct gw_network_files *files);
/* Who is not in the files any more, or expired, goes; who is new comes. */
void gw_network_apply_peers(struct gw_network *network, struct gw_peers_change *change);
/* The machine slept, or is somewhere else now: everything is tried at once. */
void gw_network_kick(struct gw_network *network, struct gw_mono now);

/* The one with this engine, or NULL. networks: a daemon's list. */
struct gw_network *gw_network_of(const struct gw_list *networks, const struct gateway *gateway);

#endif

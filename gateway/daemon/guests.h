/* SPDX-License-Identifier: MIT */
/* The peers of one network as names and addresses need them: each is asked for its services when it is
 * connected, and from time to time. Who wants none of that (no DNS, no virtual router) leaves it closed. */
#ifndef GATEWAY_DAEMON_GUESTS_H
#define GATEWAY_DAEMON_GUESTS_H

#include "frontends/dns/zone.h"
#include "frontends/vrouter/vrouter.h"
#include "gateway/base/map.h"
#include "gateway/daemon/addresses.h"
#include "gateway/daemon/files.h"
#include "gateway/daemon/peer_services.h"

struct gw_guests_params {
    struct gw_loop *loop;
    struct gateway *gateway;
    struct gw_peer_services *peer_services;
    struct gw_vip_state *addresses; /* borrowed for life; every peer has an entry */
};

struct gw_guest;

struct gw_guests {
    struct gw_guests_params params;
    bool is_open;
    struct gw_map map; /* struct gw_guest.node, by key */
    void (*on_services)(struct gw_guest *guest, struct gw_mono now, void *ctx); /* it told them */
    void *ctx;
};

struct gw_guest {
    struct gw_map_node node;
    uint8_t key[GW_KEY_LEN];
    struct gw_guests *guests;
    const struct gw_vip_entry *entry;
    struct gw_addr ipv6; /* configured; family 0 = the one of the entry */
    bool is_wanted;      /* while refreshing */

    bool is_established, is_known; /* is_known: it has told its services once */
    struct gw_mono handshake;      /* when the session was made, of the last one seen */
    struct gw_mono next_ask;
    unsigned failed;              /* questions in a row that it did not answer */
    struct gw_question *question; /* NULL: none is under way */
    struct gw_dns_service *services;
    size_t service_count;

    struct gw_vrouter_peer *router_peer; /* NULL: no router */
    struct gw_addr local;                /* what it has there */
};

void gw_guests_init(struct gw_guests *guests, const struct gw_guests_params *params);
/* Before the gateway, its peers and the router are freed. Zeroed is fine. */
void gw_guests_fini(struct gw_guests *guests, struct gw_mono now);

/* 0, or an error: then it is closed. */
int gw_guests_open(struct gw_guests *guests, struct gw_mono now);
/* The peers or the files changed: who is new comes, who is gone is forgotten. */
void gw_guests_refresh(struct gw_guests *guests, const struct gw_config_network *config, struct gw_mono now);
/* Nobody wants them any more. */
void gw_guests_close(struct gw_guests *guests, struct gw_mono now);
static inline bool gw_guests_is_open(const struct gw_guests *guests)
{
    return guests->is_open;
}

struct gw_guest *gw_guests_find(const struct gw_guests *guests, const uint8_t key[GW_KEY_LEN]);
/* In no order: NULL starts, NULL ends. */
struct gw_guest *gw_guests_next(const struct gw_guests *guests, const struct gw_guest *guest);
/* For gw_gateway_events.on_peer: true when the peer is to be asked now. */
bool gw_guests_on_peer(struct gw_guests *guests, struct gw_peer *peer, struct gw_mono now);
/* Asks up to `room` peers that are due for their services, and says how many it asked. is_eager: also those that there is no session with yet. */
unsigned gw_guests_ask(struct gw_guests *guests, bool is_eager, unsigned room, struct gw_mono now);

#endif

/* SPDX-License-Identifier: MIT */
/* Names to peers: `host`, `host.network`, `host.network.p2p`, `service.host.network.p2p`, or a literal peer ID. Tiers are asked in order,
 * the first answer wins: names.yaml, the configured peers' names, a literal peer ID (later: anchors, DHT, chain). A name without its network is
 * looked for in all of them, in the order in which they were added. No I/O here; a tier that needs time answers later. */
#ifndef RESOLVER_RESOLVER_H
#define RESOLVER_RESOLVER_H

#include "gateway/gateway.h"
#include "resolver/vip.h"

struct gw_resolver;

struct gw_answer {
    int err; /* 0; GW_E_UNKNOWN: no such name; GW_E_MALFORMED: not a name of ours at all */
    struct gateway *gateway;
    struct gw_peer *peer;                  /* NULL with err 0: the name is this node's own (tier "self") */
    char service[GW_SERVICE_NAME_MAX + 1]; /* "" unless the name had one */
    char canonical[256];                   /* host.network.p2p */
    bool
        is_behind; /* of gw_resolver_find_address: the address is not the peer's own, so only packets get there */
    const char *tier; /* "names.yaml", "self", "peers", "peer-id", "address" */
};
typedef void gw_resolver_fn(const struct gw_answer *answer, void *ctx);

/* A tier knows hosts within a network. */
struct gw_resolver_tier {
    const char *name;
    /* network may be "" (bare host). true = *peer is set. */
    bool (*find)(struct gw_resolver_tier *tier, const char *host, const char *network,
                 struct gateway **gateway, struct gw_peer **peer);
    /* The service that the entry stands for when the name has none ("files: {peer_id, service: web}"); NULL or "" = none. May be NULL. */
    const char *(*service)(struct gw_resolver_tier *tier, const char *host, const char *network);
    struct gw_resolver_tier *next; /* the resolver's */
};

struct gw_resolver *gw_resolver_new(void);
void gw_resolver_free(struct gw_resolver *resolver);
/* Appends; borrowed until the resolver is freed. */
void gw_resolver_add_tier(struct gw_resolver *resolver, struct gw_resolver_tier *tier);
/* A gateway and the name of the network it is in; its peers' configured names are a tier of their own. */
int gw_resolver_add_gateway(struct gw_resolver *resolver, struct gateway *gateway, const char *network,
                            const char *own_hostname);
void gw_resolver_remove_gateway(struct gw_resolver *resolver, struct gateway *gateway);
/* Is the name in our name space (ends in .p2p, ends in a known network, a peer ID, or a bare host that a tier knows)? Decides between
 * the resolver and `direct`/`reject` of a proxy. */
bool gw_resolver_is_ours(struct gw_resolver *resolver, const char *name);
/* Calls fn once, now or later. */
void gw_resolver_lookup(struct gw_resolver *resolver, const char *name, gw_resolver_fn *fn, void *ctx);
/* Other hosts that the name could stand for, had the answer's network not come first: their canonical names, at most `max`. How many; 0 for a name that
 * says its network. */
size_t gw_resolver_also(struct gw_resolver *resolver, const char *name, const struct gw_answer *answer,
                        char also[][256], size_t max);
/* Where virtual addresses are looked for first; borrowed for life, NULL = nowhere. */
void gw_resolver_set_addresses(struct gw_resolver *resolver, const struct gw_vip_space *addresses);
/* The peer that a virtual address belongs to (as gw_resolver_set_addresses has it, else allowed_ips of all gateways). false = nobody's. */
bool gw_resolver_find_address(struct gw_resolver *resolver, const struct gw_addr *ip,
                              struct gw_answer *answer);
/* For the tiers: is it the network of some gateway? */
bool gw_resolver_knows_network(const struct gw_resolver *resolver, const char *name);
/* For the tiers: the peer of an X25519 key in the network, "" = in whichever has it. */
bool gw_resolver_find_key(struct gw_resolver *resolver, const char *network,
                          const uint8_t public_key[GW_KEY_LEN], struct gateway **gateway,
                          struct gw_peer **peer);

#endif

/* SPDX-License-Identifier: MIT */
/* The virtual IP router without a TUN: a peer's name resolves to its own address in 127.64.0.0/16, and here we listen on that address with the ports of
 * the services that the peer grants us. A connection becomes a stream to that service, a UDP client a datagram flow. No root is needed but for ports below
 * net.ipv4.ip_unprivileged_port_start. Whoever may connect to this machine's loopback can use them, as with the SOCKS5 front-end.
 *
 * Linux takes every address of 127.0.0.0/8 as its own; elsewhere each needs an alias on the loopback interface. */
#ifndef FRONTENDS_VROUTER_VROUTER_H
#define FRONTENDS_VROUTER_VROUTER_H

#include "gateway/gateway.h"
#include "gateway/link/loop.h"

struct gw_vrouter;

struct gw_vrouter_params {
    struct gw_loop *loop;
    unsigned services_max;    /* of all peers; 0 = 1024 */
    unsigned connections_max; /* TCP, at once; 0 = 4096 */
    unsigned udp_clients_max; /* of one service; the longest idle gives way; 0 = 256 */
    int64_t udp_idle_ns;      /* 0 = 120 s */
    int64_t retry_ns;         /* between attempts to listen where it failed; 0 = 10 s */
};

/* One service of one peer. */
struct gw_vrouter_service {
    char name[GW_SERVICE_NAME_MAX + 1];
    uint16_t port; /* 0: by name only, so nobody could connect: left out */
    bool is_udp;
};

/* NULL without memory. */
struct gw_vrouter *gw_vrouter_new(const struct gw_vrouter_params *params);
/* Ends every connection. */
void gw_vrouter_free(struct gw_vrouter *router, struct gw_mono now);

/* The peer, by gateway and key (it need not be there yet, and may go), has this address. NULL without memory. Two peers may share an address as long as their ports
 * differ; what comes first listens. */
struct gw_vrouter_peer;
struct gw_vrouter_peer *gw_vrouter_add_peer(struct gw_vrouter *router, struct gateway *gateway,
                                            const uint8_t public_key[GW_KEY_LEN], const struct gw_addr *local,
                                            const char *name);
/* Ends its connections too. */
void gw_vrouter_remove_peer(struct gw_vrouter_peer *peer, struct gw_mono now);
/* Starts to listen. 0 also when it is there already; -errno (the service stays and is tried again: -EADDRINUSE, -EMFILE, -EACCES ...); GW_E_LIMIT, GW_E_NOMEM, GW_E_INVAL
 * (port 0): it is not added. */
int gw_vrouter_add(struct gw_vrouter_peer *peer, const struct gw_vrouter_service *service,
                   struct gw_mono now);
/* No new connections; those that are open go on, UDP clients end. */
void gw_vrouter_remove(struct gw_vrouter_peer *peer, const struct gw_vrouter_service *service,
                       struct gw_mono now);
/* The whole list at once, as a peer tells it: adds what is new, removes what isn't in it. The first error, after doing all. */
int gw_vrouter_set(struct gw_vrouter_peer *peer, const struct gw_vrouter_service *services, size_t count,
                   struct gw_mono now);

struct gw_vrouter_status {
    const char *peer;
    const struct gw_vrouter_service *service;
    struct gw_addr address; /* with the port */
    int err;                /* 0 = listening; else why not, GW_E_... or -errno */
    unsigned clients;
    uint64_t accepted;
};
void gw_vrouter_for_each(const struct gw_vrouter *router,
                         void (*visit)(const struct gw_vrouter_status *status, void *ctx), void *ctx);
/* What to do about an err of gw_vrouter_status: a sentence for a person. */
const char *gw_vrouter_advice(int err);

struct gw_vrouter_stats {
    unsigned services, listening, connections, udp_clients;
    uint64_t accepted, refused, udp_dropped; /* refused: over the limit, or no such peer now */
};
void gw_vrouter_stats(const struct gw_vrouter *router, struct gw_vrouter_stats *out);

#endif

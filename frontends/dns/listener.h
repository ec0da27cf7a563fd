/* SPDX-License-Identifier: MIT */
/* The DNS server: UDP and TCP on several addresses, in front of one zone. UDP in batches (recvmmsg, sendmmsg); TCP as RFC 7766 asks: pipelined
 * queries, answers as they come, idle clients and too many clients are sent away. */
#ifndef FRONTENDS_DNS_LISTENER_H
#define FRONTENDS_DNS_LISTENER_H

#include "frontends/dns/access.h"
#include "frontends/dns/forward.h"
#include "frontends/dns/zone.h"
#include "gateway/link/loop.h"

#define GW_DNS_LISTEN_MAX 8u

struct gw_dns_server;

struct gw_dns_server_params {
    struct gw_loop *loop;
    const struct gw_dns_zone *zone; /* borrowed for life */
    struct gw_dns_forward
        *forward; /* borrowed for life, freed after the server; NULL: what isn't ours is refused */
    const struct gw_addr *listen; /* port 0: the kernel's choice, the same for UDP and TCP */
    size_t listen_count;
    const struct gw_prefix *allowed; /* who may ask, beside loopback */
    size_t allowed_count;
    double rate, burst;   /* of answers to one prefix, UDP; 0 = access.h */
    unsigned tcp_clients; /* 0 = 256 */
    int64_t tcp_idle_ns;  /* 0 = 10 s */
};

/* 0, or -errno, GW_E_NOMEM, GW_E_LIMIT, GW_E_INVAL; *bad is then the index of the address that could not be listened on. */
int gw_dns_server_new(struct gw_dns_server **out, const struct gw_dns_server_params *params, size_t *bad);
void gw_dns_server_free(struct gw_dns_server *server);
/* Whether names that are not ours go to params.forward, if that is there: yes to begin with. */
void gw_dns_server_set_forwards(struct gw_dns_server *server, bool forwards);
/* With the port that the kernel chose. */
const struct gw_addr *gw_dns_server_listen(const struct gw_dns_server *server, size_t i);

/* A question that came another way, not from this machine: it takes of the asker's answers a second as one to the server's own sockets would. */
enum gw_dns_permission gw_dns_server_take(struct gw_dns_server *server, const struct gw_addr *from,
                                          struct gw_mono now);

struct gw_dns_server_stats {
    uint64_t udp_queries, tcp_queries, answers, forwarded;
    uint64_t not_allowed, limited,
        ignored;         /* UDP that got no answer, and why: not ours to serve, too many, no query */
    uint64_t send_drops; /* answers that the kernel did not take */
    uint64_t tcp_refused, tcp_evicted;
    unsigned tcp_clients, waiting;
};
void gw_dns_server_stats(const struct gw_dns_server *server, struct gw_dns_server_stats *out);

#endif

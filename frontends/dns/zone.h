/* SPDX-License-Identifier: MIT */
/* What the DNS server may know of peers: names to addresses and services, and back. The daemon fills it from the resolver, the
 * virtual addresses and the peers' lists of services; gw_dns_table is the ready-made filling. Sans-IO. */
#ifndef FRONTENDS_DNS_ZONE_H
#define FRONTENDS_DNS_ZONE_H

#include "gateway/flow/stream.h"
#include "gateway/peer/config.h"
#include "gateway/wire/cursor.h"

#define GW_DNS_HOST_SERVICES_MAX 256u
#define GW_DNS_HOST_NAME_MAX 127u /* "host.network" */
#define GW_DNS_RANGES_MAX 16u

struct gw_dns_service {
    char name[GW_SERVICE_NAME_MAX + 1]; /* lower case */
    uint16_t port;                      /* 0 = by name only: no SRV */
    bool is_udp;
};

struct gw_dns_host {
    char name[GW_DNS_HOST_NAME_MAX + 1]; /* "home.demo", lower case, without the p2p */
    char peer_id[64];                    /* for TXT; "" = none */
    struct gw_addr ipv4, ipv6;           /* family 0 = none; ports 0 */
    bool is_ipv4_derived;                /* from the key, so it may be kept for longer */
    const struct gw_dns_service *services;
    size_t service_count;
};

/* Labels come in lower case and hold neither dots nor blanks; what is returned is lent until the zone is changed. */
struct gw_dns_zone {
    /* NULL = no such host. network is empty for a name of one label, `host.p2p`. */
    const struct gw_dns_host *(*lookup)(const struct gw_dns_zone *zone, struct gw_view host,
                                        struct gw_view network);
    bool (*has_network)(const struct gw_dns_zone *zone, struct gw_view network);
    /* NULL = nobody's. */
    const struct gw_dns_host *(*reverse)(const struct gw_dns_zone *zone, const struct gw_addr *ip);
    struct gw_prefix ranges[GW_DNS_RANGES_MAX]; /* whose reverse names are ours */
    size_t range_count;
    struct gw_addr servers[2]; /* of ns.p2p, IPv4 and IPv6; family 0 = none */
    uint32_t serial;           /* SOA's */
};

bool gw_dns_prefix_has(const struct gw_prefix *prefix, const struct gw_addr *ip);

/* ---- a zone that is a table */

struct gw_dns_table;

/* NULL without memory. */
struct gw_dns_table *gw_dns_table_new(void);
void gw_dns_table_free(struct gw_dns_table *table);
struct gw_dns_zone *gw_dns_table_zone(struct gw_dns_table *table);
/* Adds a host under host->name, or replaces it; all of it is copied. is_canonical: its addresses' PTR is this name (the last who says so; otherwise the first name with
 * an address is). A name without a dot answers `host.p2p`. 0, GW_E_NOMEM, GW_E_INVAL (not one or two labels), GW_E_LIMIT (services). */
int gw_dns_table_put(struct gw_dns_table *table, const struct gw_dns_host *host, bool is_canonical);
/* A network that exists though it has no host yet. 0, GW_E_NOMEM, GW_E_INVAL. */
int gw_dns_table_put_network(struct gw_dns_table *table, const char *network);
void gw_dns_table_remove(struct gw_dns_table *table, const char *name);
/* No host, no network; ranges, servers and serial stay. */
void gw_dns_table_clear(struct gw_dns_table *table);
size_t gw_dns_table_count(const struct gw_dns_table *table);

#endif

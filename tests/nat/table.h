/* SPDX-License-Identifier: MIT */
/* What a NAT remembers: mappings, their sessions, the hosts inside that have any, and when each is to be forgotten. It decides
 * nothing: model.c does. */
#ifndef TESTS_NAT_TABLE_H
#define TESTS_NAT_TABLE_H

#include "gateway/base/map.h"
#include "gateway/base/mono.h"
#include "gateway/wire/addr.h"

/* Sessions of one class have one time-out, so that each class is a list in the order in which they end. */
enum nat_class { NAT_FRESH, NAT_ASSURED, NAT_TCP_FRESH, NAT_TCP_OPEN, NAT_TCP_CLOSED, NAT_CLASSES };

/* Two addresses and a protocol: (inside, remote) or (outside, remote); what does not count of the remote is zero. */
struct nat_key {
    struct gw_addr own, remote;
    uint8_t protocol;
    uint8_t reserved[7]; /* 0: the struct is a map's key */
};

struct nat_host {
    struct gw_map_node node;
    struct gw_addr ip; /* port 0 */
    unsigned pool_index;
    uint32_t mappings;
};

struct nat_mapping {
    struct gw_map_node by_inside; /* not linked for a stranger's */
    struct gw_map_node by_outside;
    struct nat_key inside, outside;
    struct nat_host *host; /* NULL: a stranger's */
    struct gw_list sessions;
    uint64_t id;
};

struct nat_session {
    struct gw_map_node node;
    struct {
        uint64_t mapping;
        struct gw_addr remote;
    } key;
    struct nat_mapping *mapping;
    struct gw_list in_mapping, in_class;
    struct gw_mono created, used;
    enum nat_class class;
    bool has_reply;
    bool is_closing; /* TCP: a FIN or RST was seen */
};

struct nat_table {
    struct gw_map by_inside, by_outside, sessions, hosts;
    struct gw_list classes[NAT_CLASSES]; /* sessions, least recently used first */
    int64_t timeouts_ns[NAT_CLASSES];
    uint64_t next_id;
    uint32_t mappings;
};

void nat_table_init(struct nat_table *table, const int64_t timeouts_ns[NAT_CLASSES], const uint8_t seed[16]);
void nat_table_fini(struct nat_table *table);
/* Forgets what has timed out, or all. */
void nat_table_expire(struct nat_table *table, struct gw_mono now);
void nat_table_clear(struct nat_table *table);

/* NULL when there is none. */
struct nat_host *nat_table_host(const struct nat_table *table, const struct gw_addr *ip);
struct nat_mapping *nat_table_inside(const struct nat_table *table, const struct nat_key *key);
struct nat_mapping *nat_table_outside(const struct nat_table *table, const struct nat_key *key);
struct nat_session *nat_table_session(const struct nat_table *table, const struct nat_mapping *mapping,
                                      const struct gw_addr *remote);

/* NULL without memory. A host or a mapping that no session follows to is the caller's to forget: nat_table_prune. */
struct nat_host *nat_table_add_host(struct nat_table *table, const struct gw_addr *ip, unsigned pool_index);
/* inside: NULL for a stranger's. */
struct nat_mapping *nat_table_add_mapping(struct nat_table *table, struct nat_host *host,
                                          const struct nat_key *inside, const struct nat_key *outside);
struct nat_session *nat_table_add_session(struct nat_table *table, struct nat_mapping *mapping,
                                          const struct gw_addr *remote, enum nat_class class,
                                          struct gw_mono now);
/* It was used just now. */
void nat_table_touch(struct nat_table *table, struct nat_session *session, enum nat_class class,
                     struct gw_mono now);
/* Forgets the host if it has no mapping. */
void nat_table_prune(struct nat_table *table, struct nat_host *host);

#endif

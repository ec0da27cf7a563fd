/* SPDX-License-Identifier: MIT */
/* Between the files of the virtual addresses: where in a range an address is, and what the tables of a node share. */
#ifndef RESOLVER_VIP_PRIVATE_H
#define RESOLVER_VIP_PRIVATE_H

#include "gateway/base/map.h"
#include "resolver/vip.h"

/* A peer in its table. */
struct gw_vip_node {
    struct gw_vip_entry entry;
    struct gw_vip *vip;
    struct gw_map_node by_key, by_ipv6;   /* the table's */
    struct gw_map_node by_ipv4, by_local; /* the space's */
    struct gw_addr configured,
        announced; /* what it calls itself, says the owner, says it; family 0 = nothing */
    bool is_seen;  /* assigned in this run, not only restored */
};

struct gw_vip {
    struct gw_list link; /* in the space */
    struct gw_vip_params params;
    struct gw_vip_space *space;
    bool owns_space;
    struct gw_map by_key, by_ipv6;
    struct gw_vip_node *own;
    uint64_t generation;
};

struct gw_vip_space {
    struct gw_map by_ipv4, by_local; /* struct gw_vip_node of all tables */
    struct gw_list tables;
};

/* ---- vip_range.c: IPv4 prefixes of 8 to 28 bits, and offsets in them */

bool gw_vip_range_is_good(const struct gw_prefix *range);
/* Is it an address of the range that a peer may have (not the first, the last, or the DNS server's)? */
bool gw_vip_is_in_range(const struct gw_prefix *range, const struct gw_addr *address);
/* The same place in a range of the same size; what lies outside `from` stays. */
struct gw_addr gw_vip_move(const struct gw_addr *address, const struct gw_prefix *from,
                           const struct gw_prefix *to);
/* The first free address for a key: by hash, then the next one after it. taken: by struct gw_addr. false: there is none. */
bool gw_vip_find_free(const struct gw_map *taken, const struct gw_prefix *range,
                      const uint8_t key[GW_KEY_LEN], struct gw_addr *out);

#endif

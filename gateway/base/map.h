/* SPDX-License-Identifier: MIT */
/* A hash map with keys of one fixed size, embedded nodes and a per-instance seed, so that strangers cannot
 * choose collisions (SipHash-2-4; keys of 4 and 8 bytes, which no stranger may choose, go faster:
 * see map.c). The map owns its table only, never the objects. Iteration order is insertion order: nothing
 * that reaches the wire depends on the seed. Finding never allocates; the table doubles as it fills and does
 * not shrink. */
#ifndef GATEWAY_BASE_MAP_H
#define GATEWAY_BASE_MAP_H

#include "gateway/base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embed one in each object for each map that it is in, zeroed. The key must lie in the object and not change
 * while linked. */
struct gw_map_node {
    struct gw_list order; /* in gw_map.order */
    struct gw_map_node *chain;
    const void *key; /* NULL while in no map */
    uint64_t hash;
};

struct gw_map {
    struct gw_map_node **buckets;
    size_t bucket_count; /* a power of two, or 0 before the first insert */
    size_t len;
    size_t key_len;
    struct gw_list order;
    uint8_t seed[16];
};

/* seed: 16 random bytes, copied. */
void gw_map_init(struct gw_map *map, size_t key_len, const uint8_t seed[16]);
/* Frees the table; the nodes are forgotten, and must not be removed afterwards. */
void gw_map_fini(struct gw_map *map);
/* NULL when absent. */
struct gw_map_node *gw_map_find(const struct gw_map *map, const void *key);
/* `key` points into the object; the node is in no map. 0, GW_E_NOMEM, or -EEXIST when the key is there. */
int gw_map_insert(struct gw_map *map, struct gw_map_node *node, const void *key);
/* Nothing happens to a node that is in no map. */
void gw_map_remove(struct gw_map *map, struct gw_map_node *node);

static inline bool gw_map_node_is_linked(const struct gw_map_node *node)
{
    return node->key != NULL;
}

#define gw_map_entry(node, type, member) gw_container_of(node, type, member)
/* for (node = gw_map_first(m); node; node = gw_map_next(m, node)). To remove the visited node, take the next
 * one first. */
struct gw_map_node *gw_map_first(const struct gw_map *map);
struct gw_map_node *gw_map_next(const struct gw_map *map, const struct gw_map_node *node);

#endif

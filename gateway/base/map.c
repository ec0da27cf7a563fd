/* SPDX-License-Identifier: MIT */
/* Hash map with chains through the objects. Two hashes, chosen by the length of the key:
 *
 * 4 and 8 bytes: multiply-shift with a random odd multiplier (Dietzfelbinger and others, 1997). Whatever
 * keys are chosen without knowing the multiplier, two of them share a bucket with probability at most
 * 2 / bucket_count. One who could measure our lookups for long might learn it; such keys are numbers that we
 * drew ourselves (session indices, requests), or that a known peer picks within a window of ours (streams): a
 * stranger can look up but not insert.
 *
 * All others: SipHash-2-4. Public keys, addresses and names are chosen by strangers and inserted on their
 * behalf. */
#include "gateway/base/map.h"

#include "gateway/base/err.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 8 /* a power of two; more than 1, or bucket_of would shift by 64 */

static_assert(crypto_shorthash_KEYBYTES == sizeof((struct gw_map *)0)->seed, "the seed is SipHash's key");
static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "a hash is SipHash's output");

static uint64_t multiply_hash(const struct gw_map *map, uint64_t key)
{
    uint64_t multiplier;
    memcpy(&multiplier, map->seed, sizeof multiplier);
    return key * (multiplier | 1);
}

static uint64_t hash_of(const struct gw_map *map, const void *key)
{
    uint32_t key32;
    uint64_t hash;
    switch (map->key_len) {
    case sizeof key32:
        memcpy(&key32, key, sizeof key32);
        return multiply_hash(map, key32);
    case sizeof hash:
        memcpy(&hash, key, sizeof hash);
        return multiply_hash(map, hash);
    default:
        crypto_shorthash((uint8_t *)&hash, key, map->key_len, map->seed);
        return hash;
    }
}

/* By the hash's top bits: of a product the low ones depend on the key's low ones only. */
static struct gw_map_node **bucket_of(const struct gw_map *map, uint64_t hash)
{
    return &map->buckets[hash >> (64 - __builtin_ctzll(map->bucket_count))];
}

static struct gw_map_node *find_hashed(const struct gw_map *map, const void *key, uint64_t hash)
{
    for (struct gw_map_node *node = *bucket_of(map, hash); node != NULL; node = node->chain) {
        if (node->hash == hash && memcmp(node->key, key, map->key_len) == 0)
            return node;
    }
    return NULL;
}

static void chain_in(struct gw_map *map, struct gw_map_node *node)
{
    struct gw_map_node **bucket = bucket_of(map, node->hash);
    node->chain = *bucket;
    *bucket = node;
}

/* At most one node a bucket on average: doubles when they are as many. */
static int make_room(struct gw_map *map)
{
    if (map->len < map->bucket_count)
        return 0;
    size_t count = map->bucket_count == 0 ? FIRST_BUCKETS : 2 * map->bucket_count;
    struct gw_map_node **buckets = calloc(count, sizeof *buckets);
    if (buckets == NULL)
        return GW_E_NOMEM;
    free(map->buckets);
    map->buckets = buckets;
    map->bucket_count = count;
    gw_list_for_each (node, &map->order)
        chain_in(map, gw_list_entry(node, struct gw_map_node, order));
    return 0;
}

void gw_map_init(struct gw_map *map, size_t key_len, const uint8_t seed[16])
{
    *map = (struct gw_map){.key_len = key_len};
    memcpy(map->seed, seed, sizeof map->seed);
    gw_list_init(&map->order);
}

void gw_map_fini(struct gw_map *map)
{
    free(map->buckets);
    map->buckets = NULL;
    map->bucket_count = 0;
    map->len = 0;
    gw_list_init(&map->order);
}

struct gw_map_node *gw_map_find(const struct gw_map *map, const void *key)
{
    return map->len > 0 ? find_hashed(map, key, hash_of(map, key)) : NULL;
}

int gw_map_insert(struct gw_map *map, struct gw_map_node *node, const void *key)
{
    uint64_t hash = hash_of(map, key);
    if (map->len > 0 && find_hashed(map, key, hash) != NULL)
        return -EEXIST;
    int err = make_room(map);
    if (err != 0)
        return err;
    node->key = key;
    node->hash = hash;
    chain_in(map, node);
    gw_list_push_back(&map->order, &node->order);
    map->len++;
    return 0;
}

void gw_map_remove(struct gw_map *map, struct gw_map_node *node)
{
    if (!gw_map_node_is_linked(node))
        return;
    struct gw_map_node **link = bucket_of(map, node->hash);
    while (*link != node) {
        assert(*link != NULL); /* not in this map */
        link = &(*link)->chain;
    }
    *link = node->chain;
    gw_list_remove(&node->order);
    node->key = NULL;
    node->chain = NULL;
    map->len--;
}

static struct gw_map_node *node_at(const struct gw_map *map, const struct gw_list *order)
{
    return order == &map->order ? NULL : gw_list_entry(order, struct gw_map_node, order);
}

struct gw_map_node *gw_map_first(const struct gw_map *map)
{
    return node_at(map, map->order.next);
}

struct gw_map_node *gw_map_next(const struct gw_map *map, const struct gw_map_node *node)
{
    return node_at(map, node->order.next);
}

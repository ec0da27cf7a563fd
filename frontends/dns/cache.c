/* SPDX-License-Identifier: MIT */
#include "frontends/dns/cache.h"

#include "gateway/base/map.h"

#include <stdlib.h>
#include <string.h>

/* Longer ones are asked for again. */
#define MESSAGE_MAX 8192u
#define BYTES_MAX (8u << 20)

struct entry {
    struct gw_map_node node;
    struct gw_list used; /* in cache->used */
    struct gw_dns_key key;
    struct gw_mono born, until;
    size_t len;
    uint8_t message[];
};

struct gw_dns_cache {
    struct gw_map map;
    struct gw_list used; /* the least lately used first */
    size_t entries_max, bytes;
};

void gw_dns_key_of(struct gw_dns_key *out, const struct gw_dns_query *query)
{
    *out = (struct gw_dns_key){.type = query->type,
                               .wants_dnssec = query->wants_dnssec,
                               .is_unchecked = (query->flags & GW_DNS_CD) != 0};
    memcpy(out->name, query->name, query->name_len);
}

struct gw_dns_cache *gw_dns_cache_new(size_t entries_max, struct gw_random *random)
{
    uint8_t seed[16];
    struct gw_dns_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return NULL;
    gw_random_fill(random, seed, sizeof seed);
    gw_map_init(&cache->map, sizeof(struct gw_dns_key), seed);
    gw_list_init(&cache->used);
    cache->entries_max = entries_max;
    return cache;
}

static void drop(struct gw_dns_cache *cache, struct entry *entry)
{
    gw_map_remove(&cache->map, &entry->node);
    gw_list_remove(&entry->used);
    cache->bytes -= entry->len;
    free(entry);
}

void gw_dns_cache_free(struct gw_dns_cache *cache)
{
    if (!cache)
        return;
    gw_list_for_each (node, &cache->used)
        drop(cache, gw_list_entry(node, struct entry, used));
    gw_map_fini(&cache->map);
    free(cache);
}

static struct entry *find(struct gw_dns_cache *cache, const struct gw_dns_key *key)
{
    struct gw_map_node *found = gw_map_find(&cache->map, key);
    return found ? gw_map_entry(found, struct entry, node) : NULL;
}

static void make_room(struct gw_dns_cache *cache, size_t len)
{
    while (!gw_list_is_empty(&cache->used) &&
           (cache->map.len >= cache->entries_max || cache->bytes + len > BYTES_MAX))
        drop(cache, gw_list_entry(cache->used.next, struct entry, used));
}

void gw_dns_cache_put(struct gw_dns_cache *cache, const struct gw_dns_key *key, const uint8_t *message,
                      size_t len, uint32_t ttl, struct gw_mono now)
{
    struct entry *entry = find(cache, key);
    if (entry)
        drop(cache, entry);
    if (len > MESSAGE_MAX || ttl == 0)
        return;
    make_room(cache, len);
    entry = calloc(1, sizeof *entry + len);
    if (!entry)
        return;
    entry->key = *key;
    entry->born = now;
    entry->until = gw_mono_add(now, GW_S(ttl));
    entry->len = len;
    memcpy(entry->message, message, len);
    if (gw_map_insert(&cache->map, &entry->node, &entry->key) != 0) {
        free(entry);
        return;
    }
    gw_list_init(&entry->used);
    gw_list_push_back(&cache->used, &entry->used);
    cache->bytes += len;
}

struct gw_view gw_dns_cache_get(struct gw_dns_cache *cache, const struct gw_dns_key *key, struct gw_mono now,
                                uint32_t *age_s)
{
    struct entry *entry = find(cache, key);
    if (entry && gw_mono_due(entry->until, now)) {
        drop(cache, entry);
        entry = NULL;
    }
    if (!entry)
        return (struct gw_view){(const uint8_t *)"", 0};
    gw_list_remove(&entry->used);
    gw_list_push_back(&cache->used, &entry->used);
    *age_s = (uint32_t)(gw_mono_sub(now, entry->born) / GW_S(1));
    return (struct gw_view){entry->message, entry->len};
}

size_t gw_dns_cache_count(const struct gw_dns_cache *cache)
{
    return cache->map.len;
}

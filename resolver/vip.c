/* SPDX-License-Identifier: MIT */
/* The table of virtual addresses: entries in four maps (by key and by each of their addresses), so that every address is held once. */
#include "resolver/vip.h"

#include "gateway/base/err.h"
#include "gateway/base/map.h"
#include "gateway/base/random.h"
#include "gateway/wire/cursor.h"

#include <stdlib.h>
#include <string.h>

/* Hashed addresses that are tried before the next free one is searched for. */
#define ATTEMPTS 16u
/* x.x.0.53 is the DNS server's, in every range that has it. */
#define DNS_OFFSET 53u

struct node {
    struct gw_vip_entry entry;
    struct gw_map_node by_key, by_ipv4, by_ipv6, by_local;
    bool is_seen; /* assigned in this run, not only restored */
};

struct gw_vip {
    struct gw_vip_params params;
    struct gw_map by_key, by_ipv4, by_ipv6, by_local;
    struct node *own;
    uint64_t generation;
};

/* ---- addresses from keys */

void gw_vip_ipv6(const uint8_t key[GW_KEY_LEN], struct gw_addr *out)
{
    static const uint8_t network[6] = {0xfd, GW_VIP_NETWORK};
    uint8_t hash[GW_HASH_LEN];
    gw_hash(hash, key, GW_KEY_LEN, NULL, 0);
    *out = (struct gw_addr){.family = 6};
    memcpy(out->ip, network, sizeof network);
    memcpy(out->ip + sizeof network, hash, sizeof out->ip - sizeof network);
}

static uint32_t range_size(const struct gw_prefix *range)
{
    return UINT32_C(1) << (32 - range->bits);
}

static struct gw_addr address_at(const struct gw_prefix *range, uint32_t offset)
{
    struct gw_addr out = {.family = 4};
    uint32_t mask = ~(range_size(range) - 1);
    gw_store32_be(out.ip, (gw_load32_be(range->ip.ip) & mask) + offset);
    return out;
}

static bool is_reserved(uint32_t offset, uint32_t size)
{
    return offset == 0 || offset >= size - 1 || offset == DNS_OFFSET;
}

static uint32_t derive_offset(uint32_t size, const uint8_t key[GW_KEY_LEN], unsigned attempt)
{
    uint8_t hash[GW_HASH_LEN], number[4];
    gw_store32_le(number, attempt);
    gw_hash(hash, key, GW_KEY_LEN, number, sizeof number);
    uint32_t offset = 1 + (uint32_t)(gw_load64_le(hash) % (size - 2));
    while (is_reserved(offset, size))
        offset = offset + 1 < size ? offset + 1 : 1;
    return offset;
}

void gw_vip_derive_ipv4(const struct gw_prefix *range, const uint8_t key[GW_KEY_LEN], unsigned attempt,
                        struct gw_addr *out)
{
    *out = address_at(range, derive_offset(range_size(range), key, attempt));
}

static bool is_in_range(const struct gw_prefix *range, const struct gw_addr *address)
{
    uint32_t size = range_size(range);
    if (address->family != 4 || address->port != 0)
        return false;
    uint32_t offset = gw_load32_be(address->ip) - gw_load32_be(address_at(range, 0).ip);
    return offset < size && !is_reserved(offset, size);
}

/* ---- who holds what */

static struct node *find_ipv4(const struct gw_vip *vip, const struct gw_addr *address)
{
    struct gw_map_node *found = gw_map_find(&vip->by_ipv4, address);
    return found ? gw_map_entry(found, struct node, by_ipv4) : NULL;
}

static struct node *find_key(const struct gw_vip *vip, const uint8_t *key)
{
    struct gw_map_node *found = gw_map_find(&vip->by_key, key);
    return found ? gw_map_entry(found, struct node, by_key) : NULL;
}

static void forget(struct gw_vip *vip, struct node *node)
{
    gw_map_remove(&vip->by_key, &node->by_key);
    gw_map_remove(&vip->by_ipv4, &node->by_ipv4);
    gw_map_remove(&vip->by_ipv6, &node->by_ipv6);
    gw_map_remove(&vip->by_local, &node->by_local);
    free(node);
}

/* Somebody of an earlier run who hasn't been seen in this one. */
static bool forget_unseen(struct gw_vip *vip)
{
    for (struct gw_map_node *at = gw_map_first(&vip->by_key); at; at = gw_map_next(&vip->by_key, at)) {
        struct node *node = gw_map_entry(at, struct node, by_key);
        if (node->is_seen)
            continue;
        forget(vip, node);
        return true;
    }
    return false;
}

/* The first free address: by hash, then the next one after it that is free. false: there is none. */
static bool find_free(const struct gw_map *taken, const struct gw_prefix *range, const uint8_t *key,
                      struct gw_addr *out)
{
    uint32_t size = range_size(range), offset = 0;
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        offset = derive_offset(size, key, attempt);
        *out = address_at(range, offset);
        if (!gw_map_find(taken, out))
            return true;
    }
    for (uint32_t i = 0; i < size; i++) {
        offset = offset + 1 < size ? offset + 1 : 1;
        *out = address_at(range, offset);
        if (!is_reserved(offset, size) && !gw_map_find(taken, out))
            return true;
    }
    return false;
}

static int set_address(struct gw_vip *vip, struct gw_map *map, struct gw_map_node *link, struct gw_addr *slot,
                       const struct gw_addr *address)
{
    gw_map_remove(map, link);
    *slot = *address;
    vip->generation++;
    int err = gw_map_insert(map, link, slot);
    if (err)
        *slot = (struct gw_addr){0};
    return err;
}

static int set_ipv4(struct gw_vip *vip, struct node *node, const struct gw_addr *address)
{
    return set_address(vip, &vip->by_ipv4, &node->by_ipv4, &node->entry.ipv4, address);
}

static void drop_ipv4(struct gw_vip *vip, struct node *node)
{
    gw_map_remove(&vip->by_ipv4, &node->by_ipv4);
    node->entry.ipv4 = (struct gw_addr){0};
}

static int set_local(struct gw_vip *vip, struct node *node, const struct gw_addr *address)
{
    return set_address(vip, &vip->by_local, &node->by_local, &node->entry.local, address);
}

/* ---- entries */

static struct node *new_node(struct gw_vip *vip, const uint8_t *key, int *err)
{
    struct node *node = calloc(1, sizeof *node);
    *err = GW_E_NOMEM;
    if (!node)
        return NULL;
    memcpy(node->entry.key, key, GW_KEY_LEN);
    gw_vip_ipv6(key, &node->entry.ipv6);
    *err = gw_map_insert(&vip->by_key, &node->by_key, node->entry.key);
    if (*err == 0)
        *err = gw_map_insert(&vip->by_ipv6, &node->by_ipv6, &node->entry.ipv6);
    if (*err == 0) {
        vip->generation++;
        return node;
    }
    /* Two keys with one IPv6 address took somebody 2^40 hashes: the second gets nothing. */
    *err = *err == -EEXIST ? GW_E_LIMIT : *err;
    forget(vip, node);
    return NULL;
}

static int derive_ipv4(struct gw_vip *vip, struct node *node)
{
    struct gw_addr address;
    node->entry.is_configured = false;
    while (!find_free(&vip->by_ipv4, &vip->params.range, node->entry.key, &address)) {
        if (!forget_unseen(vip))
            return GW_E_LIMIT;
    }
    return set_ipv4(vip, node, &address);
}

static int derive_local(struct gw_vip *vip, struct node *node)
{
    struct gw_addr address;
    while (!find_free(&vip->by_local, &vip->params.local_range, node->entry.key, &address)) {
        if (!forget_unseen(vip))
            return GW_E_LIMIT;
    }
    return set_local(vip, node, &address);
}

/* The owner's word goes before everything but the owner's word: who had the address gets another. */
static int configure(struct gw_vip *vip, struct node *node, const struct gw_addr *address)
{
    struct gw_addr wanted = *address;
    wanted.port = 0;
    struct node *holder = find_ipv4(vip, &wanted);
    if (wanted.family != 4 || (holder && holder != node && holder->entry.is_configured))
        return GW_E_INVAL;
    if (holder != node) {
        if (holder)
            drop_ipv4(vip, holder);
        int err = set_ipv4(vip, node, &wanted);
        if (err)
            return err;
    }
    node->entry.is_configured = true;
    /* In a full range there is none for it, until somebody goes; who hasn't been seen gets one when it is. */
    if (holder && holder != node && holder->is_seen)
        derive_ipv4(vip, holder);
    return 0;
}

static int address_node(struct gw_vip *vip, struct node *node, const struct gw_addr *configured)
{
    int err = 0;
    if (!gw_addr_is_set(&node->entry.local))
        err = derive_local(vip, node);
    if (err == 0 && configured)
        return configure(vip, node, configured);
    /* What was the owner's word once stays as first seen, unless it lies outside the range. */
    if (node->entry.is_configured && !is_in_range(&vip->params.range, &node->entry.ipv4))
        drop_ipv4(vip, node);
    node->entry.is_configured = false;
    if (err == 0 && !gw_map_node_is_linked(&node->by_ipv4))
        err = derive_ipv4(vip, node);
    return err;
}

int gw_vip_assign(struct gw_vip *vip, const uint8_t key[GW_KEY_LEN], const struct gw_addr *configured,
                  const struct gw_vip_entry **out)
{
    struct node *node = find_key(vip, key);
    int err = 0;
    bool is_new = !node;
    if (node == vip->own && node) {
        *out = &node->entry;
        return 0;
    }
    if (is_new)
        node = new_node(vip, key, &err);
    if (!node)
        return err;
    node->is_seen = true;
    err = address_node(vip, node, configured);
    if (err == 0)
        *out = &node->entry;
    else if (is_new)
        forget(vip, node);
    return err;
}

int gw_vip_restore(struct gw_vip *vip, const struct gw_vip_entry *entry)
{
    int err = 0;
    if (find_key(vip, entry->key))
        return 0;
    struct node *node = new_node(vip, entry->key, &err);
    if (!node)
        return err;
    if (is_in_range(&vip->params.range, &entry->ipv4) && !find_ipv4(vip, &entry->ipv4))
        err = set_ipv4(vip, node, &entry->ipv4);
    if (err == 0 && is_in_range(&vip->params.local_range, &entry->local) &&
        !gw_map_find(&vip->by_local, &entry->local))
        err = set_local(vip, node, &entry->local);
    if (err)
        forget(vip, node);
    return err;
}

/* ---- life */

static bool is_range_good(const struct gw_prefix *range)
{
    return range->ip.family == 4 && range->bits >= 8 && range->bits <= 28;
}

static void init_maps(struct gw_vip *vip)
{
    uint8_t seed[16];
    gw_random_fill(gw_random_system(), seed, sizeof seed);
    gw_map_init(&vip->by_key, GW_KEY_LEN, seed);
    gw_map_init(&vip->by_ipv4, sizeof(struct gw_addr), seed);
    gw_map_init(&vip->by_ipv6, sizeof(struct gw_addr), seed);
    gw_map_init(&vip->by_local, sizeof(struct gw_addr), seed);
}

struct gw_vip *gw_vip_new(const struct gw_vip_params *params)
{
    const struct gw_vip_entry *own;
    const struct gw_addr *own_ipv4 = gw_addr_is_set(&params->own_ipv4) ? &params->own_ipv4 : NULL;
    struct gw_vip *vip =
        is_range_good(&params->range) && is_range_good(&params->local_range) ? calloc(1, sizeof *vip) : NULL;
    if (!vip)
        return NULL;
    vip->params = *params;
    init_maps(vip);
    if (gw_vip_assign(vip, params->own_key, own_ipv4, &own) != 0) {
        gw_vip_free(vip);
        return NULL;
    }
    vip->own = find_key(vip, params->own_key);
    return vip;
}

void gw_vip_free(struct gw_vip *vip)
{
    struct gw_map_node *at;
    if (!vip)
        return;
    while ((at = gw_map_first(&vip->by_key)))
        forget(vip, gw_map_entry(at, struct node, by_key));
    gw_map_fini(&vip->by_key);
    gw_map_fini(&vip->by_ipv4);
    gw_map_fini(&vip->by_ipv6);
    gw_map_fini(&vip->by_local);
    free(vip);
}

/* ---- questions */

const struct gw_vip_entry *gw_vip_by_key(const struct gw_vip *vip, const uint8_t key[GW_KEY_LEN])
{
    struct node *node = find_key(vip, key);
    return node ? &node->entry : NULL;
}

const struct gw_vip_entry *gw_vip_by_address(const struct gw_vip *vip, const struct gw_addr *address)
{
    struct gw_map_node *found;
    struct gw_addr ip = *address;
    ip.port = 0;
    if ((found = gw_map_find(&vip->by_ipv4, &ip)))
        return &gw_map_entry(found, struct node, by_ipv4)->entry;
    if ((found = gw_map_find(&vip->by_ipv6, &ip)))
        return &gw_map_entry(found, struct node, by_ipv6)->entry;
    if ((found = gw_map_find(&vip->by_local, &ip)))
        return &gw_map_entry(found, struct node, by_local)->entry;
    return NULL;
}

const struct gw_vip_entry *gw_vip_own(const struct gw_vip *vip)
{
    return &vip->own->entry;
}

uint64_t gw_vip_generation(const struct gw_vip *vip)
{
    return vip->generation;
}

void gw_vip_for_each(const struct gw_vip *vip, void (*visit)(const struct gw_vip_entry *entry, void *ctx),
                     void *ctx)
{
    for (struct gw_map_node *at = gw_map_first(&vip->by_key); at; at = gw_map_next(&vip->by_key, at))
        visit(&gw_map_entry(at, struct node, by_key)->entry, ctx);
}

/* SPDX-License-Identifier: MIT */
/* The table of one network's virtual addresses: who gets which, and who gives way. */
#include "resolver/vip.h"

#include "gateway/base/err.h"
#include "gateway/base/random.h"
#include "resolver/vip_private.h"

#include <stdlib.h>
#include <string.h>

/* ---- who holds what */

static struct gw_vip_node *find_ipv4(const struct gw_vip *vip, const struct gw_addr *address)
{
    struct gw_map_node *found = gw_map_find(&vip->space->by_ipv4, address);
    return found ? gw_map_entry(found, struct gw_vip_node, by_ipv4) : NULL;
}

static struct gw_vip_node *find_key(const struct gw_vip *vip, const uint8_t *key)
{
    struct gw_map_node *found = gw_map_find(&vip->by_key, key);
    return found ? gw_map_entry(found, struct gw_vip_node, by_key) : NULL;
}

static void forget(struct gw_vip_node *node)
{
    struct gw_vip *vip = node->vip;
    gw_map_remove(&vip->by_key, &node->by_key);
    gw_map_remove(&vip->by_ipv6, &node->by_ipv6);
    gw_map_remove(&vip->space->by_ipv4, &node->by_ipv4);
    gw_map_remove(&vip->space->by_local, &node->by_local);
    free(node);
}

/* Somebody of an earlier run who hasn't been seen in this one. */
static bool forget_unseen(struct gw_vip *vip)
{
    for (struct gw_map_node *at = gw_map_first(&vip->by_key); at; at = gw_map_next(&vip->by_key, at)) {
        struct gw_vip_node *node = gw_map_entry(at, struct gw_vip_node, by_key);
        if (node->is_seen)
            continue;
        forget(node);
        return true;
    }
    return false;
}

static int set_address(struct gw_vip_node *node, struct gw_map *map, struct gw_map_node *link,
                       struct gw_addr *slot, const struct gw_addr *address)
{
    gw_map_remove(map, link);
    *slot = *address;
    node->vip->generation++;
    int err = gw_map_insert(map, link, slot);
    if (err)
        *slot = (struct gw_addr){0};
    return err;
}

static int set_ipv4(struct gw_vip_node *node, const struct gw_addr *address)
{
    return set_address(node, &node->vip->space->by_ipv4, &node->by_ipv4, &node->entry.ipv4, address);
}

static void drop_ipv4(struct gw_vip_node *node)
{
    gw_map_remove(&node->vip->space->by_ipv4, &node->by_ipv4);
    node->entry.ipv4 = (struct gw_addr){0};
}

static int set_local(struct gw_vip_node *node, const struct gw_addr *address)
{
    return set_address(node, &node->vip->space->by_local, &node->by_local, &node->entry.local, address);
}

/* ---- what it calls itself */

static void set_wire(struct gw_vip_node *node)
{
    struct gw_addr wire;
    if (gw_addr_is_set(&node->configured))
        wire = node->configured;
    else if (gw_addr_is_set(&node->announced))
        wire = node->announced;
    else /* it is the first in its own table, where nobody was before it */
        gw_vip_derive_ipv4(&node->vip->params.range, node->entry.key, 0, &wire);
    if (gw_addr_equal(&wire, &node->entry.wire))
        return;
    node->entry.wire = wire;
    node->vip->generation++;
}

void gw_vip_announce(struct gw_vip *vip, const uint8_t key[GW_KEY_LEN], const struct gw_addr *ipv4)
{
    struct gw_vip_node *node = find_key(vip, key);
    struct gw_addr ip = *ipv4;
    ip.port = 0;
    if (!node || node == vip->own)
        return;
    node->announced = gw_vip_is_in_range(&vip->params.range, &ip) ? ip : (struct gw_addr){0};
    set_wire(node);
}

/* ---- entries */

static struct gw_vip_node *new_node(struct gw_vip *vip, const uint8_t *key, int *err)
{
    struct gw_vip_node *node = calloc(1, sizeof *node);
    *err = GW_E_NOMEM;
    if (!node)
        return NULL;
    node->vip = vip;
    memcpy(node->entry.key, key, GW_KEY_LEN);
    gw_vip_ipv6(key, &node->entry.ipv6);
    *err = gw_map_insert(&vip->by_key, &node->by_key, node->entry.key);
    if (*err == 0)
        *err = gw_map_insert(&vip->by_ipv6, &node->by_ipv6, &node->entry.ipv6);
    if (*err == 0) {
        set_wire(node);
        vip->generation++;
        return node;
    }
    /* Two keys with one IPv6 address took somebody 2^40 hashes: the second gets nothing. */
    *err = *err == -EEXIST ? GW_E_LIMIT : *err;
    forget(node);
    return NULL;
}

static int derive_ipv4(struct gw_vip_node *node)
{
    struct gw_vip *vip = node->vip;
    struct gw_addr address;
    node->entry.is_configured = false;
    while (!gw_vip_find_free(&vip->space->by_ipv4, &vip->params.alias_range, node->entry.key, &address)) {
        if (!forget_unseen(vip))
            return GW_E_LIMIT;
    }
    return set_ipv4(node, &address);
}

static bool forget_anybody_unseen(struct gw_vip_space *space)
{
    gw_list_for_each (link, &space->tables) {
        if (forget_unseen(gw_list_entry(link, struct gw_vip, link)))
            return true;
    }
    return false;
}

static int derive_local(struct gw_vip_node *node)
{
    struct gw_vip *vip = node->vip;
    struct gw_addr address;
    while (!gw_vip_find_free(&vip->space->by_local, &vip->params.local_range, node->entry.key, &address)) {
        if (!forget_anybody_unseen(vip->space))
            return GW_E_LIMIT;
    }
    return set_local(node, &address);
}

/* Takes the address from whoever has it without a word of the owner's. */
static int take(struct gw_vip_node *node, struct gw_vip_node *holder, const struct gw_addr *address)
{
    if (holder)
        drop_ipv4(holder);
    int err = set_ipv4(node, address);
    if (err)
        return err;
    node->entry.is_configured = true;
    /* In a full range there is none for it, until somebody goes; who hasn't been seen gets one when it is. */
    if (holder && holder->is_seen)
        derive_ipv4(holder);
    return 0;
}

/* The owner's word goes before everything but the owner's word: who had the address gets another. */
static int configure(struct gw_vip_node *node, const struct gw_addr *address)
{
    struct gw_vip *vip = node->vip;
    struct gw_addr wire = *address;
    wire.port = 0;
    if (wire.family != 4)
        return GW_E_INVAL;
    struct gw_addr alias = gw_vip_move(&wire, &vip->params.range, &vip->params.alias_range);
    struct gw_vip_node *holder = find_ipv4(vip, &alias);
    bool is_taken = holder && holder != node && holder->entry.is_configured;
    if (is_taken && holder->vip == vip)
        return GW_E_INVAL;
    node->configured = wire;
    set_wire(node);
    if (is_taken) { /* in another network */
        node->entry.is_configured = false;
        return gw_vip_is_in_range(&vip->params.alias_range, &node->entry.ipv4) ? 0 : derive_ipv4(node);
    }
    if (holder != node)
        return take(node, holder, &alias);
    node->entry.is_configured = true;
    return 0;
}

static int address_node(struct gw_vip_node *node, const struct gw_addr *configured)
{
    int err = 0;
    if (!gw_addr_is_set(&node->entry.local))
        err = derive_local(node);
    if (err == 0 && configured)
        return configure(node, configured);
    node->configured = (struct gw_addr){0};
    set_wire(node);
    /* What was the owner's word once stays as first seen, unless it lies outside the range. */
    if (node->entry.is_configured && !gw_vip_is_in_range(&node->vip->params.alias_range, &node->entry.ipv4))
        drop_ipv4(node);
    node->entry.is_configured = false;
    if (err == 0 && !gw_map_node_is_linked(&node->by_ipv4))
        err = derive_ipv4(node);
    return err;
}

int gw_vip_assign(struct gw_vip *vip, const uint8_t key[GW_KEY_LEN], const struct gw_addr *configured,
                  const struct gw_vip_entry **out)
{
    struct gw_vip_node *node = find_key(vip, key);
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
    err = address_node(node, configured);
    if (err == 0)
        *out = &node->entry;
    else if (is_new)
        forget(node);
    return err;
}

int gw_vip_restore(struct gw_vip *vip, const struct gw_vip_entry *entry)
{
    int err = 0;
    if (find_key(vip, entry->key))
        return 0;
    struct gw_vip_node *node = new_node(vip, entry->key, &err);
    if (!node)
        return err;
    if (gw_vip_is_in_range(&vip->params.alias_range, &entry->ipv4) && !find_ipv4(vip, &entry->ipv4))
        err = set_ipv4(node, &entry->ipv4);
    if (err == 0 && gw_vip_is_in_range(&vip->params.local_range, &entry->local) &&
        !gw_map_find(&vip->space->by_local, &entry->local))
        err = set_local(node, &entry->local);
    if (err)
        forget(node);
    return err;
}

/* ---- life */

static bool are_ranges_good(const struct gw_vip_params *params)
{
    return gw_vip_range_is_good(&params->range) && gw_vip_range_is_good(&params->alias_range) &&
           gw_vip_range_is_good(&params->local_range) && params->range.bits == params->alias_range.bits;
}

static void init_maps(struct gw_vip *vip)
{
    uint8_t seed[16];
    gw_random_fill(gw_random_system(), seed, sizeof seed);
    gw_map_init(&vip->by_key, GW_KEY_LEN, seed);
    gw_map_init(&vip->by_ipv6, sizeof(struct gw_addr), seed);
}

struct gw_vip *gw_vip_new(const struct gw_vip_params *params)
{
    const struct gw_vip_entry *own;
    const struct gw_addr *own_ipv4 = gw_addr_is_set(&params->own_ipv4) ? &params->own_ipv4 : NULL;
    struct gw_vip *vip = calloc(1, sizeof *vip);
    if (!vip)
        return NULL;
    vip->params = *params;
    if (params->alias_range.ip.family == 0)
        vip->params.alias_range = params->range;
    vip->owns_space = !params->space;
    vip->space = params->space ? params->space : gw_vip_space_new();
    if (!vip->space || !are_ranges_good(&vip->params)) {
        if (vip->owns_space)
            gw_vip_space_free(vip->space);
        free(vip);
        return NULL;
    }
    init_maps(vip);
    gw_list_push_back(&vip->space->tables, &vip->link);
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
        forget(gw_map_entry(at, struct gw_vip_node, by_key));
    gw_map_fini(&vip->by_key);
    gw_map_fini(&vip->by_ipv6);
    gw_list_remove(&vip->link);
    if (vip->owns_space)
        gw_vip_space_free(vip->space);
    free(vip);
}

/* ---- questions */

const struct gw_vip_entry *gw_vip_by_key(const struct gw_vip *vip, const uint8_t key[GW_KEY_LEN])
{
    struct gw_vip_node *node = find_key(vip, key);
    return node ? &node->entry : NULL;
}

const struct gw_vip_entry *gw_vip_by_address(const struct gw_vip *vip, const struct gw_addr *address)
{
    const struct gw_vip *holder = NULL;
    struct gw_addr ip = *address;
    struct gw_map_node *found;
    ip.port = 0;
    if ((found = gw_map_find(&vip->by_ipv6, &ip)))
        return &gw_map_entry(found, struct gw_vip_node, by_ipv6)->entry;
    const struct gw_vip_entry *entry = gw_vip_space_find(vip->space, &ip, &holder);
    return holder == vip ? entry : NULL;
}

const struct gw_vip_entry *gw_vip_own(const struct gw_vip *vip)
{
    return &vip->own->entry;
}

const struct gw_vip_params *gw_vip_params(const struct gw_vip *vip)
{
    return &vip->params;
}

uint64_t gw_vip_generation(const struct gw_vip *vip)
{
    return vip->generation;
}

void gw_vip_for_each(const struct gw_vip *vip, void (*visit)(const struct gw_vip_entry *entry, void *ctx),
                     void *ctx)
{
    for (struct gw_map_node *at = gw_map_first(&vip->by_key); at; at = gw_map_next(&vip->by_key, at))
        visit(&gw_map_entry(at, struct gw_vip_node, by_key)->entry, ctx);
}

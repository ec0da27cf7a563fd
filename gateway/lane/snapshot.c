/* SPDX-License-Identifier: MIT */
/* The snapshot's memory and its look-ups; see snapshot.h. */
#include "gateway/lane/snapshot.h"

#include <stdlib.h>
#include <string.h>

/* ---- life */

static uint32_t table_size(uint32_t keys)
{
    uint32_t size = 8;
    while (size < 2 * keys)
        size *= 2;
    return size;
}

struct gw_lane_snapshot *gw_lane_snapshot_new(const struct gw_lane_routes *routes, uint32_t entries,
                                              uint32_t keys)
{
    struct gw_lane_snapshot *snapshot = calloc(1, sizeof *snapshot);
    uint32_t size = table_size(keys);
    if (!snapshot)
        return NULL;
    gw_list_init(&snapshot->limbo);
    snapshot->routes = routes;
    snapshot->entry_count = entries;
    snapshot->key_mask = size - 1;
    snapshot->entries = calloc(entries + 1, sizeof *snapshot->entries);
    snapshot->keys = calloc(size, sizeof *snapshot->keys);
    if (snapshot->entries && snapshot->keys)
        return snapshot;
    gw_lane_snapshot_free(snapshot);
    return NULL;
}

void gw_lane_snapshot_free(struct gw_lane_snapshot *snapshot)
{
    if (!snapshot)
        return;
    free(snapshot->entries);
    free(snapshot->keys);
    free(snapshot);
}

struct gw_lane_routes *gw_lane_routes_new(const struct gw_prefix *sources, size_t count)
{
    struct gw_lane_routes *routes = calloc(1, sizeof *routes + count * sizeof *sources);
    if (!routes)
        return NULL;
    gw_list_init(&routes->limbo);
    gw_allowedips_init(&routes->peers);
    routes->source_count = count;
    if (count > 0)
        memcpy(routes->sources, sources, count * sizeof *sources);
    return routes;
}

void gw_lane_routes_free(struct gw_lane_routes *routes)
{
    if (!routes)
        return;
    gw_allowedips_clear(&routes->peers);
    free(routes);
}

struct gw_lane_peer *gw_lane_peer_new(uint32_t number, unsigned lanes)
{
    size_t size = sizeof(struct gw_lane_peer) + lanes * sizeof(struct gw_lane_slot);
    size = (size + 63) & ~(size_t)63;
    struct gw_lane_peer *peer = aligned_alloc(64, size);
    if (!peer)
        return NULL;
    memset(peer, 0, size);
    gw_list_init(&peer->limbo);
    peer->number = number;
    peer->order_until = GW_NEVER;
    peer->lanes = lanes;
    for (unsigned i = 0; i < lanes; i++) {
        peer->slots[i].peer = peer;
        gw_list_init(&peer->slots[i].ready);
        gw_list_init(&peer->slots[i].untold);
    }
    return peer;
}

void gw_lane_peer_free(struct gw_lane_peer *peer)
{
    if (!peer)
        return;
    for (unsigned i = 0; i < peer->lanes; i++)
        gw_packet_queue_free(peer->slots[i].packets);
    free(peer);
}

/* ---- key pairs: open addressing, at most half full */

void gw_lane_snapshot_add_key(struct gw_lane_snapshot *snapshot, struct gw_keypair *kp, uint32_t peer)
{
    uint32_t at = kp->local_index & snapshot->key_mask;
    while (snapshot->keys[at].kp)
        at = (at + 1) & snapshot->key_mask;
    snapshot->keys[at] = (struct gw_lane_key){kp, kp->local_index, peer, kp->is_confirmed};
}

const struct gw_lane_key *gw_lane_snapshot_key(const struct gw_lane_snapshot *snapshot, uint32_t index)
{
    for (uint32_t at = index & snapshot->key_mask; snapshot->keys[at].kp;
         at = (at + 1) & snapshot->key_mask) {
        if (snapshot->keys[at].index == index)
            return &snapshot->keys[at];
    }
    return NULL;
}

/* ---- peers */

const struct gw_lane_entry *gw_lane_snapshot_entry(const struct gw_lane_snapshot *snapshot,
                                                   const struct gw_lane_peer *peer)
{
    if (!peer || peer->number >= snapshot->entry_count || snapshot->entries[peer->number].peer != peer)
        return NULL;
    return &snapshot->entries[peer->number];
}

const struct gw_lane_entry *gw_lane_snapshot_route(const struct gw_lane_snapshot *snapshot,
                                                   const struct gw_addr *ip)
{
    return gw_lane_snapshot_entry(snapshot, gw_allowedips_find(&snapshot->routes->peers, ip));
}

static bool has_prefix(const struct gw_prefix *prefix, const struct gw_addr *ip)
{
    unsigned whole = prefix->bits / 8, rest = prefix->bits % 8;
    return prefix->ip.family == ip->family && memcmp(prefix->ip.ip, ip->ip, whole) == 0 &&
           (rest == 0 || (prefix->ip.ip[whole] ^ ip->ip[whole]) >> (8 - rest) == 0);
}

bool gw_lane_snapshot_is_ours(const struct gw_lane_snapshot *snapshot, const struct gw_addr *source)
{
    for (size_t i = 0; i < snapshot->routes->source_count; i++) {
        if (has_prefix(&snapshot->routes->sources[i], source))
            return true;
    }
    return false;
}

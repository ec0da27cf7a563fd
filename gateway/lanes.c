/* SPDX-License-Identifier: MIT */
/* The engine's side of lanes: what they may know, and when it is freed. What they tell is taken in by lane_records.c. */
#include "gateway/lanes_private.h"

#include "gateway/base/err.h"

#include <stdlib.h>
#include <string.h>

#define RECLAIM_NS GW_MS(2) /* a busy lane's turn is shorter */
#define NUMBERS_STEP 64u
#define ORDER_NS GW_MS(10)
#define ICMP_NS GW_S(10)

/* ---- what nobody may see any more */

static void limbo_init(struct gw_limbo *limbo)
{
    gw_list_init(&limbo->keypairs);
    gw_list_init(&limbo->peers);
    gw_list_init(&limbo->snapshots);
    gw_list_init(&limbo->routes);
}

static bool limbo_is_empty(const struct gw_limbo *limbo)
{
    return gw_list_is_empty(&limbo->keypairs) && gw_list_is_empty(&limbo->peers) &&
           gw_list_is_empty(&limbo->snapshots) && gw_list_is_empty(&limbo->routes);
}

static void move_all(struct gw_list *to, struct gw_list *from)
{
    for (struct gw_list *node; (node = gw_list_pop_front(from)) != NULL;)
        gw_list_push_back(to, node);
}

static void limbo_move(struct gw_limbo *to, struct gw_limbo *from)
{
    move_all(&to->keypairs, &from->keypairs);
    move_all(&to->peers, &from->peers);
    move_all(&to->snapshots, &from->snapshots);
    move_all(&to->routes, &from->routes);
}

static void limbo_free(struct gw_limbo *limbo)
{
    struct gw_list *node;
    while ((node = gw_list_pop_front(&limbo->keypairs)) != NULL)
        gw_keypair_free(gw_list_entry(node, struct gw_keypair, limbo));
    while ((node = gw_list_pop_front(&limbo->peers)) != NULL)
        gw_lane_peer_free(gw_list_entry(node, struct gw_lane_peer, limbo));
    while ((node = gw_list_pop_front(&limbo->snapshots)) != NULL)
        gw_lane_snapshot_free(gw_list_entry(node, struct gw_lane_snapshot, limbo));
    while ((node = gw_list_pop_front(&limbo->routes)) != NULL)
        gw_lane_routes_free(gw_list_entry(node, struct gw_lane_routes, limbo));
}

/* What waits is out of the published snapshot only when that is up to date; then it closes: the epoch is counted up, and when every lane has been away
 * since, it is freed. */
static void reclaim(struct gw_lanes *lanes, struct gw_mono now)
{
    struct gw_mono at = GW_NEVER;
    for (int i = 0; i < 2; i++) {
        if (!limbo_is_empty(&lanes->closing) && gw_epoch_is_over(&lanes->hub.epoch, lanes->closing_number))
            limbo_free(&lanes->closing);
        if (limbo_is_empty(&lanes->closing) && !limbo_is_empty(&lanes->waiting) && !lanes->is_dirty) {
            limbo_move(&lanes->closing, &lanes->waiting);
            lanes->closing_number = gw_epoch_advance(&lanes->hub.epoch);
        }
    }
    if (!limbo_is_empty(&lanes->closing) || !limbo_is_empty(&lanes->waiting))
        at = gw_mono_add(now, RECLAIM_NS);
    gw_deadline_arm(&lanes->gateway->host.deadlines, &lanes->deadline, at);
}

static void on_deadline(struct gw_deadline *deadline, struct gw_mono now)
{
    reclaim(gw_container_of(deadline, struct gw_lanes, deadline), now);
}

/* ---- what the engine tells us of */

static void on_keypair_new(struct gw_keypair *kp, void *ctx)
{
    struct gw_lanes *lanes = ctx;
    (void)kp;
    lanes->is_dirty = true;
}

static void on_keypair_gone(struct gw_keypair *kp, void *ctx)
{
    struct gw_lanes *lanes = ctx;
    lanes->is_dirty = true;
    for (uint32_t i = 0; i < lanes->number_count; i++) {
        if (lanes->entries[i].kp == kp)
            lanes->entries[i].kp = NULL;
    }
    gw_list_push_back(&lanes->waiting.keypairs, &kp->limbo);
}

static void on_lane_peer_gone(struct gw_peer_host *host, struct gw_lane_peer *peer)
{
    struct gw_lanes *lanes = host->gateway->lanes;
    memset(&lanes->entries[peer->number], 0, sizeof lanes->entries[peer->number]);
    atomic_store_explicit(&peer->is_gone, true, memory_order_relaxed);
    gw_list_push_back(&lanes->waiting.peers, &peer->limbo);
    lanes->is_dirty = true;
}

/* ---- peers */

static bool grow(struct gw_lanes *lanes)
{
    uint32_t count = lanes->number_count + NUMBERS_STEP;
    struct gw_lane_entry *entries = realloc(lanes->entries, count * sizeof *entries);
    if (!entries)
        return false;
    memset(entries + lanes->number_count, 0, NUMBERS_STEP * sizeof *entries);
    lanes->entries = entries;
    lanes->number_count = count;
    return true;
}

static bool give_lane_peer(struct gw_lanes *lanes, struct gw_peer *peer)
{
    uint32_t number = 0;
    if (peer->lane)
        return true;
    while (number < lanes->number_count && lanes->entries[number].peer)
        number++;
    if (number == lanes->number_count && !grow(lanes))
        return false;
    peer->lane = gw_lane_peer_new(number, lanes->count);
    if (!peer->lane)
        return false;
    lanes->entries[number].peer = peer->lane;
    lanes->has_new_peer = true; /* its prefixes are to lead somewhere */
    return true;
}

static void fill_alias(const struct gw_peer *peer, struct gw_lane_alias *alias)
{
    const uint8_t *own_here, *own_wire;
    if (!gw_peer_alias_rules(peer, &own_here, &own_wire))
        return;
    alias->has_peer = peer->alias.is_on;
    memcpy(alias->peer_here, peer->alias.local, 4);
    memcpy(alias->peer_wire, peer->alias.remote, 4);
    alias->has_own = own_wire != NULL;
    if (own_wire) {
        memcpy(alias->own_here, own_here, 4);
        memcpy(alias->own_wire, own_wire, 4);
    }
}

/* Packets that still wait with the engine go first, or order within a flow would be lost; once lanes send, they go on. Not for long: under load its queue is never empty,
 * since lanes hand it all that they may not send yet. */
static bool must_wait(const struct gw_peer *peer, bool was_ours, struct gw_mono now)
{
    struct gw_mono *until = &peer->lane->order_until;
    if (was_ours || !gw_peer_queues_have_packets(&peer->queues)) {
        *until = GW_NEVER;
        return false;
    }
    if (gw_mono_is_never(*until))
        *until = gw_mono_add(now, ORDER_NS);
    return !gw_mono_due(*until, now);
}

static void fill_entry(const struct gw_lanes *lanes, struct gw_peer *peer, struct gw_mono now,
                       struct gw_lane_entry *entry)
{
    const struct gw_path *path = gw_paths_current(&peer->paths);
    bool was_ours = entry->kp != NULL;
    size_t cap;
    memset(entry, 0, sizeof *entry);
    entry->peer = peer->lane;
    entry->keep_partial = peer->remote_capabilities & GW_CAP_PARTIAL_CSUM;
    fill_alias(peer, &entry->alias);
    if (path)
        entry->path = path->tuple;
    entry->heeds_icmp = path && gw_peer_heeds_icmp(peer, path);
    if (!gw_peer_lane_way(peer, now, &entry->kp, &entry->suite, &cap)) {
        entry->kp = NULL;
        peer->lane->order_until = GW_NEVER;
        return;
    }
    entry->cap = (uint16_t)cap;
    entry->room = (uint16_t)gw_suite_room(entry->suite, cap);
    if (entry->room < lanes->hub.mtu || must_wait(peer, was_ours, now))
        entry->kp = NULL;
}

static void look_at(struct gw_lanes *lanes, struct gw_peer *peer, struct gw_mono now)
{
    if (!give_lane_peer(lanes, peer))
        return; /* the engine does what it can without */
    struct gw_lane_entry *entry = &lanes->entries[peer->lane->number], fresh = *entry;
    fill_entry(lanes, peer, now, &fresh);
    if (memcmp(&fresh, entry, sizeof fresh) == 0)
        return;
    *entry = fresh;
    lanes->is_dirty = true;
}

/* ---- publishing */

static int build_routes(struct gw_lanes *lanes)
{
    struct gw_peer_host *host = &lanes->gateway->host;
    struct gw_lane_routes *routes = gw_lane_routes_new(lanes->sources, lanes->source_count);
    int err = routes ? 0 : GW_E_NOMEM;
    for (struct gw_map_node *node = gw_map_first(&host->peers); node && !err;
         node = gw_map_next(&host->peers, node)) {
        struct gw_peer *peer = gw_map_entry(node, struct gw_peer, by_key);
        for (unsigned i = 0; peer->lane && i < peer->config.allowed_ip_count && !err; i++)
            err = gw_allowedips_insert(&routes->peers, &peer->config.allowed_ips[i], peer->lane);
    }
    if (err) {
        gw_lane_routes_free(routes);
        return err;
    }
    if (lanes->routes)
        gw_list_push_back(&lanes->waiting.routes, &lanes->routes->limbo);
    lanes->routes = routes;
    lanes->routes_version = host->routes_version;
    lanes->has_new_peer = false;
    return 0;
}

static struct gw_lane_snapshot *build(struct gw_lanes *lanes)
{
    struct gw_peer_host *host = &lanes->gateway->host;
    struct gw_map *keypairs = &host->local.keypairs;
    struct gw_lane_snapshot *snapshot =
        gw_lane_snapshot_new(lanes->routes, lanes->number_count, (uint32_t)keypairs->len);
    if (!snapshot)
        return NULL;
    if (lanes->number_count > 0)
        memcpy(snapshot->entries, lanes->entries, lanes->number_count * sizeof *lanes->entries);
    for (struct gw_map_node *node = gw_map_first(keypairs); node; node = gw_map_next(keypairs, node)) {
        struct gw_keypair *kp = gw_map_entry(node, struct gw_keypair, by_index);
        struct gw_peer *peer = gw_session_owner(kp->session);
        if (peer->lane)
            gw_lane_snapshot_add_key(snapshot, kp, peer->lane->number);
    }
    return snapshot;
}

static void publish(struct gw_lanes *lanes, struct gw_lane_snapshot *snapshot)
{
    struct gw_lane_snapshot *old = atomic_load_explicit(&lanes->hub.current, memory_order_relaxed);
    atomic_store(&lanes->hub.current, snapshot);
    if (old != lanes->empty)
        gw_list_push_back(&lanes->waiting.snapshots, &old->limbo);
}

void gw_lanes_publish(struct gateway *gateway, struct gw_mono now)
{
    struct gw_lanes *lanes = gateway->lanes;
    struct gw_peer_host *host = &gateway->host;
    for (struct gw_list *node; (node = gw_list_pop_front(&host->changed)) != NULL;)
        look_at(lanes, gw_list_entry(node, struct gw_peer, changed), now);
    if (lanes->has_new_peer || lanes->routes_version != host->routes_version)
        lanes->is_dirty |= build_routes(lanes) == 0;
    if (!lanes->is_dirty)
        return;
    struct gw_lane_snapshot *snapshot = build(lanes);
    /* Without memory lanes know nothing, which is safe: everything goes to the engine, until it can be done. */
    publish(lanes, snapshot ? snapshot : lanes->empty);
    lanes->is_dirty = false;
    lanes->has_new_peer |= snapshot == NULL; /* once more next time */
    reclaim(lanes, now);
}

/* ---- life */

static void free_lanes(struct gw_lanes *lanes)
{
    for (unsigned i = 0; i < lanes->count; i++)
        gw_lane_fini(&lanes->lanes[i]);
    limbo_free(&lanes->waiting);
    limbo_free(&lanes->closing);
    gw_lane_snapshot_free(lanes->empty);
    gw_lane_routes_free(lanes->no_routes);
    gw_lane_routes_free(lanes->routes);
    free(lanes->sources);
    free(lanes->entries);
    free(lanes);
}

static bool copy_sources(struct gw_lanes *lanes, const struct gw_prefix *sources, size_t count)
{
    struct gw_prefix *copy = calloc(count + 1, sizeof *copy);
    if (!copy)
        return false;
    if (count > 0)
        memcpy(copy, sources, count * sizeof *copy);
    free(lanes->sources);
    lanes->sources = copy;
    lanes->source_count = count;
    lanes->has_new_peer = true; /* the routes have them */
    return true;
}

static struct gw_lanes *new_lanes(struct gateway *gateway, const struct gw_lanes_params *params)
{
    struct gw_lanes *lanes = aligned_alloc(64, (sizeof *lanes + 63) & ~(size_t)63);
    if (!lanes)
        return NULL;
    memset(lanes, 0, sizeof *lanes);
    lanes->gateway = gateway;
    lanes->on_burst = params->on_burst;
    lanes->ctx = params->ctx;
    limbo_init(&lanes->waiting);
    limbo_init(&lanes->closing);
    gw_deadline_init(&lanes->deadline, on_deadline);
    lanes->keeper = (struct gw_keypair_keeper){on_keypair_new, on_keypair_gone, lanes};
    gw_epoch_init(&lanes->hub.epoch, params->count);
    lanes->hub.wake = params->wake;
    lanes->hub.ctx = params->ctx;
    lanes->hub.mtu = params->mtu;
    lanes->hub.flows = params->flows;
    lanes->hub.takes_partial = gateway->host.takes_partial;
    memcpy(lanes->hub.seed, gateway->host.packet_seed, sizeof lanes->hub.seed);
    lanes->no_routes = gw_lane_routes_new(NULL, 0);
    lanes->empty = lanes->no_routes ? gw_lane_snapshot_new(lanes->no_routes, 0, 0) : NULL;
    bool is_whole = lanes->empty && copy_sources(lanes, params->sources, params->source_count);
    for (; is_whole && lanes->count < params->count; lanes->count++)
        is_whole = gw_lane_init(&lanes->lanes[lanes->count], &lanes->hub, lanes->count) == 0;
    if (!is_whole) {
        free_lanes(lanes);
        return NULL;
    }
    atomic_init(&lanes->hub.current, lanes->empty);
    return lanes;
}

/* The key pairs that are there already become shared; nobody else has them yet. */
static void share_all(struct gateway *gateway)
{
    struct gw_map *keypairs = &gateway->host.local.keypairs;
    for (struct gw_map_node *node = gw_map_first(keypairs); node; node = gw_map_next(keypairs, node))
        gw_keypair_share(gw_map_entry(node, struct gw_keypair, by_index));
}

int gw_lanes_start(struct gateway *gateway, const struct gw_lanes_params *params, struct gw_mono now)
{
    struct gw_peer_host *host = &gateway->host;
    if (gateway->lanes)
        return -EALREADY;
    if (params->count == 0 || params->count > GW_LANES_MAX)
        return GW_E_INVAL;
    int err = gw_deadlines_reserve(&host->deadlines);
    if (err)
        return err;
    gateway->lanes = new_lanes(gateway, params);
    if (!gateway->lanes) {
        gw_deadlines_release(&host->deadlines);
        return GW_E_NOMEM;
    }
    share_all(gateway);
    host->local.keeper = &gateway->lanes->keeper;
    host->on_lane_peer_gone = on_lane_peer_gone;
    host->has_lanes = true;
    for (struct gw_map_node *node = gw_map_first(&host->peers); node; node = gw_map_next(&host->peers, node))
        gw_peer_mark_ready(gw_map_entry(node, struct gw_peer, by_key));
    gw_lanes_publish(gateway, now);
    return 0;
}

void gw_lanes_stop(struct gateway *gateway, struct gw_mono now)
{
    struct gw_lanes *lanes = gateway->lanes;
    struct gw_peer_host *host = &gateway->host;
    if (!lanes)
        return;
    while (gw_lanes_drain(gateway, now)) {
    }
    gw_lanes_add_stats(gateway, &host->stats);
    host->local.keeper = NULL;
    host->has_lanes = false;
    for (struct gw_map_node *node = gw_map_first(&host->peers); node;
         node = gw_map_next(&host->peers, node)) {
        struct gw_peer *peer = gw_map_entry(node, struct gw_peer, by_key);
        gw_list_remove(&peer->changed);
        gw_lane_peer_free(peer->lane);
        peer->lane = NULL;
    }
    gw_deadline_disarm(&host->deadlines, &lanes->deadline);
    gw_deadlines_release(&host->deadlines);
    struct gw_lane_snapshot *current = atomic_load_explicit(&lanes->hub.current, memory_order_relaxed);
    if (current != lanes->empty)
        gw_lane_snapshot_free(current);
    gateway->lanes = NULL;
    free_lanes(lanes);
}

unsigned gw_lanes_count(const struct gateway *gateway)
{
    return gateway->lanes ? gateway->lanes->count : 0;
}

struct gw_lane *gw_lanes_get(struct gateway *gateway, unsigned number)
{
    return &gateway->lanes->lanes[number];
}

int gw_lanes_set_sources(struct gateway *gateway, const struct gw_prefix *sources, size_t count)
{
    return !gateway->lanes || copy_sources(gateway->lanes, sources, count) ? 0 : GW_E_NOMEM;
}

void gw_lanes_expect_icmp(struct gateway *gateway, struct gw_mono now)
{
    if (gateway->lanes)
        atomic_store_explicit(&gateway->lanes->hub.icmp_until, gw_mono_add(now, ICMP_NS).ns,
                              memory_order_relaxed);
}

void gw_lanes_add_stats(const struct gateway *gateway, struct gw_gateway_stats *stats)
{
    for (unsigned i = 0; i < gw_lanes_count(gateway); i++) {
        const struct gw_lane_stats *lane = &gateway->lanes->lanes[i].stats;
        stats->datagrams_received += gw_lane_counted(&lane->datagrams_received);
        stats->datagrams_sent += gw_lane_counted(&lane->datagrams_sent);
        stats->dropped_malformed += gw_lane_counted(&lane->dropped_malformed);
        stats->dropped_auth += gw_lane_counted(&lane->dropped_auth);
        stats->dropped_replay += gw_lane_counted(&lane->dropped_replay);
        stats->dropped_inner += gw_lane_counted(&lane->dropped_inner);
        stats->send_errors += gw_lane_counted(&lane->link_errors);
    }
}

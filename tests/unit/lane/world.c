/* SPDX-License-Identifier: MIT */
#include "tests/unit/lane/world.h"

#include "gateway/wire/message.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MTU 1380u
#define HEADERS (GW_IP_V4_HEADER + GW_UDP_HEADER)
#define SEGMENT 200u
static_assert(HEADERS + SEGMENT == WORLD_PACKET_LEN && HEADERS + 8 * SEGMENT <= WORLD_BURST_MAX, "");

static void fail(struct world *world, const char *what)
{
    atomic_store(&world->wrong, what);
}

static int64_t clock_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return GW_S(ts.tv_sec) + ts.tv_nsec;
}

struct gw_mono world_now(const struct world *world)
{
    if (world->speed == 0)
        return (struct gw_mono){GW_S(1000) + world->still_ns};
    return (struct gw_mono){GW_S(1000) + (clock_ns() - world->began) * world->speed};
}

static struct gw_wall read_wall(struct gw_wallclock *self)
{
    static _Atomic int64_t seconds = 1800000000; /* each handshake a second later: what TAI64N wants */
    (void)self;
    return (struct gw_wall){atomic_fetch_add(&seconds, 1), 0};
}

static struct gw_wallclock wallclock = {read_wall};

/* ---- the wire */

static struct world_key *key_of(struct world_node *from, uint32_t index)
{
    struct world_key *found = NULL;
    pthread_mutex_lock(&from->keys_mutex);
    for (unsigned i = 0; i < from->key_count && !found; i++)
        found = from->keys[i].index == index ? &from->keys[i] : NULL;
    if (!found && from->key_count < WORLD_KEYS_MAX) {
        found = &from->keys[from->key_count++];
        found->index = index;
        found->used = calloc(WORLD_COUNTERS / 8, 1);
    }
    pthread_mutex_unlock(&from->keys_mutex);
    return found;
}

static void check_nonce(struct world_node *from, const uint8_t *datagram, size_t len)
{
    enum gw_message_type type = gw_message_gate(datagram, len);
    uint64_t counter;
    if (type != GW_MESSAGE_DATA && type != GW_MESSAGE_FAST_DATA)
        return;
    struct world_key *key = key_of(from, gw_load32_le(datagram + 4));
    counter = gw_load64_le(datagram + 8);
    if (!key || counter >= WORLD_COUNTERS)
        return fail(from->world, "the test has no room for so many key pairs or counters");
    if (atomic_fetch_or(&key->used[counter / 8], (uint8_t)(1 << counter % 8)) & 1 << counter % 8)
        fail(from->world, "a nonce was used twice");
}

static void put(struct world_queue *queue, const struct gw_train *train, const struct gw_tuple *tuple)
{
    pthread_mutex_lock(&queue->mutex);
    if (queue->len < WORLD_QUEUE) { /* else the wire loses it */
        struct gw_train *slot = &queue->trains[(queue->head + queue->len++) % WORLD_QUEUE];
        *slot = *train;
        slot->tuple = *tuple;
        slot->slab = malloc(gw_train_len(train));
        memcpy(slot->slab, train->slab, gw_train_len(train));
    }
    pthread_mutex_unlock(&queue->mutex);
}

static bool take(struct world_queue *queue, struct gw_train *train)
{
    pthread_mutex_lock(&queue->mutex);
    bool is_there = queue->len > 0;
    if (is_there) {
        *train = queue->trains[queue->head];
        queue->head = (queue->head + 1) % WORLD_QUEUE;
        queue->len--;
    }
    pthread_mutex_unlock(&queue->mutex);
    return is_there;
}

static struct gw_addr address_of(const struct world_node *node, uint16_t port)
{
    return (struct gw_addr){.family = 4, .ip = {10, 0, 0, node->host}, .port = port};
}

static void send_train(struct world_node *from, const struct gw_train *train)
{
    struct world_node *to = from->other;
    uint16_t port = atomic_load(&to->port);
    struct gw_tuple tuple = {.remote = address_of(from, atomic_load(&from->port)),
                             .local = address_of(to, port)};
    unsigned chance = randombytes_random();
    for (unsigned i = 0; i < train->count; i++)
        check_nonce(from, gw_train_datagram(train, i), gw_train_datagram_len(train, i));
    if (train->tuple.remote.port != port)
        return; /* it has moved */
    unsigned queues = atomic_load(&to->queue_count);
    put(&to->lanes[chance % queues].queue, train, &tuple);
    if (chance >> 8 & 1) /* half of them twice, the copy to any lane */
        put(&to->lanes[(chance >> 16) % queues].queue, train, &tuple);
}

/* ---- the interface */

/* UDP from here to there; each segment begins with its number. */
size_t world_make_burst(struct world_node *node, uint8_t packet[WORLD_BURST_MAX], struct gw_super_hint *hint)
{
    unsigned count = 1 + randombytes_uniform(8);
    size_t len = HEADERS + count * SEGMENT;
    uint32_t first = atomic_fetch_add(&node->next_packet, count);
    memset(packet, 0, HEADERS);
    packet[0] = 0x45;
    gw_store16_be(packet + 2, (uint16_t)len);
    packet[8] = 64;
    packet[9] = GW_IP_UDP;
    memcpy(packet + 12, node->virtual_ip.ip, 4);
    memcpy(packet + 16, node->other->virtual_ip.ip, 4);
    gw_checksum_ip_header(packet, GW_IP_V4_HEADER);
    gw_store16_be(packet + 20, (uint16_t)(1000 + randombytes_uniform(50)));
    gw_store16_be(packet + 22, 9);
    gw_store16_be(packet + 24, (uint16_t)(len - GW_IP_V4_HEADER));
    for (unsigned i = 0; i < count; i++) {
        uint8_t *segment = packet + HEADERS + i * SEGMENT;
        gw_store32_be(segment, first + i);
        memset(segment + 4, (int)(first + i), SEGMENT - 4);
    }
    *hint = (struct gw_super_hint){.segment_len = SEGMENT, .is_checksum_left = true};
    return len;
}

static void arrived(struct world_node *node, const uint8_t *packet, size_t len, bool is_partial)
{
    struct gw_ip ip;
    if (gw_ip_parse(&ip, packet, len) != 0 || ip.total_len != HEADERS + SEGMENT)
        return fail(node->world, "what arrived is no packet that was sent");
    if (!is_partial && !gw_checksum_is_right(packet, &ip))
        return fail(node->world, "a checksum is wrong");
    const uint8_t *segment = packet + HEADERS;
    uint32_t number = gw_load32_be(segment);
    if (number >= atomic_load(&node->other->next_packet) || segment[SEGMENT - 1] != (uint8_t)number)
        return fail(node->world, "a packet's bytes are wrong");
    if (number >= WORLD_PACKETS)
        return fail(node->world, "the test has no room for so many packets");
    if (atomic_fetch_or(&node->arrived[number / 8], (uint8_t)(1 << number % 8)) & 1 << number % 8)
        return fail(node->world, "a packet was delivered twice");
    atomic_fetch_add(&node->arrived_count, 1);
}

static void on_merged(const struct gw_merged *merged, void *ctx)
{
    if (merged->segment_len == 0)
        arrived(ctx, merged->iov[0].iov_base, merged->len, merged->is_checksum_left);
}

/* What a daemon's gate does, on the engine's thread. */
static void admit(struct world_node *node, const uint8_t *packet, size_t len, bool is_inbound)
{
    struct gw_flow_key key;
    struct gw_ip ip;
    if (!node->flows || gw_ip_parse(&ip, packet, len) != 0)
        return;
    gw_flow_key_of(&key, packet, &ip, is_inbound);
    gw_lane_flows_admit(node->flows, &key, is_inbound, world_now(node->world));
    if (randombytes_uniform(64) == 0)
        gw_lane_flows_remove(node->flows, &key, is_inbound);
    if (randombytes_uniform(1024) == 0)
        gw_lane_flows_clear(node->flows);
}

static void on_packet(struct gateway *gateway, struct gw_peer *peer, uint8_t *packet, size_t len,
                      bool is_partial, struct gw_mono now, void *ctx)
{
    (void)gateway, (void)peer, (void)now;
    admit(ctx, packet, len, true);
    arrived(ctx, packet, len, is_partial);
}

static void on_burst(uint8_t *packet, size_t len, const struct gw_super_hint *hint, struct gw_mono now,
                     void *ctx)
{
    struct world_node *node = ctx;
    struct gw_peer *peer = gw_gateway_route(node->gateway, &node->other->virtual_ip);
    atomic_fetch_add(&node->handed_count, 1);
    admit(node, packet, len, false);
    if (peer)
        gw_peer_send_burst(peer, now, packet, len, hint);
}

/* ---- threads */

static void wake(void *ctx)
{
    (void)ctx; /* the engine looks again and again */
}

static void lane_turn(struct world_lane *self, struct gw_lane *lane, uint8_t *slab)
{
    struct world_node *node = self->node;
    struct gw_train train;
    gw_lane_begin(lane, world_now(node->world));
    for (int i = 0; i < 4 && take(&self->queue, &train); i++) {
        gw_lane_input(lane, &train);
        free(train.slab);
    }
    for (int i = 0; i < 4 && node->world->speed > 0; i++) {
        uint8_t packet[WORLD_BURST_MAX];
        struct gw_super_hint hint;
        struct gw_ip ip;
        size_t len = world_make_burst(node, packet, &hint);
        if (gw_ip_parse(&ip, packet, len) != 0)
            abort();
        const struct gw_lane_entry *entry;
        if (gw_lane_route(lane, packet, &ip, HEADERS + SEGMENT, &entry) && entry)
            gw_lane_send(lane, entry, packet, len, &hint);
        else
            gw_lane_hand_over(lane, packet, len, &hint);
    }
    train = (struct gw_train){.slab = slab};
    while (gw_lane_output(lane, &train)) {
        send_train(node, &train);
        if (randombytes_uniform(64) ==
            0) /* only the news: a firewall's refusal says nothing about the path */
            gw_lane_send_failed(lane, &train, -EPERM);
    }
    gw_lane_end(lane);
    if (randombytes_uniform(8) == 0)
        gw_lane_rest(lane);
}

static void *run_lane(void *arg)
{
    struct world_lane *self = arg;
    struct gw_lane *lane = gw_lanes_get(self->node->gateway, self->number);
    uint8_t *slab = malloc(GW_TRAIN_SLAB);
    while (!atomic_load(&self->is_stopping)) {
        lane_turn(self, lane, slab);
        usleep(300);
    }
    gw_lane_stop(lane);
    free(slab);
    return NULL;
}

/* Without lanes the engine takes from the wire itself. */
static void engine_turn(struct world_node *node, uint8_t *slab)
{
    struct gw_mono now = world_now(node->world);
    struct gw_train train;
    for (unsigned i = 0; node->lane_count == 0 && i < WORLD_LANES_MAX; i++) {
        while (take(&node->lanes[i].queue, &train)) {
            gw_gateway_input(node->gateway, now, &train);
            free(train.slab);
        }
    }
    gw_lanes_drain(node->gateway, now);
    if (gw_mono_due(gw_gateway_next_deadline(node->gateway), now))
        gw_gateway_expire(node->gateway, now);
    while (gw_gateway_handshake(node->gateway, now)) {
    }
    train = (struct gw_train){.slab = slab};
    while (gw_gateway_output(node->gateway, now, &train))
        send_train(node, &train);
}

void world_turn(struct world_node *node, bool with_lanes, bool with_engine)
{
    static uint8_t slab[GW_TRAIN_SLAB];
    for (unsigned i = 0; with_lanes && i < node->lane_count; i++)
        lane_turn(&node->lanes[i], gw_lanes_get(node->gateway, i), slab);
    if (with_engine)
        engine_turn(node, slab);
}

static void *run_engine(void *arg)
{
    struct world_node *node = arg;
    uint8_t *slab = malloc(GW_TRAIN_SLAB);
    while (!atomic_load(&node->world->is_over)) {
        pthread_mutex_lock(&node->mutex);
        engine_turn(node, slab);
        pthread_mutex_unlock(&node->mutex);
        usleep(50);
    }
    free(slab);
    return NULL;
}

void world_stop_lanes(struct world_node *node)
{
    for (unsigned i = 0; i < node->lane_count; i++)
        atomic_store(&node->lanes[i].is_stopping, true);
    for (unsigned i = 0; i < node->lane_count; i++) {
        if (node->world->speed > 0)
            pthread_join(node->lanes[i].thread, NULL);
        else
            gw_lane_stop(gw_lanes_get(node->gateway, i));
    }
    gw_lanes_stop(node->gateway, world_now(node->world));
    node->lane_count = 0;
}

void world_start_lanes(struct world_node *node, unsigned count)
{
    const struct gw_prefix source = {.ip = node->virtual_ip, .bits = 32};
    const struct gw_lanes_params params = {.count = count,
                                           .mtu = MTU,
                                           .sources = &source,
                                           .source_count = 1,
                                           .flows = node->flows,
                                           .wake = wake,
                                           .on_burst = on_burst,
                                           .ctx = node};
    atomic_store(&node->queue_count, count > 0 ? count : WORLD_LANES_MAX);
    if (count == 0)
        return;
    if (gw_lanes_start(node->gateway, &params, world_now(node->world)) != 0)
        abort();
    node->lane_count = count;
    for (unsigned i = 0; i < count; i++) {
        gw_lane_set_emit(gw_lanes_get(node->gateway, i), on_merged, true, true, true, node);
        atomic_store(&node->lanes[i].is_stopping, false);
        if (node->world->speed > 0 &&
            pthread_create(&node->lanes[i].thread, NULL, run_lane, &node->lanes[i]) != 0)
            abort();
    }
}

/* ---- life */

static void make_node(struct world *world, unsigned number, uint8_t secret[GW_KEY_LEN])
{
    struct world_node *node = &world->nodes[number];
    node->world = world;
    node->other = &world->nodes[1 - number];
    node->host = (uint8_t)(1 + number);
    node->virtual_ip = (struct gw_addr){.family = 4, .ip = {10, 64, 0, node->host}};
    node->events = (struct gw_gateway_events){.on_packet = on_packet, .ctx = node};
    node->budget.limit = 1 << 20;
    gw_random_seeded_init(&node->random, 77 + number);
    node->flows = number == 0 ? gw_lane_flows_new(secret) : NULL;
    atomic_store(&node->port, 7001);
    pthread_mutex_init(&node->mutex, NULL);
    pthread_mutex_init(&node->keys_mutex, NULL);
    for (unsigned i = 0; i < WORLD_LANES_MAX; i++) {
        node->lanes[i].node = node;
        node->lanes[i].number = i;
        pthread_mutex_init(&node->lanes[i].queue.mutex, NULL);
    }
    struct gw_gateway_params params = {.crypto = gw_crypto_system(),
                                       .random = &node->random.random,
                                       .wallclock = &wallclock,
                                       .budget = &node->budget,
                                       .events = &node->events,
                                       .takes_partial = number == 0};
    memcpy(params.secret, secret, GW_KEY_LEN);
    if (gw_gateway_new(&node->gateway, &params, world_now(world)) != 0)
        abort();
}

static void add_peer(struct world_node *node)
{
    struct gw_peer_config *config = &node->peer_config;
    struct gw_peer *peer;
    memcpy(config->public_key, gw_gateway_public_key(node->other->gateway), GW_KEY_LEN);
    config->endpoints[0] = address_of(node->other, atomic_load(&node->other->port));
    config->endpoint_count = 1;
    config->allowed_ips[0] = (struct gw_prefix){.ip = node->other->virtual_ip, .bits = 32};
    config->allowed_ip_count = 1;
    config->is_eager = true;
    if (gw_gateway_add_peer(node->gateway, world_now(node->world), config, &peer) != 0)
        abort();
}

void world_init(struct world *world, unsigned lanes, int64_t speed)
{
    uint8_t secrets[2][GW_KEY_LEN];
    memset(world, 0, sizeof *world);
    world->speed = speed;
    world->began = clock_ns();
    randombytes_buf(secrets, sizeof secrets);
    for (unsigned i = 0; i < 2; i++)
        make_node(world, i, secrets[i]);
    for (unsigned i = 0; i < 2; i++) {
        add_peer(&world->nodes[i]);
        world_start_lanes(&world->nodes[i], lanes);
    }
    for (unsigned i = 0; i < 2 && speed > 0; i++) {
        if (pthread_create(&world->nodes[i].thread, NULL, run_engine, &world->nodes[i]) != 0)
            abort();
    }
}

void world_fini(struct world *world)
{
    atomic_store(&world->is_over, true);
    for (unsigned i = 0; i < 2 && world->speed > 0; i++)
        pthread_join(world->nodes[i].thread, NULL);
    for (unsigned i = 0; i < 2; i++)
        world_stop_lanes(&world->nodes[i]);
    for (unsigned i = 0; i < 2; i++) {
        struct world_node *node = &world->nodes[i];
        struct gw_train train;
        gw_gateway_free(node->gateway, world_now(world));
        gw_lane_flows_free(node->flows);
        for (unsigned j = 0; j < WORLD_LANES_MAX; j++) {
            while (take(&node->lanes[j].queue, &train))
                free(train.slab);
        }
        for (unsigned j = 0; j < node->key_count; j++)
            free((void *)node->keys[j].used);
    }
}

void world_enter(struct world_node *node)
{
    pthread_mutex_lock(&node->mutex);
}

void world_leave(struct world_node *node)
{
    pthread_mutex_unlock(&node->mutex);
}

bool world_packets(struct world *world, uint32_t more, int seconds)
{
    uint32_t before[2] = {atomic_load(&world->nodes[0].arrived_count),
                          atomic_load(&world->nodes[1].arrived_count)};
    for (int64_t until = clock_ns() + GW_S(seconds); clock_ns() < until; usleep(1000)) {
        if (atomic_load(&world->wrong))
            return false;
        if (atomic_load(&world->nodes[0].arrived_count) - before[0] >= more &&
            atomic_load(&world->nodes[1].arrived_count) - before[1] >= more)
            return true;
    }
    return false;
}

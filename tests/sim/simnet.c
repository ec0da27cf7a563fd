/* SPDX-License-Identifier: MIT */
/* Engines joined by links; see simnet.h. */
#include "tests/sim/simnet.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUDGET (64u << 20)
#define SOCKET_BYTES (1u << 20) /* kept of what arrives while the loop is held */

/* In front of each datagram on a link: where it comes from and goes to. */
struct label {
    struct gw_addr from, to;
};

/* Has arrived at a node whose loop is held. */
struct kept {
    struct gw_list node;
    struct gw_tuple tuple;
    uint8_t ecn;
    size_t len;
    uint8_t bytes[];
};

static void *must(void *pointer)
{
    if (!pointer)
        abort();
    return pointer;
}

struct gw_mono sim_now(const struct sim_node *node)
{
    return gw_mono_add(node->net->clock.now, node->slept_ns);
}

static void arm(struct sim_node *node)
{
    struct gw_mono at = gw_gateway_next_deadline(node->gateway);
    sim_clock_at(&node->net->clock, &node->wake, gw_mono_add(at, -node->slept_ns));
}

static struct gw_wall read_wall(struct gw_wallclock *clock)
{
    struct sim_node *node = gw_container_of(clock, struct sim_node, wallclock);
    int64_t ns = sim_now(node).ns;
    return (struct gw_wall){1700000000 + node->wall_offset_s + ns / GW_S(1), (int32_t)(ns % GW_S(1))};
}

/* ---- in and out */

void sim_node_watch(struct sim_node *node)
{
    memset(&node->traffic, 0, sizeof node->traffic);
    node->traffic.last = GW_NEVER;
}

static void note(struct sim_node *node, bool is_sent)
{
    struct gw_mono now = sim_now(node), last = node->traffic.last;
    node->traffic.sent += is_sent;
    node->traffic.received += !is_sent;
    node->traffic.wakeups += gw_mono_is_never(last) || gw_mono_sub(now, last) > GW_S(1);
    node->traffic.last = now;
}

static struct sim_node *node_at(struct sim_net *net, const struct gw_addr *addr)
{
    for (unsigned i = 0; i < net->node_count; i++) {
        if (gw_addr_equal(&net->nodes[i]->addr, addr))
            return net->nodes[i];
    }
    return NULL;
}

bool sim_is_between(const struct sim_node *from, const struct gw_tuple *tuple, const struct sim_node *a,
                    const struct sim_node *b)
{
    return (from == a && gw_addr_equal(&tuple->remote, &b->addr)) ||
           (from == b && gw_addr_equal(&tuple->remote, &a->addr));
}

static struct sim_link *link_between(struct sim_net *net, const struct gw_addr *from,
                                     const struct gw_addr *to)
{
    for (unsigned i = 0; i < net->link_count; i++) {
        if (gw_addr_equal(&net->ends[i].from, from) && gw_addr_equal(&net->ends[i].to, to))
            return net->links[i];
    }
    assert(net->link_count < sizeof net->links / sizeof net->links[0]);
    unsigned i = net->link_count++;
    net->ends[i].from = *from;
    net->ends[i].to = *to;
    net->links[i] = sim_link_new(&net->clock, &net->params, net->seed + 1000 + i);
    return net->links[i];
}

struct sim_link *sim_net_link(struct sim_net *net, const struct sim_node *a, const struct sim_node *b)
{
    return link_between(net, &a->addr, &b->addr);
}

static void carry_train(struct sim_node *node, const struct gw_train *train)
{
    int err = 0;
    for (unsigned i = 0; i < train->count; i++) {
        const uint8_t *datagram = gw_train_datagram(train, i);
        size_t len = gw_train_datagram_len(train, i);
        node->datagrams_out++;
        if (!node->is_down)
            note(node, true);
        if (!node->is_down && (!node->filter || node->filter(node, &train->tuple, datagram, len)))
            err = node->net->carry(node, train, datagram, len);
    }
    if (err)
        gw_gateway_send_failed(node->gateway, sim_now(node), train, err);
}

static void send_train(struct sim_node *node, const struct gw_train *train)
{
    static uint8_t buffer[sizeof(struct label) + GW_TRAIN_SLAB];
    struct label label = {node->addr, train->tuple.remote};
    struct sim_node *to = node_at(node->net, &train->tuple.remote);
    for (unsigned i = 0; i < train->count; i++) {
        const uint8_t *datagram = gw_train_datagram(train, i);
        size_t len = gw_train_datagram_len(train, i);
        node->datagrams_out++;
        if (!node->is_down)
            note(node, true);
        if (!to || node->is_down || (node->filter && !node->filter(node, &train->tuple, datagram, len)))
            continue;
        memcpy(buffer, &label, sizeof label);
        memcpy(buffer + sizeof label, datagram, len);
        sim_link_send(link_between(node->net, &node->addr, &to->addr), &to->port, buffer, sizeof label + len,
                      train->ecn);
    }
}

static void send_any(struct sim_node *node, const struct gw_train *train)
{
    if (gw_tuple_is_carrier(&train->tuple))
        node->net->carrier(node, train);
    else if (node->place)
        carry_train(node, train);
    else
        send_train(node, train);
}

void sim_node_say_goodbye(struct sim_node *node)
{
    struct gw_train train = {.slab = node->slab};
    struct gw_farewell farewell = {0};
    sim_node_pump(node);
    while (gw_gateway_farewell(node->gateway, sim_now(node), &farewell, &train))
        send_any(node, &train);
}

void sim_node_pump(struct sim_node *node)
{
    struct gw_mono now = sim_now(node);
    struct gw_train train = {.slab = node->slab};
    if (node->is_asleep || node->is_held)
        return;
    node->net->running = node;
    while (gw_gateway_handshake(node->gateway, now))
        ;
    while (gw_gateway_output(node->gateway, now, &train))
        send_any(node, &train);
    arm(node);
}

static void run_loop(struct sim_node *node)
{
    if (node->is_held)
        return;
    node->net->running = node;
    gw_gateway_expire(node->gateway, sim_now(node));
    sim_node_pump(node);
}

static void on_wake(struct sim_clock *clock, struct sim_event *event)
{
    (void)clock;
    run_loop(gw_container_of(event, struct sim_node, wake));
}

static void keep(struct sim_node *node, const struct gw_tuple *tuple, const void *datagram, size_t len,
                 uint8_t ecn)
{
    if (node->waiting_bytes + len > SOCKET_BYTES)
        return;
    struct kept *kept = must(malloc(sizeof *kept + len));
    *kept = (struct kept){.tuple = *tuple, .ecn = ecn, .len = len};
    gw_list_init(&kept->node);
    memcpy(kept->bytes, datagram, len);
    gw_list_push_back(&node->waiting, &kept->node);
    node->waiting_bytes += len;
}

/* drops: nothing of it is received. */
static void empty_socket(struct sim_node *node, bool drops)
{
    for (struct gw_list *first; (first = gw_list_pop_front(&node->waiting));) {
        struct kept *kept = gw_list_entry(first, struct kept, node);
        node->waiting_bytes -= kept->len;
        if (!drops)
            sim_node_receive(node, &kept->tuple, kept->bytes, kept->len, kept->ecn);
        free(kept);
    }
}

static void on_release(struct sim_clock *clock, struct sim_event *event)
{
    struct sim_node *node = gw_container_of(event, struct sim_node, release);
    (void)clock;
    node->is_held = false;
    empty_socket(node, false);
    if (!node->is_asleep)
        run_loop(node);
}

void sim_node_hold(struct sim_node *node, int64_t ns)
{
    struct gw_mono until = gw_mono_add(node->net->clock.now, ns);
    if (node->is_held)
        until = gw_mono_max(until, node->release.at);
    node->is_held = true;
    sim_clock_at(&node->net->clock, &node->release, until);
}

void sim_node_sleep(struct sim_node *node)
{
    node->is_asleep = true;
    empty_socket(node, true);
    sim_clock_cancel(&node->net->clock, &node->wake);
}

void sim_node_wake(struct sim_node *node, int64_t more_ns)
{
    node->is_asleep = false;
    node->slept_ns += more_ns;
    gw_gateway_kick(node->gateway, sim_now(node));
    run_loop(node);
}

void sim_node_receive(struct sim_node *node, const struct gw_tuple *tuple, const void *datagram, size_t len,
                      uint8_t ecn)
{
    if (node->is_down || node->is_asleep)
        return;
    if (node->is_held) {
        keep(node, tuple, datagram, len, ecn);
        return;
    }
    note(node, false);
    memcpy(node->slab, datagram, len);
    struct gw_train train = {.tuple = *tuple,
                             .slab = node->slab,
                             .stride = (uint16_t)len,
                             .last_len = (uint16_t)len,
                             .count = 1,
                             .ecn = ecn};
    node->net->running = node;
    gw_gateway_input(node->gateway, sim_now(node), &train);
    sim_node_pump(node);
}

static void deliver(struct sim_port *port, struct gw_mono now, const void *data, size_t len, uint8_t ecn)
{
    struct sim_node *node = gw_container_of(port, struct sim_node, port);
    struct label label;
    (void)now;
    memcpy(&label, data, sizeof label);
    if (node->is_down || !gw_addr_equal(&label.to, &node->addr))
        return; /* to an address that the node has left */
    struct gw_tuple tuple = {.local = node->addr, .remote = label.from};
    sim_node_receive(node, &tuple, (const uint8_t *)data + sizeof label, len - sizeof label, ecn);
}

/* ---- nodes */

static void start_gateway(struct sim_node *node)
{
    int err = gw_gateway_new(&node->gateway, &node->params, sim_now(node));
    if (err)
        abort();
    arm(node);
}

struct sim_node *sim_net_add(struct sim_net *net, const char *addr)
{
    assert(net->node_count < SIM_NODES_MAX);
    struct sim_node *node = must(calloc(1, sizeof *node));
    node->net = net;
    node->slab = must(malloc(GW_TRAIN_SLAB));
    node->port.deliver = deliver;
    node->wake.fire = on_wake;
    node->release.fire = on_release;
    gw_list_init(&node->waiting);
    node->wallclock.read = read_wall;
    node->budget.limit = BUDGET;
    node->events.ctx = node;
    sim_node_watch(node);
    if (gw_addr_parse(&node->addr, addr) != 0)
        abort();
    gw_random_seeded_init(&node->random, net->seed * 1000 + net->node_count);
    node->params = (struct gw_gateway_params){.crypto = gw_crypto_system(),
                                              .random = &node->random.random,
                                              .wallclock = &node->wallclock,
                                              .budget = &node->budget,
                                              .events = &node->events};
    gw_random_fill(&node->random.random, node->params.secret, sizeof node->params.secret);
    snprintf(node->params.hostname, sizeof node->params.hostname, "node%u", net->node_count);
    net->nodes[net->node_count++] = node;
    start_gateway(node);
    return node;
}

void sim_node_restart(struct sim_node *node)
{
    /* As after a kill: nobody hears of it, so what it would say on its way out is not sent. */
    node->is_killed = true;
    gw_gateway_free(node->gateway, sim_now(node));
    node->is_killed = false;
    start_gateway(node);
}

void sim_node_move(struct sim_node *node, const char *addr)
{
    if (gw_addr_parse(&node->addr, addr) != 0)
        abort();
}

struct gw_peer_config sim_peer_config(const struct sim_node *node, const struct sim_node *other)
{
    (void)node;
    struct gw_peer_config config = {.endpoints = {other->addr}, .endpoint_count = 1};
    memcpy(config.public_key, gw_gateway_public_key(other->gateway), GW_KEY_LEN);
    memcpy(config.name, other->params.hostname, sizeof config.name);
    return config;
}

static struct gw_peer *add(struct sim_node *node, const struct gw_peer_config *config)
{
    struct gw_peer *peer = NULL;
    if (gw_gateway_add_peer(node->gateway, sim_now(node), config, &peer) != 0)
        abort();
    return peer;
}

struct gw_peer *sim_node_add_peer(struct sim_node *node, const struct sim_node *other)
{
    struct gw_peer_config config = sim_peer_config(node, other);
    return add(node, &config);
}

struct gw_peer *sim_node_add_unlocated(struct sim_node *node, const struct sim_node *other)
{
    struct gw_peer_config config = sim_peer_config(node, other);
    config.endpoint_count = 0;
    config.has_ed25519 = true;
    return add(node, &config);
}

struct gw_peer *sim_node_add_anchor(struct sim_node *node, const struct sim_node *anchor)
{
    struct gw_peer_config config = sim_peer_config(node, anchor);
    config.has_ed25519 = config.is_anchor = config.is_eager = true;
    config.keepalive_ns = GW_S(25);
    return add(node, &config);
}

void sim_net_pair(struct sim_node *a, struct sim_node *b)
{
    sim_node_add_peer(a, b);
    sim_node_add_peer(b, a);
}

/* ---- the net */

void sim_net_init(struct sim_net *net, uint64_t seed, const struct sim_link_params *params)
{
    memset(net, 0, sizeof *net);
    net->seed = seed;
    if (params)
        net->params = *params;
    if (net->params.mtu == 0)
        net->params.mtu = 1500 - 28;
    net->params.mtu += sizeof(struct label); /* the label is not on the wire */
    sim_clock_init(&net->clock);
}

void sim_net_fini(struct sim_net *net)
{
    for (unsigned i = 0; i < net->node_count; i++) {
        struct sim_node *node = net->nodes[i];
        gw_gateway_free(node->gateway, sim_now(node));
        sim_clock_cancel(&net->clock, &node->wake);
        sim_clock_cancel(&net->clock, &node->release);
        empty_socket(node, true);
    }
    for (unsigned i = 0; i < net->link_count; i++)
        sim_link_free(net->links[i]);
    for (unsigned i = 0; i < net->node_count; i++) {
        free(net->nodes[i]->slab);
        free(net->nodes[i]);
    }
    sim_clock_fini(&net->clock);
}

void sim_net_run(struct sim_net *net, int64_t duration_ns)
{
    for (unsigned i = 0; i < net->node_count; i++)
        sim_node_pump(net->nodes[i]);
    sim_clock_run(&net->clock, gw_mono_add(net->clock.now, duration_ns));
}

/* SPDX-License-Identifier: MIT */
#include "nodes.h"

#include "tests/must.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct gw_wall read_wall(struct gw_wallclock *self)
{
    struct nodes *nodes = gw_container_of(self, struct nodes, wallclock);
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (struct gw_wall){ts.tv_sec + nodes->wall_offset_s, (int32_t)ts.tv_nsec};
}

/* What `from` has to say goes on its way. */
static void take_off(struct nodes *nodes, int from, struct gw_mono now)
{
    struct gw_train train = {.slab = nodes->slab};
    while (gw_gateway_output(nodes->node[from].gateway, now, &train)) {
        size_t len = gw_train_len(&train);
        struct flight *flight = malloc(sizeof *flight + len);
        must(flight);
        flight->left = now;
        flight->to = 1 - from;
        flight->train = train;
        flight->train.tuple =
            (struct gw_tuple){.local = nodes->node[1 - from].addr, .remote = nodes->node[from].addr};
        memcpy(flight->slab, train.slab, len);
        gw_list_init(&flight->link);
        gw_list_push_back(&nodes->flights, &flight->link);
    }
}

static void land(struct nodes *nodes, struct gw_mono now)
{
    gw_list_for_each (node, &nodes->flights) {
        struct flight *flight = gw_list_entry(node, struct flight, link);
        if (!gw_mono_before(flight->left, now))
            continue;
        gw_list_remove(&flight->link);
        flight->train.slab = flight->slab;
        if (!nodes->is_cut)
            gw_gateway_input(nodes->node[flight->to].gateway, now, &flight->train);
        free(flight);
    }
}

static struct gw_mono run_hook(struct gw_loop_hook *hook, struct gw_mono now)
{
    struct nodes *nodes = gw_container_of(hook, struct nodes, hook);
    struct gw_mono next = GW_NEVER;
    land(nodes, now);
    for (int i = 0; i < 2; i++) {
        gw_gateway_expire(nodes->node[i].gateway, now);
        while (gw_gateway_handshake(nodes->node[i].gateway, now))
            ;
        take_off(nodes, i, now);
        next = gw_mono_min(next, gw_gateway_next_deadline(nodes->node[i].gateway));
    }
    return gw_list_is_empty(&nodes->flights) ? next : now;
}

static void start_node(struct nodes *nodes, int index, const char *name, const char *addr)
{
    struct node *node = &nodes->node[index];
    struct gw_services_params services = {.loop = nodes->loop,
                                          .dialer = nodes->dialer,
                                          .wallclock = &nodes->wallclock,
                                          .dial_timeout_ns = GW_S(2)};
    node->nodes = nodes;
    must(gw_addr_parse(&node->addr, addr) == 0);
    must(gw_services_new(&node->services, &services) == 0);
    nodes->budget[index].limit = 64u << 20;
    node->events = (struct gw_gateway_events){.on_open = gw_services_on_open, .ctx = node->services};
    node->params = (struct gw_gateway_params){.crypto = gw_crypto_system(),
                                              .random = gw_random_system(),
                                              .wallclock = &nodes->wallclock,
                                              .budget = &nodes->budget[index],
                                              .events = &node->events};
    snprintf(node->params.hostname, sizeof node->params.hostname, "%s", name);
    gw_random_fill(gw_random_system(), node->params.secret, sizeof node->params.secret);
    must(gw_gateway_new(&node->gateway, &node->params, gw_loop_now(nodes->loop)) == 0);
}

static void add_peer(struct nodes *nodes, int index)
{
    struct node *node = &nodes->node[index], *other = &nodes->node[1 - index];
    struct gw_peer_config config = {.endpoints = {other->addr}, .endpoint_count = 1};
    struct gw_grant grant = {.is_peer = true};
    memcpy(config.public_key, gw_gateway_public_key(other->gateway), GW_KEY_LEN);
    memcpy(grant.public_key, config.public_key, GW_KEY_LEN);
    snprintf(config.name, sizeof config.name, "%s", other->params.hostname);
    config.allowed_ip_count = 1;
    must(gw_addr_parse_ip(&config.allowed_ips[0].ip, index == LAPTOP ? "10.64.0.2" : "10.64.0.1", 0) == 0);
    config.allowed_ips[0].bits = 32;
    must(gw_gateway_add_peer(node->gateway, gw_loop_now(nodes->loop), &config, &node->peer) == 0);
    struct gw_grants *grants = gw_grants_new(&grant, 1);
    must(gw_services_set_grants(node->services, grants, gw_loop_now(nodes->loop)) == 0);
    gw_grants_free(grants);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct nodes *nodes = arg;
    char byte;
    (void)what;
    must(read(fd, &byte, 1) == 1);
    pthread_mutex_lock(&nodes->lock);
    if (nodes->call)
        nodes->call(nodes, nodes->arg);
    else
        gw_loop_stop(nodes->loop);
    nodes->call = NULL;
    pthread_cond_signal(&nodes->done);
    pthread_mutex_unlock(&nodes->lock);
}

static void *run_loop(void *arg)
{
    struct nodes *nodes = arg;
    struct event *wake =
        event_new(gw_loop_base(nodes->loop), nodes->wake[0], EV_READ | EV_PERSIST, on_wake, nodes);
    event_add(wake, NULL);
    must(gw_loop_run(nodes->loop) == 0);
    event_free(wake);
    return NULL;
}

static void wake(struct nodes *nodes)
{
    must(write(nodes->wake[1], "", 1) == 1);
}

void nodes_call(struct nodes *nodes, void (*fn)(struct nodes *nodes, void *arg), void *arg)
{
    pthread_mutex_lock(&nodes->lock);
    nodes->call = fn;
    nodes->arg = arg;
    wake(nodes);
    while (nodes->call)
        pthread_cond_wait(&nodes->done, &nodes->lock);
    pthread_mutex_unlock(&nodes->lock);
}

void nodes_start(struct nodes *nodes, void (*change)(struct gw_socks5_params *params))
{
    size_t bad;
    memset(nodes, 0, sizeof *nodes);
    gw_list_init(&nodes->flights);
    nodes->wallclock.read = read_wall;
    must((nodes->loop = gw_loop_new()));
    must((nodes->slab = malloc(GW_TRAIN_SLAB)));
    must((nodes->dialer = gw_dialer_new(nodes->loop)));
    start_node(nodes, LAPTOP, "laptop", "10.0.0.1:7000");
    start_node(nodes, HOME, "home", "10.0.0.2:7000");
    add_peer(nodes, LAPTOP);
    add_peer(nodes, HOME);
    must((nodes->resolver = gw_resolver_new()));
    must(gw_resolver_add_gateway(nodes->resolver, nodes->node[LAPTOP].gateway, "demo", "laptop") == 0);
    nodes->frontend = (struct gw_frontend){.loop = nodes->loop,
                                           .resolver = nodes->resolver,
                                           .dialer = nodes->dialer,
                                           .own_service = gw_services_local_target,
                                           .ctx = nodes->node[LAPTOP].services};
    must(gw_listener_parse(&nodes->listen, "127.0.0.1:0") == 0);
    nodes->params =
        (struct gw_socks5_params){.frontend = &nodes->frontend, .listen = &nodes->listen, .listen_count = 1};
    if (change)
        change(&nodes->params);
    must(gw_socks5_new(&nodes->socks5, &nodes->params, &bad) == 0);
    nodes->port = gw_socks5_listen_target(nodes->socks5, 0)->port;
    nodes->hook.run = run_hook;
    gw_loop_add_hook(nodes->loop, &nodes->hook);
    must(pipe(nodes->wake) == 0);
    pthread_mutex_init(&nodes->lock, NULL);
    pthread_cond_init(&nodes->done, NULL);
    must(pthread_create(&nodes->thread, NULL, run_loop, nodes) == 0);
}

void nodes_stop(struct nodes *nodes)
{
    nodes_wait(nodes, NULL);
    wake(nodes);
    pthread_join(nodes->thread, NULL);
    struct gw_mono now = gw_loop_now(nodes->loop);
    gw_socks5_free(nodes->socks5, now);
    gw_resolver_free(nodes->resolver);
    for (int i = 0; i < 2; i++)
        gw_services_free(nodes->node[i].services, now);
    for (int i = 0; i < 2; i++) {
        gw_gateway_free(nodes->node[i].gateway, now);
        must(nodes->budget[i].used == 0);
    }
    gw_list_for_each (node, &nodes->flights)
        free(gw_list_entry(node, struct flight, link));
    gw_dialer_free(nodes->dialer);
    gw_loop_remove_hook(nodes->loop, &nodes->hook);
    gw_loop_free(nodes->loop);
    close(nodes->wake[0]);
    close(nodes->wake[1]);
    free(nodes->slab);
}

struct serve {
    const char *name, *target;
    bool is_udp;
};

static void serve(struct nodes *nodes, void *arg)
{
    const struct serve *what = arg;
    struct gw_service_config config = {
        .name = what->name, .is_enabled = true, .is_udp = what->is_udp, .class_ = GW_CLASS_NORMAL};
    must(gw_target_parse(&config.target, what->target) == 0);
    must(gw_services_put(nodes->node[HOME].services, &config, gw_loop_now(nodes->loop)) == 0);
}

void nodes_serve(struct nodes *nodes, const char *name, const char *target, bool is_udp)
{
    struct serve what = {name, target, is_udp};
    nodes_call(nodes, serve, &what);
}

void nodes_serve_port(struct nodes *nodes, const char *name, uint16_t port, bool is_udp)
{
    char target[32];
    snprintf(target, sizeof target, "127.0.0.1:%u", port);
    nodes_serve(nodes, name, target, is_udp);
}

struct ask {
    bool (*fn)(struct nodes *nodes);
    bool answer;
};

/* For whoever looks for the reason. */
static void print_state(struct nodes *nodes, void *arg)
{
    struct gw_services_stats services;
    struct gw_socks5_stats socks5;
    struct gw_peer_status status[2];
    struct gw_mono now = gw_loop_now(nodes->loop);
    (void)arg;
    gw_services_stats(nodes->node[HOME].services, &services);
    gw_socks5_stats(nodes->socks5, &socks5);
    fprintf(stderr, "flows %u, clients %u, associations %u\n", services.flows_open, socks5.clients_open,
            socks5.associations_open);
    for (int i = 0; i < 2; i++) {
        gw_peer_status(nodes->node[i].peer, now, &status[i]);
        fprintf(stderr,
                "node %d: %u streams open, %llu bytes in flight, %llu packets lost, %llu bytes held\n", i,
                status[i].has_flows ? status[i].flows.streams_open : 0,
                (unsigned long long)status[i].flows.inflight,
                (unsigned long long)status[i].flows.packets_lost, (unsigned long long)nodes->budget[i].used);
    }
}

static void ask(struct nodes *nodes, void *arg)
{
    struct ask *question = arg;
    question->answer = !question->fn || question->fn(nodes);
}

void nodes_wait(struct nodes *nodes, bool (*fn)(struct nodes *nodes))
{
    struct ask question = {fn, false};
    for (int i = 0; i < 60000 && !question.answer; i++) {
        if (i > 0)
            usleep(1000);
        nodes_call(nodes, ask, &question);
    }
    if (!question.answer)
        nodes_call(nodes, print_state, NULL);
    must(question.answer);
}

static void read_services_stats(struct nodes *nodes, void *arg)
{
    gw_services_stats(nodes->node[HOME].services, arg);
}

bool nodes_are_quiet(struct nodes *nodes)
{
    struct gw_services_stats services;
    struct gw_socks5_stats socks5;
    gw_services_stats(nodes->node[HOME].services, &services);
    gw_socks5_stats(nodes->socks5, &socks5);
    return services.flows_open == 0 && socks5.clients_open == 0 && socks5.associations_open == 0;
}

struct gw_services_stats nodes_services_stats(struct nodes *nodes)
{
    struct gw_services_stats stats;
    nodes_call(nodes, read_services_stats, &stats);
    return stats;
}

static void read_socks5_stats(struct nodes *nodes, void *arg)
{
    gw_socks5_stats(nodes->socks5, arg);
}

struct gw_socks5_stats nodes_socks5_stats(struct nodes *nodes)
{
    struct gw_socks5_stats stats;
    nodes_call(nodes, read_socks5_stats, &stats);
    return stats;
}

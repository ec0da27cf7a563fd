/* SPDX-License-Identifier: MIT */
/* Services that change while flows run: rights that go, services that move, peers that open too much. */
#include "../local/nodes.h"
#include "../socks5/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

static struct nodes nodes;
static int listener;
static uint16_t port;
static char target[32];

static int setup(void **state)
{
    (void)state;
    nodes_start(&nodes, NULL);
    listener = server_listen(&port);
    snprintf(target, sizeof target, "127.0.0.1:%u", port);
    nodes_serve(&nodes, "web", target, false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nodes_wait(&nodes, nodes_are_quiet);
    close(listener);
    nodes_stop(&nodes);
    return 0;
}

static int open_pair(int *service)
{
    int client = socks5_open(nodes.port, "web.home.demo", 80);
    *service = server_accept(listener);
    return client;
}

static void expect_alive(int client, int service)
{
    char byte = 0;
    send_all(client, "?", 1);
    assert_true(recv_all(service, &byte, 1));
    send_all(service, "!", 1);
    assert_true(recv_all(client, &byte, 1));
    assert_int_equal(byte, '!');
}

static struct gw_services *services_of(struct nodes *all)
{
    return all->node[HOME].services;
}

/* What a line of authorized_keys gives laptop. */
struct right {
    const char *const *services;
    int64_t expires_s; /* from now; 0 = never */
};

static struct gw_grants *make_grants(struct nodes *all, const struct right *right)
{
    struct gw_wall now = all->wallclock.read(&all->wallclock);
    struct gw_grant grant = {.services = right->services,
                             .has_expiry = right->expires_s != 0,
                             .expires = {now.s + right->expires_s, 0}};
    memcpy(grant.public_key, gw_gateway_public_key(all->node[LAPTOP].gateway), GW_KEY_LEN);
    return gw_grants_new(&grant, 1);
}

static void set_right(struct nodes *all, void *arg)
{
    struct gw_grants *grants = make_grants(all, arg);
    assert_int_equal(gw_services_set_grants(services_of(all), grants, gw_loop_now(all->loop)), 0);
    gw_grants_free(grants);
}

static void test_right_goes(void **state)
{
    static const char *const web[] = {"web", NULL}, *const ssh[] = {"ssh", NULL};
    struct right right = {web, 0};
    int service, client = open_pair(&service);
    (void)state;
    nodes_call(&nodes, set_right, &right);
    expect_alive(client, service);
    right.services = ssh;
    nodes_call(&nodes, set_right, &right);
    expect_reset(client);
    expect_reset(service);
    close(client);
    close(service);
    assert_int_equal(socks5_connect(nodes.port, "web.home.demo", 80, &client), 2);
}

static void wait_two_hours(struct nodes *all, void *arg)
{
    (void)arg;
    all->wall_offset_s += 7200;
    gw_services_recheck(services_of(all), gw_loop_now(all->loop));
}

static void test_right_expires(void **state)
{
    struct right right = {NULL, 3600};
    (void)state;
    nodes_call(&nodes, set_right, &right);
    int service, client = open_pair(&service);
    expect_alive(client, service);
    nodes_call(&nodes, wait_two_hours, NULL);
    expect_reset(client);
    close(client);
    close(service);
    assert_int_equal(socks5_connect(nodes.port, "web.home.demo", 80, &client), 2);
}

struct change {
    const char *name, *target;
    bool is_disabled;
};

static void reload(struct nodes *all, void *arg)
{
    const struct change *change = arg;
    struct gw_service_config config = {.name = change->name, .is_enabled = !change->is_disabled, .port = 80};
    size_t bad;
    assert_int_equal(gw_target_parse(&config.target, change->target), 0);
    assert_int_equal(gw_services_replace(services_of(all), &config, 1, gw_loop_now(all->loop), &bad), 0);
}

static void test_reload(void **state)
{
    struct change same = {"web", target, false}, moved = {"web", "127.0.0.1:1", false},
                  disabled = {"web", target, true};
    int service, client = open_pair(&service);
    (void)state;
    nodes_call(&nodes, reload, &same);
    expect_alive(client, service);
    nodes_call(&nodes, reload, &moved);
    expect_reset(client);
    close(client);
    close(service);
    nodes_call(&nodes, reload, &same);
    client = open_pair(&service);
    expect_alive(client, service);
    nodes_call(&nodes, reload, &disabled);
    expect_reset(client);
    close(client);
    close(service);
    assert_int_equal(socks5_connect(nodes.port, "web.home.demo", 80, &client), 4);
}

/* A service's own list overrides the global one. */
static void own_list(struct nodes *all, void *arg)
{
    struct gw_service_config config = {.name = "web", .is_enabled = true};
    struct gw_grants *own = arg ? make_grants(all, arg) : gw_grants_new(NULL, 0);
    assert_int_equal(gw_target_parse(&config.target, target), 0);
    config.grants = own;
    assert_int_equal(gw_services_put(services_of(all), &config, gw_loop_now(all->loop)), 0);
    gw_grants_free(own);
}

static void test_own_list(void **state)
{
    struct right right = {NULL, 0};
    int service, client = open_pair(&service);
    (void)state;
    nodes_call(&nodes, own_list, &right);
    expect_alive(client, service);
    nodes_call(&nodes, own_list, NULL);
    expect_reset(client);
    close(client);
    close(service);
    assert_int_equal(socks5_connect(nodes.port, "web.home.demo", 80, &client), 2);
}

static void read_stats(struct nodes *all, void *arg)
{
    gw_services_service_stats(services_of(all), "WEB", arg);
}

static void test_counts(void **state)
{
    struct gw_service_stats stats;
    int clients[5], services[5];
    (void)state;
    for (int i = 0; i < 5; i++)
        clients[i] = open_pair(&services[i]);
    nodes_call(&nodes, read_stats, &stats);
    assert_int_equal(stats.flows_open, 5);
    assert_int_equal(stats.flows_total, 5);
    for (int i = 0; i < 5; i++) {
        close(clients[i]);
        expect_end(services[i]);
        close(services[i]);
    }
    nodes_wait(&nodes, nodes_are_quiet);
    nodes_call(&nodes, read_stats, &stats);
    assert_int_equal(stats.flows_open, 0);
    assert_int_equal(stats.flows_total, 5);
}

/* What home is asked for, seen before and after its services answered. */
static struct gw_open asked;
static enum gw_class answered;

static void watch_open(struct gateway *gateway, struct gw_peer *peer, struct gw_stream *stream,
                       const struct gw_open *open, struct gw_mono now, void *services)
{
    struct gw_stream_stats stats;
    asked = *open;
    gw_services_on_open(gateway, peer, stream, open, now, services);
    gw_stream_stats(stream, &stats);
    answered = stats.class_;
}

static void watch(struct nodes *all, void *arg)
{
    (void)arg;
    all->node[HOME].events.on_open = watch_open;
}

static void set_class(struct nodes *all, void *arg)
{
    const enum gw_class *class_ = arg;
    struct gw_service_config config = {
        .name = "ssh", .is_enabled = true, .has_class = class_ != NULL, .class_ = class_ ? *class_ : 0};
    assert_int_equal(gw_target_parse(&config.target, target), 0);
    assert_int_equal(gw_services_put(services_of(all), &config, gw_loop_now(all->loop)), 0);
}

/* The opener's wish holds, unless the owner of the service has said something. */
static void test_class(void **state)
{
    enum gw_class bulk = GW_CLASS_BULK;
    int service, client = socks5_open(nodes.port, "web.home.demo", 80);
    (void)state;
    close(server_accept(listener));
    close(client);
    nodes_call(&nodes, watch, NULL);
    for (int i = 0; i < 2; i++) {
        nodes_call(&nodes, set_class, i == 0 ? NULL : &bulk);
        client = socks5_open(nodes.port, "ssh.home.demo", 80);
        service = server_accept(listener);
        expect_alive(client, service);
        assert_int_equal(asked.class_, GW_CLASS_INTERACTIVE);
        assert_int_equal(answered, i == 0 ? GW_CLASS_INTERACTIVE : GW_CLASS_BULK);
        close(client);
        close(service);
    }
}

/* The peer goes while its flows are open, and while one is being dialled. */
static void remove_peer(struct nodes *all, void *arg)
{
    (void)arg;
    gw_gateway_remove_peer(all->node[HOME].gateway, gw_loop_now(all->loop), all->node[HOME].peer);
}

static void test_peer_goes(void **state)
{
    char byte;
    int service, client = open_pair(&service);
    (void)state;
    nodes_call(&nodes, remove_peer, NULL);
    expect_reset(service);
    close(service);
    close_reset(client);
    (void)byte;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_right_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_right_expires, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_list, setup, teardown),
        cmocka_unit_test_setup_teardown(test_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_class, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer_goes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Endpoint names: looked up, in order, again, and not at all when the peer is gone. /etc/hosts stands in for the network. */
#include "gateway/base/err.h"
#include "gateway/daemon/endpoints.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct found {
    unsigned sets, count;
    struct gw_addr endpoints[GW_PEER_ENDPOINTS_MAX];
};

static void on_found(struct gw_mono now, const struct gw_addr *addrs, unsigned count, void *ctx)
{
    struct found *found = ctx;
    (void)now;
    found->sets++;
    found->count = count;
    memcpy(found->endpoints, addrs, count * sizeof *addrs);
}

static const char *whose(void *ctx)
{
    (void)ctx;
    return "peer";
}

struct world {
    struct gw_loop *loop;
    struct gw_endpoints *endpoints;
    struct gw_lookup *lookup;
    struct found peer;
    struct gw_config_peer config;
    struct gw_config_endpoint items[4];
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    world->loop = gw_loop_new();
    world->endpoints = gw_endpoints_new(world->loop);
    world->config.endpoints.items = world->items;
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    gw_lookup_free(world->lookup);
    event_base_loop(gw_loop_base(world->loop), EVLOOP_NONBLOCK);
    gw_endpoints_free(world->endpoints);
    gw_loop_free(world->loop);
    free(world);
    return 0;
}

static void add_ip(struct world *world, const char *text)
{
    struct gw_config_endpoint *endpoint = &world->items[world->config.endpoints.count++];
    endpoint->kind = GW_CONFIG_ENDPOINT_IP;
    assert_int_equal(gw_addr_parse(&endpoint->addr, text), 0);
}

static void add_name(struct world *world, const char *name, uint16_t port)
{
    struct gw_config_endpoint *endpoint = &world->items[world->config.endpoints.count++];
    endpoint->kind = GW_CONFIG_ENDPOINT_NAME;
    endpoint->port = port;
    snprintf(endpoint->name, sizeof endpoint->name, "%s", name);
}

static void start(struct world *world)
{
    const struct gw_lookup_params params = {.on_found = on_found, .whose = whose, .ctx = &world->peer};
    assert_int_equal(
        gw_lookup_new(&world->lookup, world->endpoints, &params, world->items, world->config.endpoints.count),
        0);
}

static void test_only_addresses(void **state)
{
    struct world *world = *state;
    add_ip(world, "192.0.2.1:7001");
    start(world);
    assert_null(world->lookup);
    assert_int_equal(world->peer.sets, 0);
    gw_lookup_again(world->lookup);
}

static void test_order_is_kept(void **state)
{
    struct world *world = *state;
    add_ip(world, "192.0.2.1:1");
    add_name(world, "localhost", 2);
    add_ip(world, "[2001:db8::1]:3");
    start(world);
    for (int i = 0; i < 100 && world->peer.sets == 0; i++)
        event_base_loop(gw_loop_base(world->loop), EVLOOP_ONCE | EVLOOP_NONBLOCK);
    assert_int_equal(world->peer.sets, 1);
    assert_in_range(world->peer.count, 3, 4);
    assert_int_equal(world->peer.endpoints[0].port, 1);
    for (unsigned i = 1; i + 1 < world->peer.count; i++) {
        assert_int_equal(world->peer.endpoints[i].port, 2);
        assert_true(gw_addr_is_loopback(&world->peer.endpoints[i]));
    }
    assert_int_equal(world->peer.endpoints[world->peer.count - 1].port, 3);
    /* Just looked up: not again at once; and the same answer changes nothing. */
    gw_lookup_again(world->lookup);
    event_base_loop(gw_loop_base(world->loop), EVLOOP_NONBLOCK);
    assert_int_equal(world->peer.sets, 1);
}

static void test_gone_before_the_answer(void **state)
{
    struct world *world = *state;
    add_name(world, "no-such-host.invalid", 2);
    add_name(world, "another.invalid", 2);
    start(world);
    gw_lookup_free(world->lookup);
    world->lookup = NULL;
    for (int i = 0; i < 10; i++)
        event_base_loop(gw_loop_base(world->loop), EVLOOP_NONBLOCK);
    assert_int_equal(world->peer.sets, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {T(test_only_addresses), T(test_order_is_kept),
                                       T(test_gone_before_the_answer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Engines behind model NATs, as far as a peer with a public address is known: the world that finding peers is tested in works. */
#include "tests/sim/app.h"
#include "tests/sim/behind.h"

#include "gateway/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sim_net net;
static struct sim_behind world;
static struct sim_node *server;

static void begin(uint64_t seed)
{
    sim_net_init(&net, seed, NULL);
    sim_behind_init(&world, &net, &(struct sim_link_params){.delay_ns = GW_MS(10)});
    server = sim_behind_add_public(&world, "9.9.9.9", "2a00:ffff::9");
    sim_app_serve(server);
}

static void end(void)
{
    sim_behind_fini(&world);
    sim_net_fini(&net);
}

/* The server knows nobody's address; the node knows the server's in its own family. */
static struct gw_peer *introduce(struct sim_node *node)
{
    struct gw_peer_config config = sim_peer_config(node, server), other = sim_peer_config(server, node);
    struct gw_peer *to_server, *to_node;
    config.endpoints[0] = sim_behind_addr(server, node->addr.family);
    other.endpoint_count = 0;
    assert_int_equal(gw_gateway_add_peer(node->gateway, sim_now(node), &config, &to_server), 0);
    assert_int_equal(gw_gateway_add_peer(server->gateway, sim_now(server), &other, &to_node), 0);
    return to_server;
}

static void test_every_kind(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < NAT_KIND_COUNT; kind++) {
        struct sim_nat_line line;
        struct sim_client client;
        begin(100 + kind);
        sim_nat_add_line(&line, &world.nat, &world.nat.internet, (enum nat_kind)kind, 1, false);
        struct sim_node *node = sim_behind_add(&world, &line);
        struct gw_peer *to_server = introduce(node);
        assert_int_equal(sim_client_start(&client, node, to_server, "echo", 100000), 0);
        sim_net_run(&net, GW_S(5));
        if (kind == NAT_KIND_UDP_BLOCKED)
            assert_false(sim_client_is_done(&client));
        else
            assert_true(sim_client_is_done(&client));
        end();
    }
}

/* The NAT gives out another port in the middle of an echo: it goes on. */
static void test_rebind(void **state)
{
    (void)state;
    struct sim_nat_line line;
    struct sim_client client;
    begin(1);
    sim_nat_add_line(&line, &world.nat, &world.nat.internet, NAT_KIND_SYMMETRIC_SEQUENTIAL, 1, false);
    struct sim_node *node = sim_behind_add(&world, &line);
    struct gw_peer *to_server = introduce(node);
    world.nat.params.rate_bps = 20000000;
    assert_int_equal(sim_client_start(&client, node, to_server, "echo", 5000000), 0);
    sim_net_run(&net, GW_S(1));
    assert_false(sim_client_is_done(&client));
    nat_rebind(line.home->v4);
    sim_net_run(&net, GW_S(5));
    assert_true(sim_client_is_done(&client));
    end();
}

/* Another line: other address, another family even. */
static void test_move(void **state)
{
    (void)state;
    struct sim_nat_line lines[2];
    struct sim_client client;
    begin(2);
    world.nat.params.rate_bps = 20000000;
    sim_nat_add_line(&lines[0], &world.nat, &world.nat.internet, NAT_KIND_PORT_RESTRICTED, 1, false);
    sim_nat_add_line(&lines[1], &world.nat, &world.nat.internet, NAT_KIND_CGNAT_SYMMETRIC, 2, false);
    struct sim_node *node = sim_behind_add(&world, &lines[0]);
    struct gw_peer *to_server = introduce(node);
    assert_int_equal(sim_client_start(&client, node, to_server, "echo", 5000000), 0);
    sim_net_run(&net, GW_S(1));
    assert_false(sim_client_is_done(&client));
    sim_behind_move(node, &lines[1]);
    gw_gateway_kick(node->gateway, sim_now(node));
    sim_net_run(&net, GW_S(5));
    assert_true(sim_client_is_done(&client));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_rebind),
        cmocka_unit_test(test_move),
    };
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

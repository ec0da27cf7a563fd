/* SPDX-License-Identifier: MIT */
/* A peer that restarts, in virtual time, with its clock right or wrong: what becomes of streams, and what the log says of it. */
#include "tests/sim/two_nodes.h"

#include "gateway/base/log.h"
#include "gateway/wire/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_peer_restarts(void **state)
{
    (void)state;
    struct sim_client client, again;
    two_nodes(7, &(struct sim_link_params){.delay_ns = DELAY, .rate_bps = 10000000, .buffer_bytes = 100000});
    struct gw_peer *to_b = sim_node_add_peer(a, b);
    sim_node_add_peer(b, a);
    sim_client_start(&client, a, to_b, "echo", 50000000);
    sim_net_run(&net, GW_S(2));
    assert_false(client.is_closed);
    sim_node_restart(b);
    struct gw_peer_config config = sim_peer_config(b, a);
    struct gw_peer *to_a;
    config.is_eager = true;
    gw_gateway_add_peer(b->gateway, sim_now(b), &config, &to_a);
    sim_net_run(&net, GW_S(5));
    assert_true(client.is_closed);
    assert_int_equal(client.reason, GW_REASON_PEER_RESTARTED);
    sim_client_start(&again, a, to_b, "echo", 10000);
    sim_net_run(&net, GW_S(5));
    assert_true(sim_client_is_done(&again));
    sim_net_fini(&net);
}

/* ---- what the log says of it */

static struct {
    const char *about;
    unsigned count;
    char last[256];
    enum gw_log_level level; /* before */
} lines;
static void count_lines(void *ctx, enum gw_log_level level, const char *line)
{
    (void)ctx, (void)level;
    if (!strstr(line, lines.about))
        return;
    lines.count++;
    snprintf(lines.last, sizeof lines.last, "%s", line);
}

static void watch_log(const char *about)
{
    lines.about = about;
    lines.count = 0;
    lines.level = gw_log_level();
    gw_log_set_level(GW_LOG_INFO);
    gw_log_set_sink(count_lines, NULL);
}

static void watch_log_no_more(void)
{
    gw_log_set_level(lines.level);
    gw_log_set_sink(NULL, NULL);
}

static unsigned reports;
static void count_reports(struct gateway *gateway, struct gw_peer *peer, struct gw_mono now, void *ctx)
{
    (void)gateway, (void)peer, (void)now, (void)ctx;
    reports++;
}

static uint8_t initiation[256];
static size_t initiation_len;
static bool keep_initiation(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                            size_t len)
{
    (void)from, (void)tuple;
    if (datagram[0] == GW_MESSAGE_INITIATION) {
        memcpy(initiation, datagram, len);
        initiation_len = len;
    }
    return true;
}

/* b begins anew with its clock where it is said to be, and nothing kept; true: a takes its handshake. */
static bool restart_with_clock(int64_t offset_s)
{
    struct gw_peer_config config = sim_peer_config(b, a);
    struct gw_peer *to_a;
    config.is_eager = true;
    b->wall_offset_s = offset_s;
    sim_node_restart(b);
    assert_int_equal(gw_gateway_add_peer(b->gateway, sim_now(b), &config, &to_a), 0);
    sim_node_pump(b);
    sim_net_run(&net, GW_S(60));
    return status_of(to_a).session.state == GW_SESSION_ESTABLISHED;
}

/* A peer whose clock went back is told of once, however often it tries, and again when that happens again. */
static void test_clock_set_back(void **state)
{
    (void)state;
    two_nodes(50, &(struct sim_link_params){.delay_ns = DELAY});
    sim_node_add_peer(a, b);
    watch_log("clock was set back");
    b->filter = keep_initiation;
    assert_true(restart_with_clock(0));
    a->events.on_peer = count_reports;
    reports = 0;
    assert_false(restart_with_clock(-86400));
    assert_int_equal(lines.count, 1);
    assert_non_null(strstr(lines.last, "86"));
    assert_int_equal(reports, 1);
    assert_true(restart_with_clock(100));
    assert_false(restart_with_clock(-86400));
    assert_int_equal(lines.count, 2);
    /* Somebody plays one of them over and over. */
    reports = 0;
    for (unsigned i = 0; i < 1000; i++) {
        struct gw_train train = {.tuple = {.local = a->addr, .remote = b->addr},
                                 .slab = initiation,
                                 .count = 1,
                                 .stride = (uint16_t)initiation_len,
                                 .last_len = (uint16_t)initiation_len};
        gw_gateway_input(a->gateway, net.clock.now, &train);
        while (gw_gateway_handshake(a->gateway, net.clock.now))
            ;
        sim_net_run(&net, GW_MS(10));
    }
    assert_int_equal(lines.count, 2);
    assert_int_equal(reports, 0);
    watch_log_no_more();
    sim_net_fini(&net);
}

/* A peer that we let in may begin anew as often as it likes: the log does not grow with it. */
static void test_restarts_are_told_sparingly(void **state)
{
    (void)state;
    enum { ROUNDS = 200 };
    struct sim_client client;
    two_nodes(51, &(struct sim_link_params){.delay_ns = GW_MS(1)});
    struct gw_peer *to_b = sim_node_add_peer(a, b), *to_a = sim_node_add_peer(b, a);
    struct gw_peer_config config = sim_peer_config(b, a);
    config.is_eager = true;
    sim_client_start(&client, a, to_b, "echo", 100);
    sim_net_run(&net, GW_S(1));
    watch_log("restarted");
    for (unsigned i = 0; i < ROUNDS; i++) {
        gw_gateway_remove_peer(b->gateway, sim_now(b), to_a);
        assert_int_equal(gw_gateway_add_peer(b->gateway, sim_now(b), &config, &to_a), 0);
        sim_node_pump(b);
        sim_net_run(&net, GW_MS(1500));
        sim_client_start(&client, a, to_b, "echo", 100);
        sim_net_run(&net, GW_MS(500));
        assert_true(sim_client_is_done(&client));
    }
    assert_in_range(lines.count, 20, 20 + 2 * ROUNDS / 30 + 1);
    sim_net_run(&net, GW_S(31));
    gw_gateway_remove_peer(b->gateway, sim_now(b), to_a);
    assert_int_equal(gw_gateway_add_peer(b->gateway, sim_now(b), &config, &to_a), 0);
    sim_node_pump(b);
    sim_net_run(&net, GW_S(1));
    assert_non_null(strstr(lines.last, "lines about it were left out"));
    watch_log_no_more();
    sim_net_fini(&net);
}

int main(void)
{
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peer_restarts),
        cmocka_unit_test(test_clock_set_back),
        cmocka_unit_test(test_restarts_are_told_sparingly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

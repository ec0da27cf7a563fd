/* SPDX-License-Identifier: MIT */
/* UDP that does not get through between a node and its anchor: the TLS carrier is taken, left when UDP works again, and whatever happens to the connection, streams go on. Whole engines with
 * gateway/link's carriers, OpenSSL and libevent as they are, in virtual time (tcp.h).
 *
 *   laptop === UDP or TLS === anchor --- UDP --- home          nothing passes between laptop and home */
#include "tests/sim/app.h"
#include "tests/sim/tcp.h"

#include "gateway/base/log.h"
#include "gateway/link/carrier_calls.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DELAY GW_MS(10)
#define TLS_PORT 443

static const struct sim_tcp_params line = {.delay_ns = DELAY, .rate_bps = 20000000};

static struct sim_net net;
static struct sim_node *anchor, *laptop, *home;
static struct gw_peer *to_anchor, *to_home, *to_laptop;
static struct gw_carrier_calls calls[2]; /* the anchor's, laptop's */
static bool is_blocked;

/* ---- the world */

static unsigned number_of(const struct sim_node *node)
{
    return node == laptop;
}

static void on_train(struct gw_train *train, void *ctx)
{
    struct sim_node *node = ctx;
    gw_gateway_input(node->gateway, sim_now(node), train);
}

static void on_made(struct gw_carriers *carriers, void *ctx)
{
    (void)carriers, (void)ctx; /* they are asked for with each train */
}

static void carry(struct sim_node *from, const struct gw_train *train)
{
    gw_carriers_send(calls[number_of(from)].carriers, train);
}

static void on_accept(int fd, const struct gw_addr *to)
{
    assert_int_equal(to->port, TLS_PORT);
    gw_carriers_take(calls[0].carriers, fd);
}

static void on_wanted(struct gateway *gateway, struct gw_peer *peer, struct gw_mono now, void *ctx)
{
    (void)gateway, (void)ctx;
    gw_carrier_calls_wanted(&calls[1], peer, now);
}

static bool filter(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len)
{
    (void)datagram, (void)len;
    bool is_to_anchor = gw_addr_equal(&tuple->remote, &anchor->addr);
    if (from == anchor)
        return !is_blocked || !gw_addr_equal(&tuple->remote, &laptop->addr);
    return is_to_anchor && (from == home || !is_blocked);
}

static struct gw_peer *add(struct sim_node *node, const struct sim_node *other)
{
    struct gw_peer_config config = sim_peer_config(node, other);
    struct gw_peer *peer;
    if (other == anchor) {
        config.is_anchor = config.is_eager = true;
        config.keepalive_ns = GW_S(25);
        config.carrier_port = node == laptop ? TLS_PORT : 0;
    } else {
        config.endpoint_count = 0;
        config.has_ed25519 = true;
    }
    assert_int_equal(gw_gateway_add_peer(node->gateway, sim_now(node), &config, &peer), 0);
    return peer;
}

static void make_calls(struct sim_node *node)
{
    const struct gw_carrier_calls_params params = {.loop = sim_tcp_loop(),
                                                   .gateway = node->gateway,
                                                   .on_train = on_train,
                                                   .on_made = on_made,
                                                   .ctx = node};
    assert_int_equal(gw_carrier_calls_init(&calls[number_of(node)], &params), 0);
}

static void begin(uint64_t seed, const struct sim_tcp_params *params, bool starts_blocked)
{
    const struct sim_link_params udp = {.delay_ns = DELAY, .rate_bps = 20000000, .buffer_bytes = 100000};
    print_message("seed %llu\n", (unsigned long long)seed);
    is_blocked = starts_blocked;
    sim_net_init(&net, seed, &udp);
    net.carrier = carry;
    sim_tcp_init(&net.clock, params, on_accept);
    anchor = sim_net_add(&net, "10.0.0.1:7001");
    laptop = sim_net_add(&net, "10.0.0.2:7002");
    home = sim_net_add(&net, "10.0.0.3:7003");
    anchor->filter = laptop->filter = home->filter = filter;
    laptop->events.on_carrier_wanted = on_wanted;
    anchor->params.anchor.is_enabled = anchor->params.anchor.relays = true;
    sim_node_restart(anchor);
    make_calls(anchor);
    make_calls(laptop);
    assert_int_equal(gw_carrier_calls_make(&calls[0]), 0);
    add(anchor, laptop);
    add(anchor, home);
    to_anchor = add(laptop, anchor);
    add(home, anchor);
    to_home = add(laptop, home);
    to_laptop = add(home, laptop);
    sim_app_serve(laptop);
    sim_app_serve(home);
}

static void end(void)
{
    for (unsigned i = 0; i < 2; i++)
        gw_carrier_calls_fini(&calls[i]);
    sim_tcp_fini();
    sim_net_fini(&net);
}

static void settle(void)
{
    do {
        for (unsigned i = 0; i < net.node_count; i++)
            sim_node_pump(net.nodes[i]);
    } while (sim_tcp_turn());
}

static void run(int64_t ns)
{
    struct gw_mono until = gw_mono_add(net.clock.now, ns);
    settle();
    while (sim_clock_step(&net.clock, until))
        settle();
}

/* ---- questions */

static bool is_by(bool by_carrier)
{
    struct gw_peer_status status;
    gw_peer_status(to_anchor, net.clock.now, &status);
    return status.session.state == GW_SESSION_ESTABLISHED && status.has_path &&
           gw_tuple_is_carrier(&status.path) == by_carrier;
}

static bool is_by_tls(void)
{
    return is_by(true);
}

static bool is_by_udp(void)
{
    return is_by(false);
}

static struct sim_client client;

static bool is_done(void)
{
    return sim_client_is_done(&client);
}

static uint64_t mark;

static bool goes_on(void)
{
    return client.received > mark + 50000 || is_done();
}

/* How long it took, in virtual time; fails after `limit`. */
static int64_t until(bool (*is)(void), int64_t limit, const char *what)
{
    int64_t ns = 0;
    for (; !is() && ns < limit; ns += GW_MS(10))
        run(GW_MS(10));
    print_message("  %s: %.2f s\n", what, (double)ns / (double)GW_S(1));
    if (!is())
        fail_msg("%s: not within %.0f s (%llu of %llu bytes)", what, (double)limit / (double)GW_S(1),
                 (unsigned long long)client.received, (unsigned long long)client.to_send);
    return ns;
}

static void start(uint64_t bytes)
{
    mark = 0;
    assert_int_equal(sim_client_start(&client, laptop, to_home, "echo", bytes), 0);
    settle();
}

static void still_goes_on(int64_t limit, const char *what)
{
    mark = client.received;
    until(goes_on, limit, what);
    assert_false(client.is_wrong);
}

static struct gw_carriers_stats stats_of(unsigned which)
{
    struct gw_carriers_stats stats;
    gw_carriers_stats(calls[which].carriers, &stats);
    return stats;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd; /* 0 with a sanitizer's malloc, whose own check is for leaks */
}

/* ---- */

/* Blocked from the start. */
static void test_taken(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        begin(seed, &line, true);
        until(is_by_tls, GW_S(3), "the anchor is there");
        start(1000000);
        until(is_done, GW_S(30), "an echo of 1 MB");
        assert_int_equal(sim_tcp_stats()->most_open, 1);
        assert_int_equal(stats_of(0).strangers, 0);
        end();
    }
}

/* Blocked and not, under a stream: each time the other way is taken, and the connection goes when it is not needed. */
static void test_there_and_back(void **state)
{
    (void)state;
    for (uint64_t seed = 10; seed < 12; seed++) {
        begin(seed, &line, false);
        until(is_by_udp, GW_S(3), "by UDP");
        start(40000000);
        still_goes_on(GW_S(5), "bytes flow");
        for (unsigned i = 0; i < 3; i++) {
            run(GW_MS(700) * (int64_t)(i + 1));
            is_blocked = true;
            until(is_by_tls, GW_S(3), "blocked: by TLS");
            still_goes_on(GW_S(3), "bytes flow");
            run(GW_S(2) * (int64_t)i);
            is_blocked = false;
            until(is_by_udp, GW_S(20), "allowed: by UDP");
            still_goes_on(GW_S(3), "bytes flow");
        }
        run(2 * GW_CARRIER_UDP_WORKS_NS);
        assert_int_equal(stats_of(1).open, 0);
        assert_int_equal(stats_of(0).open, 0);
        until(is_done, GW_S(120), "all of it");
        assert_int_equal(sim_tcp_stats()->most_open, 1);
        end();
    }
}

/* The connection ends after so many bytes, wherever in a frame that is. */
static void test_cut_in_frames(void **state)
{
    (void)state;
    static const size_t cuts[] = {1, 2, 23, 517, 1400, 5000, 16384, 33333};
    for (unsigned i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        begin(20 + i, &line, true);
        until(is_by_tls, GW_S(3), "by TLS");
        start(2000000);
        still_goes_on(GW_S(5), "bytes flow");
        unsigned made = sim_tcp_stats()->made;
        sim_tcp_cut(cuts[i]);
        run(GW_MS(200));
        still_goes_on(GW_S(4), "after the cut");
        assert_true(sim_tcp_stats()->made > made);
        until(is_done, GW_S(60), "all of it");
        assert_int_equal(stats_of(0).wrong + stats_of(1).wrong, 0);
        end();
    }
}

/* Ends at every byte of the handshakes, TLS's and ours: no connection is left hanging, and the next one works. */
static void test_cut_while_beginning(void **state)
{
    (void)state;
    begin(40, &line, true);
    run(GW_MS(100));
    for (size_t after = 1; after < 2000; after += 97) {
        sim_tcp_cut(after);
        run(GW_S(1));
    }
    until(is_by_tls, GW_S(30), "by TLS");
    start(300000);
    until(is_done, GW_S(30), "all of it");
    assert_int_equal(stats_of(1).open, 1);
    end();
}

static void test_reset(void **state)
{
    (void)state;
    for (uint64_t seed = 50; seed < 54; seed++) {
        bool is_half = seed % 2 == 0;
        begin(seed, &line, true);
        until(is_by_tls, GW_S(3), "by TLS");
        start(8000000);
        for (unsigned i = 0; i < 5; i++) {
            still_goes_on(GW_S(5), "bytes flow");
            run(GW_MS(137) * (int64_t)(i + 1));
            sim_tcp_reset(is_half);
            still_goes_on(GW_S(3), is_half ? "after a reset of one end" : "after a reset");
        }
        until(is_done, GW_S(60), "all of it");
        run(GW_S(60)); /* what stood half open is found out */
        assert_int_equal(stats_of(1).open, 1);
        assert_int_equal(stats_of(0).open, 1);
        end();
    }
}

/* Nobody takes connections for a while: it is tried on, less and less often. */
static void test_refused(void **state)
{
    (void)state;
    struct sim_tcp_params refused = line;
    refused.is_refused = true;
    begin(60, &refused, true);
    run(GW_S(120));
    unsigned made = sim_tcp_stats()->made;
    print_message("  %u tries in 120 s\n", made);
    assert_in_range(made, 4, 16);
    assert_int_equal(stats_of(1).open, 0);
    sim_tcp_set(&line);
    until(is_by_tls, GW_S(65), "taken again: by TLS");
    end();
}

static void test_one_at_a_time(void **state)
{
    (void)state;
    struct sim_tcp_params drops = line;
    drops.piece = 1;
    begin(70, &drops, true);
    until(is_by_tls, GW_S(3), "by TLS, a byte at a time");
    start(60000);
    until(is_done, GW_S(20), "all of it");
    assert_int_equal(stats_of(0).wrong + stats_of(1).wrong, 0);
    end();
}

/* Nothing moves for a while, then all goes on: over the same connection or another one. */
static void test_stalls(void **state)
{
    (void)state;
    static const int64_t lengths[] = {GW_MS(300), GW_S(1), GW_S(3), GW_S(10), GW_S(45)};
    struct sim_tcp_params stalled = line;
    stalled.is_stalled = true;
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        begin(80 + i, &line, true);
        until(is_by_tls, GW_S(3), "by TLS");
        start(8000000);
        still_goes_on(GW_S(5), "bytes flow");
        sim_tcp_set(&stalled);
        run(lengths[i]);
        sim_tcp_set(&line);
        print_message("  stalled for %.1f s\n", (double)lengths[i] / (double)GW_S(1));
        still_goes_on(GW_S(10), "bytes flow again");
        until(is_done, GW_S(60), "all of it");
        end();
    }
}

/* The connection stalls for good; UDP works again, or another connection does. */
static void test_stalls_and_udp_works(void **state)
{
    (void)state;
    struct sim_tcp_params stalled = line;
    stalled.is_stalled = true;
    begin(90, &line, true);
    until(is_by_tls, GW_S(3), "by TLS");
    start(8000000);
    still_goes_on(GW_S(5), "bytes flow");
    run(GW_S(20));
    start(8000000);
    sim_tcp_set(&stalled);
    run(GW_S(5));
    is_blocked = false;
    until(is_by_udp, GW_S(10), "allowed while it stalls: by UDP");
    still_goes_on(GW_S(5), "bytes flow");
    until(is_done, GW_S(60), "all of it");
    run(GW_S(60));
    assert_int_equal(stats_of(1).open, 0);
    assert_int_equal(sim_tcp_stats()->open, 0);
    end();
}

/* A router forgets the connection, and lets nothing of it through. A new one is made long before TCP gives up. */
static void test_forgotten(void **state)
{
    (void)state;
    for (uint64_t seed = 95; seed < 97; seed++) {
        begin(seed, &line, true);
        until(is_by_tls, GW_S(3), "by TLS");
        start(8000000);
        for (unsigned i = 0; i < 3; i++) {
            still_goes_on(GW_S(5), "bytes flow");
            sim_tcp_forget();
            run(GW_MS(200));
            still_goes_on(GW_S(12), "forgotten: bytes flow again");
        }
        until(is_done, GW_S(60), "all of it");
        run(2 * SIM_TCP_USER_TIMEOUT_NS);
        assert_int_equal(stats_of(1).open, 1);
        end();
    }
}

/* Much is sent into a line that takes little, or nothing. What waits is bounded, and so is what it delays. */
static void test_narrow(void **state)
{
    (void)state;
    struct sim_tcp_params narrow = {.delay_ns = DELAY, .rate_bps = 1000000, .window = 16384};
    begin(100, &narrow, true);
    until(is_by_tls, GW_S(5), "by TLS at 1 Mbit/s");
    start(1000000);
    run(GW_S(5));
    struct sim_client second;
    assert_int_equal(sim_client_start(&second, laptop, to_home, "echo", 100), 0);
    struct gw_mono began = net.clock.now;
    while (!sim_client_is_done(&second) && gw_mono_sub(net.clock.now, began) < GW_S(20))
        run(GW_MS(10));
    int64_t took = gw_mono_sub(net.clock.now, began);
    print_message("  a small echo beside it: %.2f s\n", (double)took / (double)GW_S(1));
    assert_true(sim_client_is_done(&second));
    assert_true(took < GW_S(4));
    until(is_done, GW_S(60), "all of it");
    end();
}

/* Minutes of it: what there is afterwards is what there was. */
static void test_nothing_grows(void **state)
{
    (void)state;
    struct sim_dice dice = {.state = 110};
    size_t settled = 0;
    begin(110, &line, true);
    for (unsigned round = 0; round < 60; round++) {
        struct sim_tcp_params params = line;
        run(GW_MS(500) + (int64_t)(sim_dice_unit(&dice) * (double)GW_S(5)));
        start(200000);
        switch (sim_dice_u64(&dice) % 5) {
        case 0:
            is_blocked = !is_blocked;
            break;
        case 1:
            sim_tcp_reset(sim_dice_u64(&dice) % 2);
            break;
        case 2:
            sim_tcp_cut(1 + sim_dice_u64(&dice) % 5000);
            break;
        case 3:
            params.is_stalled = true;
            sim_tcp_set(&params);
            run(GW_S(2));
            sim_tcp_set(&line);
            break;
        default:
            break;
        }
        until(is_done, GW_S(20), "an echo");
        assert_true(stats_of(1).open <= 1);
        assert_true(stats_of(0).open <= 8);
        if (round == 30) {
            run(GW_S(60));
            settled = heap_bytes();
        }
    }
    is_blocked = false;
    run(GW_S(90));
    assert_int_equal(stats_of(1).open + stats_of(0).open, 0);
    assert_int_equal(sim_tcp_stats()->open, 0);
    print_message("  %zu KB in use, %zu KB after 30 rounds, most connections at once %u\n",
                  heap_bytes() >> 10, settled >> 10, sim_tcp_stats()->most_open);
    assert_true(heap_bytes() <= settled + (256u << 10));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_cut_in_frames),
        cmocka_unit_test(test_cut_while_beginning),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_stalls),
        cmocka_unit_test(test_stalls_and_udp_works),
        cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_narrow),
        cmocka_unit_test(test_nothing_grows),
    };
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    cmocka_set_test_filter(getenv("GW_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}

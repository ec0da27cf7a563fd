/* SPDX-License-Identifier: MIT */
/* The whole way of an accelerated TUN: a TCP client -> netstack -> bridge -> flow -> bridge -> netstack -> a TCP server that has only packets. Time is one for
 * both worlds, in steps of 50 us. */
#include "../flow/pair.h"
#include "gateway/base/err.h"
#include "netstack/flow_bridge.h"
#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OUTER_PORT 80
#define INNER_PORT 7777

static struct wire *wire;
static struct pair pair;
static unsigned ends_seen, open_result;
static unsigned long long last_reason;
static bool is_refusing;
static struct end client; /* outlives a test that fails */

static void on_end(struct gw_flow_bridge *bridge, struct gw_mono now, unsigned long long reason, void *user)
{
    (void)bridge, (void)now, (void)user;
    ends_seen++;
    last_reason = reason;
}

/* The near side: an offer becomes a stream. */
static bool on_offer(struct wire *w, struct gw_connection *offer, struct gw_mono now)
{
    struct gw_connection_info info;
    struct gw_stream *stream;
    gw_connection_info(offer, &info);
    if (info.local.port != OUTER_PORT)
        return false;
    (void)w;
    struct gw_flow_bridge *bridge = gw_flow_bridge_new(on_end, NULL);
    struct gw_open open = {.port = OUTER_PORT, .is_datagrams = info.is_udp};
    open_result = gw_stream_open(pair.mux[0], now, &open, &gw_flow_bridge_stream_ops, bridge, &stream) == 0;
    gw_flow_bridge_opened(bridge, now, offer, stream);
    return true;
}

/* The far side: a stream becomes a connection. */
static void on_open(struct gw_mux *mux, struct gw_stream *stream, const struct gw_open *open,
                    struct gw_mono now, void *ctx)
{
    struct gw_flow_bridge *bridge;
    struct gw_connection *connection;
    (void)mux, (void)ctx;
    if (is_refusing) {
        gw_stream_reset(stream, now, GW_REASON_NOT_LISTED);
        return;
    }
    bridge = gw_flow_bridge_new(on_end, NULL);
    struct gw_netstack_connect_params params = {.link = wire->link[0],
                                                .peer = &wire->peer[0],
                                                .from = wire_address(0, 4, 0),
                                                .to = wire_address(1, 4, INNER_PORT),
                                                .is_udp = open->is_datagrams,
                                                .ops = &gw_flow_bridge_connection_ops,
                                                .user = bridge};
    assert_int_equal(gw_netstack_connect(&connection, now, &params), 0);
    gw_flow_bridge_connected(bridge, now, connection, stream);
}

static void on_output(struct gw_mux *mux, void *ctx)
{
    (void)mux, (void)ctx;
}

static int set_up(void **state)
{
    (void)state;
    static const struct gw_mux_events events[2] = {{.on_open = on_open, .on_output = on_output},
                                                   {.on_open = on_open, .on_output = on_output}};
    static const struct pair_link link = {.delay_ns = GW_MS(10), .loss = 0.01, .plain = 1200};
    pair_init(&pair, 3, &link, events, GW_CC_CUBIC, 16u << 20);
    wire = wire_new(NULL);
    wire->now = pair.now;
    wire->on_offer = on_offer;
    client = (struct end){0};
    ends_seen = 0;
    is_refusing = false;
    last_reason = 99;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wire_free(wire);
    pair_fini(&pair);
    return 0;
}

static bool run(int64_t ns, bool (*is_done)(void *), void *ctx)
{
    for (int64_t t = 0; t < ns; t += GW_US(50)) {
        wire_run(wire, GW_US(50), NULL, NULL);
        pair_run(&pair, GW_US(50));
        pair_pump(&pair);
        if (is_done && is_done(ctx))
            return true;
    }
    return false;
}

static bool are_ended(void *ctx)
{
    (void)ctx;
    return ends_seen == 2;
}

static void test_bytes_and_half_close(void **state)
{
    (void)state;
    wire->answer_len = 700000;
    assert_int_equal(wire_connect(wire, &client, 4, OUTER_PORT, 500000), 0);
    assert_true(run(GW_S(60), are_ended, NULL));
    assert_true(open_result);
    run(GW_S(1), NULL, NULL);
    assert_int_equal(last_reason, GW_REASON_NONE);
    assert_int_equal(wire->ends[0].received, 500000);
    assert_int_equal(client.received, 700000);
    assert_true(client.is_fin && !client.is_closed && !wire->ends[0].is_closed);
}

static void test_a_stalled_reader_stops_the_sender(void **state)
{
    (void)state;
    wire->answer_stall = 1000;
    assert_int_equal(wire_connect(wire, &client, 4, OUTER_PORT, 30000000), 0);
    run(GW_S(10), NULL, NULL);
    assert_int_equal(wire->ends[0].received, 1000);
    print_message("%llu bytes on their way\n", (unsigned long long)client.sent);
    assert_true(client.sent < 3000000);
    wire->ends[0].stall_at = 0;
    gw_connection_resume(wire->ends[0].connection, wire->now);
    assert_true(run(GW_S(60), are_ended, NULL));
    run(GW_S(1), NULL, NULL); /* the bridges are gone; their last bytes are on their way */
    assert_int_equal(wire->ends[0].received, 30000000);
}

static bool is_closed(void *ctx)
{
    return ((struct end *)ctx)->is_closed;
}

static void test_refusals_and_resets(void **state)
{
    (void)state;
    is_refusing = true;
    assert_int_equal(wire_connect(wire, &client, 4, OUTER_PORT, 10), 0);
    assert_true(run(GW_S(1), is_closed, &client));
    assert_int_equal(client.reason, GW_REASON_SERVICE_DOWN); /* a RST for its SYN */
    assert_int_equal(last_reason, GW_REASON_NOT_LISTED);
    is_refusing = false;
    wire->answer = ANSWER_REFUSE;
    client = (struct end){0};
    assert_int_equal(wire_connect(wire, &client, 4, OUTER_PORT, 10), 0);
    assert_true(run(GW_S(2), is_closed, &client));
    assert_int_equal(client.reason, GW_REASON_SERVICE_DOWN);
    wire->answer = ANSWER_ACCEPT;
    wire->is_answer_open = true;
    for (int from = 0; from < 2; from++) {
        client = (struct end){.is_kept_open = true};
        wire->accepted = 0;
        assert_int_equal(wire_connect(wire, &client, 4, OUTER_PORT, 10), 0);
        run(GW_S(1), NULL, NULL);
        assert_int_equal(wire->ends[0].received, 10);
        gw_connection_reset(from ? client.connection : wire->ends[0].connection, wire->now);
        assert_true(run(GW_S(2), is_closed, from ? &wire->ends[0] : &client));
    }
}

static void test_datagrams(void **state)
{
    uint8_t bytes[200];
    (void)state;
    wire->answer_len = 1; /* echoes */
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(9u * 31 + i * 7);
    assert_int_equal(wire_connect_udp(wire, &client, 4, OUTER_PORT), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(gw_connection_send_datagram(client.connection, wire->now, bytes, sizeof bytes), 0);
        run(GW_MS(50), NULL, NULL);
    }
    assert_in_range(client.datagrams, 15, 20); /* of 1 % loss */
    run(GW_S(130), are_ended, NULL);
    assert_int_equal(ends_seen, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bytes_and_half_close, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_stalled_reader_stops_the_sender, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals_and_resets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_datagrams, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

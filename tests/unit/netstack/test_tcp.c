/* SPDX-License-Identifier: MIT */
/* TCP between two links: bytes exact both ways, ends of every kind, loss, stalled readers, many connections, floods, memory back to where it was. */
#include "gateway/base/err.h"
#include "gateway/packet/ip.h"
#include "wire.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool are_both_done(struct wire *wire, void *ctx)
{
    struct end *end = ctx;
    return !end->connection && wire->accepted > 0 && !wire->ends[wire->accepted - 1].connection;
}

static void check_whole(struct wire *wire, struct end *client, uint64_t up, uint64_t down)
{
    struct end *server = &wire->ends[wire->accepted - 1];
    assert_false(client->is_closed);
    assert_false(server->is_closed);
    assert_true(client->is_fin && server->is_fin);
    assert_int_equal(server->received, up);
    assert_int_equal(client->received, down);
}

static void move(int family, unsigned loss, uint64_t up, uint64_t down)
{
    struct wire *wire = wire_new(NULL);
    struct end client = {0};
    wire->loss_permille = loss;
    wire->answer_len = down;
    assert_int_equal(wire_connect(wire, &client, family, 80, up), 0);
    assert_true(wire_run(wire, GW_S(600), are_both_done, &client));
    check_whole(wire, &client, up, down);
    wire_free(wire);
}

static void test_bytes_both_ways(void **state)
{
    (void)state;
    move(4, 0, 3000000, 2000000);
    move(6, 0, 3000000, 2000000);
    move(4, 0, 0, 0);
    move(4, 0, 1, 0);
    move(6, 0, 0, 70000);
}

static void test_bytes_through_loss(void **state)
{
    (void)state;
    move(4, 20, 1000000, 1000000);
    move(6, 100, 100000, 100000);
}

static void test_half_close_lets_the_other_side_go_on(void **state)
{
    (void)state;
    struct wire *wire = wire_new(NULL);
    struct end client = {0};
    wire->is_answer_open = true;
    assert_int_equal(wire_connect(wire, &client, 4, 80, 1000), 0);
    wire_run(wire, GW_S(5), NULL, NULL);
    struct end *server = &wire->ends[0];
    assert_true(server->is_fin && !client.is_fin);
    server->to_send = 100000;
    end_finish(server);
    assert_true(wire_run(wire, GW_S(20), are_both_done, &client));
    check_whole(wire, &client, 1000, 100000);
    wire_free(wire);
}

static bool is_closed(struct wire *wire, void *ctx)
{
    (void)wire;
    return ((struct end *)ctx)->is_closed;
}

static void test_reset_reaches_the_other_side(void **state)
{
    (void)state;
    for (int from = 0; from < 2; from++) {
        struct wire *wire = wire_new(NULL);
        struct end client = {.is_kept_open = true};
        wire->is_answer_open = true;
        assert_int_equal(wire_connect(wire, &client, 4, 80, 5000), 0);
        wire_run(wire, GW_S(1), NULL, NULL);
        struct end *server = &wire->ends[0], *other = from ? &client : server;
        gw_connection_reset(from ? server->connection : client.connection, wire->now);
        assert_true(wire_run(wire, GW_S(1), is_closed, other));
        assert_int_equal(other->reason, GW_REASON_CANCELLED);
        wire_free(wire);
    }
}

static void test_refused_dropped_and_late(void **state)
{
    (void)state;
    struct wire *wire = wire_new(NULL);
    struct end client = {0};
    wire->answer = ANSWER_REFUSE;
    assert_int_equal(wire_connect(wire, &client, 4, 81, 0), 0);
    assert_true(wire_run(wire, GW_MS(50), is_closed, &client));
    assert_int_equal(client.reason, GW_REASON_SERVICE_DOWN);
    wire->answer = ANSWER_DROP;
    client = (struct end){0};
    assert_int_equal(wire_connect(wire, &client, 6, 81, 0), 0);
    assert_false(wire_run(wire, GW_S(10), is_closed, &client));
    assert_true(wire_run(wire, GW_S(300), is_closed, &client));
    assert_int_equal(client.reason, GW_REASON_TIMED_OUT);
    /* An offer that is answered after a second, with data and a FIN in the client's queue. */
    wire->answer = ANSWER_WAIT;
    client = (struct end){.stall_at = 0};
    assert_int_equal(wire_connect(wire, &client, 4, 81, 100), 0);
    gw_connection_finish(client.connection, wire->now);
    wire_run(wire, GW_S(1), NULL, NULL);
    assert_int_equal(wire->offer_count, 1);
    struct end *server = &wire->ends[wire->accepted++];
    *server =
        (struct end){.wire = wire, .connection = wire->offers[0], .seed = 1, .own_seed = 2, .to_send = 10};
    gw_connection_accept(wire->offers[0], wire->now, &end_ops, server);
    wire_run(wire, GW_S(10), NULL, NULL);
    assert_true(server->is_fin && client.is_fin);
    /* And one that is not answered at all. */
    client = (struct end){0};
    wire->offer_count = 0;
    assert_int_equal(wire_connect(wire, &client, 4, 82, 0), 0);
    wire_run(wire, GW_S(5), NULL, NULL);
    struct gw_netstack_stats stats;
    gw_netstack_stats(wire->stack, &stats);
    assert_int_equal(stats.half_open, 1);
    gw_connection_reset(client.connection, wire->now);
    wire_run(wire, GW_S(20), NULL, NULL);
    gw_netstack_stats(wire->stack, &stats);
    assert_int_equal(stats.half_open, 0);
    wire_free(wire);
}

static void test_a_stalled_reader_closes_the_window(void **state)
{
    (void)state;
    struct wire *wire = wire_new(NULL);
    struct end client = {0};
    struct gw_connection_info info;
    wire->answer_stall = 5000;
    assert_int_equal(wire_connect(wire, &client, 4, 80, 3000000), 0);
    wire_run(wire, GW_S(30), NULL, NULL);
    struct end *server = &wire->ends[0];
    assert_int_equal(server->received, 5000);
    gw_connection_info(server->connection, &info);
    assert_true(info.kept > 0 && info.kept <= info.window);
    assert_true(info.window <= 65535); /* a reader that does not read gets no more */
    gw_connection_info(client.connection, &info);
    assert_true(info.unsent <= GW_CONNECTION_UNSENT_MAX);
    assert_true(client.sent < 400000);
    server->stall_at = 0;
    gw_connection_resume(server->connection, wire->now);
    assert_true(wire_run(wire, GW_S(60), are_both_done, &client));
    check_whole(wire, &client, 3000000, 0);
    wire_free(wire);
}

/* A service that is gone is met while bytes are handed to it: any of them, also of those that were kept while a gap was open and come with those that fill it. */
static bool drop_one(struct wire *w, int from, uint8_t *packet, size_t len)
{
    (void)packet;
    return from != 0 || len < 1000 || w->sent[0] != 700;
}

#define OFFERED 2000000u

static bool is_reset_or_whole(struct wire *wire, void *ctx)
{
    (void)ctx;
    return wire->accepted && (wire->ends[0].is_closed || wire->ends[0].received == OFFERED);
}

static void test_reset_while_bytes_are_offered(void **state)
{
    unsigned at = 0;
    (void)state;
    for (bool is_whole = false; !is_whole;) {
        struct wire *wire = wire_new(NULL);
        struct end client = {.is_kept_open = true};
        wire->delay_ns = GW_MS(20);
        wire->filter = drop_one;
        wire->answer_reset_at = ++at;
        assert_int_equal(wire_connect(wire, &client, 4, 80, OFFERED), 0);
        assert_true(wire_run(wire, GW_S(20), is_reset_or_whole, NULL));
        is_whole = wire->ends[0].received == OFFERED;
        assert_true(is_whole ? wire->lost == 1 : wire_run(wire, GW_S(1), is_closed, &client));
        wire_free(wire);
    }
    assert_true(at > 20);
}

static void test_silence_ends_it(void **state)
{
    (void)state;
    struct wire *wire = wire_new(NULL);
    struct end client = {.is_kept_open = true};
    wire->is_answer_open = true;
    assert_int_equal(wire_connect(wire, &client, 4, 80, 1000), 0);
    wire_run(wire, GW_S(1), NULL, NULL);
    wire->is_cut = true;
    client.to_send += 1000; /* unacknowledged data on one side, keepalives on the other */
    end_finish(&client);
    assert_true(wire_run(wire, GW_S(3600), is_closed, &client));
    assert_int_equal(client.reason, GW_REASON_TIMED_OUT);
    assert_true(wire_run(wire, GW_S(3600), is_closed, &wire->ends[0]));
    assert_true(gw_mono_is_never(gw_netstack_next_deadline(wire->stack))); /* no timer without a connection */
    wire_free(wire);
}

static bool are_all_done(struct wire *wire, void *ctx)
{
    struct end *clients = ctx;
    for (unsigned i = 0; i < 2000; i++)
        if (clients[i].connection)
            return false;
    for (unsigned i = 0; i < wire->accepted; i++)
        if (wire->ends[i].connection)
            return false;
    return true;
}

/* The cap counts both ends here, since both live in one stack. */
static void test_two_thousand_connections(void **state)
{
    (void)state;
    struct gw_netstack_params params = {.max_connections = 4000, .max_half_open = 4000};
    struct wire *wire = wire_new(&params);
    struct end *clients = calloc(2001, sizeof *clients);
    wire->answer_len = 3000;
    for (unsigned i = 0; i < 2000; i++) {
        assert_int_equal(wire_connect(wire, &clients[i], i % 2 ? 4 : 6, (uint16_t)(1000 + i), 5000), 0);
        if (i % 100 == 99)
            wire_run(wire, GW_US(200), NULL, NULL);
    }
    assert_true(wire_run(wire, GW_S(120), are_all_done, clients));
    assert_int_equal(wire->accepted, 2000);
    for (unsigned i = 0; i < 2000; i++) {
        assert_int_equal(clients[i].received, 3000);
        assert_int_equal(wire->ends[i].received, 5000);
    }
    wire_run(wire, GW_S(60), NULL, NULL); /* TIME_WAIT is over */
    struct gw_netstack_stats stats;
    gw_netstack_stats(wire->stack, &stats);
    assert_int_equal(stats.connections + stats.half_open + stats.winding_up, 0);
    assert_int_equal(stats.window_bytes + stats.send_bytes, 0);
    assert_true(gw_mono_is_never(gw_netstack_next_deadline(wire->stack)));
    free(clients);
    wire_free(wire);
}

static void test_the_cap_refuses(void **state)
{
    (void)state;
    struct gw_netstack_params params = {.max_connections = 20};
    struct wire *wire = wire_new(&params);
    struct end clients[12] = {0};
    wire->is_answer_open = true;
    for (unsigned i = 0; i < 12; i++) {
        clients[i].is_kept_open = true;
        int err = wire_connect(wire, &clients[i], 4, 80, 10);
        assert_int_equal(err, i < 10 ? 0 : GW_E_LIMIT);
        wire_run(wire, GW_MS(20), NULL, NULL);
    }
    wire_free(wire);
}

/* ---- options that lwIP would believe at any time */

static uint16_t liar_mss;

static bool lie(struct wire *w, int from, uint8_t *packet, size_t len)
{
    struct gw_ip ip;
    (void)w;
    assert_int_equal(gw_ip_parse(&ip, packet, len), 0);
    uint8_t *options = packet + ip.l4 + GW_TCP_HEADER;
    if (from == 0 || ip.header_len - ip.l4 != 32)
        return true;
    const uint8_t lies[12] = {2, 4, (uint8_t)(liar_mss >> 8), (uint8_t)liar_mss, 3, 3, 14, 1, 4, 2, 5, 99};
    memcpy(options, lies, sizeof lies);
    liar_mss = (uint16_t)(liar_mss * 7 + 1);
    gw_checksum_complete(packet, &ip);
    return true;
}

static void test_options_in_the_middle_change_nothing(void **state)
{
    (void)state;
    struct wire *wire = wire_new(NULL);
    struct end client = {0};
    struct gw_connection_info info;
    wire->filter = lie;
    wire->answer_len = 200000;
    liar_mss = 3;
    assert_int_equal(wire_connect(wire, &client, 4, 80, 2000000), 0);
    wire_run(wire, GW_MS(15), NULL, NULL);
    gw_connection_info(client.connection, &info);
    assert_int_equal(info.mss, 1380);
    assert_true(wire_run(wire, GW_S(60), are_both_done, &client));
    check_whole(wire, &client, 2000000, 200000);
    wire_free(wire);
}

/* A path that becomes narrower: what is written from then on keeps to it. */
static size_t longest;

static bool measure(struct wire *w, int from, uint8_t *packet, size_t len)
{
    (void)packet;
    if (from == 0 && gw_mono_sub(w->now, (struct gw_mono){GW_S(1002)}) > 0 && len > longest)
        longest = len;
    return true;
}

static void test_a_narrower_path(void **state)
{
    (void)state;
    struct wire *wire = wire_new(NULL);
    struct end client = {0};
    wire->rate = 1000000;
    wire->filter = measure;
    longest = 0;
    assert_int_equal(wire_connect(wire, &client, 6, 80, 3000000), 0);
    wire_run(wire, GW_S(1), NULL, NULL);
    gw_netstack_link_set_peer_mtu(wire->link[0], &wire->peer[0], 1300);
    assert_true(wire_run(wire, GW_S(60), are_both_done, &client));
    check_whole(wire, &client, 3000000, 0);
    assert_int_equal(longest, 1300);
    wire_free(wire);
}

/* ---- floods */

static size_t write_syn(uint8_t *out, uint32_t n, uint16_t port)
{
    memset(out, 0, 40);
    out[0] = 0x45;
    gw_store16_be(out + 2, 40);
    out[8] = 64;
    out[9] = GW_IP_TCP;
    gw_store32_be(out + 12, 0x0a410000u + n % 60000);
    gw_store32_be(out + 16, 0x0a400002u);
    gw_store16_be(out + 20, (uint16_t)(1024 + n / 60000));
    gw_store16_be(out + 22, port);
    gw_store32_be(out + 24, n * 77);
    out[32] = 0x50;
    out[33] = GW_TCP_SYN;
    gw_store16_be(out + 34, 60000);
    struct gw_ip ip;
    gw_checksum_ip_header(out, 20);
    assert_int_equal(gw_ip_parse(&ip, out, 40), 0);
    gw_checksum_complete(out, &ip);
    return 40;
}

static void flood(enum answer answer)
{
    struct wire *wire = wire_new(NULL);
    struct gw_netstack_stats stats;
    struct end client = {0};
    uint8_t syn[40];
    wire->answer = answer;
    wire->is_answer_open = true;
    for (uint32_t n = 0; n < 100000; n++) {
        wire_inject(wire, 1, syn, write_syn(syn, n, 80));
        wire->accepted = 0; /* their memory is used again: nobody looks at them */
        if (n % 1000 == 0) {
            gw_netstack_stats(wire->stack, &stats);
            assert_true(stats.half_open <= 256 && stats.connections == 0);
            wire_run(wire, GW_MS(2), NULL, NULL);
        }
    }
    /* Others still get through. */
    wire->answer = ANSWER_ACCEPT;
    wire->accepted = 0;
    wire->is_answer_open = false;
    assert_int_equal(wire_connect(wire, &client, 4, 80, 100000), 0);
    assert_true(wire_run(wire, GW_S(5), are_both_done, &client));
    gw_netstack_stats(wire->stack, &stats);
    assert_true(stats.evicted > 99000);
    wire_free(wire);
}

static void test_syn_flood(void **state)
{
    (void)state;
    flood(ANSWER_ACCEPT);
    flood(ANSWER_WAIT);
}

static size_t allocated(void)
{
    return mallinfo2().uordblks;
}

static void test_memory_goes_back(void **state)
{
    (void)state;
    struct wire *wire = wire_new(NULL);
    for (int round = 0; round < 2; round++) {
        size_t before = allocated();
        for (int i = 0; i < 50; i++) {
            struct end client = {0};
            wire->accepted = 0;
            wire->answer_len = 300000;
            wire->loss_permille = 10;
            assert_int_equal(wire_connect(wire, &client, 4, 80, 200000), 0);
            if (i % 5 == 4) { /* some are cut off in the middle */
                wire_run(wire, GW_MS(20), NULL, NULL);
                gw_connection_reset(client.connection, wire->now);
                client.connection = NULL;
                wire->loss_permille = 0;
                wire_run(wire, GW_S(1), NULL, NULL);
                if (wire->accepted && wire->ends[0].connection)
                    gw_connection_reset(wire->ends[0].connection, wire->now);
                wire->ends[0].connection = NULL;
            } else {
                assert_true(wire_run(wire, GW_S(300), are_both_done, &client));
            }
        }
        wire_run(wire, GW_S(120), NULL, NULL);
        /* The first round grows tables that stay; the allocator's own caches count as in use. One leaked connection of each of 50 would be 35 KB. */
        if (round == 1)
            assert_true(allocated() <= before + 8192);
    }
    wire_free(wire);
}

static void test_one_stack_a_process(void **state)
{
    (void)state;
    struct wire *wire = wire_new(NULL);
    struct gw_netstack *other;
    struct gw_netstack_params params = {.random = &wire->random.random};
    assert_int_equal(gw_netstack_new(&other, &params, wire->now), -EEXIST);
    wire_free(wire);
}

static void test_peers_and_links_that_go(void **state)
{
    (void)state;
    struct wire *wire = wire_new(NULL);
    struct end client = {.is_kept_open = true};
    wire->is_answer_open = true;
    assert_int_equal(wire_connect(wire, &client, 4, 80, 10), 0);
    wire_run(wire, GW_MS(100), NULL, NULL);
    gw_netstack_link_drop_peer(wire->link[1], wire->now, &wire->peer[0],
                               GW_REASON_UNREACHABLE); /* another one's */
    assert_non_null(wire->ends[0].connection);
    gw_netstack_link_drop_peer(wire->link[1], wire->now, &wire->peer[1], GW_REASON_UNREACHABLE);
    assert_int_equal(wire->ends[0].reason, GW_REASON_UNREACHABLE);
    assert_true(wire_run(wire, GW_S(1), is_closed, &client));
    /* A packet that claims to be of another peer's connection is not. */
    client = (struct end){.is_kept_open = true};
    assert_int_equal(wire_connect(wire, &client, 4, 80, 10), 0);
    wire_run(wire, GW_MS(100), NULL, NULL);
    client.connection ? gw_connection_reset(client.connection, wire->now) : (void)0;
    wire_free(wire);
}

/* ---- speed: virtual, so it is exact */

static bool has_all(struct wire *wire, void *ctx)
{
    return wire->accepted && wire->ends[0].received >= *(uint64_t *)ctx;
}

static void test_one_connection_fills_100_mbit_at_100_ms(void **state)
{
    (void)state;
    for (int direction = 0; direction < 2; direction++) {
        struct wire *wire = wire_new(NULL);
        struct end client = {0};
        uint64_t total = 100000000;
        wire->delay_ns = GW_MS(50);
        wire->rate = 100000000 / 8;
        wire->queue_ns = GW_MS(100);
        assert_int_equal(wire_connect(wire, &client, direction ? 6 : 4, 80, total), 0);
        struct gw_mono start = wire->now;
        assert_true(wire_run(wire, GW_S(60), has_all, &total));
        double mbit = (double)total * 8 / (double)gw_mono_sub(wire->now, start) * 1000;
        print_message("%.1f Mbit/s, %llu packets lost\n", mbit, (unsigned long long)wire->lost);
        assert_true(mbit > 80); /* slow start included; 1380 of 1420 bytes */
        wire_free(wire);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_both_ways),
        cmocka_unit_test(test_bytes_through_loss),
        cmocka_unit_test(test_half_close_lets_the_other_side_go_on),
        cmocka_unit_test(test_reset_reaches_the_other_side),
        cmocka_unit_test(test_refused_dropped_and_late),
        cmocka_unit_test(test_a_stalled_reader_closes_the_window),
        cmocka_unit_test(test_reset_while_bytes_are_offered),
        cmocka_unit_test(test_silence_ends_it),
        cmocka_unit_test(test_two_thousand_connections),
        cmocka_unit_test(test_the_cap_refuses),
        cmocka_unit_test(test_options_in_the_middle_change_nothing),
        cmocka_unit_test(test_a_narrower_path),
        cmocka_unit_test(test_syn_flood),
        cmocka_unit_test(test_memory_goes_back),
        cmocka_unit_test(test_one_stack_a_process),
        cmocka_unit_test(test_peers_and_links_that_go),
        cmocka_unit_test(test_one_connection_fills_100_mbit_at_100_ms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Whole engines against each other in virtual time: sessions, HELLO, flows, silence, roaming, and that the same seed gives the same bytes. */
#include "tests/sim/two_nodes.h"

#include "gateway/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the main way */

static void test_echo(void **state)
{
    (void)state;
    struct sim_client client;
    two_nodes(1, &(struct sim_link_params){.delay_ns = DELAY});
    struct gw_peer *to_b = sim_node_add_peer(a, b), *to_a = sim_node_add_peer(b, a);
    assert_int_equal(sim_client_start(&client, a, to_b, "echo", 3000000), 0);
    sim_net_run(&net, GW_S(5));
    assert_true(sim_client_is_done(&client));
    struct gw_peer_status status = status_of(to_b);
    assert_int_equal(status.kind, GW_PEER_PEERGATE);
    assert_int_equal(status.session.state, GW_SESSION_ESTABLISHED);
    assert_int_equal(status.payload_len, 1472);
    assert_int_equal(status_of(to_a).payload_len, 1472);
    assert_string_equal(status.hello_name, "node1");
    if (gw_crypto_system()->fast_suites & GW_SUITE_BIT(GW_SUITE_AEGIS128L))
        assert_int_equal(status.sending_suite, GW_SUITE_AEGIS128L);
    assert_int_equal(b->budget.used, 0);
    sim_net_fini(&net);
}

/* Handshake 1 RTT, then the open rides with the first HELLO: accepted after 2 RTT for a peer known by peer ID. */
static void test_open_rides_with_hello(void **state)
{
    (void)state;
    struct sim_client client;
    two_nodes(2, &(struct sim_link_params){.delay_ns = DELAY});
    struct gw_peer_config config = sim_peer_config(a, b);
    struct gw_peer *to_b;
    config.has_ed25519 = true;
    assert_int_equal(gw_gateway_add_peer(a->gateway, sim_now(a), &config, &to_b), 0);
    sim_node_add_peer(b, a);
    assert_int_equal(sim_client_start(&client, a, to_b, "echo", 100), 0);
    sim_net_run(&net, GW_S(2));
    assert_true(sim_client_is_done(&client));
    assert_in_range(gw_mono_sub(client.accepted_at, client.opened_at), 4 * DELAY, 4 * DELAY + GW_MS(2));
    sim_net_fini(&net);
}

static void test_answers_tell_apart(void **state)
{
    (void)state;
    struct sim_client refused, unknown;
    two_nodes(3, &(struct sim_link_params){.delay_ns = DELAY});
    struct gw_peer *to_b = sim_node_add_peer(a, b);
    sim_node_add_peer(b, a);
    sim_client_start(&refused, a, to_b, "refuse", 10);
    sim_client_start(&unknown, a, to_b, "nothing", 10);
    sim_net_run(&net, GW_S(2));
    assert_true(refused.is_closed);
    assert_int_equal(refused.reason, GW_REASON_REFUSED);
    assert_true(unknown.is_closed);
    assert_int_equal(unknown.reason, GW_REASON_NOT_LISTED);
    sim_net_fini(&net);
}

/* ---- bad links */

static void run_on_bad_link(uint64_t seed)
{
    struct sim_client clients[8];
    two_nodes(seed, &(struct sim_link_params){.rate_bps = 50000000,
                                              .delay_ns = DELAY,
                                              .buffer_bytes = 200000,
                                              .loss = 0.03,
                                              .jitter_ns = GW_MS(2),
                                              .reorder = 0.02,
                                              .reorder_ns = GW_MS(5),
                                              .duplicate = 0.02});
    struct gw_peer *to_b = sim_node_add_peer(a, b), *to_a = sim_node_add_peer(b, a);
    for (unsigned i = 0; i < 8; i++)
        sim_client_start(&clients[i], i % 2 ? b : a, i % 2 ? to_a : to_b, "echo", 50000u * (i + 1));
    sim_net_run(&net, GW_S(60));
    for (unsigned i = 0; i < 8; i++) {
        if (!sim_client_is_done(&clients[i]))
            print_error("client %u: sent %llu received %llu closed %d reason %llu\n", i,
                        (unsigned long long)clients[i].sent, (unsigned long long)clients[i].received,
                        clients[i].is_closed, clients[i].reason);
        assert_true(sim_client_is_done(&clients[i]));
    }
    assert_int_equal(a->budget.used, 0);
    assert_int_equal(b->budget.used, 0);
    sim_net_fini(&net);
}

static void test_bad_links(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 120; seed++)
        run_on_bad_link(seed);
}

/* ---- time */

static void test_rekeys_keep_streams(void **state)
{
    (void)state;
    struct sim_client client;
    two_nodes(4, &(struct sim_link_params){.rate_bps = 2000000, .delay_ns = DELAY, .buffer_bytes = 100000});
    struct gw_peer *to_b = sim_node_add_peer(a, b);
    sim_node_add_peer(b, a);
    sim_client_start(&client, a, to_b, "echo", 100000000); /* about 400 s at 2 Mbit/s */
    sim_net_run(&net, GW_S(1000));
    assert_true(sim_client_is_done(&client));
    struct gw_session_stats stats = status_of(to_b).session;
    assert_in_range(stats.handshakes_sent + stats.handshakes_received, 3, 20);
    sim_net_fini(&net);
}

static void test_idle_costs_nothing(void **state)
{
    (void)state;
    struct sim_client client;
    two_nodes(5, &(struct sim_link_params){.delay_ns = DELAY});
    struct gw_peer *to_b = sim_node_add_peer(a, b);
    sim_node_add_peer(b, a);
    sim_client_start(&client, a, to_b, "echo", 1000);
    sim_net_run(&net, GW_S(60));
    assert_true(sim_client_is_done(&client));
    uint64_t before = a->datagrams_out + b->datagrams_out;
    sim_net_run(&net, GW_S(3600));
    assert_in_range(a->datagrams_out + b->datagrams_out - before, 0, 4);
    /* And it works again after that. */
    sim_client_start(&client, a, to_b, "echo", 1000);
    sim_net_run(&net, GW_S(5));
    assert_true(sim_client_is_done(&client));
    sim_net_fini(&net);
}

static bool is_shared(const struct sim_node *node)
{
    return gw_gateway_is_shared(node->gateway, sim_now(node));
}

/* Turns are long only while old streams are all that passes: at both ends, whoever opened them. */
static void test_shared_while_streams_are_new(void **state)
{
    (void)state;
    struct sim_client bulk, other;
    two_nodes(16, &(struct sim_link_params){.delay_ns = DELAY, .rate_bps = 10000000, .buffer_bytes = 100000});
    struct gw_peer *to_b = sim_node_add_peer(a, b), *to_a = sim_node_add_peer(b, a);
    sim_client_start(&bulk, a, to_b, "sink", 100000000);
    sim_net_run(&net, GW_MS(150));
    assert_true(is_shared(a) && is_shared(b));
    sim_net_run(&net, GW_MS(500));
    assert_false(is_shared(a) || is_shared(b));
    assert_false(bulk.is_closed);
    sim_client_start(&other, b, to_a, "echo", 10);
    sim_net_run(&net, GW_MS(100));
    assert_true(is_shared(a) && is_shared(b));
    sim_net_run(&net, GW_MS(500));
    assert_false(is_shared(a) || is_shared(b));
    const uint8_t packet[20] = {0x45, 0, 0, 20, 0, 0, 0, 0, 64, 59, 0, 0, 10, 64, 0, 1, 10, 64, 0, 2};
    gw_peer_send_packet(to_b, sim_now(a), packet, sizeof packet);
    assert_true(is_shared(a));
    sim_net_fini(&net);
}

static void test_persistent_keepalive(void **state)
{
    (void)state;
    two_nodes(6, &(struct sim_link_params){.delay_ns = DELAY});
    struct gw_peer_config config = sim_peer_config(a, b);
    struct gw_peer *to_b;
    config.keepalive_ns = GW_S(20);
    gw_gateway_add_peer(a->gateway, sim_now(a), &config, &to_b);
    sim_node_add_peer(b, a);
    sim_net_run(&net, GW_S(130));
    assert_int_equal(status_of(to_b).session.state, GW_SESSION_ESTABLISHED);
    b->is_down = true;
    sim_net_run(&net, GW_S(90));
    assert_int_not_equal(status_of(to_b).session.state, GW_SESSION_ESTABLISHED);
    b->is_down = false;
    sim_net_run(&net, GW_S(120));
    assert_int_equal(status_of(to_b).session.state, GW_SESSION_ESTABLISHED);
    sim_net_fini(&net);
}

static void test_unreachable(void **state)
{
    (void)state;
    struct sim_client client;
    two_nodes(8, &(struct sim_link_params){.delay_ns = DELAY});
    struct gw_peer *to_b = sim_node_add_peer(a, b);
    sim_client_start(&client, a, to_b, "echo", 10); /* b does not know a */
    sim_net_run(&net, GW_S(100));
    assert_true(client.is_closed);
    assert_int_equal(client.reason, GW_REASON_UNREACHABLE);
    assert_int_equal(b->datagrams_out, 0); /* silence to strangers */
    sim_net_fini(&net);
}

/* ---- roaming */

static void test_rebinding(void **state)
{
    (void)state;
    struct sim_client client;
    two_nodes(9, &(struct sim_link_params){.delay_ns = DELAY, .rate_bps = 20000000, .buffer_bytes = 100000});
    struct gw_peer *to_b = sim_node_add_peer(a, b), *to_a = sim_node_add_peer(b, a);
    sim_client_start(&client, a, to_b, "echo", 10000000);
    sim_net_run(&net, GW_S(2));
    uint64_t before = client.received;
    sim_node_move(a, "10.0.0.77:9999");
    sim_net_run(&net, GW_S(1));
    assert_true(client.received > before); /* data flows again in under a second */
    sim_net_run(&net, GW_S(30));
    assert_true(sim_client_is_done(&client));
    struct gw_addr moved;
    gw_addr_parse(&moved, "10.0.0.77:9999");
    struct gw_peer_status status = status_of(to_a);
    assert_true(gw_addr_equal(&status.path.remote, &moved));
    sim_net_fini(&net);
}

/* Somebody who sees a datagram sends a copy from his own address: the flow stays where it is. */
static uint8_t stolen[2048];
static size_t stolen_len;
static bool steal(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len)
{
    (void)from, (void)tuple;
    if (len < 200 || stolen_len > 0)
        return true;
    memcpy(stolen, datagram, len);
    stolen_len = len;
    return false; /* the original never arrives, so the copy is fresh */
}

static void test_copied_packet_moves_nothing(void **state)
{
    (void)state;
    struct sim_client client;
    two_nodes(10, &(struct sim_link_params){.delay_ns = DELAY, .rate_bps = 20000000, .buffer_bytes = 100000});
    struct gw_peer *to_b = sim_node_add_peer(a, b), *to_a = sim_node_add_peer(b, a);
    sim_client_start(&client, a, to_b, "echo", 5000000);
    sim_net_run(&net, GW_S(1));
    stolen_len = 0;
    a->filter = steal;
    sim_net_run(&net, GW_MS(5));
    assert_true(stolen_len > 0);
    struct gw_train train = {.tuple = {.local = b->addr},
                             .slab = stolen,
                             .count = 1,
                             .stride = (uint16_t)stolen_len,
                             .last_len = (uint16_t)stolen_len};
    gw_addr_parse(&train.tuple.remote, "66.66.66.66:666");
    gw_gateway_input(b->gateway, net.clock.now, &train);
    sim_net_run(&net, GW_S(1));
    struct gw_peer_status status = status_of(to_a);
    assert_true(gw_addr_equal(&status.path.remote, &a->addr));
    sim_net_run(&net, GW_S(20));
    assert_true(sim_client_is_done(&client));
    sim_net_fini(&net);
}

/* ---- crossing, ping */

static void test_crossing_initiations(void **state)
{
    (void)state;
    for (uint64_t loss_mask = 0; loss_mask < 16; loss_mask++) {
        struct sim_client from_a, from_b;
        two_nodes(1000 + loss_mask,
                  &(struct sim_link_params){.delay_ns = DELAY, .loss = loss_mask ? 0.2 : 0});
        struct gw_peer *to_b = sim_node_add_peer(a, b), *to_a = sim_node_add_peer(b, a);
        sim_client_start(&from_a, a, to_b, "echo", 20000);
        sim_client_start(&from_b, b, to_a, "echo", 20000);
        sim_net_run(&net, GW_S(30));
        assert_true(sim_client_is_done(&from_a));
        assert_true(sim_client_is_done(&from_b));
        sim_net_fini(&net);
    }
}

static int64_t pong_rtt;
static void on_pong(struct gateway *gateway, struct gw_peer *peer, uint32_t id, int64_t rtt_ns,
                    struct gw_mono now, void *ctx)
{
    (void)gateway, (void)peer, (void)id, (void)now, (void)ctx;
    pong_rtt = rtt_ns;
}

static void test_ping(void **state)
{
    (void)state;
    uint32_t id;
    two_nodes(14, &(struct sim_link_params){.delay_ns = DELAY});
    struct gw_peer *to_b = sim_node_add_peer(a, b);
    sim_node_add_peer(b, a);
    a->events.on_pong = on_pong;
    pong_rtt = 0;
    assert_int_equal(gw_peer_ping(to_b, sim_now(a), &id), 0);
    sim_net_run(&net, GW_S(2));
    assert_in_range(pong_rtt, 2 * DELAY, 2 * DELAY + GW_MS(1));
    sim_net_fini(&net);
}

/* ---- the same seed gives the same bytes */

static uint64_t trace;
static bool hash_out(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len)
{
    (void)from, (void)tuple;
    for (size_t i = 0; i < len; i++)
        trace = (trace ^ datagram[i]) * 0x100000001b3u;
    return true;
}

static uint64_t traced_run(uint64_t seed)
{
    struct sim_client clients[4];
    trace = 14695981039346656037u;
    two_nodes(seed, &(struct sim_link_params){
                        .delay_ns = DELAY, .rate_bps = 30000000, .buffer_bytes = 50000, .loss = 0.02});
    a->filter = b->filter = hash_out;
    struct gw_peer *to_b = sim_node_add_peer(a, b);
    sim_node_add_peer(b, a);
    for (unsigned i = 0; i < 4; i++)
        sim_client_start(&clients[i], a, to_b, "echo", 200000);
    sim_net_run(&net, GW_S(10));
    sim_net_fini(&net);
    return trace;
}

static void test_deterministic(void **state)
{
    (void)state;
    assert_int_equal(traced_run(42), traced_run(42));
    assert_int_not_equal(traced_run(42), traced_run(43));
}

int main(void)
{
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_open_rides_with_hello),
        cmocka_unit_test(test_answers_tell_apart),
        cmocka_unit_test(test_bad_links),
        cmocka_unit_test(test_rekeys_keep_streams),
        cmocka_unit_test(test_idle_costs_nothing),
        cmocka_unit_test(test_shared_while_streams_are_new),
        cmocka_unit_test(test_persistent_keepalive),
        cmocka_unit_test(test_unreachable),
        cmocka_unit_test(test_rebinding),
        cmocka_unit_test(test_copied_packet_moves_nothing),
        cmocka_unit_test(test_crossing_initiations),
        cmocka_unit_test(test_ping),
        cmocka_unit_test(test_deterministic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Whole engines against each other in virtual time: sessions, HELLO, paths, flows, restarts, roaming, strangers. Each test prints its seed when it fails. */
#include "tests/sim/app.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/packet/ip.h"
#include "gateway/wire/message.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DELAY GW_MS(10)

static struct sim_net net;
static struct sim_node *a, *b;

static void two_nodes(uint64_t seed, const struct sim_link_params *params)
{
    print_message("seed %llu\n", (unsigned long long)seed);
    sim_net_init(&net, seed, params);
    a = sim_net_add(&net, "10.0.0.1:7001");
    b = sim_net_add(&net, "10.0.0.2:7002");
    sim_app_serve(a);
    sim_app_serve(b);
}

static struct gw_peer_status status_of(struct gw_peer *peer)
{
    struct gw_peer_status status;
    gw_peer_status(peer, net.clock.now, &status);
    return status;
}

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

/* ---- restarts, unreachable */

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

/* ---- seals and stock peers */

static struct gw_peer *add_with(struct sim_node *node, const struct sim_node *other, enum gw_seal_policy seal,
                                enum gw_hello_policy hello)
{
    struct gw_peer_config config = sim_peer_config(node, other);
    struct gw_peer *peer;
    config.seal = seal;
    config.hello = hello;
    assert_int_equal(gw_gateway_add_peer(node->gateway, sim_now(node), &config, &peer), 0);
    return peer;
}

static unsigned count_by_type[16];
static bool count_types(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                        size_t len)
{
    (void)from, (void)tuple, (void)len;
    count_by_type[datagram[0] & 15]++;
    return true;
}

static void run_with_seals(enum gw_seal_policy ours, enum gw_seal_policy theirs, bool is_done, bool is_fast)
{
    struct sim_client client;
    memset(count_by_type, 0, sizeof count_by_type);
    two_nodes(11, &(struct sim_link_params){.delay_ns = DELAY});
    struct gw_peer *to_b = add_with(a, b, ours, GW_HELLO_AUTO);
    add_with(b, a, theirs, GW_HELLO_AUTO);
    a->filter = count_types;
    sim_client_start(&client, a, to_b, "echo", 1000000);
    sim_net_run(&net, GW_S(5));
    assert_int_equal(sim_client_is_done(&client), is_done);
    if (is_fast)
        assert_in_range(count_by_type[GW_MESSAGE_DATA], 1, 40);
    else
        assert_int_equal(count_by_type[GW_MESSAGE_FAST_DATA], 0);
    sim_net_fini(&net);
}

static void test_seal_policies(void **state)
{
    (void)state;
    if (gw_crypto_system()->fast_suites == 0)
        skip();
    run_with_seals(GW_SEAL_AUTO, GW_SEAL_AUTO, true, true);
    run_with_seals(GW_SEAL_REQUIRED, GW_SEAL_AUTO, true, true);
    run_with_seals(GW_SEAL_AUTO, GW_SEAL_FORBIDDEN, true, false);
    run_with_seals(GW_SEAL_FORBIDDEN, GW_SEAL_AUTO, true, false);
    run_with_seals(GW_SEAL_REQUIRED, GW_SEAL_FORBIDDEN, false, false);
}

static enum gw_seal_conflict seen_conflict;
static unsigned conflict_changes;
static void watch_conflict(struct gateway *gateway, struct gw_peer *peer, struct gw_mono now, void *ctx)
{
    (void)gateway, (void)now, (void)ctx;
    conflict_changes += status_of(peer).seal_conflict != seen_conflict;
    seen_conflict = status_of(peer).seal_conflict;
}

/* One side demands a seal and the other offers none: both know and tell, what waits ends at once, and when an owner gives in it works. */
static void run_seal_conflict(uint64_t seed, bool demander_opens)
{
    uint8_t packet[28] = {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 64, 0, 1, 10, 64, 0, 2};
    struct sim_client first, second;
    uint32_t id;
    two_nodes(seed, &(struct sim_link_params){.delay_ns = DELAY, .loss = seed % 2 ? 0.2 : 0});
    struct gw_peer *to_b = add_with(a, b, GW_SEAL_REQUIRED, GW_HELLO_AUTO);
    struct gw_peer *to_a = add_with(b, a, GW_SEAL_FORBIDDEN, GW_HELLO_AUTO);
    struct sim_node *from = demander_opens ? a : b;
    struct gw_peer *opener = demander_opens ? to_b : to_a;
    assert_int_equal(sim_client_start(&first, from, opener, "echo", 1000), 0);
    sim_net_run(&net, seed % 2 ? GW_S(5) : GW_MS(150));
    assert_true(first.is_closed);
    assert_int_equal(first.reason, GW_REASON_NO_SEAL);
    assert_false(first.is_accepted);
    assert_int_equal(status_of(to_b).seal_conflict, GW_SEAL_NOT_OFFERED);
    assert_int_equal(status_of(to_a).seal_conflict, GW_SEAL_DEMANDED);
    assert_int_equal(status_of(to_b).session.state, GW_SESSION_ESTABLISHED);
    assert_int_equal(sim_client_start(&second, a, to_b, "echo", 1), GW_E_NO_SEAL);
    assert_int_equal(sim_client_start(&second, b, to_a, "echo", 1), GW_E_NO_SEAL);
    assert_int_equal(gw_peer_send_packet(opener, sim_now(from), packet, sizeof packet), GW_E_NO_SEAL);
    assert_int_equal(gw_peer_ping(opener, sim_now(from), &id), GW_E_NO_SEAL);
    assert_int_equal(gw_peer_send_control(opener, sim_now(from), "", 0), GW_E_NO_SEAL);

    /* New key pairs change nothing, and are no news. */
    struct gw_peer_config config = *gw_peer_config(to_b);
    config.keepalive_ns = GW_S(20);
    gw_gateway_update_peer(a->gateway, sim_now(a), to_b, &config);
    sim_net_run(&net, GW_S(10));
    a->events.on_peer = watch_conflict;
    seen_conflict = status_of(to_b).seal_conflict;
    conflict_changes = 0;
    uint64_t handshakes = status_of(to_b).session.handshakes_sent;
    sim_net_run(&net, GW_S(600));
    assert_true(status_of(to_b).session.handshakes_sent > handshakes);
    assert_int_equal(conflict_changes, 0);
    assert_int_equal(status_of(to_b).seal_conflict, GW_SEAL_NOT_OFFERED);

    struct gw_peer_config changed = *gw_peer_config(opener);
    changed.seal = GW_SEAL_AUTO;
    gw_gateway_update_peer(from->gateway, sim_now(from), opener, &changed);
    sim_net_run(&net, GW_S(5));
    assert_int_equal(conflict_changes, 1);
    assert_int_equal(status_of(to_a).seal_conflict, GW_SEAL_AGREED);
    assert_int_equal(status_of(to_b).seal_conflict, GW_SEAL_AGREED);
    assert_int_equal(sim_client_start(&second, from, opener, "echo", 1000), 0);
    sim_net_run(&net, GW_S(5));
    assert_true(sim_client_is_done(&second));
    sim_net_fini(&net);
}

static void test_seal_conflict(void **state)
{
    (void)state;
    if (gw_crypto_system()->fast_suites == 0)
        skip();
    run_seal_conflict(40, true);
    run_seal_conflict(41, true);
    run_seal_conflict(42, false);
    run_seal_conflict(43, false);
}

/* ---- who may have no session any more */

/* What `from` says as it removes the peer, kept. */
static struct gw_train kept_train;
static uint8_t kept_slab[GW_TRAIN_BYTES];
static void dismiss(struct sim_node *from, struct gw_peer *peer)
{
    kept_train = (struct gw_train){.slab = kept_slab};
    assert_true(gw_gateway_dismiss(from->gateway, sim_now(from), peer, &kept_train));
    assert_int_equal(kept_train.count, 1);
    gw_gateway_remove_peer(from->gateway, sim_now(from), peer);
}

static void deliver_kept(struct sim_node *to, const struct sim_node *from)
{
    uint8_t copy[128];
    assert_true(kept_train.last_len <= sizeof copy);
    memcpy(copy, kept_slab, kept_train.last_len); /* it is opened in place */
    sim_node_receive(to, &(struct gw_tuple){.local = to->addr, .remote = from->addr}, copy,
                     kept_train.last_len, 0);
}

static void test_dismissed(void **state)
{
    (void)state;
    struct sim_client running, later;
    two_nodes(60, &(struct sim_link_params){.delay_ns = DELAY, .rate_bps = 10000000, .buffer_bytes = 100000});
    struct gw_peer *to_b = sim_node_add_peer(a, b), *to_a = sim_node_add_peer(b, a);
    assert_int_equal(sim_client_start(&running, a, to_b, "echo", 50000000), 0);
    sim_net_run(&net, GW_S(1));
    assert_true(running.is_accepted && !running.is_closed);
    dismiss(b, to_a);
    deliver_kept(a, b);
    sim_net_run(&net, GW_MS(1));
    assert_true(running.is_closed);
    assert_int_equal(running.reason, GW_REASON_SHUT_OUT);
    assert_int_equal(status_of(to_b).session.state, GW_SESSION_FAILED);
    assert_false(gw_mono_is_never(status_of(to_b).shut_out_at));

    /* Nobody waits; but each one asks, and hears nothing, as a stranger. */
    uint64_t sent = b->datagrams_out, asked = status_of(to_b).session.handshakes_sent;
    assert_int_equal(sim_client_start(&later, a, to_b, "echo", 1), GW_E_SHUT_OUT);
    sim_net_run(&net, GW_S(5));
    assert_true(status_of(to_b).session.handshakes_sent > asked);
    assert_int_equal(b->datagrams_out, sent);
    /* The second copy comes to nobody. */
    deliver_kept(a, b);
    sim_net_run(&net, GW_S(1));

    /* After a minute one waits again, in vain. */
    sim_net_run(&net, GW_S(60));
    assert_int_equal(sim_client_start(&later, a, to_b, "echo", 1), 0);
    sim_net_run(&net, GW_S(100));
    assert_true(later.is_closed);
    assert_int_equal(later.reason, GW_REASON_SHUT_OUT);
    assert_int_equal(b->datagrams_out, sent);

    /* Let in again: as ever. */
    to_a = sim_node_add_peer(b, a);
    gw_peer_connect(to_a, sim_now(b));
    sim_node_pump(b);
    sim_net_run(&net, GW_S(2));
    assert_true(gw_mono_is_never(status_of(to_b).shut_out_at));
    assert_int_equal(sim_client_start(&later, a, to_b, "echo", 1000), 0);
    sim_net_run(&net, GW_S(2));
    assert_true(sim_client_is_done(&later));
    sim_net_fini(&net);
}

/* What was said to end an older session does not end the one that followed. */
static void test_late_dismissal(void **state)
{
    (void)state;
    struct sim_client client;
    two_nodes(61, &(struct sim_link_params){.delay_ns = DELAY});
    struct gw_peer *to_b = sim_node_add_peer(a, b), *to_a = sim_node_add_peer(b, a);
    sim_client_start(&client, a, to_b, "echo", 1000);
    sim_net_run(&net, GW_S(8));
    assert_true(sim_client_is_done(&client));
    dismiss(b, to_a);
    to_a = sim_node_add_peer(b, a);
    gw_peer_connect(to_a, sim_now(b));
    sim_node_pump(b);
    sim_net_run(&net, GW_S(1));
    assert_int_equal(status_of(to_a).session.state, GW_SESSION_ESTABLISHED);
    deliver_kept(a, b);
    sim_net_run(&net, GW_S(1));
    assert_int_equal(status_of(to_b).session.state, GW_SESSION_ESTABLISHED);
    assert_true(gw_mono_is_never(status_of(to_b).shut_out_at));
    sim_client_start(&client, a, to_b, "echo", 1000);
    sim_net_run(&net, GW_S(1));
    assert_true(sim_client_is_done(&client));
    sim_net_fini(&net);
}

/* Nothing is said to who would not understand it, or is not there. */
static void test_nobody_to_dismiss(void **state)
{
    (void)state;
    struct gw_train train = {.slab = kept_slab};
    two_nodes(62, &(struct sim_link_params){.delay_ns = DELAY});
    struct gw_peer *to_b = sim_node_add_peer(a, b), *to_a = add_with(b, a, GW_SEAL_AUTO, GW_HELLO_NEVER);
    assert_false(gw_gateway_dismiss(a->gateway, sim_now(a), to_b, &train));
    gw_peer_connect(to_b, sim_now(a));
    sim_node_pump(a);
    sim_net_run(&net, GW_S(1));
    assert_int_equal(status_of(to_b).session.state, GW_SESSION_ESTABLISHED);
    assert_false(gw_gateway_dismiss(b->gateway, sim_now(b), to_a, &train));
    sim_net_fini(&net);
}

static unsigned packets_seen;
static size_t packet_bytes_seen, packet_len_seen;
static bool packet_is_wrong;
static void on_packet(struct gateway *gateway, struct gw_peer *peer, uint8_t *packet, size_t len,
                      bool is_partial, struct gw_mono now, void *ctx)
{
    struct gw_ip ip;
    (void)gateway, (void)peer, (void)now, (void)ctx;
    packet_is_wrong |= gw_ip_parse(&ip, packet, len) != 0 || ip.total_len != len ||
                       (!is_partial && !gw_checksum_is_right(packet, &ip));
    packets_seen++;
    packet_len_seen = len;
    packet_bytes_seen += len - ip.header_len;
}

/* A peer that never answers HELLO is taken for stock WireGuard after three of them, and IP packets reach it all the same. */
static void test_stock_peer(void **state)
{
    (void)state;
    uint8_t packet[28] = {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 64, 0, 1, 10, 64, 0, 2};
    struct sim_client client;
    two_nodes(12, &(struct sim_link_params){.delay_ns = DELAY});
    struct gw_peer *to_b = sim_node_add_peer(a, b);
    struct gw_peer_config config = sim_peer_config(b, a);
    struct gw_peer *to_a;
    config.hello = GW_HELLO_NEVER;
    config.allowed_ip_count = 1;
    config.allowed_ips[0].ip.family = 4;
    memcpy(config.allowed_ips[0].ip.ip, (uint8_t[]){10, 64, 0, 1}, 4);
    config.allowed_ips[0].bits = 32;
    gw_gateway_add_peer(b->gateway, sim_now(b), &config, &to_a);
    b->events.on_packet = on_packet;
    packets_seen = 0;
    /* b is a peer of ours that keeps silent: drop what it answers to HELLO. */
    assert_int_equal(gw_peer_send_packet(to_b, sim_now(a), packet, sizeof packet), 0);
    packet[15] = 9; /* a source that is not a's: dropped by cryptokey routing */
    assert_int_equal(gw_peer_send_packet(to_b, sim_now(a), packet, sizeof packet), 0);
    sim_net_run(&net, GW_S(2));
    assert_int_equal(packets_seen, 1);
    assert_int_equal(packet_len_seen, 28);
    assert_int_equal(sim_client_start(&client, b, to_a, "echo", 1), -EPROTONOSUPPORT);
    sim_net_fini(&net);
}

/* ---- IP packets */

static void allow_all(struct gw_peer_config *config)
{
    config->allowed_ip_count = 1;
    config->allowed_ips[0] = (struct gw_prefix){.ip = {.family = 4}, .bits = 0};
}

static struct gw_peer *pair_for_packets(uint64_t seed, const struct sim_link_params *params)
{
    struct gw_peer *to_b, *to_a;
    two_nodes(seed, params);
    struct gw_peer_config config = sim_peer_config(a, b);
    allow_all(&config);
    gw_gateway_add_peer(a->gateway, sim_now(a), &config, &to_b);
    config = sim_peer_config(b, a);
    allow_all(&config);
    gw_gateway_add_peer(b->gateway, sim_now(b), &config, &to_a);
    b->events.on_packet = on_packet;
    packets_seen = 0;
    packet_bytes_seen = 0;
    packet_is_wrong = false;
    return to_b;
}

/* An IPv4 TCP packet with `payload` bytes and a right checksum. */
static size_t make_tcp(uint8_t *packet, size_t payload)
{
    struct gw_ip ip;
    memset(packet, 0, 40 + payload);
    packet[0] = 0x45;
    gw_store16_be(packet + 2, (uint16_t)(40 + payload));
    packet[8] = 64;
    packet[9] = GW_IP_TCP;
    memcpy(packet + 12, (uint8_t[]){10, 64, 0, 1, 10, 64, 0, 2}, 8);
    packet[32] = 5 << 4;
    packet[33] = GW_TCP_ACK;
    for (size_t i = 0; i < payload; i++)
        packet[40 + i] = (uint8_t)i;
    gw_checksum_ip_header(packet, 20);
    assert_int_equal(gw_ip_parse(&ip, packet, 40 + payload), 0);
    gw_checksum_complete(packet, &ip);
    return 40 + payload;
}

/* A burst as a TUN gives it is cut at its segment size and arrives whole. */
static void test_packet_bursts(void **state)
{
    (void)state;
    static uint8_t packet[65535];
    struct gw_peer *to_b = pair_for_packets(20, &(struct sim_link_params){.delay_ns = DELAY});
    gw_peer_connect(to_b, sim_now(a));
    sim_net_run(&net, GW_S(1));
    size_t len = make_tcp(packet, 60000);
    struct gw_super_hint hint = {.segment_len = 1340, .is_checksum_left = true};
    assert_int_equal(gw_peer_send_burst(to_b, sim_now(a), packet, len, &hint), 0);
    sim_net_run(&net, GW_S(1));
    assert_int_equal(packets_seen, (60000 + 1339) / 1340);
    assert_int_equal(packet_bytes_seen, 60000);
    assert_false(packet_is_wrong);
    sim_net_fini(&net);
}

/* Many small packets that do leave are a backlog; those of a peer that cannot be sent to are none, which would hold up the others'. */
static void test_backlog(void **state)
{
    (void)state;
    uint8_t packet[140];
    struct gw_peer *to_b = pair_for_packets(22, &(struct sim_link_params){.delay_ns = DELAY});
    size_t len = make_tcp(packet, 100);
    for (unsigned i = 0; i < 400; i++)
        assert_int_equal(gw_peer_send_packet(to_b, sim_now(a), packet, len), 0);
    assert_false(gw_peer_is_backlogged(to_b, sim_now(a)));
    sim_net_run(&net, GW_S(1)); /* the handshake, and all of them */
    assert_false(gw_peer_is_backlogged(to_b, sim_now(a)));
    gw_peer_send_packet(to_b, sim_now(a), packet, len);
    sim_net_run(&net, GW_US(100));
    for (unsigned i = 0; i < 400; i++)
        assert_int_equal(gw_peer_send_packet(to_b, sim_now(a), packet, len), 0);
    assert_true(gw_peer_is_backlogged(to_b, sim_now(a)));
    sim_net_run(&net, GW_S(1));
    assert_false(gw_peer_is_backlogged(to_b, sim_now(a)));
    assert_int_equal(packets_seen, 801);
    sim_net_fini(&net);
}

/* What is longer than a narrow path goes in two parts, in any order and with losses: whole or not at all. */
static void test_long_packets_are_cut(void **state)
{
    (void)state;
    uint8_t packet[1500];
    struct gw_peer *to_b = pair_for_packets(
        21,
        &(struct sim_link_params){.delay_ns = DELAY, .mtu = 1260, .reorder = 0.3, .reorder_ns = GW_MS(3)});
    gw_peer_connect(to_b, sim_now(a));
    sim_net_run(&net, GW_S(5));
    assert_in_range(status_of(to_b).payload_len, 1200, 1260);
    for (unsigned i = 0; i < 200; i++) {
        size_t len = make_tcp(packet, 1340);
        assert_int_equal(gw_peer_send_packet(to_b, sim_now(a), packet, len), 0);
        sim_net_run(&net, GW_MS(1));
    }
    sim_net_run(&net, GW_S(1));
    assert_int_equal(packets_seen, 200);
    assert_int_equal(packet_len_seen, 1380);
    assert_false(packet_is_wrong);
    sim_net_fini(&net);
}

static bool drop_type5_and_hello_answers(struct sim_node *from, const struct gw_tuple *tuple,
                                         const uint8_t *datagram, size_t len)
{
    (void)from, (void)tuple;
    return datagram[0] != GW_MESSAGE_DATA || len <= GW_DATA_MIN_LEN; /* keepalives and handshakes only */
}

static void test_silent_peer_is_taken_for_stock(void **state)
{
    (void)state;
    two_nodes(13, &(struct sim_link_params){.delay_ns = DELAY});
    struct gw_peer *to_b = sim_node_add_peer(a, b);
    sim_node_add_peer(b, a);
    b->filter = drop_type5_and_hello_answers;
    gw_peer_connect(to_b, sim_now(a));
    sim_net_run(&net, GW_S(10));
    assert_int_equal(status_of(to_b).kind, GW_PEER_WIREGUARD);
    /* The first HELLO of its own corrects that. */
    b->filter = NULL;
    gw_peer_connect(gw_gateway_find_peer(b->gateway, gw_gateway_public_key(a->gateway)), sim_now(b));
    sim_net_run(&net, GW_S(200));
    uint32_t id;
    gw_peer_ping(gw_gateway_find_peer(b->gateway, gw_gateway_public_key(a->gateway)), sim_now(b), &id);
    sim_net_run(&net, GW_S(10));
    assert_int_equal(status_of(to_b).kind, GW_PEER_PEERGATE);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_open_rides_with_hello),
        cmocka_unit_test(test_answers_tell_apart),
        cmocka_unit_test(test_bad_links),
        cmocka_unit_test(test_rekeys_keep_streams),
        cmocka_unit_test(test_idle_costs_nothing),
        cmocka_unit_test(test_shared_while_streams_are_new),
        cmocka_unit_test(test_persistent_keepalive),
        cmocka_unit_test(test_peer_restarts),
        cmocka_unit_test(test_unreachable),
        cmocka_unit_test(test_rebinding),
        cmocka_unit_test(test_copied_packet_moves_nothing),
        cmocka_unit_test(test_clock_set_back),
        cmocka_unit_test(test_restarts_are_told_sparingly),
        cmocka_unit_test(test_seal_policies),
        cmocka_unit_test(test_seal_conflict),
        cmocka_unit_test(test_dismissed),
        cmocka_unit_test(test_late_dismissal),
        cmocka_unit_test(test_nobody_to_dismiss),
        cmocka_unit_test(test_stock_peer),
        cmocka_unit_test(test_packet_bursts),
        cmocka_unit_test(test_backlog),
        cmocka_unit_test(test_long_packets_are_cut),
        cmocka_unit_test(test_silent_peer_is_taken_for_stock),
        cmocka_unit_test(test_crossing_initiations),
        cmocka_unit_test(test_ping),
        cmocka_unit_test(test_deterministic),
    };
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

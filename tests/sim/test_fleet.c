/* SPDX-License-Identifier: MIT */
/* Anchors that share a directory, in virtual time: a client of one finds and reaches a client of another; the store goes away and comes back, loses things, has garbage
 * in it. `a` knows only the first anchor, `b` only the second, and neither reaches the other. */
#include "tests/sim/app.h"
#include "tests/sim/store.h"

#include "gateway/anchor/anchor.h"
#include "gateway/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DELAY GW_MS(10)

static struct sim_net net;
static struct sim_store store;
static struct sim_node *anchors[2], *a, *b;
static struct gw_peer *a_to_b, *b_to_a;
static const uint8_t secret[GW_KEY_LEN] = {8, 1, 2, 3, [31] = 64},
                     other_secret[GW_KEY_LEN] = {16, 9, [31] = 65};

static bool blocks_direct(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                          size_t len)
{
    (void)datagram, (void)len;
    return !sim_is_between(from, tuple, a, b);
}

static void start_anchor(unsigned i, const uint8_t key[GW_KEY_LEN])
{
    anchors[i]->params.anchor.is_enabled = anchors[i]->params.anchor.relays = true;
    sim_store_join(&store, anchors[i], key);
    sim_node_restart(anchors[i]);
    sim_node_add_unlocated(anchors[i], a);
    sim_node_add_unlocated(anchors[i], b);
    sim_store_connect(&store, anchors[i]);
}

static void four_nodes(uint64_t seed, const struct sim_link_params *params)
{
    print_message("seed %llu\n", (unsigned long long)seed);
    sim_net_init(&net, seed, params);
    sim_store_init(&store, &net, GW_MS(2));
    a = sim_net_add(&net, "10.0.0.2:7002");
    b = sim_net_add(&net, "10.0.0.3:7003");
    anchors[0] = sim_net_add(&net, "10.0.0.4:7004");
    anchors[1] = sim_net_add(&net, "10.0.0.5:7005");
    a->filter = b->filter = blocks_direct;
    start_anchor(0, secret);
    start_anchor(1, secret);
    sim_node_add_anchor(a, anchors[0]);
    sim_node_add_anchor(b, anchors[1]);
    sim_app_serve(a);
    sim_app_serve(b);
    a_to_b = sim_node_add_unlocated(a, b);
    b_to_a = sim_node_add_unlocated(b, a);
}

static void end(void)
{
    store.is_down = true; /* what is on its way ends */
    sim_net_run(&net, 2 * store.delay_ns);
    sim_net_fini(&net);
}

static struct gw_fleet_stats fleet_of(unsigned i)
{
    struct gw_fleet_stats stats;
    assert_true(gw_anchor_fleet_stats(gw_gateway_anchor(anchors[i]->gateway), &stats));
    return stats;
}

static struct gw_anchor_stats stats_of(unsigned i)
{
    struct gw_anchor_stats stats;
    assert_true(gw_gateway_anchor_stats(anchors[i]->gateway, &stats));
    return stats;
}

static bool echoes(struct sim_node *node, struct gw_peer *peer, uint64_t bytes, int64_t within_ns)
{
    struct sim_client client;
    if (sim_client_start(&client, node, peer, "echo", bytes) != 0)
        return false;
    for (int64_t ns = 0; ns < within_ns && !sim_client_is_done(&client); ns += GW_MS(10))
        sim_net_run(&net, GW_MS(10));
    bool is_done = sim_client_is_done(&client);
    if (client.stream) /* it is this function's */
        gw_stream_reset(client.stream, sim_now(node), GW_REASON_CANCELLED);
    return is_done;
}

/* ---- what it is for */

static void test_across(void **state)
{
    (void)state;
    struct sim_client client;
    four_nodes(1, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_S(1));
    assert_int_equal(fleet_of(0).fellows, 1);
    assert_int_equal(fleet_of(1).fellows, 1);
    assert_int_equal(sim_store_count(&store), 2);
    sim_client_start(&client, a, a_to_b, "echo", 3000000);
    sim_net_run(&net, GW_S(10));
    assert_true(sim_client_is_done(&client));
    print_message("accepted after %lld ms\n",
                  (long long)(gw_mono_sub(client.accepted_at, client.opened_at) / GW_MS(1)));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(fleet_of(i).channels, 1);
        assert_true(stats_of(i).relayed_bytes > 6000000);
        assert_int_equal(stats_of(i).dropped_place, 0);
        assert_int_equal(fleet_of(i).dropped_garbage, 0);
    }
    end();
}

static void test_both_ask(void **state)
{
    (void)state;
    struct sim_client of_a, of_b;
    four_nodes(2, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_S(1));
    sim_client_start(&of_a, a, a_to_b, "echo", 1000);
    sim_client_start(&of_b, b, b_to_a, "echo", 1000);
    sim_net_run(&net, GW_S(2));
    assert_true(sim_client_is_done(&of_a));
    assert_true(sim_client_is_done(&of_b));
    assert_int_equal(stats_of(0).channels, 1);
    assert_int_equal(stats_of(1).channels, 1);
    end();
}

/* An hour: registrations, channels and presence are renewed, and end when nobody needs them. */
static void test_lifetimes(void **state)
{
    (void)state;
    struct sim_client client;
    four_nodes(3, &(struct sim_link_params){.rate_bps = 2000000, .delay_ns = DELAY, .buffer_bytes = 100000});
    sim_net_run(&net, GW_S(1));
    sim_client_start(&client, a, a_to_b, "sink", 400000000);
    sim_net_run(&net, GW_S(1500));
    assert_false(client.is_closed);
    assert_true(client.sent > 250000000);
    sim_net_run(&net, GW_S(2000));
    assert_int_equal(client.sent, 400000000);
    assert_int_equal(fleet_of(0).fellows, 1);
    assert_int_equal(sim_store_count(&store), 2);
    assert_int_equal(stats_of(0).channels, 0);
    assert_int_equal(stats_of(1).channels, 0);
    end();
}

/* Nobody, and somebody who does not authorize the asker, are one answer here, too. */
static void test_unknown(void **state)
{
    (void)state;
    four_nodes(4, &(struct sim_link_params){.delay_ns = DELAY});
    gw_gateway_remove_peer(b->gateway, sim_now(b), b_to_a);
    sim_net_run(&net, GW_S(1));
    assert_false(echoes(a, a_to_b, 1000, GW_S(5)));
    assert_true(stats_of(0).refused_unknown > 0);
    assert_int_equal(stats_of(0).channels, 0);
    end();
}

/* ---- who leaves */

static struct gw_peer *known(const struct sim_node *who, const struct sim_node *whom)
{
    return gw_gateway_find_peer(who->gateway, gw_gateway_public_key(whom->gateway));
}

static struct sim_store_entry *record_of(unsigned anchor)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *key = gw_gateway_public_key(anchors[anchor]->gateway);
    for (unsigned i = 0; i < SIM_STORE_ENTRIES; i++) {
        struct sim_store_entry *entry = &store.entries[i];
        const char *id = entry->name + strlen(entry->name) - 16;
        bool is_its = entry->name[0] != '\0';
        for (unsigned j = 0; is_its && j < 16; j++)
            is_its = id[j] == digits[key[j / 2] >> (j % 2 ? 0 : 4) & 15];
        if (is_its)
            return entry;
    }
    return NULL;
}

/* As a daemon does when the other one is not in its files any more. */
static void dismiss(struct sim_node *from, struct sim_node *to)
{
    static uint8_t slab[GW_TRAIN_BYTES];
    struct gw_train train = {.slab = slab};
    assert_true(gw_gateway_dismiss(from->gateway, sim_now(from), known(from, to), &train));
    sim_node_receive(to, &(struct gw_tuple){.local = to->addr, .remote = from->addr}, slab, train.last_len,
                     0);
    gw_gateway_remove_peer(from->gateway, sim_now(from), known(from, to));
}

/* Clients that end their session in a known way are not in the store any more; their peers' records are. */
static void test_who_leaves(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        four_nodes(50 + i, &(struct sim_link_params){.delay_ns = DELAY});
        sim_net_run(&net, GW_S(1));
        assert_non_null(record_of(0));
        assert_non_null(record_of(1));
        if (i == 0)
            sim_node_say_goodbye(b);
        else if (i == 1)
            dismiss(anchors[1], b);
        else
            dismiss(b, anchors[1]);
        b->is_down = true;
        sim_net_run(&net, 2 * DELAY);
        assert_non_null(record_of(0));
        assert_null(record_of(1));
        end();
    }
}

/* One of two clients of an anchor that share a tag: the record is put again, without it. */
static void test_one_of_two_leaves(void **state)
{
    (void)state;
    four_nodes(54, &(struct sim_link_params){.delay_ns = DELAY});
    sim_node_add_anchor(b, anchors[0]);
    sim_net_run(&net, GW_S(1));
    const struct sim_store_entry *both = record_of(0);
    size_t len = both->len;
    sim_node_say_goodbye(b);
    b->is_down = true;
    sim_net_run(&net, 2 * DELAY);
    assert_ptr_equal(record_of(0), both);
    assert_true(both->len < len);
    assert_null(record_of(1));
    end();
}

/* Who has gone to another anchor is found there. What was put by another life of the same anchor, or by a stranger, is not ours to take away. */
static void test_others_stay(void **state)
{
    (void)state;
    four_nodes(55, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_S(1));
    struct sim_store_entry kept = *record_of(1);
    start_anchor(1, secret);
    sim_net_run(&net, GW_S(40));
    assert_non_null(record_of(1));
    assert_memory_not_equal(record_of(1)->value, kept.value, GW_FLEET_MARK_LEN);
    *record_of(1) = kept;
    dismiss(anchors[1], b);
    assert_non_null(record_of(1));
    end();

    four_nodes(56, &(struct sim_link_params){.delay_ns = DELAY});
    sim_node_add_anchor(b, anchors[0]);
    sim_net_run(&net, GW_S(1));
    dismiss(anchors[1], b);
    sim_net_run(&net, 2 * DELAY);
    assert_non_null(record_of(0));
    assert_null(record_of(1));
    assert_true(echoes(a, a_to_b, 1000, GW_S(5)));
    end();
}

/* ---- what goes wrong */

/* Away: each anchor has its own clients, what is under way goes on; back, and empty: all is put again. */
static void test_store_dies(void **state)
{
    (void)state;
    struct sim_client client;
    four_nodes(5, &(struct sim_link_params){.rate_bps = 5000000, .delay_ns = DELAY, .buffer_bytes = 100000});
    struct sim_node *c = sim_net_add(&net, "10.0.0.6:7006");
    sim_app_serve(c);
    sim_node_add_unlocated(anchors[0], c);
    sim_node_add_anchor(c, anchors[0]);
    struct gw_peer *a_to_c = sim_node_add_unlocated(a, c);
    sim_node_add_unlocated(c, a);
    sim_net_run(&net, GW_S(1));
    sim_client_start(&client, a, a_to_b, "sink", 20000000);
    sim_net_run(&net, GW_S(2));
    sim_store_set_down(&store, true);
    uint64_t sent = client.sent;
    sim_net_run(&net, GW_S(45));
    assert_true(client.sent > sent + 5000000);
    assert_int_equal(client.sent, 20000000);
    assert_true(echoes(a, a_to_c, 1000, GW_S(2)));
    sim_net_run(&net, GW_S(900));
    assert_false(echoes(a, a_to_b, 1000, GW_S(10)));
    sim_store_set_down(&store, false);
    sim_net_run(&net, GW_S(1));
    assert_int_equal(sim_store_count(&store), 3); /* a with c; a; b */
    assert_true(echoes(a, a_to_b, 1000, GW_S(10)));
    end();
}

static void test_store_loses(void **state)
{
    (void)state;
    for (uint64_t seed = 10; seed < 15; seed++) {
        four_nodes(seed, &(struct sim_link_params){.delay_ns = DELAY, .loss = 0.05});
        store.loss = 0.2;
        sim_net_run(&net, GW_S(40));
        assert_true(echoes(a, a_to_b, 100000, GW_S(40)));
        end();
    }
}

/* One of the two anchors forgets everything. */
static void test_anchor_restarts(void **state)
{
    (void)state;
    struct sim_client client;
    for (unsigned i = 0; i < 2; i++) {
        four_nodes(20 + i, &(struct sim_link_params){
                               .rate_bps = 20000000, .delay_ns = DELAY, .buffer_bytes = 100000});
        sim_net_run(&net, GW_S(1));
        sim_client_start(&client, a, a_to_b, "echo", 10000000);
        sim_net_run(&net, GW_S(1));
        start_anchor(i, secret);
        sim_net_run(&net, 6 * DELAY);
        uint64_t received = client.received;
        unsigned ms = 0;
        for (; ms < 60000 && client.received == received; ms++)
            sim_net_run(&net, GW_MS(1));
        print_message("anchor %u restarts: data again after %u ms\n", i, ms);
        assert_true(ms < 5000);
        sim_net_run(&net, GW_S(60));
        assert_true(sim_client_is_done(&client));
        end();
    }
}

/* An anchor joins a fleet, or leaves it: its clients' tags follow. */
static void test_join_and_leave(void **state)
{
    (void)state;
    four_nodes(40, &(struct sim_link_params){.delay_ns = DELAY});
    struct gw_peer *b_to_first = sim_node_add_anchor(b, anchors[0]);
    anchors[0]->params.anchor.fleet.ops = NULL;
    sim_node_restart(anchors[0]);
    sim_node_add_unlocated(anchors[0], a);
    sim_node_add_unlocated(anchors[0], b);
    sim_net_run(&net, GW_S(30));
    assert_true(echoes(a, a_to_b, 1000, GW_S(5)));
    assert_false(gw_anchor_fleet_stats(gw_gateway_anchor(anchors[0]->gateway), &(struct gw_fleet_stats){0}));
    assert_int_equal(stats_of(0).channels, 1);
    gw_gateway_remove_peer(b->gateway, sim_now(b), b_to_first);
    sim_net_run(&net, GW_S(400));
    start_anchor(0, secret);
    sim_net_run(&net, GW_S(30));
    /* The first one may be told that b gave up what it had with a. */
    assert_true(echoes(a, a_to_b, 1000, GW_S(5)) || echoes(a, a_to_b, 1000, GW_S(5)));
    assert_int_equal(fleet_of(0).channels, 1);
    end();
}

/* ---- bad input */

/* Values overwritten, cut, exchanged; topics shouted at; what anchors said, said again. Nothing of it does anything. */
static void test_garbage(void **state)
{
    (void)state;
    uint8_t bytes[600];
    four_nodes(30, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_S(1));
    assert_int_equal(sim_store_count(&store), 2);
    struct sim_store_entry kept[2] = {store.entries[0], store.entries[1]};

    store.entries[0].len = store.entries[1].len = 0;
    assert_false(echoes(a, a_to_b, 10, GW_S(2)));
    for (unsigned i = 0; i < 200; i++) {
        size_t len = i * 3;
        gw_random_fill(&store.random.random, bytes, sizeof bytes);
        memcpy(store.entries[0].value, bytes, len);
        memcpy(store.entries[1].value, bytes, len);
        store.entries[0].len = store.entries[1].len = len;
        for (unsigned j = 0; j < 4; j++)
            sim_store_say(&store, gw_anchor_fleet_topic(gw_gateway_anchor(anchors[j & 1]->gateway), j >> 1),
                          bytes, len);
        sim_net_run(&net, GW_MS(100));
    }
    assert_true(fleet_of(0).dropped_garbage > 400);
    assert_false(echoes(a, a_to_b, 10, GW_S(2)));

    /* Another one's value, which is sealed rightly, but not for this place. */
    memcpy(store.entries[0].value, kept[1].value, kept[1].len);
    memcpy(store.entries[1].value, kept[0].value, kept[0].len);
    store.entries[0].len = kept[1].len;
    store.entries[1].len = kept[0].len;
    assert_false(echoes(a, a_to_b, 10, GW_S(2)));
    assert_int_equal(stats_of(0).channels + stats_of(1).channels, 0);

    store.entries[0] = kept[0];
    store.entries[1] = kept[1];
    sim_net_run(&net, GW_S(10));
    assert_true(echoes(a, a_to_b, 1000, GW_S(10)));
    end();
}

/* In the same store, but of another fleet: they do not hear each other. */
static void test_another_fleet(void **state)
{
    (void)state;
    four_nodes(31, &(struct sim_link_params){.delay_ns = DELAY});
    start_anchor(1, other_secret);
    sim_net_run(&net, GW_S(40));
    assert_int_equal(fleet_of(0).fellows, 0);
    assert_int_equal(fleet_of(1).fellows, 0);
    assert_false(echoes(a, a_to_b, 1000, GW_S(5)));
    end();
}

/* Frames between the anchors from elsewhere, or with a wrong mac. */
static uint8_t captured[2048];
static size_t captured_len;

static bool captures(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len)
{
    if (datagram[0] == 6 && from == anchors[0] && gw_addr_equal(&tuple->remote, &anchors[1]->addr) &&
        len <= sizeof captured) {
        memcpy(captured, datagram, len);
        captured_len = len;
    }
    return true;
}

static void feed(struct sim_node *node, const char *from)
{
    struct gw_tuple tuple = {.local = node->addr};
    assert_int_equal(gw_addr_parse(&tuple.remote, from), 0);
    sim_node_receive(node, &tuple, captured, captured_len, 0);
}

static void test_stolen_channel(void **state)
{
    (void)state;
    four_nodes(32, &(struct sim_link_params){.delay_ns = DELAY});
    captured_len = 0;
    anchors[0]->filter = captures;
    sim_net_run(&net, GW_S(1));
    assert_true(echoes(a, a_to_b, 1000, GW_S(5)));
    assert_true(captured_len > 0);
    struct gw_anchor_stats before = stats_of(1);
    uint64_t out = anchors[1]->datagrams_out;
    for (unsigned i = 0; i < 100; i++)
        feed(anchors[1], "6.6.6.6:666");
    assert_int_equal(stats_of(1).dropped_place - before.dropped_place, 100);
    captured[9] ^= 1;
    for (unsigned i = 0; i < 100; i++)
        feed(anchors[1], "10.0.0.4:7004");
    assert_int_equal(stats_of(1).dropped_channel - before.dropped_channel, 100);
    assert_int_equal(stats_of(1).relayed_datagrams, before.relayed_datagrams);
    assert_int_equal(anchors[1]->datagrams_out, out);
    end();
}

int main(void)
{
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_across),         cmocka_unit_test(test_both_ask),
        cmocka_unit_test(test_lifetimes),      cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_who_leaves),     cmocka_unit_test(test_one_of_two_leaves),
        cmocka_unit_test(test_others_stay),    cmocka_unit_test(test_store_dies),
        cmocka_unit_test(test_store_loses),    cmocka_unit_test(test_anchor_restarts),
        cmocka_unit_test(test_join_and_leave), cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_another_fleet),  cmocka_unit_test(test_stolen_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

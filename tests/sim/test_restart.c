/* SPDX-License-Identifier: MIT */
/* Anchors that end, in order or not, and restart one after the other under clients that are idle: how soon everybody is found again; and clients that end. */
#include "tests/sim/app.h"

#include "gateway/anchor/anchor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define DELAY GW_MS(10)
#define ANCHORS 2u
#define RESTARTS_IN GW_MS(400) /* from its last word until it listens again */

static struct sim_net net;
static struct sim_node *anchors[ANCHORS], *a, *b;
static struct gw_peer *a_to_b, *a_to_anchor[ANCHORS];

static bool blocks_direct(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                          size_t len)
{
    (void)datagram, (void)len;
    return !sim_is_between(from, tuple, a, b);
}

/* What an anchor's daemon keeps across restarts (gateway/daemon/clients_state.h). */
static struct places {
    unsigned count;
    struct gw_addr at[2];
    uint8_t keys[2][GW_KEY_LEN];
} places;

static void remember(const struct sim_node *anchor)
{
    places.count = 0;
    for (struct gw_peer *peer = NULL; (peer = gw_gateway_next_peer(anchor->gateway, peer)) != NULL;) {
        if (!gw_gateway_client_place(anchor->gateway, peer, &places.at[places.count]))
            continue;
        memcpy(places.keys[places.count++], gw_peer_config(peer)->public_key, GW_KEY_LEN);
    }
}

static void call(struct sim_node *anchor)
{
    for (unsigned i = 0; i < places.count; i++)
        gw_gateway_call(anchor->gateway, sim_now(anchor),
                        gw_gateway_find_peer(anchor->gateway, places.keys[i]), &places.at[i]);
    sim_node_pump(anchor);
}

static void start_anchor(struct sim_node *anchor)
{
    anchor->params.anchor.is_enabled = true;
    anchor->params.anchor.relays = true;
    anchor->is_down = false;
    sim_node_restart(anchor);
    sim_node_add_unlocated(anchor, a);
    sim_node_add_unlocated(anchor, b);
}

/* Two clients of two anchors, which do not reach each other directly. */
static void two_clients(uint64_t seed, const struct sim_link_params *params)
{
    static const char *const at[ANCHORS] = {"10.0.0.1:7001", "10.0.0.4:7001"};
    print_message("seed %llu\n", (unsigned long long)seed);
    sim_net_init(&net, seed, params);
    a = sim_net_add(&net, "10.0.0.2:7002");
    b = sim_net_add(&net, "10.0.0.3:7003");
    a->filter = b->filter = blocks_direct;
    for (unsigned i = 0; i < ANCHORS; i++) {
        anchors[i] = sim_net_add(&net, at[i]);
        start_anchor(anchors[i]);
        a_to_anchor[i] = sim_node_add_anchor(a, anchors[i]);
        sim_node_add_anchor(b, anchors[i]);
    }
    sim_app_serve(a);
    sim_app_serve(b);
    a_to_b = sim_node_add_unlocated(a, b);
    sim_node_add_unlocated(b, a);
}

static unsigned registrations(const struct sim_node *anchor)
{
    struct gw_anchor_stats stats;
    assert_true(gw_gateway_anchor_stats(anchor->gateway, &stats));
    return stats.registrations;
}

static struct gw_peer_status status_of(const struct gw_peer *peer)
{
    struct gw_peer_status status;
    gw_peer_status(peer, net.clock.now, &status);
    return status;
}

static bool has_ended(const struct gw_peer *peer)
{
    return !gw_mono_is_never(status_of(peer).ended_at);
}

/* Time until it is so, in steps of 1 ms. */
static int64_t run_until(bool (*is_so)(void), int64_t limit_ns)
{
    struct gw_mono start = net.clock.now;
    while (!is_so() && gw_mono_sub(net.clock.now, start) < limit_ns)
        sim_net_run(&net, GW_MS(1));
    return gw_mono_sub(net.clock.now, start);
}

static bool are_registered(void)
{
    for (unsigned i = 0; i < ANCHORS; i++) {
        if (anchors[i]->is_down || registrations(anchors[i]) != 2)
            return false;
    }
    return true;
}

static struct sim_client client;

static bool is_accepted(void)
{
    return client.is_accepted;
}

/* ---- restarts */

enum end { IN_ORDER, KILLED, KILLED_AND_CALLS };

/* Returns when it listens again. */
static void restart(struct sim_node *anchor, enum end end)
{
    remember(anchor);
    if (end == IN_ORDER)
        sim_node_say_goodbye(anchor);
    anchor->is_down = true;
    sim_net_run(&net, RESTARTS_IN);
    start_anchor(anchor);
    if (end == KILLED_AND_CALLS)
        call(anchor);
}

static int64_t worst(int64_t so_far, int64_t now)
{
    return now > so_far ? now : so_far;
}

/* One after the other, a second apart; nobody uses anything. at_ns: where in the clients' beat. */
static void roll(uint64_t seed, enum end end, int64_t at_ns, int64_t *until_registered,
                 int64_t *until_reached)
{
    two_clients(seed, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_S(60) + at_ns);
    assert_true(are_registered());
    restart(anchors[0], end);
    sim_net_run(&net, GW_S(1) - RESTARTS_IN);
    restart(anchors[1], end);
    *until_registered = worst(*until_registered, run_until(are_registered, GW_S(60)));
    assert_true(are_registered());
    assert_int_equal(sim_client_start(&client, a, a_to_b, "echo", 1000), 0);
    *until_reached = worst(*until_reached, run_until(is_accepted, GW_S(30)));
    assert_true(client.is_accepted);
    sim_net_fini(&net);
}

/* Asked for b at once, not when the anchors know it again. */
static void roll_and_ask(uint64_t seed, enum end end, int64_t at_ns, int64_t *until_reached)
{
    two_clients(seed, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_S(60) + at_ns);
    restart(anchors[0], end);
    sim_net_run(&net, GW_S(1) - RESTARTS_IN);
    restart(anchors[1], end);
    assert_int_equal(sim_client_start(&client, a, a_to_b, "echo", 1000), 0);
    *until_reached = worst(*until_reached, run_until(is_accepted, GW_S(60)));
    assert_true(client.is_accepted);
    sim_net_fini(&net);
}

static struct {
    int64_t registered, reached, asked;
} at_worst;

static void roll_all(uint64_t seed, enum end end, const char *what)
{
    memset(&at_worst, 0, sizeof at_worst);
    for (uint64_t i = 0; i < 10; i++) {
        roll(seed + i, end, (int64_t)i * GW_MS(2500), &at_worst.registered, &at_worst.reached);
        roll_and_ask(seed + 10 + i, end, (int64_t)i * GW_MS(2500), &at_worst.asked);
    }
    print_message(
        "%s, at worst: registered %lld ms after the second one is back, then a stream in %lld ms; one that is asked for at once, in %lld ms\n",
        what, (long long)(at_worst.registered / GW_MS(1)), (long long)(at_worst.reached / GW_MS(1)),
        (long long)(at_worst.asked / GW_MS(1)));
    assert_true(at_worst.reached < GW_MS(500));
}

static void test_rolling_restart(void **state)
{
    (void)state;
    roll_all(10, IN_ORDER, "in order");
    assert_true(at_worst.registered < GW_S(3));
    assert_true(at_worst.asked < GW_S(2));
}

/* An anchor that forgot where its clients were. */
static void test_rolling_kill(void **state)
{
    (void)state;
    roll_all(50, KILLED, "killed");
    assert_true(at_worst.registered < GW_S(28)); /* one keepalive */
}

static void test_rolling_kill_with_calls(void **state)
{
    (void)state;
    roll_all(90, KILLED_AND_CALLS, "killed, and calls its clients");
    assert_true(at_worst.registered < GW_S(2));
    assert_true(at_worst.asked < GW_S(2));
}

/* Killed, and not back: a lookup finds that out, and goes by the other one. */
static void test_killed_is_found_out(void **state)
{
    int64_t taken = 0;
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        two_clients(150 + i, &(struct sim_link_params){.delay_ns = DELAY});
        sim_net_run(&net, GW_S(60) + (int64_t)i * GW_MS(2500));
        anchors[i % ANCHORS]->is_down = true;
        assert_int_equal(sim_client_start(&client, a, a_to_b, "echo", 1000), 0);
        taken = worst(taken, run_until(is_accepted, GW_S(30)));
        assert_true(client.is_accepted);
        sim_net_fini(&net);
    }
    print_message("an anchor was killed: by the other one in %lld ms, at worst\n",
                  (long long)(taken / GW_MS(1)));
    assert_true(taken < GW_S(2));
}

/* Who is called and is not there, or is there already, gets no more than a few packets. */
static void test_calls_end(void **state)
{
    (void)state;
    two_clients(130, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_S(10));
    remember(anchors[0]);
    assert_int_equal(places.count, 2);
    uint64_t said = anchors[0]->datagrams_out;
    call(anchors[0]); /* they are there */
    assert_int_equal(anchors[0]->datagrams_out, said);
    a->is_down = b->is_down = true;
    start_anchor(anchors[0]);
    said = anchors[0]->datagrams_out;
    call(anchors[0]);
    sim_net_run(&net, GW_S(3600));
    assert_int_equal(anchors[0]->datagrams_out, said + 2 * 3);
    sim_net_fini(&net);
}

/* ---- goodbyes */

/* All anchors are gone: that costs no more than to have them, once what was tried at once is over. */
static void anchors_gone(uint64_t seed, bool say_goodbye)
{
    two_clients(seed, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_S(60));
    for (unsigned i = 0; i < ANCHORS; i++) {
        if (say_goodbye)
            sim_node_say_goodbye(anchors[i]);
        anchors[i]->is_down = true;
    }
    for (unsigned hour = 0; hour < 3; hour++) {
        sim_node_watch(a);
        sim_net_run(&net, GW_S(3600));
        print_message("two anchors that are gone%s, hour %u: %u datagrams, awake %u times\n",
                      say_goodbye ? ", with a goodbye" : "", hour + 1, a->traffic.sent, a->traffic.wakeups);
        assert_true(a->traffic.wakeups <= 150);
    }
    sim_net_fini(&net);
}

static void test_anchors_gone(void **state)
{
    (void)state;
    anchors_gone(110, true);
    anchors_gone(111, false);
}

/* An anchor's client that ends is nobody's to be found any more, at once. */
static void test_client_ends(void **state)
{
    (void)state;
    two_clients(105,
                &(struct sim_link_params){.delay_ns = DELAY, .rate_bps = 20000000, .buffer_bytes = 20000});
    sim_net_run(&net, GW_S(1));
    assert_int_equal(sim_client_start(&client, a, a_to_b, "echo", 50000000), 0);
    sim_net_run(&net, GW_S(1));
    assert_true(client.is_accepted && !client.is_closed);
    sim_node_say_goodbye(b); /* to a by a relay, and then to the relays */
    b->is_down = true;
    sim_net_run(&net, 5 * DELAY); /* behind what waits in the links */
    assert_true(client.is_closed);
    assert_int_equal(client.reason, GW_REASON_SHUTTING_DOWN);
    assert_true(has_ended(a_to_b));
    for (unsigned i = 0; i < ANCHORS; i++) {
        struct gw_anchor_stats stats;
        assert_true(gw_gateway_anchor_stats(anchors[i]->gateway, &stats));
        assert_int_equal(stats.registrations, 1);
        assert_int_equal(stats.channels, 0);
    }
    /* The anchors leave it alone. */
    uint64_t told = anchors[0]->datagrams_out + anchors[1]->datagrams_out;
    a->is_down = true;
    sim_net_run(&net, GW_S(20));
    assert_true(anchors[0]->datagrams_out + anchors[1]->datagrams_out <= told + 4);
    a->is_down = false;
    sim_net_run(&net, GW_S(60));

    /* It is back: one round trip for the channel, one for the handshake through it, one for the stream. */
    b->is_down = false;
    sim_node_restart(b);
    sim_app_serve(b);
    for (unsigned i = 0; i < ANCHORS; i++)
        sim_node_add_anchor(b, anchors[i]);
    sim_node_add_unlocated(b, a);
    sim_net_run(&net, GW_S(1));
    assert_int_equal(sim_client_start(&client, a, a_to_b, "echo", 1000), 0);
    assert_in_range(run_until(is_accepted, GW_S(10)), 10 * DELAY, 13 * DELAY);
    sim_net_fini(&net);
}

/* The anchor that relays ends: the other one takes over without a pause that anybody would notice. */
static void test_relay_ends(void **state)
{
    (void)state;
    two_clients(106,
                &(struct sim_link_params){.delay_ns = DELAY, .rate_bps = 20000000, .buffer_bytes = 100000});
    sim_net_run(&net, GW_S(1));
    assert_int_equal(sim_client_start(&client, a, a_to_b, "echo", 50000000), 0);
    sim_net_run(&net, GW_S(3));
    struct gw_peer_status before = status_of(a_to_b);
    assert_true(before.is_relayed);
    const struct gw_peer *relay = gw_gateway_relay_of(a->gateway, &before.path);
    struct sim_node *ending = relay == a_to_anchor[0] ? anchors[0] : anchors[1];
    sim_node_say_goodbye(ending);
    ending->is_down = true;
    sim_net_run(&net, 2 * DELAY);
    struct gw_peer_status after = status_of(a_to_b);
    assert_true(after.has_path && after.is_relayed);
    assert_ptr_not_equal(gw_gateway_relay_of(a->gateway, &after.path), relay);
    uint64_t received = client.received;
    sim_net_run(&net, GW_MS(500));
    print_message("500 ms after the relay ended: %llu bytes more\n",
                  (unsigned long long)(client.received - received));
    assert_true(client.received > received);
    start_anchor(ending);
    assert_true(run_until(are_registered, GW_S(60)) < GW_S(6));
    sim_net_run(&net, GW_S(60));
    assert_true(sim_client_is_done(&client));
    sim_net_fini(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_anchors_gone),        cmocka_unit_test(test_client_ends),
        cmocka_unit_test(test_relay_ends),          cmocka_unit_test(test_rolling_restart),
        cmocka_unit_test(test_rolling_kill),        cmocka_unit_test(test_rolling_kill_with_calls),
        cmocka_unit_test(test_killed_is_found_out), cmocka_unit_test(test_calls_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Nodes that end in order, and say so (GOODBYE): what their peers make of it. */
#include "tests/sim/app.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DELAY GW_MS(10)

static struct sim_net net;
static struct sim_node *a, *b;
static struct sim_client client;

static struct gw_peer_status status_of(const struct gw_peer *peer)
{
    struct gw_peer_status status;
    gw_peer_status(peer, net.clock.now, &status);
    return status;
}

static enum gw_session_state state_of(const struct gw_peer *peer)
{
    return status_of(peer).session.state;
}

static bool has_ended(const struct gw_peer *peer)
{
    return !gw_mono_is_never(status_of(peer).ended_at);
}

/* Time until it is so, in steps of 1 ms. */
static int64_t run_until_accepted(int64_t limit_ns)
{
    struct gw_mono start = net.clock.now;
    while (!client.is_accepted && gw_mono_sub(net.clock.now, start) < limit_ns)
        sim_net_run(&net, GW_MS(1));
    return gw_mono_sub(net.clock.now, start);
}

/* a and b by their addresses. */
static struct gw_peer *two_peers(uint64_t seed, int64_t keepalive_ns)
{
    struct gw_peer *peer;
    print_message("seed %llu\n", (unsigned long long)seed);
    sim_net_init(&net, seed, &(struct sim_link_params){.delay_ns = DELAY});
    a = sim_net_add(&net, "10.0.0.2:7002");
    b = sim_net_add(&net, "10.0.0.3:7003");
    sim_app_serve(b);
    sim_node_add_peer(b, a);
    struct gw_peer_config config = sim_peer_config(a, b);
    config.keepalive_ns = keepalive_ns;
    assert_int_equal(gw_gateway_add_peer(a->gateway, sim_now(a), &config, &peer), 0);
    return peer;
}

static void restart_b(void)
{
    b->is_down = false;
    sim_node_restart(b);
    sim_app_serve(b);
    sim_node_add_peer(b, a);
}

/* Streams end at once, it is known at once, and nothing is sent any more; whoever wants the peer gets it as soon as it is there. */
static void test_goodbye(void **state)
{
    (void)state;
    struct gw_peer *to_b = two_peers(100, 0);
    assert_int_equal(sim_client_start(&client, a, to_b, "echo", 50000000), 0);
    sim_net_run(&net, GW_MS(300));
    assert_true(client.is_accepted && !client.is_closed);
    sim_node_say_goodbye(b);
    b->is_down = true;
    sim_net_run(&net, 2 * DELAY);
    assert_true(client.is_closed);
    assert_int_equal(client.reason, GW_REASON_SHUTTING_DOWN);
    assert_int_equal(state_of(to_b), GW_SESSION_IDLE);
    assert_true(has_ended(to_b));
    sim_node_watch(a);
    sim_net_run(&net, GW_S(3600));
    assert_int_equal(a->traffic.sent, 0);
    assert_true(has_ended(to_b));

    assert_int_equal(sim_client_start(&client, a, to_b, "echo", 1000), 0);
    sim_net_run(&net, GW_S(1));
    assert_int_equal(state_of(to_b), GW_SESSION_HANDSHAKING);
    restart_b();
    assert_true(run_until_accepted(GW_S(10)) < GW_MS(1500)); /* the next retry */
    assert_false(has_ended(to_b));
    assert_int_equal(sim_client_start(&client, a, to_b, "echo", 1000), 0);
    sim_node_say_goodbye(b);
    restart_b(); /* as a fast restart: it listens already */
    sim_net_run(&net, 2 * DELAY);
    assert_int_equal(sim_client_start(&client, a, to_b, "echo", 1000), 0);
    assert_in_range(run_until_accepted(GW_S(10)), 3 * DELAY, 5 * DELAY);
    sim_net_fini(&net);
}

/* Of three of them two may be lost. */
static unsigned lost;
static bool loses_two(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                      size_t len)
{
    (void)from, (void)tuple, (void)datagram, (void)len;
    return lost++ >= 2;
}

static void test_goodbye_on_bad_links(void **state)
{
    (void)state;
    struct gw_peer *to_b = two_peers(101, 0);
    assert_int_equal(sim_client_start(&client, a, to_b, "echo", 1000), 0);
    sim_net_run(&net, GW_S(60)); /* nothing else is to be said */
    lost = 0;
    b->filter = loses_two;
    sim_node_say_goodbye(b);
    assert_int_equal(lost, 3);
    sim_net_run(&net, 2 * DELAY);
    assert_true(has_ended(to_b));
    sim_net_fini(&net);
}

static uint8_t kept[256];
static size_t kept_len;
static bool keeps(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len)
{
    (void)from, (void)tuple;
    kept_len = len < sizeof kept ? len : sizeof kept;
    memcpy(kept, datagram, kept_len);
    return false;
}

static void deliver_kept(unsigned at, uint8_t change)
{
    uint8_t copy[sizeof kept]; /* it is opened in place */
    memcpy(copy, kept, kept_len);
    copy[at] ^= change;
    sim_node_receive(a, &(struct gw_tuple){.local = a->addr, .remote = b->addr}, copy, kept_len, 0);
    sim_net_run(&net, GW_MS(1));
}

/* Changed on the way, or held back until there is another session: it ends nothing. */
static void test_forged_goodbye(void **state)
{
    (void)state;
    struct gw_peer *to_b = two_peers(102, 0);
    gw_peer_connect(to_b, sim_now(a));
    sim_node_pump(a);
    sim_net_run(&net, GW_S(1));
    b->filter = keeps;
    sim_node_say_goodbye(b);
    b->filter = NULL;
    for (unsigned i = 0; i < kept_len; i++)
        deliver_kept(i, 1);
    assert_int_equal(state_of(to_b), GW_SESSION_ESTABLISHED);
    assert_false(has_ended(to_b));

    sim_net_run(&net, GW_S(8));
    restart_b();
    gw_peer_connect(gw_gateway_next_peer(b->gateway, NULL), sim_now(b));
    sim_node_pump(b);
    sim_net_run(&net, GW_S(1));
    deliver_kept(0, 0);
    assert_int_equal(state_of(to_b), GW_SESSION_ESTABLISHED);
    assert_false(has_ended(to_b));
    assert_int_equal(sim_client_start(&client, a, to_b, "echo", 1000), 0);
    sim_net_run(&net, GW_S(1));
    assert_true(sim_client_is_done(&client));
    sim_net_fini(&net);
}

/* Whoever has no session hears nothing: it never had one, or its keys are too old, or it did not answer when it was asked. */
static void test_nobody_to_say_goodbye_to(void **state)
{
    (void)state;
    struct gw_peer *to_b = two_peers(103, 0);
    sim_node_watch(a);
    sim_node_say_goodbye(a);
    assert_int_equal(a->traffic.sent, 0);
    assert_int_equal(sim_client_start(&client, a, to_b, "echo", 1000), 0);
    sim_net_run(&net, GW_S(240));
    assert_int_equal(state_of(to_b), GW_SESSION_IDLE);
    sim_node_watch(a);
    sim_node_say_goodbye(a);
    assert_int_equal(a->traffic.sent, 0);

    gw_peer_connect(to_b, sim_now(a));
    sim_node_pump(a);
    sim_net_run(&net, GW_S(1));
    b->is_down = true;
    assert_int_equal(sim_client_start(&client, a, to_b, "echo", 1000), 0);
    sim_net_run(&net, GW_S(78));
    assert_int_equal(state_of(to_b), GW_SESSION_FAILED);
    sim_node_pump(a);
    sim_node_watch(a);
    sim_node_say_goodbye(a);
    assert_int_equal(a->traffic.sent, 0);
    sim_net_fini(&net);
}

/* A peer that is kept alive is asked for soon, then more and more seldom; never for ever at one beat, nor more often than an idle node may. */
static void test_returns(void **state)
{
    (void)state;
    struct gw_peer *to_b = two_peers(104, GW_S(25));
    sim_net_run(&net, GW_S(60));
    assert_int_equal(state_of(to_b), GW_SESSION_ESTABLISHED);
    sim_node_say_goodbye(b);
    b->is_down = true;
    sim_net_run(&net, 2 * DELAY);
    assert_true(has_ended(to_b));
    sim_node_watch(a);
    sim_net_run(&net, GW_MS(450));
    assert_int_equal(a->traffic.sent, 0);
    sim_net_run(&net, GW_MS(600));
    assert_in_range(a->traffic.sent, 1, 2);
    sim_net_run(&net, GW_S(3600));
    print_message("an hour after a goodbye: %u datagrams, awake %u times\n", a->traffic.sent,
                  a->traffic.wakeups);
    assert_in_range(a->traffic.wakeups, 30, 100);
    assert_true(has_ended(to_b));
    restart_b();
    sim_net_run(&net, GW_S(76));
    assert_int_equal(state_of(to_b), GW_SESSION_ESTABLISHED);
    sim_net_fini(&net);
}

static struct {
    uint8_t bytes[3000];
    size_t len;
} held[8];
static unsigned held_count;
static bool holds(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len)
{
    (void)from, (void)tuple;
    if (held_count < 8) {
        memcpy(held[held_count].bytes, datagram, len);
        held[held_count++].len = len;
    }
    return false;
}

static void input_held(unsigned i)
{
    static uint8_t slab[GW_TRAIN_SLAB];
    struct gw_train train = {.slab = slab, .count = 1};
    train.stride = train.last_len = (uint16_t)held[i].len;
    train.tuple = (struct gw_tuple){.local = a->addr, .remote = b->addr};
    memcpy(slab, held[i].bytes, held[i].len);
    gw_gateway_input(a->gateway, sim_now(a), &train);
}

/* Who was held up, or asleep, has the goodbye and what the peer says after its start in one turn, or a relay hands them on the other way round: what begins is not what has ended. */
static void test_goodbye_beside_the_next_start(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 2; first++) {
        struct gw_peer *to_b = two_peers(105, 0);
        sim_app_serve(a);
        gw_peer_connect(to_b, sim_now(a));
        sim_node_pump(a);
        sim_net_run(&net, GW_S(1));
        assert_int_equal(state_of(to_b), GW_SESSION_ESTABLISHED);
        held_count = 0;
        b->filter = holds;
        sim_node_say_goodbye(b);
        sim_net_run(&net, GW_MS(100));
        restart_b();
        assert_int_equal(sim_client_start(&client, b, gw_gateway_next_peer(b->gateway, NULL), "echo", 1000),
                         0);
        sim_node_pump(b);
        b->filter = NULL;
        assert_int_equal(held_count, 4); /* three goodbyes and an initiation */
        for (unsigned i = 0; i < held_count; i++) {
            input_held(first == 0 ? i : held_count - 1 - i);
            if (first == 1 && i == 0)
                sim_node_pump(a);
        }
        sim_node_pump(a);
        int64_t took = run_until_accepted(GW_S(60));
        print_message("accepted after %lld ms\n", (long long)(took / GW_MS(1)));
        assert_true(took < GW_MS(500));
        sim_net_run(&net, GW_S(1));
        assert_true(sim_client_is_done(&client));
        assert_false(has_ended(to_b));
        sim_net_fini(&net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goodbye),        cmocka_unit_test(test_goodbye_on_bad_links),
        cmocka_unit_test(test_forged_goodbye), cmocka_unit_test(test_nobody_to_say_goodbye_to),
        cmocka_unit_test(test_returns),        cmocka_unit_test(test_goodbye_beside_the_next_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* A phone sleeps, its router forgets it meanwhile, it is on another network, an anchor dies: for how long do a stream to it and one from it stand still? In
 * virtual time, with and without losses (the world: travel.h). */
#include "tests/sim/travel.h"

#include "gateway/base/log.h"
#include "gateway/peer/peer_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DELAY GW_MS(11) /* one way, between any two */

static struct sim_travel at;
static double chance; /* of the loss of each datagram that follows the change */

static void begin(uint64_t seed, enum nat_kind kind)
{
    sim_travel_begin(&at, seed, kind, DELAY);
    sim_travel_start(&at, GW_S(1), GW_S(20));
}

static bool are_direct(void)
{
    return sim_travel_is_direct(&at, at.to_home) && sim_travel_is_direct(&at, at.to_phone);
}

/* ---- figures */

struct figures {
    int64_t all[128];
    unsigned count;
};

static void note(struct figures *figures, int64_t ns)
{
    assert_true(figures->count < sizeof figures->all / sizeof figures->all[0]);
    figures->all[figures->count++] = ns;
}

static int compare(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Prints them; half of them are at most median_ns, all at most worst_ns. */
static void expect(const char *what, struct figures *figures, int64_t median_ns, int64_t worst_ns)
{
    qsort(figures->all, figures->count, sizeof figures->all[0], compare);
    int64_t median = figures->all[figures->count / 2], worst = figures->all[figures->count - 1];
    print_message("%s, loss %.0f %%: median %lld ms, worst %lld ms\n", what, 100 * chance,
                  (long long)(median / GW_MS(1)), (long long)(worst / GW_MS(1)));
    assert_true(median <= median_ns);
    assert_true(worst <= worst_ns);
}

/* ---- asleep */

/* For really_ns in the net, which the phone's clock takes for counted_ns. */
static int64_t sleeps(uint64_t seed, int64_t really_ns, int64_t counted_ns)
{
    begin(seed, NAT_KIND_PORT_RESTRICTED);
    assert_true(are_direct());
    sim_node_sleep(at.phone);
    sim_net_run(&at.net, really_ns);
    nat_rebind(at.lines[0].home->v4);
    at.loss = chance;
    sim_travel_watch(&at);
    sim_node_wake(at.phone, counted_ns - really_ns);
    sim_net_run(&at.net, GW_S(10));
    int64_t found = sim_travel_gap(&at);
    at.loss = 0;
    sim_net_run(&at.net, GW_S(60));
    assert_true(are_direct());
    sim_travel_end(&at);
    return found;
}

/* The keys are too old, the anchors have forgotten us and the channels; the other end has slept for none of it. */
static void test_hour(void **state)
{
    struct figures figures[2] = {{.count = 0}};
    (void)state;
    chance = 0;
    for (uint64_t seed = 1; seed <= 3; seed++)
        note(&figures[0], sleeps(seed, GW_S(2), GW_S(3600)));
    expect("asleep for an hour", &figures[0], GW_MS(250), GW_MS(250));
    chance = 0.1;
    for (uint64_t seed = 1; seed <= 16; seed++)
        note(&figures[1], sleeps(seed, GW_S(2), GW_S(3600)));
    expect("asleep for an hour", &figures[1], GW_MS(500), GW_S(2));
}

/* The keys are good, the way is not. */
static void test_half_minute(void **state)
{
    struct figures figures[2] = {{.count = 0}};
    (void)state;
    chance = 0;
    for (uint64_t seed = 1; seed <= 3; seed++)
        note(&figures[0], sleeps(seed, GW_S(30), GW_S(30)));
    expect("asleep for 30 s", &figures[0], GW_MS(300), GW_MS(300));
    chance = 0.1;
    for (uint64_t seed = 1; seed <= 16; seed++)
        note(&figures[1], sleeps(seed, GW_S(30), GW_S(30)));
    expect("asleep for 30 s", &figures[1], GW_MS(600), GW_S(2));
}

/* ---- elsewhere */

/* Back and forth: the places where the peer was are known, and some are forgotten. */
static void moves(uint64_t seed, struct figures *figures)
{
    begin(seed, NAT_KIND_PORT_RESTRICTED);
    for (unsigned i = 0; i < 6; i++) {
        sim_travel_watch(&at);
        at.loss = chance;
        sim_travel_move(&at, i % 2 ? &at.v6 : &at.lte);
        sim_net_run(&at.net, GW_S(5));
        note(&figures[i == 0 ? 0 : 2 - i % 2], sim_travel_gap(&at));
        at.loss = 0;
        sim_net_run(&at.net, GW_S(25) / (1 + (int64_t)seed % 4));
    }
    sim_travel_end(&at);
}

static void test_moves(void **state)
{
    static const char *const names[] = {"Wi-Fi to LTE", "LTE to IPv6 only", "IPv6 only to LTE"};
    (void)state;
    for (chance = 0; chance < 0.2; chance += 0.1) {
        struct figures figures[3] = {{.count = 0}};
        for (uint64_t seed = 1; seed <= (chance > 0 ? 10 : 4); seed++)
            moves(seed, figures);
        for (unsigned i = 0; i < 3; i++)
            expect(names[i], &figures[i], chance > 0 ? GW_MS(500) : GW_MS(300),
                   chance > 0 ? GW_S(2) : GW_MS(300));
    }
}

/* ---- direct again */

#define WATCHED_NS GW_S(60)

/* From now on until both ends have a direct path for good. */
static int64_t until_direct(void)
{
    struct gw_mono began = at.net.clock.now, last = began;
    while (gw_mono_sub(at.net.clock.now, began) < WATCHED_NS &&
           gw_mono_sub(at.net.clock.now, last) < GW_S(3)) {
        sim_net_run(&at.net, GW_MS(20));
        if (!are_direct())
            last = at.net.clock.now;
    }
    return gw_mono_sub(last, began);
}

static void wakes(int64_t really_ns, int64_t counted_ns)
{
    sim_node_sleep(at.phone);
    sim_net_run(&at.net, really_ns);
    nat_rebind(at.lines[0].home->v4);
    at.loss = chance;
    sim_node_wake(at.phone, counted_ns - really_ns);
}

static void wakes_after_30_s(void)
{
    wakes(GW_S(30), GW_S(30));
}

static void wakes_after_an_hour(void)
{
    wakes(GW_S(2), GW_S(3600));
}

/* The old network is gone before there is another one. */
static void is_torn(void)
{
    sim_travel_leave(&at);
    sim_net_run(&at.net, GW_S(1));
    at.loss = chance;
    sim_travel_move(&at, &at.lines[0]);
}

static void is_torn_away(void)
{
    sim_travel_leave(&at);
    sim_net_run(&at.net, GW_S(1));
    at.loss = chance;
    sim_travel_move(&at, &at.lte);
}

static void is_seen_elsewhere(void)
{
    nat_rebind(at.lines[0].home->v4);
    at.loss = chance;
}

/* At both ends, whatever each of them began in vain while the other one was away. */
static void test_direct(void **state)
{
    static const struct {
        const char *name;
        void (*change)(void);
    } changes[] = {{"asleep for 30 s, until it is direct", wakes_after_30_s},
                   {"asleep for an hour, until it is direct", wakes_after_an_hour},
                   {"torn, the same network, until it is direct", is_torn},
                   {"torn, another network, until it is direct", is_torn_away},
                   {"other ports, until it is direct", is_seen_elsewhere}};
    (void)state;
    for (unsigned i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        for (unsigned percent = 0; percent <= 10; percent += 5) {
            struct figures figures = {.count = 0};
            chance = percent / 100.0;
            for (uint64_t seed = 1; seed <= (percent > 0 ? 24 : 3); seed++) {
                begin(seed, NAT_KIND_PORT_RESTRICTED);
                changes[i].change();
                note(&figures, until_direct());
                sim_travel_end(&at);
            }
            /* With 10 % of all datagrams lost, a question by the relay and its answer get through two times out of three. */
            expect(changes[i].name, &figures, GW_S(1), percent == 10 ? GW_S(8) : GW_S(3));
        }
    }
}

/* ---- at rest */

static unsigned to_anchors, to_others;

static bool counts(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len)
{
    (void)from, (void)datagram, (void)len;
    *(sim_travel_is_anchors(&at, &tuple->remote) ? &to_anchors : &to_others) += 1;
    return true;
}

static void count(void)
{
    to_anchors = to_others = 0;
    at.phone->filter = counts;
}

/* Many peers are known, one was in use before, none is: the anchors hear of us, nobody else does. */
static void test_nobody_waits(void **state)
{
    (void)state;
    chance = 0;
    begin(1, NAT_KIND_PORT_RESTRICTED);
    sim_stream_end(&at.up);
    sim_stream_end(&at.down);
    for (unsigned i = 0; i < 50; i++) {
        struct gw_peer_config config = {.name = "other", .keepalive_ns = GW_S(25), .has_ed25519 = true};
        struct gw_peer *peer;
        gw_random_fill(&at.phone->random.random, config.public_key, sizeof config.public_key);
        config.public_key[31] &= 0x7f;
        assert_int_equal(gw_gateway_add_peer(at.phone->gateway, sim_now(at.phone), &config, &peer), 0);
    }
    sim_net_run(&at.net, GW_S(60));
    sim_node_sleep(at.phone);
    sim_net_run(&at.net, GW_S(2));
    nat_rebind(at.lines[0].home->v4);
    count();
    sim_node_wake(at.phone, GW_S(3600));
    sim_net_run(&at.net, GW_S(20));
    print_message("51 peers at rest: %u datagrams to the anchors, %u to others\n", to_anchors, to_others);
    assert_int_equal(to_others, 0);
    assert_in_range(to_anchors, 4, 120);
    sim_travel_end(&at);
}

/* Streams wait, and there is no network: no more is tried than its own pace has it. */
static void test_no_network(void **state)
{
    (void)state;
    chance = 0;
    begin(1, NAT_KIND_PORT_RESTRICTED);
    sim_node_sleep(at.phone);
    sim_net_run(&at.net, GW_S(2));
    sim_nat_leave(&at.phone->place->end);
    count();
    sim_node_wake(at.phone, GW_S(3600));
    sim_net_run(&at.net, GW_S(10));
    print_message("no network: %u datagrams tried in 10 s\n", to_anchors + to_others);
    assert_in_range(to_anchors + to_others, 5, 100);
    sim_travel_watch(&at);
    sim_travel_move(&at, &at.lte);
    sim_net_run(&at.net, GW_S(5));
    assert_true(sim_travel_gap(&at) < GW_MS(500));
    sim_travel_end(&at);
}

/* ---- anchors */

static int relay_of(struct sim_node *node, struct gw_peer *peer)
{
    struct gw_peer_status status;
    gw_peer_status(peer, sim_now(node), &status);
    assert_true(status.has_path && status.is_relayed);
    const struct gw_peer *relay = gw_gateway_relay_of(node->gateway, &status.path);
    assert_non_null(relay);
    return memcmp(gw_peer_config(relay)->public_key, gw_gateway_public_key(at.anchors[0]->gateway),
                  GW_KEY_LEN) != 0;
}

/* Channels that answered, each by an anchor of its own. */
static unsigned warm(const struct gw_peer *peer)
{
    unsigned found = 0;
    for (unsigned i = 0; i < peer->paths.count; i++)
        found += peer->paths.list[i].is_validated && gw_tuple_is_relay(&peer->paths.list[i].tuple);
    return found;
}

/* How long it takes until both ends hold two. */
static int64_t until_warm(void)
{
    struct gw_mono began = at.net.clock.now;
    while (gw_mono_sub(at.net.clock.now, began) < GW_S(60) && (warm(at.to_home) < 2 || warm(at.to_phone) < 2))
        sim_net_run(&at.net, GW_MS(50));
    return gw_mono_sub(at.net.clock.now, began);
}

/* The anchor that relays dies, and is back without memory; as soon as it can take over, the other one dies. */
static void one_dies_after_the_other(uint64_t seed, struct figures *dies, struct figures *returns)
{
    begin(seed, NAT_KIND_SYMMETRIC_RANDOM);
    for (unsigned i = 0; i < 4; i++) {
        int dead = relay_of(at.phone, at.to_home);
        at.loss = chance;
        sim_travel_watch(&at);
        at.anchors[dead]->is_down = true;
        sim_net_run(&at.net, GW_S(4 + 3 * i));
        note(dies, sim_travel_gap(&at));
        at.anchors[dead]->is_down = false;
        sim_travel_start_anchor(&at, (unsigned)dead);
        note(returns, until_warm());
        at.loss = 0;
        sim_net_run(&at.net, GW_S(1));
    }
    sim_travel_end(&at);
}

static void test_failover(void **state)
{
    (void)state;
    for (chance = 0; chance < 0.2; chance += 0.1) {
        struct figures dies = {.count = 0}, returns = {.count = 0};
        for (uint64_t seed = 1; seed <= (chance > 0 ? 10 : 4); seed++)
            one_dies_after_the_other(seed, &dies, &returns);
        expect("the relay dies", &dies, GW_MS(800), GW_S(2));
        /* Nothing waits for this one, and its median of ten seeds is a matter of luck: a message lost is asked again seconds later. */
        expect("it is back, until both ends hold a channel by it", &returns, GW_S(10), GW_S(30));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hour),       cmocka_unit_test(test_half_minute),
        cmocka_unit_test(test_moves),      cmocka_unit_test(test_nobody_waits),
        cmocka_unit_test(test_no_network), cmocka_unit_test(test_failover),
        cmocka_unit_test(test_direct),
    };
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* A phone sleeps, its router forgets it meanwhile, it is on another network, an anchor dies: for how long do a stream to it and one from it stand still? In
 * virtual time, with and without losses. Both ends are behind NATs and know two anchors.
 *
 *   phone --- [line] ---+--- internet ---+--- [line] --- home
 *                       |                |
 *                    anchor 0         anchor 1 */
#include "tests/sim/behind.h"
#include "tests/sim/stream.h"

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

static struct sim_net net;
static struct sim_behind world;
static struct sim_nat_line lines[2], lte, v6;
static struct sim_node *anchors[2], *phone, *home;
static struct gw_peer *to_home, *to_phone;
static struct sim_stream up, down;
static double chance, loss; /* of each datagram; chance: of those that follow the change */
static struct sim_dice dice;

static bool drops(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len)
{
    (void)from, (void)tuple, (void)datagram, (void)len;
    return loss == 0 || sim_dice_unit(&dice) >= loss;
}

/* ---- the world */

static struct gw_peer *add_anchor(struct sim_node *node, unsigned which)
{
    struct gw_peer_config config = sim_peer_config(node, anchors[which]);
    struct gw_peer *peer;
    config.endpoints[0] = sim_behind_addr(anchors[which], 4);
    config.endpoints[1] = sim_behind_addr(anchors[which], 6);
    config.endpoint_count = 2;
    config.is_anchor = config.is_eager = true;
    config.keepalive_ns = GW_S(25);
    snprintf(config.name, sizeof config.name, "anchor%u", which);
    assert_int_equal(gw_gateway_add_peer(node->gateway, sim_now(node), &config, &peer), 0);
    return peer;
}

/* Starts, or starts again, without memory. */
static void start_anchor(unsigned which)
{
    struct sim_node *anchor = anchors[which];
    anchor->params.anchor.is_enabled = anchor->params.anchor.relays = true;
    sim_node_restart(anchor);
    sim_node_add_unlocated(anchor, phone);
    sim_node_add_unlocated(anchor, home);
}

static bool is_direct(struct gw_peer *peer)
{
    struct gw_peer_status status;
    gw_peer_status(peer, net.clock.now, &status);
    return status.has_path && !status.is_relayed;
}

/* Streams run both ways, on a direct path where the kind of line lets there be one. */
static void begin(uint64_t seed, enum nat_kind kind)
{
    sim_net_init(&net, seed, NULL);
    sim_behind_init(&world, &net, &(struct sim_link_params){.delay_ns = DELAY});
    dice.state = seed;
    loss = 0;
    sim_nat_add_line(&lines[0], &world.nat, &world.nat.internet, kind, 1, false);
    sim_nat_add_line(&lines[1], &world.nat, &world.nat.internet, kind, 2, true);
    sim_nat_add_line(&lte, &world.nat, &world.nat.internet, NAT_KIND_CGNAT_DOUBLE, 3, false);
    sim_nat_add_line(&v6, &world.nat, &world.nat.internet, NAT_KIND_V6_ONLY, 4, false);
    anchors[0] = sim_behind_add_public(&world, "9.9.9.9", "2a00:ffff::9");
    anchors[1] = sim_behind_add_public(&world, "9.9.9.10", "2a00:ffff:1::a");
    phone = sim_behind_add(&world, &lines[0]);
    home = sim_behind_add(&world, &lines[1]);
    for (unsigned i = 0; i < net.node_count; i++)
        net.nodes[i]->filter = drops;
    start_anchor(0);
    start_anchor(1);
    for (unsigned i = 0; i < 2; i++) {
        add_anchor(phone, i);
        add_anchor(home, i);
    }
    to_home = sim_node_add_unlocated(phone, home);
    to_phone = sim_node_add_unlocated(home, phone);
    sim_behind_tell_addresses(phone);
    sim_behind_tell_addresses(home);
    sim_net_run(&net, GW_S(2));
    sim_stream_start(&up, phone, to_home, home);
    sim_net_run(&net, GW_S(1));
    sim_stream_start(&down, home, to_phone, phone);
    sim_net_run(&net, GW_S(20));
}

static void end(void)
{
    assert_false(up.is_wrong || down.is_wrong || up.is_lost || down.is_lost);
    sim_behind_fini(&world);
    sim_net_fini(&net);
    sim_stream_forget();
}

static void watch(void)
{
    sim_stream_watch(&up);
    sim_stream_watch(&down);
}

static int64_t gap(void)
{
    int64_t a = sim_stream_gap(&up), b = sim_stream_gap(&down);
    return a > b ? a : b;
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
    assert_true(is_direct(to_home) && is_direct(to_phone));
    sim_node_sleep(phone);
    sim_net_run(&net, really_ns);
    nat_rebind(lines[0].home->v4);
    loss = chance;
    watch();
    sim_node_wake(phone, counted_ns - really_ns);
    sim_net_run(&net, GW_S(10));
    int64_t found = gap();
    loss = 0;
    sim_net_run(&net, GW_S(60));
    assert_true(is_direct(to_home) && is_direct(to_phone));
    end();
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

static void move_to(struct sim_nat_line *line)
{
    line->hosts = 0; /* the same address as the last time */
    sim_behind_move(phone, line);
    sim_net_run(&net, GW_MS(100)); /* so long the daemon waits for more of it */
    gw_gateway_kick(phone->gateway, sim_now(phone));
    sim_behind_tell_addresses(phone);
}

/* Back and forth: the places where the peer was are known, and some are forgotten. */
static void moves(uint64_t seed, struct figures *figures)
{
    begin(seed, NAT_KIND_PORT_RESTRICTED);
    for (unsigned i = 0; i < 6; i++) {
        watch();
        loss = chance;
        move_to(i % 2 ? &v6 : &lte);
        sim_net_run(&net, GW_S(5));
        note(&figures[i == 0 ? 0 : 2 - i % 2], gap());
        loss = 0;
        sim_net_run(&net, GW_S(25) / (1 + (int64_t)seed % 4));
    }
    end();
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
    struct gw_mono began = net.clock.now, last = began;
    while (gw_mono_sub(net.clock.now, began) < WATCHED_NS && gw_mono_sub(net.clock.now, last) < GW_S(3)) {
        sim_net_run(&net, GW_MS(20));
        if (!is_direct(to_home) || !is_direct(to_phone))
            last = net.clock.now;
    }
    return gw_mono_sub(last, began);
}

static void leave(void)
{
    sim_nat_leave(&phone->place->end);
    sim_net_run(&net, GW_MS(100));
    gw_gateway_kick(phone->gateway, sim_now(phone));
    gw_gateway_set_candidates(phone->gateway, sim_now(phone), NULL, 0);
}

static void wakes(int64_t really_ns, int64_t counted_ns)
{
    sim_node_sleep(phone);
    sim_net_run(&net, really_ns);
    nat_rebind(lines[0].home->v4);
    loss = chance;
    sim_node_wake(phone, counted_ns - really_ns);
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
    leave();
    sim_net_run(&net, GW_S(1));
    loss = chance;
    move_to(&lines[0]);
}

static void is_torn_away(void)
{
    leave();
    sim_net_run(&net, GW_S(1));
    loss = chance;
    move_to(&lte);
}

static void is_seen_elsewhere(void)
{
    nat_rebind(lines[0].home->v4);
    loss = chance;
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
                end();
            }
            /* With 10 % of all datagrams lost, a question by the relay and its answer get through two times out of three. */
            expect(changes[i].name, &figures, GW_S(1), percent == 10 ? GW_S(8) : GW_S(3));
        }
    }
}

/* ---- at rest */

static unsigned to_anchors, to_others;

static bool is_an_anchors(const struct gw_addr *addr)
{
    for (unsigned i = 0; i < 2; i++) {
        struct gw_addr its = sim_behind_addr(anchors[i], addr->family);
        if (gw_addr_same_ip(addr, &its))
            return true;
    }
    return false;
}

static bool counts(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len)
{
    (void)from, (void)datagram, (void)len;
    *(is_an_anchors(&tuple->remote) ? &to_anchors : &to_others) += 1;
    return true;
}

static void count(void)
{
    to_anchors = to_others = 0;
    phone->filter = counts;
}

/* Many peers are known, one was in use before, none is: the anchors hear of us, nobody else does. */
static void test_nobody_waits(void **state)
{
    (void)state;
    chance = 0;
    begin(1, NAT_KIND_PORT_RESTRICTED);
    sim_stream_end(&up);
    sim_stream_end(&down);
    for (unsigned i = 0; i < 50; i++) {
        struct gw_peer_config config = {.name = "other", .keepalive_ns = GW_S(25), .has_ed25519 = true};
        struct gw_peer *peer;
        gw_random_fill(&phone->random.random, config.public_key, sizeof config.public_key);
        config.public_key[31] &= 0x7f;
        assert_int_equal(gw_gateway_add_peer(phone->gateway, sim_now(phone), &config, &peer), 0);
    }
    sim_net_run(&net, GW_S(60));
    sim_node_sleep(phone);
    sim_net_run(&net, GW_S(2));
    nat_rebind(lines[0].home->v4);
    count();
    sim_node_wake(phone, GW_S(3600));
    sim_net_run(&net, GW_S(20));
    print_message("51 peers at rest: %u datagrams to the anchors, %u to others\n", to_anchors, to_others);
    assert_int_equal(to_others, 0);
    assert_in_range(to_anchors, 4, 120);
    end();
}

/* Streams wait, and there is no network: no more is tried than its own pace has it. */
static void test_no_network(void **state)
{
    (void)state;
    chance = 0;
    begin(1, NAT_KIND_PORT_RESTRICTED);
    sim_node_sleep(phone);
    sim_net_run(&net, GW_S(2));
    sim_nat_leave(&phone->place->end);
    count();
    sim_node_wake(phone, GW_S(3600));
    sim_net_run(&net, GW_S(10));
    print_message("no network: %u datagrams tried in 10 s\n", to_anchors + to_others);
    assert_in_range(to_anchors + to_others, 5, 100);
    watch();
    move_to(&lte);
    sim_net_run(&net, GW_S(5));
    assert_true(gap() < GW_MS(500));
    end();
}

/* ---- anchors */

static int relay_of(struct sim_node *node, struct gw_peer *peer)
{
    struct gw_peer_status status;
    gw_peer_status(peer, sim_now(node), &status);
    assert_true(status.has_path && status.is_relayed);
    const struct gw_peer *relay = gw_gateway_relay_of(node->gateway, &status.path);
    assert_non_null(relay);
    return memcmp(gw_peer_config(relay)->public_key, gw_gateway_public_key(anchors[0]->gateway),
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
    struct gw_mono began = net.clock.now;
    while (gw_mono_sub(net.clock.now, began) < GW_S(60) && (warm(to_home) < 2 || warm(to_phone) < 2))
        sim_net_run(&net, GW_MS(50));
    return gw_mono_sub(net.clock.now, began);
}

/* The anchor that relays dies, and is back without memory; as soon as it can take over, the other one dies. */
static void one_dies_after_the_other(uint64_t seed, struct figures *dies, struct figures *returns)
{
    begin(seed, NAT_KIND_SYMMETRIC_RANDOM);
    for (unsigned i = 0; i < 4; i++) {
        int dead = relay_of(phone, to_home);
        loss = chance;
        watch();
        anchors[dead]->is_down = true;
        sim_net_run(&net, GW_S(4 + 3 * i));
        note(dies, gap());
        anchors[dead]->is_down = false;
        start_anchor((unsigned)dead);
        note(returns, until_warm());
        loss = 0;
        sim_net_run(&net, GW_S(1));
    }
    end();
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

/* SPDX-License-Identifier: MIT */
/* NATs that forget soon, and those that remember for long: an idle node stays reachable at every moment, and says no more for it than it has to. The NAT's port is the same after it forgot, so that
 * nobody can see it from where a packet comes; or another one. In virtual time.
 *
 *   node --- [NAT, forgets after so many seconds] --- internet --- anchor 0, anchor 1, other */
#include "tests/sim/app.h"
#include "tests/sim/behind.h"

#include "gateway/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ADAPTS GW_S(500)

static struct sim_net net;
static struct sim_behind world;
static struct sim_nat_line lines[2];
static struct sim_node *anchors[2], *node, *other;
static struct gw_peer *to_other, *to_node, *at_anchor[2];
static unsigned anchor_count;
static struct gw_mono late_until; /* the second anchor is not there before */
static bool keeps_idle;           /* the node speaks to the other one even when nobody uses it */

static bool is_not_late(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                        size_t len)
{
    (void)datagram, (void)len;
    struct gw_addr late = sim_behind_addr(anchors[1], 4);
    return !gw_mono_before(sim_now(from), late_until) || !gw_addr_equal(&tuple->remote, &late);
}

/* ---- the world */

static struct gw_peer *know(struct sim_node *who, const struct sim_node *whom, bool is_anchor)
{
    struct gw_peer_config config = sim_peer_config(who, whom);
    struct gw_peer *peer;
    config.has_ed25519 = true;
    config.endpoint_count = 0;
    config.keepalive_ns = GW_S(20);
    config.keeps_idle = keeps_idle && whom == other;
    if (is_anchor) {
        config.endpoints[config.endpoint_count++] = sim_behind_addr(whom, 4);
        config.is_anchor = config.is_eager = true;
        config.keepalive_ns = GW_S(25);
    }
    assert_int_equal(gw_gateway_add_peer(who->gateway, sim_now(who), &config, &peer), 0);
    return peer;
}

static void add_line(struct sim_nat_line *line, unsigned number, int64_t lifetime_ns, enum nat_ports ports)
{
    sim_nat_add_line(line, &world.nat, &world.nat.internet, NAT_KIND_PORT_RESTRICTED, number, false);
    struct nat_params params = *nat_params(line->home->v4);
    params.udp_assured_ns = lifetime_ns;
    params.udp_fresh_ns = lifetime_ns < GW_S(30) ? lifetime_ns : GW_S(30);
    params.inbound_refreshes = false; /* the harder way */
    params.ports = ports;
    nat_free(line->home->v4);
    line->home->v4 = nat_new(&params, number);
    assert_non_null(line->home->v4);
}

static void begin(uint64_t seed, int64_t lifetime_ns, enum nat_ports ports, unsigned count)
{
    static const char *const places[2] = {"9.9.9.9", "9.9.9.10"};
    sim_net_init(&net, seed, NULL);
    sim_behind_init(&world, &net, &(struct sim_link_params){.delay_ns = GW_MS(20)});
    add_line(&lines[0], 1, lifetime_ns, ports);
    add_line(&lines[1], 2, GW_S(20), NAT_PORTS_PRESERVE);
    node = sim_behind_add(&world, &lines[0]);
    other = sim_behind_add_public(&world, "9.9.9.20", NULL);
    sim_app_serve(node);
    anchor_count = count;
    for (unsigned i = 0; i < count; i++) {
        anchors[i] = sim_behind_add_public(&world, places[i], NULL);
        anchors[i]->params.anchor.is_enabled = anchors[i]->params.anchor.relays = true;
        sim_node_restart(anchors[i]);
        at_anchor[i] = know(anchors[i], node, false);
        know(anchors[i], other, false);
        know(node, anchors[i], true);
        know(other, anchors[i], true);
    }
    to_other = know(node, other, false);
    to_node = know(other, node, false);
    sim_behind_tell_addresses(node);
    sim_behind_tell_addresses(other);
}

static void end(void)
{
    sim_behind_fini(&world);
    sim_net_fini(&net);
}

static double keepalive(void)
{
    struct gw_anchor_view view;
    assert_true(gw_gateway_anchor_view(node->gateway, 0, sim_now(node), &view));
    return (double)view.keepalive_ns / 1e9;
}

static struct gw_nat_behaviour lifetime(void)
{
    struct gw_nat_behaviour nat;
    gw_gateway_nat_view(node->gateway, &nat);
    return nat;
}

/* Would what comes from there, to where the anchors know the node, get in right now? Changes nothing, as what comes in refreshes nothing. */
static bool gets_in(const struct gw_addr *from, const struct gw_addr *to)
{
    struct nat_packet packet = {.from = *from, .to = *to, .protocol = NAT_UDP};
    return nat_from_outside(lines[0].home->v4, net.clock.now, &packet) == NAT_IN;
}

/* The anchor can say something to the node. */
static bool has_keys(unsigned anchor)
{
    struct gw_peer_status status;
    gw_peer_status(at_anchor[anchor], sim_now(anchors[anchor]), &status);
    return status.session.state == GW_SESSION_ESTABLISHED;
}

/* How often, of 1000 moments, the node could not be reached from one of its anchors, over so long: its NAT lets nothing in, or the anchor has no keys to say something with. */
static double unreachable(int64_t duration_ns)
{
    unsigned moments = 0, missed = 0;
    for (int64_t passed = 0; passed < duration_ns; passed += GW_MS(100), moments++) {
        sim_net_run(&net, GW_MS(100));
        for (unsigned i = 0; i < anchor_count; i++) {
            struct gw_anchor_view view;
            struct gw_addr from = sim_behind_addr(anchors[i], 4);
            assert_true(gw_gateway_anchor_view(node->gateway, i, sim_now(node), &view));
            if (!gets_in(&from, &view.observed) || !has_keys(i)) {
                missed++;
                break;
            }
        }
    }
    return 1000.0 * missed / moments;
}

/* The other one wants something of it, now: how long does it take? */
static int64_t reached_in(void)
{
    struct sim_client client;
    assert_int_equal(sim_client_start(&client, other, to_node, "echo", 1000), 0);
    struct gw_mono start = sim_now(other);
    sim_net_run(&net, GW_S(20));
    assert_true(sim_client_is_done(&client));
    return gw_mono_sub(client.ended_at, start);
}

/* ---- idle for an hour */

struct expected {
    int64_t lifetime_s;
    unsigned anchors;
    double least_s, most_s; /* the interval that follows */
};

static void idle_hour(const struct expected *expected, enum nat_ports ports)
{
    int64_t lifetime_ns = GW_S(expected->lifetime_s);
    begin((uint64_t)expected->lifetime_s, lifetime_ns, ports, expected->anchors);
    double before = unreachable(GW_S(60));
    sim_net_run(&net, ADAPTS);
    sim_node_watch(node);
    double after = unreachable(GW_S(3600));
    struct gw_nat_behaviour nat = lifetime();
    print_message(
        "forgets after %lld s, %u anchor%s: every %.1f s; known %.1f to %.1f s; an hour: %u wake-ups, %u "
        "datagrams; not reachable %.1f per mille, in the first minute %.1f\n",
        (long long)expected->lifetime_s, expected->anchors, expected->anchors == 1 ? "" : "s", keepalive(),
        (double)nat.lifetime_min_ns / 1e9, (double)nat.lifetime_max_ns / 1e9, node->traffic.wakeups,
        node->traffic.sent, after, before);
    assert_true(after == 0);
    assert_true(expected->lifetime_s > 25 || before > 10); /* else this proves nothing */
    assert_true(keepalive() >= expected->least_s && keepalive() <= expected->most_s);
    assert_true(nat.lifetime_min_ns <= lifetime_ns);
    assert_true(nat.lifetime_max_ns == 0 || nat.lifetime_max_ns >= lifetime_ns);
    assert_true(node->traffic.wakeups <= 3600 / expected->least_s + 30);
    assert_true(expected->lifetime_s < 25 || node->traffic.wakeups <= 150);
    for (unsigned i = 0; i < 3; i++) {
        sim_net_run(&net,
                    GW_S(700) + (int64_t)i * GW_MS(7300)); /* till the peers have forgotten each other */
        int64_t took = reached_in();
        print_message("  reached in %lld ms\n", (long long)(took / GW_MS(1)));
        assert_true(took < GW_S(1));
    }
    assert_int_equal(node->place->open_links, 0);
    end();
}

static void test_idle(void **state)
{
    static const struct expected table[] = {
        {10, 2, 7, 9.5},   {20, 2, 15, 19},   {30, 2, 25, 27}, {60, 2, 45, 56},
        {120, 2, 80, 110}, {300, 2, 80, 110}, {20, 1, 15, 19}, {120, 1, 25, 25},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++)
        idle_hour(&table[i], NAT_PORTS_PRESERVE);
}

/* Another port each time. */
static void test_idle_random(void **state)
{
    static const struct expected table[] = {{10, 2, 7, 9.5}, {20, 2, 15, 19}, {120, 2, 80, 110}};
    (void)state;
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++)
        idle_hour(&table[i], NAT_PORTS_RANDOM);
}

/* While the beats to two anchors find each other, and one's keys were born between two beats: they are renewed in time all the same. */
static void test_keys(void **state)
{
    (void)state;
    for (int64_t late_s = 1; late_s < 60; late_s += 3) {
        begin((uint64_t)late_s, GW_S(300), NAT_PORTS_PRESERVE, 2);
        late_until = gw_mono_add(sim_now(node), GW_S(late_s));
        node->filter = is_not_late;
        sim_net_run(&net, GW_S(70));
        for (int64_t passed = 0; passed < GW_S(1800); passed += GW_MS(10)) {
            sim_net_run(&net, GW_MS(10));
            if (!has_keys(0) || !has_keys(1))
                fail_msg("no keys %lld ms after the start, the second anchor came after %lld s",
                         (long long)(passed / GW_MS(1)) + 70000, (long long)late_s);
        }
        assert_true(keepalive() > 80);
        end();
    }
}

/* Nothing can be measured, where there are no further sockets: other ports alone tell. */
static void test_without_sockets(void **state)
{
    (void)state;
    for (int64_t s = 10; s <= 20; s += 10) {
        begin(50 + (uint64_t)s, GW_S(s), NAT_PORTS_RANDOM, 2);
        node->events.open_link = NULL;
        sim_net_run(&net, GW_S(180));
        double missed = unreachable(GW_S(1800));
        print_message("forgets after %lld s: every %.1f s, not reachable %.1f per mille\n", (long long)s,
                      keepalive(), missed);
        assert_true(missed == 0);
        assert_true(keepalive() >= 5 && keepalive() < (double)s);
        end();
    }
}

/* ---- what is no reason */

/* A router that was switched off and on: for a while more often than needed. */
static void test_restarted_router(void **state)
{
    (void)state;
    begin(70, GW_S(300), NAT_PORTS_PRESERVE, 2);
    sim_net_run(&net, ADAPTS);
    assert_true(keepalive() > 80);
    nat_rebind(lines[0].home->v4);
    sim_net_run(&net, GW_S(90));
    double then = keepalive();
    sim_net_run(&net, ADAPTS);
    print_message("the router restarted: every %.1f s for a while, then %.1f s\n", then, keepalive());
    assert_true(then < 80);
    assert_true(keepalive() > 80);
    end();
}

/* It slept, and the router forgot it meanwhile, as it should. */
static void test_sleep(void **state)
{
    (void)state;
    begin(71, GW_S(300), NAT_PORTS_PRESERVE, 2);
    sim_net_run(&net, ADAPTS);
    double before = keepalive();
    sim_node_sleep(node);
    sim_net_run(&net, GW_S(60));
    nat_rebind(lines[0].home->v4);
    sim_node_wake(node, GW_S(60));
    sim_net_run(&net, GW_S(20));
    assert_true(keepalive() == before);
    assert_int_equal(lifetime().lifetime_max_ns, 0);
    end();
}

/* Elsewhere for ten minutes, where the NAT forgets soon, and back again: both are known from then on. */
static void test_networks(void **state)
{
    (void)state;
    begin(72, GW_S(120), NAT_PORTS_PRESERVE, 2);
    sim_net_run(&net, ADAPTS);
    double home = keepalive(), there = 0;
    for (unsigned visit = 0; visit < 2; visit++) {
        sim_behind_move(node, &lines[1]);
        sim_behind_tell_addresses(node);
        gw_gateway_kick(node->gateway, sim_now(node));
        sim_net_run(&net, visit == 0 ? ADAPTS : GW_S(5));
        assert_true(keepalive() < 20);
        assert_true(visit == 0 || keepalive() == there);
        there = keepalive();
        lines[0].hosts = lines[1].hosts = 0; /* the same address as before, each time */
        sim_behind_move(node, &lines[0]);
        sim_behind_tell_addresses(node);
        gw_gateway_kick(node->gateway, sim_now(node));
        sim_net_run(&net, GW_S(5));
        assert_true(keepalive() == home);
        print_message("there every %.1f s, back every %.1f s\n", there, keepalive());
    }
    end();
}

/* One of two anchors is gone: the other is spoken to as if it were alone. */
static void test_anchor_gone(void **state)
{
    (void)state;
    begin(73, GW_S(300), NAT_PORTS_PRESERVE, 2);
    sim_net_run(&net, ADAPTS);
    assert_true(keepalive() > 80);
    anchors[1]->is_down = true;
    sim_net_run(&net, GW_S(120));
    assert_true(keepalive() == 25);
    anchors[1]->is_down = false;
    sim_net_run(&net, GW_S(120));
    assert_true(keepalive() > 80);
    end();
}

/* ---- paths */

/* A path that is to be kept open is spoken to more often than its configuration has it. */
static void test_path(void **state)
{
    struct gw_peer_status status;
    struct sim_client client;
    (void)state;
    keeps_idle = true;
    begin(74, GW_S(10), NAT_PORTS_PRESERVE, 2);
    keeps_idle = false;
    sim_app_serve(other);
    sim_net_run(&net, ADAPTS);
    assert_int_equal(sim_client_start(&client, node, to_other, "echo", 1000), 0);
    sim_net_run(&net, GW_S(60));
    assert_true(sim_client_is_done(&client));
    unsigned missed = 0;
    struct gw_addr from = sim_behind_addr(other, 4);
    for (unsigned i = 0; i < 3000; i++) {
        struct gw_anchor_view view;
        sim_net_run(&net, GW_MS(100));
        assert_true(gw_gateway_anchor_view(node->gateway, 0, sim_now(node), &view));
        missed += !gets_in(&from, &view.observed);
    }
    gw_peer_status(to_other, sim_now(node), &status);
    print_message("a direct path: closed in %u of 3000 moments\n", missed);
    assert_true(status.has_path && !status.is_relayed);
    assert_int_equal(missed, 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_idle_random),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_without_sockets),
        cmocka_unit_test(test_restarted_router),
        cmocka_unit_test(test_sleep),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_anchor_gone),
        cmocka_unit_test(test_path),
    };
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

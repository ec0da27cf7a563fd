/* SPDX-License-Identifier: MIT */
/* Two relays lead from one peer to the other, and the direct way comes and goes. Each end chooses by itself, so that the two may send by different relays: how often do they change their minds, and
 * for how long does nothing arrive? In virtual time, with and without losses, whoever of the two sends.
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

#include <cmocka.h>

#define DELAY GW_MS(11) /* one way, between any two */
#define LOOK GW_MS(1)

enum who { BOTH, UP, DOWN };
static const char *const who_names[] = {"both send", "phone sends", "home sends"};

static struct sim_net net;
static struct sim_behind world;
static struct sim_nat_line lines[2];
static struct sim_node *anchors[2], *ends[2]; /* phone, home */
static struct gw_peer *peers[2];              /* home, as the phone has it, and the other way round */
static struct sim_stream streams[2];
static unsigned stream_count;
static double loss;
static bool is_direct_dead, is_dead[2][2]; /* [end][anchor]: the one does not reach the other */
static struct sim_dice dice;

static bool passes(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len)
{
    bool is_anchors = false;
    (void)datagram, (void)len;
    for (unsigned i = 0; i < 2; i++) {
        if (!gw_addr_same_ip(&tuple->remote, &anchors[i]->addr))
            continue;
        is_anchors = true;
        for (unsigned end = 0; end < 2; end++) {
            if (from == ends[end] && is_dead[end][i])
                return false;
        }
    }
    if (is_direct_dead && !is_anchors && (from == ends[0] || from == ends[1]))
        return false;
    return loss == 0 || sim_dice_unit(&dice) >= loss;
}

/* ---- the world */

static void begin(uint64_t seed, enum nat_kind kind, enum who who)
{
    sim_net_init(&net, seed, NULL);
    sim_behind_init(&world, &net, &(struct sim_link_params){.delay_ns = DELAY});
    dice.state = seed;
    loss = 0;
    is_direct_dead = is_dead[0][0] = is_dead[0][1] = is_dead[1][0] = is_dead[1][1] = false;
    for (unsigned i = 0; i < 2; i++) {
        anchors[i] = sim_behind_add_public(&world, i == 0 ? "9.9.9.9" : "9.9.9.10", NULL);
        anchors[i]->params.anchor.is_enabled = anchors[i]->params.anchor.relays = true;
        sim_node_restart(anchors[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        sim_nat_add_line(&lines[i], &world.nat, &world.nat.internet, kind, i + 1, false);
        ends[i] = sim_behind_add(&world, &lines[i]);
        ends[i]->filter = passes;
        for (unsigned k = 0; k < 2; k++) {
            sim_node_add_unlocated(anchors[k], ends[i]);
            sim_node_add_anchor(ends[i], anchors[k]);
        }
    }
    for (unsigned i = 0; i < 2; i++)
        peers[i] = sim_node_add_unlocated(ends[i], ends[!i]);
    sim_net_run(&net, GW_S(2));
    stream_count = 0;
    for (unsigned i = 0; i < 2; i++) {
        if (who != BOTH && who != (i == 0 ? UP : DOWN))
            continue;
        sim_stream_start(&streams[stream_count++], ends[i], peers[i], ends[!i]);
        sim_net_run(&net, GW_S(1));
    }
    sim_net_run(&net, GW_S(20));
}

static void end(void)
{
    for (unsigned i = 0; i < stream_count; i++)
        assert_false(streams[i].is_wrong || streams[i].is_lost);
    sim_behind_fini(&world);
    sim_net_fini(&net);
    sim_stream_forget();
}

static bool is_relayed(unsigned side)
{
    return gw_tuple_is_relay(&gw_paths_current(&peers[side]->paths)->tuple);
}

static unsigned anchor_of(unsigned side, const struct gw_path *path)
{
    const struct gw_peer *relay = gw_gateway_relay_of(ends[side]->gateway, &path->tuple);
    assert_non_null(relay);
    return gw_addr_same_ip(&gw_peer_config(relay)->endpoints[0], &anchors[1]->addr);
}

/* The anchor that this end sends by. */
static unsigned relay_of(unsigned side)
{
    return anchor_of(side, gw_paths_current(&peers[side]->paths));
}

/* ---- what is seen */

struct seen {
    unsigned switches[2];
    int64_t gap_ns;
};

static struct seen run(int64_t ns)
{
    struct seen seen = {{0, 0}, 0};
    struct gw_tuple last[2];
    for (unsigned i = 0; i < 2; i++)
        last[i] = gw_paths_current(&peers[i]->paths)->tuple;
    for (unsigned i = 0; i < stream_count; i++)
        sim_stream_watch(&streams[i]);
    for (; ns > 0; ns -= LOOK) {
        sim_net_run(&net, LOOK);
        for (unsigned i = 0; i < 2; i++) {
            struct gw_tuple now = gw_paths_current(&peers[i]->paths)->tuple;
            seen.switches[i] += !gw_tuple_equal(&now, &last[i]);
            last[i] = now;
        }
    }
    for (unsigned i = 0; i < stream_count; i++) {
        int64_t gap = sim_stream_gap(&streams[i]);
        seen.gap_ns = gap > seen.gap_ns ? gap : seen.gap_ns;
    }
    return seen;
}

static void add_up(struct seen *all, const struct seen *one)
{
    for (unsigned i = 0; i < 2; i++)
        all->switches[i] = one->switches[i] > all->switches[i] ? one->switches[i] : all->switches[i];
    all->gap_ns = one->gap_ns > all->gap_ns ? one->gap_ns : all->gap_ns;
}

static void expect(const char *what, enum who who, const struct seen *worst, unsigned switches,
                   int64_t gap_ns)
{
    print_message("%s, %s, loss %.0f %%: %u and %u switches, nothing for %lld ms, at most\n", what,
                  who_names[who], 100 * loss, worst->switches[0], worst->switches[1],
                  (long long)(worst->gap_ns / GW_MS(1)));
    assert_in_range(worst->switches[0], 0, switches);
    assert_in_range(worst->switches[1], 0, switches);
    assert_true(worst->gap_ns < gap_ns);
}

/* ---- torn */

/* As jitter has it, this relay's round trip is the shorter one for this end. */
static void prefer(unsigned side, unsigned anchor)
{
    unsigned found = 0;
    for (unsigned i = 0; i < peers[side]->paths.count; i++) {
        struct gw_path *path = &peers[side]->paths.list[i];
        if (!gw_tuple_is_relay(&path->tuple))
            continue;
        assert_true(path->is_validated);
        path->rtt_ns = 4 * DELAY + (anchor_of(side, path) == anchor ? -GW_MS(1) : GW_MS(1));
        found++;
    }
    assert_int_equal(found, 2);
}

static void lose_direct(unsigned side)
{
    struct gw_tuple direct = gw_paths_current(&peers[side]->paths)->tuple;
    assert_true(gw_paths_remove(&peers[side]->paths, net.clock.now, &direct));
}

/* The direct way dies. Both ends notice at nearly the same time, and one goes to this relay, the other to that one. */
static void tear(uint64_t seed, enum who who)
{
    unsigned side = seed % 2, anchor = seed / 2 % 2;
    begin(seed, NAT_KIND_PORT_RESTRICTED, who);
    assert_false(is_relayed(0) || is_relayed(1));
    sim_net_run(&net, (int64_t)seed * GW_MS(37));
    prefer(side, anchor);
    prefer(!side, !anchor);
    is_direct_dead = true;
    sim_net_run(&net, 2 * DELAY); /* what was on its way */
    lose_direct(0);
    sim_net_run(&net, (int64_t)(seed / 4) * GW_MS(4));
    lose_direct(1);
    assert_int_equal(relay_of(side), anchor);
    assert_int_equal(relay_of(!side), !anchor);
}

/* One sends by this relay, the other by that one. Both work, so there is nothing to follow. */
static void test_torn(void **state)
{
    (void)state;
    for (double lost = 0; lost < 0.1; lost += 0.05) {
        for (enum who who = BOTH; who <= DOWN; who++) {
            struct seen worst = {{0, 0}, 0};
            for (uint64_t seed = 1; seed <= 8; seed++) {
                tear(seed, who);
                loss = lost;
                struct seen seen = run(GW_S(30));
                add_up(&worst, &seen);
                end();
            }
            loss = lost;
            /* Losses may make a round trip seem longer than it is, and once in a while worth a switch. */
            expect("torn", who, &worst, lost > 0 ? 10 : 2, lost > 0 ? GW_S(2) : GW_MS(300));
        }
    }
}

/* ... and then one of the two does not reach its relay any more. */
static void test_torn_and_lost(void **state)
{
    (void)state;
    for (enum who who = BOTH; who <= DOWN; who++) {
        struct seen worst = {{0, 0}, 0};
        for (uint64_t seed = 1; seed <= 8; seed++) {
            unsigned side = seed > 4;
            tear(seed, who);
            sim_net_run(&net, GW_S(1) + (int64_t)seed * GW_MS(37));
            is_dead[side][relay_of(side)] = true;
            struct seen seen = run(GW_S(10));
            assert_int_equal(relay_of(0), relay_of(1)); /* the one that is left */
            add_up(&worst, &seen);
            end();
        }
        expect("torn, and one loses its relay", who, &worst, 3, GW_S(1));
    }
}

/* ---- the direct way */

/* It dies in silence: which relay each end takes is its own matter, and with that it is content. */
static void test_direct_dies(void **state)
{
    (void)state;
    for (enum who who = BOTH; who <= DOWN; who++) {
        struct seen worst = {{0, 0}, 0};
        for (uint64_t seed = 1; seed <= 8; seed++) {
            begin(seed, NAT_KIND_PORT_RESTRICTED, who);
            assert_false(is_relayed(0) || is_relayed(1));
            sim_net_run(&net, (int64_t)seed * GW_MS(37));
            is_direct_dead = true;
            struct seen seen = run(GW_S(10));
            assert_true(is_relayed(0) && is_relayed(1));
            add_up(&worst, &seen);
            end();
        }
        expect("the direct way dies", who, &worst, 5, GW_S(1));
    }
}

/* It goes and comes, in every rhythm: no more than a switch for each of these, or one a second. */
static void test_flapping(void **state)
{
    (void)state;
    for (unsigned ms = 400; ms <= 6400; ms *= 2) {
        struct seen worst = {{0, 0}, 0};
        for (uint64_t seed = 1; seed <= 4; seed++) {
            unsigned switches[2] = {0, 0};
            begin(seed, NAT_KIND_PORT_RESTRICTED, BOTH);
            int64_t passed = 0;
            for (; passed < GW_S(32); passed += GW_MS(ms)) {
                is_direct_dead = !is_direct_dead;
                struct seen seen = run(GW_MS(ms));
                for (unsigned side = 0; side < 2; side++)
                    switches[side] += seen.switches[side];
                worst.gap_ns = seen.gap_ns > worst.gap_ns ? seen.gap_ns : worst.gap_ns;
            }
            add_up(&worst, &(struct seen){{switches[0], switches[1]}, 0});
            end();
        }
        char what[64];
        snprintf(what, sizeof what, "every %u ms the direct way dies or is back, for 32 s", ms);
        expect(what, BOTH, &worst, ms < 1000 ? 32000 / ms : 32, GW_S(1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torn),
        cmocka_unit_test(test_torn_and_lost),
        cmocka_unit_test(test_direct_dies),
        cmocka_unit_test(test_flapping),
    };
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Pairs of engines on lines drawn from the field's mix (mix.c): the share that becomes direct, beside the best that two hosts without an engine can do (test_nat_grid.c), and of
 * the others the reason, kind by kind, as the engines themselves give it. */
#include "tests/sim/mix.h"
#include "tests/sim/pairs.h"

#include "gateway/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAIRS 10000u
#define DELAY GW_MS(20)
#define CONNECTED_NS GW_S(3)
#define LIMIT_NS GW_S(45) /* an attempt of 12 s, 10 s, another one */

static unsigned pair_count = PAIRS;

/* What stays relayed, by the two kinds. */
static unsigned left[NAT_KIND_COUNT][NAT_KIND_COUNT], seen[NAT_KIND_COUNT][NAT_KIND_COUNT];

static bool is_symmetric(enum nat_kind kind)
{
    return kind == NAT_KIND_SYMMETRIC_RANDOM || kind == NAT_KIND_CGNAT_SYMMETRIC;
}

static bool is_blocked(enum nat_kind kind)
{
    return kind == NAT_KIND_UDP_BLOCKED;
}

/* Which no engine gets through (tests/nat/grid.txt): not without UDP; not with ports at random on one side and none that stays on the other; by chance only where strangers spoil
 * ports on the side that is to keep its own. */
static const char *reason_of(enum nat_kind a, enum nat_kind b)
{
    bool is_counting = a == NAT_KIND_SYMMETRIC_SEQUENTIAL || b == NAT_KIND_SYMMETRIC_SEQUENTIAL;
    bool is_bare = a == NAT_KIND_LINUX_BARE || b == NAT_KIND_LINUX_BARE;
    if (is_blocked(a) || is_blocked(b))
        return "no UDP on one side";
    if (is_symmetric(a) && is_symmetric(b))
        return "ports at random on both sides";
    if ((is_symmetric(a) || is_symmetric(b)) && is_counting)
        return "ports at random on one side, another one for each destination on the other";
    if ((is_symmetric(a) || is_symmetric(b)) && is_bare)
        return "ports at random on one side, ports that strangers spoil on the other";
    if (is_bare)
        return "the first packets came as strangers' and spoiled the port";
    return is_symmetric(a) || is_symmetric(b) ? "the search found nothing" : NULL;
}

static void print_left(void)
{
    for (unsigned a = 0; a < NAT_KIND_COUNT; a++) {
        for (unsigned b = a; b < NAT_KIND_COUNT; b++) {
            unsigned relayed = left[a][b] + (a == b ? 0 : left[b][a]);
            unsigned of = seen[a][b] + (a == b ? 0 : seen[b][a]);
            const char *reason = reason_of((enum nat_kind)a, (enum nat_kind)b);
            if (relayed == 0)
                continue;
            printf("    %4u of %4u relayed: %s x %s: %s\n", relayed, of, nat_kind_name((enum nat_kind)a),
                   nat_kind_name((enum nat_kind)b), reason ? reason : "?");
            assert_non_null(reason);
        }
    }
}

static void test_mix(void **state)
{
    (void)state;
    struct sim_dice dice = {20}; /* the very pairs of test_nat_grid.c */
    unsigned direct = 0, connected = 0, blocked = 0, within_5s = 0, within_15s = 0;
    uint64_t datagrams = 0;
    static struct sim_pair_outcome outcome;
    for (unsigned i = 0; i < pair_count; i++) {
        struct sim_pair_params params = {
            .anchors = 2, .delay_ns = DELAY, .limit_ns = LIMIT_NS, .stops_when_hopeless = false, .seed = i};
        params.kinds[0] = sim_mix_draw(&dice, &params.with_v6[0]);
        params.kinds[1] = sim_mix_draw(&dice, &params.with_v6[1]);
        bool has_udp = !is_blocked(params.kinds[0]) && !is_blocked(params.kinds[1]);
        blocked += !has_udp;
        seen[params.kinds[0]][params.kinds[1]]++;
        if (!has_udp)
            params.limit_ns = GW_S(1); /* the carrier over TCP is another test's */
        sim_pair_meet(&outcome, &params);
        connected += outcome.connected_ns >= 0 && outcome.connected_ns < CONNECTED_NS;
        direct += outcome.direct_ns >= 0;
        within_5s += outcome.direct_ns >= 0 && outcome.direct_ns < GW_S(5);
        within_15s += outcome.direct_ns >= 0 && outcome.direct_ns < GW_S(15);
        left[params.kinds[0]][params.kinds[1]] += outcome.direct_ns < 0;
        datagrams += outcome.datagrams;
    }
    double all = pair_count, with_udp = pair_count - blocked;
    printf(
        "    %u pairs: %.1f %% direct (%.1f %% within 5 s, %.1f %% within 15 s); of those that both have UDP %.1f %%; %.1f %% "
        "connected within 3 s of those that have UDP; %.0f datagrams a pair\n",
        pair_count, direct * 100 / all, within_5s * 100 / all, within_15s * 100 / all,
        direct * 100 / with_udp, connected * 100 / with_udp, (double)datagrams / all);
    print_left();
    assert_int_equal(connected, pair_count - blocked);
    assert_true(direct >= (pair_count == PAIRS ? 0.95 : 0.9) * all);
}

/* One pair, and what its engines say: `test_sim_mix KIND KIND [SEED]`. */
static int one_pair(char **argv, uint64_t seed)
{
    static struct sim_pair_outcome outcome;
    struct sim_pair_params params = {.kinds = {nat_kind_by_name(argv[1]), nat_kind_by_name(argv[2])},
                                     .anchors = 2,
                                     .delay_ns = DELAY,
                                     .limit_ns = LIMIT_NS,
                                     .seed = seed};
    if (params.kinds[0] == NAT_KIND_COUNT || params.kinds[1] == NAT_KIND_COUNT)
        return 2;
    gw_log_set_level(GW_LOG_DEBUG);
    sim_pair_meet(&outcome, &params);
    printf("connected %lld ms, direct %lld ms, %llu datagrams, %u further sockets at most\n",
           (long long)outcome.connected_ns / 1000000, (long long)outcome.direct_ns / 1000000,
           (unsigned long long)outcome.datagrams, outcome.most_links);
    return outcome.direct_ns < 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mix)};
    if (argc > 2)
        return one_pair(argv, argc > 3 ? strtoull(argv[3], NULL, 10) : 1);
    if (argc > 1)
        pair_count = (unsigned)atoi(argv[1]);
    gw_log_set_level(GW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

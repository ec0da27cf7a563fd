/* SPDX-License-Identifier: MIT */
/* Engines behind NATs of every two kinds, with an anchor between them and nothing else known: how long until they are connected, and until they are direct. Held
 * against tests/nat/grid.txt, which says what two hosts can do at best. */
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

#define DELAY GW_MS(20)
#define CONNECTED_NS GW_S(3)
#define DIRECT_NS GW_S(5)
#define SEARCH_NS GW_S(15)

static const char *grid_path;

/* ---- the table: a line for each kind, a word for each other kind: direct, search, relay */

static char best[NAT_KIND_GRID][NAT_KIND_GRID][8];

static void read_table(void)
{
    char line[512], *rest;
    FILE *file = fopen(grid_path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        char *word = strtok_r(line, " \n", &rest);
        enum nat_kind kind = word ? nat_kind_by_name(word) : NAT_KIND_COUNT;
        for (unsigned i = 0; kind < NAT_KIND_GRID && i < NAT_KIND_GRID; i++) {
            word = strtok_r(NULL, " \n", &rest);
            assert_non_null(word);
            snprintf(best[kind][i], sizeof best[kind][i], "%s", word);
        }
    }
    fclose(file);
}

static void judge(unsigned a, unsigned b, const struct sim_pair_outcome *outcome)
{
    bool is_blocked = a == NAT_KIND_UDP_BLOCKED || b == NAT_KIND_UDP_BLOCKED;
    bool is_search = strcmp(best[a][b], "search") == 0;
    bool is_possible = is_search || strcmp(best[a][b], "direct") == 0;
    bool is_connected = outcome->connected_ns >= 0 && outcome->connected_ns < CONNECTED_NS;
    bool is_met = outcome->direct_ns >= 0 && outcome->direct_ns < (is_search ? SEARCH_NS : DIRECT_NS);
    if (is_connected == !is_blocked && is_met == is_possible)
        return;
    print_error("%s x %s: connected %lld ms, direct %lld ms, %s is possible\n",
                nat_kind_name((enum nat_kind)a), nat_kind_name((enum nat_kind)b),
                (long long)outcome->connected_ns / 1000000, (long long)outcome->direct_ns / 1000000,
                best[a][b]);
    fail();
}

static void test_grid(void **state)
{
    (void)state;
    unsigned direct = 0;
    int64_t slowest = 0;
    static struct sim_pair_outcome outcome;
    read_table();
    for (unsigned a = 0; a < NAT_KIND_GRID; a++) {
        for (unsigned b = 0; b < NAT_KIND_GRID; b++) {
            bool with_v6 = a == NAT_KIND_V6_ONLY || b == NAT_KIND_V6_ONLY;
            struct sim_pair_params params = {
                .kinds = {(enum nat_kind)a, (enum nat_kind)b},
                .with_v6 = {with_v6, with_v6},
                .anchors = 1,
                .delay_ns = DELAY,
                .limit_ns = strcmp(best[a][b], "search") == 0 ? SEARCH_NS + GW_S(1) : DIRECT_NS + GW_S(1),
                .seed = 1000 + a * 100 + b};
            sim_pair_meet(&outcome, &params);
            judge(a, b, &outcome);
            direct += outcome.direct_ns >= 0;
            slowest = outcome.direct_ns > slowest ? outcome.direct_ns : slowest;
        }
    }
    print_message("%u of %u cells direct, the slowest after %lld ms\n", direct, NAT_KIND_GRID * NAT_KIND_GRID,
                  (long long)slowest / 1000000);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_grid)};
    grid_path = argc > 1 ? argv[1] : NULL;
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Engines behind NATs of every two kinds, with an anchor between them and nothing else known: how long until they are connected, and until they are direct. Held
 * against tests/nat/grid.txt, which says what two hosts can do at best. */
#include "tests/sim/app.h"
#include "tests/sim/behind.h"

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

static struct sim_net net;
static struct sim_behind world;
static const char *grid_path;

struct outcome {
    int64_t connected_ns, direct_ns; /* -1: not */
};

static void tell_addresses(struct sim_node *node)
{
    struct gw_candidate list[2];
    unsigned count = 0;
    for (uint8_t family = 4; family <= 6; family += 2) {
        struct gw_addr addr = sim_behind_addr(node, family);
        if (gw_addr_is_set(&addr))
            list[count++] = (struct gw_candidate){addr, GW_CANDIDATE_HOST};
    }
    gw_gateway_set_candidates(node->gateway, sim_now(node), list, count);
}

static void add_anchor(struct sim_node *node, const struct sim_node *anchor)
{
    struct gw_peer_config config = sim_peer_config(node, anchor);
    struct gw_addr v4 = sim_behind_addr(anchor, 4), v6 = sim_behind_addr(anchor, 6);
    struct gw_addr own4 = sim_behind_addr(node, 4), own6 = sim_behind_addr(node, 6);
    struct gw_peer *peer;
    config.endpoint_count = 0;
    if (gw_addr_is_set(&own4))
        config.endpoints[config.endpoint_count++] = v4;
    if (gw_addr_is_set(&own6))
        config.endpoints[config.endpoint_count++] = v6;
    config.is_anchor = config.is_eager = true;
    config.keepalive_ns = GW_S(25);
    assert_int_equal(gw_gateway_add_peer(node->gateway, sim_now(node), &config, &peer), 0);
}

static struct gw_peer *add_unlocated(struct sim_node *node, const struct sim_node *other)
{
    struct gw_peer_config config = sim_peer_config(node, other);
    struct gw_peer *peer;
    config.endpoint_count = 0;
    config.has_ed25519 = true;
    assert_int_equal(gw_gateway_add_peer(node->gateway, sim_now(node), &config, &peer), 0);
    return peer;
}

static bool is_direct(struct gw_peer *peer)
{
    struct gw_peer_status status;
    gw_peer_status(peer, net.clock.now, &status);
    return status.has_path && !status.is_relayed;
}

static struct outcome meet(enum nat_kind kind_a, bool a6, enum nat_kind kind_b, bool b6, int64_t limit_ns,
                           uint64_t seed)
{
    struct outcome outcome = {-1, -1};
    struct sim_nat_line lines[2];
    struct sim_client client;
    sim_net_init(&net, seed, NULL);
    sim_behind_init(&world, &net, &(struct sim_link_params){.delay_ns = DELAY});
    struct sim_node *anchor = sim_behind_add_public(&world, "9.9.9.9", "2a00:ffff::9");
    sim_nat_add_line(&lines[0], &world.nat, &world.nat.internet, kind_a, 1, a6);
    sim_nat_add_line(&lines[1], &world.nat, &world.nat.internet, kind_b, 2, b6);
    struct sim_node *a = sim_behind_add(&world, &lines[0]), *b = sim_behind_add(&world, &lines[1]);
    anchor->params.anchor.is_enabled = anchor->params.anchor.relays = true;
    sim_node_restart(anchor);
    add_unlocated(anchor, a);
    add_unlocated(anchor, b);
    sim_app_serve(b);
    tell_addresses(a);
    tell_addresses(b);
    add_anchor(a, anchor);
    add_anchor(b, anchor);
    struct gw_peer *a_to_b = add_unlocated(a, b), *b_to_a = add_unlocated(b, a);
    world.nat.params.rate_bps = 5000000;
    const struct gw_mono began = net.clock.now;
    assert_int_equal(sim_client_start(&client, a, a_to_b, "echo", 3000000), 0);
    for (unsigned ms = 0; ms < (unsigned)(limit_ns / GW_MS(1)) && outcome.direct_ns < 0; ms += 20) {
        sim_net_run(&net, GW_MS(20));
        if (outcome.connected_ns < 0 && client.is_accepted)
            outcome.connected_ns = gw_mono_sub(client.accepted_at, began);
        if (is_direct(a_to_b) && is_direct(b_to_a))
            outcome.direct_ns = gw_mono_sub(net.clock.now, began);
    }
    sim_behind_fini(&world);
    sim_net_fini(&net);
    return outcome;
}

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

static void judge(unsigned a, unsigned b, const struct outcome *outcome)
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
    read_table();
    for (unsigned a = 0; a < NAT_KIND_GRID; a++) {
        for (unsigned b = 0; b < NAT_KIND_GRID; b++) {
            bool with_v6 = a == NAT_KIND_V6_ONLY || b == NAT_KIND_V6_ONLY;
            struct outcome outcome =
                meet((enum nat_kind)a, with_v6, (enum nat_kind)b, with_v6,
                     strcmp(best[a][b], "search") == 0 ? SEARCH_NS + GW_S(1) : DIRECT_NS + GW_S(1),
                     1000 + a * 100 + b);
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

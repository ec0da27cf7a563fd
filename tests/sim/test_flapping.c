/* SPDX-License-Identifier: MIT */
/* A peer that is let in, comes and says goodbye again and again: what the daemon's log says of it is bounded. */
#include "tests/sim/simnet.h"

#include "gateway/base/log.h"
#include "gateway/daemon/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 300u
#define NAME "guest"

static struct gw_peers peers;
static unsigned comings, lines;
static char last[1024];

static void on_peer(struct gateway *gateway, struct gw_peer *peer, struct gw_mono now, void *ctx)
{
    const struct gw_known_peer *known = gw_peer_user(peer);
    bool was_connected = known && known->is_connected;
    (void)gateway, (void)ctx;
    gw_peers_on_event(&peers, peer, now);
    comings += known && known->is_connected && !was_connected;
}

static void counts_lines(void *ctx, enum gw_log_level level, const char *line)
{
    (void)ctx, (void)level;
    if (strncmp(line, NAME ":", sizeof NAME) != 0)
        return; /* of the other one, which starts anew each time */
    lines++;
    snprintf(last, sizeof last, "%s", line);
}

static void come_and_go(struct sim_net *net, struct sim_node *from, const struct sim_node *to)
{
    gw_peer_connect(sim_node_add_peer(from, to), sim_now(from));
    sim_node_pump(from);
    sim_net_run(net, GW_MS(50));
    sim_node_say_goodbye(from);
    sim_node_restart(from);
    sim_net_run(net, GW_MS(50));
}

static void test_log_of_a_peer_that_comes_and_goes(void **state)
{
    (void)state;
    struct sim_net net;
    unsigned connected = 0;
    sim_net_init(&net, 1, &(struct sim_link_params){.delay_ns = GW_MS(5)});
    struct sim_node *a = sim_net_add(&net, "10.0.0.2:7002"), *b = sim_net_add(&net, "10.0.0.3:7003");
    a->events.on_peer = on_peer;
    gw_peers_init(&peers, a->gateway, NULL, NULL, &connected);
    struct gw_peer_config config = sim_peer_config(a, b);
    struct gw_known_peer known = {.peer = NULL};
    snprintf(config.name, sizeof config.name, "%s", NAME);
    assert_int_equal(gw_gateway_add_peer(a->gateway, sim_now(a), &config, &known.peer), 0);
    gw_peer_set_user(known.peer, &known);
    gw_log_set_sink(counts_lines, NULL);
    for (unsigned i = 0; i < ROUNDS; i++)
        come_and_go(&net, b, a);
    print_message("%u times in %u s: %u lines\n", comings, ROUNDS / 10, lines);
    assert_int_equal(comings, ROUNDS);
    assert_int_equal(connected, 0);
    assert_in_range(lines, 10, 30);

    sim_net_run(&net, GW_S(60)); /* what is told then says how much was not */
    come_and_go(&net, b, a);
    assert_non_null(strstr(last, "it has ended"));
    assert_in_range(lines, 11, 32);
    sim_net_fini(&net);
    gw_log_set_sink(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_log_of_a_peer_that_comes_and_goes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

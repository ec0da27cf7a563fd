/* SPDX-License-Identifier: MIT */
/* Which seal two nodes agree on, in virtual time, and what is said when they cannot. */
#include "tests/sim/two_nodes.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/wire/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct gw_peer *add_with(struct sim_node *node, const struct sim_node *other, enum gw_seal_policy seal,
                                enum gw_hello_policy hello)
{
    struct gw_peer_config config = sim_peer_config(node, other);
    struct gw_peer *peer;
    config.seal = seal;
    config.hello = hello;
    assert_int_equal(gw_gateway_add_peer(node->gateway, sim_now(node), &config, &peer), 0);
    return peer;
}

static unsigned count_by_type[16];
static bool count_types(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                        size_t len)
{
    (void)from, (void)tuple, (void)len;
    count_by_type[datagram[0] & 15]++;
    return true;
}

static void run_with_seals(enum gw_seal_policy ours, enum gw_seal_policy theirs, bool is_done, bool is_fast)
{
    struct sim_client client;
    memset(count_by_type, 0, sizeof count_by_type);
    two_nodes(11, &(struct sim_link_params){.delay_ns = DELAY});
    struct gw_peer *to_b = add_with(a, b, ours, GW_HELLO_AUTO);
    add_with(b, a, theirs, GW_HELLO_AUTO);
    a->filter = count_types;
    sim_client_start(&client, a, to_b, "echo", 1000000);
    sim_net_run(&net, GW_S(5));
    assert_int_equal(sim_client_is_done(&client), is_done);
    if (is_fast)
        assert_in_range(count_by_type[GW_MESSAGE_DATA], 1, 40);
    else
        assert_int_equal(count_by_type[GW_MESSAGE_FAST_DATA], 0);
    sim_net_fini(&net);
}

static void test_seal_policies(void **state)
{
    (void)state;
    if (gw_crypto_system()->fast_suites == 0)
        skip();
    run_with_seals(GW_SEAL_AUTO, GW_SEAL_AUTO, true, true);
    run_with_seals(GW_SEAL_REQUIRED, GW_SEAL_AUTO, true, true);
    run_with_seals(GW_SEAL_AUTO, GW_SEAL_FORBIDDEN, true, false);
    run_with_seals(GW_SEAL_FORBIDDEN, GW_SEAL_AUTO, true, false);
    run_with_seals(GW_SEAL_REQUIRED, GW_SEAL_FORBIDDEN, false, false);
}

static enum gw_seal_conflict seen_conflict;
static unsigned conflict_changes;
static void watch_conflict(struct gateway *gateway, struct gw_peer *peer, struct gw_mono now, void *ctx)
{
    (void)gateway, (void)now, (void)ctx;
    conflict_changes += status_of(peer).seal_conflict != seen_conflict;
    seen_conflict = status_of(peer).seal_conflict;
}

/* One side demands a seal and the other offers none: both know and tell, what waits ends at once, and when an owner gives in it works. */
static void run_seal_conflict(uint64_t seed, bool demander_opens)
{
    uint8_t packet[28] = {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 64, 0, 1, 10, 64, 0, 2};
    struct sim_client first, second;
    uint32_t id;
    two_nodes(seed, &(struct sim_link_params){.delay_ns = DELAY, .loss = seed % 2 ? 0.2 : 0});
    struct gw_peer *to_b = add_with(a, b, GW_SEAL_REQUIRED, GW_HELLO_AUTO);
    struct gw_peer *to_a = add_with(b, a, GW_SEAL_FORBIDDEN, GW_HELLO_AUTO);
    struct sim_node *from = demander_opens ? a : b;
    struct gw_peer *opener = demander_opens ? to_b : to_a;
    assert_int_equal(sim_client_start(&first, from, opener, "echo", 1000), 0);
    sim_net_run(&net, seed % 2 ? GW_S(5) : GW_MS(150));
    assert_true(first.is_closed);
    assert_int_equal(first.reason, GW_REASON_NO_SEAL);
    assert_false(first.is_accepted);
    assert_int_equal(status_of(to_b).seal_conflict, GW_SEAL_NOT_OFFERED);
    assert_int_equal(status_of(to_a).seal_conflict, GW_SEAL_DEMANDED);
    assert_int_equal(status_of(to_b).session.state, GW_SESSION_ESTABLISHED);
    assert_int_equal(sim_client_start(&second, a, to_b, "echo", 1), GW_E_NO_SEAL);
    assert_int_equal(sim_client_start(&second, b, to_a, "echo", 1), GW_E_NO_SEAL);
    assert_int_equal(gw_peer_send_packet(opener, sim_now(from), packet, sizeof packet), GW_E_NO_SEAL);
    assert_int_equal(gw_peer_ping(opener, sim_now(from), &id), GW_E_NO_SEAL);
    assert_int_equal(gw_peer_send_control(opener, sim_now(from), "", 0), GW_E_NO_SEAL);

    /* New key pairs change nothing, and are no news. */
    struct gw_peer_config config = *gw_peer_config(to_b);
    config.keepalive_ns = GW_S(20);
    gw_gateway_update_peer(a->gateway, sim_now(a), to_b, &config);
    sim_net_run(&net, GW_S(10));
    a->events.on_peer = watch_conflict;
    seen_conflict = status_of(to_b).seal_conflict;
    conflict_changes = 0;
    uint64_t handshakes = status_of(to_b).session.handshakes_sent;
    sim_net_run(&net, GW_S(600));
    assert_true(status_of(to_b).session.handshakes_sent > handshakes);
    assert_int_equal(conflict_changes, 0);
    assert_int_equal(status_of(to_b).seal_conflict, GW_SEAL_NOT_OFFERED);

    struct gw_peer_config changed = *gw_peer_config(opener);
    changed.seal = GW_SEAL_AUTO;
    gw_gateway_update_peer(from->gateway, sim_now(from), opener, &changed);
    sim_net_run(&net, GW_S(5));
    assert_int_equal(conflict_changes, 1);
    assert_int_equal(status_of(to_a).seal_conflict, GW_SEAL_AGREED);
    assert_int_equal(status_of(to_b).seal_conflict, GW_SEAL_AGREED);
    assert_int_equal(sim_client_start(&second, from, opener, "echo", 1000), 0);
    sim_net_run(&net, GW_S(5));
    assert_true(sim_client_is_done(&second));
    sim_net_fini(&net);
}

static void test_seal_conflict(void **state)
{
    (void)state;
    if (gw_crypto_system()->fast_suites == 0)
        skip();
    run_seal_conflict(40, true);
    run_seal_conflict(41, true);
    run_seal_conflict(42, false);
    run_seal_conflict(43, false);
}

int main(void)
{
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seal_policies),
        cmocka_unit_test(test_seal_conflict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

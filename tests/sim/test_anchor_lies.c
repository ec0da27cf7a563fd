/* SPDX-License-Identifier: MIT */
/* What a bad client can do to an anchor and its clients, and a bad anchor to its clients, in virtual time. What a bad peer can do: sim/lies. */
#include "tests/sim/anchored.h"

#include "gateway/base/log.h"
#include "gateway/peer/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the relay against bad input */

static uint8_t captured[2048];
static size_t captured_len;
static bool is_captured;

static bool captures_frames(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                            size_t len)
{
    if (datagram[0] == 6 && !is_captured && len <= sizeof captured) {
        memcpy(captured, datagram, len);
        captured_len = len;
        is_captured = true;
    }
    return blocks_direct(from, tuple, datagram, len);
}

static void test_stolen_channel(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(28, &(struct sim_link_params){.delay_ns = DELAY});
    a->filter = captures_frames;
    is_captured = false;
    sim_net_run(&net, GW_S(1));
    sim_client_start(&client, a, a_to_b, "echo", 1000);
    sim_net_run(&net, GW_S(1));
    assert_true(is_captured);
    struct gw_anchor_stats before = stats_of(anchor), after;
    uint64_t sent_before = anchor->datagrams_out;

    /* The number with another mac; nothing is said. */
    captured[9] ^= 1;
    for (unsigned i = 0; i < 100; i++)
        feed(anchor, "10.0.0.2:7002", captured, captured_len);
    captured[9] ^= 1;
    after = stats_of(anchor);
    assert_int_equal(after.dropped_channel - before.dropped_channel, 100);
    assert_int_equal(after.relayed_datagrams, before.relayed_datagrams);
    assert_int_equal(anchor->datagrams_out, sent_before);

    /* Number and mac, as somebody on the way has them, from elsewhere: dropped, and at most one small question a second. */
    for (unsigned i = 0; i < 100; i++)
        feed(anchor, "6.6.6.6:666", captured, captured_len);
    after = stats_of(anchor);
    assert_int_equal(after.dropped_place - before.dropped_place, 100);
    assert_int_equal(after.relayed_datagrams, before.relayed_datagrams);
    assert_in_range(anchor->datagrams_out - sent_before, 0, 1);

    /* Cut, and with another relay's frame in it. */
    feed(anchor, "10.0.0.2:7002", captured, 47);
    captured[16] = 6;
    feed(anchor, "10.0.0.2:7002", captured, captured_len);
    assert_int_equal(stats_of(anchor).relayed_datagrams, before.relayed_datagrams);

    /* To a client: not from the relay's address, so nothing. */
    struct gw_gateway_stats stats;
    gw_gateway_stats(a->gateway, &stats);
    uint64_t unknown = stats.dropped_unknown;
    feed(a, "6.6.6.6:666", captured, captured_len);
    gw_gateway_stats(a->gateway, &stats);
    assert_int_equal(stats.dropped_unknown, unknown + 1);
    sim_net_fini(&net);
}

/* ---- an anchor that lies */

static unsigned to_victim;

static bool counts_victim(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                          size_t len)
{
    struct gw_addr victim;
    assert_int_equal(gw_addr_parse(&victim, "6.6.6.6:666"), 0);
    if (gw_addr_equal(&tuple->remote, &victim)) {
        assert_true(len <= 100);
        to_victim++;
    }
    return blocks_direct(from, tuple, datagram, len);
}

/* It says that a is where somebody else is, again and again, with all kinds of other addresses between: nobody is flooded, and what is nobody's is not asked at all. */
static void test_lies_about_addresses(void **state)
{
    (void)state;
    struct sim_client client;
    static const char *const lies[] = {"6.6.6.6:666",    "127.0.0.1:22", "224.0.0.1:53", "255.255.255.255:9",
                                       "[ff02::1]:5353", "[fe80::1]:1",  "[::1]:22"};
    three_nodes(52,
                &(struct sim_link_params){.rate_bps = 1000000, .delay_ns = DELAY, .buffer_bytes = 100000});
    sim_net_add(&net, "6.6.6.6:666");
    a->filter = b->filter = counts_victim;
    to_victim = 0;
    sim_net_run(&net, GW_S(1));
    sim_client_start(&client, a, a_to_b, "echo", 100000000);
    for (unsigned i = 0; i < 600; i++) {
        peergate_Control message = {.which_body = peergate_Control_observed_address_tag};
        struct gw_candidate lie = {.kind = GW_CANDIDATE_OBSERVED};
        assert_int_equal(gw_addr_parse(&lie.addr, lies[i % 7]), 0);
        message.body.observed_address.has_address = true;
        gw_candidate_encode(&message.body.observed_address.address, &lie);
        say(anchor, a, &message);
        sim_net_run(&net, GW_MS(500));
    }
    print_message("five minutes of lies: %u small packets to somebody else\n", to_victim);
    assert_in_range(to_victim, 1, 5 * 2 * 20 * 5);
    struct gw_peer_status status = status_of(a_to_b);
    assert_true(gw_tuple_is_relay(&status.path));
    sim_net_fini(&net);
}

/* Channels that nobody asked for, with numbers of others, for tags of nobody, that end at once: nothing comes of them, and what there is stays. */
static void test_lies_about_channels(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(53, &(struct sim_link_params){.delay_ns = DELAY});
    sim_net_run(&net, GW_S(1));
    sim_client_start(&client, a, a_to_b, "echo", 1000);
    sim_net_run(&net, GW_S(1));
    assert_true(sim_client_is_done(&client));
    for (unsigned i = 0; i < 1000; i++) {
        peergate_Control message = {.number = i % 3, .which_body = peergate_Control_channel_grant_tag};
        peergate_ChannelGrant *grant = &message.body.channel_grant;
        gw_random_fill(&a->random.random, grant->tag, sizeof grant->tag);
        grant->channel = gw_random_u32(&a->random.random) >> (i % 32);
        grant->lifetime_s = i % 2 ? 600 : 0;
        grant->refusal = i % 5 == 4 ? peergate_Refusal_REFUSAL_VOLUME : peergate_Refusal_REFUSAL_NONE;
        say(anchor, a, &message);
        if (i % 50 == 0)
            sim_net_run(&net, GW_MS(50));
    }
    sim_net_run(&net, GW_S(1));
    sim_client_start(&client, a, a_to_b, "echo", 100000);
    sim_net_run(&net, GW_S(2));
    assert_true(sim_client_is_done(&client));
    sim_net_fini(&net);
}

int main(void)
{
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stolen_channel),
        cmocka_unit_test(test_lies_about_addresses),
        cmocka_unit_test(test_lies_about_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* What an anchor lets pass, in virtual time: rates, an hour's volume, and what the owner changes meanwhile. */
#include "tests/sim/anchored.h"

#include "gateway/anchor/anchor_private.h"
#include "gateway/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct gw_asked_view asked_of(struct gw_peer *peer, unsigned i)
{
    struct gw_reach_view view;
    gw_peer_reach_view(peer, &view);
    assert_true(i < view.asked_count);
    return view.asked[i];
}

static void test_limits_of_a_channel(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(29, &(struct sim_link_params){.delay_ns = DELAY});
    anchor->params.anchor.rate = 125000; /* 1 Mbit/s */
    make_anchor();
    sim_net_run(&net, GW_S(30));
    sim_client_start(&client, a, a_to_b, "sink", 1000000);
    sim_net_run(&net, GW_S(5));
    assert_true(client.sent > 200000); /* at its rate, not at all, would be wrong too */
    assert_true(stats_of(anchor).relayed_bytes < 125000 * 7);
    assert_true(stats_of(anchor).dropped_rate > 0);
    sim_net_run(&net, GW_S(60));
    assert_int_equal(client.sent, 1000000);
    sim_net_fini(&net);
}

/* All channels together, whatever each may have. */
static void test_limit_of_all(void **state)
{
    (void)state;
    struct sim_client of_a, of_b;
    three_nodes(54, &(struct sim_link_params){.delay_ns = DELAY});
    anchor->params.anchor.rate = 10000000;
    anchor->params.anchor.total_rate = 125000;
    make_anchor();
    sim_net_run(&net, GW_S(30));
    sim_client_start(&of_a, a, a_to_b, "sink", 1000000);
    sim_client_start(&of_b, b, b_to_a, "sink", 1000000);
    sim_net_run(&net, GW_S(5));
    assert_true(stats_of(anchor).relayed_bytes > 300000);
    assert_true(stats_of(anchor).relayed_bytes < 125000 * 7);
    sim_net_run(&net, GW_S(60));
    assert_int_equal(of_a.sent + of_b.sent, 2000000);
    sim_net_fini(&net);
}

/* The hour's volume has passed: both are told why, another anchor carries on, and in the next hour this one does again. */
static void test_volume_of_a_channel(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(51, &(struct sim_link_params){.delay_ns = DELAY});
    anchor->params.anchor.volume = 1000000;
    make_anchor();
    sim_net_run(&net, GW_S(30));
    struct sim_node *first = anchor;
    sim_client_start(&client, a, a_to_b, "sink", 5000000);
    sim_net_run(&net, GW_S(5));
    assert_in_range(stats_of(first).relayed_bytes, 900000, 1000000);
    assert_false(client.sent == 5000000);
    assert_int_equal(asked_of(a_to_b, 0).refusal, peergate_Refusal_REFUSAL_VOLUME);
    assert_int_equal(asked_of(b_to_a, 0).refusal, peergate_Refusal_REFUSAL_VOLUME);
    assert_false(asked_of(a_to_b, 0).has_channel);

    anchor = sim_net_add(&net, "10.0.0.4:7004");
    make_anchor();
    sim_node_add_anchor(a, anchor);
    sim_node_add_anchor(b, anchor);
    sim_net_run(&net, GW_S(20));
    assert_int_equal(client.sent, 5000000);
    assert_true(stats_of(first).relayed_bytes <= 1000000);
    assert_true(stats_of(anchor).relayed_bytes > 4000000);

    anchor->is_down = true;
    sim_net_run(&net, GW_S(3700));
    uint64_t before = stats_of(first).relayed_bytes;
    sim_client_start(&client, a, a_to_b, "echo", 1000);
    sim_net_run(&net, GW_S(20));
    assert_true(sim_client_is_done(&client));
    assert_true(stats_of(first).relayed_bytes > before);
    sim_net_fini(&net);
}

static void use_up_what_is_left(struct sim_client *client)
{
    sim_client_start(client, a, a_to_b, "sink", 50000000);
    sim_net_run(&net, GW_S(8));
    assert_false(client->sent == 50000000);
}

/* Both of them say that they share that tag, and one asks for a channel; what comes over it then from the one is as long as `len`, `count` times. */
static void send_by_another_tag(uint8_t number, size_t len, unsigned count)
{
    static uint8_t frame[1400];
    const struct gw_anchor_client *client =
        gw_gateway_find_peer(anchor->gateway, gw_gateway_public_key(a->gateway))->anchor_client;
    peergate_Control message = {.number = number, .which_body = peergate_Control_register_request_tag};
    message.body.register_request = (peergate_RegisterRequest){.lifetime_s = 600, .tags_count = 1};
    memset(message.body.register_request.tags[0], number, GW_TAG_LEN);
    say(a, anchor, &message);
    say(b, anchor, &message);
    sim_net_run(&net, 4 * DELAY);
    message = (peergate_Control){.number = number, .which_body = peergate_Control_channel_request_tag};
    memset(message.body.channel_request.tag, number, GW_TAG_LEN);
    say(a, anchor, &message);
    sim_net_run(&net, 4 * DELAY);
    const struct gw_channel_side *side = gw_list_entry(client->sides.prev, struct gw_channel_side, of_client);
    assert_int_equal(side->channel->tag[0], number);
    for (unsigned i = 0; i < count; i++) {
        frame[GW_RELAY_HEADER_LEN] = GW_MESSAGE_DATA;
        gw_relay_frame_write(frame, len, side->id, side->from_key);
        feed(anchor, "10.0.0.2:7002", frame, len);
        sim_net_run(&net, GW_MS(1));
    }
}

/* The volume is that of the two, whatever channels they have: nobody gets another hour by a goodbye, by waiting until a channel ends, or by one more tag. */
static void test_volume_of_a_pair(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(57, &(struct sim_link_params){.delay_ns = DELAY});
    anchor->params.anchor.volume = 1000000;
    make_anchor();
    sim_net_run(&net, GW_S(30));
    use_up_what_is_left(&client);
    assert_in_range(stats_of(anchor).relayed_bytes, 900000, 1000000);

    for (uint8_t number = 1; number < 4; number++)
        send_by_another_tag(number, 1200, 100);
    print_message("with three more tags: %llu bytes\n", (unsigned long long)stats_of(anchor).relayed_bytes);
    assert_in_range(stats_of(anchor).relayed_bytes, 900000, 1000000);

    for (unsigned i = 0; i < 3; i++) {
        sim_node_say_goodbye(a);
        sim_node_restart(a);
        a_to_anchor = sim_node_add_anchor(a, anchor);
        sim_app_serve(a);
        a_to_b = sim_node_add_unlocated(a, b);
        sim_net_run(&net, GW_S(2));
        use_up_what_is_left(&client);
    }
    print_message("after three goodbyes: %llu bytes\n", (unsigned long long)stats_of(anchor).relayed_bytes);
    assert_in_range(stats_of(anchor).relayed_bytes, 900000, 1000000);

    for (unsigned i = 0; i < 30; i++) {
        use_up_what_is_left(&client);
        sim_net_run(&net, GW_S(80));
    }
    print_message("45 minutes later: %llu bytes\n", (unsigned long long)stats_of(anchor).relayed_bytes);
    assert_in_range(stats_of(anchor).relayed_bytes, 900000, 1000000);
    sim_net_run(&net, GW_S(1000));
    use_up_what_is_left(&client);
    assert_in_range(stats_of(anchor).relayed_bytes, 1800000, 2000000);
    sim_net_fini(&net);
}

/* What the owner changes while it runs holds at once, also for the channels that there are. */
static void test_limits_change(void **state)
{
    (void)state;
    struct sim_client client;
    three_nodes(56, &(struct sim_link_params){.delay_ns = DELAY});
    make_anchor();
    sim_net_run(&net, GW_S(30));
    struct gw_anchor *serving = gw_gateway_anchor(anchor->gateway);
    struct gw_anchor_params params = anchor->params.anchor;
    sim_client_start(&client, a, a_to_b, "echo", 1000);
    sim_net_run(&net, GW_S(1));
    assert_true(sim_client_is_done(&client));
    assert_int_equal(stats_of(anchor).channels, 1);

    params.rate = 20000;
    gw_anchor_set_limits(serving, &params, sim_now(anchor));
    sim_client_start(&client, a, a_to_b, "sink", 2000000);
    uint64_t before = stats_of(anchor).relayed_bytes;
    sim_net_run(&net, GW_S(5));
    assert_in_range(stats_of(anchor).relayed_bytes - before, 20000, 200000); /* a burst, and five seconds */

    params.relays = false;
    gw_anchor_set_limits(serving, &params, sim_now(anchor));
    assert_int_equal(stats_of(anchor).channels, 0);
    before = stats_of(anchor).relayed_bytes;
    sim_net_run(&net, GW_S(2));
    assert_int_equal(asked_of(a_to_b, 0).refusal, peergate_Refusal_REFUSAL_NO_RELAY);
    assert_int_equal(asked_of(b_to_a, 0).refusal, peergate_Refusal_REFUSAL_NO_RELAY);
    assert_false(asked_of(a_to_b, 0).has_channel);
    sim_net_run(&net, GW_S(20));
    assert_int_equal(stats_of(anchor).relayed_bytes, before);
    assert_int_equal(stats_of(anchor).channels, 0);

    params.relays = true;
    params.rate = 0;
    gw_anchor_set_limits(serving, &params, sim_now(anchor));
    sim_net_run(&net, GW_S(90));
    assert_int_equal(client.sent, 2000000);
    sim_net_fini(&net);
}

int main(void)
{
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits_of_a_channel), cmocka_unit_test(test_limit_of_all),
        cmocka_unit_test(test_volume_of_a_channel), cmocka_unit_test(test_volume_of_a_pair),
        cmocka_unit_test(test_limits_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

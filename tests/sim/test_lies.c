/* SPDX-License-Identifier: MIT */
/* What a peer of ours that lies can do to us: engines in virtual time, one of which says what makes no sense. */
#include "tests/sim/app.h"

#include "gateway/base/log.h"
#include "gateway/discovery/discovery_private.h"
#include "gateway/wire/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define DELAY GW_MS(10)
#define START 1200u

static struct sim_net net;
static struct sim_node *anchor, *a, *b;
static struct gw_peer *a_to_b;
static size_t longest;
static unsigned to_victim;      /* bytes that a sent there */
static unsigned may_send = ~0u; /* datagrams that b still sends */

#define VICTIM "6.6.6.6:666"

static bool blocks_direct(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram,
                          size_t len)
{
    struct gw_addr victim;
    (void)datagram;
    assert_int_equal(gw_addr_parse(&victim, VICTIM), 0);
    longest = len > longest ? len : longest;
    if (from == a && gw_addr_equal(&tuple->remote, &victim))
        to_victim += (unsigned)len;
    if (from == b && may_send == 0)
        return false;
    may_send -= from == b && may_send != ~0u;
    return !gw_addr_equal(&tuple->remote, from == a ? &b->addr : &a->addr);
}

static struct gw_peer *add(struct sim_node *node, const struct sim_node *other, bool is_anchor)
{
    struct gw_peer_config config = sim_peer_config(node, other);
    struct gw_peer *peer;
    config.is_anchor = config.is_eager = is_anchor;
    config.endpoint_count = is_anchor ? 1 : 0;
    config.has_ed25519 = true;
    assert_int_equal(gw_addr_parse_ip(&config.alias, "10.64.0.9", 0), 0);
    assert_int_equal(gw_gateway_add_peer(node->gateway, sim_now(node), &config, &peer), 0);
    return peer;
}

/* a and b reach each other by the anchor's relay only; b says in its HELLO that it takes datagrams of `mtu` bytes. */
static void begin(uint64_t seed, uint16_t mtu)
{
    sim_net_init(&net, seed, &(struct sim_link_params){.delay_ns = DELAY, .mtu = 70000});
    anchor = sim_net_add(&net, "10.0.0.1:7001");
    a = sim_net_add(&net, "10.0.0.2:7002");
    b = sim_net_add(&net, "10.0.0.3:7003");
    anchor->params.anchor.is_enabled = anchor->params.anchor.relays = true;
    sim_node_restart(anchor);
    b->params.mtu_v4 = b->params.mtu_v6 = mtu;
    sim_node_restart(b);
    a->filter = b->filter = blocks_direct;
    add(anchor, a, false);
    add(anchor, b, false);
    add(a, anchor, true);
    add(b, anchor, true);
    sim_app_serve(b);
    a_to_b = add(a, b, false);
    add(b, a, false);
    longest = 0;
    to_victim = 0;
    may_send = ~0u;
    sim_net_run(&net, GW_S(1));
}

/* Less than what a relay's header takes, and less than any datagram has: it gets what everybody gets, no probe of a size that came from counting below zero. */
static void test_takes_next_to_nothing(void **state)
{
    (void)state;
    static const uint16_t mtus[] = {1, 14, 15, 16, 17, 48, 600, START - 1, START};
    for (size_t i = 0; i < sizeof mtus / sizeof *mtus; i++) {
        struct sim_client client;
        begin(1 + i, mtus[i]);
        assert_int_equal(sim_client_start(&client, a, a_to_b, "echo", 100000), 0);
        sim_net_run(&net, GW_S(5));
        struct gw_peer_status status;
        gw_peer_status(a_to_b, net.clock.now, &status);
        assert_true(sim_client_is_done(&client));
        assert_true(gw_tuple_is_relay(&status.path));
        assert_in_range(status.payload_len, 1, START);
        assert_in_range(longest, START, 1472);
        sim_net_fini(&net);
    }
}

/* ---- addresses of somebody else */

/* b names the victim's address, falls silent, and then writes the victim's address on one packet to the anchor: that is no reason for the anchor to say that it
 * sees b there, which would be the second of two witnesses for a search. */
static void test_second_witness(void **state)
{
    (void)state;
    struct gw_candidate lie = {.kind = GW_CANDIDATE_OBSERVED};
    struct gw_addr victim;
    assert_int_equal(gw_addr_parse(&victim, VICTIM), 0);
    begin(20, 0);
    gw_peer_connect(a_to_b, sim_now(a));
    sim_node_pump(a);
    lie.addr = victim;
    gw_gateway_set_candidates(b->gateway, sim_now(b), &lie, 1);
    sim_node_pump(b);
    sim_net_run(&net, GW_S(1));
    struct gw_direct *direct = &a_to_b->reach->direct;
    gw_round_ask_witness(a_to_b->reach, sim_now(a));
    sim_node_pump(a);
    sim_net_run(&net, 3 * DELAY);
    assert_true(gw_addr_equal(&direct->witness, &b->addr));

    may_send = 0;
    sim_net_run(&net, GW_S(1));
    sim_node_move(b, VICTIM);
    may_send = 1;
    lie.addr.port++; /* it registers anew */
    gw_gateway_set_candidates(b->gateway, sim_now(b), &lie, 1);
    sim_node_pump(b);
    sim_net_run(&net, DELAY + 1);
    assert_int_equal(may_send, 0);
    memset(&direct->witness, 0, sizeof direct->witness);
    gw_round_ask_witness(a_to_b->reach, sim_now(a));
    sim_node_pump(a);
    sim_net_run(&net, 3 * DELAY);
    assert_int_equal(direct->info_number, 0); /* it has answered */
    assert_false(gw_addr_same_ip(&direct->witness, &victim));
    sim_net_fini(&net);
}

/* Answers to REQUEST_ENDPOINT come from the anchor that was asked, not from a peer that knows the number. */
static void test_answers_in_anothers_place(void **state)
{
    (void)state;
    peergate_Control message = {.which_body = peergate_Control_endpoint_info_tag};
    struct gw_candidate lie = {.kind = GW_CANDIDATE_OBSERVED};
    begin(21, 0);
    assert_int_equal(gw_addr_parse(&lie.addr, VICTIM), 0);
    gw_candidate_encode(&message.body.endpoint_info.addresses[0], &lie);
    message.body.endpoint_info.addresses_count = 1;
    gw_peer_connect(a_to_b, sim_now(a));
    sim_node_pump(a);
    sim_net_run(&net, GW_S(1));
    struct gw_direct *direct = &a_to_b->reach->direct;
    direct->info_number = message.number = 7;
    struct gw_peer *to_a = gw_gateway_find_peer(b->gateway, gw_gateway_public_key(a->gateway));
    assert_int_equal(gw_peer_send_message(to_a, sim_now(b), &message), 0);
    sim_node_pump(b);
    sim_net_run(&net, 5 * DELAY);
    assert_int_equal(direct->info_number, 7);
    sim_net_fini(&net);
}

/* A packet full of PATH_CHALLENGEs with the victim's address on it: what goes there is less than three times as much. */
static void test_challenges_in_anothers_name(void **state)
{
    (void)state;
    static uint8_t slab[GW_TRAIN_SLAB];
    struct sim_client client;
    begin(22, 0);
    sim_net_add(&net, VICTIM);
    assert_int_equal(sim_client_start(&client, a, a_to_b, "echo", 1000), 0);
    sim_net_run(&net, GW_S(1));
    struct gw_peer *to_a = gw_gateway_find_peer(b->gateway, gw_gateway_public_key(a->gateway));
    struct gw_keypair *kp = gw_session_sending_key(to_a->session, sim_now(b));
    assert_non_null(kp);
    struct gw_writer w = gw_writer_of(slab + GW_DATA_HEADER_LEN, 1100);
    gw_write_u8(&w, GW_INNER_FRAMES);
    for (uint8_t i = 0; i < 90; i++) {
        struct gw_writer challenge = gw_frame_begin(&w, GW_FRAME_PATH_CHALLENGE, 8);
        gw_write_u64_be(&challenge, i);
        gw_frame_finish(&w, &challenge);
    }
    assert_true(gw_writer_ok(&w));
    size_t len = gw_keypair_seal(kp, GW_SUITE_CHACHA20_POLY1305, slab, sizeof slab, gw_writer_len(&w));
    struct gw_train train = {
        .slab = slab, .tuple.local = a->addr, .stride = (uint16_t)len, .last_len = (uint16_t)len, .count = 1};
    assert_int_equal(gw_addr_parse(&train.tuple.remote, VICTIM), 0);
    may_send = 0;
    gw_gateway_input(a->gateway, sim_now(a), &train);
    sim_node_pump(a);
    assert_in_range(to_victim, 1, 3 * 64); /* an answer, a challenge of our own, and a check of the punch */
    sim_net_fini(&net);
}

/* ---- floods */

#define EVERY GW_MS(10)
#define FLOOD_S 60

static void fill(peergate_Address out[8], unsigned n)
{
    for (unsigned i = 0; i < 8; i++) {
        struct gw_candidate lie = {
            {.family = 4, .ip = {6, 6, (uint8_t)(n >> 8), (uint8_t)n}, .port = (uint16_t)(1000 + i)},
            GW_CANDIDATE_OBSERVED};
        gw_candidate_encode(&out[i], &lie);
    }
}

/* Datagrams that a sends while b says `message` (with other addresses, or another number each time) every 10 ms, for a minute. */
static uint64_t flood(uint64_t seed, bool with_numbers)
{
    struct sim_client client;
    begin(seed, 0);
    assert_int_equal(sim_client_start(&client, a, a_to_b, "echo", 1000), 0);
    sim_net_run(&net, GW_S(30));
    struct gw_peer *to_a = gw_gateway_find_peer(b->gateway, gw_gateway_public_key(a->gateway));
    uint64_t before = a->datagrams_out;
    for (unsigned i = 0; i < FLOOD_S * (GW_S(1) / EVERY); i++) {
        peergate_Control message = {.number = with_numbers ? i + 1 : 0};
        if (i % 500 == 0)
            sim_client_start(&client, a, a_to_b, "echo", 10); /* in use */
        if (with_numbers) {
            message.which_body = peergate_Control_punch_me_now_tag;
            message.body.punch_me_now.addresses_count = 8;
            fill(message.body.punch_me_now.addresses, i % 2);
        } else {
            message.which_body = peergate_Control_add_address_tag;
            message.body.add_address.addresses_count = 8;
            fill(message.body.add_address.addresses, i);
        }
        gw_peer_send_message(to_a, sim_now(b), &message);
        sim_node_pump(b);
        sim_net_run(&net, EVERY);
    }
    uint64_t sent = a->datagrams_out - before;
    print_message("%u messages: %llu datagrams\n", (unsigned)(FLOOD_S * (GW_S(1) / EVERY)),
                  (unsigned long long)sent);
    assert_true(sim_client_is_done(&client));
    sim_net_fini(&net);
    return sent;
}

static void test_flood_of_addresses(void **state)
{
    (void)state;
    assert_in_range(flood(30, false), 100, (64 + 2 * FLOOD_S) * 20 + 2000);
}

static void test_flood_of_attempts(void **state)
{
    (void)state;
    assert_in_range(flood(31, true), 100, (12 + FLOOD_S / 3) * 16 * 20 + 2000);
}

/* ---- the log */

static unsigned lines;

static void count_line(void *ctx, enum gw_log_level level, const char *line)
{
    (void)ctx, (void)level, (void)line;
    lines++;
}

/* Another address of its own in each HELLO; and each would be a line. */
static void test_flood_of_lines(void **state)
{
    (void)state;
    begin(34, 0);
    gw_peer_connect(a_to_b, sim_now(a));
    sim_node_pump(a);
    sim_net_run(&net, GW_S(1));
    lines = 0;
    gw_log_set_sink(count_line, NULL);
    for (unsigned i = 0; i < 1000; i++) {
        const struct gw_addr own[2] = {{.family = 4, .ip = {10, 9, (uint8_t)(i >> 8), (uint8_t)i}}};
        gw_gateway_set_addresses(b->gateway, own);
        sim_node_pump(b);
        sim_net_run(&net, GW_MS(50));
    }
    gw_log_set_sink(NULL, NULL);
    print_message("%u lines\n", lines);
    assert_in_range(lines, 1, 50);
    sim_net_fini(&net);
}

/* ---- an anchor */

/* Every 10 ms it says that it sees us elsewhere: we do not pass that on to everybody each time. */
static void test_flood_of_observations(void **state)
{
    (void)state;
    struct sim_client client;
    begin(32, 0);
    assert_int_equal(sim_client_start(&client, a, a_to_b, "echo", 1000), 0);
    sim_net_run(&net, GW_S(30));
    struct gw_peer *to_a = gw_gateway_find_peer(anchor->gateway, gw_gateway_public_key(a->gateway));
    uint64_t before = a->datagrams_out;
    for (unsigned i = 0; i < FLOOD_S * (GW_S(1) / EVERY); i++) {
        peergate_Control message = {.which_body = peergate_Control_observed_address_tag};
        struct gw_candidate lie = {{.family = 4, .ip = {6, 6, 6, (uint8_t)(i % 2)}, .port = 1000},
                                   GW_CANDIDATE_OBSERVED};
        message.body.observed_address.has_address = true;
        gw_candidate_encode(&message.body.observed_address.address, &lie);
        gw_peer_send_message(to_a, sim_now(anchor), &message);
        sim_node_pump(anchor);
        sim_net_run(&net, EVERY);
    }
    print_message("%llu datagrams\n", (unsigned long long)(a->datagrams_out - before));
    assert_in_range(a->datagrams_out - before, 0, 400);
    sim_net_fini(&net);
}

/* It is of one fleet, then of another, with each of its answers: we do not compute and register our tags anew as often as it says so. */
static void test_flood_of_fleets(void **state)
{
    (void)state;
    static const uint8_t secrets[2][GW_KEY_LEN] = {{8, 1, [31] = 64}, {16, 2, [31] = 65}};
    begin(33, 0);
    const struct gw_crypto *crypto = gw_crypto_system();
    struct gw_anchor_use *use =
        gw_gateway_find_peer(a->gateway, gw_gateway_public_key(anchor->gateway))->anchor_use;
    anchor->is_down = true;
    uint64_t before = a->datagrams_out;
    unsigned answers = 0;
    for (unsigned i = 0; i < FLOOD_S * (GW_S(1) / EVERY); i++) {
        peergate_RegisterReply reply = {.lifetime_s = 600, .instance = use->instance};
        const uint8_t *secret = secrets[answers % 2];
        uint8_t proof[GW_HASH_LEN];
        sim_net_run(&net, EVERY);
        if (use->number == 0)
            continue;
        answers++;
        reply.fleet.size = GW_KEY_LEN;
        crypto->dh_public(reply.fleet.bytes, secret);
        assert_true(gw_static_kdf(crypto, secret, gw_gateway_public_key(a->gateway), "peergate fleet v1",
                                  gw_gateway_public_key(anchor->gateway), GW_KEY_LEN, proof));
        reply.fleet_proof.size = sizeof reply.fleet_proof.bytes;
        memcpy(reply.fleet_proof.bytes, proof, sizeof reply.fleet_proof.bytes);
        gw_anchor_use_reply(use, use->number, &reply, sim_now(a));
        sim_node_pump(a);
    }
    print_message("%u answers, %llu datagrams\n", answers, (unsigned long long)(a->datagrams_out - before));
    assert_true(use->has_fleet);
    assert_in_range(answers, 1, 60);
    sim_net_fini(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_second_witness),
        cmocka_unit_test(test_answers_in_anothers_place),
        cmocka_unit_test(test_challenges_in_anothers_name),
        cmocka_unit_test(test_flood_of_addresses),
        cmocka_unit_test(test_flood_of_attempts),
        cmocka_unit_test(test_flood_of_lines),
        cmocka_unit_test(test_flood_of_observations),
        cmocka_unit_test(test_flood_of_fleets),
        cmocka_unit_test(test_takes_next_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

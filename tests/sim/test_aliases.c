/* SPDX-License-Identifier: MIT */
/* Virtual addresses that collide: everybody reaches everybody by the alias that it has there, both ways, and nobody who comes later moves anybody. 300 nodes by their
 * tables and the rewriting alone; 14 whole engines in a range of 14 addresses. */
#include "gateway/packet/rewrite.h"
#include "resolver/vip.h"
#include "tests/sim/simnet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NODES 300u
#define ENGINES 14u

/* An IPv4 UDP packet of 8 payload bytes with right checksums; its length. */
static size_t make_udp(uint8_t *packet, const struct gw_addr *from, const struct gw_addr *to)
{
    struct gw_ip ip;
    memset(packet, 0, 36);
    packet[0] = 0x45;
    gw_store16_be(packet + 2, 36);
    packet[8] = 64;
    packet[9] = GW_IP_UDP;
    memcpy(packet + 12, from->ip, 4);
    memcpy(packet + 16, to->ip, 4);
    gw_store16_be(packet + 20, 4000);
    gw_store16_be(packet + 22, 4001);
    gw_store16_be(packet + 24, 16);
    memcpy(packet + 28, "peergate", 8);
    gw_checksum_ip_header(packet, 20);
    assert_int_equal(gw_ip_parse(&ip, packet, 36), 0);
    gw_checksum_complete(packet, &ip);
    return 36;
}

static bool is_from_to(const uint8_t *packet, size_t len, const struct gw_addr *from,
                       const struct gw_addr *to)
{
    struct gw_ip ip;
    return gw_ip_parse(&ip, packet, len) == 0 && gw_checksum_is_right(packet, &ip) &&
           gw_checksum_fold(gw_checksum_add(0, packet, 20)) == 0xffff &&
           memcmp(packet + 12, from->ip, 4) == 0 && memcmp(packet + 16, to->ip, 4) == 0;
}

/* ---- 300 tables */

struct member {
    uint8_t key[GW_KEY_LEN];
    struct gw_addr own;
    struct gw_vip *vip;
};

static struct member members[NODES];

static struct gw_vip *new_table(const struct gw_prefix *range, const uint8_t key[GW_KEY_LEN])
{
    struct gw_vip_params params = {.range = *range,
                                   .local_range = {.ip = {.family = 4, .ip = {127, 64}}, .bits = 16}};
    memcpy(params.own_key, key, GW_KEY_LEN);
    struct gw_vip *vip = gw_vip_new(&params);
    assert_non_null(vip);
    return vip;
}

/* Each hears of the others in an order of its own. */
static unsigned fill_tables(const struct gw_prefix *range, unsigned seed)
{
    const struct gw_vip_entry *entry;
    unsigned moved = 0;
    srand(seed);
    for (unsigned i = 0; i < NODES; i++) {
        for (unsigned k = 0; k < GW_KEY_LEN; k++)
            members[i].key[k] = (uint8_t)rand();
    }
    for (unsigned i = 0; i < NODES; i++) {
        members[i].vip = new_table(range, members[i].key);
        members[i].own = gw_vip_own(members[i].vip)->ipv4;
    }
    for (unsigned i = 0; i < NODES; i++) {
        unsigned start = (unsigned)rand() % NODES;
        for (unsigned n = 0; n < NODES; n++) {
            unsigned other = (start + n * 7) % NODES; /* 7 and 300 have no common divisor */
            assert_int_equal(gw_vip_assign(members[i].vip, members[other].key, NULL, &entry), 0);
            moved += !gw_addr_same_ip(&entry->ipv4, &members[other].own);
        }
    }
    return moved;
}

/* What `a` sends to b's alias there: as a's engine changes it on the way out, and b's on the way in. */
static void expect_reached(const struct member *a, const struct member *b)
{
    const struct gw_addr *b_there = &gw_vip_by_key(a->vip, b->key)->ipv4;
    const struct gw_addr *a_there = &gw_vip_by_key(b->vip, a->key)->ipv4;
    uint8_t packet[64];
    struct gw_ip ip;
    size_t len = make_udp(packet, &a->own, b_there);
    assert_int_equal(gw_ip_parse(&ip, packet, len), 0);
    gw_ip_rewrite(packet, &ip, GW_REWRITE_DESTINATION, b_there->ip, b->own.ip, false);
    assert_true(is_from_to(packet, len, &a->own, &b->own));
    gw_ip_rewrite(packet, &ip, GW_REWRITE_SOURCE, a->own.ip, a_there->ip, false);
    assert_true(is_from_to(packet, len, a_there, &b->own));
    /* The alias says who it was, and nobody else. */
    assert_memory_equal(gw_vip_by_address(b->vip, a_there)->key, a->key, GW_KEY_LEN);
}

static void run_tables(uint8_t bits, bool must_collide)
{
    const struct gw_prefix range = {.ip = {.family = 4, .ip = {10, 64}}, .bits = bits};
    unsigned moved = fill_tables(&range, 300u + bits);
    print_message("/%u: %u of %u aliases are not the peer's own address\n", bits, moved, NODES * NODES);
    assert_true(!must_collide || moved > NODES);
    for (unsigned i = 0; i < NODES; i++) {
        for (unsigned k = 0; k < NODES; k++) {
            if (i != k)
                expect_reached(&members[i], &members[k]);
        }
    }
}

static void free_tables(void)
{
    for (unsigned i = 0; i < NODES; i++)
        gw_vip_free(members[i].vip);
}

static void everybody_reaches_everybody(void **state)
{
    (void)state;
    run_tables(16, false);
    free_tables();
    run_tables(23, true); /* 509 addresses */
    free_tables();
}

static void put_back(const struct gw_vip_entry *entry, void *ctx)
{
    assert_int_equal(gw_vip_restore(ctx, entry), 0);
}

/* Keys that were made to derive another's address take nothing from it, before and after a restart. */
static void newcomers_move_nobody(void **state)
{
    const struct gw_prefix range = {.ip = {.family = 4, .ip = {10, 64}}, .bits = 22};
    static struct gw_addr before[NODES];
    const struct gw_vip_entry *entry;
    (void)state;
    fill_tables(&range, 22);
    struct member *node = &members[0];
    for (unsigned i = 0; i < NODES; i++)
        before[i] = gw_vip_by_key(node->vip, members[i].key)->ipv4;
    unsigned found = 0;
    for (unsigned n = 0; n < 400; n++) { /* one in four collides */
        uint8_t key[GW_KEY_LEN] = {1};
        struct gw_addr wanted;
        gw_store32_be(key + 4, n);
        gw_vip_derive_ipv4(&range, key, 0, &wanted);
        found += gw_vip_by_address(node->vip, &wanted) != NULL;
        assert_int_equal(gw_vip_assign(node->vip, key, NULL, &entry), 0);
    }
    assert_true(found > 50);
    struct gw_vip *again = new_table(&range, node->key);
    gw_vip_for_each(node->vip, put_back, again);
    for (unsigned i = NODES; i-- > 0;) {
        assert_true(gw_addr_same_ip(&gw_vip_by_key(node->vip, members[i].key)->ipv4, &before[i]));
        assert_int_equal(gw_vip_assign(again, members[i].key, NULL, &entry), 0);
        assert_true(gw_addr_same_ip(&entry->ipv4, &before[i]));
    }
    gw_vip_free(again);
    free_tables();
}

/* ---- whole engines */

struct engine {
    struct sim_node *node;
    struct gw_vip *vip;
    struct gw_addr own;
    unsigned got, wrong;
};

static struct sim_net net;
static struct engine engines[ENGINES];

static const struct gw_addr *alias_of(const struct engine *here, const uint8_t key[GW_KEY_LEN])
{
    return &gw_vip_by_key(here->vip, key)->ipv4;
}

/* Answers whom it has under that address; the answer to an answer is not sent. */
static void on_packet(struct gateway *gateway, struct gw_peer *peer, uint8_t *packet, size_t len,
                      bool is_partial, struct gw_mono now, void *ctx)
{
    struct engine *here = ((struct sim_node *)ctx)->user;
    const struct gw_addr *from = alias_of(here, gw_peer_config(peer)->public_key);
    uint8_t answer[64];
    (void)gateway, (void)is_partial;
    here->got++;
    here->wrong += !is_from_to(packet, len, from, &here->own);
    if (packet[28] != 'p')
        return;
    size_t answer_len = make_udp(answer, &here->own, from);
    answer[28] = 'a';
    gw_store16_be(answer + 26, 0); /* UDP may go without */
    gw_peer_send_packet(peer, now, answer, answer_len);
}

static void add_engine(unsigned i, const struct gw_prefix *range)
{
    struct engine *engine = &engines[i];
    char at[32];
    snprintf(at, sizeof at, "10.0.0.%u:7000", i + 1);
    *engine = (struct engine){.node = sim_net_add(&net, at)};
    engine->vip = new_table(range, gw_gateway_public_key(engine->node->gateway));
    engine->own = gw_vip_own(engine->vip)->ipv4;
    const struct gw_addr told[2] = {engine->own, {.family = 0}};
    gw_gateway_set_addresses(engine->node->gateway, told);
    engine->node->user = engine;
    engine->node->events.on_packet = on_packet;
}

/* guess: what it is thought to call itself until its HELLO comes. */
static void know(struct engine *here, const struct engine *other, bool guess)
{
    const uint8_t *key = gw_gateway_public_key(other->node->gateway);
    struct gw_peer_config config = sim_peer_config(here->node, other->node);
    const struct gw_vip_entry *entry;
    struct gw_peer *peer;
    assert_int_equal(gw_vip_assign(here->vip, key, NULL, &entry), 0);
    config.alias = entry->ipv4;
    config.own_ipv4 = guess ? other->own : (struct gw_addr){.family = 0};
    config.allowed_ips[0] = (struct gw_prefix){.ip = entry->ipv4, .bits = 32};
    config.allowed_ip_count = 1;
    assert_int_equal(gw_gateway_add_peer(here->node->gateway, sim_now(here->node), &config, &peer), 0);
}

static void send_to_all(struct engine *here)
{
    uint8_t packet[64];
    for (unsigned i = 0; i < ENGINES; i++) {
        if (&engines[i] == here)
            continue;
        const struct gw_addr *to = alias_of(here, gw_gateway_public_key(engines[i].node->gateway));
        struct gw_peer *peer = gw_gateway_route(here->node->gateway, to);
        assert_non_null(peer);
        size_t len = make_udp(packet, &here->own, to);
        assert_int_equal(gw_peer_send_packet(peer, sim_now(here->node), packet, len), 0);
    }
    sim_node_pump(here->node);
}

static void run_engines(bool guess)
{
    const struct gw_prefix range = {.ip = {.family = 4, .ip = {10, 64, 0, 0}}, .bits = 28};
    sim_net_init(&net, 28, &(struct sim_link_params){.delay_ns = GW_MS(5)});
    for (unsigned i = 0; i < ENGINES; i++)
        add_engine(i, &range);
    for (unsigned i = 0; i < ENGINES; i++) {
        for (unsigned k = 0; k < ENGINES; k++) {
            if (i != k)
                know(&engines[i], &engines[k], guess);
        }
    }
    if (!guess) { /* the HELLOs of a first exchange tell */
        for (unsigned i = 0; i < ENGINES; i++)
            send_to_all(&engines[i]);
        sim_net_run(&net, GW_S(5));
        for (unsigned i = 0; i < ENGINES; i++)
            engines[i].got = engines[i].wrong = 0;
    }
    for (unsigned i = 0; i < ENGINES; i++)
        send_to_all(&engines[i]);
    sim_net_run(&net, GW_S(5));
    for (unsigned i = 0; i < ENGINES; i++) {
        assert_int_equal(engines[i].wrong, 0);
        assert_int_equal(engines[i].got, 2 * (ENGINES - 1)); /* their packets, and their answers to ours */
        gw_vip_free(engines[i].vip);
    }
    sim_net_fini(&net);
}

static void engines_in_a_full_range(void **state)
{
    (void)state;
    run_engines(true);
    run_engines(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_reaches_everybody),
        cmocka_unit_test(newcomers_move_nobody),
        cmocka_unit_test(engines_in_a_full_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

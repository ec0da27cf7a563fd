/* SPDX-License-Identifier: MIT */
/* Peers without a session, whose anchor relays nothing: it tells both when to punch, they probe each other (type 7), and the handshake goes where the other one answered. */
#include "tests/sim/app.h"
#include "tests/sim/behind.h"

#include "gateway/anchor/anchor_private.h"
#include "gateway/base/log.h"
#include "gateway/gateway_private.h"
#include "gateway/peer/message.h"
#include "gateway/wire/probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sim_net net;
static struct sim_behind world;
static struct sim_nat_line lines[2];
static struct sim_node *anchor, *a, *b;
static struct gw_peer *a_to_b, *b_to_a, *anchor_to_a, *anchor_to_b;

static uint64_t probes, probe_bytes_max, to_victim;
static struct gw_addr victim;

static bool count(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len)
{
    (void)from;
    if (datagram[0] == GW_MESSAGE_PROBE) {
        probes++;
        probe_bytes_max = len > probe_bytes_max ? len : probe_bytes_max;
    }
    to_victim += gw_addr_same_ip(&tuple->remote, &victim);
    return true;
}

static void begin(enum nat_kind kind_a, enum nat_kind kind_b, uint64_t seed)
{
    sim_net_init(&net, seed, NULL);
    sim_behind_init(&world, &net, &(struct sim_link_params){.delay_ns = GW_MS(20)});
    anchor = sim_behind_add_public(&world, "9.9.9.9", NULL);
    sim_nat_add_line(&lines[0], &world.nat, &world.nat.internet, kind_a, 1, false);
    sim_nat_add_line(&lines[1], &world.nat, &world.nat.internet, kind_b, 2, false);
    a = sim_behind_add(&world, &lines[0]);
    b = sim_behind_add(&world, &lines[1]);
    anchor->params.anchor.is_enabled = true;
    anchor->params.anchor.relays = false;
    sim_node_restart(anchor);
    anchor_to_a = sim_node_add_unlocated(anchor, a);
    anchor_to_b = sim_node_add_unlocated(anchor, b);
    sim_node_add_anchor(a, anchor);
    sim_node_add_anchor(b, anchor);
    sim_app_serve(b);
    a_to_b = sim_node_add_unlocated(a, b);
    b_to_a = sim_node_add_unlocated(b, a);
    probes = probe_bytes_max = to_victim = 0;
    gw_addr_parse_ip(&victim, "66.6.6.6", 0);
    a->filter = b->filter = count;
    sim_net_run(&net, GW_S(5)); /* registered, measured */
    probes = 0;
}

static void end(void)
{
    sim_behind_fini(&world);
    sim_net_fini(&net);
}

static uint64_t relayed(void)
{
    struct gw_anchor_stats stats;
    assert_true(gw_gateway_anchor_stats(anchor->gateway, &stats));
    return stats.relayed_bytes + stats.channels;
}

static int64_t time_to_meet(int64_t limit_ns)
{
    static struct sim_client client;
    int64_t ns = 0;
    assert_int_equal(sim_client_start(&client, a, a_to_b, "echo", 100000), 0);
    for (; ns < limit_ns && !client.is_accepted; ns += GW_MS(5))
        sim_net_run(&net, GW_MS(5));
    return ns;
}

static void test_kinds(void **state)
{
    (void)state;
    static const enum nat_kind kinds[] = {
        NAT_KIND_OPEN,  NAT_KIND_FULL_CONE,   NAT_KIND_ADDRESS_RESTRICTED, NAT_KIND_PORT_RESTRICTED,
        NAT_KIND_LINUX, NAT_KIND_CGNAT_DOUBLE};
    int64_t slowest = 0;
    for (unsigned i = 0; i < 36; i++) {
        begin(kinds[i / 6], kinds[i % 6], 100 + i);
        int64_t took = time_to_meet(GW_S(5));
        if (took >= GW_S(5))
            print_error("%s x %s\n", nat_kind_name(kinds[i / 6]), nat_kind_name(kinds[i % 6]));
        assert_true(took < GW_S(5));
        slowest = took > slowest ? took : slowest;
        assert_int_equal(probe_bytes_max, GW_PROBE_LEN);
        assert_in_range(probes, 1, 80);
        end();
    }
    print_message("36 pairs met, the slowest after %lld ms\n", (long long)(slowest / GW_MS(1)));
}

/* Where the plain round leads nowhere: ports in a row are foretold, one side's random ones are searched for, and the anchor's messages are all that they have. */
static void test_further(void **state)
{
    (void)state;
    static const struct {
        enum nat_kind a, b;
        int64_t limit_ns;
    } table[] = {
        {NAT_KIND_SYMMETRIC_SEQUENTIAL, NAT_KIND_PORT_RESTRICTED, GW_S(8)},
        {NAT_KIND_PORT_RESTRICTED, NAT_KIND_SYMMETRIC_SEQUENTIAL, GW_S(8)},
        {NAT_KIND_SYMMETRIC_SEQUENTIAL, NAT_KIND_SYMMETRIC_SEQUENTIAL, GW_S(15)},
        {NAT_KIND_SYMMETRIC_RANDOM, NAT_KIND_PORT_RESTRICTED, GW_S(15)},
        {NAT_KIND_PORT_RESTRICTED, NAT_KIND_SYMMETRIC_RANDOM, GW_S(15)},
        {NAT_KIND_LINUX_RANDOM, NAT_KIND_CGNAT_DOUBLE, GW_S(15)},
    };
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        begin(table[i].a, table[i].b, 300 + i);
        int64_t took = time_to_meet(table[i].limit_ns);
        print_message("%s x %s: %lld ms, %llu probes\n", nat_kind_name(table[i].a), nat_kind_name(table[i].b),
                      (long long)(took / GW_MS(1)), (unsigned long long)probes);
        assert_true(took < table[i].limit_ns);
        assert_int_equal(probe_bytes_max, GW_PROBE_LEN);
        assert_in_range(probes, 1, 2 * (2048 + 512 + 400));
        assert_int_equal(relayed(), 0);
        end();
    }
}

/* No way: five attempts, further and further apart, and then silence until something changes. */
static void test_never(void **state)
{
    (void)state;
    begin(NAT_KIND_SYMMETRIC_RANDOM, NAT_KIND_SYMMETRIC_RANDOM, 7);
    assert_true(time_to_meet(GW_S(400)) >= GW_S(400));
    uint64_t sent = probes;
    print_message("%llu probes in 400 s\n", (unsigned long long)sent);
    assert_in_range(sent, 5, 2 * 5 * 16 * 20);
    sim_net_run(&net, GW_S(600));
    assert_in_range(probes - sent, 0, 200);
    end();
}

/* ---- an anchor that makes things up */

static void initiate(struct gw_peer *to, const uint8_t *tag, uint8_t token, const char *address,
                     unsigned count)
{
    peergate_Control message = {.which_body = peergate_Control_initiate_punch_tag};
    peergate_InitiatePunch *punch = &message.body.initiate_punch;
    memcpy(punch->tag, tag, sizeof punch->tag);
    memset(punch->token, token, sizeof punch->token);
    for (unsigned i = 0; i < count; i++) {
        struct gw_candidate candidate = {.kind = GW_CANDIDATE_OBSERVED};
        gw_addr_parse_ip(&candidate.addr, address, (uint16_t)(1000 + i));
        gw_candidate_encode(&punch->addresses[punch->addresses_count++], &candidate);
    }
    gw_peer_send_message(to, net.clock.now, &message);
    sim_node_pump(anchor);
}

/* The anchor knows only tags; the test takes one from where it was registered. */
static const uint8_t *tag_of_pair(void)
{
    const struct gw_map *tags = &anchor->gateway->anchor->directory.tags;
    return gw_map_first(tags)->key;
}

static void test_forged(void **state)
{
    (void)state;
    begin(NAT_KIND_PORT_RESTRICTED, NAT_KIND_PORT_RESTRICTED, 8);
    static const uint8_t nobodys[16] = {1, 2, 3};
    const uint8_t *tag = tag_of_pair();
    /* Nobody's tag. */
    initiate(anchor_to_b, nobodys, 1, "66.6.6.6", 8);
    sim_net_run(&net, GW_S(3));
    assert_int_equal(to_victim, 0);
    /* The pair's own: 8 addresses, 20 packets each, for one attempt. */
    initiate(anchor_to_b, tag, 2, "66.6.6.6", 8);
    sim_net_run(&net, GW_S(15));
    assert_in_range(to_victim, 1, (8 + 5 * 8) * 20);
    uint64_t once = to_victim;
    /* The same again: nothing. */
    for (unsigned i = 0; i < 100; i++) {
        initiate(anchor_to_b, tag, 2, "66.6.6.6", 8);
        sim_net_run(&net, GW_MS(100));
    }
    assert_int_equal(to_victim, once);
    /* New ones all the time: five, and then two a minute. */
    for (unsigned i = 3; i < 203; i++) {
        initiate(anchor_to_b, tag, (uint8_t)i, "66.6.6.6", 8);
        sim_net_run(&net, GW_MS(1500));
    }
    print_message("%llu packets to a third party in one attempt, %llu in five minutes\n",
                  (unsigned long long)once, (unsigned long long)to_victim);
    assert_true(to_victim <= 24 * once);
    assert_int_equal(probe_bytes_max, GW_PROBE_LEN);
    end();
}

/* A further round as the anchor would have it: the other side is behind a hard NAT, seen at that address, and has vouched for it so. */
static void make_up(struct gw_peer *to, const uint8_t *tag, uint8_t token, const struct gw_addr *seen,
                    const peergate_Vouch *vouch)
{
    struct gw_candidate candidate = {*seen, GW_CANDIDATE_OBSERVED};
    for (unsigned i = 0; i < 2; i++) {
        peergate_Control message = {.which_body = peergate_Control_initiate_punch_tag};
        peergate_InitiatePunch *punch = &message.body.initiate_punch;
        memcpy(punch->tag, tag, sizeof punch->tag);
        memset(punch->token, token + (int)i, sizeof punch->token);
        gw_candidate_encode(&punch->addresses[punch->addresses_count++], &candidate);
        punch->has_nat = true;
        punch->nat.mapping = GW_NAT_ADDRESS_PORT;
        punch->nat.ports = GW_NAT_PORTS_RANDOM;
        punch->again = 1;
        punch->is_complete = i == 1;
        punch->has_vouch = vouch != NULL;
        if (vouch)
            punch->vouch = *vouch;
        gw_peer_send_message(to, net.clock.now, &message);
        sim_node_pump(anchor);
        sim_net_run(&net, GW_MS(1));
    }
}

/* Its word alone makes nobody search: 2,048 packets would go to whom it names. Nor does a vouch of somebody else's, or an old one. */
static void test_made_up(void **state)
{
    (void)state;
    peergate_Vouch vouch = {.has_seen = true, .time = UINT64_MAX};
    struct gw_candidate candidate = {.kind = GW_CANDIDATE_OBSERVED};
    begin(NAT_KIND_PORT_RESTRICTED, NAT_KIND_PORT_RESTRICTED, 20);
    uint8_t tag[GW_TAG_LEN];
    memcpy(tag, tag_of_pair(), sizeof tag);
    gw_addr_parse(&candidate.addr, "66.6.6.6:1000");
    gw_candidate_encode(&vouch.seen, &candidate);
    for (unsigned i = 0; i < 2; i++) {
        to_victim = 0;
        make_up(anchor_to_b, tag, (uint8_t)(10 + 2 * i), &candidate.addr, i == 0 ? NULL : &vouch);
        sim_net_run(&net, GW_S(30));
        assert_in_range(to_victim, 1, 100); /* it has begun, and searched for nobody */
    }
    end();

    begin(NAT_KIND_SYMMETRIC_RANDOM, NAT_KIND_PORT_RESTRICTED, 21);
    memcpy(tag, tag_of_pair(), sizeof tag);
    assert_true(time_to_meet(GW_S(15)) < GW_S(15));
    assert_true(anchor_to_a->anchor_client->words.has_vouch);
    vouch = anchor_to_a->anchor_client->words.vouch;
    assert_int_equal(gw_candidate_decode(&candidate, &vouch.seen), 0);
    victim = candidate.addr;
    a->is_down = true; /* and somebody else has its address */
    sim_net_run(&net, GW_S(900));
    to_victim = 0;
    make_up(anchor_to_b, tag, 30, &victim, &vouch);
    sim_net_run(&net, GW_S(30));
    print_message("%llu packets for an old vouch\n", (unsigned long long)to_victim);
    assert_in_range(to_victim, 1, 100);
    end();
}

/* Probes with a right token and a wrong mac, or of other lengths, are no more than noise to both. */
static void test_noise(void **state)
{
    (void)state;
    begin(NAT_KIND_OPEN, NAT_KIND_OPEN, 9);
    uint8_t datagram[GW_PROBE_LEN] = {7};
    const uint8_t *tag = tag_of_pair();
    initiate(anchor_to_b, tag, 2, "66.6.6.6", 1);
    sim_net_run(&net, GW_MS(100));
    memset(datagram + 4, 2, 8);
    struct gw_tuple tuple = {.local = sim_behind_addr(b, 4)};
    gw_addr_parse(&tuple.remote, "67.6.6.6:6");
    victim = tuple.remote;
    to_victim = 0;
    for (unsigned i = 0; i < 1000; i++) {
        datagram[17] = (uint8_t)i;
        sim_node_receive(b, &tuple, datagram, sizeof datagram, 0);
    }
    sim_net_run(&net, GW_S(12));
    assert_int_equal(to_victim, 0);
    assert_true(time_to_meet(GW_S(5)) < GW_S(5));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),  cmocka_unit_test(test_further), cmocka_unit_test(test_never),
        cmocka_unit_test(test_forged), cmocka_unit_test(test_made_up), cmocka_unit_test(test_noise),
    };
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

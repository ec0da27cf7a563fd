/* SPDX-License-Identifier: MIT */
/* INITIATE_PUNCH across a fleet: `a` is a client of the first anchor only, `b` of the second only, each behind a NAT of its own, and the anchors relay nothing. What passes
 * between the anchors may be lost, late, repeated by whoever writes to the store, or made up by a fellow that went mad. */
#include "tests/sim/app.h"
#include "tests/sim/behind.h"
#include "tests/sim/store.h"

#include "gateway/anchor/anchor.h"
#include "gateway/anchor/fleet_private.h"
#include "gateway/base/log.h"
#include "gateway/gateway_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sim_net net;
static struct sim_behind world;
static struct sim_store store;
static struct sim_nat_line lines[2];
static struct sim_node *anchors[2], *a, *b;
static struct gw_peer *a_to_b, *b_to_a;
static const uint8_t secret[GW_KEY_LEN] = {8, 1, 2, 3, [31] = 64};
static uint64_t probes, frames;
static struct gw_mono first_probe[2]; /* of a, of b, since `probes` was set to 0 */

static bool count(struct sim_node *from, const struct gw_tuple *tuple, const uint8_t *datagram, size_t len)
{
    bool is_to_peer = !gw_addr_same_ip(&tuple->remote, &anchors[0]->addr) &&
                      !gw_addr_same_ip(&tuple->remote, &anchors[1]->addr);
    (void)len;
    if (datagram[0] == GW_MESSAGE_PROBE && is_to_peer) {
        probes++;
        if (gw_mono_is_never(first_probe[from == b]))
            first_probe[from == b] = net.clock.now;
    }
    frames += datagram[0] == GW_MESSAGE_RELAY;
    return true;
}

/* ---- an anchor of a version that knows plain rounds only */

static bool is_second_old;
static struct gw_fleet_ops ops_of[2];

static struct gw_fleet_message read_message(const char *topic, const uint8_t *bytes, size_t len)
{
    const struct gw_fleet *fleet = gw_gateway_anchor(anchors[0]->gateway)->fleet;
    struct gw_fleet_message message;
    uint8_t plain[GW_FLEET_PLAIN_MAX];
    size_t plain_len;
    assert_true(gw_fleet_open(plain, &plain_len, (struct gw_view){bytes, len}, topic, fleet->key,
                              gw_crypto_system()));
    assert_int_equal(gw_fleet_message_decode(&message, (struct gw_view){plain, plain_len}), 0);
    return message;
}

/* Of the second anchor's words what it would not say. */
static void tell_as_old(const char *topic, const uint8_t *bytes, size_t len, void *ctx)
{
    const struct gw_fleet *fleet = gw_gateway_anchor(anchors[1]->gateway)->fleet;
    struct gw_fleet_message message = read_message(topic, bytes, len);
    uint8_t plain[GW_FLEET_PLAIN_MAX], sealed[GW_FLEET_SEALED_MAX];
    message.knows_further = message.punch.is_complete = message.punch.has_vouch = false;
    message.punch.again = 0;
    size_t plain_len = gw_fleet_message_encode(plain, sizeof plain, &message);
    assert_true(plain_len > 0);
    len = gw_fleet_seal(sealed, plain, plain_len, topic, NULL, fleet->key, gw_crypto_system(),
                        gw_random_system());
    store.members[1].ops.tell(topic, sealed, len, ctx);
}

/* What the first one says it has to understand. */
static void tell_to_old(const char *topic, const uint8_t *bytes, size_t len, void *ctx)
{
    struct gw_fleet_message message = read_message(topic, bytes, len);
    assert_false(gw_fleet_is_further(&message.punch));
    store.members[0].ops.tell(topic, bytes, len, ctx);
}

static void make_old(unsigned i)
{
    ops_of[i] = store.members[i].ops;
    ops_of[i].tell = i == 0 ? tell_to_old : tell_as_old;
    anchors[i]->params.anchor.fleet.ops = &ops_of[i];
}

static void begin(enum nat_kind kind_a, enum nat_kind kind_b, uint64_t seed, int64_t store_delay)
{
    sim_net_init(&net, seed, NULL);
    sim_behind_init(&world, &net, &(struct sim_link_params){.delay_ns = GW_MS(20)});
    sim_store_init(&store, &net, store_delay);
    anchors[0] = sim_behind_add_public(&world, "9.9.9.8", NULL);
    anchors[1] = sim_behind_add_public(&world, "9.9.9.9", NULL);
    sim_nat_add_line(&lines[0], &world.nat, &world.nat.internet, kind_a, 1, false);
    sim_nat_add_line(&lines[1], &world.nat, &world.nat.internet, kind_b, 2, false);
    a = sim_behind_add(&world, &lines[0]);
    b = sim_behind_add(&world, &lines[1]);
    for (unsigned i = 0; i < 2; i++) {
        anchors[i]->params.anchor.is_enabled = true;
        anchors[i]->params.anchor.relays = false;
        sim_store_join(&store, anchors[i], secret);
        if (is_second_old)
            make_old(i);
        sim_node_restart(anchors[i]);
        sim_node_add_unlocated(anchors[i], a);
        sim_node_add_unlocated(anchors[i], b);
        sim_store_connect(&store, anchors[i]);
    }
    sim_node_add_anchor(a, anchors[0]);
    sim_node_add_anchor(b, anchors[1]);
    sim_app_serve(b);
    a_to_b = sim_node_add_unlocated(a, b);
    b_to_a = sim_node_add_unlocated(b, a);
    a->filter = b->filter = count;
    sim_net_run(&net, GW_S(5)); /* registered, measured */
    probes = frames = 0;
    first_probe[0] = first_probe[1] = GW_NEVER;
}

static void end(void)
{
    store.is_down = true; /* what is on its way ends */
    sim_net_run(&net, 2 * store.delay_ns);
    sim_behind_fini(&world);
    sim_net_fini(&net);
}

static int64_t time_to_meet(int64_t limit_ns)
{
    static struct sim_client client;
    int64_t ns = 0;
    assert_int_equal(sim_client_start(&client, a, a_to_b, "echo", 1000), 0);
    for (; ns < limit_ns && !client.is_accepted; ns += GW_MS(5))
        sim_net_run(&net, GW_MS(5));
    if (client.stream)
        gw_stream_reset(client.stream, sim_now(a), GW_REASON_CANCELLED);
    return ns;
}

static struct gw_anchor_stats stats_of(unsigned i)
{
    struct gw_anchor_stats stats;
    assert_true(gw_gateway_anchor_stats(anchors[i]->gateway, &stats));
    return stats;
}

/* ---- what it is for */

static void test_kinds(void **state)
{
    (void)state;
    static const enum nat_kind kinds[] = {NAT_KIND_OPEN, NAT_KIND_FULL_CONE, NAT_KIND_PORT_RESTRICTED,
                                          NAT_KIND_LINUX, NAT_KIND_CGNAT_DOUBLE};
    int64_t slowest = 0;
    for (unsigned i = 0; i < 25; i++) {
        begin(kinds[i / 5], kinds[i % 5], 200 + i, GW_MS(5));
        int64_t took = time_to_meet(GW_S(5));
        if (took >= GW_S(5))
            print_error("%s x %s\n", nat_kind_name(kinds[i / 5]), nat_kind_name(kinds[i % 5]));
        assert_true(took < GW_S(5));
        slowest = took > slowest ? took : slowest;
        assert_in_range(probes, 1, 80);
        assert_int_equal(frames, 0);
        for (unsigned j = 0; j < 2; j++) {
            assert_int_equal(stats_of(j).punches, 1);
            assert_int_equal(stats_of(j).channels, 0);
        }
        end();
    }
    print_message("25 pairs met across two anchors, the slowest after %lld ms\n",
                  (long long)(slowest / GW_MS(1)));
}

/* Where the plain round leads nowhere: as with one anchor (sim/meet), in the same time. */
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
        begin(table[i].a, table[i].b, 800 + i, GW_MS(5));
        int64_t took = time_to_meet(table[i].limit_ns);
        print_message("%s x %s: %lld ms, %llu probes\n", nat_kind_name(table[i].a), nat_kind_name(table[i].b),
                      (long long)(took / GW_MS(1)), (unsigned long long)probes);
        assert_true(took < table[i].limit_ns);
        assert_in_range(probes, 1, 2 * (2048 + 512 + 400));
        assert_int_equal(frames, 0);
        end();
    }
}

/* A fellow that knows nothing of them: it is told nothing that it would not understand, and plain rounds are as before. */
static void test_old_fellow(void **state)
{
    (void)state;
    static const enum nat_kind kinds[] = {NAT_KIND_PORT_RESTRICTED, NAT_KIND_SYMMETRIC_SEQUENTIAL};
    is_second_old = true;
    for (unsigned i = 0; i < 4; i++) {
        begin(kinds[i & 1], kinds[i >> 1], 900 + i, GW_MS(5));
        int64_t took = time_to_meet(GW_S(20));
        assert_true(i > 0 || took < GW_S(5));
        for (unsigned j = 0; j < 2; j++) {
            struct gw_fleet_stats stats;
            assert_true(gw_anchor_fleet_stats(gw_gateway_anchor(anchors[j]->gateway), &stats));
            assert_int_equal(stats.dropped_garbage, 0);
            assert_true(stats_of(j).punches > 0);
        }
        end();
    }
    is_second_old = false;
}

/* Both begin at the same time, however far the store is. */
static void test_same_time(void **state)
{
    (void)state;
    static const int64_t delays[] = {GW_MS(1), GW_MS(20), GW_MS(150)};
    for (unsigned i = 0; i < 3; i++) {
        begin(NAT_KIND_PORT_RESTRICTED, NAT_KIND_PORT_RESTRICTED, 300 + i, delays[i]);
        assert_true(time_to_meet(GW_S(5)) < GW_S(5));
        int64_t apart = gw_mono_sub(first_probe[0], first_probe[1]);
        print_message("store %lld ms away: begun %lld ms apart\n", (long long)(delays[i] / GW_MS(1)),
                      (long long)(apart / GW_MS(1)));
        assert_true(apart < GW_MS(10) && apart > -GW_MS(10));
        end();
    }
}

/* Of what passes the store, a fifth is lost. */
static void test_lost(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        begin(NAT_KIND_PORT_RESTRICTED, NAT_KIND_PORT_RESTRICTED, 400 + i, GW_MS(5));
        store.loss = 0.2;
        assert_true(time_to_meet(GW_S(60)) < GW_S(60));
        end();
    }
}

/* Nobody there, one who does not know the asker, and a store that is away are one answer; and then it is back. */
static void test_unknown(void **state)
{
    (void)state;
    begin(NAT_KIND_PORT_RESTRICTED, NAT_KIND_PORT_RESTRICTED, 500, GW_MS(5));
    gw_gateway_remove_peer(b->gateway, sim_now(b), b_to_a);
    sim_net_run(&net, GW_S(700)); /* the tag's life */
    assert_true(time_to_meet(GW_S(10)) >= GW_S(10));
    assert_true(stats_of(0).refused_unknown > 0);
    assert_int_equal(stats_of(0).punches + stats_of(1).punches, 0);
    sim_store_set_down(&store, true);
    b_to_a = sim_node_add_unlocated(b, a);
    sim_net_run(&net, GW_S(40));
    assert_true(time_to_meet(GW_S(10)) >= GW_S(10));
    assert_int_equal(stats_of(0).punches + stats_of(1).punches, 0);
    sim_store_set_down(&store, false);
    sim_net_run(&net, GW_S(40));
    assert_true(time_to_meet(GW_S(10)) < GW_S(10));
    end();
}

/* ---- bad input */

#define KEPT_MAX 16u
static struct {
    char topic[GW_FLEET_NAME_MAX];
    uint8_t bytes[GW_FLEET_SEALED_MAX];
    size_t len;
} kept[KEPT_MAX];
static unsigned kept_count;
static const struct gw_fleet_ops *real_ops;

/* What the first anchor says, kept for later. */
static void keep(const char *topic, const uint8_t *bytes, size_t len, void *ctx)
{
    if (kept_count < KEPT_MAX && len <= sizeof kept[0].bytes) {
        strcpy(kept[kept_count].topic, topic);
        memcpy(kept[kept_count].bytes, bytes, len);
        kept[kept_count++].len = len;
    }
    real_ops->tell(topic, bytes, len, ctx);
}

/* Whoever writes to the store says again and again what the anchors said: the client takes a token once, and its anchor stops telling it. */
static void test_replayed(void **state)
{
    (void)state;
    begin(NAT_KIND_PORT_RESTRICTED, NAT_KIND_PORT_RESTRICTED, 600, GW_MS(5));
    struct gw_fleet *fleet = gw_gateway_anchor(anchors[0]->gateway)->fleet;
    struct gw_fleet_ops ops = *fleet->params.ops;
    real_ops = fleet->params.ops;
    ops.tell = keep;
    fleet->params.ops = &ops;
    kept_count = 0;
    assert_true(time_to_meet(GW_S(5)) < GW_S(5));
    fleet->params.ops = real_ops;
    assert_true(kept_count > 0);
    sim_net_run(&net, GW_S(40));
    uint64_t before = probes;
    struct gw_anchor_stats stats = stats_of(1);
    for (unsigned i = 0; i < 300; i++) {
        for (unsigned j = 0; j < kept_count; j++)
            sim_store_say(&store, kept[j].topic, kept[j].bytes, kept[j].len);
        sim_net_run(&net, GW_MS(100));
    }
    assert_int_equal(probes, before);
    assert_true(stats_of(1).punches - stats.punches <= 20 + 31);
    assert_true(stats_of(1).refused_rate - stats.refused_rate > 100);
    end();
}

/* A fellow that went mad: new tokens all the time, with a third party's addresses. Its client takes five, and then two a minute. */
static void test_mad_fellow(void **state)
{
    (void)state;
    begin(NAT_KIND_PORT_RESTRICTED, NAT_KIND_PORT_RESTRICTED, 700, GW_MS(5));
    struct gw_fleet *fleet = gw_gateway_anchor(anchors[0]->gateway)->fleet;
    struct gw_fleet_message message = {.kind = GW_FLEET_PUNCH,
                                       .to_instance = gw_gateway_anchor(anchors[1]->gateway)->instance,
                                       .punch = {.delay_ms = UINT32_MAX, .round = 1, .address_count = 8}};
    const uint8_t *tag = gw_map_first(&anchors[1]->gateway->anchor->directory.tags)->key;
    memcpy(message.tag, tag, sizeof message.tag);
    for (unsigned i = 0; i < 8; i++)
        gw_addr_parse_ip(&message.punch.addresses[i].addr, "66.6.6.6", (uint16_t)(1000 + i));
    for (unsigned i = 0; i < 600; i++) {
        message.punch.token[0] = (uint8_t)i;
        message.punch.token[1] = (uint8_t)(i >> 8);
        message.punch.token[2] = 1;
        gw_fleet_say(fleet, anchors[1]->gateway->host.local.public_key, &message);
        sim_net_run(&net, GW_MS(500));
    }
    print_message("%llu packets to a third party in five minutes\n", (unsigned long long)probes);
    assert_in_range(probes, 1, (5 + 11) * (8 + 5 * 8) * 20);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),      cmocka_unit_test(test_further),
        cmocka_unit_test(test_old_fellow), cmocka_unit_test(test_same_time),
        cmocka_unit_test(test_lost),       cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_replayed),   cmocka_unit_test(test_mad_fellow),
    };
    gw_log_set_level(getenv("GW_DEBUG") ? GW_LOG_DEBUG : GW_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* UDP associations, ICMP echo, fragments, listeners on fixed ports, and packets that must be dropped. */
#include "gateway/base/err.h"
#include "gateway/packet/ip.h"
#include "netstack/fragment.h"
#include "netstack/icmp.h"
#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct gw_netstack_stats stats_of(struct wire *wire)
{
    struct gw_netstack_stats stats;
    gw_netstack_stats(wire->stack, &stats);
    return stats;
}

static void send_pattern(struct end *end, size_t len)
{
    uint8_t *bytes = malloc(len ? len : 1);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(9u * 31 + i * 7 + (i >> 8) * 13 + (i >> 16));
    assert_int_equal(gw_connection_send_datagram(end->connection, end->wire->now, bytes, len), 0);
    free(bytes);
}

static void echo(int family, size_t len)
{
    struct wire *wire = wire_new(NULL);
    struct end client = {0};
    wire->answer_len = 1; /* echoes */
    assert_int_equal(wire_connect_udp(wire, &client, family, 53), 0);
    for (int i = 0; i < 3; i++)
        send_pattern(&client, len);
    wire_run(wire, GW_S(1), NULL, NULL);
    assert_int_equal(wire->accepted, 1);
    assert_int_equal(wire->ends[0].datagrams, 3);
    assert_int_equal(client.datagrams, 3);
    assert_int_equal(client.last_len, len);
    wire_free(wire);
}

static void test_datagrams_both_ways(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        echo(family, 0);
        echo(family, 1);
        echo(family, 1372); /* the path's, as IPv6 */
        echo(family, 1393);
        echo(family, 9000);
        echo(family, family == 6 ? 65487 : 65507);
    }
}

static void test_too_big_and_too_early(void **state)
{
    (void)state;
    struct wire *wire = wire_new(NULL);
    struct end client = {0};
    static uint8_t big[65508];
    assert_int_equal(wire_connect_udp(wire, &client, 4, 53), 0);
    assert_int_equal(gw_connection_send_datagram(client.connection, wire->now, big, 65508), GW_E_TOO_BIG);
    wire->answer = ANSWER_WAIT;
    for (int i = 0; i < 10; i++)
        send_pattern(&client, 100);
    wire_run(wire, GW_MS(10), NULL, NULL);
    assert_int_equal(gw_connection_send_datagram(wire->offers[0], wire->now, big, 1), GW_E_STATE);
    struct end *server = &wire->ends[wire->accepted++];
    *server = (struct end){.wire = wire, .connection = wire->offers[0]};
    gw_connection_accept(wire->offers[0], wire->now, &end_ops, server);
    assert_int_equal(server->datagrams, 4); /* what waits is bounded */
    assert_int_equal(stats_of(wire).dropped_limit, 6);
    wire_free(wire);
}

static void test_idle_ones_end(void **state)
{
    (void)state;
    struct wire *wire = wire_new(NULL);
    struct end client = {0};
    assert_int_equal(wire_connect_udp(wire, &client, 4, 53), 0);
    send_pattern(&client, 10);
    wire_run(wire, GW_S(1), NULL, NULL);
    gw_connection_set_idle(wire->ends[0].connection, wire->now, GW_S(5));
    wire_run(wire, GW_S(10), NULL, NULL);
    assert_true(wire->ends[0].is_closed && wire->ends[0].reason == GW_REASON_NONE);
    assert_false(client.is_closed);
    wire_run(wire, GW_S(120), NULL, NULL);
    assert_true(client.is_closed);
    assert_true(gw_mono_is_never(gw_netstack_next_deadline(wire->stack)));
    wire_free(wire);
}

static size_t write_datagram(uint8_t *out, uint32_t from, uint16_t port)
{
    struct gw_ip ip;
    memset(out, 0, 32);
    out[0] = 0x45;
    gw_store16_be(out + 2, 32);
    out[8] = 64;
    out[9] = GW_IP_UDP;
    gw_store32_be(out + 12, from);
    gw_store32_be(out + 16, 0x0a400002u);
    gw_store16_be(out + 20, port);
    gw_store16_be(out + 22, 53);
    gw_store16_be(out + 24, 12);
    for (unsigned i = 0; i < 4; i++)
        out[28 + i] = (uint8_t)(9u * 31 + i * 7);
    gw_checksum_ip_header(out, 20);
    assert_int_equal(gw_ip_parse(&ip, out, 32), 0);
    gw_checksum_complete(out, &ip);
    return 32;
}

static void test_a_flood_is_bounded_and_spares_the_answered(void **state)
{
    (void)state;
    struct gw_netstack_params params = {.max_associations = 500};
    struct wire *wire = wire_new(&params);
    struct end client = {0};
    uint8_t packet[32];
    wire->answer_len = 1;
    assert_int_equal(wire_connect_udp(wire, &client, 4, 53), 0);
    send_pattern(&client, 10);
    wire_run(wire, GW_S(1), NULL, NULL);
    wire->answer_len = 0; /* the others get no answer */
    for (uint32_t i = 0; i < 100000; i++) {
        wire->accepted = 1 + i % 1000;
        wire_inject(wire, 1, packet,
                    write_datagram(packet, 0x0a410000u + i % 5000, (uint16_t)(1 + i / 5000)));
        assert_true(stats_of(wire).associations <= 500);
    }
    send_pattern(&client, 10);
    wire_run(wire, GW_S(1), NULL, NULL);
    assert_int_equal(client.datagrams, 2);
    assert_true(stats_of(wire).evicted > 99000);
    wire_free(wire);
}

/* ---- refusals */

static unsigned unreachables;

static bool count_unreachables(struct wire *wire, int from, uint8_t *packet, size_t len)
{
    (void)wire;
    if (from == 1 && packet[0] >> 4 == 4 && packet[9] == GW_IP_ICMP && packet[20] == 3 && packet[21] == 3) {
        assert_int_equal(gw_checksum_fold(gw_checksum_add(0, packet + 20, len - 20)), 0xffff);
        assert_int_equal(gw_load16_be(packet + 28 + 22), 53); /* quotes the datagram */
        unreachables++;
    }
    return true;
}

static void test_refused_datagrams(void **state)
{
    (void)state;
    struct wire *wire = wire_new(NULL);
    uint8_t packet[32];
    unreachables = 0;
    wire->filter = count_unreachables;
    wire->answer = ANSWER_REFUSE;
    for (uint32_t i = 0; i < 1000; i++)
        wire_inject(wire, 1, packet, write_datagram(packet, 0x0a410000u, (uint16_t)(1 + i)));
    assert_int_equal(unreachables, 200); /* at a bounded rate */
    wire->answer = ANSWER_DROP;
    wire->now = gw_mono_add(wire->now, GW_S(10));
    wire_inject(wire, 1, packet, write_datagram(packet, 0x0a410000u, 7));
    assert_int_equal(unreachables, 200);
    wire_free(wire);
}

/* ---- echo */

static uint8_t echo_reply[2000];
static size_t echo_reply_len;

static bool take_reply(struct wire *wire, int from, uint8_t *packet, size_t len)
{
    (void)wire;
    if (from != 1)
        return true;
    memcpy(echo_reply, packet, len);
    echo_reply_len = len;
    return false;
}

static void test_echo(void **state)
{
    (void)state;
    struct wire *wire = wire_new(NULL);
    uint8_t packet[256];
    wire->filter = take_reply;
    for (int family = 4; family <= 6; family += 2) {
        struct gw_icmp_echo request = {.from = wire_address(0, family, 0),
                                       .to = wire_address(1, family, 0),
                                       .id = 5,
                                       .seq = 6},
                            reply;
        size_t len = gw_icmp_request(packet, sizeof packet, &request, 56);
        echo_reply_len = 0;
        wire_inject(wire, 1, packet, len);
        assert_int_equal(echo_reply_len, len);
        assert_true(gw_icmp_parse(echo_reply, echo_reply_len, &reply));
        assert_true(reply.is_reply && reply.id == 5 && reply.seq == 6);
        assert_true(gw_addr_same_ip(&reply.to, &request.from));
        packet[len - 1] ^= 1; /* a wrong checksum */
        echo_reply_len = 0;
        wire_inject(wire, 1, packet, len);
        assert_int_equal(echo_reply_len, 0);
    }
    wire_free(wire);
}

/* ---- listeners */

static struct end *listening_end;
static unsigned heard;

static void on_offer(struct gw_netstack_link *link, struct gw_connection *offer, struct gw_mono now,
                     void *ctx)
{
    (void)link;
    heard++;
    *listening_end = (struct end){.wire = ctx, .connection = offer, .to_send = 1, .seed = 1, .own_seed = 2};
    gw_connection_accept(offer, now, &end_ops, listening_end);
}

static void test_listeners_on_a_fixed_address(void **state)
{
    (void)state;
    struct wire *wire = wire_new(NULL);
    struct end udp = {.wire = wire}, tcp = {.wire = wire, .own_seed = 1, .seed = 2};
    struct gw_addr dns;
    listening_end = calloc(1, sizeof *listening_end);
    heard = 0;
    wire->answer = ANSWER_REFUSE;
    assert_int_equal(gw_addr_parse_ip(&dns, "10.64.0.53", 53), 0);
    assert_int_equal(gw_netstack_link_listen(wire->link[1], &dns, true, on_offer, wire), 0);
    assert_int_equal(gw_netstack_link_listen(wire->link[1], &dns, false, on_offer, wire), 0);
    gw_netstack_link_clear_addresses(wire->link[1]);
    assert_true(gw_netstack_link_has_address(wire->link[1], &dns));
    struct gw_netstack_connect_params params = {.link = wire->link[0],
                                                .peer = &wire->peer[0],
                                                .from = wire_address(0, 4, 0),
                                                .to = dns,
                                                .ops = &end_ops};
    params.is_udp = true;
    params.user = &udp;
    assert_int_equal(gw_netstack_connect(&udp.connection, wire->now, &params), 0);
    send_pattern(&udp, 40);
    wire_run(wire, GW_S(1), NULL, NULL);
    assert_int_equal(heard, 1);
    assert_int_equal(udp.datagrams, 1);
    params.is_udp = false;
    params.user = &tcp;
    assert_int_equal(gw_netstack_connect(&tcp.connection, wire->now, &params), 0);
    wire_run(wire, GW_S(1), NULL, NULL);
    assert_int_equal(heard, 2);
    assert_int_equal(tcp.received, 1);
    /* The next port is not listened on, the old address not ours any more. */
    dns.port = 54;
    params.to = dns;
    tcp = (struct end){.wire = wire};
    assert_int_equal(gw_netstack_connect(&tcp.connection, wire->now, &params), 0);
    wire_run(wire, GW_S(1), NULL, NULL);
    assert_int_equal(tcp.reason, GW_REASON_SERVICE_DOWN);
    uint64_t foreign = stats_of(wire).dropped_foreign;
    assert_int_equal(wire_connect(wire, &tcp, 4, 53, 0), 0);
    wire_run(wire, GW_MS(100), NULL, NULL);
    assert_true(stats_of(wire).dropped_foreign > foreign);
    wire_free(wire);
    free(listening_end);
}

/* ---- bad packets */

static void test_bad_packets_are_counted(void **state)
{
    (void)state;
    struct wire *wire = wire_new(NULL);
    uint8_t packet[32];
    struct gw_netstack_stats stats;
    static const uint32_t martians[] = {0x7f000001u, 0xe0000001u, 0xffffffffu, 0x00000000u,
                                        0x0a400002u, 0xf0000001u, 0x00010203u};
    for (size_t i = 0; i < sizeof martians / sizeof martians[0]; i++)
        wire_inject(wire, 1, packet, write_datagram(packet, martians[i], 1));
    stats = stats_of(wire);
    assert_int_equal(stats.dropped_martian, sizeof martians / sizeof martians[0]);
    for (size_t len = 0; len < 32; len++) {
        write_datagram(packet, 0x0a410001u, 1);
        wire_inject(wire, 1, packet, len);
    }
    write_datagram(packet, 0x0a410001u, 1);
    packet[31] ^= 1;
    wire_inject(wire, 1, packet, 32); /* UDP checksum */
    write_datagram(packet, 0x0a410001u, 1);
    packet[10] ^= 1;
    wire_inject(wire, 1, packet, 32); /* IP checksum */
    write_datagram(packet, 0x0a410001u, 0);
    wire_inject(wire, 1, packet, 32); /* port 0 */
    stats = stats_of(wire);
    assert_int_equal(stats.dropped_malformed, 35);
    write_datagram(packet, 0x0a410001u, 1);
    packet[9] = 47;
    gw_checksum_ip_header(packet, 20);
    wire_inject(wire, 1, packet, 32);
    assert_int_equal(stats_of(wire).dropped_foreign, 1);
    assert_int_equal(stats_of(wire).associations, 0);
    assert_int_equal(wire->sent[1], 0);
    wire_free(wire);
}

static void test_fragments_that_overlap(void **state)
{
    (void)state;
    struct gw_fragments fragments;
    struct gw_ip ip;
    uint8_t packet[20 + 64] = {0}, *out;
    size_t len;
    struct gw_mono now = {0};
    gw_fragments_init(&fragments);
    packet[0] = 0x45;
    packet[9] = GW_IP_UDP;
    const struct {
        uint16_t word, len;
        int result;
    } steps[] = {
        {0x2000, 16, 0},
        {0x2000, 16, GW_E_MALFORMED}, /* a duplicate: the datagram is lost */
        {0x2002, 16, 0},
        {0x0004, 10, 0},              /* the end, and a hole at the start */
        {0x2006, 16, GW_E_MALFORMED}, /* beyond the end */
        {0x2000, 15, GW_E_MALFORMED}, /* not whole words */
        {0x2000, 16, 0},
        {0x0002, 0, GW_E_MALFORMED}, /* empty */
        {0x0002, 10, 1},
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        gw_store16_be(packet + 2, (uint16_t)(20 + steps[i].len));
        gw_store16_be(packet + 6, steps[i].word);
        assert_int_equal(gw_ip_parse(&ip, packet, sizeof packet), 0);
        assert_int_equal(gw_fragments_add(&fragments, now, 1, packet, &ip, &out, &len), steps[i].result);
    }
    assert_int_equal(len, 20 + 26);
    /* More than 8 datagrams at a time: the oldest is lost. */
    for (uint16_t id = 1; id <= 9; id++) {
        gw_store16_be(packet + 4, id);
        gw_store16_be(packet + 2, 36);
        gw_store16_be(packet + 6, 0x2000);
        now.ns++;
        assert_int_equal(gw_ip_parse(&ip, packet, sizeof packet), 0);
        assert_int_equal(gw_fragments_add(&fragments, now, 1, packet, &ip, &out, &len), 0);
    }
    for (uint16_t id = 1; id <= 2; id++) {
        gw_store16_be(packet + 4, id);
        gw_store16_be(packet + 6, 0x0002);
        assert_int_equal(gw_ip_parse(&ip, packet, sizeof packet), 0);
        assert_int_equal(gw_fragments_add(&fragments, now, 1, packet, &ip, &out, &len),
                         0); /* 1 is gone, and takes 2's place */
    }
    gw_fragments_fini(&fragments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_datagrams_both_ways),
        cmocka_unit_test(test_too_big_and_too_early),
        cmocka_unit_test(test_idle_ones_end),
        cmocka_unit_test(test_a_flood_is_bounded_and_spares_the_answered),
        cmocka_unit_test(test_refused_datagrams),
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_listeners_on_a_fixed_address),
        cmocka_unit_test(test_bad_packets_are_counted),
        cmocka_unit_test(test_fragments_that_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

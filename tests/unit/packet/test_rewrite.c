/* SPDX-License-Identifier: MIT */
#include "gateway/packet/rewrite.h"
#include "tests/unit/packet/make.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t theirs[4] = {10, 64, 200, 7}, alias[4] = {10, 64, 255, 254};

static uint8_t *source_of(uint8_t *packet)
{
    return packet + 12;
}

static void put_source(uint8_t *packet, size_t len, const uint8_t from[4])
{
    struct gw_ip ip;
    memcpy(source_of(packet), from, 4);
    assert_int_equal(gw_ip_parse(&ip, packet, len), 0);
    gw_checksum_ip_header(packet, ip.l4);
    gw_checksum_complete(packet, &ip);
}

static void rewrite(uint8_t *packet, size_t len, enum gw_rewrite_side side, const uint8_t from[4],
                    const uint8_t to[4])
{
    struct gw_ip ip;
    assert_int_equal(gw_ip_parse(&ip, packet, len), 0);
    gw_ip_rewrite(packet, &ip, side, from, to, false);
}

static void whole_packets_keep_right_checksums(void **state)
{
    uint8_t packet[2048], before[2048];
    (void)state;
    srand(28);
    for (unsigned i = 0; i < 4000; i++) {
        const struct make make = {.version = 4,
                                  .protocol = i % 2 ? 6 : 17,
                                  .flow = (uint8_t)rand(),
                                  .seq = (uint32_t)rand(),
                                  .flags = GW_TCP_ACK,
                                  .id = (uint16_t)rand(),
                                  .payload = (size_t)rand() % 1400,
                                  .fill = (uint8_t)rand()};
        const uint8_t from[4] = {10, 64, (uint8_t)rand(), (uint8_t)rand()},
                      to[4] = {(uint8_t)rand(), (uint8_t)rand(), (uint8_t)rand(), (uint8_t)rand()};
        size_t len = make_packet(packet, &make);
        put_source(packet, len, from);
        memcpy(before, packet, len);
        rewrite(packet, len, GW_REWRITE_SOURCE, from, to);
        assert_memory_equal(source_of(packet), to, 4);
        assert_int_equal(naive_sum(packet, 20), 0);
        assert_int_equal(naive_l4(packet, len), 0);
        rewrite(packet, len, GW_REWRITE_SOURCE, to, from);
        assert_int_equal(naive_l4(packet, len), 0);
        assert_memory_equal(packet + 28, before + 28, len - 28 < 8 ? len - 28 : 8);
        /* The other side has another address: nothing happens. */
        memcpy(before, packet, len);
        rewrite(packet, len, GW_REWRITE_DESTINATION, from, to);
        assert_memory_equal(packet, before, len);
    }
}

static void a_wrong_checksum_stays_wrong(void **state)
{
    const struct make make = {.version = 4, .protocol = 6, .flags = GW_TCP_ACK, .payload = 30};
    uint8_t packet[128];
    (void)state;
    size_t len = make_packet(packet, &make);
    put_source(packet, len, theirs);
    packet[len - 1] ^= 0x10;
    rewrite(packet, len, GW_REWRITE_SOURCE, theirs, alias);
    assert_int_not_equal(naive_l4(packet, len), 0);
    assert_int_equal(naive_sum(packet, 20), 0);
}

static void what_is_left_out_stays_out(void **state)
{
    const struct make tcp = {.version = 4, .protocol = 6, .flags = GW_TCP_ACK, .payload = 30},
                      udp = {.version = 4, .protocol = 17, .payload = 30};
    uint8_t packet[128];
    struct gw_ip ip;
    (void)state;
    /* The seal protects it, and it is not filled in. */
    size_t len = make_packet(packet, &tcp);
    put_source(packet, len, theirs);
    gw_store16_be(packet + 20 + 16, 0x1234);
    assert_int_equal(gw_ip_parse(&ip, packet, len), 0);
    gw_ip_rewrite(packet, &ip, GW_REWRITE_SOURCE, theirs, alias, true);
    assert_memory_equal(source_of(packet), alias, 4);
    assert_int_equal(gw_load16_be(packet + 20 + 16), 0x1234);
    assert_int_equal(naive_sum(packet, 20), 0);
    /* UDP without a checksum. */
    len = make_packet(packet, &udp);
    put_source(packet, len, theirs);
    gw_store16_be(packet + 20 + 6, 0);
    rewrite(packet, len, GW_REWRITE_SOURCE, theirs, alias);
    assert_int_equal(gw_load16_be(packet + 20 + 6), 0);
}

/* Bytes `from` to `to` of the packet's layer 4 as a fragment; its length. */
static size_t fragment(uint8_t *out, const uint8_t *packet, size_t len, size_t from, size_t to)
{
    memcpy(out, packet, 20);
    memcpy(out + 20, packet + 20 + from, to - from);
    gw_store16_be(out + 2, (uint16_t)(20 + to - from));
    gw_store16_be(out + 6, (uint16_t)(from / 8 | (to < len - 20 ? 0x2000u : 0)));
    gw_checksum_ip_header(out, 20);
    return 20 + to - from;
}

/* Put together again they are what the whole would have become, wherever the cuts are: a TCP checksum may lie in the second of two tiny ones. */
static void fragments(void **state)
{
    uint8_t packet[512], part[512], joined[512];
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        const struct make make = {
            .version = 4, .protocol = i ? 6 : 17, .flags = GW_TCP_ACK, .payload = 300, .fill = 9};
        size_t len = make_packet(packet, &make);
        put_source(packet, len, theirs);
        for (size_t cut = 8; cut < 64; cut += 8) {
            size_t first = fragment(part, packet, len, 0, cut);
            rewrite(part, first, GW_REWRITE_SOURCE, theirs, alias);
            assert_int_equal(naive_sum(part, 20), 0);
            memcpy(joined, part, first);
            size_t second = fragment(part, packet, len, cut, len - 20);
            rewrite(part, second, GW_REWRITE_SOURCE, theirs, alias);
            assert_int_equal(naive_sum(part, 20), 0);
            assert_memory_equal(source_of(part), alias, 4);
            memcpy(joined + first, part + 20, second - 20);
            assert_int_equal(naive_l4(joined, len), 0);
        }
    }
}

/* "Unreachable" about the first `quote` bytes of a packet. */
static size_t quote_error(uint8_t *out, const uint8_t *packet, size_t quote, const uint8_t from[4])
{
    static const uint8_t us[4] = {10, 64, 0, 1};
    memset(out, 0, 28);
    out[0] = 0x45;
    gw_store16_be(out + 2, (uint16_t)(28 + quote));
    out[8] = 64;
    out[9] = GW_IP_ICMP;
    memcpy(out + 12, from, 4);
    memcpy(out + 16, us, 4);
    gw_checksum_ip_header(out, 20);
    out[20] = 3;
    out[21] = 3;
    memcpy(out + 28, packet, quote);
    gw_store16_be(out + 22, naive_sum(out + 20, 8 + quote));
    return 28 + quote;
}

static void errors_quote_the_other_side(void **state)
{
    uint8_t packet[512], error[512];
    (void)state;
    for (unsigned i = 0; i < 400; i++) {
        const struct make make = {.version = 4,
                                  .protocol = i % 2 ? 6 : 17,
                                  .flow = (uint8_t)i,
                                  .flags = GW_TCP_ACK,
                                  .payload = 40,
                                  .fill = (uint8_t)(i * 7)};
        size_t len = make_packet(packet, &make);
        /* What we sent to the peer, as it has it: to its own address. */
        memcpy(packet + 16, theirs, 4);
        gw_checksum_ip_header(packet, 20);
        size_t quotes[] = {20, 24, 28, 40, len};
        size_t quote = quotes[i % 5];
        gw_store16_be(packet + 20 + (i % 2 ? 16 : 6), 0);
        gw_store16_be(packet + 20 + (i % 2 ? 16 : 6), naive_l4(packet, len));
        size_t got = quote_error(error, packet, quote, theirs);
        rewrite(error, got, GW_REWRITE_SOURCE, theirs, alias);
        assert_memory_equal(source_of(error), alias, 4);
        assert_memory_equal(error + 28 + 16, alias, 4);
        assert_int_equal(naive_sum(error, 20), 0);
        assert_int_equal(naive_sum(error + 20, got - 20), 0);
        assert_int_equal(naive_sum(error + 28, 20), 0);
        if (quote == len)
            assert_int_equal(naive_l4(error + 28, len), 0);
    }
}

static void an_echo_quotes_nothing(void **state)
{
    uint8_t packet[128], error[256], before[256];
    const struct make make = {.version = 4, .protocol = 17, .payload = 40};
    (void)state;
    size_t len = make_packet(packet, &make);
    memcpy(packet + 16, theirs, 4);
    size_t got = quote_error(error, packet, len, alias);
    error[20] = 8; /* its payload only looks like it */
    memcpy(before, error, got);
    rewrite(error, got, GW_REWRITE_SOURCE, theirs, alias);
    assert_memory_equal(error, before, got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_packets_keep_right_checksums), cmocka_unit_test(a_wrong_checksum_stays_wrong),
        cmocka_unit_test(what_is_left_out_stays_out),         cmocka_unit_test(fragments),
        cmocka_unit_test(errors_quote_the_other_side),        cmocka_unit_test(an_echo_quotes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "gateway/base/err.h"
#include "gateway/packet/ip.h"
#include "tests/unit/packet/make.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void whole_packets_are_taken(void **state)
{
    (void)state;
    const struct {
        struct make make;
        size_t l4, header;
    } rows[] = {
        /* 1 */ {{.version = 4, .protocol = 6, .payload = 100}, 20, 40},
        /* 2 */ {{.version = 4, .protocol = 6, .options = 12}, 20, 52},
        /* 3 */ {{.version = 4, .protocol = 17, .payload = 1}, 20, 28},
        /* 4 */ {{.version = 6, .protocol = 6, .payload = 1}, 40, 60},
        /* 5 */ {{.version = 6, .protocol = 17}, 40, 48},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t packet[512];
        struct gw_ip ip;
        size_t len = make_packet(packet, &rows[i].make);
        assert_int_equal(gw_ip_parse(&ip, packet, len), 0);
        assert_int_equal(ip.version, rows[i].make.version);
        assert_int_equal(ip.protocol, rows[i].make.protocol);
        assert_int_equal(ip.l4, rows[i].l4);
        assert_int_equal(ip.header_len, rows[i].header);
        assert_int_equal(ip.total_len, len);
        assert_true(gw_checksum_is_right(packet, &ip));
        /* Padding behind is not the packet's; any cut is refused. */
        assert_int_equal(gw_ip_parse(&ip, packet, len + 7), 0);
        assert_int_equal(ip.total_len, len);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(gw_ip_parse(&ip, packet, cut), GW_E_MALFORMED);
    }
}

struct patch {
    size_t at;
    uint8_t value;
    int result;
};

static void headers_that_lie_are_refused(void **state)
{
    (void)state;
    const struct make v4 = {.version = 4, .protocol = 6, .payload = 10},
                      v6 = {.version = 6, .protocol = 17, .payload = 10};
    const struct {
        const struct make *make;
        struct patch patch;
    } rows[] = {
        /* 1 version */ {&v4, {0, 0x55, GW_E_MALFORMED}},
        /* 2 header of 16 */ {&v4, {0, 0x44, GW_E_MALFORMED}},
        /* 3 longer than there is */ {&v4, {2, 1, GW_E_MALFORMED}},
        /* 4 shorter than its header */ {&v4, {3, 19, GW_E_MALFORMED}},
        /* 5 TCP header of 16 */ {&v4, {32, 0x40, GW_E_MALFORMED}},
        /* 6 TCP header behind the end */ {&v4, {32, 0xf0, GW_E_MALFORMED}},
        /* 7 a fragment has no layer 4 */ {&v4, {6, 0x20, 0}},
        /* 8 UDP longer than there is */ {&v6, {44, 1, GW_E_MALFORMED}},
        /* 9 UDP shorter than its header */ {&v6, {45, 7, GW_E_MALFORMED}},
        /* 10 IPv6 longer than there is */ {&v6, {4, 1, GW_E_MALFORMED}},
        /* 11 another protocol */ {&v6, {6, 132, 0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t packet[128];
        struct gw_ip ip;
        size_t len = make_packet(packet, rows[i].make);
        packet[rows[i].patch.at] = rows[i].patch.value;
        assert_int_equal(gw_ip_parse(&ip, packet, len), rows[i].patch.result);
    }
}

static void extension_headers_are_walked(void **state)
{
    (void)state;
    uint8_t packet[256] = {0x60, 0, 0, 0, 0, 32, 0 /* hop-by-hop */, 64};
    struct gw_ip ip;
    packet[40] = 60; /* destination options of 16 bytes */
    packet[48] = 17;
    packet[49] = 1;
    packet[64 + 5] = 8;
    assert_int_equal(gw_ip_parse(&ip, packet, 72), 0);
    assert_int_equal(ip.l4, 64);
    assert_true(ip.has_extensions);
    packet[49] = 200; /* behind the end */
    assert_int_equal(gw_ip_parse(&ip, packet, 72), GW_E_MALFORMED);
    packet[48] = 44; /* a fragment header, offset 0 and more */
    packet[49] = 1;
    packet[64] = 17;
    packet[67] = 1;
    assert_int_equal(gw_ip_parse(&ip, packet, 72), 0);
    assert_true(ip.is_fragment);
    for (unsigned i = 40; i < 240; i += 8) /* hop-by-hop for ever */
        packet[i] = packet[i + 1] = 0;
    packet[5] = 200;
    assert_int_equal(gw_ip_parse(&ip, packet, 240), GW_E_MALFORMED);
}

static void checksums_equal_the_naive_ones(void **state)
{
    (void)state;
    uint8_t data[1600];
    srand(1);
    for (unsigned round = 0; round < 20000; round++) {
        size_t len = (size_t)rand() % 1500, offset = (size_t)rand() % 16;
        for (size_t i = 0; i < sizeof data; i += 1 + (size_t)rand() % 64)
            data[i] = round % 7 == 0 ? 0xff : (uint8_t)rand();
        uint16_t sum = (uint16_t)~gw_checksum_fold(gw_checksum_add(0, data + offset, len)),
                 naive = naive_sum(data + offset, len);
        assert_true(sum == naive || (uint16_t)(sum ^ naive) == 0xffff); /* two zeros */
    }
}

static void checksums_are_completed(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 400; i++) {
        uint8_t packet[2048], want[2048];
        struct gw_ip ip;
        const struct make make = {
            .version = i % 2 ? 6 : 4, .protocol = i % 4 < 2 ? 6 : 17, .payload = 3 * i, .fill = (uint8_t)i};
        size_t len = make_packet(want, &make);
        memcpy(packet, want, len);
        assert_int_equal(gw_ip_parse(&ip, packet, len), 0);
        packet[ip.l4 + gw_checksum_offset(ip.protocol)] ^= 0x5a;
        assert_false(gw_checksum_is_right(packet, &ip));
        gw_checksum_complete(packet, &ip);
        assert_memory_equal(packet, want, len);
    }
}

static void flows_hash_by_their_five_numbers(void **state)
{
    (void)state;
    const uint8_t seed[16] = {1}, other[16] = {2};
    uint8_t a[256], b[256];
    struct gw_ip ip;
    size_t len =
        make_packet(a, &(struct make){.version = 4, .protocol = 6, .flow = 1, .seq = 1, .payload = 9});
    make_packet(b,
                &(struct make){.version = 4, .protocol = 6, .flow = 1, .seq = 77, .payload = 9, .fill = 3});
    assert_int_equal(gw_ip_parse(&ip, a, len), 0);
    assert_int_equal(gw_ip_flow_hash(a, &ip, seed), gw_ip_flow_hash(b, &ip, seed));
    assert_int_not_equal(gw_ip_flow_hash(a, &ip, seed), gw_ip_flow_hash(a, &ip, other));
    make_packet(b, &(struct make){.version = 4, .protocol = 6, .flow = 2, .seq = 1, .payload = 9});
    assert_int_not_equal(gw_ip_flow_hash(a, &ip, seed), gw_ip_flow_hash(b, &ip, seed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_packets_are_taken),      cmocka_unit_test(headers_that_lie_are_refused),
        cmocka_unit_test(extension_headers_are_walked), cmocka_unit_test(checksums_equal_the_naive_ones),
        cmocka_unit_test(checksums_are_completed),      cmocka_unit_test(flows_hash_by_their_five_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

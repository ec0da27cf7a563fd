/* SPDX-License-Identifier: MIT */
/* ICMP echo: a captured ping, both families, and everything that must not be answered. */
#include "netstack/icmp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* As iputils ping sends it (8 bytes of payload), checksums by the kernel. */
static const uint8_t captured[] = {0x45, 0x00, 0x00, 0x24, 0x1c, 0x46, 0x40, 0x00, 0x40, 0x01, 0x20, 0x8d,
                                   0x7f, 0x00, 0x00, 0x01, 0x7f, 0x00, 0x00, 0x01, 0x08, 0x00, 0xe7, 0xf9,
                                   0x10, 0x00, 0x00, 0x01, 0x00, 0x01, 0x00, 0x02, 0x00, 0x01, 0x00, 0x01};

static uint16_t ones_sum(const uint8_t *data, size_t len)
{
    uint32_t total = 0;
    for (size_t i = 0; i + 1 < len; i += 2)
        total += (uint32_t)data[i] << 8 | data[i + 1];
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    return (uint16_t)total;
}

static void test_answers_v4(void **state)
{
    (void)state;
    uint8_t packet[sizeof captured];
    struct gw_icmp_echo echo;
    memcpy(packet, captured, sizeof packet);
    /* Our own arithmetic fixes the ICMP checksum of the sample, an independent sum checks it. */
    packet[22] = packet[23] = 0;
    uint16_t sum = (uint16_t)~ones_sum(packet + 20, 16);
    packet[22] = (uint8_t)(sum >> 8);
    packet[23] = (uint8_t)sum;
    assert_true(gw_icmp_parse(packet, sizeof packet, &echo));
    assert_false(echo.is_reply);
    assert_int_equal(echo.id, 0x1000);
    assert_int_equal(echo.seq, 1);
    gw_icmp_answer(packet, sizeof packet);
    assert_true(gw_icmp_parse(packet, sizeof packet, &echo));
    assert_true(echo.is_reply);
    assert_int_equal(ones_sum(packet, 20), 0xffff);
    assert_int_equal(ones_sum(packet + 20, 16), 0xffff);
}

static void round_trip(uint8_t family)
{
    uint8_t packet[128];
    struct gw_icmp_echo echo = {.from = {.family = family, .ip = {10, 64, 0, 1}},
                                .to = {.family = family, .ip = {10, 64, 0, 2}},
                                .id = 7,
                                .seq = 9};
    struct gw_icmp_echo parsed;
    size_t len = gw_icmp_request(packet, sizeof packet, &echo, 33);
    assert_int_equal(len, (family == 6 ? 40u : 20u) + 8 + 33);
    assert_true(gw_icmp_parse(packet, len, &parsed));
    assert_false(parsed.is_reply);
    gw_icmp_answer(packet, len);
    assert_true(gw_icmp_parse(packet, len, &parsed));
    assert_true(parsed.is_reply);
    assert_int_equal(parsed.seq, 9);
    assert_true(gw_addr_equal(&parsed.from, &echo.to));
    assert_true(gw_addr_equal(&parsed.to, &echo.from));
}

static void test_round_trips(void **state)
{
    (void)state;
    round_trip(4);
    round_trip(6);
}

static void test_refuses(void **state)
{
    (void)state;
    uint8_t packet[128], bad[128];
    struct gw_icmp_echo echo = {.from = {.family = 4, .ip = {1, 2, 3, 4}},
                                .to = {.family = 4, .ip = {5, 6, 7, 8}}};
    size_t len = gw_icmp_request(packet, sizeof packet, &echo, 16);
    for (size_t cut = 0; cut < len; cut++)
        assert_false(gw_icmp_parse(packet, cut, &echo));
    for (size_t at = 20; at < len; at++) { /* any flipped bit of the message breaks its checksum */
        memcpy(bad, packet, len);
        bad[at] ^= 0x10;
        assert_false(gw_icmp_parse(bad, len, &echo));
    }
    memcpy(bad, packet, len);
    bad[6] = 0x20; /* a fragment */
    assert_false(gw_icmp_parse(bad, len, &echo));
    memcpy(bad, packet, len);
    bad[9] = 17; /* UDP */
    assert_false(gw_icmp_parse(bad, len, &echo));
    assert_int_equal(gw_icmp_request(packet, 20, &echo, 16), 0);
    echo.to.family = 6;
    assert_int_equal(gw_icmp_request(packet, sizeof packet, &echo, 16), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_v4),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "frontends/tun/icmp_error.h"
#include "tests/unit/packet/make.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static size_t say(uint8_t *out, enum gw_icmp_error error, uint32_t mtu, const uint8_t *packet, size_t len)
{
    struct gw_addr from;
    struct gw_ip ip;
    assert_int_equal(gw_ip_parse(&ip, packet, len), 0);
    gw_ip_destination(&from, packet, &ip);
    return gw_icmp_error(out, error, mtu, &from, packet, &ip);
}

static void errors_quote_the_packet(void **state)
{
    (void)state;
    for (int version = 4; version <= 6; version += 2) {
        for (size_t payload = 0; payload < 1400; payload += 100) {
            uint8_t packet[1600], out[GW_ICMP_ERROR_MAX];
            size_t start = version == 6 ? 40 : 20, address = version == 6 ? 16 : 4,
                   source = version == 6 ? 8 : 12;
            size_t len = make_packet(
                packet, &(struct make){.version = version, .protocol = 17, .flow = 9, .payload = payload});
            size_t got = say(out, GW_ICMP_TOO_BIG, 1300, packet, len);
            assert_in_range(got, start + 8 + 28, version == 6 ? 1280 : 576);
            assert_memory_equal(out + start + 8, packet, got - start - 8);
            assert_memory_equal(out + source + address, packet + source, address);
            assert_int_equal(out[start], version == 6 ? 2 : 3);
            assert_int_equal(out[start + 6] << 8 | out[start + 7], 1300);
            if (version == 6)
                assert_int_equal(naive_l4(out, got), 0);
            else
                assert_int_equal(naive_sum(out, 20) | naive_sum(out + 20, got - 20), 0);
        }
    }
}

static void some_packets_are_not_answered(void **state)
{
    const struct {
        size_t at;
        uint8_t value;
    } rows[] = {
        /* 1 to a group */ {16, 224},
        /* 2 a later fragment */ {7, 1},
        /* 3 an error itself */ {9, 1},
    };
    uint8_t packet[256], out[GW_ICMP_ERROR_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t len =
            make_packet(packet, &(struct make){.version = 4, .protocol = 6, .flow = 1, .payload = 50});
        packet[rows[i].at] = rows[i].value;
        assert_int_equal(say(out, GW_ICMP_NO_ROUTE, 0, packet, len), 0);
    }
    size_t len = make_packet(packet, &(struct make){.version = 4, .protocol = 6, .flow = 1});
    memset(packet + 16, 255, 4);
    assert_int_equal(say(out, GW_ICMP_NO_ROUTE, 0, packet, len), 0);
    memset(packet + 12, 0, 4);
    assert_int_equal(say(out, GW_ICMP_NO_ROUTE, 0, packet, len), 0);
}

/* RFC 4443, 2.4: also about fragments; only the first says what it is a part of. */
static void first_fragments_of_v6_are_answered(void **state)
{
    uint8_t packet[1600], out[GW_ICMP_ERROR_MAX];
    (void)state;
    size_t len =
        make_packet(packet, &(struct make){.version = 6, .protocol = 17, .flow = 1, .payload = 1200});
    memmove(packet + 48, packet + 40, len - 40);
    const uint8_t header[8] = {17, 0, 0, 1, 0, 0, 0, 9};
    memcpy(packet + 40, header, sizeof header);
    packet[6] = 44;
    packet[4] = (uint8_t)((len - 32) >> 8), packet[5] = (uint8_t)(len - 32);
    assert_true(say(out, GW_ICMP_TOO_BIG, 1280, packet, len + 8) > 0);
    assert_int_equal(out[40], 2);
    packet[43] = 8 | 1;
    assert_int_equal(say(out, GW_ICMP_TOO_BIG, 1280, packet, len + 8), 0);
}

static void put_mss(uint8_t *option, unsigned mss)
{
    option[0] = 2;
    option[1] = 4;
    option[2] = (uint8_t)(mss >> 8);
    option[3] = (uint8_t)mss;
}

static void mss_is_clamped(void **state)
{
    const struct {
        uint8_t flags;
        size_t before; /* NOPs in front of the option */
        unsigned mss, room, want;
    } rows[] = {
        /* 1 */ {GW_TCP_SYN, 0, 1460, 1300, 1260},
        /* 2 */ {GW_TCP_SYN | GW_TCP_ACK, 4, 1460, 1300, 1260},
        /* 3 an odd place */ {GW_TCP_SYN, 3, 1461, 1300, 1260},
        /* 4 fits */ {GW_TCP_SYN, 0, 1200, 1300, 1200},
        /* 5 no SYN */ {GW_TCP_ACK, 0, 1460, 1300, 1460},
        /* 6 no room at all */ {GW_TCP_SYN, 0, 1460, 40, 1460},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t packet[128];
        struct gw_ip ip;
        size_t at = 40 + rows[i].before;
        size_t len = make_packet(
            packet, &(struct make){.version = 4, .protocol = 6, .flags = rows[i].flags, .options = 12});
        put_mss(packet + at, rows[i].mss);
        assert_int_equal(gw_ip_parse(&ip, packet, len), 0);
        gw_checksum_complete(packet, &ip);
        gw_tcp_clamp_mss(packet, &ip, rows[i].room, false);
        assert_int_equal(packet[at + 2] << 8 | packet[at + 3], rows[i].want);
        assert_int_equal(naive_l4(packet, len), 0);
    }
}

static void options_that_make_no_sense_are_left_alone(void **state)
{
    const uint8_t options[][4] = {
        {2, 0, 5, 180}, {2, 40, 5, 180}, {0, 2, 4, 5}, {1, 1, 1, 2}, {2, 3, 5, 180}};
    (void)state;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        uint8_t packet[128], was[128];
        struct gw_ip ip;
        size_t len = make_packet(
            packet, &(struct make){.version = 6, .protocol = 6, .flags = GW_TCP_SYN, .options = 4});
        memcpy(packet + 60, options[i], 4);
        memcpy(was, packet, len);
        assert_int_equal(gw_ip_parse(&ip, packet, len), 0);
        gw_tcp_clamp_mss(packet, &ip, 1000, false);
        assert_memory_equal(packet, was, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_quote_the_packet),
        cmocka_unit_test(some_packets_are_not_answered),
        cmocka_unit_test(first_fragments_of_v6_are_answered),
        cmocka_unit_test(mss_is_clamped),
        cmocka_unit_test(options_that_make_no_sense_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

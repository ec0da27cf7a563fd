/* SPDX-License-Identifier: MIT */
/* Fragments put together again, one after the other and cut twice, are the packet. */
#include "gateway/packet/fragment.h"
#include "tests/unit/packet/make.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WHOLE_MAX 65535u

static uint8_t whole[WHOLE_MAX + 1], piece[WHOLE_MAX], small[WHOLE_MAX];

/* RFC 791's reassembly, as simple as it can be: each byte once, one last fragment. */
struct reassembly {
    uint8_t payload[WHOLE_MAX];
    bool has[WHOLE_MAX];
    size_t len, got;
    bool has_last;
};
static struct reassembly reassembly;

static void take_in(const uint8_t *packet, size_t len, size_t room)
{
    size_t header = (size_t)(packet[0] & 15) * 4, at = 8 * (size_t)((packet[6] << 8 | packet[7]) & 0x1fff);
    bool is_last = (packet[6] & 0x20) == 0;
    assert_true(len <= room && len > header);
    assert_int_equal(packet[2] << 8 | packet[3], len);
    assert_int_equal(naive_sum(packet, header), 0);
    assert_true(is_last || (len - header) % 8 == 0);
    for (size_t i = 0; i < len - header; i++) {
        assert_false(reassembly.has[at + i]);
        reassembly.has[at + i] = true;
        reassembly.payload[at + i] = packet[header + i];
    }
    reassembly.got += len - header;
    if (is_last) {
        assert_false(reassembly.has_last);
        reassembly.has_last = true;
        reassembly.len = at + len - header;
    }
}

static struct gw_ip parse(const uint8_t *packet, size_t len)
{
    struct gw_ip ip;
    assert_int_equal(gw_ip_parse(&ip, packet, len), 0);
    return ip;
}

static void expect_whole(size_t len)
{
    assert_true(reassembly.has_last);
    assert_int_equal(reassembly.len, len - 20);
    assert_int_equal(reassembly.got, len - 20);
    assert_memory_equal(reassembly.payload, whole + 20, len - 20);
}

static size_t make_udp(size_t payload)
{
    const struct make make = {
        .version = 4, .protocol = 17, .payload = payload, .fill = (uint8_t)payload, .id = 77};
    size_t len = make_packet(whole, &make);
    whole[6] = 0; /* no DF */
    gw_checksum_ip_header(whole, 20);
    return len;
}

static void cut_and_cut_again(void **state)
{
    (void)state;
    for (size_t payload = 0; payload < 60000; payload += payload < 200 ? 1 : 997) {
        size_t len = make_udp(payload), room = GW_FRAGMENT_MIN + payload % 1400,
               narrower = GW_FRAGMENT_MIN + payload % 97;
        struct gw_ip ip = parse(whole, len);
        struct gw_fragmenter first, second;
        memset(&reassembly, 0, sizeof reassembly);
        gw_fragmenter_init(&first, whole, &ip, room);
        for (size_t got; (got = gw_fragment_next(&first, piece)) > 0;) {
            struct gw_ip part = parse(piece, got);
            assert_int_equal(piece[4] << 8 | piece[5], 77);
            gw_fragmenter_init(&second, piece, &part, narrower);
            for (size_t again; (again = gw_fragment_next(&second, small)) > 0;)
                take_in(small, again, narrower);
        }
        expect_whole(len);
    }
}

static void only_copied_options_go_on(void **state)
{
    static const uint8_t options[12] = {1, 0x83, 7, 4, 10, 0, 0,
                                        1, 0x07, 3, 4, 0}; /* NOP, loose source route, record route, end */
    (void)state;
    size_t len = make_udp(300);
    memmove(whole + 32, whole + 20, len - 20);
    memcpy(whole + 20, options, sizeof options);
    whole[0] = 0x48;
    len += 12;
    whole[2] = (uint8_t)(len >> 8), whole[3] = (uint8_t)len;
    struct gw_ip ip = parse(whole, len);
    struct gw_fragmenter f;
    gw_fragmenter_init(&f, whole, &ip, 200);
    assert_int_equal(gw_fragment_next(&f, piece), 32 + 168);
    assert_memory_equal(piece + 20, options, sizeof options);
    assert_int_equal(gw_fragment_next(&f, piece), len - 168 - 4);
    assert_int_equal(piece[0], 0x47); /* 7 bytes of it, padded to 8 */
    assert_memory_equal(piece + 20, options + 1, 7);
    assert_int_equal(piece[27], 0);
    assert_int_equal(naive_sum(piece, 28), 0);
    assert_int_equal(gw_fragment_next(&f, piece), 0);
}

static void who_may_be_cut(void **state)
{
    (void)state;
    size_t len = make_udp(100);
    struct gw_ip ip = parse(whole, len);
    assert_true(gw_fragment_may(whole, &ip));
    whole[6] = 0x40;
    assert_false(gw_fragment_may(whole, &ip));
    len = make_packet(whole, &(struct make){.version = 6, .protocol = 17, .payload = 100});
    ip = parse(whole, len);
    assert_false(gw_fragment_may(whole, &ip));
}

static void count_in(const uint8_t *packet, size_t len, void *ctx)
{
    unsigned *count = ctx;
    take_in(packet, len, 300);
    if ((packet[6] & 0x20) == 0) {
        /* A datagram is complete: its checksum is right though it was left out. */
        uint8_t *again = piece;
        memcpy(again, whole, 20);
        memcpy(again + 20, reassembly.payload, reassembly.len);
        again[2] = (uint8_t)((20 + reassembly.len) >> 8), again[3] = (uint8_t)(20 + reassembly.len);
        assert_int_equal(naive_l4(again, 20 + reassembly.len), 0);
        memset(&reassembly, 0, sizeof reassembly);
        ++*count;
    }
}

static void each_datagram_of_a_burst(void **state)
{
    const struct gw_super_hint hint = {.segment_len = 1000, .is_checksum_left = true};
    unsigned count = 0;
    (void)state;
    size_t len = make_udp(3500);
    struct gw_ip ip = parse(whole, len);
    memset(&reassembly, 0, sizeof reassembly);
    assert_int_equal(gw_fragment_each(whole, &ip, &hint, 300, count_in, &count), 0);
    assert_int_equal(count, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_and_cut_again),
        cmocka_unit_test(only_copied_options_go_on),
        cmocka_unit_test(who_may_be_cut),
        cmocka_unit_test(each_datagram_of_a_burst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

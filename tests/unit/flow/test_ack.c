/* SPDX-License-Identifier: MIT */
/* ACK frames both ways, packet numbers' truncation, and when an ack is due. */
#include "gateway/base/err.h"
#include "gateway/flow/ack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct gw_mono start = {GW_S(5)};

static uint64_t rng = 7;

static uint64_t below(uint64_t bound)
{
    rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (rng >> 33) % bound;
}

static void add(struct gw_acker *acker, uint64_t number)
{
    assert_int_equal(gw_acker_add(acker, start, number, false), 0);
}

static size_t encode(const struct gw_acker *acker, uint8_t *bytes, size_t cap)
{
    struct gw_writer w = gw_writer_of(bytes, cap);
    return gw_acker_encode(acker, gw_mono_add(start, GW_US(1234)), &w) ? gw_writer_len(&w) : 0;
}

static void test_round_trip(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        struct gw_acker acker;
        uint8_t bytes[2000];
        uint64_t base = below(2) == 0 ? below(100) : below(1u << 30) << below(31);
        gw_acker_init(&acker);
        for (unsigned i = 0; i < 1 + below(300); i++) {
            uint64_t number = base + below(200);
            if (!gw_acker_has(&acker, number))
                assert_int_equal(gw_acker_add(&acker, start, number, below(9) == 0), 0);
        }
        assert_true(acker.received.len <= GW_ACK_RANGES_MAX);
        size_t len = encode(&acker, bytes, below(3) == 0 ? 40 + below(60) : sizeof bytes);
        assert_true(len > 0);
        struct gw_ack ack;
        assert_int_equal(gw_ack_decode(&ack, (struct gw_view){bytes, len}), 0);
        assert_int_equal(ack.delay_ns, GW_US(1234));
        assert_int_equal(ack.ce_count, acker.ce_count);
        assert_true(ack.count >= 1 && ack.count <= acker.received.len);
        for (unsigned i = 0; i < ack.count; i++) {
            const struct gw_range *range = &acker.received.list[acker.received.len - 1 - i];
            assert_int_equal(ack.ranges[i].start, range->start);
            assert_int_equal(ack.ranges[i].end, range->end);
        }
        gw_acker_fini(&acker);
    }
}

static void test_bounded(void **state)
{
    struct gw_acker acker;
    (void)state;
    gw_acker_init(&acker);
    for (uint64_t number = 0; number < 10000; number += 2) {
        assert_false(gw_acker_has(&acker, number));
        add(&acker, number);
        assert_true(gw_acker_has(&acker, number));
    }
    assert_int_equal(acker.received.len, GW_ACK_RANGES_MAX);
    assert_int_equal(gw_acker_largest(&acker), 9998);
    /* The oldest are forgotten, and nobody is told of those that come now. */
    assert_true(gw_acker_has(&acker, 1));
    assert_false(gw_acker_has(&acker, 9997));
    /* Seen acks let ranges go, but for the newest few. */
    gw_acker_seen(&acker, 9998);
    assert_int_equal(acker.received.len, 8);
    assert_int_equal(gw_acker_largest(&acker), 9998);
    assert_true(gw_acker_has(&acker, 9981));
    assert_false(gw_acker_has(&acker, 9997));
    assert_false(gw_acker_has(&acker, 9999));
    gw_acker_fini(&acker);
}

static void test_decode_refuses(void **state)
{
    static const struct {
        uint8_t bytes[8];
        size_t len;
    } cases[] = {
        {{5, 0, 6, 0, 0}, 5},           /* first range below 0 */
        {{5, 0, 2, 1, 2, 0, 0}, 7},     /* the gap ends below 0 */
        {{5, 0, 2, 1, 1, 1, 0}, 7},     /* the second range does */
        {{5, 0, 0, 63, 0, 0, 0}, 7},    /* fewer than it says */
        {{5, 0, 0, 0x40, 64, 0, 0}, 7}, /* more than there may be */
        {{5, 0, 0, 0}, 4},              /* no CE count */
        {{5, 0, 0, 0, 0, 0}, 6},        /* something behind it */
        {{0}, 0},
    };
    struct gw_ack ack;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(gw_ack_decode(&ack, (struct gw_view){cases[i].bytes, cases[i].len}), GW_E_MALFORMED);
    static const uint8_t good[] = {5, 0, 2, 1, 1, 0, 9};
    assert_int_equal(gw_ack_decode(&ack, (struct gw_view){good, sizeof good}), 0);
    assert_int_equal(ack.count, 2);
    assert_int_equal(ack.ranges[0].start, 3);
    assert_int_equal(ack.ranges[1].start, 0);
    assert_int_equal(ack.ranges[1].end, 1);
    assert_int_equal(ack.ce_count, 9);
}

static void test_numbers(void **state)
{
    struct gw_acker acker;
    (void)state;
    gw_acker_init(&acker);
    /* RFC 9000, A.3's example */
    add(&acker, 0xa82f30ea);
    assert_true(gw_acker_expand(&acker, 0x9b32, 2) == 0xa82f9b32);
    gw_acker_fini(&acker);
    /* Whatever is in flight, and however late it comes: it expands to what it was. */
    for (unsigned round = 0; round < 20000; round++) {
        uint64_t number = below(1u << 30) << below(20), apart = below(UINT64_C(1) << below(31));
        uint64_t seen = below(2) == 0 && apart <= number ? number - apart : number + apart;
        gw_acker_init(&acker);
        add(&acker, seen);
        assert_int_equal(gw_acker_expand(&acker, (uint32_t)number, GW_NUMBER_LEN), number);
        gw_acker_fini(&acker);
    }
}

static void test_when(void **state)
{
    struct gw_acker acker;
    struct gw_mono later = gw_mono_add(start, GW_MS(5));
    (void)state;
    gw_acker_init(&acker);
    gw_acker_end_turn(&acker, start, GW_MS(5));
    assert_false(gw_acker_is_due(&acker, later));

    add(&acker, 0); /* a lone packet waits */
    gw_acker_end_turn(&acker, start, GW_MS(5));
    assert_false(gw_acker_is_due(&acker, start));
    assert_true(gw_acker_is_due(&acker, later));
    gw_acker_end_turn(&acker, gw_mono_add(start, GW_MS(4)), GW_MS(5)); /* turns do not put it off */
    assert_true(gw_acker_is_due(&acker, later));
    gw_acker_sent(&acker);
    assert_false(gw_acker_is_due(&acker, later));

    add(&acker, 1); /* two do not */
    add(&acker, 2);
    gw_acker_end_turn(&acker, start, GW_MS(5));
    assert_true(gw_acker_is_due(&acker, start));
    gw_acker_sent(&acker);

    add(&acker, 4); /* nor does a gap */
    assert_true(gw_acker_is_due(&acker, start));
    gw_acker_sent(&acker);
    add(&acker, 3); /* nor what fills it */
    assert_true(gw_acker_is_due(&acker, start));
    gw_acker_sent(&acker);

    assert_int_equal(gw_acker_add(&acker, start, 5, true), 0); /* nor CE */
    assert_true(gw_acker_is_due(&acker, start));
    gw_acker_sent(&acker);

    add(&acker, 6); /* nor FIN */
    gw_acker_urge(&acker);
    gw_acker_end_turn(&acker, start, GW_MS(5));
    assert_true(gw_acker_is_due(&acker, start));
    gw_acker_sent(&acker);

    add(&acker, 7); /* nor any, while nobody knows the round trip */
    gw_acker_end_turn(&acker, start, 0);
    assert_true(gw_acker_is_due(&acker, start));
    gw_acker_fini(&acker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_decode_refuses), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_when),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

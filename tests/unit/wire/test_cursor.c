/* SPDX-License-Identifier: MIT */
/* The cursor: published varints, the sticky error, and everything written read back, or cut. */
#include "gateway/base/random.h"
#include "gateway/wire/cursor.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
    uint64_t value;
    size_t len;
    uint8_t bytes[8];
} varints[] = {
    /* RFC 9000, A.1 */
    {151288809941952652u, 8, {0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c}},
    {494878333, 4, {0x9d, 0x7f, 0x3e, 0x7d}},
    {15293, 2, {0x7b, 0xbd}},
    {37, 1, {0x25}},
    /* the ends of the lengths */
    {0, 1, {0x00}},
    {63, 1, {0x3f}},
    {64, 2, {0x40, 0x40}},
    {16383, 2, {0x7f, 0xff}},
    {16384, 4, {0x80, 0x00, 0x40, 0x00}},
    {1073741823, 4, {0xbf, 0xff, 0xff, 0xff}},
    {1073741824, 8, {0xc0, 0, 0, 0, 0x40, 0, 0, 0}},
    {GW_VARINT_MAX, 8, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
};
#define VARINTS (sizeof varints / sizeof varints[0])

static void test_varints(void **state)
{
    (void)state;
    for (size_t i = 0; i < VARINTS; i++) {
        uint8_t out[8] = {0};
        struct gw_writer w = gw_writer_of(out, sizeof out);
        gw_write_varint(&w, varints[i].value);
        assert_true(gw_writer_ok(&w));
        assert_int_equal(gw_writer_len(&w), varints[i].len);
        assert_int_equal(gw_varint_len(varints[i].value), varints[i].len);
        assert_memory_equal(out, varints[i].bytes, varints[i].len);
        struct gw_reader r = gw_reader_of(varints[i].bytes, varints[i].len);
        assert_true(gw_read_varint(&r) == varints[i].value);
        assert_true(gw_reader_done(&r));
    }
}

static void test_varints_cut_or_without_room(void **state)
{
    (void)state;
    for (size_t i = 0; i < VARINTS; i++) {
        for (size_t len = 0; len < varints[i].len; len++) {
            uint8_t out[8];
            struct gw_reader r = gw_reader_of(varints[i].bytes, len);
            assert_true(gw_read_varint(&r) == 0);
            assert_false(gw_reader_ok(&r));
            struct gw_writer w = gw_writer_of(out, len);
            gw_write_varint(&w, varints[i].value);
            assert_false(gw_writer_ok(&w));
            assert_int_equal(gw_writer_len(&w), 0);
        }
    }
}

static void test_longer_varints_than_needed_are_read(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x40, 0x25, 0x80, 0, 0, 0x25, 0xc0, 0, 0, 0, 0, 0, 0, 0x25};
    struct gw_reader r = gw_reader_of(bytes, sizeof bytes);
    for (unsigned i = 0; i < 3; i++)
        assert_true(gw_read_varint(&r) == 37);
    assert_true(gw_reader_done(&r));
}

static void test_too_large_varint(void **state)
{
    (void)state;
    uint8_t out[16];
    struct gw_writer w = gw_writer_of(out, sizeof out);
    assert_int_equal(gw_varint_len(GW_VARINT_MAX + 1), 0);
    gw_write_varint(&w, GW_VARINT_MAX + 1);
    assert_false(gw_writer_ok(&w));
    gw_write_u8(&w, 1);
    assert_int_equal(gw_writer_len(&w), 0);
}

static void test_byte_orders(void **state)
{
    (void)state;
    static const uint8_t expected[] = {
        1,                                  /* u8 */
        2,    3,  3,  2,                    /* u16: be, le */
        4,    5,  6,  7,  7,  6,  5,  4,    /* u32 */
        0xf8, 9,  10, 11, 12, 13, 14, 0xff, /* u64 be */
        0xff, 14, 13, 12, 11, 10, 9,  0xf8, /* le */
    };
    uint8_t out[sizeof expected];
    struct gw_writer w = gw_writer_of(out, sizeof out);
    gw_write_u8(&w, 1);
    gw_write_u16_be(&w, 0x0203);
    gw_write_u16_le(&w, 0x0203);
    gw_write_u32_be(&w, 0x04050607);
    gw_write_u32_le(&w, 0x04050607);
    gw_write_u64_be(&w, 0xf8090a0b0c0d0effu);
    gw_write_u64_le(&w, 0xf8090a0b0c0d0effu);
    assert_true(gw_writer_ok(&w));
    assert_int_equal(gw_writer_left(&w), 0);
    assert_memory_equal(out, expected, sizeof expected);

    struct gw_reader r = gw_reader_of(expected, sizeof expected);
    assert_int_equal(gw_read_u8(&r), 1);
    assert_int_equal(gw_read_u16_be(&r), 0x0203);
    assert_int_equal(gw_read_u16_le(&r), 0x0203);
    assert_int_equal(gw_read_u32_be(&r), 0x04050607);
    assert_int_equal(gw_read_u32_le(&r), 0x04050607);
    assert_true(gw_read_u64_be(&r) == 0xf8090a0b0c0d0effu);
    assert_true(gw_read_u64_le(&r) == 0xf8090a0b0c0d0effu);
    assert_true(gw_reader_done(&r));
}

static void test_reads_after_an_error_give_zeros(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {9, 9, 9, 9, 9, 9, 9, 9, 9};
    struct gw_reader r = gw_reader_of(bytes, sizeof bytes);
    uint8_t out[4] = {1, 1, 1, 1};
    assert_true(gw_read_u64_be(&r) != 0);
    assert_int_equal(gw_read_u16_be(&r), 0); /* one byte is left */
    assert_false(gw_reader_ok(&r));
    assert_int_equal(gw_reader_left(&r), 0); /* a loop over what is left ends */
    assert_int_equal(gw_read_u8(&r), 0);     /* ... and that byte does not come after all */
    assert_int_equal(gw_read_u16_le(&r), 0);
    assert_int_equal(gw_read_u32_be(&r), 0);
    assert_int_equal(gw_read_u32_le(&r), 0);
    assert_true(gw_read_u64_be(&r) == 0 && gw_read_u64_le(&r) == 0 && gw_read_varint(&r) == 0);
    gw_read_bytes(&r, out, sizeof out);
    assert_int_equal(out[0] | out[1] | out[2] | out[3], 0);
    struct gw_view view = gw_read_view(&r, 1);
    assert_non_null(view.data);
    assert_int_equal(view.len, 0);
    struct gw_reader sub = gw_read_sub(&r, 0);
    assert_false(gw_reader_ok(&sub));
    assert_false(gw_reader_done(&r));
}

static void test_views_and_subs(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 2, 3, 4, 5};
    struct gw_reader r = gw_reader_of(bytes, sizeof bytes);
    struct gw_view view = gw_read_view(&r, 2);
    assert_ptr_equal(view.data, bytes);
    assert_int_equal(view.len, 2);
    struct gw_reader sub = gw_read_sub(&r, 2);
    assert_int_equal(gw_reader_left(&r), 1);
    assert_int_equal(gw_read_u8(&sub), 3);
    assert_false(gw_reader_done(&sub));
    assert_int_equal(gw_read_u8(&sub), 4);
    assert_true(gw_reader_done(&sub));
    assert_int_equal(gw_read_u8(&sub), 0); /* not the outer one's */
    assert_false(gw_reader_ok(&sub));
    assert_true(gw_reader_ok(&r));
    sub = gw_read_sub(&r, 2);
    assert_false(gw_reader_ok(&sub));
    assert_false(gw_reader_ok(&r));
    assert_int_equal(gw_reader_left(&sub), 0);
}

static void test_huge_lengths(void **state)
{
    (void)state;
    uint8_t bytes[4] = {0};
    struct gw_reader r = gw_reader_of(bytes, sizeof bytes);
    assert_int_equal(gw_read_view(&r, SIZE_MAX).len, 0);
    assert_false(gw_reader_ok(&r));
    struct gw_writer w = gw_writer_of(bytes, sizeof bytes);
    gw_write_zeros(&w, SIZE_MAX);
    assert_false(gw_writer_ok(&w));
    w = gw_writer_of(bytes, sizeof bytes);
    assert_null(gw_write_reserve(&w, SIZE_MAX - 1));
    assert_false(gw_writer_ok(&w));
}

static void test_nothing_at_all(void **state)
{
    (void)state;
    struct gw_reader r = gw_reader_of(NULL, 0);
    struct gw_writer w = gw_writer_of(NULL, 0);
    assert_true(gw_reader_done(&r));
    assert_non_null(gw_read_view(&r, 0).data);
    gw_read_bytes(&r, NULL, 0);
    gw_write_bytes(&w, NULL, 0);
    gw_write_zeros(&w, 0);
    assert_true(gw_reader_ok(&r) && gw_writer_ok(&w));
    assert_int_equal(gw_read_u8(&r), 0);
    gw_write_u8(&w, 1);
    assert_false(gw_reader_ok(&r) || gw_writer_ok(&w));
}

static void test_writes_after_an_error_do_nothing(void **state)
{
    (void)state;
    uint8_t out[4] = {0xaa, 0xaa, 0xaa, 0xaa};
    struct gw_writer w = gw_writer_of(out, 3);
    gw_write_u16_be(&w, 0x0102);
    gw_write_u16_be(&w, 0x0304); /* does not fit */
    assert_false(gw_writer_ok(&w));
    gw_write_u8(&w, 5); /* would */
    gw_write_bytes(&w, "x", 1);
    gw_write_zeros(&w, 1);
    assert_null(gw_write_reserve(&w, 0));
    assert_int_equal(gw_writer_len(&w), 2);
    assert_memory_equal(out, "\x01\x02\xaa\xaa", 4);
}

/* --- everything written is read back --------------------------------------------------------- */

enum { OPERATIONS = 10 };

static void write_one(struct gw_writer *w, unsigned what, uint64_t value, const uint8_t blob[16])
{
    switch (what) {
    case 0:
        gw_write_u8(w, (uint8_t)value);
        break;
    case 1:
        gw_write_u16_be(w, (uint16_t)value);
        break;
    case 2:
        gw_write_u32_be(w, (uint32_t)value);
        break;
    case 3:
        gw_write_u64_be(w, value);
        break;
    case 4:
        gw_write_u16_le(w, (uint16_t)value);
        break;
    case 5:
        gw_write_u32_le(w, (uint32_t)value);
        break;
    case 6:
        gw_write_u64_le(w, value);
        break;
    case 7:
        gw_write_varint(w, value >> (2 + value % 62));
        break;
    case 8:
        gw_write_bytes(w, blob, value % 17);
        break;
    default:
        gw_write_zeros(w, value % 17);
    }
}

/* true = it is what write_one wrote. */
static bool read_one(struct gw_reader *r, unsigned what, uint64_t value, const uint8_t blob[16])
{
    static const uint8_t zeros[16];
    uint8_t bytes[16];
    size_t len = value % 17;
    switch (what) {
    case 0:
        return gw_read_u8(r) == (uint8_t)value;
    case 1:
        return gw_read_u16_be(r) == (uint16_t)value;
    case 2:
        return gw_read_u32_be(r) == (uint32_t)value;
    case 3:
        return gw_read_u64_be(r) == value;
    case 4:
        return gw_read_u16_le(r) == (uint16_t)value;
    case 5:
        return gw_read_u32_le(r) == (uint32_t)value;
    case 6:
        return gw_read_u64_le(r) == value;
    case 7:
        return gw_read_varint(r) == value >> (2 + value % 62);
    case 8:
        gw_read_bytes(r, bytes, len);
        return memcmp(bytes, blob, len) == 0;
    default: {
        struct gw_view view = gw_read_view(r, len);
        return view.len == len && memcmp(view.data, zeros, len) == 0;
    }
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    struct gw_random_seeded random;
    gw_random_seeded_init(&random, 1);
    for (unsigned round = 0; round < 2000; round++) {
        uint8_t out[512], blob[16];
        unsigned what[16];
        uint64_t values[16];
        struct gw_writer w = gw_writer_of(out, sizeof out);
        gw_random_fill(&random.random, blob, sizeof blob);
        for (unsigned i = 0; i < 16; i++) {
            what[i] = gw_random_u32(&random.random) % OPERATIONS;
            values[i] = gw_random_u64(&random.random);
            write_one(&w, what[i], values[i], blob);
        }
        assert_true(gw_writer_ok(&w));
        struct gw_reader r = gw_reader_of(out, gw_writer_len(&w));
        for (unsigned i = 0; i < 16; i++)
            assert_true(read_one(&r, what[i], values[i], blob));
        assert_true(gw_reader_done(&r));

        /* The same with less room: fails, and keeps to it. */
        size_t cut = gw_random_u32(&random.random) % gw_writer_len(&w);
        uint8_t small[512];
        memset(small, 0xa5, sizeof small);
        w = gw_writer_of(small, cut);
        r = gw_reader_of(out, cut);
        for (unsigned i = 0; i < 16; i++) {
            write_one(&w, what[i], values[i], blob);
            (void)read_one(&r, what[i], values[i], blob);
        }
        assert_false(gw_writer_ok(&w));
        assert_false(gw_reader_ok(&r));
        assert_memory_equal(small, out, gw_writer_len(&w));
        for (size_t i = gw_writer_len(&w); i < sizeof small; i++)
            assert_int_equal(small[i], 0xa5);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_varints),
        cmocka_unit_test(test_varints_cut_or_without_room),
        cmocka_unit_test(test_longer_varints_than_needed_are_read),
        cmocka_unit_test(test_too_large_varint),
        cmocka_unit_test(test_byte_orders),
        cmocka_unit_test(test_reads_after_an_error_give_zeros),
        cmocka_unit_test(test_views_and_subs),
        cmocka_unit_test(test_huge_lengths),
        cmocka_unit_test(test_nothing_at_all),
        cmocka_unit_test(test_writes_after_an_error_do_nothing),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Frames: the sequence, its padding and its lengths; and PING. */
#include "gateway/base/err.h"
#include "gateway/base/random.h"
#include "gateway/wire/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct expected {
    uint64_t type;
    size_t len;
};

/* Frames in the order they come; type 0 ends. */
static void check_sequence(const char *bytes, size_t len, const struct expected *frames, bool is_ok)
{
    /* On the heap and no longer than said, so that a read behind the end is seen. */
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    struct gw_reader r = gw_reader_of(copy, len);
    struct gw_frame frame;
    for (; frames->type != 0; frames++) {
        assert_true(gw_frame_next(&r, &frame));
        assert_true(frame.type == frames->type);
        assert_int_equal(frame.body.len, frames->len);
        assert_true(frame.body.data >= copy && frame.body.data + frame.body.len <= copy + len);
    }
    assert_false(gw_frame_next(&r, &frame));
    assert_int_equal(gw_reader_ok(&r), is_ok);
    assert_false(gw_frame_next(&r, &frame)); /* and stays at the end */
    free(copy);
}

#define SEQUENCE(bytes, is_ok, ...) \
    check_sequence(bytes, sizeof(bytes) - 1, (const struct expected[]){__VA_ARGS__, {0, 0}}, is_ok)

static void test_sequences(void **state)
{
    (void)state;
    SEQUENCE("", true, {0, 0});
    SEQUENCE("\x0d\x00", true, {GW_FRAME_PING, 0});
    SEQUENCE("\x0d\x01z", true, {GW_FRAME_PING, 1});
    SEQUENCE("\x0d\x40\x01z\x0d\x00", true, {GW_FRAME_PING, 1}, {GW_FRAME_PING, 0}); /* two-byte length */
    SEQUENCE("\x40\x0d\x00", true, {GW_FRAME_PING, 0});                              /* two-byte type */
    SEQUENCE("\x7f\xff\x02zz\x0d\x00", true, {0x3fff, 2}, {GW_FRAME_PING, 0}); /* an unknown one is skipped */
    SEQUENCE("\xff\xff\xff\xff\xff\xff\xff\xff\x00", true, {GW_VARINT_MAX, 0});
}

static void test_padding(void **state)
{
    (void)state;
    SEQUENCE("\x00", true, {0, 0});
    SEQUENCE("\x00\x00\x00", true, {0, 0});
    SEQUENCE("\x0d\x01z\x00\x00\x00", true, {GW_FRAME_PING, 1});
    SEQUENCE("\x00\x0d\x00", true, {0, 0}); /* to the end, whatever is there */
    SEQUENCE("\x40\x00\x0d\x00", true, {0, 0});
}

static void test_malformed(void **state)
{
    (void)state;
    SEQUENCE("\x0d", false, {0, 0});
    SEQUENCE("\x0d\x01", false, {0, 0});
    SEQUENCE("\x0d\x40", false, {0, 0});
    SEQUENCE("\x40", false, {0, 0});
    SEQUENCE("\x0d\x02z", false, {0, 0});
    SEQUENCE("\x0d\x01z\x0d\x05zzzz", false, {GW_FRAME_PING, 1});
    SEQUENCE("\x0d\xff\xff\xff\xff\xff\xff\xff\xffzz", false, {0, 0});
    SEQUENCE("\x0d\xc0\x00\x00\x01\x00\x00\x00\x01zz", false, {0, 0}); /* 1 in 32 bits */
}

static void test_begin_and_finish(void **state)
{
    (void)state;
    uint8_t out[32];
    struct gw_writer w = gw_writer_of(out, sizeof out);
    gw_write_u8(&w, GW_INNER_FRAMES);
    struct gw_writer body = gw_frame_begin(&w, GW_FRAME_CONTROL, 100);
    gw_write_bytes(&body, "abc", 3);
    gw_frame_finish(&w, &body);
    body = gw_frame_begin(&w, GW_FRAME_PING, 100);
    gw_frame_finish(&w, &body);
    assert_true(gw_writer_ok(&w));
    assert_int_equal(gw_writer_len(&w), 1 + 6 + 3);
    assert_memory_equal(out,
                        "\x10\x02\x40\x03"
                        "abc\x0d\x40\x00",
                        10);
}

static void test_frames_that_do_not_fit(void **state)
{
    (void)state;
    uint8_t out[16];
    for (size_t cap = 0; cap < 3 + 4; cap++) {
        struct gw_writer w = gw_writer_of(out, cap);
        struct gw_writer body = gw_frame_begin(&w, GW_FRAME_STREAM, 100);
        gw_write_u32_be(&body, 1);
        assert_false(gw_writer_ok(&body));
        gw_frame_finish(&w, &body);
        assert_false(gw_writer_ok(&w));
    }
    /* One byte more than max_body. */
    struct gw_writer w = gw_writer_of(out, sizeof out);
    struct gw_writer before = w;
    struct gw_writer body = gw_frame_begin(&w, GW_FRAME_STREAM, 3);
    gw_write_u32_be(&body, 1);
    gw_frame_finish(&w, &body);
    assert_false(gw_writer_ok(&w));
    /* The copy from before goes on as if nothing had been. */
    w = before;
    body = gw_frame_begin(&w, GW_FRAME_PING, 3);
    gw_frame_finish(&w, &body);
    assert_true(gw_writer_ok(&w));
    assert_int_equal(gw_writer_len(&w), 3);
}

static void test_the_longest_body(void **state)
{
    (void)state;
    static uint8_t out[20000];
    for (size_t len = 16383; len <= 16384; len++) {
        struct gw_writer w = gw_writer_of(out, sizeof out);
        struct gw_writer body = gw_frame_begin(&w, GW_FRAME_CONTROL, sizeof out);
        gw_write_zeros(&body, len);
        gw_frame_finish(&w, &body);
        assert_int_equal(gw_writer_ok(&w), len <= 16383);
    }
}

static void test_random_round_trips(void **state)
{
    (void)state;
    struct gw_random_seeded random;
    gw_random_seeded_init(&random, 1);
    for (unsigned round = 0; round < 3000; round++) {
        uint8_t out[1024], bytes[64];
        struct expected frames[8];
        struct gw_writer w = gw_writer_of(out, sizeof out);
        unsigned count = gw_random_u32(&random.random) % 8;
        gw_random_fill(&random.random, bytes, sizeof bytes);
        for (unsigned i = 0; i < count; i++) {
            frames[i].type = 1 + gw_random_u32(&random.random) % 63;
            frames[i].len = gw_random_u32(&random.random) % sizeof bytes;
            struct gw_writer body = gw_frame_begin(&w, (enum gw_frame_type)frames[i].type, sizeof bytes);
            gw_write_bytes(&body, bytes, frames[i].len);
            gw_frame_finish(&w, &body);
        }
        gw_write_zeros(&w, gw_random_u32(&random.random) % 16);
        assert_true(gw_writer_ok(&w));
        struct gw_reader r = gw_reader_of(out, gw_writer_len(&w));
        struct gw_frame frame;
        for (unsigned i = 0; i < count; i++) {
            assert_true(gw_frame_next(&r, &frame));
            assert_true(frame.type == frames[i].type && frame.body.len == frames[i].len);
            assert_memory_equal(frame.body.data, bytes, frames[i].len);
        }
        assert_false(gw_frame_next(&r, &frame));
        assert_true(gw_reader_done(&r));
    }
}

static const uint8_t ping_bytes[GW_PING_LEN] = {1,   0xde, 0xad, 0xbe, 0xef, 'p', 'a',
                                                'y', 'l',  'o',  'a',  'd',  '!'};

static void test_ping(void **state)
{
    (void)state;
    struct gw_ping ping;
    uint8_t out[GW_PING_LEN];
    assert_int_equal(gw_ping_decode(&ping, (struct gw_view){ping_bytes, sizeof ping_bytes}), 0);
    assert_true(ping.is_reply);
    assert_int_equal(ping.id, 0xdeadbeef);
    assert_memory_equal(ping.payload, "payload!", 8);
    struct gw_writer w = gw_writer_of(out, sizeof out);
    gw_ping_encode(&w, &ping);
    assert_true(gw_writer_ok(&w));
    assert_memory_equal(out, ping_bytes, sizeof out);
    ping.is_reply = false;
    w = gw_writer_of(out, sizeof out);
    gw_ping_encode(&w, &ping);
    assert_int_equal(out[0], 0);
}

static void test_ping_of_other_versions(void **state)
{
    (void)state;
    uint8_t longer[GW_PING_LEN + 1] = {0xfe}; /* unknown flags, and more behind */
    struct gw_ping ping = {.id = 7};
    assert_int_equal(gw_ping_decode(&ping, (struct gw_view){longer, sizeof longer}), 0);
    assert_false(ping.is_reply);
    ping.id = 7;
    for (size_t len = 0; len < GW_PING_LEN; len++)
        assert_int_equal(gw_ping_decode(&ping, (struct gw_view){longer, len}), GW_E_MALFORMED);
    assert_int_equal(ping.id, 7);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequences),
        cmocka_unit_test(test_padding),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_begin_and_finish),
        cmocka_unit_test(test_frames_that_do_not_fit),
        cmocka_unit_test(test_the_longest_body),
        cmocka_unit_test(test_random_round_trips),
        cmocka_unit_test(test_ping),
        cmocka_unit_test(test_ping_of_other_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

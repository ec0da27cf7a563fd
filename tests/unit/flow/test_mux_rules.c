/* SPDX-License-Identifier: MIT */
/* What a mux does with frames that it did not ask for: broken rules close the stream that they concern or drop the
 * packet, and whatever is old or strange changes nothing. */
#include "solo_user.h"

#include "gateway/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* --- packets */

static void test_session_violations(void **state)
{
    (void)state;
    static const struct {
        enum gw_frame_type type;
        uint8_t body[8];
        size_t len;
    } cases[] = {
        {GW_FRAME_STREAM, {0}, 0},
        {GW_FRAME_STREAM, {2, 3, 0}, 3},             /* unknown flag */
        {GW_FRAME_STREAM, {0, 0x50, 0}, 3},          /* the id is cut off */
        {GW_FRAME_STREAM, {0, 0x7f, 0xff, 0, 1}, 5}, /* beyond MAX_STREAMS */
        {GW_FRAME_STREAM, {0, 4, 0, 1}, 4},          /* ours, and never opened */
        {GW_FRAME_RESET, {3, 1}, 2},
        {GW_FRAME_STOP, {3}, 1},
        {GW_FRAME_STOP, {4, 0}, 2},
        {GW_FRAME_MAX_DATA, {0}, 0},
        {GW_FRAME_MAX_STREAM_DATA, {3}, 1},
        {GW_FRAME_MAX_STREAMS, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 8},
        {GW_FRAME_BLOCKED, {3}, 1},
        {GW_FRAME_PING, {1}, 1},
        {GW_FRAME_NUMBER, {9}, 1}, /* a second one */
        {GW_FRAME_DATAGRAM, {0x40}, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t next = solo.next_number;
        assert_int_equal(solo_feed(&solo, cases[i].type, cases[i].body, cases[i].len), GW_E_MALFORMED);
        assert_false(gw_acker_has(&solo.mux->acker, next)); /* not acked */
        assert_int_equal(violations(), i + 1);
    }
    assert_int_equal(user.opened, 0);
    assert_int_equal(streams_open(), 0);
}

/* Nothing that follows can be relied on (RFC 9000, 13.1): neither what the peer got nor what it says. */
static void test_ack_of_what_was_never_sent(void **state)
{
    (void)state;
    static const uint8_t ours[] = {0, 0, 0, 0, 0}, never_sent[] = {1, 0, 1, 0, 0};
    open_ours();
    assert_int_equal(solo_pull_all(&solo), 1);
    assert_int_equal(solo_feed(&solo, GW_FRAME_ACK, ours, sizeof ours), 0);
    assert_false(gw_mux_is_broken(solo.mux));
    assert_int_equal(solo_feed(&solo, GW_FRAME_ACK, never_sent, sizeof never_sent), GW_E_MALFORMED);
    assert_true(gw_mux_is_broken(solo.mux));
    assert_int_equal(violations(), 1);
    assert_int_equal(solo_feed_stream(&solo, PEER_ID, 0, preface, sizeof preface, false), 0);
    assert_int_equal(user.opened, 0);
}

static void test_frames_need_a_number(void **state)
{
    (void)state;
    struct gw_frame frame = {GW_FRAME_PING, {NULL, 0}};
    gw_mux_packet_begin(solo.mux, solo.now, 10, 0);
    assert_int_equal(gw_mux_frame(solo.mux, &frame), GW_E_MALFORMED);
    frame.type = GW_FRAME_MAX_DATA;
    assert_int_equal(gw_mux_frame(solo.mux, &frame), 0); /* the rest is not looked at */
    gw_mux_packet_end(solo.mux);
    /* A frame of the gateway's does not concern us. */
    gw_mux_packet_begin(solo.mux, solo.now, 10, 0);
    frame.type = GW_FRAME_HELLO;
    assert_int_equal(gw_mux_frame(solo.mux, &frame), GW_E_MALFORMED);
    gw_mux_packet_end(solo.mux);
    gw_mux_input_flush(solo.mux, solo.now);
    assert_false(solo_pull(&solo));
}

static void test_duplicates(void **state)
{
    (void)state;
    open_peers();
    assert_int_equal(feed_data(0, 100, false), 0);
    solo.next_number--; /* the same packet number with other contents */
    assert_int_equal(feed_data(100, 100, false), 0);
    assert_int_equal(user.received, 100);
    /* The same bytes in other packets, and overlapping ones. */
    assert_int_equal(feed_data(0, 100, false), 0);
    assert_int_equal(feed_data(50, 100, false), 0);
    assert_int_equal(user.received, 150);
    assert_int_equal(feed_data(300, 100, false), 0);
    assert_int_equal(feed_data(200, 150, false), 0);
    assert_int_equal(feed_data(100, 400, false), 0);
    assert_int_equal(user.received, 500);
    assert_null(user.offered->in.store);
    assert_int_equal(violations(), 0);
}

static void test_ce_is_echoed(void **state)
{
    (void)state;
    struct gw_frame frames[2] = {{GW_FRAME_NUMBER, {(const uint8_t[]){0}, 1}}, {GW_FRAME_PING, {NULL, 0}}};
    gw_mux_packet_begin(solo.mux, solo.now, 10, 3);
    assert_int_equal(gw_mux_frame(solo.mux, &frames[0]), 0);
    assert_int_equal(gw_mux_frame(solo.mux, &frames[1]), 0);
    gw_mux_packet_end(solo.mux);
    assert_true(gw_mux_has_output(solo.mux, solo.now));
    assert_int_equal(solo.mux->acker.ce_count, 1);
}

static void test_old_and_strange_ids(void **state)
{
    (void)state;
    /* 0 and 1 are reserved; nobody has opened 3: datagrams, stops and credit for it mean nothing. */
    assert_int_equal(solo_feed_stream(&solo, 0, 0, "x", 1, false), 0);
    assert_int_equal(solo_feed_stream(&solo, 1, 0, "x", 1, false), 0);
    assert_int_equal(solo_feed_numbers(&solo, GW_FRAME_STOP, 2, (const uint64_t[]){3, 0}), 0);
    assert_int_equal(solo_feed_numbers(&solo, GW_FRAME_MAX_STREAM_DATA, 2, (const uint64_t[]){3, 0}), 0);
    assert_int_equal(solo_feed_numbers(&solo, GW_FRAME_BLOCKED, 2, (const uint64_t[]){4, 0}), 0);
    assert_int_equal(solo_feed_numbers(&solo, GW_FRAME_DATAGRAM, 1, (const uint64_t[]){3}), 0);
    assert_int_equal(streams_open(), 0);
    assert_int_equal(violations(), 0);
    /* A stream that has come and gone. */
    open_peers();
    assert_int_equal(feed_data(0, 10, true), 0);
    assert_int_equal(user.fins, 1);
    gw_stream_finish(user.offered, solo.now);
    gw_stream_release(user.offered, solo.now);
    (void)solo_pull_all(&solo);
    solo_ack_all(&solo);
    assert_int_equal(streams_open(), 0);
    assert_int_equal(feed_data(0, 10, true), 0);
    assert_int_equal(solo_feed_numbers(&solo, GW_FRAME_RESET, 3, (const uint64_t[]){PEER_ID, 0, 0}), 0);
    assert_int_equal(user.opened, 1);
    assert_int_equal(streams_open(), 0);
}

/* Frames for a stream that died earlier in the same train. */
static void test_frames_for_the_dead(void **state)
{
    (void)state;
    open_peers();
    assert_int_equal(feed_data(0, 10, false), 0);
    gw_stream_finish(user.offered, solo.now);
    (void)solo_pull_all(&solo);
    solo_ack_all(&solo);
    gw_mux_packet_begin(solo.mux, solo.now, 100, 0);
    static const uint8_t number[2], fin[] = {1, PEER_ID, sizeof preface + 10},
                                    reset[] = {PEER_ID, 0, sizeof preface + 10};
    struct gw_frame frames[] = {{GW_FRAME_NUMBER, {number, 2}},
                                {GW_FRAME_STREAM, {fin, sizeof fin}},
                                {GW_FRAME_RESET, {reset, sizeof reset}},
                                {GW_FRAME_STREAM, {fin, sizeof fin}}};
    user.releases = true;
    gw_acker_fini(&solo.mux->acker); /* so that number 0 is a new one */
    gw_acker_init(&solo.mux->acker);
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++)
        assert_int_equal(gw_mux_frame(solo.mux, &frames[i]), 0);
    gw_mux_packet_end(solo.mux);
    gw_mux_input_flush(solo.mux, solo.now);
    assert_int_equal(user.fins, 1);
    assert_int_equal(user.closed, 0);
    assert_int_equal(streams_open(), 0);
}

/* --- streams that break the rules */

static void expect_broken(void)
{
    assert_int_equal(violations(), 1);
    assert_int_equal(user.closed, 1);
    assert_int_equal(user.reason, GW_REASON_PROTOCOL);
    expect_reset(PEER_ID, GW_REASON_PROTOCOL);
    assert_int_equal(solo.budget.used, 0);
    /* The peer answers, acks, and it is gone. */
    solo_ack_all(&solo);
    assert_int_equal(streams_open(), 1);
    assert_int_equal(solo_feed_numbers(&solo, GW_FRAME_RESET, 3, (const uint64_t[]){PEER_ID, 0, 16384}), 0);
    assert_int_equal(streams_open(), 0);
    assert_int_equal(solo.mux->in_total, 16384);
    assert_int_equal(solo.mux->in_consumed, 16384);
}

static void test_beyond_stream_credit(void **state)
{
    (void)state;
    open_peers();
    assert_int_equal(feed_data(GW_CREDIT_STREAM_INITIAL - sizeof preface - 99, 100, false), 0);
    expect_broken();
}

static void test_beyond_session_credit(void **state)
{
    (void)state;
    open_peers();
    solo.mux->credit.granted = 1000;
    assert_int_equal(feed_data(0, 990, false), 0);
    assert_int_equal(user.closed, 0);
    solo.mux->credit.granted = 1000; /* whatever was granted meanwhile */
    assert_int_equal(feed_data(990, 100, false), 0);
    solo.mux->credit.granted = 1000000;
    expect_broken();
}

static void test_beyond_final_size(void **state)
{
    (void)state;
    open_peers();
    assert_int_equal(feed_data(10, 10, true), 0);
    assert_int_equal(feed_data(15, 6, false), 0);
    assert_int_equal(user.closed, 1);
    assert_int_equal(user.reason, GW_REASON_PROTOCOL);
    assert_int_equal(violations(), 1);
}

static void test_two_final_sizes(void **state)
{
    (void)state;
    open_peers();
    assert_int_equal(feed_data(10, 10, true), 0);
    assert_int_equal(feed_data(10, 9, true), 0);
    assert_int_equal(user.closed, 1);
    assert_int_equal(violations(), 1);
}

static void test_final_size_below_data(void **state)
{
    (void)state;
    open_peers();
    assert_int_equal(feed_data(0, 20, false), 0);
    assert_int_equal(solo_feed_numbers(&solo, GW_FRAME_RESET, 3, (const uint64_t[]){PEER_ID, 7, 5}), 0);
    assert_int_equal(user.closed, 1);
    assert_int_equal(user.reason, GW_REASON_PROTOCOL);
    assert_int_equal(violations(), 1);
}

static void test_bad_preface(void **state)
{
    (void)state;
    assert_int_equal(solo_feed_stream(&solo, PEER_ID, 0, "\x40\x00\x00\x16", 4, false), 0);
    assert_int_equal(user.opened, 0);
    assert_int_equal(violations(), 1);
    expect_reset(PEER_ID, GW_REASON_PROTOCOL);
    /* One that ends before it is whole, and one that never begins. */
    assert_int_equal(solo_feed_stream(&solo, 5, 0, preface, 3, true), 0);
    expect_reset(5, GW_REASON_PROTOCOL);
    assert_int_equal(solo_feed_stream(&solo, 7, 0, "", 0, true), 0);
    expect_reset(7, GW_REASON_PROTOCOL);
    /* One that comes a byte at a time, from behind. */
    for (size_t i = sizeof preface; i-- > 0;)
        assert_int_equal(solo_feed_stream(&solo, 9, i, preface + i, 1, false), 0);
    assert_int_equal(user.opened, 1);
    assert_int_equal(violations(), 3);
}

static void test_bad_answer(void **state)
{
    (void)state;
    struct gw_stream *stream = open_ours();
    uint64_t id = gw_stream_id(stream);
    assert_int_equal(id, 2);
    (void)solo_pull_all(&solo);
    assert_int_equal(solo_feed_stream(&solo, id, 0, "\x01", 1, false), 0);
    assert_int_equal(user.closed, 1);
    assert_int_equal(user.reason, GW_REASON_PROTOCOL);
    (void)open_ours();
    (void)solo_pull_all(&solo);
    assert_int_equal(solo_feed_stream(&solo, id + 2, 0, "", 0, true), 0); /* ends without one */
    assert_int_equal(user.closed, 2);
    (void)open_ours();
    (void)solo_pull_all(&solo);
    assert_int_equal(solo_feed_stream(&solo, id + 4, 0, "\x00xyz", 4, true), 0);
    assert_int_equal(user.closed, 2);
    assert_int_equal(user.accepted, 1);
    assert_int_equal(user.received, 3);
    assert_int_equal(user.fins, 1);
}

/* --- looking */

static void count(struct gw_stream *stream, void *ctx)
{
    (void)stream;
    ++*(unsigned *)ctx;
}

static void test_looking(void **state)
{
    (void)state;
    unsigned visited = 0;
    open_peers();
    struct gw_stream *stream = open_ours();
    assert_ptr_equal(gw_stream_mux(stream), solo.mux);
    gw_mux_for_each(solo.mux, count, &visited);
    assert_int_equal(visited, 2);
    struct gw_stream_stats stats;
    assert_int_equal(feed_data(0, 100, false), 0);
    solo_write(&solo, user.offered, 50);
    (void)solo_pull_all(&solo);
    gw_stream_stats(user.offered, &stats);
    assert_int_equal(stats.received, 100);
    assert_int_equal(stats.delivered, 100);
    assert_int_equal(stats.sent, 50);
    assert_int_equal(stats.acked, 0);
    assert_true(stats.is_accepted);
    solo_ack_all(&solo);
    gw_stream_stats(user.offered, &stats);
    assert_int_equal(stats.acked, 50);
    gw_stream_set_class(user.offered, GW_CLASS_BULK);
    solo_write(&solo, user.offered, 50);
    gw_stream_set_class(user.offered, GW_CLASS_INTERACTIVE);
    assert_true(solo_pull(&solo));
    assert_int_equal(gw_stream_send_datagram(stream, solo.now, "x", 1), GW_E_STATE);
    struct gw_open bad = {.service = "a b"};
    assert_int_equal(gw_stream_open(solo.mux, solo.now, &bad, &ops, NULL, &stream), GW_E_INVAL);
    for (unsigned reason = 0; reason <= GW_REASON_COUNT; reason++) {
        assert_true(strlen(gw_reason_name(reason)) > 0);
        assert_true(strlen(gw_reason_sentence(reason)) > 0);
    }
    assert_string_equal(gw_reason_name(GW_REASON_NOT_LISTED), "not-listed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_session_violations),
        TEST(test_ack_of_what_was_never_sent),
        TEST(test_frames_need_a_number),
        TEST(test_duplicates),
        TEST(test_ce_is_echoed),
        TEST(test_old_and_strange_ids),
        TEST(test_frames_for_the_dead),
        TEST(test_beyond_stream_credit),
        TEST(test_beyond_session_credit),
        TEST(test_beyond_final_size),
        TEST(test_two_final_sizes),
        TEST(test_final_size_below_data),
        TEST(test_bad_preface),
        TEST(test_bad_answer),
        TEST(test_looking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* What goes into packets, and in which order. */
#include "gateway/base/err.h"
#include "solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct solo solo;

static size_t on_data(struct gw_stream *stream, struct gw_mono at, const struct iovec *iov, int count,
                      void *user)
{
    size_t sum = 0;
    (void)stream;
    (void)at;
    (void)user;
    for (int i = 0; i < count; i++)
        sum += iov[i].iov_len;
    return sum;
}

static void on_open(struct gw_mux *mux, struct gw_stream *stream, const struct gw_open *open,
                    struct gw_mono at, void *ctx)
{
    static const struct gw_stream_ops ops = {.on_data = on_data};
    (void)mux;
    (void)open;
    (void)ctx;
    gw_stream_accept(stream, at, &ops, NULL);
}

static size_t lost_len, lost_max; /* of the last datagram that no packet carries */
static void on_too_long(struct gw_mux *mux, size_t len, size_t max, void *ctx)
{
    (void)mux, (void)ctx;
    lost_len = len;
    lost_max = max;
}

static int set_up(void **state)
{
    static const struct gw_mux_events events = {.on_open = on_open, .on_too_long = on_too_long};
    (void)state;
    solo_init(&solo, &events, 64u << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    solo_fini(&solo);
    return 0;
}

static struct gw_stream *open_stream(enum gw_class class_, bool is_datagrams)
{
    static const struct gw_stream_ops ops = {.on_data = on_data};
    struct gw_open open = {.class_ = (uint8_t)class_, .port = 1, .is_datagrams = is_datagrams};
    struct gw_stream *stream;
    assert_int_equal(gw_stream_open(solo.mux, solo.now, &open, &ops, NULL, &stream), 0);
    stream->out_max = UINT64_C(1) << 40;
    return stream;
}

static bool pull(void)
{
    return solo_pull(&solo);
}

static void write_bytes(struct gw_stream *stream, size_t len)
{
    solo_write(&solo, stream, len);
}

static uint64_t sent_of(const struct gw_stream *stream)
{
    return solo.bytes_of[gw_stream_id(stream)];
}

static void test_bulk_fills_packets(void **state)
{
    (void)state;
    struct gw_stream *stream = open_stream(GW_CLASS_BULK, false);
    write_bytes(stream, 100000);
    gw_stream_finish(stream, solo.now);
    uint64_t offset = 0;
    while (offset < stream->out.end) {
        assert_true(pull());
        assert_int_equal(solo.count, 2);
        assert_int_equal(solo.frames[0].type, GW_FRAME_NUMBER);
        assert_int_equal(solo.frames[1].type, GW_FRAME_STREAM);
        assert_int_equal(solo.frames[1].offset, offset);
        assert_int_equal(solo.padding, 0);
        offset += solo.frames[1].len;
        assert_int_equal(solo.frames[1].is_fin, offset == stream->out.end);
        if (offset < stream->out.end)
            assert_int_equal(solo.len, SOLO_CAP);
    }
    assert_false(pull());
}

static void test_acks(void **state)
{
    (void)state;
    /* An ACK alone has no number and is no packet in flight. */
    assert_int_equal(solo_feed(&solo, GW_FRAME_PING, NULL, 0), 0);
    assert_true(pull());
    assert_int_equal(solo.count, 1);
    assert_int_equal(solo.frames[0].type, GW_FRAME_ACK);
    assert_int_equal(solo.mux->recovery.outstanding, 0);
    assert_false(pull());
    /* With something to say it rides along, behind the number. */
    assert_int_equal(solo_feed(&solo, GW_FRAME_PING, NULL, 0), 0);
    write_bytes(open_stream(GW_CLASS_NORMAL, false), 10);
    assert_true(pull());
    assert_int_equal(solo.count, 3);
    assert_int_equal(solo.frames[0].type, GW_FRAME_NUMBER);
    assert_int_equal(solo.frames[1].type, GW_FRAME_ACK);
    assert_int_equal(solo.frames[2].type, GW_FRAME_STREAM);
    assert_false(pull());
    /* It leaves though the window is closed. */
    solo.mux->cc.cwnd = 0;
    write_bytes(open_stream(GW_CLASS_NORMAL, false), 10);
    assert_false(pull());
    assert_int_equal(solo_feed(&solo, GW_FRAME_PING, NULL, 0), 0);
    assert_true(pull());
    assert_int_equal(solo.count, 1);
}

static void test_turns(void **state)
{
    struct gw_stream *streams[3];
    (void)state;
    for (int i = 0; i < 3; i++) {
        streams[i] = open_stream(GW_CLASS_NORMAL, false);
        write_bytes(streams[i], 120000);
    }
    for (int i = 0; i < 250; i++) {
        assert_true(pull());
        uint64_t least = UINT64_MAX, most = 0;
        for (int k = 0; k < 3; k++) {
            uint64_t bytes = sent_of(streams[k]);
            least = bytes < least ? bytes : least;
            most = bytes > most ? bytes : most;
        }
        assert_true(most - least <= GW_QUANTUM + 2 * SOLO_CAP);
    }
}

static void test_newcomer_goes_first(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        write_bytes(open_stream(GW_CLASS_NORMAL, false), 100000);
    for (int i = 0; i < 1000; i++)
        assert_true(pull());
    struct gw_stream *stream = open_stream(GW_CLASS_NORMAL, false);
    write_bytes(stream, 100);
    assert_true(pull());
    assert_int_equal(solo.frames[1].id, gw_stream_id(stream));
    /* One that sends a little now and then keeps that place; one that sends much does not. */
    for (int i = 0; i < 20; i++) {
        (void)pull();
        write_bytes(stream, 100);
        assert_true(pull());
        assert_int_equal(solo.frames[1].id, gw_stream_id(stream));
    }
    uint64_t before = sent_of(stream);
    write_bytes(stream, 100000);
    for (int i = 0; i < 100; i++)
        assert_true(pull());
    assert_true(sent_of(stream) - before < GW_FIRST_TURN + GW_QUANTUM + 2 * SOLO_CAP);
}

static void test_classes(void **state)
{
    struct gw_stream *streams[GW_CLASS_COUNT];
    (void)state;
    for (int i = 0; i < GW_CLASS_COUNT; i++)
        streams[i] = open_stream((enum gw_class)i, false);
    for (int round = 0; round < 2000; round++) {
        for (int i = 0; i < GW_CLASS_COUNT; i++)
            write_bytes(streams[i], 60000);
        assert_true(pull());
    }
    uint64_t sent[GW_CLASS_COUNT];
    for (int i = 0; i < GW_CLASS_COUNT; i++)
        sent[i] = sent_of(streams[i]);
    assert_true(sent[GW_CLASS_BULK] > 0);
    assert_in_range(sent[GW_CLASS_NORMAL] / sent[GW_CLASS_BULK], 3, 6);
    assert_in_range(sent[GW_CLASS_INTERACTIVE] / sent[GW_CLASS_NORMAL], 3, 6);
}

static void test_lost_bytes_first(void **state)
{
    (void)state;
    struct gw_stream *stream = open_stream(GW_CLASS_BULK, false);
    write_bytes(stream, 50000);
    for (int i = 0; i < 10; i++)
        assert_true(pull());
    write_bytes(open_stream(GW_CLASS_INTERACTIVE, false), 50000);
    assert_int_equal(gw_sendbuf_lost(&stream->out, 1500, 4000), 0);
    gw_schedule_stream(stream);
    uint64_t at = 1500;
    while (at < 4000) {
        assert_true(pull());
        assert_int_equal(solo.len, SOLO_CAP);
        assert_int_equal(solo.frames[1].id, gw_stream_id(stream));
        assert_int_equal(solo.frames[1].offset, at);
        at += solo.frames[1].len;
    }
    assert_int_equal(at, 4000);
}

static void test_padding_keeps_the_stride(void **state)
{
    (void)state;
    /* One stream leaves less than a frame's worth; the other has more: the packet is filled up. */
    struct gw_stream *first = open_stream(GW_CLASS_INTERACTIVE, false),
                     *second = open_stream(GW_CLASS_BULK, false);
    (void)solo_pull_all(&solo);
    write_bytes(first, SOLO_CAP - 30);
    write_bytes(second, 50000);
    assert_true(pull());
    assert_int_equal(solo.len, SOLO_CAP);
    assert_int_equal(solo.count, 2);
    assert_true(solo.padding > 0);
    assert_true(pull());
    assert_int_equal(solo.padding, 0);
}

static void test_session_credit(void **state)
{
    (void)state;
    struct gw_stream *stream = open_stream(GW_CLASS_NORMAL, false);
    struct gw_stream *datagrams = open_stream(GW_CLASS_NORMAL, true);
    (void)solo_pull_all(&solo);
    solo.mux->out_max = solo.mux->out_total + 5000;
    write_bytes(stream, 20000);
    uint64_t before = sent_of(stream);
    unsigned blocked = 0;
    while (pull())
        for (unsigned i = 0; i < solo.count; i++)
            blocked += solo.frames[i].type == GW_FRAME_BLOCKED && solo.frames[i].numbers[0] == 0;
    assert_int_equal(sent_of(stream) - before, 5000);
    assert_int_equal(blocked, 1);
    /* Neither datagrams, nor a bare FIN, nor lost bytes need it. */
    assert_int_equal(gw_stream_send_datagram(datagrams, solo.now, "x", 1), 0);
    assert_true(pull());
    assert_int_equal(solo.frames[1].type, GW_FRAME_DATAGRAM);
    assert_int_equal(gw_sendbuf_lost(&stream->out, 100, 200), 0);
    gw_schedule_stream(stream);
    assert_true(pull());
    assert_int_equal(solo.frames[1].len, 100);
    gw_stream_finish(datagrams, solo.now);
    assert_true(pull());
    assert_true(solo.frames[1].is_fin);
    assert_false(pull());
    /* More credit: it goes on. */
    assert_int_equal(
        solo_feed_numbers(&solo, GW_FRAME_MAX_DATA, 1, (const uint64_t[]){solo.mux->out_max + 3000}), 0);
    before = sent_of(stream);
    (void)solo_pull_all(&solo);
    assert_int_equal(sent_of(stream) - before, 3000);
}

static void test_datagrams_share_packets(void **state)
{
    static const uint8_t data[SOLO_CAP];
    (void)state;
    struct gw_stream *stream = open_stream(GW_CLASS_NORMAL, true);
    (void)solo_pull_all(&solo);
    for (int i = 0; i < 5; i++)
        assert_int_equal(gw_stream_send_datagram(stream, solo.now, data, 300), 0);
    assert_true(pull());
    assert_int_equal(solo.count, 4);
    assert_int_equal(solo.len, SOLO_CAP); /* padded: more is to come */
    assert_true(pull());
    assert_int_equal(solo.count, 3);
    /* An ACK that would be in a full-sized one's way waits. */
    assert_int_equal(solo_feed(&solo, GW_FRAME_PING, NULL, 0), 0);
    assert_int_equal(
        gw_stream_send_datagram(stream, solo.now, data, gw_mux_datagram_max(solo.mux, gw_stream_id(stream))),
        0);
    assert_true(pull());
    assert_int_equal(solo.frames[1].type, GW_FRAME_DATAGRAM);
    assert_true(pull());
    assert_int_equal(solo.frames[0].type, GW_FRAME_ACK);
    /* One that does not fit behind something else in the packet waits for the next. */
    uint8_t buf[SOLO_CAP];
    assert_int_equal(gw_stream_send_datagram(stream, solo.now, data, 900), 0);
    assert_int_equal(gw_mux_output(solo.mux, solo.now, buf, 500), 0);
    assert_true(gw_mux_has_output(solo.mux, solo.now));
    assert_true(pull());
    assert_int_equal(solo.frames[1].type, GW_FRAME_DATAGRAM);
    /* One that does not fit a path that has become narrower is dropped; what was in flight may be lost, so its fate is asked about. */
    assert_int_equal(gw_stream_send_datagram(stream, solo.now, data, 900), 0);
    gw_mux_set_path(solo.mux, solo.now, 500, 60, 0, false);
    assert_in_range(gw_mux_output(solo.mux, solo.now, buf, 500), 1, 20);
    assert_int_equal(gw_mux_output(solo.mux, solo.now, buf, 500), 0);
    assert_int_equal(solo.mux->datagrams_dropped, 1);
    assert_int_equal(lost_len, 900);
    assert_in_range(lost_max, 400, 499);
    /* One that never did is refused at once, and as lost. */
    assert_int_equal(gw_stream_send_datagram(stream, solo.now, data, lost_max + 1), GW_E_TOO_BIG);
    assert_int_equal(lost_len, lost_max + 1);
    assert_int_equal(solo.mux->datagrams_dropped, 2);
    assert_int_equal(gw_stream_send_datagram(stream, solo.now, data, lost_max), 0);
    assert_true(gw_mux_output(solo.mux, solo.now, buf, 500) > lost_max);
    assert_false(gw_mux_has_output(solo.mux, solo.now));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bulk_fills_packets),       TEST(test_acks),           TEST(test_turns),
        TEST(test_newcomer_goes_first),      TEST(test_classes),        TEST(test_lost_bytes_first),
        TEST(test_padding_keeps_the_stride), TEST(test_session_credit), TEST(test_datagrams_share_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

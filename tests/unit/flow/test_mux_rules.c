/* SPDX-License-Identifier: MIT */
/* What a mux does with frames that it did not ask for: broken rules close the stream that they concern or drop the
 * packet, resets and stops end what they should, and whatever is old or strange changes nothing. */
#include "solo.h"

#include "gateway/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct solo solo;

/* The only user; what its stream heard. */
static struct {
    struct gw_stream *offered;
    unsigned opened, accepted, fins, closed, writable;
    uint64_t received;
    unsigned long long reason;
    size_t takes;  /* at most so many bytes a call */
    bool releases; /* in on_fin */
    enum { ACCEPT, ATTACH, WAIT, REFUSE } answer;
} user;

static size_t on_data(struct gw_stream *stream, struct gw_mono at, const struct iovec *iov, int count,
                      void *ctx)
{
    size_t sum = 0;
    (void)stream;
    (void)at;
    (void)ctx;
    for (int i = 0; i < count; i++)
        sum += iov[i].iov_len;
    size_t taken = sum < user.takes ? sum : user.takes;
    user.received += taken;
    return taken;
}
static void on_accepted(struct gw_stream *stream, struct gw_mono at, void *ctx)
{
    (void)stream;
    (void)at;
    (void)ctx;
    user.accepted++;
}
static void on_fin(struct gw_stream *stream, struct gw_mono at, void *ctx)
{
    (void)ctx;
    user.fins++;
    if (user.releases)
        gw_stream_release(stream, at);
}
static void on_writable(struct gw_stream *stream, struct gw_mono at, void *ctx)
{
    (void)stream;
    (void)at;
    (void)ctx;
    user.writable++;
}
static void on_closed(struct gw_stream *stream, struct gw_mono at, unsigned long long reason, void *ctx)
{
    (void)stream;
    (void)at;
    (void)ctx;
    user.closed++;
    user.reason = reason;
}
static const struct gw_stream_ops ops = {.on_accepted = on_accepted,
                                         .on_data = on_data,
                                         .on_fin = on_fin,
                                         .on_writable = on_writable,
                                         .on_closed = on_closed};

static void on_open(struct gw_mux *mux, struct gw_stream *stream, const struct gw_open *open,
                    struct gw_mono at, void *ctx)
{
    (void)ctx;
    assert_ptr_equal(gw_mux_ctx(mux), &solo);
    assert_int_equal(open->port, 22);
    user.opened++;
    user.offered = stream;
    switch (user.answer) {
    case ACCEPT:
        gw_stream_accept(stream, at, &ops, NULL);
        break;
    case ATTACH:
        gw_stream_attach(stream, &ops, NULL);
        break;
    case REFUSE:
        gw_stream_reset(stream, at, GW_REASON_REFUSED);
        break;
    default:
        break;
    }
}

static int set_up(void **state)
{
    static const struct gw_mux_events events = {.on_open = on_open};
    (void)state;
    memset(&user, 0, sizeof user);
    user.takes = SIZE_MAX;
    solo_init(&solo, &events, 64u << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    solo_fini(&solo);
    return 0;
}

static struct gw_stream *open_ours(void)
{
    struct gw_open open = {.port = 22};
    struct gw_stream *stream;
    assert_int_equal(gw_stream_open(solo.mux, solo.now, &open, &ops, NULL, &stream), 0);
    return stream;
}

/* The peer's ids are odd, and 1 is reserved. */
#define PEER_ID 3u
static const uint8_t preface[] = {1, 0, 0, 22};

static void open_peers(void)
{
    assert_int_equal(solo_feed_stream(&solo, PEER_ID, 0, preface, sizeof preface, false), 0);
    assert_int_equal(user.opened, 1);
    (void)solo_pull_all(&solo);
}

/* Data behind the preface. */
static int feed_data(uint64_t offset, size_t len, bool is_fin)
{
    static const uint8_t data[1500];
    return solo_feed_stream(&solo, PEER_ID, sizeof preface + offset, data, len, is_fin);
}

static void expect_reset(uint64_t id, enum gw_reason reason)
{
    assert_true(solo_pull(&solo));
    const struct solo_frame *reset = solo_find(&solo, GW_FRAME_RESET);
    assert_non_null(reset);
    assert_int_equal(reset->numbers[0], id);
    assert_int_equal(reset->numbers[1], reason);
}

static uint64_t violations(void)
{
    struct gw_mux_stats stats;
    gw_mux_stats(solo.mux, &stats);
    return stats.violations;
}

static unsigned streams_open(void)
{
    struct gw_mux_stats stats;
    gw_mux_stats(solo.mux, &stats);
    return stats.streams_open;
}

/* --- packets ----------------------------------------------------------------------------------------------------- */

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
        {GW_FRAME_ACK, {7, 0, 0, 0, 0}, 5}, /* never sent */
        {GW_FRAME_NUMBER, {9}, 1},          /* a second one */
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

/* --- streams that break the rules -------------------------------------------------------------------------------- */

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

/* --- ends -------------------------------------------------------------------------------------------------------- */

static void test_reset_of_peer(void **state)
{
    (void)state;
    open_peers();
    user.takes = 10;
    assert_int_equal(feed_data(0, 100, false), 0);
    assert_true(solo.budget.used > 0);
    assert_int_equal(solo_feed_numbers(&solo, GW_FRAME_RESET, 3,
                                       (const uint64_t[]){PEER_ID, GW_REASON_SERVICE_DOWN, 5000}),
                     0);
    assert_int_equal(user.closed, 1);
    assert_int_equal(user.reason, GW_REASON_SERVICE_DOWN);
    assert_int_equal(solo.budget.used, 0);
    /* All that it counts is given back, and ours is answered with our final size. */
    assert_int_equal(solo.mux->in_consumed, 5000);
    expect_reset(PEER_ID, GW_REASON_CANCELLED);
    assert_int_equal(solo_find(&solo, GW_FRAME_RESET)->numbers[2], 1); /* the acceptance */
    assert_int_equal(streams_open(), 1);
    solo_ack_all(&solo);
    assert_int_equal(streams_open(), 0);
}

static void test_reset_of_user(void **state)
{
    (void)state;
    open_peers();
    assert_int_equal(feed_data(0, 100, false), 0);
    gw_stream_reset(user.offered, solo.now, GW_REASON_SERVICE_DOWN);
    assert_int_equal(user.closed, 0);
    expect_reset(PEER_ID, GW_REASON_SERVICE_DOWN);
    /* What the peer had sent before it heard of it counts, and changes nothing else. */
    assert_int_equal(feed_data(100, 200, false), 0);
    assert_int_equal(solo.mux->in_consumed, sizeof preface + 300);
    assert_int_equal(user.received, 100);
    solo_ack_all(&solo);
    assert_int_equal(feed_data(300, 0, true), 0); /* a FIN says as much as a RESET would */
    assert_int_equal(streams_open(), 0);
}

static void test_stop_of_peer(void **state)
{
    (void)state;
    open_peers();
    solo_write(&solo, user.offered, 1000);
    assert_int_equal(feed_data(0, 10, true), 0);
    (void)solo_pull_all(&solo);
    assert_int_equal(
        solo_feed_numbers(&solo, GW_FRAME_STOP, 2, (const uint64_t[]){PEER_ID, GW_REASON_CANCELLED}), 0);
    assert_int_equal(user.closed, 1);
    assert_int_equal(user.reason, GW_REASON_CANCELLED);
    expect_reset(PEER_ID, GW_REASON_CANCELLED);
    assert_int_equal(solo_find(&solo, GW_FRAME_RESET)->numbers[2], 1001);
    solo_ack_all(&solo);
    assert_int_equal(streams_open(), 0);
}

static void test_stop_of_user(void **state)
{
    (void)state;
    /* Our direction has ended in order, so that there is nothing to reset: the peer is asked to stop. */
    open_peers();
    gw_stream_finish(user.offered, solo.now);
    (void)solo_pull_all(&solo);
    solo_ack_all(&solo);
    assert_int_equal(feed_data(0, 10, false), 0);
    gw_stream_reset(user.offered, solo.now, GW_REASON_SERVICE_DOWN);
    assert_true(solo_pull(&solo));
    assert_null(solo_find(&solo, GW_FRAME_RESET));
    const struct solo_frame *stop = solo_find(&solo, GW_FRAME_STOP);
    assert_non_null(stop);
    assert_int_equal(stop->numbers[0], PEER_ID);
    assert_int_equal(stop->numbers[1], GW_REASON_SERVICE_DOWN);
    solo_ack_all(&solo);
    assert_int_equal(streams_open(), 1);
    assert_int_equal(solo_feed_numbers(&solo, GW_FRAME_RESET, 3, (const uint64_t[]){PEER_ID, 0, 20}), 0);
    assert_int_equal(streams_open(), 0);
}

static void test_release_too_early_is_a_reset(void **state)
{
    (void)state;
    open_peers();
    gw_stream_finish(user.offered, solo.now);
    gw_stream_release(user.offered, solo.now);
    expect_reset(PEER_ID, GW_REASON_CANCELLED);
}

static void test_peer_leaves_before_the_answer(void **state)
{
    (void)state;
    user.answer = WAIT;
    open_peers();
    assert_int_equal(feed_data(0, 100, false), 0);
    assert_int_equal(
        solo_feed_numbers(&solo, GW_FRAME_RESET, 3, (const uint64_t[]){PEER_ID, GW_REASON_CANCELLED, 104}),
        0);
    assert_int_equal(user.closed, 0); /* nobody to tell */
    (void)solo_pull_all(&solo);
    solo_ack_all(&solo);
    assert_int_equal(streams_open(), 1); /* the acceptor holds it */
    gw_stream_accept(user.offered, solo.now, &ops, NULL);
    assert_int_equal(user.closed, 1);
    assert_int_equal(user.reason, GW_REASON_CANCELLED);
    assert_int_equal(streams_open(), 0);
}

static void test_peer_leaves_who_attached(void **state)
{
    (void)state;
    user.answer = ATTACH;
    open_peers();
    assert_int_equal(
        solo_feed_numbers(&solo, GW_FRAME_RESET, 3, (const uint64_t[]){PEER_ID, GW_REASON_CANCELLED, 4}), 0);
    assert_int_equal(user.closed, 1);
    (void)solo_pull_all(&solo);
    solo_ack_all(&solo);
    assert_int_equal(streams_open(), 0);
}

static void test_data_waits_for_the_answer(void **state)
{
    (void)state;
    user.answer = ATTACH;
    open_peers();
    assert_int_equal(feed_data(0, 100, true), 0);
    assert_int_equal(user.received, 0);
    gw_stream_accept(user.offered, solo.now, &ops, NULL);
    assert_int_equal(user.received, 100);
    assert_int_equal(user.fins, 1);
}

static void test_refused(void **state)
{
    (void)state;
    user.answer = REFUSE;
    assert_int_equal(solo_feed_stream(&solo, PEER_ID, 0, preface, sizeof preface, false), 0);
    expect_reset(PEER_ID, GW_REASON_REFUSED);
}

static void test_too_many(void **state)
{
    (void)state;
    solo.mux->max_streams = 2;
    for (uint64_t id = 3; id < 9; id += 2)
        assert_int_equal(solo_feed_stream(&solo, id, 0, preface, sizeof preface, false), 0);
    assert_int_equal(user.opened, 2);
    bool is_refused = false;
    while (solo_pull(&solo)) {
        const struct solo_frame *reset = solo_find(&solo, GW_FRAME_RESET);
        is_refused |= reset != NULL && reset->numbers[0] == 7 && reset->numbers[1] == GW_REASON_LIMIT;
    }
    assert_true(is_refused);
}

/* --- credit ------------------------------------------------------------------------------------------------------ */

static void test_blocked_writer(void **state)
{
    (void)state;
    struct gw_stream *stream = open_ours();
    struct gw_stream_stats stats;
    solo_write(&solo, stream, 100000);
    assert_int_equal(stream->out.end, GW_CREDIT_STREAM_INITIAL);
    gw_stream_stats(stream, &stats);
    assert_true(stats.is_blocked_by_credit);
    bool is_told = false;
    while (solo_pull(&solo)) {
        const struct solo_frame *blocked = solo_find(&solo, GW_FRAME_BLOCKED);
        if (blocked == NULL)
            continue;
        assert_false(is_told);
        is_told = true;
        assert_int_equal(blocked->numbers[0], gw_stream_id(stream) + 1);
        assert_int_equal(blocked->numbers[1], GW_CREDIT_STREAM_INITIAL);
    }
    assert_true(is_told);
    assert_int_equal(user.writable, 0);
    assert_int_equal(
        solo_feed_numbers(&solo, GW_FRAME_MAX_STREAM_DATA, 2,
                          (const uint64_t[]){gw_stream_id(stream), GW_CREDIT_STREAM_INITIAL + 1}),
        0);
    assert_int_equal(user.writable, 1);
    size_t len;
    assert_non_null(gw_stream_reserve(stream, 1000, &len));
    assert_int_equal(len, 1);
    gw_stream_commit(stream, solo.now, 0);
}

static void test_blocked_peer(void **state)
{
    (void)state;
    open_peers();
    uint64_t granted = user.offered->credit.granted;
    /* It stands at our limit though we take everything: more. */
    assert_int_equal(solo_feed_numbers(&solo, GW_FRAME_BLOCKED, 2, (const uint64_t[]){PEER_ID + 1, granted}),
                     0);
    assert_true(solo_pull(&solo));
    const struct solo_frame *max = solo_find(&solo, GW_FRAME_MAX_STREAM_DATA);
    assert_non_null(max);
    assert_true(max->numbers[1] > granted);
    /* It has not heard of the last limit yet: it is told again, not given more. */
    uint64_t again = max->numbers[1];
    assert_int_equal(solo_feed_numbers(&solo, GW_FRAME_BLOCKED, 2, (const uint64_t[]){PEER_ID + 1, granted}),
                     0);
    assert_true(solo_pull(&solo));
    max = solo_find(&solo, GW_FRAME_MAX_STREAM_DATA);
    assert_non_null(max);
    assert_int_equal(max->numbers[1], again);
    /* A reader that does not take is no reason. */
    user.takes = 0;
    assert_int_equal(feed_data(0, 100, false), 0);
    assert_int_equal(solo_feed_numbers(&solo, GW_FRAME_BLOCKED, 2, (const uint64_t[]){PEER_ID + 1, again}),
                     0);
    (void)solo_pull(&solo);
    assert_null(solo_find(&solo, GW_FRAME_MAX_STREAM_DATA));
    /* The session's. */
    granted = solo.mux->credit.granted;
    assert_int_equal(solo_feed_numbers(&solo, GW_FRAME_BLOCKED, 2, (const uint64_t[]){0, granted}), 0);
    assert_true(solo_pull(&solo));
    assert_non_null(solo_find(&solo, GW_FRAME_MAX_DATA));
}

static void test_hungry_writer(void **state)
{
    (void)state;
    size_t len;
    struct gw_stream *stream = open_ours();
    (void)solo_pull_all(&solo);
    solo_ack_all(&solo);
    solo.budget.limit = 1; /* somebody else has it all */
    assert_null(gw_stream_reserve(stream, 1000, &len));
    gw_deadlines_expire(&solo.deadlines, solo.now = gw_mono_add(solo.now, GW_MS(11)));
    assert_int_equal(user.writable, 0);
    solo.budget.limit = 64u << 20;
    gw_deadlines_expire(&solo.deadlines, solo.now = gw_mono_add(solo.now, GW_MS(11)));
    assert_int_equal(user.writable, 1);
}

static void test_no_memory_to_receive(void **state)
{
    (void)state;
    open_peers();
    (void)solo_pull_all(&solo);
    solo_ack_all(&solo);
    assert_int_equal(solo.budget.used, 0);
    solo.budget.limit = 1;
    /* Behind a gap it cannot be kept: the packet was not received. */
    uint64_t number = solo.next_number;
    assert_int_equal(feed_data(100, 100, false), 0);
    assert_false(gw_acker_has(&solo.mux->acker, number));
    /* In order it needs no memory. */
    assert_int_equal(feed_data(0, 100, false), 0);
    assert_true(gw_acker_has(&solo.mux->acker, number + 1));
    assert_int_equal(user.received, 100);
    assert_int_equal(user.closed, 0);
    assert_int_equal(violations(), 0);
}

static void test_stalled_reader(void **state)
{
    (void)state;
    open_peers();
    user.takes = 0;
    assert_int_equal(feed_data(0, 1000, false), 0);
    uint64_t consumed = solo.mux->in_consumed;
    solo.now = gw_mono_add(solo.now, GW_MS(999));
    gw_deadlines_expire(&solo.deadlines, solo.now);
    assert_int_equal(solo.mux->in_consumed, consumed);
    solo.now = gw_mono_add(solo.now, GW_MS(1));
    gw_deadlines_expire(&solo.deadlines, solo.now);
    assert_int_equal(solo.mux->in_consumed, consumed + 1000);
    assert_int_equal(feed_data(1000, 500, false),
                     0); /* what comes now does not weigh on the session at all */
    assert_int_equal(solo.mux->in_consumed, consumed + 1500);
    /* When it reads on, nothing counts twice. */
    user.takes = SIZE_MAX;
    gw_stream_resume(user.offered, solo.now);
    assert_int_equal(user.received, 1500);
    assert_int_equal(solo.mux->in_consumed, consumed + 1500);
    assert_int_equal(feed_data(1500, 500, false), 0);
    assert_int_equal(solo.mux->in_consumed, consumed + 2000);
}

/* A socket that takes nothing for a while: whatever is due is due once, not in every turn of the loop. */
static void test_nobody_pulls(void **state)
{
    (void)state;
    open_peers();
    solo.mux->recovery.srtt_ns = GW_MS(40); /* so that lone acks wait */
    solo_write(&solo, user.offered, 5000);
    assert_true(solo_pull(&solo));
    user.takes = 10;
    assert_int_equal(feed_data(0, 100, false), 0);
    for (unsigned rounds = 0; !gw_mono_is_never(gw_deadlines_next(&solo.deadlines)); rounds++) {
        assert_true(rounds < 40);
        solo.now = gw_mono_max(solo.now, gw_deadlines_next(&solo.deadlines));
        if (gw_mono_sub(solo.now, (struct gw_mono){GW_S(1)}) > GW_S(20))
            break; /* probes every 2 s go on */
        gw_deadlines_expire(&solo.deadlines, solo.now);
        struct gw_mono next = gw_deadlines_next(&solo.deadlines);
        assert_true(gw_mono_before(solo.now, next));
    }
    assert_true(gw_mux_has_output(solo.mux, solo.now));
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

/* One budget, two muxes: memory for the one is taken from the longest blocked reader of the other. */
static void test_shared_budget(void **state)
{
    static const struct gw_mux_events events = {.on_open = on_open, .ctx = &solo};
    (void)state;
    struct gw_mux *other, *first = solo.mux;
    struct gw_mux_params params = {.deadlines = &solo.deadlines,
                                   .random = &solo.random.random,
                                   .budget = &solo.budget,
                                   .events = &events};
    assert_int_equal(gw_mux_new(&other, &params, solo.now), 0);
    open_peers();
    user.takes = 0;
    assert_int_equal(feed_data(0, 1000, false), 0);
    (void)solo_pull_all(&solo);
    solo_ack_all(&solo);
    solo.budget.limit = solo.budget.used;
    solo.now = gw_mono_add(solo.now, GW_MS(500));

    solo.mux = other;
    solo.next_number = 0;
    static const uint8_t open[] = {0, PEER_ID - 1, 4,
                                   'x'}; /* its own sides are the other way round, and a gap */
    assert_int_equal(solo_feed(&solo, GW_FRAME_STREAM, open, sizeof open), 0);
    assert_int_equal(user.closed, 1);
    assert_int_equal(user.reason, GW_REASON_NO_MEMORY);
    assert_true(gw_acker_has(&other->acker, 0));
    gw_mux_free(other, solo.now, GW_REASON_SHUTTING_DOWN);
    solo.mux = first;
    solo.budget.limit = 64u << 20;
    expect_reset(PEER_ID, GW_REASON_NO_MEMORY);
}

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_session_violations),
        TEST(test_frames_need_a_number),
        TEST(test_duplicates),
        TEST(test_ce_is_echoed),
        TEST(test_old_and_strange_ids),
        TEST(test_beyond_stream_credit),
        TEST(test_beyond_session_credit),
        TEST(test_beyond_final_size),
        TEST(test_two_final_sizes),
        TEST(test_final_size_below_data),
        TEST(test_bad_preface),
        TEST(test_bad_answer),
        TEST(test_reset_of_peer),
        TEST(test_reset_of_user),
        TEST(test_stop_of_peer),
        TEST(test_stop_of_user),
        TEST(test_release_too_early_is_a_reset),
        TEST(test_peer_leaves_before_the_answer),
        TEST(test_peer_leaves_who_attached),
        TEST(test_data_waits_for_the_answer),
        TEST(test_refused),
        TEST(test_too_many),
        TEST(test_blocked_writer),
        TEST(test_blocked_peer),
        TEST(test_hungry_writer),
        TEST(test_no_memory_to_receive),
        TEST(test_stalled_reader),
        TEST(test_nobody_pulls),
        TEST(test_frames_for_the_dead),
        TEST(test_shared_budget),
        TEST(test_looking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

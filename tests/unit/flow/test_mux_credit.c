/* SPDX-License-Identifier: MIT */
/* Who waits for whom: credit, memory, readers that do not read, a socket that takes nothing. */
#include "solo_user.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_blocked_writer),       TEST(test_blocked_peer),   TEST(test_hungry_writer),
        TEST(test_no_memory_to_receive), TEST(test_stalled_reader), TEST(test_nobody_pulls),
        TEST(test_shared_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

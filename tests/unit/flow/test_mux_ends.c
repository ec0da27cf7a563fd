/* SPDX-License-Identifier: MIT */
/* How streams begin and end: resets and stops of either side end what they should, whenever they come. */
#include "solo_user.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

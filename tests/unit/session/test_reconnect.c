/* SPDX-License-Identifier: MIT */
/* The clock rules of a session whose peer does not answer, each by its time: stale, retries, failure and backoff, kicks, sleep. */
#include "pair.h"

#include "gateway/session/timers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* ---- stale */

static void test_stale(void **state)
{
    struct pair *pair = pair_establish(GW_S(20), GW_S(20));
    const struct gw_mono start = pair->now;

    (void)state;
    pair_run_for(pair, GW_S(100));
    assert_int_equal(pair_state(pair, A), GW_SESSION_ESTABLISHED);
    assert_true(pair_stats(pair, A).missed_keepalives <= 1);
    pair->lose = lose_all;
    pair_run(pair, gw_mono_add(pair_stats(pair, A).last_received, GW_S(60) - 1));
    assert_int_equal(pair_state(pair, A), GW_SESSION_ESTABLISHED);
    pair_run_for(pair, GW_MS(400));
    assert_int_equal(pair_state(pair, A), GW_SESSION_STALE);
    assert_int_equal(pair_state(pair, B), GW_SESSION_STALE);
    assert_true(pair_stats(pair, A).missed_keepalives >= 3);
    pair->lose = NULL;
    pair_run_for(pair, GW_S(6));
    assert_int_equal(pair_state(pair, A), GW_SESSION_ESTABLISHED);
    assert_int_equal(pair_state(pair, B), GW_SESSION_ESTABLISHED);
    assert_true(gw_mono_sub(pair->now, start) < GW_S(170));
    assert_true(pair_agrees(pair));
    pair_free(pair);
}

/* A handshake was without an answer already when the silence grew too long: stale at once. */
static void test_stale_in_series(void **state)
{
    struct pair *pair = pair_establish(GW_S(20), 0);

    (void)state;
    pair->lose = lose_all;
    pair_run_for(pair, GW_S(30));
    pair_send(pair, A); /* unanswered for 15 s: a series from then on */
    pair_run(pair, gw_mono_add(pair_stats(pair, A).last_received, GW_S(60) - 1));
    assert_int_equal(pair_state(pair, A), GW_SESSION_ESTABLISHED);
    pair_run_for(pair, 1);
    assert_int_equal(pair_state(pair, A), GW_SESSION_STALE);
    pair_free(pair);
}

/* A stock peer at rest says nothing for two minutes: it is asked, answers, and is not called stale for a moment. */
static void test_silent_is_not_stale(void **state)
{
    struct pair *pair = pair_establish(GW_S(20), 0);

    (void)state;
    pair_run_for(pair, GW_S(300));
    for (unsigned i = 0; i < pair->nodes[A].state_count; i++)
        assert_int_not_equal(pair->nodes[A].states[i], GW_SESSION_STALE);
    pair_free(pair);
}

/* ---- failed, reconnecting */

static void test_retries(void **state)
{
    struct pair *pair = pair_new(13);
    static const int64_t delays_ms[] = {300, 600, 1200, 2400, 4800, 5000, 5000, 5000};

    (void)state;
    pair->lose = lose_all;
    pair_connect(pair);
    pair_send(pair, A);
    pair_run_for(pair, GW_S(30));
    for (unsigned i = 0; i < sizeof delays_ms / sizeof delays_ms[0]; i++) {
        const int64_t delay =
            gw_mono_sub(pair_sent_at(pair, A, INITIATION, i + 1), pair_sent_at(pair, A, INITIATION, i));

        if (i == 7)
            break; /* beyond the 30 s */
        assert_true(delay >= GW_MS(delays_ms[i]) && delay <= GW_MS(delays_ms[i]) * 16 / 15);
    }
    assert_int_equal(pair->nodes[A].local.handshakes.len, GW_INITIATORS);
    pair_free(pair);
}

static void test_retry_by_rtt(void **state)
{
    struct pair *pair = pair_new(14);
    int64_t delay;

    (void)state;
    pair->delay_ns = GW_MS(400);
    pair_connect(pair);
    pair_send(pair, A);
    pair_run_for(pair, GW_S(200));
    assert_int_equal(pair_stats(pair, A).handshake_rtt_ns, GW_MS(800));
    pair->lose = lose_all;
    pair->flight_count = 0;
    pair_send(pair, A);
    pair_run_for(pair, GW_S(5));
    delay = gw_mono_sub(pair_sent_at(pair, A, INITIATION, 1), pair_sent_at(pair, A, INITIATION, 0));
    assert_true(delay >= GW_MS(1600) && delay <= GW_MS(1600) * 16 / 15);
    pair_free(pair);
}

static void test_gives_up(void **state)
{
    struct pair *pair = pair_new(15);

    (void)state;
    pair->lose = lose_all;
    pair_connect(pair);
    pair_send(pair, A);
    pair_run_for(pair, GW_S(75) - 1);
    assert_int_equal(pair_state(pair, A), GW_SESSION_HANDSHAKING);
    pair_run_for(pair, 1);
    assert_int_equal(pair_state(pair, A), GW_SESSION_FAILED);
    /* Nobody wants anything: one backoff later it is as if nothing had been. */
    pair->flight_count = 0;
    pair_run_for(pair, GW_S(7));
    assert_int_equal(pair_state(pair, A), GW_SESSION_IDLE);
    pair_run_for(pair, GW_S(600));
    assert_int_equal(pair->flight_count, 0);
    assert_int_equal(pair->nodes[A].local.handshakes.len, 0);
    assert_true(gw_mono_is_never(gw_deadlines_next(&pair->nodes[A].deadlines)));
    pair_send(pair, A);
    assert_int_equal(pair->flight_count, 1);
    pair_free(pair);
}

static void check_backoff(struct pair *pair, bool is_wanted)
{
    static const int64_t backoffs_s[] = {5, 10, 20, 40, 60, 60, 60};
    struct gw_mono last;

    pair_run_for(pair, GW_S(75));
    assert_int_equal(pair_state(pair, A), GW_SESSION_FAILED);
    last = pair->now;
    pair->flight_count = 0;
    for (unsigned i = 0; i < 350; i++) {
        pair_run_for(pair, GW_S(1));
        if (is_wanted)
            gw_session_want_send(pair->nodes[A].session, pair->now);
        assert_int_equal(pair_state(pair, A), GW_SESSION_FAILED);
    }
    assert_true(pair->flight_count >= sizeof backoffs_s / sizeof backoffs_s[0]);
    for (unsigned i = 0; i < sizeof backoffs_s / sizeof backoffs_s[0]; i++) {
        const int64_t delay = gw_mono_sub(pair_sent_at(pair, A, INITIATION, i), last);

        assert_true(delay >= GW_S(backoffs_s[i]) * 3 / 4 && delay <= GW_S(backoffs_s[i]) * 5 / 4);
        last = pair_sent_at(pair, A, INITIATION, i);
    }
    pair->lose = NULL;
    pair_run_for(pair, GW_S(80));
    assert_int_equal(pair_state(pair, A), GW_SESSION_ESTABLISHED);
}

static void test_reconnects_while_wanted(void **state)
{
    struct pair *pair = pair_new(16);

    (void)state;
    pair->lose = lose_all;
    pair_connect(pair);
    gw_session_want_send(pair->nodes[A].session, pair->now);
    pair_serve(pair, A);
    check_backoff(pair, true);
    pair_free(pair);
}

static void test_reconnects_by_persistent_keepalive(void **state)
{
    struct pair *pair = pair_new(17);

    (void)state;
    pair->nodes[A].params.persistent_keepalive_ns = GW_S(20);
    pair->lose = lose_all;
    pair_connect(pair);
    check_backoff(pair, false);
    pair_free(pair);
}

static void test_timeout_is_configured(void **state)
{
    struct pair *pair = pair_new(18);

    (void)state;
    pair->nodes[A].params.connection_timeout_ns = GW_S(10);
    pair->lose = lose_all;
    pair_connect(pair);
    pair_send(pair, A);
    pair_run_for(pair, GW_S(10));
    assert_int_equal(pair_state(pair, A), GW_SESSION_FAILED);
    pair_free(pair);
}

/* The peer calls while we back off: established at once, and the backoff is forgotten. */
static void test_peer_ends_failure(void **state)
{
    struct pair *pair = pair_new(19);

    (void)state;
    pair->lose = lose_all;
    pair_connect(pair);
    pair_send(pair, A);
    pair_run_for(pair, GW_S(76));
    assert_int_equal(pair_state(pair, A), GW_SESSION_FAILED);
    pair->lose = NULL;
    pair_send(pair, B);
    pair_run_for(pair, GW_MS(40));
    assert_int_equal(pair_state(pair, A), GW_SESSION_ESTABLISHED);
    assert_int_equal(pair->nodes[B].data_received, 1); /* what had waited */
    pair->flight_count = 0;
    pair_run_for(pair, GW_S(200));
    assert_int_equal(pair_count(pair, 2, INITIATION), 0);

    pair->lose = lose_all; /* and once more: from the start of the backoff */
    pair_send(pair, A);
    pair_run_for(pair, GW_S(75));
    assert_int_equal(pair_state(pair, A), GW_SESSION_FAILED);
    pair->flight_count = 0;
    gw_session_want_send(pair->nodes[A].session, pair->now);
    pair_run_for(pair, GW_MS(6251));
    assert_int_equal(pair_count(pair, A, INITIATION), 1);
    pair_free(pair);
}

/* Wanted once while it backs off: one more attempt, not attempts for ever. */
static void test_one_wish_one_attempt(void **state)
{
    struct pair *pair = pair_new(23);

    (void)state;
    pair->lose = lose_all;
    pair_connect(pair);
    pair_send(pair, A);
    pair_run_for(pair, GW_S(76));
    pair->flight_count = 0;
    gw_session_want_send(pair->nodes[A].session, pair->now);
    pair_run_for(pair, GW_S(30));
    assert_int_equal(pair_count(pair, A, INITIATION), 1);
    assert_int_equal(pair_state(pair, A), GW_SESSION_IDLE);
    pair_free(pair);
}

/* All of ours are lost, the peer's handshake is not: its first packet ends our series. */
static void test_peer_ends_series(void **state)
{
    struct pair *pair = pair_new(24);

    (void)state;
    pair->lose = lose_all;
    pair_connect(pair);
    pair_send(pair, A);
    pair_run_for(pair, GW_S(1));
    pair->lose = NULL;
    pair->flight_count = 0;
    pair_send(pair, B);
    pair_run_for(pair, GW_S(15));
    assert_int_equal(pair_count(pair, B, INITIATION), 1);
    assert_int_equal(pair_count(pair, A, INITIATION), 0);
    pair_free(pair);
}

/* ---- kicks and sleep */

static void test_kick(void **state)
{
    struct pair *pair = pair_new(20);

    (void)state;
    pair->lose = lose_all;
    pair_connect(pair);
    gw_session_kick(pair->nodes[A].session, pair->now); /* idle: nothing */
    assert_int_equal(gw_session_wants(pair->nodes[A].session), 0);
    pair_send(pair, A);
    pair_run_for(pair, GW_S(20));
    pair->flight_count = 0;
    gw_session_kick(pair->nodes[A].session, pair->now); /* in a series: at once, and fast again */
    pair_serve(pair, A);
    assert_int_equal(pair->flight_count, 1);
    gw_session_kick(pair->nodes[A].session, pair->now); /* but not twice within 20 ms */
    pair_serve(pair, A);
    assert_int_equal(pair->flight_count, 1);
    pair_run_for(pair, GW_MS(20));
    assert_int_equal(pair->flight_count, 2);
    pair_run_for(pair, GW_MS(340));
    assert_int_equal(pair->flight_count, 3);
    pair_run_for(pair, GW_S(76));
    assert_int_equal(pair_state(pair, A), GW_SESSION_FAILED);
    pair->lose = NULL;
    gw_session_kick(pair->nodes[A].session, pair->now);
    pair_serve(pair, A);
    pair_run_for(pair, GW_MS(30));
    assert_true(pair_agrees(pair));
    pair->flight_count = 0;
    gw_session_kick(pair->nodes[A].session, pair->now); /* established: nothing */
    pair_serve(pair, A);
    assert_int_equal(pair->flight_count, 0);
    pair_free(pair);
}

/* A series that nobody answered, with a key pair that is 90 s old. */
static struct pair *fail_with_keys(void)
{
    struct pair *pair = pair_establish(0, 0);

    pair->lose = lose_all;
    pair_send(pair, A);
    pair_run_for(pair, GW_S(15) + GW_MS(400) + GW_CONNECTION_TIMEOUT);
    assert_int_equal(pair_state(pair, A), GW_SESSION_FAILED);
    assert_non_null(pair_key(pair, A)); /* as WireGuard has it: usable until REJECT_AFTER_TIME */
    assert_true(gw_mono_sub(pair->now, pair_born(pair)) < GW_S(100));
    return pair;
}

/* Keys of before do not make it established again: only an answer does, or a packet on them. */
static void test_kick_with_old_keys(void **state)
{
    struct pair *pair = fail_with_keys();
    const struct gw_keypair *old = pair_key(pair, A);

    (void)state;
    gw_session_kick(pair->nodes[A].session, pair->now);
    pair_serve(pair, A);
    assert_int_equal(pair_state(pair, A), GW_SESSION_HANDSHAKING);
    pair_run_for(pair, GW_S(10));
    assert_int_equal(pair_state(pair, A), GW_SESSION_HANDSHAKING);
    pair->lose = NULL;
    pair_run_for(pair, GW_S(6));
    assert_int_equal(pair_state(pair, A), GW_SESSION_ESTABLISHED);
    assert_true(pair_agrees(pair) && pair_key(pair, A) != old);
    pair_free(pair);
}

static void test_heard_on_old_keys(void **state)
{
    struct pair *pair = fail_with_keys();
    const struct gw_keypair *old = pair_key(pair, A);
    const unsigned asked = pair_count(pair, A, INITIATION);

    (void)state;
    pair->lose = NULL;
    pair_send(pair, B);
    pair_run_for(pair, GW_MS(15));
    assert_int_equal(pair_state(pair, A), GW_SESSION_ESTABLISHED);
    assert_ptr_equal(pair_key(pair, A), old);
    assert_int_equal(pair_count(pair, A, INITIATION), asked);
    pair_free(pair);
}

/* Nobody asks any more: idle, and who asks next gets a handshake at once, not the old keys alone. */
static void test_idle_with_old_keys(void **state)
{
    struct pair *pair = fail_with_keys();
    const unsigned asked = pair_count(pair, A, INITIATION);

    (void)state;
    pair_run_for(pair, GW_S(7));
    assert_int_equal(pair_state(pair, A), GW_SESSION_IDLE);
    assert_int_equal(pair_count(pair, A, INITIATION), asked);
    pair->lose = NULL;
    gw_session_want_send(pair->nodes[A].session, pair->now);
    pair_serve(pair, A);
    assert_int_equal(pair_count(pair, A, INITIATION), asked + 1);
    pair_run_for(pair, GW_MS(30));
    assert_int_equal(pair_state(pair, A), GW_SESSION_ESTABLISHED);
    assert_true(pair_agrees(pair));
    pair_free(pair);
}

static void test_sleep_while_established(void **state)
{
    struct pair *pair = pair_establish(GW_S(20), 0);

    (void)state;
    pair_run_for(pair, GW_S(30));
    pair_sleep(pair, GW_S(36000));
    assert_null(pair_key(pair, A)); /* though no timer ran yet */
    pair_run_for(pair, GW_MS(40));
    assert_true(pair_agrees(pair));
    assert_int_equal(pair_state(pair, A), GW_SESSION_ESTABLISHED);
    pair_free(pair);
}

/* Asleep in the middle of a series: on waking it goes on, it has not failed. */
static void test_sleep_in_series(void **state)
{
    struct pair *pair = pair_new(21);

    (void)state;
    pair->lose = lose_all;
    pair_connect(pair);
    pair_send(pair, A);
    pair_run_for(pair, GW_S(3));
    pair_sleep(pair, GW_S(3600));
    pair->lose = NULL;
    pair_run_for(pair, GW_MS(40));
    assert_true(pair_agrees(pair));
    for (unsigned i = 0; i < pair->nodes[A].state_count; i++)
        assert_int_not_equal(pair->nodes[A].states[i], GW_SESSION_FAILED);
    pair_free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_stale_in_series),
        cmocka_unit_test(test_silent_is_not_stale),
        cmocka_unit_test(test_retries),
        cmocka_unit_test(test_retry_by_rtt),
        cmocka_unit_test(test_gives_up),
        cmocka_unit_test(test_reconnects_while_wanted),
        cmocka_unit_test(test_reconnects_by_persistent_keepalive),
        cmocka_unit_test(test_timeout_is_configured),
        cmocka_unit_test(test_peer_ends_failure),
        cmocka_unit_test(test_one_wish_one_attempt),
        cmocka_unit_test(test_peer_ends_series),
        cmocka_unit_test(test_kick),
        cmocka_unit_test(test_kick_with_old_keys),
        cmocka_unit_test(test_heard_on_old_keys),
        cmocka_unit_test(test_idle_with_old_keys),
        cmocka_unit_test(test_sleep_while_established),
        cmocka_unit_test(test_sleep_in_series),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

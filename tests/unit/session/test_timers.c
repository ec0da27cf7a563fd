/* SPDX-License-Identifier: MIT */
/* The clock rules of a session that goes well, each by its time: keys and keepalives. */
#include "pair.h"

#include "gateway/session/timers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void run_to_age(struct pair *pair, int64_t age_ns)
{
    pair_run(pair, gw_mono_add(pair_born(pair), age_ns));
}

/* ---- keys */

static void test_rekey_on_sending(void **state)
{
    struct pair *pair = pair_establish(0, 0);

    (void)state;
    run_to_age(pair, GW_REKEY_AFTER_TIME - 1);
    pair_send(pair, A);
    pair_send(pair, B);
    assert_int_equal(pair_count(pair, 2, INITIATION), 1);
    run_to_age(pair, GW_REKEY_AFTER_TIME + GW_MS(30));
    pair_send(pair, B); /* the responder leaves it to the initiator */
    assert_int_equal(pair_count(pair, 2, INITIATION), 1);
    pair_send(pair, A);
    assert_int_equal(pair_count(pair, A, INITIATION), 2);
    assert_int_equal(pair_state(pair, A), GW_SESSION_ESTABLISHED);
    pair_run_for(pair, GW_MS(50));
    assert_true(pair_agrees(pair));
    assert_int_equal(pair->nodes[A].keypairs_made, 2);
    assert_true(gw_mono_sub(pair->now, pair_born(pair)) < GW_MS(50));
    assert_int_equal(pair->nodes[A].state_count, 2); /* established throughout */
    pair_free(pair);
}

static void test_rekey_on_receiving(void **state)
{
    struct pair *pair = pair_establish(0, 0);

    (void)state;
    for (unsigned i = 1; i <= 3; i++) {
        run_to_age(pair, GW_S(165) - GW_MS(20));
        pair_send(pair, B);
        run_to_age(pair, GW_S(165) - GW_MS(5));
        assert_int_equal(pair_count(pair, 2, INITIATION), i);
        run_to_age(pair, GW_S(165));
        pair_send(pair, B);
        pair_run_for(pair, GW_MS(10));
        assert_int_equal(pair_count(pair, A, INITIATION), i + 1);
        pair_run_for(pair, GW_MS(30));
        assert_true(pair_agrees(pair));
    }
    pair_free(pair);
}

static void test_rekey_after_messages(void **state)
{
    (void)state;
    for (unsigned who = A; who <= B; who++) {
        struct pair *pair = pair_establish(0, 0);

        pair_run_for(pair, GW_S(6)); /* or they would count as crossing */
        pair_key(pair, who)->send_counter = GW_REKEY_AFTER_MESSAGES;
        pair_send(pair, who);
        assert_int_equal(pair_count(pair, who, INITIATION), 1 + (who == A));
        pair_run_for(pair, GW_MS(100));
        assert_true(pair_agrees(pair));
        assert_true(pair_key(pair, who)->send_counter < 10);
        pair_key(pair, who)->send_counter = GW_REJECT_AFTER_MESSAGES;
        assert_null(pair_key(pair, who));
        pair_send(pair, who);
        pair_run_for(pair, GW_MS(100));
        assert_true(pair_agrees(pair));
        pair_free(pair);
    }
}

static void test_reject_after_time(void **state)
{
    struct pair *pair = pair_establish(0, 0);
    uint32_t index = pair_key(pair, A)->local_index;

    (void)state;
    pair->lose = lose_all;
    run_to_age(pair, GW_REJECT_AFTER_TIME - 1);
    assert_non_null(pair_key(pair, A));
    assert_non_null(gw_session_receiving_key(&pair->nodes[A].local, index, pair->now));
    assert_int_equal(pair_state(pair, A), GW_SESSION_ESTABLISHED);
    run_to_age(pair, GW_REJECT_AFTER_TIME);
    assert_null(pair_key(pair, A));
    assert_null(gw_session_receiving_key(&pair->nodes[A].local, index, pair->now));
    assert_int_equal(pair_state(pair, A), GW_SESSION_IDLE);
    assert_int_equal(pair_state(pair, B), GW_SESSION_IDLE); /* it was born half a round trip before */
    pair_free(pair);
}

static void test_zeroed(void **state)
{
    struct pair *pair = pair_establish(0, 0);

    (void)state;
    run_to_age(pair, 3 * GW_REJECT_AFTER_TIME - GW_MS(20));
    assert_int_equal(pair->nodes[A].keypairs_gone, 0);
    run_to_age(pair, 3 * GW_REJECT_AFTER_TIME);
    assert_int_equal(pair->nodes[A].keypairs_gone, 1);
    assert_int_equal(pair->nodes[B].keypairs_gone, 1);
    assert_int_equal(pair->nodes[A].local.keypairs.len, 0);
    /* and nothing is left to wake up for */
    assert_true(gw_mono_is_never(gw_deadlines_next(&pair->nodes[A].deadlines)));
    assert_true(gw_mono_is_never(gw_deadlines_next(&pair->nodes[B].deadlines)));
    pair_free(pair);
}

/* ---- keepalives */

static void test_passive_keepalive(void **state)
{
    struct pair *pair = pair_establish(0, 0);
    const unsigned before = pair_count(pair, B, DATA);

    (void)state;
    pair_send(pair, A);
    pair_run_for(pair, GW_S(5));
    pair_send(pair, A); /* more data do not put it off */
    pair_run_for(pair, GW_S(5) + GW_MS(10) - 1);
    pair_send(pair, A);
    assert_int_equal(pair_count(pair, B, DATA), before);
    pair_run_for(pair, 1);
    assert_int_equal(pair_count(pair, B, DATA), before + 1);
    pair_run_for(pair, GW_S(12));
    assert_int_equal(pair_count(pair, B, DATA), before + 2); /* for the packet that came after */
    pair_run_for(pair, GW_S(60));
    assert_int_equal(pair_count(pair, B, DATA), before + 2); /* keepalives are not answered */
    assert_int_equal(pair_count(pair, 2, INITIATION), 1);
    assert_int_equal(pair->nodes[A].keepalives_received, 2);
    pair_free(pair);
}

static void test_answer_saves_keepalive(void **state)
{
    struct pair *pair = pair_establish(0, 0);

    (void)state;
    pair_send(pair, A);
    pair_run_for(pair, GW_S(5));
    pair_send(pair, B);
    pair_run_for(pair, GW_S(9));
    assert_int_equal(pair->nodes[A].keepalives_received, 0);
    pair_free(pair);
}

static void test_unanswered(void **state)
{
    struct pair *pair = pair_establish(0, 0);
    const struct gw_mono start = pair->now;
    int64_t waited;

    (void)state;
    pair->lose = lose_all;
    pair_send(pair, A);
    pair_run_for(pair, GW_S(14));
    pair_send(pair, A); /* does not put it off */
    pair_run_for(pair, GW_S(2));
    waited = gw_mono_sub(pair_sent_at(pair, A, INITIATION, 1), start);
    assert_true(waited >= GW_S(15) && waited <= GW_S(15) + GW_MS(333));
    pair_free(pair);
}

static void test_persistent_keepalive(void **state)
{
    struct pair *pair = pair_establish(GW_S(20), 0);
    const unsigned before = pair->nodes[B].keepalives_received;
    const struct gw_mono start = pair->now;

    (void)state;
    pair_send(pair, A);
    pair_run_for(pair, GW_S(19));
    assert_int_equal(pair->nodes[B].keepalives_received, before);
    pair_send(pair, A); /* any packet puts it off */
    pair_run(pair, gw_mono_add(start, GW_S(38)));
    assert_int_equal(pair->nodes[B].keepalives_received, before);
    pair_run(pair, gw_mono_add(start, GW_S(40)));
    assert_int_equal(pair->nodes[B].keepalives_received, before + 1);
    pair_free(pair);
}

/* It alone starts the first handshake, and keeps a session for an hour with no other traffic. */
static void test_persistent_from_start(void **state)
{
    struct pair *pair = pair_new(12);

    (void)state;
    pair->nodes[B].params.persistent_keepalive_ns = GW_S(20);
    pair_connect(pair);
    pair_run_for(pair, GW_MS(30));
    assert_true(pair_agrees(pair));
    assert_true(pair->nodes[B].wants_told >= 1);
    for (unsigned i = 0; i < 360; i++) {
        pair_run_for(pair, GW_S(10));
        assert_true(pair_agrees(pair));
        assert_int_equal(pair_state(pair, A), GW_SESSION_ESTABLISHED);
        assert_int_equal(pair_state(pair, B), GW_SESSION_ESTABLISHED);
    }
    /* Rekeyed by use after 120 s, 7 keepalives a key pair; or by the third keepalive without a sound from A. */
    assert_in_range(pair_count(pair, B, INITIATION), 3600 / 140, 3600 / 55);
    pair_free(pair);
}

static void test_interval_changed(void **state)
{
    struct pair *pair = pair_establish(0, 0);

    (void)state;
    gw_session_set_persistent_keepalive(pair->nodes[A].session, GW_S(5), pair->now);
    pair_run_for(pair, GW_S(6));
    assert_int_equal(pair->nodes[B].keepalives_received, 2);
    gw_session_set_persistent_keepalive(pair->nodes[A].session, 0, pair->now);
    pair_run_for(pair, GW_S(100));
    assert_int_equal(pair->nodes[B].keepalives_received, 2);
    pair_free(pair);
}

/* ---- a gateway that does not do what is wanted */

static void test_mute(void **state)
{
    struct pair *pair = pair_new(22);

    (void)state;
    pair_connect(pair);
    pair->nodes[A].is_mute = true;
    pair_send(pair, A);
    assert_int_equal(gw_session_wants(pair->nodes[A].session), GW_WANT_INITIATION);
    pair_run_for(pair, GW_S(74));
    assert_int_equal(gw_session_wants(pair->nodes[A].session), GW_WANT_INITIATION);
    pair_run_for(pair, GW_S(1));
    assert_int_equal(pair_state(pair, A), GW_SESSION_FAILED);
    assert_int_equal(gw_session_wants(pair->nodes[A].session), 0);
    pair->nodes[A].is_mute = false;
    pair_run_for(pair, GW_S(10));
    assert_int_equal(pair->flight_count, 0);
    pair_free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rekey_on_sending),
        cmocka_unit_test(test_rekey_on_receiving),
        cmocka_unit_test(test_rekey_after_messages),
        cmocka_unit_test(test_reject_after_time),
        cmocka_unit_test(test_zeroed),
        cmocka_unit_test(test_passive_keepalive),
        cmocka_unit_test(test_answer_saves_keepalive),
        cmocka_unit_test(test_unanswered),
        cmocka_unit_test(test_persistent_keepalive),
        cmocka_unit_test(test_persistent_from_start),
        cmocka_unit_test(test_interval_changed),
        cmocka_unit_test(test_mute),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

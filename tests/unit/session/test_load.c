/* SPDX-License-Identifier: MIT */
/* A node under load asks for cookies: the session takes them, and its next message has mac2. In both roles. */
#include "pair.h"

#include "gateway/base/err.h"
#include "gateway/base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What `to`, under load, says to the last flight of this type: a cookie reply, which is delivered; or nothing, if it is content. */
static bool ask_for_cookie(struct pair *pair, unsigned from, uint8_t type, struct gw_cookie_reply *reply)
{
    struct gw_cookie_checker *checker = &pair->nodes[!from].local.cookies;
    const struct pair_flight *flight = pair_flight(pair, from, type, pair_count(pair, from, type) - 1);
    const enum gw_cookie_verdict verdict =
        gw_cookie_check(checker, pair->now, flight->bytes, flight->len, "place", 5);

    assert_int_not_equal(verdict, GW_COOKIE_INVALID_MAC);
    if (verdict == GW_COOKIE_VALID_MAC_AND_COOKIE)
        return false;
    gw_cookie_create_reply(checker, pair->now, flight->bytes, flight->len, "place", 5, reply);
    return true;
}

static int consume(struct pair *pair, unsigned id, const struct gw_cookie_reply *reply)
{
    return gw_session_consume_cookie(&pair->nodes[id].local, reply, pair->now);
}

static void test_initiator(void **state)
{
    struct pair *pair = pair_new(41);
    struct gw_cookie_reply reply;

    (void)state;
    pair_connect(pair);
    pair->lose = lose_all;
    pair_send(pair, A);
    assert_true(ask_for_cookie(pair, A, INITIATION, &reply));
    assert_int_equal(consume(pair, A, &reply), 0);
    assert_int_equal(consume(pair, A, &reply), GW_E_AUTH); /* once for each message */
    assert_int_equal(gw_session_wants(pair->nodes[A].session), 0);
    assert_int_equal(pair_count(pair, A, INITIATION), 1); /* it waits for its retry: no flood by cookies */
    pair_run_for(pair, GW_MS(330));
    assert_int_equal(pair_count(pair, A, INITIATION), 2);
    assert_false(ask_for_cookie(pair, A, INITIATION, &reply));
    pair_free(pair);
}

/* The reply is to an initiation that is not the last. */
static void test_initiator_late(void **state)
{
    struct pair *pair = pair_new(42);
    struct gw_cookie_reply reply;

    (void)state;
    pair_connect(pair);
    pair->lose = lose_all;
    pair_send(pair, A);
    assert_true(ask_for_cookie(pair, A, INITIATION, &reply));
    pair_run_for(pair, GW_S(3)); /* three more */
    assert_int_equal(consume(pair, A, &reply), GW_E_UNKNOWN);
    assert_true(ask_for_cookie(pair, A, INITIATION, &reply));
    pair_run_for(pair, GW_MS(1000));
    assert_int_equal(consume(pair, A, &reply), 0);
    pair_free(pair);
}

/* An initiator under load may ask the responder. */
static void test_responder(void **state)
{
    struct pair *pair = pair_new(43);
    struct gw_cookie_reply reply;

    (void)state;
    pair_connect(pair);
    pair_send(pair, A);
    pair_run_for(pair, GW_MS(10));
    pair->lose = lose_all;
    assert_true(ask_for_cookie(pair, B, RESPONSE, &reply));
    pair->flights[pair->flight_count - 1].is_lost = true; /* the response was dropped for the reply */
    assert_int_equal(consume(pair, B, &reply), 0);
    pair->lose = NULL;
    pair_run_for(pair, GW_MS(320));
    assert_int_equal(pair_count(pair, B, RESPONSE), 2);
    assert_false(ask_for_cookie(pair, B, RESPONSE, &reply));
    pair_run_for(pair, GW_MS(100));
    assert_true(pair_agrees(pair));
    pair_free(pair);
}

static void test_forged(void **state)
{
    struct pair *pair = pair_new(44);
    struct gw_cookie_reply reply, forged;

    (void)state;
    pair_connect(pair);
    pair->lose = lose_all;
    pair_send(pair, A);
    assert_true(ask_for_cookie(pair, A, INITIATION, &reply));
    forged = reply;
    forged.encrypted_cookie[3] ^= 1;
    assert_int_equal(consume(pair, A, &forged), GW_E_AUTH);
    forged = reply;
    forged.receiver[0] ^= 1;
    assert_int_equal(consume(pair, A, &forged), GW_E_UNKNOWN);
    assert_int_equal(consume(pair, A, &reply), 0); /* the true one still counts */
    pair_free(pair);
}

/* Messages with cookies are ordinary ones to a node that is not under load. */
static void test_with_cookie_when_idle(void **state)
{
    struct pair *pair = pair_new(45);
    struct gw_cookie_reply reply;

    (void)state;
    pair_connect(pair);
    pair->lose = lose_all;
    pair_send(pair, A);
    assert_true(ask_for_cookie(pair, A, INITIATION, &reply));
    assert_int_equal(consume(pair, A, &reply), 0);
    pair->lose = NULL;
    pair_run_for(pair, GW_MS(400));
    assert_true(pair_agrees(pair));
    pair_free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_initiator),
        cmocka_unit_test(test_initiator_late),
        cmocka_unit_test(test_responder),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_with_cookie_when_idle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

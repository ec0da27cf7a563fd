/* SPDX-License-Identifier: MIT */
/* PSKs: right, wrong, and lists while one is being exchanged for another, with a stock peer too. */
#include "stock.h"

#include "gateway/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Each character of a text is a PSK: 32 times that character. */
static void set_psks(struct pair *pair, unsigned id, const char *list)
{
    struct gw_session_params *params = &pair->nodes[id].params;

    params->psk_count = (unsigned)strlen(list);
    for (unsigned i = 0; i < params->psk_count; i++)
        memset(params->psks[i], list[i], GW_KEY_LEN);
}

/* `from` sends; the time until data arrived, or -1 if none did in 10 s. */
static int64_t time_to_data(const char *a, const char *b, unsigned from, bool is_stock)
{
    struct pair *pair = pair_new(31);
    const struct gw_mono start = pair->now;
    int64_t took = -1;

    set_psks(pair, A, a);
    set_psks(pair, B, b);
    if (is_stock)
        stock_take_place(pair, B);
    pair_connect(pair);
    pair_send(pair, from);
    while (took < 0 && gw_mono_sub(pair->now, start) < GW_S(10)) {
        pair_run_for(pair, GW_MS(10));
        if (pair->nodes[!from].data_received > 0)
            took = gw_mono_sub(pair->now, start);
    }
    if (took >= 0 && !is_stock) {
        assert_int_equal(a[pair_stats(pair, A).psk_in_use], b[pair_stats(pair, B).psk_in_use]);
        assert_true(pair_agrees(pair));
    }
    pair_free(pair);
    return took;
}

static void test_one(void **state)
{
    (void)state;
    assert_int_equal(time_to_data("x", "x", A, false), GW_MS(30));
    assert_int_equal(time_to_data("x", "x", B, true), GW_MS(30));
    assert_int_equal(time_to_data("x", "y", A, false), -1);
    assert_int_equal(time_to_data("x", "", A, false), -1);
    assert_int_equal(time_to_data("", "x", A, false), -1);
    assert_int_equal(time_to_data("x", "y", A, true), -1);
}

/* The initiator finds out which one the responder chose, without another round trip. */
static void test_initiator_has_list(void **state)
{
    (void)state;
    assert_int_equal(time_to_data("nx", "x", A, false), GW_MS(30));
    assert_int_equal(time_to_data("nopx", "x", A, false), GW_MS(30));
    assert_int_equal(time_to_data("no", "on", A, false), GW_MS(30));
    assert_int_equal(time_to_data("nx", "x", A, true), GW_MS(30));
    assert_int_equal(time_to_data("nop", "x", A, false), -1);
}

/* The responder has the list and tries the next with each initiation: one retry for each. */
static void test_responder_has_list(void **state)
{
    int64_t took;

    (void)state;
    took = time_to_data("x", "nx", A, false);
    assert_true(took > GW_MS(300) && took <= GW_MS(350) + GW_MS(20));
    took = time_to_data("x", "nopx", A, false);
    assert_true(took > GW_MS(2100) && took < GW_MS(2400));
    took = time_to_data("nx", "x", B, true); /* stock retries after 5 s */
    assert_true(took > GW_S(5) && took < GW_MS(5100));
    assert_int_equal(time_to_data("x", "nop", A, false), -1);
}

/* What worked is what the responder uses the next time, at once. */
static void test_choice_is_remembered(void **state)
{
    struct pair *pair = pair_new(32);
    unsigned before;

    (void)state;
    set_psks(pair, A, "x");
    set_psks(pair, B, "nx");
    pair_connect(pair);
    pair_send(pair, A);
    pair_run_for(pair, GW_S(1));
    assert_true(pair_agrees(pair));
    assert_int_equal(pair_stats(pair, B).psk_in_use, 1);
    pair_run_for(pair, GW_S(130));
    before = pair_count(pair, A, 1);
    pair_send(pair, A);
    pair_run_for(pair, GW_MS(50));
    assert_int_equal(pair_count(pair, A, 1), before + 1);
    assert_true(pair_agrees(pair));
    assert_true(gw_mono_sub(pair->now, pair_stats(pair, A).last_handshake) < GW_MS(100));
    pair_free(pair);
}

static void test_changed(void **state)
{
    static const uint8_t other[1][GW_KEY_LEN] = {{5}};
    struct pair *pair = pair_new(33);

    (void)state;
    pair_connect(pair);
    pair_send(pair, A);
    pair_run_for(pair, GW_MS(50));
    for (unsigned id = A; id <= B; id++)
        gw_session_set_psks(pair->nodes[id].session, other, 1);
    assert_true(pair_agrees(pair)); /* keys that are there stay */
    pair_run_for(pair, GW_S(130));
    pair_send(pair, A);
    pair_run_for(pair, GW_MS(50));
    assert_true(pair_agrees(pair));
    assert_true(gw_mono_sub(pair->now, pair_stats(pair, A).last_handshake) < GW_MS(100));
    gw_session_set_psks(pair->nodes[A].session, NULL, 0);
    pair_run_for(pair, GW_S(200));
    pair_send(pair, A);
    pair_run_for(pair, GW_S(2));
    assert_null(pair_key(pair, A));
    pair_free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),
        cmocka_unit_test(test_initiator_has_list),
        cmocka_unit_test(test_responder_has_list),
        cmocka_unit_test(test_choice_is_remembered),
        cmocka_unit_test(test_changed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

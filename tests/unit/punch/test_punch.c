/* SPDX-License-Identifier: MIT */
/* An attempt's packets: how many, when, to whom, and what an answer changes. */
#include "gateway/punch/punch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct gw_random_seeded seeded;
static struct gw_punch punch;

static struct gw_mono at(int64_t ms)
{
    return (struct gw_mono){GW_MS(ms)};
}

static struct gw_candidate candidate(uint16_t port, enum gw_candidate_kind kind)
{
    return (struct gw_candidate){{.family = 4, .ip = {10, 0, 0, 1}, .port = port}, kind};
}

static bool add(uint16_t port, enum gw_candidate_kind kind, bool is_reflexive)
{
    struct gw_candidate one = candidate(port, kind);
    return gw_punch_add(&punch, at(0), &one, is_reflexive, &seeded.random);
}

static int setup(void **state)
{
    (void)state;
    gw_random_seeded_init(&seeded, 1);
    gw_punch_init(&punch);
    return 0;
}

/* Runs to the end; how many packets went to the port. */
static unsigned run(uint16_t port, unsigned *total)
{
    unsigned count = 0;
    *total = 0;
    for (struct gw_mono next; !gw_mono_is_never(next = gw_punch_next_deadline(&punch));) {
        for (const struct gw_check *check; (check = gw_punch_take(&punch, next, &seeded.random)) != NULL;) {
            count += check->remote.addr.port == port;
            ++*total;
        }
        gw_punch_expire(&punch, next);
    }
    return count;
}

static void test_bounded(void **state)
{
    (void)state;
    unsigned total;
    assert_true(add(1, GW_CANDIDATE_HOST, false));
    assert_false(add(1, GW_CANDIDATE_HOST, false));
    assert_true(add(2, GW_CANDIDATE_HOST, false));
    assert_null(gw_punch_take(&punch, at(0), &seeded.random)); /* no attempt yet */
    gw_punch_begin(&punch, at(100), GW_S(60), 100 != 0, &seeded.random);
    assert_null(gw_punch_take(&punch, at(99), &seeded.random));
    assert_int_equal(run(1, &total), GW_CHECK_TRIES);
    assert_int_equal(total, 2 * GW_CHECK_TRIES);
    assert_false(punch.has_proven);
    assert_int_equal(punch.checks[0].state, GW_CHECK_SILENT);
    /* The next attempt begins anew. */
    gw_punch_begin(&punch, at(100000), GW_S(1), 100000 != 0, &seeded.random);
    assert_in_range(run(1, &total), 4, 7);
    assert_int_equal(punch.attempts, 2);
}

static void test_answer(void **state)
{
    (void)state;
    add(1, GW_CANDIDATE_HOST, false);
    add(2, GW_CANDIDATE_HOST, false);
    gw_punch_begin(&punch, at(0), GW_S(10), 0 != 0, &seeded.random);
    const struct gw_check *check = gw_punch_take(&punch, at(0), &seeded.random);
    uint8_t nonce[GW_CHECK_NONCE_LEN], other[GW_CHECK_NONCE_LEN] = {0};
    memcpy(nonce, check->nonce, sizeof nonce);
    assert_null(gw_punch_answered(&punch, at(5), other));
    check = gw_punch_answered(&punch, at(20), nonce);
    assert_non_null(check);
    assert_int_equal(check->rtt_ns, GW_MS(20));
    assert_int_equal(check->state, GW_CHECK_PROVEN);
    assert_null(gw_punch_answered(&punch, at(21), nonce)); /* once */
    assert_false(gw_punch_expire(&punch, at(500)));
    assert_true(gw_punch_expire(&punch, at(520)));
    assert_false(gw_punch_expire(&punch, at(521)));
    assert_true(punch.has_proven);
    assert_int_equal(punch.checks[1].state, GW_CHECK_SILENT);
}

static void test_not_before_it_was_asked(void **state)
{
    (void)state;
    add(1, GW_CANDIDATE_HOST, false);
    gw_punch_begin(&punch, at(0), GW_S(10), 0 != 0, &seeded.random);
    assert_null(gw_punch_answered(&punch, at(0), punch.checks[0].nonce));
}

static void test_room(void **state)
{
    (void)state;
    for (uint16_t port = 1; port <= 200; port++)
        assert_true(add(port, GW_CANDIDATE_HOST, false));
    assert_int_equal(punch.count, GW_CHECKS_MAX);
    assert_int_equal(punch.checks[GW_CHECKS_MAX - 1].remote.addr.port, 200);
    struct gw_addr last = punch.checks[GW_CHECKS_MAX - 1].remote.addr;
    gw_punch_forget(&punch, &last);
    gw_punch_forget(&punch, &last);
    assert_int_equal(punch.count, GW_CHECKS_MAX - 1);
    gw_punch_init(&punch);
    for (uint16_t port = 1; port <= 20; port++)
        add(port, GW_CANDIDATE_OBSERVED, true);
    assert_int_equal(punch.count, 4); /* where the peer's checks seem to come from */
}

/* An answered one stays when others need room. */
static void test_answered_stay(void **state)
{
    (void)state;
    add(1, GW_CANDIDATE_HOST, false);
    gw_punch_begin(&punch, at(0), GW_S(10), 0 != 0, &seeded.random);
    const struct gw_check *check = gw_punch_take(&punch, at(0), &seeded.random);
    assert_non_null(gw_punch_answered(&punch, at(1), check->nonce));
    gw_punch_end(&punch);
    for (uint16_t port = 2; port <= 200; port++)
        add(port, GW_CANDIDATE_HOST, false);
    assert_int_equal(punch.checks[0].remote.addr.port, 1);
}

static void test_predicted(void **state)
{
    (void)state;
    unsigned total;
    add(1000, GW_CANDIDATE_OBSERVED, false);
    add(7, GW_CANDIDATE_HOST, false);
    gw_punch_begin(&punch, at(0), GW_S(60), 0 != 0, &seeded.random);
    assert_int_equal(run(1002, &total), GW_PREDICTED_TRIES);
    assert_int_equal(total, 2 * GW_CHECK_TRIES + GW_PREDICTED * GW_PREDICTED_TRIES);
    gw_punch_begin(&punch, at(100000), GW_S(1), 100000 != 0, &seeded.random);
    assert_int_equal(punch.count, 2); /* forgotten, and predicted anew */
    gw_punch_init(&punch);
    add(65534, GW_CANDIDATE_OBSERVED, false); /* there is only one behind it */
    gw_punch_begin(&punch, at(0), GW_S(60), 0 != 0, &seeded.random);
    run(65535, &total);
    assert_int_equal(punch.count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_bounded, setup),
        cmocka_unit_test_setup(test_answer, setup),
        cmocka_unit_test_setup(test_not_before_it_was_asked, setup),
        cmocka_unit_test_setup(test_room, setup),
        cmocka_unit_test_setup(test_answered_stay, setup),
        cmocka_unit_test_setup(test_predicted, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Handshakes over a wire that loses, and initiations that cross on it: every combination of losses among the first datagrams, between
 * two of ours and between ours and stock. In the end both speak with one key pair, and data pass both ways. */
#include "stock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define MASK_BITS 8u

enum who { ONE = 1, BOTH = 2 }; /* start at the same tick */

struct outcome {
    int64_t took_ns; /* until both had a key pair */
    bool was_initiated_by_a;
};

/* Data arrive, both ways, in one packet each. */
static void check_data(struct pair *pair)
{
    for (unsigned from = A; from <= B; from++) {
        const unsigned before = pair->nodes[!from].data_received;

        pair_send(pair, from);
        pair_run_for(pair, GW_S(1));
        assert_int_equal(pair->nodes[!from].data_received, before + 1);
    }
}

static void send_all(struct pair *pair, enum who who)
{
    pair_send(pair, A);
    if (who == BOTH)
        pair_send(pair, B);
}

/* Who starts sends a packet now, and ten each second, as somebody with data would. */
static struct outcome run(struct pair *pair, enum who who, int64_t limit_ns)
{
    const struct gw_mono start = pair->now, end = gw_mono_add(start, limit_ns);
    struct outcome outcome;
    unsigned ticks = 0;

    send_all(pair, who);
    while (gw_mono_before(pair->now, end) && (pair_key(pair, A) == NULL || pair_key(pair, B) == NULL)) {
        pair_run_for(pair, GW_MS(5));
        if (++ticks % 20 == 0)
            send_all(pair, who);
    }
    outcome.took_ns = gw_mono_sub(pair->now, start);
    for (unsigned i = 0; i < 8; i++) {
        pair_run_for(pair, GW_S(1));
        send_all(pair, who);
    }
    pair_run_for(pair, GW_S(1));
    if (!pair_agrees(pair))
        print_error("loss mask %#llx: two key pairs\n", (unsigned long long)pair->loss_mask);
    assert_true(pair_agrees(pair));
    outcome.was_initiated_by_a = pair_key(pair, A)->is_initiator;
    check_data(pair);
    return outcome;
}

static struct outcome run_mask(enum who who, uint64_t mask, int stock, int64_t limit_ns)
{
    struct pair *pair = pair_new(7 + mask % 3);
    struct outcome outcome;

    pair->loss_mask = mask;
    pair->lose = lose_by_mask;
    if (stock >= 0)
        stock_take_place(pair, (unsigned)stock);
    pair_connect(pair);
    outcome = run(pair, who, limit_ns);
    pair_free(pair);
    return outcome;
}

static void test_one_side(void **state)
{
    (void)state;
    for (uint64_t mask = 0; mask < 1u << MASK_BITS; mask++) {
        const struct outcome outcome = run_mask(ONE, mask, -1, GW_S(30));

        assert_true(outcome.took_ns <= GW_S(26)); /* all eight lost */
        if (__builtin_popcountll(mask) == 0)
            assert_int_equal(outcome.took_ns, GW_MS(30));
        if (__builtin_popcountll(mask) == 1 && mask < 4)
            assert_true(outcome.took_ns <= GW_MS(360)); /* the first retry: 300 ms and a jitter */
    }
}

static void test_crossing(void **state)
{
    (void)state;
    for (uint64_t mask = 0; mask < 1u << MASK_BITS; mask++) {
        const struct outcome outcome = run_mask(BOTH, mask, -1, GW_S(30));

        assert_true(outcome.took_ns <= GW_S(10));
        if (mask == 0)
            assert_int_equal(outcome.took_ns, GW_MS(20)); /* no slower than one alone */
        if (mask == 0)
            assert_true(outcome.was_initiated_by_a);
        if (__builtin_popcountll(mask) == 1)
            assert_true(outcome.took_ns <= GW_MS(360));
    }
}

/* Stock is the higher key, then the lower. */
static void test_crossing_with_stock(void **state)
{
    (void)state;
    for (unsigned stock = A; stock <= B; stock++) {
        for (uint64_t mask = 0; mask < 1u << MASK_BITS; mask++) {
            const struct outcome outcome = run_mask(BOTH, mask, (int)stock, GW_S(30));

            assert_true(outcome.took_ns <= GW_S(20));
            if (__builtin_popcountll(mask) <= 1)
                assert_true(outcome.took_ns <= GW_MS(720));
        }
    }
}

static void test_one_side_with_stock(void **state)
{
    (void)state;
    for (unsigned stock = A; stock <= B; stock++) {
        for (uint64_t mask = 0; mask < 1u << MASK_BITS; mask++)
            (void)run_mask(ONE, mask, (int)stock, GW_S(60));
    }
}

/* ---- random delay, order and loss */

static bool lose_at_random(const struct pair *pair, const struct pair_flight *flight)
{
    struct gw_random_seeded *dice = &((struct pair *)(uintptr_t)pair)->jitter;

    (void)flight;
    return pair->flight_count < 40 && gw_random_u32(&dice->random) % 100 < 30;
}

static void run_random(uint64_t seed, int stock)
{
    struct pair *pair = pair_new(seed);

    pair->lose = lose_at_random;
    pair->delay_ns = GW_MS(1 + seed % 40);
    pair->jitter_ns = GW_MS(10) << seed % 6;
    if (stock >= 0)
        stock_take_place(pair, (unsigned)stock);
    pair_connect(pair);
    pair_send(pair, A);
    pair_run_for(pair, GW_US(300) * (int64_t)(seed % 97));
    pair_send(pair, B);
    for (unsigned i = 0; i < 60; i++) {
        pair_run_for(pair, GW_S(1));
        pair_send(pair, A);
        pair_send(pair, B);
    }
    pair_run_for(pair, GW_S(1));
    if (!pair_agrees(pair))
        print_error("seed %llu, stock %d: two key pairs\n", (unsigned long long)seed, stock);
    assert_true(pair_agrees(pair));
    check_data(pair);
    pair_free(pair);
}

static void test_random(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++)
        run_random(seed, (int)(seed % 3) - 1);
}

/* ---- a long way */

/* RTT of 1.2 s, longer than the first retries: responses come to initiations that are not the last. Ours opens with the key pair of the
 * first all the same; stock has kept the last one only, and has to wait for us to follow. */
static void test_long_way(void **state)
{
    (void)state;
    for (int stock = -1; stock <= 1; stock++) {
        struct pair *pair = pair_new(3);

        pair->delay_ns = GW_MS(600);
        if (stock >= 0)
            stock_take_place(pair, (unsigned)stock);
        pair_connect(pair);
        pair_send(pair, A);
        pair_run_for(pair, stock == B ? GW_MS(3300) : GW_MS(1810));
        assert_non_null(pair_key(pair, A));
        assert_non_null(pair_key(pair, B));
        for (unsigned i = 0; i < 20; i++) {
            pair_run_for(pair, GW_S(1));
            pair_send(pair, A);
        }
        pair_run_for(pair, GW_S(3));
        assert_true(pair_agrees(pair));
        pair_free(pair);
    }
}

/* ---- a restart between */

/* The higher key made a session, dies within the five seconds in which the lower's key pair would be preferred, and comes back
 * without it: the lower one must not insist. */
static void test_restart_within_window(void **state)
{
    (void)state;
    for (unsigned who = A; who <= B; who++) {
        struct pair *pair = pair_new(5);

        pair_connect(pair);
        pair_send(pair, !who);
        pair_run_for(pair, GW_S(1));
        assert_true(pair_agrees(pair));
        pair_restart(pair, who);
        for (unsigned i = 0; i < 30; i++) {
            pair_send(pair, who);
            pair_send(pair, !who);
            pair_run_for(pair, GW_MS(100));
        }
        assert_true(pair_agrees(pair));
        check_data(pair);
        pair_free(pair);
    }
}

/* ---- order */

/* Three initiations under way at once; the third's response comes back. What it replaces is gone. */
static void test_newest_is_taken(void **state)
{
    struct pair *pair = pair_new(6);

    (void)state;
    pair->delay_ns = GW_MS(400);
    pair_connect(pair);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pair_initiate(pair, A), 0);
        pair_run_for(pair, GW_MS(50));
    }
    pair_run_for(pair, GW_MS(400));
    assert_int_equal(pair->nodes[B].local.keypairs.len, 3);
    for (unsigned i = 0; i < pair->flight_count; i++)
        pair->flights[i].is_lost |= i == 3 || i == 4; /* the first two responses */
    pair_run_for(pair, GW_MS(800));
    assert_true(pair_agrees(pair));
    assert_int_equal(pair->nodes[B].local.keypairs.len, 1);
    assert_int_equal(pair->nodes[A].local.handshakes.len, 0);
    pair_free(pair);
}

/* B's packet that confirms its key pair comes late, when A has long made a newer one: it opens, and changes nothing. */
static void test_late_confirmation(void **state)
{
    struct pair *pair = pair_new(6);

    (void)state;
    pair_connect(pair);
    assert_int_equal(pair_initiate(pair, B), 0);
    pair_run_for(pair, GW_MS(25));
    assert_int_equal(pair->flight_count, 3);
    pair->flights[2].arrives = gw_mono_add(pair->now, GW_S(15));
    pair_run_for(pair, GW_S(10));
    pair_send(pair, A);
    pair_run_for(pair, GW_MS(50));
    assert_true(pair_agrees(pair));
    assert_true(pair_key(pair, A)->is_initiator);
    pair_run(pair, pair->flights[2].arrives);
    assert_int_equal(pair->nodes[A].keepalives_received, 1);
    assert_true(pair_agrees(pair));
    assert_true(pair_key(pair, A)->is_initiator);
    pair_free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_side),
        cmocka_unit_test(test_crossing),
        cmocka_unit_test(test_crossing_with_stock),
        cmocka_unit_test(test_one_side_with_stock),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_long_way),
        cmocka_unit_test(test_restart_within_window),
        cmocka_unit_test(test_newest_is_taken),
        cmocka_unit_test(test_late_confirmation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

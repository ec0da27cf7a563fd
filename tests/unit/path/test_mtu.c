/* SPDX-License-Identifier: MIT */
/* The search for a path's MTU against paths whose size is known: each probe arrives or not, and so does its answer. */
#include "gateway/path/mtu.h"

#include "gateway/wire/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define BASE 1200u
#define ETHERNET 1472u
#define JUMBO 8972u
#define INTERVAL GW_MS(200)

struct world {
    struct gw_mtu mtu;
    struct gw_random_seeded random;
    struct gw_mono now;
    unsigned carries; /* the path's size */
    unsigned refused; /* the system refuses from here on; 0 = never */
    double loss;      /* of probes and answers each */
    bool is_silent;   /* nothing arrives, and nothing else does either */
    unsigned probes, bytes, rounds;
};

static void begin(struct world *w, unsigned carries, unsigned max, uint64_t seed)
{
    *w = (struct world){.carries = carries, .now = {GW_S(1000)}};
    gw_random_seeded_init(&w->random, seed);
    gw_mtu_init(&w->mtu, BASE);
    gw_mtu_begin(&w->mtu, (uint16_t)max, max > ETHERNET ? ETHERNET : 0, &w->random.random);
}

static bool is_lost(struct world *w)
{
    return (double)(gw_random_u64(&w->random.random) >> 11) * 0x1p-53 < w->loss;
}

static void send_and_answer(struct world *w)
{
    uint8_t nonces[32][GW_MTU_NONCE_LEN];
    unsigned count = 0;
    uint16_t len;
    gw_mtu_expire(&w->mtu, w->now, &w->random.random);
    while (count < 32 && gw_mtu_take_probe(&w->mtu, w->now, INTERVAL, &len, nonces[count])) {
        w->probes++;
        w->bytes += len;
        assert_in_range(len, BASE, w->mtu.max);
        if (w->refused && len >= w->refused)
            gw_mtu_refused(&w->mtu, w->now, len, &w->random.random);
        else if (!w->is_silent && len <= w->carries && !is_lost(w) && !is_lost(w))
            count++;
    }
    w->rounds++;
    w->now = gw_mono_add(w->now, INTERVAL / 2);
    for (unsigned i = 0; i < count; i++)
        assert_true(gw_mtu_answered(&w->mtu, nonces[i], &w->random.random));
    if (!w->is_silent) /* a connection says something now and then */
        gw_mtu_heard(&w->mtu);
}

/* Sends what is due; answers come after half the interval, and what they bring about is sent then. */
static void turn(struct world *w)
{
    do
        send_and_answer(w);
    while (w->mtu.sent_count < w->mtu.size_count);
}

/* Until nothing is left to do before `until`. */
static void run_until(struct world *w, struct gw_mono until)
{
    turn(w);
    for (struct gw_mono at; at = gw_mtu_next_deadline(&w->mtu), gw_mono_before(at, until);) {
        if (gw_mono_before(w->now, at))
            w->now = at;
        turn(w);
    }
    w->now = until;
}

static void run_for(struct world *w, int64_t ns)
{
    run_until(w, gw_mono_add(w->now, ns));
}

static void test_full_size_at_once(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1500, ETHERNET, 1);
    turn(&w);
    assert_int_equal(w.mtu.len, ETHERNET);
    assert_int_equal(w.mtu.state, GW_MTU_DONE);
    assert_int_equal(w.probes, 1);
    assert_true(gw_mono_is_never(gw_mtu_next_deadline(&w.mtu)));
}

/* Every size between the base and jumbo frames, without a word from the path. */
static void test_every_size(void **state)
{
    (void)state;
    unsigned worst_probes = 0;
    int64_t worst_ns = 0;
    for (unsigned carries = BASE; carries <= JUMBO; carries++) {
        struct world w;
        begin(&w, carries, carries % 2 ? JUMBO : (carries > ETHERNET ? JUMBO : ETHERNET), carries);
        struct gw_mono start = w.now;
        turn(&w);
        while (w.mtu.state != GW_MTU_DONE) {
            w.now = gw_mono_add(gw_mtu_next_deadline(&w.mtu), 0);
            turn(&w);
            assert_in_range(w.rounds, 1, 60);
            assert_false(gw_mono_is_never(w.now));
        }
        assert_in_range(w.mtu.len, carries - 9, carries);
        if (w.probes > worst_probes)
            worst_probes = w.probes;
        if (gw_mono_sub(w.now, start) > worst_ns)
            worst_ns = gw_mono_sub(w.now, start);
    }
    print_message("%u sizes: at most %u probes and %.1f s for one\n", JUMBO - BASE + 1, worst_probes,
                  (double)worst_ns / 1e9);
    assert_in_range(worst_ns, 0, GW_S(6));
}

static void test_loss_is_not_size(void **state)
{
    (void)state;
    unsigned short_of = 0, sizes = 0;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct world w;
        unsigned carries = seed % 2 ? ETHERNET : 1280 + (unsigned)(seed * 7 % 190);
        begin(&w, carries, ETHERNET, seed);
        w.loss = 0.05;
        run_for(&w, GW_S(30));
        assert_int_equal(w.mtu.state, GW_MTU_DONE);
        sizes++;
        short_of += w.mtu.len + 9u < carries;
        assert_in_range(w.mtu.len, BASE, carries);
    }
    print_message("5 %% loss: %u of %u searches ended below the path's size\n", short_of, sizes);
    assert_in_range(short_of, 0, 4);
}

static void test_refusals_are_quick(void **state)
{
    (void)state;
    for (unsigned carries = BASE; carries <= ETHERNET; carries++) {
        struct world w;
        begin(&w, carries, JUMBO, carries);
        w.refused = carries + 1;
        struct gw_mono start = w.now;
        turn(&w);
        while (w.mtu.state != GW_MTU_DONE) {
            w.now = gw_mtu_next_deadline(&w.mtu);
            if (gw_mono_is_never(w.now))
                fail_msg("stuck at %u of %u", w.mtu.len, carries);
            turn(&w);
        }
        assert_in_range(w.mtu.len, carries - 9, carries);
        assert_in_range(gw_mono_sub(w.now, start), 0, GW_S(2));
    }
}

static void test_black_hole(void **state)
{
    (void)state;
    struct world w;
    begin(&w, ETHERNET, ETHERNET, 5);
    run_for(&w, GW_S(10));
    assert_int_equal(w.mtu.len, ETHERNET);
    w.carries = 1400;
    struct gw_mono shrunk = w.now;
    gw_mtu_sent(&w.mtu, w.now, ETHERNET); /* and nobody confirms it */
    while (w.mtu.len == ETHERNET) {
        w.now = gw_mtu_next_deadline(&w.mtu);
        turn(&w);
    }
    assert_in_range(gw_mono_sub(w.now, shrunk), 0, GW_S(3));
    run_for(&w, GW_S(10));
    assert_in_range(w.mtu.len, 1391, 1400);
    assert_int_equal(w.mtu.state, GW_MTU_DONE);
}

static void test_small_datagrams_ask_nothing(void **state)
{
    (void)state;
    struct world w;
    begin(&w, ETHERNET, ETHERNET, 6);
    run_for(&w, GW_S(1));
    unsigned probes = w.probes;
    for (unsigned i = 0; i < 100; i++) {
        gw_mtu_sent(&w.mtu, w.now, (uint16_t)(100 + 11 * i));
        run_for(&w, GW_S(10));
    }
    assert_int_equal(w.probes, probes);
    gw_mtu_sent(&w.mtu, w.now, ETHERNET);
    gw_mtu_confirmed(&w.mtu); /* by the flows */
    run_for(&w, GW_S(10));
    assert_int_equal(w.probes, probes);
    gw_mtu_sent(&w.mtu, w.now, ETHERNET);
    run_for(&w, GW_S(10)); /* by a probe, with the base size beside it */
    assert_int_equal(w.probes, probes + 2);
    assert_int_equal(w.mtu.len, ETHERNET);
}

static void test_raise(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1300, ETHERNET, 7);
    run_for(&w, GW_S(10));
    assert_in_range(w.mtu.len, 1291, 1300);
    unsigned probes = w.probes;
    w.carries = ETHERNET;
    run_for(&w, GW_S(5000)); /* nobody sends: nobody asks */
    assert_int_equal(w.probes, probes);
    for (unsigned at = 0; at < 590; at += 10) {
        gw_mtu_sent(&w.mtu, w.now, w.mtu.len);
        gw_mtu_confirmed(&w.mtu);
        run_for(&w, GW_S(10));
    }
    assert_int_equal(w.probes, probes);
    run_for(&w, GW_S(15));
    assert_int_equal(w.mtu.len, ETHERNET);

    begin(&w, 1300, ETHERNET, 8);
    run_for(&w, GW_S(10));
    w.carries = ETHERNET;
    gw_mtu_look_again(&w.mtu, w.now);
    run_for(&w, GW_S(1));
    assert_int_equal(w.mtu.len, ETHERNET);
}

/* A path that is down for a while keeps its size: silence is not about sizes. */
static void test_silence_is_not_size(void **state)
{
    (void)state;
    struct world w;
    begin(&w, ETHERNET, ETHERNET, 9);
    run_for(&w, GW_S(1));
    w.is_silent = true;
    gw_mtu_doubt(&w.mtu, &w.random.random);
    unsigned probes = w.probes;
    run_for(&w, GW_S(60));
    assert_in_range(w.probes - probes, 2, 80);
    assert_int_equal(w.mtu.len, ETHERNET);
    w.is_silent = false;
    run_for(&w, GW_S(20));
    assert_int_equal(w.mtu.len, ETHERNET);
    assert_int_equal(w.mtu.state, GW_MTU_DONE);

    begin(&w, 1350, ETHERNET, 10); /* in the middle of a search */
    w.is_silent = true;
    run_for(&w, GW_S(60));
    assert_int_equal(w.mtu.len, BASE);
    assert_int_equal(w.mtu.state, GW_MTU_SEARCHING);
    w.is_silent = false;
    run_for(&w, GW_S(30));
    assert_in_range(w.mtu.len, 1341, 1350);
}

static void test_strange_answers(void **state)
{
    (void)state;
    struct world w;
    uint8_t nonce[GW_MTU_NONCE_LEN] = {0};
    uint16_t len;
    begin(&w, 0, ETHERNET, 11);
    assert_false(gw_mtu_answered(&w.mtu, nonce, &w.random.random));
    assert_true(gw_mtu_take_probe(&w.mtu, w.now, INTERVAL, &len, nonce));
    gw_store16_be(nonce + 6, 9000); /* the peer makes one up */
    assert_true(gw_mtu_answered(&w.mtu, nonce, &w.random.random));
    assert_int_equal(w.mtu.len, BASE);
    gw_store16_be(nonce + 6, 100);
    assert_true(gw_mtu_answered(&w.mtu, nonce, &w.random.random));
    assert_int_equal(w.mtu.len, BASE);
    gw_mtu_refused(&w.mtu, w.now, BASE, &w.random.random);
    gw_mtu_refused(&w.mtu, w.now, 60000, &w.random.random);
    assert_int_equal(w.mtu.hard, ETHERNET + 1);
    struct gw_mtu idle;
    gw_mtu_init(&idle, BASE);
    assert_false(gw_mtu_answered(&idle, (const uint8_t[8]){0}, &w.random.random));
    gw_mtu_begin(&idle, BASE, 0, &w.random.random);
    assert_int_equal(idle.state, GW_MTU_IDLE);
    gw_mtu_doubt(&idle, &w.random.random);
    assert_int_equal(idle.state, GW_MTU_IDLE);
}

/* Meanwhile others' packets come in, but ours do not get out: that says nothing about sizes, and it is found all the same. Only if it is never otherwise, the search ends. */
static void test_nothing_leaves(void **state)
{
    (void)state;
    for (unsigned blocked = 0; blocked < 30; blocked++) {
        struct world w;
        begin(&w, 0, ETHERNET, blocked);
        for (unsigned i = 0; i < blocked; i++) {
            turn(&w);
            gw_mtu_unsent(&w.mtu);
            w.now = gw_mono_add(w.now, INTERVAL);
        }
        w.carries = ETHERNET;
        run_until(&w, gw_mono_add(w.now, GW_S(4)));
        assert_int_equal(w.mtu.len, ETHERNET);
    }
    struct world w;
    begin(&w, BASE, ETHERNET, 7);
    for (unsigned i = 0; i < 200; i++) {
        turn(&w);
        gw_mtu_unsent(&w.mtu);
        w.now = gw_mono_add(w.now, GW_S(2));
    }
    assert_int_equal(w.mtu.state, GW_MTU_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_size_at_once),
        cmocka_unit_test(test_every_size),
        cmocka_unit_test(test_loss_is_not_size),
        cmocka_unit_test(test_refusals_are_quick),
        cmocka_unit_test(test_black_hole),
        cmocka_unit_test(test_small_datagrams_ask_nothing),
        cmocka_unit_test(test_raise),
        cmocka_unit_test(test_silence_is_not_size),
        cmocka_unit_test(test_strange_answers),
        cmocka_unit_test(test_nothing_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

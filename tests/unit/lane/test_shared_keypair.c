/* SPDX-License-Identifier: MIT */
/* A key pair that several threads use: no counter goes out twice, also while rekeys replace the key pair, and of duplicates that arrive at different
 * threads at once exactly one is taken. */
#include "gateway/base/err.h"
#include "gateway/session/keypair.h"
#include "gateway/session/noise.h"
#include "gateway/wire/message.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define THREADS 4u
#define GENERATIONS 40u
#define COUNTERS 20000u /* of each generation, about */
#define MESSAGES 20000u
#define LEN 64u

static struct gw_keypair *new_keypair(bool is_initiator, uint8_t seed)
{
    struct gw_noise_keys keys = {0};
    struct gw_keypair *kp = malloc(sizeof *kp);
    assert_non_null(kp);
    memset(keys.send, is_initiator ? seed : seed + 1, sizeof keys.send);
    memset(keys.receive, is_initiator ? seed + 1 : seed, sizeof keys.receive);
    memset(keys.exporter, seed, sizeof keys.exporter);
    gw_keypair_init(kp, gw_crypto_system(), &keys, is_initiator, 7, 9, (struct gw_mono){1});
    gw_keypair_share(kp);
    return kp;
}

static void free_keypair(struct gw_keypair *kp)
{
    gw_keypair_wipe(kp);
    free(kp);
}

/* ---- counters, while the current key pair changes */

static struct gw_keypair *generations[GENERATIONS];
static _Atomic unsigned current;
static _Atomic uint8_t taken[GENERATIONS][COUNTERS + THREADS * 64]; /* how often each counter went out */
static _Atomic bool is_wrong;

static void *take_all(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    for (unsigned at; (at = atomic_load(&current)) < GENERATIONS;) {
        struct gw_keypair *kp = generations[at];
        unsigned count = 1 + (seed = seed * 1103515245 + 12345) / 65536 % GW_KEYPAIR_BATCH_MAX;
        uint64_t first;
        if (atomic_load(&kp->send_counter) >=
            COUNTERS) { /* a rekey: everybody may still be busy with the old one */
            unsigned expected = at;
            atomic_compare_exchange_strong(&current, &expected, at + 1);
            continue;
        }
        if (!gw_keypair_take_counters(kp, count, &first))
            atomic_store(&is_wrong, true);
        for (unsigned i = 0; i < count; i++) {
            if (atomic_fetch_add(&taken[at][first + i], 1) != 0)
                atomic_store(&is_wrong, true);
        }
    }
    return NULL;
}

static void test_counters(void **state)
{
    pthread_t threads[THREADS];
    (void)state;
    for (unsigned i = 0; i < GENERATIONS; i++)
        generations[i] = new_keypair(true, (uint8_t)i);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_all, (void *)(uintptr_t)(i + 1)), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_false(atomic_load(&is_wrong));
    for (unsigned i = 0; i < GENERATIONS; i++) {
        for (unsigned j = 0; j < COUNTERS; j++)
            assert_int_equal(atomic_load(&taken[i][j]), 1); /* nor is one left out */
        free_keypair(generations[i]);
    }
}

/* At the end of its life: whatever the threads do, the counter stops and cannot wrap. */
static void *take_until_refused(void *arg)
{
    struct gw_keypair *kp = arg;
    uint64_t first;
    for (int refused = 0; refused < 1000;) {
        if (!gw_keypair_take_counters(kp, GW_KEYPAIR_BATCH_MAX, &first))
            refused++;
        else if (first + GW_KEYPAIR_BATCH_MAX > GW_REJECT_AFTER_MESSAGES)
            atomic_store(&is_wrong, true);
    }
    return NULL;
}

static void test_used_up(void **state)
{
    pthread_t threads[THREADS];
    struct gw_keypair *kp = new_keypair(true, 1);
    (void)state;
    kp->send_counter = GW_REJECT_AFTER_MESSAGES - 100000;
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_until_refused, kp), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_false(atomic_load(&is_wrong));
    assert_true(kp->send_counter >= GW_REJECT_AFTER_MESSAGES);
    assert_true(kp->send_counter <= GW_REJECT_AFTER_MESSAGES + THREADS * GW_KEYPAIR_BATCH_MAX);
    free_keypair(kp);
}

/* ---- replay across threads */

static uint8_t datagrams[MESSAGES][LEN + 64];
static size_t lens[MESSAGES];
static _Atomic uint8_t accepted[MESSAGES];
static struct gw_keypair *receiver;
static _Atomic unsigned position; /* how far the fastest is: the others stay close, as the window wants */

/* Every thread opens every message, in trains, each in an order of its own within reach of the window. */
static void *open_all(void *arg)
{
    unsigned thread = (unsigned)(uintptr_t)arg;
    for (unsigned begin = 0; begin < MESSAGES; begin += 64) {
        uint8_t copies[64][LEN + 64];
        uint64_t counters[64];
        bool is_new[64];
        unsigned count = 0;
        while (begin > atomic_load(&position) + 1024)
            sched_yield();
        for (unsigned i = begin; i < begin + 64 && i < MESSAGES; i++) {
            unsigned n =
                thread % 2 ? i : begin + (begin + 63 < MESSAGES ? 63 : MESSAGES - 1 - begin) - (i - begin);
            struct gw_view plain;
            memcpy(copies[count], datagrams[n], lens[n]);
            if (gw_keypair_decrypt(receiver, copies[count], lens[n], &plain, &counters[count]) != 0 ||
                counters[count] != n || gw_load32_le(plain.data) != n)
                atomic_store(&is_wrong, true);
            count++;
        }
        gw_keypair_accept(receiver, counters, is_new, count);
        for (unsigned i = 0; i < count; i++)
            atomic_fetch_add(&accepted[counters[i]], is_new[i]);
        if (thread == 0)
            atomic_store(&position, begin + 64);
    }
    return NULL;
}

static void test_replay(void **state)
{
    struct gw_keypair *sender = new_keypair(true, 5);
    pthread_t threads[THREADS];
    (void)state;
    receiver = new_keypair(false, 5);
    for (unsigned i = 0; i < MESSAGES; i++) {
        gw_store32_le(datagrams[i] + GW_DATA_HEADER_LEN, i);
        memset(datagrams[i] + GW_DATA_HEADER_LEN + 4, (int)i, LEN - 4);
        lens[i] = gw_keypair_seal(sender, i % GW_SUITE_COUNT, datagrams[i], sizeof datagrams[i], LEN);
        assert_int_equal(lens[i], gw_keypair_sealed_len(i % GW_SUITE_COUNT, LEN, sizeof datagrams[i]));
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_all, (void *)(uintptr_t)i), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_false(atomic_load(&is_wrong));
    for (unsigned i = 0; i < MESSAGES; i++)
        assert_int_equal(atomic_load(&accepted[i]), 1);
    free_keypair(sender);
    free_keypair(receiver);
}

/* The halves and the whole say the same. */
static void test_halves(void **state)
{
    struct gw_keypair *sender = new_keypair(true, 3), *opener = new_keypair(false, 3);
    uint8_t one[128] = {0}, two[128];
    struct gw_view plain;
    uint64_t counter;
    bool is_new, is_highest;
    (void)state;
    size_t len = gw_keypair_seal(sender, GW_SUITE_AEGIS256, one, sizeof one, 20);
    memcpy(two, one, sizeof two);
    assert_int_equal(gw_keypair_open(opener, one, len, &plain, &is_highest), 0);
    assert_true(is_highest);
    assert_int_equal(gw_keypair_decrypt(opener, two, len, &plain, &counter), 0);
    assert_false(gw_keypair_accept(opener, &counter, &is_new, 1));
    assert_false(is_new);
    memcpy(two, one, sizeof two); /* garbage by now */
    assert_int_equal(gw_keypair_decrypt(opener, two, len, &plain, &counter), GW_E_AUTH);
    assert_int_equal(gw_keypair_decrypt(opener, two, 20, &plain, &counter), GW_E_MALFORMED);
    free_keypair(sender);
    free_keypair(opener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counters), cmocka_unit_test(test_used_up),
                                       cmocka_unit_test(test_replay), cmocka_unit_test(test_halves)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

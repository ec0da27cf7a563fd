/* SPDX-License-Identifier: MIT */
/* Token buckets against exact integer arithmetic, and the bounded table against one bucket a key. */
#include "gateway/base/random.h"
#include "gateway/base/ratelimit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
static bool no_memory;
void *__wrap_calloc(size_t count, size_t size)
{
    return no_memory ? NULL : __real_calloc(count, size);
}

static const uint8_t seed[16] = {3, 1, 4, 1, 5};

static struct gw_mono at(int64_t ns)
{
    return (struct gw_mono){ns};
}

/* Billionths of a token: with a whole rate everything is a whole number. */
struct model {
    int64_t nano, filled;
};
#define TOKEN INT64_C(1000000000)

static void model_refill(struct model *m, int64_t rate, int64_t burst, int64_t now)
{
    if (now <= m->filled)
        return;
    int64_t dt = now - m->filled;
    m->filled = now;
    m->nano = dt >= burst * TOKEN / rate ? burst * TOKEN : m->nano + dt * rate;
    if (m->nano > burst * TOKEN)
        m->nano = burst * TOKEN;
}

/* What the real one said is checked, but for the last billionth, where rounding may decide. */
static void model_check(struct model *m, int64_t rate, int64_t burst, int64_t now, bool passed)
{
    model_refill(m, rate, burst, now);
    if (llabs(m->nano - TOKEN) > 100)
        assert_int_equal(passed, m->nano >= TOKEN);
    if (passed)
        m->nano -= TOKEN;
}

static void test_bucket_by_hand(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        double amount;
        bool passes;
    } table
        [] =
            {
                /* rate 20, burst 5: full at 1000 ms */
                {1000, 1, true},       {1000, 1, true},    {1000, 1, true},
                {1000, 1, true},       {1000, 1, true},    {1000, 1, false},
                {1049, 1, false},                                           /* a token is 50 ms away */
                {1051, 1, true},       {1051, 1, false},   {900, 1, false}, /* a clock that went back */
                {1051, 1, false},   /* ... is not paid when it comes again */
                {1352, 5.5, false}, /* more than the burst: never */
                {1352, 5, true},       {1352, 0.5, false}, {99999, 5, true},
                {99999, 0.001, false}, /* no more than the burst however long it waits */
                {99999, 0, true},
            };
    struct gw_bucket bucket;
    gw_bucket_init(&bucket, 5, at(GW_MS(1000)));
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_int_equal(gw_bucket_take(&bucket, 20, 5, table[i].amount, at(GW_MS(table[i].ms))),
                         table[i].passes);
}

static void test_bucket_against_model(void **state)
{
    (void)state;
    struct gw_random_seeded random;
    struct gw_bucket bucket;
    struct model m = {5 * TOKEN, 0};
    int64_t now = 0;
    unsigned passed = 0;
    gw_random_seeded_init(&random, 1);
    gw_bucket_init(&bucket, 5, at(0));
    for (unsigned i = 0; i < 50000; i++) {
        now += gw_random_u32(&random.random) % (uint32_t)GW_MS(60);
        bool ok = gw_bucket_take(&bucket, 20, 5, 1, at(now));
        model_check(&m, 20, 5, now, ok);
        passed += ok;
    }
    assert_in_range(passed, 28000,
                    32000); /* 30 ms a take on average, 50 ms a token: some pass, some do not */
}

/* As many keys as the table has places, all in one set: nobody is forgotten, each is as if alone. */
static void test_keys_are_independent(void **state)
{
    (void)state;
    enum { KEYS = 8 };
    struct gw_ratelimit *limit = gw_ratelimit_new(20, 5, KEYS, seed);
    struct gw_random_seeded random;
    struct model m[KEYS];
    int64_t now = 0;
    assert_non_null(limit);
    gw_random_seeded_init(&random, 2);
    for (unsigned i = 0; i < KEYS; i++)
        m[i] = (struct model){5 * TOKEN, 0};
    for (unsigned i = 0; i < 50000; i++) {
        uint8_t prefix[8] = {0x20, 0x01, 0x0d, 0xb8};
        uint32_t key = gw_random_u32(&random.random) % KEYS;
        prefix[7] = (uint8_t)key;
        now += gw_random_u32(&random.random) % (uint32_t)GW_MS(10);
        model_check(&m[key], 20, 5, now, gw_ratelimit_take(limit, prefix, at(now)));
    }
    gw_ratelimit_free(limit);
}

static void random_prefix(struct gw_random_seeded *random, uint8_t prefix[8])
{
    gw_random_fill(&random->random, prefix, 8);
}

/* However many prefixes there are, no more passes than max_keys buckets hold and gain. */
static void test_a_flood_gains_nothing_by_more_prefixes(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 3, 8, 9, 64, 100};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct gw_ratelimit *limit = gw_ratelimit_new(20, 5, sizes[s], seed);
        struct gw_random_seeded random;
        uint64_t passed = 0;
        assert_non_null(limit);
        gw_random_seeded_init(&random, s);
        for (unsigned i = 0; i < 100000; i++) { /* 2 s at 50,000 a second */
            uint8_t prefix[8];
            random_prefix(&random, prefix);
            passed += gw_ratelimit_take(limit, prefix, at(GW_US(20) * i));
        }
        assert_true(passed <= sizes[s] * (5 + 2 * 20));
        assert_true(passed >= sizes[s] / 8 * 8 * (5 + 2 * 20) / 2); /* and the room that there is, is used */
        gw_ratelimit_free(limit);
    }
}

/* Strangers that come once each leave room for each other: only a table of busy ones refuses a newcomer. */
static void test_newcomers_pass_a_quiet_table(void **state)
{
    (void)state;
    struct gw_ratelimit *limit = gw_ratelimit_new(20, 5, 64, seed);
    struct gw_random_seeded random;
    uint8_t prefix[8];
    assert_non_null(limit);
    gw_random_seeded_init(&random, 3);
    for (unsigned i = 0; i < 10000; i++) { /* 500 a second; 64 buckets refill 1280 a second */
        random_prefix(&random, prefix);
        assert_true(gw_ratelimit_take(limit, prefix, at(GW_MS(2) * i)));
    }
    gw_ratelimit_free(limit);
}

/* One prefix that hammers is held to its rate while others, fewer than there is room for, come and go. */
static void test_a_hammering_prefix_is_held(void **state)
{
    (void)state;
    struct gw_ratelimit *limit = gw_ratelimit_new(20, 5, 1024, seed);
    struct gw_random_seeded random;
    uint8_t hammer[8] = {198, 51, 100, 7}, other[8];
    unsigned passed = 0, others = 0;
    assert_non_null(limit);
    gw_random_seeded_init(&random, 4);
    for (unsigned i = 0; i < 10000; i++) { /* 10 s, each ms */
        passed += gw_ratelimit_take(limit, hammer, at(GW_MS(1) * i));
        random_prefix(&random, other);
        others += gw_ratelimit_take(limit, other, at(GW_MS(1) * i));
    }
    assert_in_range(passed, 10 * 20, 10 * 20 + 6);
    assert_int_equal(others, 10000);
    gw_ratelimit_free(limit);
}

static void test_the_whole_prefix_counts(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 8; byte++) {
        struct gw_ratelimit *limit = gw_ratelimit_new(1, 1, 8, seed);
        uint8_t prefix[8] = {0};
        assert_non_null(limit);
        assert_true(gw_ratelimit_take(limit, prefix, at(0)));
        assert_false(gw_ratelimit_take(limit, prefix, at(0)));
        prefix[byte] = 1;
        assert_true(gw_ratelimit_take(limit, prefix, at(0)));
        assert_false(gw_ratelimit_take(limit, prefix, at(0)));
        gw_ratelimit_free(limit);
    }
}

static void test_without_memory(void **state)
{
    (void)state;
    no_memory = true;
    struct gw_ratelimit *limit = gw_ratelimit_new(1, 1, 8, seed);
    no_memory = false;
    assert_null(limit);
    gw_ratelimit_free(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bucket_by_hand),
        cmocka_unit_test(test_bucket_against_model),
        cmocka_unit_test(test_keys_are_independent),
        cmocka_unit_test(test_a_flood_gains_nothing_by_more_prefixes),
        cmocka_unit_test(test_newcomers_pass_a_quiet_table),
        cmocka_unit_test(test_a_hammering_prefix_is_held),
        cmocka_unit_test(test_the_whole_prefix_counts),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

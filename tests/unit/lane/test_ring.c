/* SPDX-License-Identifier: MIT */
/* The ring between two threads: order, lengths, bounds, and bytes that are there when the record is. */
#include "gateway/lane/ring.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SIZE 4096u
#define RECORDS 200000u

static struct gw_ring ring;

static size_t len_of(unsigned i)
{
    return 4 + (i * 2654435761u >> 8) % 900;
}

static void test_full_and_empty(void **state)
{
    size_t len;
    unsigned count = 0;
    (void)state;
    assert_int_equal(gw_ring_init(&ring, SIZE), 0);
    assert_null(gw_ring_next(&ring, &len));
    assert_null(gw_ring_reserve(&ring, SIZE / 2 + 1)); /* two of the longest always fit one after the other */
    for (uint8_t *at; (at = gw_ring_reserve(&ring, 100)) != NULL; count++) {
        assert_int_equal((uintptr_t)at % GW_RING_ALIGN, 0);
        memset(at, (int)count, 100);
        gw_ring_commit(&ring);
    }
    assert_int_equal(count, SIZE / (GW_RING_ALIGN + 112));
    assert_false(gw_ring_is_half_empty(&ring));
    /* Half of them one by one, the rest together: each is still there when the last is given. */
    for (unsigned i = 0; i < count; i++) {
        uint8_t *at = gw_ring_next(&ring, &len);
        assert_int_equal(len, 100);
        assert_int_equal(at[99], i);
        if (i < count / 2)
            gw_ring_release(&ring);
        else
            assert_null(gw_ring_reserve(&ring, SIZE / 2)); /* nothing of it is given back yet */
    }
    assert_null(gw_ring_next(&ring, &len));
    assert_null(gw_ring_reserve(&ring, SIZE / 2));
    gw_ring_release(&ring);
    assert_true(gw_ring_is_half_empty(&ring));
    assert_null(gw_ring_next(&ring, &len));
    gw_ring_fini(&ring);
}

/* What was reserved and not committed was never there. */
static void test_abandoned(void **state)
{
    size_t len;
    (void)state;
    assert_int_equal(gw_ring_init(&ring, SIZE), 0);
    assert_non_null(gw_ring_reserve(&ring, 50));
    assert_null(gw_ring_next(&ring, &len));
    memcpy(gw_ring_reserve(&ring, 8), "12345678", 8);
    gw_ring_commit(&ring);
    assert_memory_equal(gw_ring_next(&ring, &len), "12345678", 8);
    assert_int_equal(len, 8);
    gw_ring_fini(&ring);
}

static void *write_all(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < RECORDS; i++) {
        size_t len = len_of(i);
        uint8_t *at;
        while ((at = gw_ring_reserve(&ring, len)) == NULL)
            sched_yield();
        memset(at, (int)(i & 255), len);
        memcpy(at, &i, sizeof i);
        gw_ring_commit(&ring);
    }
    return NULL;
}

static void test_two_threads(void **state)
{
    pthread_t writer;
    (void)state;
    assert_int_equal(gw_ring_init(&ring, SIZE), 0);
    assert_int_equal(pthread_create(&writer, NULL, write_all, NULL), 0);
    for (unsigned i = 0; i < RECORDS; i++) {
        unsigned got;
        size_t len;
        uint8_t *at;
        while ((at = gw_ring_next(&ring, &len)) == NULL)
            sched_yield();
        memcpy(&got, at, sizeof got);
        assert_int_equal(got, i);
        assert_int_equal(len, len_of(i));
        if (len > 4)
            assert_int_equal(at[len - 1], i & 255);
        if (i % 3 == 0)
            gw_ring_release(&ring);
    }
    pthread_join(writer, NULL);
    gw_ring_fini(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_full_and_empty),
                                       cmocka_unit_test(test_abandoned), cmocka_unit_test(test_two_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

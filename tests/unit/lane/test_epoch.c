/* SPDX-License-Identifier: MIT */
/* Reclamation: what is out of sight is freed late enough for readers that look without locks, and soon enough for the writer. */
#include "gateway/base/epoch.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define READERS 3u
#define CHANGES 2000u
#define ALIVE 0x5ca1ab1eu

struct thing {
    unsigned is_alive, number;
};

static struct gw_epoch epoch;
static _Atomic(struct thing *) current;
static _Atomic bool is_over;
static _Atomic unsigned looks;

static struct thing *new_thing(unsigned number)
{
    struct thing *thing = malloc(sizeof *thing);
    assert_non_null(thing);
    *thing = (struct thing){ALIVE, number};
    return thing;
}

static void free_thing(struct thing *thing)
{
    thing->is_alive = 0; /* whoever still looks sees it, and the sanitizers do */
    free(thing);
}

static void *read_all(void *arg)
{
    unsigned reader = (unsigned)(uintptr_t)arg, last = 0;
    while (!atomic_load(&is_over)) {
        gw_epoch_enter(&epoch, reader, gw_epoch_number(&epoch));
        for (int i = 0; i < 3; i++) {
            const struct thing *thing = atomic_load(&current);
            if (thing->is_alive != ALIVE || thing->number < last)
                abort();
            last = thing->number;
            atomic_fetch_add_explicit(&looks, 1, memory_order_relaxed);
        }
        if (last % 3 == 0)
            gw_epoch_leave(&epoch, reader);
        if (last % 64 == 0)
            sched_yield();
    }
    gw_epoch_leave(&epoch, reader);
    return NULL;
}

static void test_readers(void **state)
{
    pthread_t threads[READERS];
    (void)state;
    gw_epoch_init(&epoch, READERS);
    atomic_store(&current, new_thing(0));
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, (void *)(uintptr_t)i), 0);
    while (atomic_load(&looks) < 1000)
        sched_yield();
    for (unsigned i = 1; i < CHANGES; i++) {
        struct thing *old = atomic_exchange(&current, new_thing(i));
        uint64_t number = gw_epoch_advance(&epoch);
        while (!gw_epoch_is_over(&epoch, number))
            sched_yield();
        free_thing(old);
    }
    atomic_store(&is_over, true);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    free_thing(atomic_load(&current));
}

static void test_rules(void **state)
{
    static struct gw_epoch one;
    (void)state;
    gw_epoch_init(&one, 2);
    assert_true(gw_epoch_is_over(&one, gw_epoch_advance(&one))); /* nobody is inside */
    gw_epoch_enter(&one, 0, gw_epoch_number(&one));
    uint64_t number = gw_epoch_advance(&one);
    assert_false(gw_epoch_is_over(&one, number));
    gw_epoch_enter(&one, 1, gw_epoch_number(&one)); /* later: it cannot have seen what is gone */
    assert_false(gw_epoch_is_over(&one, number));
    gw_epoch_enter(&one, 0, gw_epoch_number(&one));
    assert_true(gw_epoch_is_over(&one, number));
    number = gw_epoch_advance(&one);
    gw_epoch_leave(&one, 0);
    assert_false(gw_epoch_is_over(&one, number));
    gw_epoch_leave(&one, 1);
    assert_true(gw_epoch_is_over(&one, number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rules), cmocka_unit_test(test_readers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The deadline heap: by hand, and against a model that looks at everything each time. */
#include "gateway/base/deadline.h"
#include "gateway/base/err.h"
#include "gateway/base/list.h"
#include "gateway/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void *__real_realloc(void *ptr, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
static bool no_memory;
void *__wrap_realloc(void *ptr, size_t size)
{
    return no_memory ? NULL : __real_realloc(ptr, size);
}

static struct gw_mono at(int64_t ns)
{
    return (struct gw_mono){ns};
}

/* What expired, in order, as letters. */
static char fired[64];

struct timer {
    struct gw_deadline deadline;
    char name;
    struct gw_deadlines *heap;
    void (*then)(struct timer *timer, struct gw_mono now);
    struct timer *other;
};

static void on_expire(struct gw_deadline *deadline, struct gw_mono now)
{
    struct timer *timer = gw_container_of(deadline, struct timer, deadline);
    assert_int_equal(deadline->slot, 0); /* disarmed already */
    assert_true(gw_mono_is_never(deadline->at));
    size_t count = strlen(fired);
    assert_true(count < sizeof fired - 1);
    fired[count] = timer->name;
    if (timer->then != NULL)
        timer->then(timer, now);
}

#define TIMERS 5
struct fixture {
    struct gw_deadlines heap;
    struct timer t[TIMERS]; /* named a to e */
};

static int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    memset(fired, 0, sizeof fired);
    gw_deadlines_init(&f.heap);
    for (unsigned i = 0; i < TIMERS; i++) {
        f.t[i].name = (char)('a' + i);
        f.t[i].heap = &f.heap;
        gw_deadline_init(&f.t[i].deadline, on_expire);
        assert_int_equal(gw_deadlines_reserve(&f.heap), 0);
    }
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    gw_deadlines_fini(&f->heap);
    return 0;
}

static void arm(struct fixture *f, char name, int64_t ns)
{
    gw_deadline_arm(&f->heap, &f->t[name - 'a'].deadline, at(ns));
}

static const char *expire(struct fixture *f, int64_t now)
{
    memset(fired, 0, sizeof fired);
    gw_deadlines_expire(&f->heap, at(now));
    return fired;
}

static void test_order_and_next(void **state)
{
    struct fixture *f = *state;
    assert_true(gw_mono_is_never(gw_deadlines_next(&f->heap)));
    assert_string_equal(expire(f, INT64_MAX - 1), "");
    arm(f, 'c', 30);
    arm(f, 'a', 10);
    arm(f, 'b', 20);
    assert_int_equal(gw_deadlines_next(&f->heap).ns, 10);
    assert_string_equal(expire(f, 9), "");
    assert_string_equal(expire(f, 10), "a");
    assert_int_equal(gw_deadlines_next(&f->heap).ns, 20);
    assert_string_equal(expire(f, 1000), "bc");
    assert_true(gw_mono_is_never(gw_deadlines_next(&f->heap)));
}

static void test_ties_go_by_arming(void **state)
{
    struct fixture *f = *state;
    arm(f, 'd', 5);
    arm(f, 'a', 5);
    arm(f, 'c', 5);
    arm(f, 'b', 5);
    arm(f, 'd', 5); /* armed for that already: keeps its turn */
    assert_string_equal(expire(f, 5), "dacb");
    arm(f, 'a', 5);
    arm(f, 'b', 5);
    arm(f, 'a', 6);
    arm(f, 'a', 5); /* really re-armed: behind b */
    assert_string_equal(expire(f, 5), "ba");
}

static void test_disarm(void **state)
{
    struct fixture *f = *state;
    for (char name = 'a'; name <= 'e'; name++)
        arm(f, name, name);
    gw_deadline_disarm(&f->heap, &f->t[0].deadline);
    gw_deadline_disarm(&f->heap, &f->t[0].deadline); /* again: nothing */
    gw_deadline_arm(&f->heap, &f->t[2].deadline, GW_NEVER);
    gw_deadline_arm(&f->heap, &f->t[2].deadline, GW_NEVER);
    assert_true(gw_mono_is_never(f->t[2].deadline.at));
    assert_int_equal(f->heap.len, 3);
    assert_string_equal(expire(f, 1000), "bde");
}

static void rearm_for_the_past(struct timer *timer, struct gw_mono now)
{
    gw_deadline_arm(timer->heap, &timer->deadline, at(now.ns - 100));
}

static void test_rearmed_in_a_callback_runs_in_the_next_round(void **state)
{
    struct fixture *f = *state;
    f->t[0].then = rearm_for_the_past; /* would be first again, for ever */
    arm(f, 'a', 1);
    arm(f, 'b', 2);
    arm(f, 'c', 50);
    assert_string_equal(expire(f, 50), "abc");
    assert_int_equal(gw_deadlines_next(&f->heap).ns,
                     50); /* not -50: no earlier than the round it was armed in */
    assert_string_equal(expire(f, 50), "a");
    f->t[0].then = NULL;
    assert_string_equal(expire(f, 50), "a");
    assert_string_equal(expire(f, 50), "");
}

static void postpone_other(struct timer *timer, struct gw_mono now)
{
    gw_deadline_arm(timer->heap, &timer->other->deadline, gw_mono_add(now, 10));
}

static void disarm_other(struct timer *timer, struct gw_mono now)
{
    (void)now;
    gw_deadline_disarm(timer->heap, &timer->other->deadline);
}

static void hasten_other(struct timer *timer, struct gw_mono now)
{
    gw_deadline_arm(timer->heap, &timer->other->deadline, now);
}

static void test_callbacks_change_others(void **state)
{
    struct fixture *f = *state;
    f->t[0].then = postpone_other;
    f->t[0].other = &f->t[1];
    f->t[2].then = disarm_other;
    f->t[2].other = &f->t[3];
    arm(f, 'a', 1);
    arm(f, 'b', 2);
    arm(f, 'c', 3);
    arm(f, 'd', 4);
    assert_string_equal(expire(f, 10), "ac");
    assert_string_equal(expire(f, 20), "b");

    f->t[0].then = hasten_other;
    f->t[0].other = &f->t[4];
    arm(f, 'e', 1000);
    arm(f, 'a', 21);
    arm(f, 'b', 22);
    assert_string_equal(expire(f, 30), "ab"); /* e was armed meanwhile */
    assert_string_equal(expire(f, 30), "e");
}

static void free_self(struct timer *timer, struct gw_mono now)
{
    (void)now;
    gw_deadlines_release(timer->heap);
    free(timer);
}

static void test_callback_may_free_its_object(void **state)
{
    struct fixture *f = *state;
    struct timer *timer = calloc(1, sizeof *timer);
    assert_non_null(timer);
    timer->name = 'x';
    timer->heap = &f->heap;
    timer->then = free_self;
    gw_deadline_init(&timer->deadline, on_expire);
    assert_int_equal(gw_deadlines_reserve(&f->heap), 0);
    gw_deadline_arm(&f->heap, &timer->deadline, at(5));
    arm(f, 'a', 6);
    assert_string_equal(expire(f, 10), "xa");
    assert_int_equal(f->heap.reserved, TIMERS);
}

static void test_fini_disarms(void **state)
{
    struct fixture *f = *state;
    arm(f, 'a', 5);
    arm(f, 'b', 6);
    gw_deadlines_fini(&f->heap);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(f->t[i].deadline.slot, 0);
        assert_true(gw_mono_is_never(f->t[i].deadline.at));
    }
    gw_deadline_disarm(&f->heap, &f->t[0].deadline);
    assert_true(gw_mono_is_never(gw_deadlines_next(&f->heap)));
}

static void test_reserve_without_memory(void **state)
{
    struct fixture *f = *state;
    int err = 0;
    size_t reserved = f->heap.reserved;
    arm(f, 'a', 5);
    no_memory = true;
    while (err == 0 && reserved < 100) {
        err = gw_deadlines_reserve(&f->heap);
        reserved += err == 0;
    }
    no_memory = false;
    assert_int_equal(err, GW_E_NOMEM);
    assert_int_equal(f->heap.reserved, reserved);
    assert_int_equal(f->heap.cap, reserved);
    assert_int_equal(gw_deadlines_reserve(&f->heap), 0); /* it comes back */
    assert_string_equal(expire(f, 5), "a");
}

/* --- against a model ------------------------------------------------------------------------- */

#define MODEL_TIMERS 300
struct model_timer {
    struct gw_deadline deadline;
    int64_t ns; /* INT64_MAX while disarmed */
    uint64_t seq;
};
static struct model_timer model[MODEL_TIMERS];
static uint64_t model_seq;

static struct model_timer *model_first(void)
{
    struct model_timer *first = NULL;
    for (unsigned i = 0; i < MODEL_TIMERS; i++) {
        struct model_timer *t = &model[i];
        if (t->ns != INT64_MAX &&
            (first == NULL || t->ns < first->ns || (t->ns == first->ns && t->seq < first->seq)))
            first = t;
    }
    return first;
}

static void on_model_expire(struct gw_deadline *deadline, struct gw_mono now)
{
    struct model_timer *timer = gw_container_of(deadline, struct model_timer, deadline);
    assert_ptr_equal(timer, model_first());
    assert_true(timer->ns <= now.ns);
    timer->ns = INT64_MAX;
}

static void check_heap(const struct gw_deadlines *heap)
{
    size_t armed = 0;
    for (unsigned i = 0; i < MODEL_TIMERS; i++) {
        assert_int_equal(model[i].deadline.at.ns, model[i].ns);
        if (model[i].ns == INT64_MAX)
            continue;
        armed++;
        assert_ptr_equal(heap->heap[model[i].deadline.slot - 1], &model[i].deadline);
    }
    assert_int_equal(heap->len, armed);
    struct model_timer *first = model_first();
    assert_int_equal(gw_deadlines_next(heap).ns, first != NULL ? first->ns : INT64_MAX);
}

static void test_against_model(void **state)
{
    (void)state;
    struct gw_deadlines heap;
    struct gw_random_seeded random;
    int64_t now = 0;
    gw_deadlines_init(&heap);
    gw_random_seeded_init(&random, 1);
    for (unsigned i = 0; i < MODEL_TIMERS; i++) {
        gw_deadline_init(&model[i].deadline, on_model_expire);
        model[i].ns = INT64_MAX;
        assert_int_equal(gw_deadlines_reserve(&heap), 0);
    }
    for (unsigned step = 0; step < 30000; step++) {
        struct model_timer *t = &model[gw_random_u32(&random.random) % MODEL_TIMERS];
        uint32_t what = gw_random_u32(&random.random) % 16;
        if (what == 0) {
            now += gw_random_u32(&random.random) % 64;
            gw_deadlines_expire(&heap, at(now));
            assert_true(model_first() == NULL || model_first()->ns > now);
        } else if (what <= 4) {
            gw_deadline_disarm(&heap, &t->deadline);
            t->ns = INT64_MAX;
        } else {
            int64_t ns = now + gw_random_u32(&random.random) % 256; /* few values: many ties */
            gw_deadline_arm(&heap, &t->deadline, at(ns));
            if (t->ns != ns) {
                t->ns = ns;
                t->seq = model_seq++;
            }
        }
        if (step % 16 == 0)
            check_heap(&heap);
    }
    gw_deadlines_fini(&heap);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order_and_next, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ties_go_by_arming, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disarm, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rearmed_in_a_callback_runs_in_the_next_round, setup, teardown),
        cmocka_unit_test_setup_teardown(test_callbacks_change_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_callback_may_free_its_object, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fini_disarms, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reserve_without_memory, setup, teardown),
        cmocka_unit_test(test_against_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

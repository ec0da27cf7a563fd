/* SPDX-License-Identifier: MIT */
/* The loop: hooks and their deadlines, one time a turn, and what happens after the machine slept. */
#include "gateway/link/loop.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* The machine's sleep: BOOTTIME runs ahead of MONOTONIC by this. */
static int64_t asleep_ns;

int __real_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
    int result = __real_clock_gettime(clock, ts);
    if (clock == CLOCK_BOOTTIME)
        ts->tv_sec += asleep_ns / GW_S(1);
    return result;
}

static struct gw_mono read_clock(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (struct gw_mono){GW_S(ts.tv_sec) + ts.tv_nsec};
}

struct test_hook {
    struct gw_loop_hook hook;
    struct gw_loop *loop;
    unsigned runs, stop_after;
    struct gw_mono next;
    int64_t again_ns; /* the next deadline: so much after each run; -1 = never */
    bool removes_itself;
    struct test_hook *removes;
};

static struct gw_mono run_hook(struct gw_loop_hook *hook, struct gw_mono now)
{
    struct test_hook *test = (struct test_hook *)(void *)hook;
    assert_int_equal(now.ns, gw_loop_now(test->loop).ns);
    if (++test->runs == test->stop_after)
        gw_loop_stop(test->loop);
    if (test->removes_itself)
        gw_loop_remove_hook(test->loop, hook);
    if (test->removes)
        gw_loop_remove_hook(test->loop, &test->removes->hook);
    if (test->again_ns < 0)
        return GW_NEVER;
    if (test->runs == 1 || gw_mono_due(test->next, now))
        test->next = gw_mono_add(now, test->again_ns);
    return test->next;
}

static struct test_hook make_hook(struct gw_loop *loop, unsigned stop_after, int64_t again_ns)
{
    return (struct test_hook){
        .hook = {.run = run_hook}, .loop = loop, .stop_after = stop_after, .again_ns = again_ns};
}

static int setup(void **state)
{
    asleep_ns = 0;
    *state = gw_loop_new();
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    gw_loop_free(*state);
    return 0;
}

static void test_deadlines_are_kept(void **state)
{
    struct gw_loop *loop = *state;
    struct test_hook hook = make_hook(loop, 6, GW_MS(10));
    gw_loop_add_hook(loop, &hook.hook);
    struct gw_mono began = read_clock();
    assert_int_equal(gw_loop_run(loop), 0);
    int64_t took_ns = gw_mono_sub(read_clock(), began);
    /* Five waits of 10 ms; a loaded machine may take longer, never less. */
    assert_true(took_ns >= GW_MS(50) && took_ns < GW_S(30));
}

static void test_due_at_once_polls(void **state)
{
    struct gw_loop *loop = *state;
    struct test_hook hook = make_hook(loop, 1000, 0);
    gw_loop_add_hook(loop, &hook.hook);
    struct gw_mono began = read_clock();
    assert_int_equal(gw_loop_run(loop), 0);
    assert_int_equal(hook.runs, 1000);
    assert_true(gw_mono_sub(read_clock(), began) < GW_S(30));
}

static void test_the_earliest_counts(void **state)
{
    struct gw_loop *loop = *state;
    struct test_hook slow = make_hook(loop, 0, GW_S(3600)), quick = make_hook(loop, 3, GW_MS(1)),
                     never = make_hook(loop, 0, -1);
    gw_loop_add_hook(loop, &slow.hook);
    gw_loop_add_hook(loop, &quick.hook);
    gw_loop_add_hook(loop, &never.hook);
    assert_int_equal(gw_loop_run(loop), 0);
    assert_int_equal(quick.runs, 3);
    assert_true(slow.runs >= 2 && never.runs >= 2);
}

static void test_a_hook_removes_itself_and_others(void **state)
{
    struct gw_loop *loop = *state;
    struct test_hook last = make_hook(loop, 3, 0), gone = make_hook(loop, 0, -1),
                     self = make_hook(loop, 0, -1);
    /* The one added last runs first. */
    gw_loop_add_hook(loop, &last.hook);
    gw_loop_add_hook(loop, &gone.hook);
    gw_loop_add_hook(loop, &self.hook);
    self.removes_itself = true;
    self.removes = &gone;
    assert_int_equal(gw_loop_run(loop), 0);
    assert_int_equal(self.runs, 1);
    assert_int_equal(gone.runs, 0);
    assert_int_equal(last.runs, 3);
}

struct timed {
    struct gw_loop *loop;
    struct gw_mono seen[2];
};

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct timed *timed = arg;
    (void)fd, (void)what;
    timed->seen[0] = gw_loop_now(timed->loop);
    struct timespec wait = {.tv_nsec = 2000000};
    nanosleep(&wait, NULL);
    timed->seen[1] = gw_loop_now(timed->loop);
    gw_loop_stop(timed->loop);
}

static void test_one_time_a_turn(void **state)
{
    struct gw_loop *loop = *state;
    struct timed timed = {.loop = loop};
    struct timeval at_once = {0};
    event_base_once(gw_loop_base(loop), -1, EV_TIMEOUT, on_event, &timed, &at_once);
    assert_int_equal(gw_loop_run(loop), 0);
    assert_int_equal(timed.seen[0].ns, timed.seen[1].ns);
    assert_true(gw_mono_before(timed.seen[1], gw_loop_now(loop)));
}

static int64_t woken_ns;
static unsigned wakes;

static void on_wake(struct gw_mono now, int64_t slept_ns, void *ctx)
{
    struct gw_loop *loop = ctx;
    assert_int_equal(now.ns, gw_loop_now(loop).ns);
    woken_ns = slept_ns;
    wakes++;
}

static void fall_asleep(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
    asleep_ns = GW_S(7200);
}

static void test_sleep_is_noticed(void **state)
{
    struct gw_loop *loop = *state;
    struct test_hook hook = make_hook(loop, 0, GW_MS(5));
    struct timeval soon = {.tv_usec = 20000}, end = {.tv_sec = 1};
    struct timed timed = {.loop = loop};
    wakes = 0;
    gw_loop_on_wake(loop, on_wake, loop);
    gw_loop_add_hook(loop, &hook.hook);
    event_base_once(gw_loop_base(loop), -1, EV_TIMEOUT, fall_asleep, NULL, &soon);
    event_base_once(gw_loop_base(loop), -1, EV_TIMEOUT, on_event, &timed, &end);
    assert_int_equal(gw_loop_run(loop), 0);
    assert_int_equal(wakes, 1);
    assert_true(woken_ns > GW_S(7190) && woken_ns < GW_S(7210));
    /* Deadlines are kept after it, too. */
    assert_true(hook.runs > 8);
}

static void test_a_busy_loop_is_not_a_sleeping_machine(void **state)
{
    struct gw_loop *loop = *state;
    wakes = 0;
    gw_loop_on_wake(loop, on_wake, loop);
    for (int i = 0; i < 3; i++) {
        struct test_hook hook = make_hook(loop, 2, 0);
        struct timespec wait = {.tv_sec = 1, .tv_nsec = 100000000};
        gw_loop_add_hook(loop, &hook.hook);
        nanosleep(&wait, NULL);
        assert_int_equal(gw_loop_run(loop), 0);
        gw_loop_remove_hook(loop, &hook.hook);
    }
    assert_int_equal(wakes, 0);
}

static void send_traffic(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    gw_loop_note_traffic(arg);
}

/* Turns that a loop without deadlines takes in 150 ms that begin with traffic. */
static unsigned turns_after_traffic(struct gw_loop *loop, int64_t busy_ns)
{
    struct test_hook hook = make_hook(loop, 0, -1);
    struct timeval at_once = {0}, end = {.tv_usec = 150000};
    struct timed timed = {.loop = loop};
    gw_loop_set_busy_poll(loop, busy_ns);
    gw_loop_add_hook(loop, &hook.hook);
    event_base_once(gw_loop_base(loop), -1, EV_TIMEOUT, send_traffic, loop, &at_once);
    event_base_once(gw_loop_base(loop), -1, EV_TIMEOUT, on_event, &timed, &end);
    assert_int_equal(gw_loop_run(loop), 0);
    gw_loop_remove_hook(loop, &hook.hook);
    return hook.runs;
}

static int64_t cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return GW_S(ts.tv_sec) + ts.tv_nsec;
}

static void test_busy_polling_ends_with_the_traffic(void **state)
{
    struct gw_loop *loop = *state;
    assert_true(turns_after_traffic(loop, 0) < 10);
    int64_t before = cpu_ns();
    assert_true(turns_after_traffic(loop, GW_MS(30)) > 20);
    /* Not in the 120 ms after it. */
    assert_true(cpu_ns() - before < GW_MS(110));
    assert_true(turns_after_traffic(loop, 0) < 10);
}

static void on_let_go(const void *data, size_t len, void *arg)
{
    unsigned *count = arg;
    (void)data, (void)len;
    ++*count;
}

/* bufferevent_free() leaves the rest to the loop, which may be at its end. */
static void test_bufferevents_are_freed_with_the_loop(void **state)
{
    unsigned count = 0;
    (void)state;
    struct gw_loop *loop = gw_loop_new();
    assert_non_null(loop);
    for (int i = 0; i < 3; i++) {
        struct bufferevent *bev = bufferevent_socket_new(gw_loop_base(loop), -1, 0);
        assert_non_null(bev);
        assert_int_equal(evbuffer_add_reference(bufferevent_get_output(bev), "x", 1, on_let_go, &count), 0);
        bufferevent_free(bev);
    }
    gw_loop_free(loop);
    assert_int_equal(count, 3);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_deadlines_are_kept),
        T(test_due_at_once_polls),
        T(test_the_earliest_counts),
        T(test_a_hook_removes_itself_and_others),
        T(test_one_time_a_turn),
        T(test_busy_polling_ends_with_the_traffic),
        T(test_sleep_is_noticed),
        T(test_a_busy_loop_is_not_a_sleeping_machine),
        cmocka_unit_test(test_bufferevents_are_freed_with_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The loop over libevent: one event_base_loop(EVLOOP_ONCE) a turn, then the hooks, then one timer for the earliest of their deadlines.
 * Deadlines are CLOCK_BOOTTIME, which runs on through sleep; libevent's timers do not, so a timerfd that the kernel cancels when it
 * resumes (or when somebody sets the clock) wakes the loop for a look at both clocks. */
#include "gateway/link/loop.h"

#include "gateway/base/log.h"
#include "gateway/link/slice.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* Less than this between the two clocks is reading them one after the other. */
#define SLEPT_MIN GW_S(1)

struct gw_loop {
    struct event_base *base;
    struct event *timer;     /* the earliest deadline */
    struct gw_mono timer_at; /* what it is armed for; GW_NEVER while it is not */
    struct event *clock_set; /* readable after resume, and after the wall clock was set */
    int clock_fd;
    struct gw_loop_hook *hooks;
    struct gw_loop_hook *next_hook; /* while they run: the one after the running one */
    struct gw_mono now;
    bool has_now;
    bool is_stopped;
    int64_t busy_ns; /* how long after the last traffic it does not sleep */
    struct gw_mono busy_until;
    int64_t asleep_ns; /* BOOTTIME - MONOTONIC when last looked at */
    struct gw_mono looked;
    int64_t slept_ns; /* found in this turn; told before its hooks */
    void (*on_wake)(struct gw_mono now, int64_t slept_ns, void *ctx);
    void *wake_ctx;
};

static int64_t clock_ns(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return GW_S(ts.tv_sec) + ts.tv_nsec;
}

static void look_at_both_clocks(struct gw_loop *loop)
{
    int64_t asleep_ns = loop->now.ns - clock_ns(CLOCK_MONOTONIC);
    int64_t slept_ns = asleep_ns - loop->asleep_ns;

    loop->looked = loop->now;
    loop->asleep_ns = asleep_ns;
    if (slept_ns < SLEPT_MIN)
        return;
    gw_log_info("the machine slept for %lld s", (long long)(slept_ns / GW_S(1)));
    loop->slept_ns = slept_ns;
    /* The timer was set for a time that did not count the sleep. */
    loop->timer_at = GW_NEVER;
    evtimer_del(loop->timer);
}

struct gw_mono gw_loop_now(struct gw_loop *loop)
{
    if (loop->has_now)
        return loop->now;
    loop->now.ns = clock_ns(CLOCK_BOOTTIME);
    loop->has_now = true;
    /* A busy loop asks once a second, an idle one each time it wakes after longer. */
    if (gw_mono_sub(loop->now, loop->looked) >= SLEPT_MIN)
        look_at_both_clocks(loop);
    return loop->now;
}

static void arm_clock_set(struct gw_loop *loop)
{
    /* Never expires; it is there to be cancelled. */
    struct itimerspec never = {.it_value = {.tv_sec = INT32_MAX}};
    timerfd_settime(loop->clock_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

static void on_clock_set(evutil_socket_t fd, short what, void *arg)
{
    struct gw_loop *loop = arg;
    uint64_t expirations;
    (void)what;
    if (read(fd, &expirations, sizeof expirations) < 0 && errno == ECANCELED)
        arm_clock_set(loop);
    gw_loop_now(loop);
    look_at_both_clocks(loop);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct gw_loop *loop = arg;
    (void)fd, (void)what;
    /* The hooks run anyway. */
    loop->timer_at = GW_NEVER;
}

static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;
    if (!config)
        return NULL;
    /* libevent's default timers are 4 ms late; the changelist saves system calls for events that come and go in one turn; there is
     * one thread. (The changelist asks that no descriptor is in the base twice through dup().) */
    int flags = EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST | EVENT_BASE_FLAG_NOLOCK;
    if (event_config_set_flag(config, flags) == 0)
        base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static bool watch_clock(struct gw_loop *loop)
{
    loop->clock_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (loop->clock_fd < 0)
        return false;
    loop->clock_set = event_new(loop->base, loop->clock_fd, EV_READ | EV_PERSIST, on_clock_set, loop);
    if (!loop->clock_set || event_add(loop->clock_set, NULL) < 0)
        return false;
    arm_clock_set(loop);
    return true;
}

struct gw_loop *gw_loop_new(void)
{
    struct gw_loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return NULL;
    loop->clock_fd = -1;
    loop->timer_at = GW_NEVER;
    loop->base = new_base();
    if (loop->base)
        loop->timer = evtimer_new(loop->base, on_timer, loop);
    if (!loop->timer || !watch_clock(loop)) {
        gw_loop_free(loop);
        return NULL;
    }
    loop->looked.ns = clock_ns(CLOCK_BOOTTIME);
    loop->asleep_ns = loop->looked.ns - clock_ns(CLOCK_MONOTONIC);
    return loop;
}

void gw_loop_free(struct gw_loop *loop)
{
    if (!loop)
        return;
    if (loop->clock_set)
        event_free(loop->clock_set);
    if (loop->clock_fd >= 0)
        close(loop->clock_fd);
    if (loop->timer)
        event_free(loop->timer);
    if (loop->base) {
        /* A bufferevent is freed on its loop, after bufferevent_free(). event_base_free() does not get at all that wait for it: TLS connections in the middle of
         * something are lost at times (libevent 2.1.12). */
        event_base_loop(loop->base, EVLOOP_NONBLOCK);
        event_base_free(loop->base);
    }
    free(loop);
}

struct event_base *gw_loop_base(struct gw_loop *loop)
{
    return loop->base;
}

void gw_loop_on_wake(struct gw_loop *loop, void (*fn)(struct gw_mono, int64_t, void *), void *ctx)
{
    loop->on_wake = fn;
    loop->wake_ctx = ctx;
}

void gw_loop_set_busy_poll(struct gw_loop *loop, int64_t busy_ns)
{
    loop->busy_ns = busy_ns;
    loop->busy_until = (struct gw_mono){0};
}

int64_t gw_loop_busy_poll(const struct gw_loop *loop)
{
    return loop->busy_ns;
}

void gw_loop_note_traffic(struct gw_loop *loop)
{
    if (loop->busy_ns > 0)
        loop->busy_until = gw_mono_add(gw_loop_now(loop), loop->busy_ns);
}

void gw_loop_add_hook(struct gw_loop *loop, struct gw_loop_hook *hook)
{
    hook->next = loop->hooks;
    loop->hooks = hook;
}

void gw_loop_remove_hook(struct gw_loop *loop, struct gw_loop_hook *hook)
{
    if (loop->next_hook == hook)
        loop->next_hook = hook->next;
    for (struct gw_loop_hook **at = &loop->hooks; *at; at = &(*at)->next) {
        if (*at == hook) {
            *at = hook->next;
            return;
        }
    }
}

static struct gw_mono run_hooks(struct gw_loop *loop)
{
    struct gw_mono now = gw_loop_now(loop), earliest = GW_NEVER;
    int64_t slept_ns = loop->slept_ns;
    loop->slept_ns = 0;
    if (slept_ns > 0 && loop->on_wake)
        loop->on_wake(now, slept_ns, loop->wake_ctx);
    for (struct gw_loop_hook *hook = loop->hooks; hook; hook = loop->next_hook) {
        loop->next_hook = hook->next;
        earliest = gw_mono_min(earliest, hook->run(hook, now));
    }
    return earliest;
}

/* An armed timer that would fire too early is left alone: one idle turn costs less than setting it again and again. */
static void arm_timer(struct gw_loop *loop, struct gw_mono at)
{
    if (gw_mono_is_never(at) || gw_mono_due(loop->timer_at, at))
        return;
    int64_t wait_ns = gw_mono_sub(at, (struct gw_mono){clock_ns(CLOCK_BOOTTIME)});
    int64_t wait_us = wait_ns <= 0 ? 0 : (wait_ns + 999) / 1000;
    struct timeval tv = {.tv_sec = wait_us / 1000000, .tv_usec = wait_us % 1000000};
    if (evtimer_add(loop->timer, &tv) == 0)
        loop->timer_at = at;
}

int gw_loop_run(struct gw_loop *loop)
{
    int flags = EVLOOP_ONCE | EVLOOP_NONBLOCK; /* the first turn is for what was set up before */
    loop->is_stopped = false;
    gw_slice_shorten();
    while (!loop->is_stopped) {
        loop->has_now = false;
        if (event_base_loop(loop->base, flags) < 0)
            return errno ? -errno : -EIO;
        if (loop->is_stopped)
            break;
        struct gw_mono at = run_hooks(loop);
        bool is_due = gw_mono_due(at, loop->now);
        bool is_busy = loop->busy_ns > 0 && !gw_mono_due(loop->busy_until, loop->now);
        flags = is_due || is_busy ? EVLOOP_ONCE | EVLOOP_NONBLOCK : EVLOOP_ONCE;
        if (!is_due)
            arm_timer(loop, at);
    }
    loop->has_now = false;
    return 0;
}

void gw_loop_stop(struct gw_loop *loop)
{
    loop->is_stopped = true;
    event_base_loopbreak(loop->base);
}

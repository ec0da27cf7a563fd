/* SPDX-License-Identifier: MIT */
/* socksload open and ttfb: many connections, each until its first byte. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "tests/tools/load.h"

enum { EVENTS = 256 };

struct run {
    const struct load_options *options;
    struct proxied_target target;
    int epoll;
    uint64_t begun;
    uint64_t ended;
    uint64_t done;
    struct load_failures failures;
    struct tool_samples open_times;  /* from CONNECT to the proxy's answer */
    struct tool_samples first_times; /* from CONNECT to the first byte */
    struct tool_samples whole_times; /* from connect() to the first byte */
};

static void begin(struct run *r, struct proxied *p);

/* One connection is over: the next takes its place. */
static void finish(struct run *r, struct proxied *p)
{
    proxied_close(p);
    r->ended++;
    begin(r, p);
}

static void begin(struct run *r, struct proxied *p)
{
    while (r->begun < r->options->count) {
        if (r->begun && r->options->parallel == 1 && r->options->gap_ms > 0)
            usleep((useconds_t)(r->options->gap_ms * 1000));
        r->begun++;
        proxied_start(p, &r->target, r->epoll, p);
        if (p->state != PROXIED_FAILED)
            return;
        load_failed(&r->failures, p->why);
        proxied_close(p);
        r->ended++;
    }
}

static void first_byte(struct run *r, struct proxied *p)
{
    char bytes[4096];
    ssize_t n = recv(p->fd, bytes, sizeof bytes, 0);
    uint64_t now = tool_now();

    if (n > 0) {
        tool_samples_add(&r->open_times, (double)(p->opened - p->asked));
        tool_samples_add(&r->first_times, (double)(now - p->asked));
        tool_samples_add(&r->whole_times, (double)(now - p->started));
        r->done++;
    } else {
        load_failed(&r->failures, n == 0 ? "closed before the first byte" : "reset before the first byte");
    }
    finish(r, p);
}

static void handle(struct run *r, struct proxied *p)
{
    if (p->state == PROXIED_OPEN) {
        first_byte(r, p);
        return;
    }
    proxied_event(p);
    if (p->state == PROXIED_FAILED) {
        load_failed(&r->failures, p->why);
        finish(r, p);
    }
}

static void report(struct run *r, uint64_t took)
{
    double seconds = (double)took / 1e9;

    printf("{\"done\": %llu, \"seconds\": %.6f, \"per_second\": %.1f, ", (unsigned long long)r->done, seconds,
           (double)r->done / seconds);
    load_print_times("open", &r->open_times);
    printf(", ");
    load_print_times("first", &r->first_times);
    printf(", ");
    load_print_times("whole", &r->whole_times);
    printf(", ");
    load_print_failures(&r->failures);
    printf("}\n");
}

int load_open(const struct load_options *o)
{
    struct run r = {.options = o, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    struct proxied *slots = load_zeroed(o->parallel, sizeof *slots);
    struct epoll_event events[EVENTS];
    uint64_t start;

    load_target(&r.target, o, o->say);
    start = tool_now();
    for (uint64_t i = 0; i < o->parallel; i++)
        begin(&r, &slots[i]);
    while (r.ended < o->count) {
        int n = epoll_wait(r.epoll, events, EVENTS, (int)(o->timeout_s * 1e3));

        for (int i = 0; i < n; i++)
            handle(&r, events[i].data.ptr);
        if (n == 0) { /* nothing at all for so long: whoever is open now will not get there */
            while (r.ended++ < r.begun)
                load_failed(&r.failures, "timed out");
            break;
        }
    }
    report(&r, tool_now() - start);
    free(slots);
    tool_samples_fini(&r.open_times);
    tool_samples_fini(&r.first_times);
    tool_samples_fini(&r.whole_times);
    return r.done == o->count ? 0 : 1;
}

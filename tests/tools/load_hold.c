/* SPDX-License-Identifier: MIT */
/* socksload hold: many connections at once, idle while the caller looks at the proxy's memory.
 *
 *   -> {"held": 10000, "seconds": 1.2, ...}   <- a line   -> {"answered": 10000, "seconds": 0.2}   <- a line
 *   -> {"closed_by_peer": 0} */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "tests/tools/load.h"

enum { EVENTS = 256 };

struct held {
    struct proxied proxied;
    bool is_open; /* its first byte was there */
    bool answered;
};

struct run {
    const struct load_options *options;
    struct proxied_target target;
    int epoll;
    struct held *conns;
    uint64_t begun;
    uint64_t pending;
    uint64_t held;
    uint64_t answered;
    uint64_t closed_by_peer;
    struct load_failures failures;
};

/* Until `parallel` connections are on their way. */
static void begin_some(struct run *r)
{
    while (r->begun < r->options->count && r->pending < r->options->parallel) {
        struct held *h = &r->conns[r->begun++];

        proxied_start(&h->proxied, &r->target, r->epoll, h);
        if (h->proxied.state != PROXIED_FAILED) {
            r->pending++;
            continue;
        }
        load_failed(&r->failures, h->proxied.why);
        proxied_close(&h->proxied);
    }
}

static void lose(struct run *r, struct held *h, const char *why)
{
    if (h->is_open) {
        r->held--;
        r->closed_by_peer++;
        h->is_open = false;
    } else {
        r->pending--;
        load_failed(&r->failures, why);
    }
    proxied_close(&h->proxied);
}

static void take_bytes(struct run *r, struct held *h)
{
    char bytes[4096];
    ssize_t n = recv(h->proxied.fd, bytes, sizeof bytes, 0);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        lose(r, h, "closed before the first byte");
    } else if (!h->is_open) {
        h->is_open = true;
        r->pending--;
        r->held++;
    } else if (!h->answered) {
        h->answered = true;
        r->answered++;
    }
}

static void handle(struct run *r, struct held *h)
{
    if (h->proxied.state == PROXIED_OPEN) {
        take_bytes(r, h);
        return;
    }
    proxied_event(&h->proxied);
    if (h->proxied.state == PROXIED_FAILED)
        lose(r, h, h->proxied.why);
}

/* Handles events for at most timeout_ms without any; false if there was none. */
static bool turn(struct run *r, int timeout_ms)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(r->epoll, events, EVENTS, timeout_ms);

    for (int i = 0; i < n; i++)
        handle(r, events[i].data.ptr);
    return n > 0;
}

/* True on a line, false on end of file. */
static bool wait_for_line(void)
{
    char line[64];

    fflush(stdout);
    return fgets(line, sizeof line, stdin);
}

static void open_all(struct run *r)
{
    uint64_t start = tool_now();

    begin_some(r);
    while (r->pending && turn(r, (int)(r->options->timeout_s * 1e3)))
        begin_some(r);
    for (; r->pending; r->pending--)
        load_failed(&r->failures, "timed out");
    printf("{\"held\": %llu, \"seconds\": %.6f, ", (unsigned long long)r->held,
           (double)(tool_now() - start) / 1e9);
    load_print_failures(&r->failures);
    printf("}\n");
}

static void use_all(struct run *r)
{
    uint64_t start = tool_now();

    for (uint64_t i = 0; i < r->begun; i++) {
        if (r->conns[i].is_open && send(r->conns[i].proxied.fd, "x", 1, MSG_NOSIGNAL) != 1)
            lose(r, &r->conns[i], "");
    }
    while (r->answered < r->held && turn(r, (int)(r->options->timeout_s * 1e3)))
        ;
    printf("{\"answered\": %llu, \"seconds\": %.6f}\n", (unsigned long long)r->answered,
           (double)(tool_now() - start) / 1e9);
}

int load_hold(const struct load_options *o)
{
    struct run r = {.options = o, .epoll = epoll_create1(EPOLL_CLOEXEC)};

    r.conns = load_zeroed(o->count, sizeof *r.conns);
    load_target(&r.target, o, o->say);
    open_all(&r);
    if (wait_for_line()) {
        use_all(&r);
        wait_for_line();
    }
    while (turn(&r, 0))
        ;
    for (uint64_t i = 0; i < r.begun; i++)
        proxied_close(&r.conns[i].proxied);
    printf("{\"closed_by_peer\": %llu}\n", (unsigned long long)r.closed_by_peer);
    free(r.conns);
    return r.failures.total || r.closed_by_peer || r.answered < r.held ? 1 : 0;
}

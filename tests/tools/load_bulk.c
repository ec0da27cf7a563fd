/* SPDX-License-Identifier: MIT */
/* socksload get and put: bulk transfers, with what came in each second. Payload is thrown away inside the kernel
 * (MSG_TRUNC) or comes from a file in memory (sendfile), so that the load costs little beside what is measured. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "tests/tools/load.h"
#include "tests/tools/pattern.h"

enum {
    EVENTS = 64,
    TURN = 1 << 20,
    HEAD_MAX = 1024,
    SECONDS_MAX = 600,
};

struct transfer {
    struct proxied proxied;
    bool over;
    char head[HEAD_MAX]; /* get: the answer's head; put: the sink's count */
    size_t head_len;
    bool has_head;
    uint64_t bytes; /* of payload, so far */
    bool half_closed;
};

struct run {
    const struct load_options *options;
    struct proxied_target target;
    bool (*step)(struct run *, struct transfer *); /* false: this transfer is over */
    int epoll;
    uint64_t start;
    uint64_t end; /* when --seconds are over */
    uint64_t bytes_each;
    uint64_t bytes;
    uint64_t running;
    uint64_t wrong; /* transfers whose bytes were not the pattern, or not all there */
    uint64_t second[SECONDS_MAX];
    struct load_failures failures;
    uint8_t *buffer; /* for --check; TCP discards instead of copying otherwise */
};

static void count_bytes(struct run *r, struct transfer *t, uint64_t n)
{
    uint64_t second = (tool_now() - r->start) / TOOL_S;

    t->bytes += n;
    r->bytes += n;
    r->second[second < SECONDS_MAX ? second : SECONDS_MAX - 1] += n;
}

static bool is_later(ssize_t n)
{
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* --- get ----------------------------------------------------------------------------------------------------- */

/* Collects the head; what came behind it already counts as payload. */
static bool get_head(struct run *r, struct transfer *t)
{
    ssize_t n = recv(t->proxied.fd, t->head + t->head_len, HEAD_MAX - 1 - t->head_len, 0);
    char *end;
    uint64_t rest;

    if (n <= 0)
        return is_later(n);
    t->head_len += (size_t)n;
    t->head[t->head_len] = 0;
    end = strstr(t->head, "\r\n\r\n");
    if (!end)
        return t->head_len < HEAD_MAX - 1;
    rest = t->head_len - (size_t)(end + 4 - t->head);
    t->has_head = true;
    if (r->options->check && !pattern_is((uint8_t *)end + 4, 0, (size_t)rest))
        r->wrong++;
    count_bytes(r, t, rest);
    return true;
}

static ssize_t get_bytes(struct run *r, struct transfer *t)
{
    ssize_t n;

    if (!r->options->check)
        return recv(t->proxied.fd, r->buffer, TURN, MSG_TRUNC);
    n = recv(t->proxied.fd, r->buffer, TURN, 0);
    if (n > 0 && !pattern_is(r->buffer, t->bytes, (size_t)n))
        r->wrong++;
    return n;
}

static bool get_step(struct run *r, struct transfer *t)
{
    ssize_t n;

    if (!t->has_head)
        return get_head(r, t);
    n = get_bytes(r, t);
    if (n > 0)
        count_bytes(r, t, (uint64_t)n);
    else if (!is_later(n) && t->bytes < r->bytes_each)
        load_failed(&r->failures, n ? "reset" : "ended early");
    return (n > 0 || is_later(n)) && t->bytes < r->bytes_each;
}

/* --- put ----------------------------------------------------------------------------------------------------- */

/* Everything is sent: the sink says how much it got. */
static bool put_answer(struct run *r, struct transfer *t)
{
    ssize_t n = recv(t->proxied.fd, t->head + t->head_len, HEAD_MAX - 1 - t->head_len, 0);

    if (is_later(n))
        return true;
    if (n > 0) {
        t->head_len += (size_t)n;
        t->head[t->head_len] = 0;
    }
    if (n > 0 && !strchr(t->head, '\n'))
        return t->head_len < HEAD_MAX - 1;
    if (strtoull(t->head, NULL, 10) != t->bytes)
        r->wrong++;
    return false;
}

static bool put_step(struct run *r, struct transfer *t)
{
    ssize_t n;

    if (t->half_closed)
        return put_answer(r, t);
    if (!t->bytes)
        proxied_watch(&t->proxied, EPOLLOUT);
    if (t->bytes < r->bytes_each && tool_now() < r->end) {
        n = pattern_send(t->proxied.fd, t->bytes, r->bytes_each - t->bytes);
        if (n > 0)
            count_bytes(r, t, (uint64_t)n);
        else if (!is_later(n))
            load_failed(&r->failures, "reset");
        return n > 0 || is_later(n);
    }
    t->half_closed = true;
    proxied_watch(&t->proxied, EPOLLIN);
    return shutdown(t->proxied.fd, SHUT_WR) == 0;
}

/* --- both ---------------------------------------------------------------------------------------------------- */

static void finish(struct run *r, struct transfer *t)
{
    proxied_close(&t->proxied);
    t->over = true;
    r->running--;
}

static void handle(struct run *r, struct transfer *t)
{
    if (t->proxied.state != PROXIED_OPEN)
        proxied_event(&t->proxied);
    if (t->proxied.state == PROXIED_FAILED) {
        load_failed(&r->failures, t->proxied.why);
        finish(r, t);
    } else if (t->proxied.state == PROXIED_OPEN && !r->step(r, t)) {
        finish(r, t);
    }
}

/* A put that is out of time has still to hear from the sink; a get just stops. */
static bool goes_on(const struct run *r)
{
    return r->running && (r->step == put_step || tool_now() < r->end);
}

static void work(struct run *r)
{
    struct epoll_event events[EVENTS];
    int idle_ms = (int)(r->options->timeout_s * 1e3);

    while (goes_on(r)) {
        int until_end = r->step == get_step && r->end != TOOL_NEVER ? load_wait_ms(r->end) : idle_ms;
        int n = epoll_wait(r->epoll, events, EVENTS, until_end < idle_ms ? until_end : idle_ms);

        for (int i = 0; i < n; i++)
            handle(r, events[i].data.ptr);
        if (n == 0 && until_end >= idle_ms) {
            load_failed(&r->failures, "timed out");
            return;
        }
    }
}

static void report(const struct run *r)
{
    uint64_t took = tool_now() - r->start;
    uint64_t seconds = took / TOOL_S;

    printf("{\"bytes\": %llu, \"seconds\": %.6f, \"mbit\": %.2f, \"wrong\": %llu, ",
           (unsigned long long)r->bytes, (double)took / 1e9, (double)r->bytes * 8e3 / (double)took,
           (unsigned long long)r->wrong);
    printf("\"mbit_by_second\": [");
    for (uint64_t i = 0; i < seconds && i < SECONDS_MAX; i++)
        printf("%s%.1f", i ? ", " : "", (double)r->second[i] * 8e-6);
    printf("], ");
    load_print_failures(&r->failures);
    printf("}\n");
}

static int load_bulk(const struct load_options *o, const char *request,
                     bool (*step)(struct run *, struct transfer *))
{
    struct run r = {.options = o, .step = step, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    struct transfer *transfers = load_zeroed(o->parallel, sizeof *transfers);
    int failed;

    r.buffer = load_zeroed(1, TURN);
    r.bytes_each = o->bytes ? o->bytes : UINT64_C(1) << 60;
    r.running = o->parallel;
    load_target(&r.target, o, request);
    r.start = tool_now();
    r.end = o->seconds > 0 ? r.start + (uint64_t)(o->seconds * 1e9) : TOOL_NEVER;
    for (uint64_t i = 0; i < o->parallel; i++) {
        proxied_start(&transfers[i].proxied, &r.target, r.epoll, &transfers[i]);
        if (transfers[i].proxied.state == PROXIED_FAILED)
            handle(&r, &transfers[i]);
    }
    work(&r);
    report(&r);
    failed = r.failures.total || r.wrong;
    free(r.buffer);
    free(transfers);
    return failed;
}

int load_get(const struct load_options *o)
{
    char request[128];

    snprintf(request, sizeof request, "GET /%llu HTTP/1.1\r\nHost: x\r\n\r\n",
             (unsigned long long)(o->bytes ? o->bytes : UINT64_C(1) << 60));
    return load_bulk(o, request, get_step);
}

int load_put(const struct load_options *o)
{
    return load_bulk(o, "", put_step);
}

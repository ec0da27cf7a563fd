/* SPDX-License-Identifier: MIT */
#include "gateway/local/pair.h"

#include "gateway/base/err.h"
#include "gateway/base/list.h"
#include "gateway/local/sockopt.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE 65536u
/* From one socket in one turn. */
#define PIECES_MAX 4

struct waiting {
    size_t len, off;
    uint8_t bytes[];
};

/* One socket, and the direction that is read from it. */
struct half {
    struct event event;
    struct gw_pair *pair;
    int fd;
    struct waiting *waiting; /* read here, not taken by the other yet */
    uint64_t limit;          /* bytes that may still be read */
    bool is_eof;             /* read */
    bool is_done;            /* and passed on */
};

struct gw_pair {
    struct half halves[2];
    gw_pair_fn *on_end;
    void *user;
};

static void free_pair(struct gw_pair *pair, bool is_abort)
{
    for (int i = 0; i < 2; i++) {
        struct half *half = &pair->halves[i];
        event_del(&half->event);
        if (is_abort)
            gw_sock_set_abort(half->fd);
        close(half->fd);
        free(half->waiting);
    }
    free(pair);
}

void gw_pair_close(struct gw_pair *pair)
{
    free_pair(pair, true);
}

static struct half *other_of(struct half *half)
{
    return &half->pair->halves[half == &half->pair->halves[0]];
}

static bool is_weather(int err)
{
    return err == EAGAIN || err == EINTR || err == ENOBUFS || err == ENOMEM;
}

/* Bytes sent, 0 when it is full; -errno when it broke. */
static ssize_t send_some(int fd, const uint8_t *bytes, size_t len)
{
    size_t sent = 0;
    while (sent < len) {
        ssize_t n = send(fd, bytes + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return is_weather(errno) ? (ssize_t)sent : -errno;
        sent += (size_t)n;
    }
    return (ssize_t)sent;
}

static bool keep(struct half *half, const uint8_t *bytes, size_t len)
{
    half->waiting = malloc(sizeof *half->waiting + len);
    if (!half->waiting)
        return false;
    half->waiting->len = len;
    half->waiting->off = 0;
    memcpy(half->waiting->bytes, bytes, len);
    return true;
}

/* The three results of a step: there may be more, this direction waits for an edge (or is over), the pair broke. */
enum step { STEP_MORE, STEP_WAIT, STEP_BROKEN };

static enum step flush(struct half *half)
{
    struct waiting *waiting = half->waiting;
    ssize_t n = send_some(other_of(half)->fd, waiting->bytes + waiting->off, waiting->len - waiting->off);
    if (n < 0)
        return STEP_BROKEN;
    waiting->off += (size_t)n;
    if (waiting->off < waiting->len)
        return STEP_WAIT;
    half->waiting = NULL;
    free(waiting);
    return STEP_MORE;
}

static enum step pass_eof(struct half *half)
{
    if (half->is_done)
        return STEP_WAIT;
    half->is_done = true;
    return shutdown(other_of(half)->fd, SHUT_WR) < 0 ? STEP_BROKEN : STEP_WAIT;
}

static enum step step(struct half *half)
{
    uint8_t bytes[PIECE];
    if (half->waiting)
        return flush(half);
    if (half->is_eof)
        return pass_eof(half);
    ssize_t n = recv(half->fd, bytes, half->limit < PIECE ? (size_t)half->limit + 1 : PIECE, 0);
    if (n < 0)
        return errno == EINTR ? STEP_MORE : is_weather(errno) ? STEP_WAIT : STEP_BROKEN;
    half->is_eof = n == 0;
    if ((uint64_t)n > half->limit)
        return STEP_BROKEN;
    if (half->limit != UINT64_MAX)
        half->limit -= (uint64_t)n;
    ssize_t sent = send_some(other_of(half)->fd, bytes, (size_t)n);
    if (sent < 0 || (sent < n && !keep(half, bytes + sent, (size_t)(n - sent))))
        return STEP_BROKEN;
    return sent < n ? STEP_WAIT : STEP_MORE;
}

/* false = the pair is gone. */
static bool pump(struct half *half)
{
    struct gw_pair *pair = half->pair;
    enum step result = STEP_MORE;
    for (int i = 0; i < PIECES_MAX && result == STEP_MORE; i++)
        result = step(half);
    if (result == STEP_MORE)
        event_active(&half->event, EV_READ, 0);
    if (result != STEP_BROKEN && !(pair->halves[0].is_done && pair->halves[1].is_done))
        return true;
    event_del(&pair->halves[0].event);
    event_del(&pair->halves[1].event);
    pair->on_end(pair, pair->user);
    free_pair(pair, result == STEP_BROKEN);
    return false;
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct half *half = arg;
    (void)fd;
    if ((what & EV_READ) && !pump(half))
        return;
    if (what & EV_WRITE)
        pump(other_of(half));
}

static int init_half(struct half *half, struct gw_pair *pair, struct gw_loop *loop, int fd)
{
    half->pair = pair;
    half->fd = fd;
    half->limit = UINT64_MAX;
    event_assign(&half->event, gw_loop_base(loop), fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, on_event,
                 half);
    return event_add(&half->event, NULL) < 0 ? GW_E_NOMEM : 0;
}

int gw_pair_new(struct gw_pair **out, struct gw_loop *loop, int a, int b, const void *first, size_t len,
                uint64_t limit, gw_pair_fn *on_end, void *user)
{
    struct gw_pair *pair = calloc(1, sizeof *pair);
    if (!pair) {
        close(a);
        close(b);
        return GW_E_NOMEM;
    }
    pair->on_end = on_end;
    pair->user = user;
    int err_a = init_half(&pair->halves[0], pair, loop, a);
    int err_b = init_half(&pair->halves[1], pair, loop, b);
    pair->halves[0].limit = limit;
    if (err_a || err_b || (len > 0 && !keep(&pair->halves[0], first, len))) {
        free_pair(pair, true);
        return GW_E_NOMEM;
    }
    /* Bytes may be in the socket's buffer already, for which there is no further edge. */
    event_active(&pair->halves[0].event, EV_READ, 0);
    *out = pair;
    return 0;
}

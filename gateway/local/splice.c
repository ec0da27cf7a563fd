/* SPDX-License-Identifier: MIT */
/* The hot path between an application and the flows. Towards the stream: recv() into room that the stream lends. Towards the socket: one sendmsg() of
 * the bytes that the stream lends. Whoever cannot go on says so once and is told when it can: the stream by on_writable, the
 * socket by an edge. */
#include "gateway/local/splice.h"

#include "gateway/base/err.h"
#include "gateway/local/sockopt.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How much room is asked for at once: little for a socket that talks little, a train for one that fills it. */
#define WISH_MIN 4096u
#define WISH_MAX 65536u
/* From one socket in one turn; the stream's own limit of two unsent trains is mostly met first. */
#define TURN_BYTES_MAX (256u * 1024u)
/* The kernel is out of memory and will not say when it has some again. */
#define NOBUFS_RETRY_MS 10
/* A client that was answered may still be sending; what it sends is read away so that the close is no reset. */
#define DRAIN_SECONDS 2
#define DRAIN_BYTES_MAX (1024u * 1024u)

enum stage {
    STAGE_RAW,     /* the user reads the socket */
    STAGE_OPENING, /* bridged; the peer has not accepted yet */
    STAGE_LIVE,    /* bridged */
    STAGE_CLOSING, /* a last answer goes out */
    STAGE_DEAD,    /* ended; freed when the last frame has left */
};

/* Bytes that had to wait. */
struct pending {
    size_t len, off;
    uint8_t bytes[];
};

struct gw_splice {
    struct event event;
    struct gw_loop *loop;
    const struct gw_splice_events *events;
    void *user;
    struct gw_stream *stream;
    struct pending *head;  /* for the socket, before the stream's bytes */
    struct pending *first; /* for the stream, before the socket's bytes */
    uint64_t limit;        /* bytes that may still be read from the socket */
    uint32_t wish;
    int fd;
    uint8_t stage;
    uint8_t depth;        /* frames of ours on the stack: see enter() */
    bool is_in_blocked;   /* the stream had no room when last asked */
    bool is_out_blocked;  /* the stream waits for gw_stream_resume */
    bool is_in_ended;     /* EOF was read and passed on */
    bool is_fin_received; /* the stream's direction ended; maybe the head still waits */
    bool is_out_ended;    /* shut down */
};

static void on_event(evutil_socket_t fd, short what, void *arg);

/* Two-phase death: calls out may end the splice; it is freed when the outermost frame leaves. */
static void enter(struct gw_splice *splice)
{
    splice->depth++;
}

/* false = it is gone. */
static bool leave(struct gw_splice *splice)
{
    if (--splice->depth > 0 || splice->stage != STAGE_DEAD)
        return splice->stage != STAGE_DEAD;
    free(splice->head);
    free(splice->first);
    free(splice);
    return false;
}

struct gw_splice *gw_splice_new(struct gw_loop *loop, int fd, const struct gw_splice_events *events, void *user)
{
    struct gw_splice *splice = calloc(1, sizeof *splice);
    if (!splice) {
        close(fd);
        return NULL;
    }
    splice->loop = loop;
    splice->fd = fd;
    splice->events = events;
    splice->user = user;
    splice->wish = WISH_MIN;
    splice->limit = GW_SPLICE_UNLIMITED;
    event_assign(&splice->event, gw_loop_base(loop), fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, on_event, splice);
    if (event_add(&splice->event, NULL) < 0) {
        close(fd);
        free(splice);
        return NULL;
    }
    return splice;
}

int gw_splice_fd(const struct gw_splice *splice)
{
    return splice->fd;
}

void *gw_splice_user(const struct gw_splice *splice)
{
    return splice->user;
}

struct gw_stream *gw_splice_stream(const struct gw_splice *splice)
{
    return splice->stream;
}

void gw_splice_set_owner(struct gw_splice *splice, const struct gw_splice_events *events, void *user)
{
    splice->events = events;
    splice->user = user;
}

/* ---- ends */

static void close_socket(struct gw_splice *splice, bool is_abort)
{
    event_del(&splice->event);
    if (is_abort)
        gw_sock_set_abort(splice->fd);
    close(splice->fd);
    splice->fd = -1;
    splice->stage = STAGE_DEAD;
}

/* The socket is closed, the owner told; the stream is gone already. Within enter/leave. */
static void end(struct gw_splice *splice, struct gw_mono now, unsigned long long reason)
{
    assert(splice->depth > 0 && !splice->stream);
    close_socket(splice, reason != GW_REASON_NONE);
    if (splice->events->on_end)
        splice->events->on_end(splice, now, reason, splice->user);
}

/* The socket broke. */
static void break_off(struct gw_splice *splice, struct gw_mono now, int err)
{
    enum gw_reason reason = err == -ETIMEDOUT ? GW_REASON_TIMED_OUT : GW_REASON_CANCELLED;
    struct gw_stream *stream = splice->stream;
    splice->stream = NULL;
    if (stream)
        gw_stream_reset(stream, now, reason);
    end(splice, now, reason);
}

static void end_if_done(struct gw_splice *splice, struct gw_mono now)
{
    if (!splice->is_in_ended || !splice->is_out_ended)
        return;
    struct gw_stream *stream = splice->stream;
    splice->stream = NULL;
    gw_stream_release(stream, now);
    end(splice, now, GW_REASON_NONE);
}

void gw_splice_close(struct gw_splice *splice, struct gw_mono now, enum gw_reason reason)
{
    enter(splice);
    struct gw_stream *stream = splice->stream;
    splice->stream = NULL;
    close_socket(splice, reason != GW_REASON_NONE);
    if (stream)
        gw_stream_reset(stream, now, reason == GW_REASON_NONE ? GW_REASON_CANCELLED : reason);
    leave(splice);
}

int gw_splice_detach(struct gw_splice *splice)
{
    assert(splice->stage == STAGE_RAW && !splice->stream);
    int fd = splice->fd;
    enter(splice);
    event_del(&splice->event);
    splice->fd = -1;
    splice->stage = STAGE_DEAD;
    leave(splice);
    return fd;
}

/* ---- from the socket to the stream */

static void adapt_wish(struct gw_splice *splice, size_t room, size_t got)
{
    if (got == room && room >= splice->wish && splice->wish < WISH_MAX)
        splice->wish *= 4;
    else if (got < splice->wish / 8 && splice->wish > WISH_MIN)
        splice->wish /= 2;
}

/* Bytes that were read before the bridge. false = the stream is full. */
static bool pump_first(struct gw_splice *splice, struct gw_mono now)
{
    struct pending *first = splice->first;
    while (first->off < first->len) {
        size_t len, left = first->len - first->off;
        uint8_t *room = gw_stream_reserve(splice->stream, left, &len);
        splice->is_in_blocked = !room;
        if (!room)
            return false;
        if (len > left)
            len = left;
        memcpy(room, first->bytes + first->off, len);
        gw_stream_commit(splice->stream, now, len);
        first->off += len;
    }
    splice->first = NULL;
    free(first);
    return true;
}

/* The kernel is short of memory: no edge will follow. */
static bool retry_later(struct gw_splice *splice, int err)
{
    struct timeval retry = {.tv_usec = NOBUFS_RETRY_MS * 1000};
    return (err == -ENOBUFS || err == -ENOMEM) && event_add(&splice->event, &retry) == 0;
}

/* recv() into the stream. The number of bytes; 0 = no more now (room, bytes, or the splice itself). */
static size_t pump_piece(struct gw_splice *splice, struct gw_mono now)
{
    size_t len;
    ssize_t n;
    uint8_t *room = gw_stream_reserve(splice->stream, splice->wish, &len);
    splice->is_in_blocked = !room;
    if (!room)
        return 0;
    /* At the limit one byte is asked for, to see the EOF or the trespass. */
    if (len > splice->limit)
        len = splice->limit > 0 ? (size_t)splice->limit : 1;
    do
        n = recv(splice->fd, room, len, 0);
    while (n < 0 && errno == EINTR);
    int err = n < 0 ? -errno : 0;
    bool is_over = n > 0 && splice->limit == 0;
    gw_stream_commit(splice->stream, now, n > 0 && !is_over ? (size_t)n : 0);
    if (n > 0 && !is_over) {
        if (splice->limit != GW_SPLICE_UNLIMITED)
            splice->limit -= (uint64_t)n;
        adapt_wish(splice, len, (size_t)n);
        return (size_t)n;
    }
    if (n == 0) {
        splice->is_in_ended = true;
        gw_stream_finish(splice->stream, now);
        end_if_done(splice, now);
    } else if (is_over || (err != -EAGAIN && !retry_later(splice, err))) {
        break_off(splice, now, err);
    }
    return 0;
}

/* Within enter/leave. */
static void pump_in(struct gw_splice *splice, struct gw_mono now)
{
    size_t total = 0, n;
    if (splice->is_in_ended || (splice->first && !pump_first(splice, now)))
        return;
    while ((n = pump_piece(splice, now)) > 0) {
        total += n;
        if (total >= TURN_BYTES_MAX) {
            event_active(&splice->event, EV_READ, 0);
            return;
        }
    }
}

/* ---- from the stream to the socket */

/* Bytes taken, or 0; *err 0 or the error of a broken socket. */
static size_t send_some(struct gw_splice *splice, const struct iovec *iov, int count, int *err)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
    ssize_t n;
    do
        n = sendmsg(splice->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    *err = 0;
    if (n >= 0)
        return (size_t)n;
    *err = -errno;
    if (*err == -EAGAIN || retry_later(splice, *err))
        *err = 0;
    return 0;
}

static size_t iov_len(const struct iovec *iov, int count)
{
    size_t len = 0;
    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    return len;
}

static void end_out(struct gw_splice *splice, struct gw_mono now)
{
    splice->is_out_ended = true;
    if (shutdown(splice->fd, SHUT_WR) < 0)
        break_off(splice, now, -errno);
    else
        end_if_done(splice, now);
}

/* 0 when it is out or waits for an edge; else the socket's error. */
static int flush_head(struct gw_splice *splice)
{
    struct pending *head = splice->head;
    while (head->off < head->len) {
        struct iovec iov = {head->bytes + head->off, head->len - head->off};
        int err;
        size_t n = send_some(splice, &iov, 1, &err);
        if (n == 0)
            return err;
        head->off += n;
    }
    splice->head = NULL;
    free(head);
    return 0;
}

static struct pending *new_pending(const void *bytes, size_t len)
{
    struct pending *pending = malloc(sizeof *pending + len);
    if (!pending)
        return NULL;
    pending->len = len;
    pending->off = 0;
    memcpy(pending->bytes, bytes, len);
    return pending;
}

static int append_head(struct gw_splice *splice, const void *bytes, size_t len)
{
    struct pending *grown = realloc(splice->head, sizeof *grown + splice->head->len + len);
    if (!grown)
        return GW_E_NOMEM;
    memcpy(grown->bytes + grown->len, bytes, len);
    grown->len += len;
    splice->head = grown;
    return 0;
}

int gw_splice_head(struct gw_splice *splice, const void *bytes, size_t len)
{
    int err = 0;
    size_t n = 0;
    if (splice->head)
        return append_head(splice, bytes, len);
    while (n < len) {
        struct iovec iov = {(uint8_t *)(uintptr_t)bytes + n, len - n};
        size_t sent = send_some(splice, &iov, 1, &err);
        if (sent == 0)
            break;
        n += sent;
    }
    if (err || n == len)
        return err;
    splice->head = new_pending((const uint8_t *)bytes + n, len - n);
    return splice->head ? 0 : GW_E_NOMEM;
}

/* The socket takes bytes again. Within enter/leave. */
static void pump_out(struct gw_splice *splice, struct gw_mono now)
{
    if (splice->head) {
        int err = flush_head(splice);
        if (err)
            break_off(splice, now, err);
        if (err || splice->head)
            return;
    }
    if (splice->is_out_blocked) {
        splice->is_out_blocked = false;
        gw_stream_resume(splice->stream, now);
    } else if (splice->is_fin_received && !splice->is_out_ended) {
        end_out(splice, now);
    }
}

/* ---- a last answer */

static void drain(struct gw_splice *splice, struct gw_mono now)
{
    uint8_t scrap[4096];
    ssize_t n;
    do {
        n = recv(splice->fd, scrap, sizeof scrap, 0);
        if (n > 0)
            splice->limit += (uint64_t)n;
    } while ((n > 0 && splice->limit < DRAIN_BYTES_MAX) || (n < 0 && errno == EINTR));
    if (n >= 0 || errno != EAGAIN)
        end(splice, now, GW_REASON_NONE);
}

static void go_on_closing(struct gw_splice *splice, struct gw_mono now)
{
    int err = splice->head ? flush_head(splice) : 0;
    if (!err && splice->head)
        return;
    if (!err && !splice->is_out_ended && shutdown(splice->fd, SHUT_WR) < 0)
        err = -errno;
    splice->is_out_ended = true;
    if (err)
        end(splice, now, GW_REASON_NONE);
    else
        drain(splice, now);
}

void gw_splice_say_and_close(struct gw_splice *splice, struct gw_mono now, const void *bytes, size_t len)
{
    struct timeval timeout = {.tv_sec = DRAIN_SECONDS};
    assert(splice->stage == STAGE_RAW && !splice->stream);
    enter(splice);
    splice->stage = STAGE_CLOSING;
    splice->limit = 0; /* counts what is read away */
    event_add(&splice->event, &timeout);
    int err = gw_splice_head(splice, bytes, len);
    if (err)
        end(splice, now, GW_REASON_NONE);
    else
        go_on_closing(splice, now);
    leave(splice);
}

/* ---- the loop */

static void on_bridged_event(struct gw_splice *splice, struct gw_mono now, short what)
{
    if (what & EV_TIMEOUT)
        event_remove_timer(&splice->event);
    if (what & (EV_WRITE | EV_TIMEOUT))
        pump_out(splice, now);
    if (splice->stage == STAGE_DEAD)
        return;
    if (what & (EV_READ | EV_TIMEOUT))
        pump_in(splice, now);
    if (splice->stage == STAGE_DEAD || (what & (EV_READ | EV_WRITE)) != (EV_READ | EV_WRITE))
        return;
    /* Both at once may be an error, which whoever does not read would not see. */
    if (!splice->is_in_blocked && !splice->is_in_ended)
        return;
    int err = gw_sock_error(splice->fd);
    if (err)
        break_off(splice, now, err);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct gw_splice *splice = arg;
    struct gw_mono now = gw_loop_now(splice->loop);
    (void)fd;
    enter(splice);
    switch (splice->stage) {
    case STAGE_RAW:
        if (splice->head && (what & EV_WRITE) && flush_head(splice) != 0)
            end(splice, now, GW_REASON_CANCELLED);
        else if ((what & EV_READ) && splice->events->on_readable)
            splice->events->on_readable(splice, now, splice->user);
        break;
    case STAGE_OPENING:
    case STAGE_LIVE:
        on_bridged_event(splice, now, what);
        break;
    case STAGE_CLOSING:
        if (what & EV_TIMEOUT)
            end(splice, now, GW_REASON_NONE);
        else
            go_on_closing(splice, now);
        break;
    default:
        break;
    }
    leave(splice);
}

/* ---- the stream */

static void on_accepted(struct gw_stream *stream, struct gw_mono now, void *user)
{
    struct gw_splice *splice = user;
    (void)stream;
    enter(splice);
    splice->stage = STAGE_LIVE;
    if (splice->events->on_accepted)
        splice->events->on_accepted(splice, now, splice->user);
    leave(splice);
}

static size_t on_data(struct gw_stream *stream, struct gw_mono now, const struct iovec *iov, int count, void *user)
{
    struct gw_splice *splice = user;
    int err = 0;
    size_t n = 0;
    (void)stream;
    if (!splice->head)
        n = send_some(splice, iov, count, &err);
    if (err) {
        enter(splice);
        break_off(splice, now, err);
        leave(splice);
        return n;
    }
    splice->is_out_blocked = n < iov_len(iov, count);
    return n;
}

static void on_fin(struct gw_stream *stream, struct gw_mono now, void *user)
{
    struct gw_splice *splice = user;
    (void)stream;
    enter(splice);
    splice->is_fin_received = true;
    if (!splice->head)
        end_out(splice, now);
    leave(splice);
}

static void on_writable(struct gw_stream *stream, struct gw_mono now, void *user)
{
    struct gw_splice *splice = user;
    (void)stream;
    enter(splice);
    pump_in(splice, now);
    leave(splice);
}

static void on_closed(struct gw_stream *stream, struct gw_mono now, unsigned long long reason, void *user)
{
    struct gw_splice *splice = user;
    (void)stream;
    enter(splice);
    splice->stream = NULL;
    if (splice->stage == STAGE_OPENING && splice->events->on_refused) {
        splice->stage = STAGE_RAW;
        splice->events->on_refused(splice, now, reason, splice->user);
    } else {
        end(splice, now, reason);
    }
    leave(splice);
}

const struct gw_stream_ops gw_splice_stream_ops = {
    .on_accepted = on_accepted,
    .on_data = on_data,
    .on_fin = on_fin,
    .on_writable = on_writable,
    .on_closed = on_closed,
};

int gw_splice_bridge_opened(struct gw_splice *splice, struct gw_mono now, struct gw_stream *stream, const void *first, size_t len,
                            uint64_t limit)
{
    assert(splice->stage == STAGE_RAW && !splice->stream);
    if (len > 0 && !(splice->first = new_pending(first, len))) {
        gw_stream_reset(stream, now, GW_REASON_NO_MEMORY);
        return GW_E_NOMEM;
    }
    enter(splice);
    splice->stream = stream;
    splice->stage = STAGE_OPENING;
    splice->limit = limit;
    pump_in(splice, now);
    leave(splice);
    return 0;
}

void gw_splice_unbridge(struct gw_splice *splice, struct gw_mono now, enum gw_reason reason)
{
    assert(splice->stage == STAGE_OPENING);
    struct gw_stream *stream = splice->stream;
    splice->stream = NULL;
    splice->stage = STAGE_RAW;
    gw_stream_reset(stream, now, reason);
}

void gw_splice_bridge_accepted(struct gw_splice *splice, struct gw_mono now, struct gw_stream *stream)
{
    assert(splice->stage == STAGE_RAW && !splice->stream);
    enter(splice);
    splice->stream = stream;
    splice->stage = STAGE_LIVE;
    gw_stream_accept(stream, now, &gw_splice_stream_ops, splice);
    leave(splice);
}

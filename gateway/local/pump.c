/* SPDX-License-Identifier: MIT */
/* The hot path between an application and the flows. Towards the stream: recv() into room that the stream lends. Towards the socket: one sendmsg() of
 * the bytes that the stream lends. Whoever cannot go on says so once and is told when it can: the stream by on_writable, the
 * socket by an edge. */
#include "gateway/local/splice_private.h"

#include "gateway/base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* How much room is asked for at once: little for a socket that talks little, a train for one that fills it. */
#define WISH_MAX 65536u
/* From one socket in one turn; the stream's own limit of two unsent trains is mostly met first. */
#define TURN_BYTES_MAX (256u * 1024u)
/* For what will not be told: the kernel has memory again. */
#define RETRY_MS 10
/* How often a stream may say in one turn that it is writable after all. */
#define AGAIN_MAX 4

/* ---- from the socket to the stream */

static void adapt_wish(struct gw_splice *splice, size_t room, size_t got)
{
    if (got == room && room >= splice->wish && splice->wish < WISH_MAX)
        splice->wish *= 4;
    else if (got < splice->wish / 8 && splice->wish > GW_SPLICE_WISH_MIN)
        splice->wish /= 2;
}

/* Bytes that were read before the bridge. false = the stream is full. */
static bool pump_first(struct gw_splice *splice, struct gw_mono now)
{
    struct gw_splice_pending *first = splice->first;
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

static bool retry_later(struct gw_splice *splice)
{
    struct timeval retry = {.tv_usec = RETRY_MS * 1000};
    return event_add(&splice->event, &retry) == 0;
}

static bool is_out_of_memory(int err)
{
    return err == -ENOBUFS || err == -ENOMEM;
}

/* recv() into the stream. The number of bytes; 0 = no more now (room, bytes, or the splice itself). */
static size_t pump_piece(struct gw_splice *splice, struct gw_mono now)
{
    size_t len;
    ssize_t n;
    uint8_t *room = gw_stream_reserve(splice->stream, splice->wish, &len);
    splice->is_in_blocked = !room;
    if (!room || !splice->stream)
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
    splice->has_read |= n >= 0;
    if (n > 0 && !is_over) {
        if (splice->limit != GW_SPLICE_UNLIMITED)
            splice->limit -= (uint64_t)n;
        adapt_wish(splice, len, (size_t)n);
        return (size_t)n;
    }
    if (n == 0) {
        splice->is_in_ended = true;
        gw_stream_finish(splice->stream, now);
        gw_splice_end_if_done(splice, now);
    } else if (is_over || (err != -EAGAIN && !(is_out_of_memory(err) && retry_later(splice)))) {
        gw_splice_break_off(splice, now, err);
    }
    return 0;
}

/* Until one side has no more. false = enough for this turn. */
static bool pump_until_blocked(struct gw_splice *splice, struct gw_mono now, size_t *total)
{
    size_t n = 1;
    if (splice->first && !pump_first(splice, now))
        return true;
    while (n > 0 && *total < TURN_BYTES_MAX) {
        n = pump_piece(splice, now);
        *total += n;
    }
    return n == 0;
}

/* A stream may call on_writable from within reserve or commit. The room that is lent in that moment must not be lent twice, so the inner
 * call only leaves word, and the outer one goes round again. */
void gw_splice_pump_in(struct gw_splice *splice, struct gw_mono now)
{
    size_t total = 0;
    bool is_done = true;
    splice->is_pump_wanted = true;
    if (splice->is_pumping)
        return;
    splice->is_pumping = true;
    for (int i = 0;
         i < AGAIN_MAX && is_done && splice->is_pump_wanted && splice->stream && !splice->is_in_ended; i++) {
        splice->is_pump_wanted = false;
        is_done = pump_until_blocked(splice, now, &total);
    }
    splice->is_pumping = false;
    if (!splice->stream || splice->is_in_ended)
        return;
    if (!is_done)
        event_active(&splice->event, EV_READ, 0);
    else if (splice->is_pump_wanted)
        retry_later(splice);
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
    if (*err == -EAGAIN || (is_out_of_memory(*err) && retry_later(splice)))
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
        gw_splice_break_off(splice, now, -errno);
    else
        gw_splice_end_if_done(splice, now);
}

/* 0 when it is out or waits for an edge; else the socket's error. */
int gw_splice_flush_head(struct gw_splice *splice)
{
    struct gw_splice_pending *head = splice->head;
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

struct gw_splice_pending *gw_splice_new_pending(const void *bytes, size_t len)
{
    struct gw_splice_pending *pending = malloc(sizeof *pending + len);
    if (!pending)
        return NULL;
    pending->len = len;
    pending->off = 0;
    memcpy(pending->bytes, bytes, len);
    return pending;
}

static int append_head(struct gw_splice *splice, const void *bytes, size_t len)
{
    struct gw_splice_pending *grown = realloc(splice->head, sizeof *grown + splice->head->len + len);
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
    splice->head = gw_splice_new_pending((const uint8_t *)bytes + n, len - n);
    return splice->head ? 0 : GW_E_NOMEM;
}

/* The socket takes bytes again. Within enter/leave. */
void gw_splice_pump_out(struct gw_splice *splice, struct gw_mono now)
{
    if (splice->head) {
        int err = gw_splice_flush_head(splice);
        if (err)
            gw_splice_break_off(splice, now, err);
        if (err || splice->head)
            return;
    }
    if (splice->is_out_blocked && splice->stream) {
        splice->is_out_blocked = false;
        gw_stream_resume(splice->stream, now);
    } else if (splice->is_fin_received && !splice->is_out_ended) {
        end_out(splice, now);
    }
}

/* ---- the stream */

static void on_accepted(struct gw_stream *stream, struct gw_mono now, void *user)
{
    struct gw_splice *splice = user;
    (void)stream;
    gw_splice_enter(splice);
    splice->stage = GW_SPLICE_LIVE;
    if (splice->events->on_accepted)
        splice->events->on_accepted(splice, now, splice->user);
    gw_splice_leave(splice);
}

static size_t on_data(struct gw_stream *stream, struct gw_mono now, const struct iovec *iov, int count,
                      void *user)
{
    struct gw_splice *splice = user;
    int err = 0;
    size_t n = 0;
    (void)stream;
    if (!splice->head)
        n = send_some(splice, iov, count, &err);
    if (err) {
        gw_splice_enter(splice);
        gw_splice_break_off(splice, now, err);
        gw_splice_leave(splice);
        return n;
    }
    splice->is_out_blocked = n < iov_len(iov, count);
    return n;
}

static void on_fin(struct gw_stream *stream, struct gw_mono now, void *user)
{
    struct gw_splice *splice = user;
    (void)stream;
    gw_splice_enter(splice);
    splice->is_fin_received = true;
    if (!splice->head)
        end_out(splice, now);
    gw_splice_leave(splice);
}

static void on_writable(struct gw_stream *stream, struct gw_mono now, void *user)
{
    struct gw_splice *splice = user;
    (void)stream;
    gw_splice_enter(splice);
    gw_splice_pump_in(splice, now);
    gw_splice_leave(splice);
}

static void on_closed(struct gw_stream *stream, struct gw_mono now, unsigned long long reason, void *user)
{
    struct gw_splice *splice = user;
    (void)stream;
    gw_splice_enter(splice);
    splice->stream = NULL;
    if (splice->stage == GW_SPLICE_OPENING && splice->events->on_refused) {
        splice->stage = GW_SPLICE_RAW;
        splice->events->on_refused(splice, now, reason, splice->user);
    } else {
        gw_splice_end(splice, now, reason);
    }
    gw_splice_leave(splice);
}

const struct gw_stream_ops gw_splice_stream_ops = {
    .on_accepted = on_accepted,
    .on_data = on_data,
    .on_fin = on_fin,
    .on_writable = on_writable,
    .on_closed = on_closed,
};

/* SPDX-License-Identifier: MIT */
/* A splice's life: born with a socket, bridged to a stream, ended by either; and what the loop has to say to it. */
#include "gateway/local/splice_private.h"

#include "gateway/base/err.h"
#include "gateway/local/sockopt.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A client that was answered may still be sending; what it sends is read away so that the close is no reset. */
#define DRAIN_SECONDS 2
#define DRAIN_BYTES_MAX (1024u * 1024u)

static void on_event(evutil_socket_t fd, short what, void *arg);

/* Two-phase death: calls out may end the splice; it is freed when the outermost frame leaves. */
void gw_splice_enter(struct gw_splice *splice)
{
    splice->depth++;
}

/* false = it is gone. */
bool gw_splice_leave(struct gw_splice *splice)
{
    if (--splice->depth > 0 || splice->stage != GW_SPLICE_DEAD)
        return splice->stage != GW_SPLICE_DEAD;
    free(splice->head);
    free(splice->first);
    free(splice);
    return false;
}

struct gw_splice *gw_splice_new(struct gw_loop *loop, int fd, const struct gw_splice_events *events,
                                void *user)
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
    splice->wish = GW_SPLICE_WISH_MIN;
    splice->limit = GW_SPLICE_UNLIMITED;
    event_assign(&splice->event, gw_loop_base(loop), fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, on_event,
                 splice);
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

struct gw_stream *gw_splice_stream(const struct gw_splice *splice)
{
    return splice->stream;
}

bool gw_splice_has_read(const struct gw_splice *splice)
{
    return splice->has_read;
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
    splice->stage = GW_SPLICE_DEAD;
}

/* The socket is closed, the owner told; the stream is gone already. Within enter/leave. */
void gw_splice_end(struct gw_splice *splice, struct gw_mono now, unsigned long long reason)
{
    assert(splice->depth > 0 && !splice->stream);
    close_socket(splice, reason != GW_REASON_NONE);
    if (splice->events->on_end)
        splice->events->on_end(splice, now, reason, splice->user);
}

/* The socket broke. */
void gw_splice_break_off(struct gw_splice *splice, struct gw_mono now, int err)
{
    enum gw_reason reason = err == -ETIMEDOUT ? GW_REASON_TIMED_OUT : GW_REASON_CANCELLED;
    struct gw_stream *stream = splice->stream;
    splice->stream = NULL;
    if (stream)
        gw_stream_reset(stream, now, reason);
    gw_splice_end(splice, now, reason);
}

void gw_splice_end_if_done(struct gw_splice *splice, struct gw_mono now)
{
    if (!splice->is_in_ended || !splice->is_out_ended)
        return;
    struct gw_stream *stream = splice->stream;
    splice->stream = NULL;
    gw_stream_release(stream, now);
    gw_splice_end(splice, now, GW_REASON_NONE);
}

void gw_splice_close(struct gw_splice *splice, struct gw_mono now, enum gw_reason reason)
{
    gw_splice_enter(splice);
    struct gw_stream *stream = splice->stream;
    splice->stream = NULL;
    close_socket(splice, reason != GW_REASON_NONE);
    if (stream)
        gw_stream_reset(stream, now, reason == GW_REASON_NONE ? GW_REASON_CANCELLED : reason);
    gw_splice_leave(splice);
}

int gw_splice_detach(struct gw_splice *splice)
{
    assert(splice->stage == GW_SPLICE_RAW && !splice->stream);
    int fd = splice->fd;
    gw_splice_enter(splice);
    event_del(&splice->event);
    splice->fd = -1;
    splice->stage = GW_SPLICE_DEAD;
    gw_splice_leave(splice);
    return fd;
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
        gw_splice_end(splice, now, GW_REASON_NONE);
}

static void go_on_closing(struct gw_splice *splice, struct gw_mono now)
{
    int err = splice->head ? gw_splice_flush_head(splice) : 0;
    if (!err && splice->head)
        return;
    if (!err && !splice->is_out_ended && shutdown(splice->fd, SHUT_WR) < 0)
        err = -errno;
    splice->is_out_ended = true;
    if (err)
        gw_splice_end(splice, now, GW_REASON_NONE);
    else
        drain(splice, now);
}

void gw_splice_say_and_close(struct gw_splice *splice, struct gw_mono now, const void *bytes, size_t len)
{
    struct timeval timeout = {.tv_sec = DRAIN_SECONDS};
    assert(splice->stage == GW_SPLICE_RAW && !splice->stream);
    gw_splice_enter(splice);
    splice->stage = GW_SPLICE_CLOSING;
    splice->limit = 0; /* counts what is read away */
    event_add(&splice->event, &timeout);
    int err = gw_splice_head(splice, bytes, len);
    if (err)
        gw_splice_end(splice, now, GW_REASON_NONE);
    else
        go_on_closing(splice, now);
    gw_splice_leave(splice);
}

/* ---- the loop */

static void on_bridged_event(struct gw_splice *splice, struct gw_mono now, short what)
{
    if (what & EV_TIMEOUT)
        event_remove_timer(&splice->event);
    if (what & (EV_WRITE | EV_TIMEOUT))
        gw_splice_pump_out(splice, now);
    if (splice->stream && (what & (EV_READ | EV_TIMEOUT)))
        gw_splice_pump_in(splice, now);
    /* Both at once may be an error, which whoever does not read would not see. */
    bool is_both = (what & (EV_READ | EV_WRITE)) == (EV_READ | EV_WRITE);
    if (!splice->stream || !is_both || (!splice->is_in_blocked && !splice->is_in_ended))
        return;
    int err = gw_sock_error(splice->fd);
    if (err)
        gw_splice_break_off(splice, now, err);
}

static void on_raw_event(struct gw_splice *splice, struct gw_mono now, short what)
{
    if (what & EV_TIMEOUT)
        event_remove_timer(&splice->event);
    if (splice->head && (what & (EV_WRITE | EV_TIMEOUT)) && gw_splice_flush_head(splice) != 0)
        gw_splice_end(splice, now, GW_REASON_CANCELLED);
    else if ((what & EV_READ) && splice->events->on_readable)
        splice->events->on_readable(splice, now, splice->user);
}

static void on_closing_event(struct gw_splice *splice, struct gw_mono now, short what)
{
    if (splice->head || !(what & EV_TIMEOUT))
        go_on_closing(splice, now);
    /* The time is over, or an answer that found no memory found none again. */
    if ((what & EV_TIMEOUT) && splice->stage == GW_SPLICE_CLOSING)
        gw_splice_end(splice, now, GW_REASON_NONE);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct gw_splice *splice = arg;
    struct gw_mono now = gw_loop_now(splice->loop);
    (void)fd;
    gw_splice_enter(splice);
    if (splice->stage == GW_SPLICE_RAW)
        on_raw_event(splice, now, what);
    else if (splice->stage == GW_SPLICE_CLOSING)
        on_closing_event(splice, now, what);
    else if (splice->stage != GW_SPLICE_DEAD)
        on_bridged_event(splice, now, what);
    gw_splice_leave(splice);
}

/* ---- bridging */

int gw_splice_bridge_opened(struct gw_splice *splice, struct gw_mono now, struct gw_stream *stream,
                            const void *first, size_t len, uint64_t limit)
{
    assert(splice->stage == GW_SPLICE_RAW && !splice->stream);
    if (len > 0 && !(splice->first = gw_splice_new_pending(first, len))) {
        gw_stream_reset(stream, now, GW_REASON_NO_MEMORY);
        return GW_E_NOMEM;
    }
    gw_splice_enter(splice);
    splice->stream = stream;
    splice->stage = GW_SPLICE_OPENING;
    splice->limit = limit;
    gw_splice_pump_in(splice, now);
    gw_splice_leave(splice);
    return 0;
}

void gw_splice_unbridge(struct gw_splice *splice, struct gw_mono now, enum gw_reason reason)
{
    assert(splice->stage == GW_SPLICE_OPENING);
    struct gw_stream *stream = splice->stream;
    splice->stream = NULL;
    splice->stage = GW_SPLICE_RAW;
    gw_stream_reset(stream, now, reason);
}

void gw_splice_bridge_accepted(struct gw_splice *splice, struct gw_mono now, struct gw_stream *stream)
{
    assert(splice->stage == GW_SPLICE_RAW && !splice->stream);
    gw_splice_enter(splice);
    splice->stream = stream;
    splice->stage = GW_SPLICE_LIVE;
    gw_stream_accept(stream, now, &gw_splice_stream_ops, splice);
    gw_splice_leave(splice);
}

/* SPDX-License-Identifier: MIT */
#include "fake_stream.h"

#include "tests/must.h"

#include <stdlib.h>
#include <string.h>

static const struct gw_mono now = {GW_S(1)};

static bool is_over(const struct gw_stream *stream)
{
    return stream->is_reset || stream->is_released;
}

void fake_init(struct gw_stream *stream, size_t room)
{
    memset(stream, 0, sizeof *stream);
    stream->room = room;
}

uint8_t *gw_stream_reserve(struct gw_stream *stream, size_t wish, size_t *len)
{
    must(!is_over(stream) && !stream->is_finished);
    must(stream->reserved == 0); /* what is lent is not lent again */
    *len = wish < stream->room ? wish : stream->room;
    if (*len > FAKE_CAP - stream->out_len)
        *len = FAKE_CAP - stream->out_len;
    stream->reserved = *len;
    if (stream->writable_inside > 0) {
        stream->writable_inside--;
        stream->room += stream->room_inside;
        stream->room_inside = 0;
        stream->ops->on_writable(stream, now, stream->user);
    }
    return *len > 0 ? stream->out + stream->out_len : NULL;
}

void gw_stream_commit(struct gw_stream *stream, struct gw_mono at, size_t len)
{
    (void)at;
    must(!is_over(stream) && len <= stream->reserved);
    stream->reserved = 0;
    stream->out_len += len;
    stream->room -= len;
}

void gw_stream_finish(struct gw_stream *stream, struct gw_mono at)
{
    (void)at;
    must(!is_over(stream) && !stream->is_finished && stream->reserved == 0);
    stream->is_finished = true;
}

void gw_stream_reset(struct gw_stream *stream, struct gw_mono at, enum gw_reason reason)
{
    (void)at;
    must(!is_over(stream));
    stream->is_reset = true;
    stream->reason = reason;
}

void gw_stream_release(struct gw_stream *stream, struct gw_mono at)
{
    (void)at;
    must(!is_over(stream) && stream->is_finished && stream->kept_len == 0);
    stream->is_released = true;
}

static void offer(struct gw_stream *stream)
{
    while (stream->kept_len > 0 && !is_over(stream)) {
        struct iovec iov[2] = {
            {stream->kept, stream->kept_len / 2},
            {stream->kept + stream->kept_len / 2, stream->kept_len - stream->kept_len / 2}};
        size_t n = stream->ops->on_data(stream, now, iov, 2, stream->user);
        if (is_over(stream))
            return;
        must(n <= stream->kept_len);
        memmove(stream->kept, stream->kept + n, stream->kept_len - n);
        stream->kept_len -= n;
        if (stream->kept_len > 0)
            return;
    }
    if (stream->is_fin_kept && !is_over(stream)) {
        stream->is_fin_kept = false;
        stream->ops->on_fin(stream, now, stream->user);
    }
}

void fake_deliver(struct gw_stream *stream, const void *bytes, size_t len)
{
    bool was_blocked = stream->kept_len > 0;
    must(stream->kept_len + len <= FAKE_CAP);
    memcpy(stream->kept + stream->kept_len, bytes, len);
    stream->kept_len += len;
    if (!was_blocked)
        offer(stream);
}

void fake_fin(struct gw_stream *stream)
{
    stream->is_fin_kept = true;
    if (stream->kept_len == 0)
        offer(stream);
}

void gw_stream_resume(struct gw_stream *stream, struct gw_mono at)
{
    (void)at;
    must(!is_over(stream));
    stream->resumed++;
    offer(stream);
}

void gw_stream_accept(struct gw_stream *stream, struct gw_mono at, const struct gw_stream_ops *ops,
                      void *user)
{
    stream->ops = ops;
    stream->user = user;
    if (stream->is_reset)
        ops->on_closed(stream, at, stream->reason, user); /* the opener went while the acceptor dialled */
    else
        offer(stream);
}

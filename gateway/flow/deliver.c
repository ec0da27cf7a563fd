/* SPDX-License-Identifier: MIT */
/* Received bytes on their way to the user. In-order bytes for a willing reader are collected as a run of views
 * into the train and handed over at once; only what lies behind a gap, or what the reader does not take, is
 * copied. Credit follows what was taken. */
#include "gateway/flow/mux_private.h"

#include "gateway/base/err.h"
#include "gateway/flow/preface.h"

#include <stdlib.h>
#include <string.h>

#define FLAG_FIN 0x01u

/* --- handing over ------------------------------------------------------------------------------------------------ */

static bool is_readable(const struct gw_stream *stream)
{
    return stream->head == GW_HEAD_DONE && !stream->is_held && !stream->is_aborted && !stream->is_detached;
}

static void tell_fin(struct gw_stream *stream)
{
    if (stream->is_fin_told || stream->is_aborted || stream->in.read != stream->in_size ||
        stream->head != GW_HEAD_DONE)
        return;
    stream->is_fin_told = true;
    if (!stream->is_detached && stream->ops->on_fin != NULL)
        stream->ops->on_fin(stream, stream->mux->now, stream->user);
    gw_streams_check_done(stream);
}

/* Offers; returns how many bytes were taken, or SIZE_MAX: the stream ended meanwhile. */
static size_t offer(struct gw_stream *stream, const struct iovec *iov, int count, size_t bytes)
{
    stream->is_delivering = true;
    stream->is_resumed = false;
    size_t taken = stream->ops->on_data(stream, stream->mux->now, iov, count, stream->user);
    stream->is_delivering = false;
    assert(taken <= bytes);
    if (stream->is_aborted) {
        gw_streams_check_done(stream);
        return SIZE_MAX;
    }
    gw_recvbuf_consume(&stream->in, &stream->mux->pool, taken);
    return taken;
}

void gw_deliver_kept(struct gw_stream *stream)
{
    struct iovec iov[GW_RUN_MAX];
    while (is_readable(stream) && !stream->is_delivering) {
        int count = gw_recvbuf_peek(&stream->in, iov, GW_RUN_MAX);
        size_t bytes = 0;
        for (int i = 0; i < count; i++)
            bytes += iov[i].iov_len;
        if (bytes == 0)
            break;
        size_t taken = offer(stream, iov, count, bytes);
        if (taken == SIZE_MAX)
            return;
        gw_grant_after_consume(stream);
        if (taken < bytes && !(stream->is_resumed && taken > 0))
            gw_grant_block(stream);
    }
    tell_fin(stream);
}

/* What the reader left of the run is copied. The memory is not asked for in vain: these bytes may be acked
 * already, and their number is bounded by a train. false: there is none at all. */
static bool keep_rest(struct gw_stream *stream, const struct gw_run *run, size_t taken)
{
    struct gw_mux *mux = stream->mux;
    uint64_t offset = stream->in.read;
    size_t skip = taken;
    while (mux->budget->used + run->bytes > gw_mux_receive_limit(mux) && gw_mux_make_room(mux))
        ;
    for (int i = 0; i < run->count; i++) {
        const uint8_t *data = run->iov[i].iov_base;
        size_t len = run->iov[i].iov_len;
        if (skip >= len) {
            skip -= len;
            continue;
        }
        if (gw_recvbuf_keep(&stream->in, &mux->pool, UINT64_MAX, offset, data + skip, len - skip) != 0)
            return false;
        offset += len - skip;
        skip = 0;
    }
    return true;
}

void gw_deliver_run(struct gw_mux *mux)
{
    struct gw_run *run = &mux->run;
    struct gw_stream *stream = run->stream;
    if (stream == NULL)
        return;
    run->stream = NULL;
    size_t taken = offer(stream, run->iov, run->count, run->bytes);
    if (taken == SIZE_MAX)
        return;
    if (taken < run->bytes && !keep_rest(stream, run, taken)) {
        gw_streams_fail(stream, GW_REASON_NO_MEMORY, GW_REASON_NO_MEMORY);
        return;
    }
    gw_grant_after_consume(stream);
    if (stream->is_aborted)
        return;
    if (taken < run->bytes && !(stream->is_resumed && taken > 0))
        gw_grant_block(stream);
    gw_deliver_kept(stream);
}

/* --- the head of a stream ---------------------------------------------------------------------------------------- */

static void take_head(struct gw_stream *stream, size_t len)
{
    gw_recvbuf_consume(&stream->in, &stream->mux->pool, len);
    stream->in_head_len = (uint8_t)len;
    gw_grant_after_consume(stream);
}

static void take_preface(struct gw_stream *stream, const uint8_t *data, size_t len)
{
    struct gw_mux *mux = stream->mux;
    struct gw_open open;
    int n = gw_preface_decode(&open, data, len);
    if (n == 0 && stream->in.contig != stream->in_size)
        return;
    if (n <= 0) {
        mux->violations++;
        stream->is_detached = true;
        gw_streams_abort(stream, GW_REASON_PROTOCOL);
        return;
    }
    take_head(stream, (size_t)n);
    stream->head = GW_HEAD_OFFERED;
    stream->class_ = open.class_;
    if (open.is_datagrams) {
        stream->datagrams = calloc(1, sizeof *stream->datagrams);
        if (stream->datagrams == NULL) {
            stream->is_detached = true;
            gw_streams_abort(stream, GW_REASON_NO_MEMORY);
            return;
        }
    }
    mux->events.on_open(mux, stream, &open, mux->now, mux->events.ctx);
    if (stream->head == GW_HEAD_OFFERED && !stream->is_aborted && !gw_recvbuf_is_empty(&stream->in))
        gw_grant_block(stream);
}

static void take_answer(struct gw_stream *stream, const uint8_t *data)
{
    if (data[0] != GW_PREFACE_ACCEPTED) {
        stream->mux->violations++;
        gw_streams_fail(stream, GW_REASON_PROTOCOL, GW_REASON_PROTOCOL);
        return;
    }
    take_head(stream, 1);
    stream->head = GW_HEAD_DONE;
    if (!stream->is_detached && stream->ops->on_accepted != NULL)
        stream->ops->on_accepted(stream, stream->mux->now, stream->user);
}

/* Looks for the head in what is kept. */
static void parse_head(struct gw_stream *stream)
{
    uint8_t head[GW_PREFACE_MAX];
    struct iovec iov[2];
    size_t len = 0;
    int count = gw_recvbuf_peek(&stream->in, iov, 2);
    for (int i = 0; i < count && len < sizeof head; i++) {
        size_t n = iov[i].iov_len < sizeof head - len ? iov[i].iov_len : sizeof head - len;
        memcpy(head + len, iov[i].iov_base, n);
        len += n;
    }
    if (stream->head == GW_HEAD_PREFACE && (len > 0 || stream->in_size == 0))
        take_preface(stream, head, len);
    else if (stream->head == GW_HEAD_ANSWER && len > 0)
        take_answer(stream, head);
    else if (stream->head == GW_HEAD_OFFERED && len > 0 && !stream->is_aborted)
        gw_grant_block(stream);
}

/* --- frames ------------------------------------------------------------------------------------------------------ */

int gw_deliver_set_size(struct gw_stream *stream, uint64_t size)
{
    struct gw_mux *mux = stream->mux;
    if (stream->in_size != GW_SIZE_UNKNOWN)
        return stream->in_size == size ? 0 : GW_E_MALFORMED;
    if (size < stream->in_highest || size > stream->credit.granted)
        return GW_E_MALFORMED;
    if (size - stream->in_highest > mux->credit.granted - mux->in_total)
        return GW_E_MALFORMED;
    mux->in_total += size - stream->in_highest;
    stream->in_highest = stream->in_size = size;
    stream->controls &= (uint8_t)~GW_CONTROL_MAX_STREAM_DATA;
    return 0;
}

/* Accounts for bytes up to `end`. */
static int raise_highest(struct gw_stream *stream, uint64_t end)
{
    struct gw_mux *mux = stream->mux;
    if (end <= stream->in_highest)
        return 0;
    if (end > stream->credit.granted || end > stream->in_size)
        return GW_E_MALFORMED;
    if (end - stream->in_highest > mux->credit.granted - mux->in_total)
        return GW_E_MALFORMED;
    mux->in_total += end - stream->in_highest;
    stream->in_highest = end;
    return 0;
}

static void break_stream(struct gw_stream *stream)
{
    stream->mux->violations++;
    gw_streams_fail(stream, GW_REASON_PROTOCOL, GW_REASON_PROTOCOL);
}

/* Lends new in-order bytes to the run. */
static void lend(struct gw_stream *stream, const uint8_t *data, size_t len)
{
    struct gw_mux *mux = stream->mux;
    struct gw_run *run = &mux->run;
    if (run->stream != stream || run->count == GW_RUN_MAX) {
        gw_deliver_run(mux);
        if (!is_readable(stream) || !gw_recvbuf_is_empty(&stream->in)) /* what came of the run before */
            return;
        run->stream = stream;
        run->count = 0;
        run->bytes = 0;
    }
    run->iov[run->count++] = (struct iovec){(void *)(uintptr_t)data, len};
    run->bytes += len;
    gw_recvbuf_pass(&stream->in, len);
}

/* Copies; a gap or a blocked reader. 0, or the packet must not be acked. */
static int store(struct gw_stream *stream, uint64_t offset, struct gw_view data)
{
    struct gw_mux *mux = stream->mux;
    for (;;) {
        int err =
            gw_recvbuf_write(&stream->in, &mux->pool, gw_mux_receive_limit(mux), offset, data.data, data.len);
        if (err != GW_E_NOMEM || !gw_mux_make_room(mux))
            return err;
        if (stream->is_aborted)
            return 0;
    }
}

static int take_bytes(struct gw_stream *stream, uint64_t offset, struct gw_view data)
{
    struct gw_mux *mux = stream->mux;
    if (is_readable(stream) && gw_recvbuf_is_empty(&stream->in) && offset <= stream->in.contig) {
        size_t old = (size_t)(stream->in.contig - offset);
        lend(stream, data.data + old, data.len - old);
        if (stream->in.contig >= offset + data.len || stream->is_aborted)
            return 0;
    }
    gw_deliver_run(mux);
    if (stream->is_aborted)
        return 0;
    int err = store(stream, offset, data);
    if (err != 0 || stream->is_aborted)
        return err;
    if (stream->is_stalled)
        gw_grant_count_all(stream);
    if (stream->head != GW_HEAD_DONE)
        parse_head(stream);
    if (!stream->is_aborted)
        gw_deliver_kept(stream);
    return 0;
}

int gw_deliver_frame(struct gw_mux *mux, struct gw_view body)
{
    struct gw_reader r = gw_reader_of_view(body);
    uint8_t flags = gw_read_u8(&r);
    uint64_t id = gw_read_varint(&r), offset = gw_read_varint(&r);
    struct gw_view data = {r.at, gw_reader_left(&r)};
    uint64_t end = offset + data.len;
    int err;
    if (!gw_reader_ok(&r) || end > GW_VARINT_MAX || (flags & ~FLAG_FIN) != 0)
        return GW_E_MALFORMED;
    if (data.len > GW_RECVBUF_WRITE_MAX)
        return GW_E_MALFORMED;
    struct gw_stream *stream = gw_streams_find(mux, id, true, &err);
    if (stream == NULL)
        return err;
    if (raise_highest(stream, end) != 0 ||
        ((flags & FLAG_FIN) != 0 && gw_deliver_set_size(stream, end) != 0)) {
        break_stream(stream);
        return 0;
    }
    if (stream->is_aborted) { /* only the sizes matter */
        gw_grant_count_all(stream);
        gw_streams_check_done(stream);
        return 0;
    }
    mux->bytes_received += data.len;
    if ((flags & FLAG_FIN) != 0)
        gw_acker_urge(&mux->acker);
    if (end > stream->in.contig) {
        err = take_bytes(stream, offset, data);
        if (err != 0)
            return err;
    } else if (stream->head == GW_HEAD_PREFACE && stream->in_size == 0) {
        parse_head(stream);
    }
    if (stream->in_size == stream->in.contig && !stream->is_aborted) {
        if (mux->run.stream == stream)
            gw_deliver_run(mux);
        else if (stream->head == GW_HEAD_ANSWER)
            break_stream(stream); /* ended without an answer */
        else
            tell_fin(stream);
    }
    return 0;
}

int gw_deliver_datagram(struct gw_mux *mux, struct gw_view body)
{
    struct gw_reader r = gw_reader_of_view(body);
    uint64_t id = gw_read_varint(&r);
    struct gw_view data = {r.at, gw_reader_left(&r)};
    int err;
    if (!gw_reader_ok(&r))
        return GW_E_MALFORMED;
    struct gw_stream *stream = gw_streams_find(mux, id, false, &err);
    if (stream == NULL)
        return 0; /* it may have been reordered before its open */
    if (stream->datagrams == NULL || !is_readable(stream) || stream->ops->on_datagram == NULL)
        return 0;
    mux->bytes_received += data.len;
    stream->ops->on_datagram(stream, mux->now, data.data, data.len, stream->user);
    return 0;
}

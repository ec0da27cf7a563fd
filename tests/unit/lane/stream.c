/* SPDX-License-Identifier: MIT */
#include "tests/unit/lane/stream.h"

#include <stdlib.h>
#include <string.h>

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)(offset * 131 + (offset >> 7) + (offset >> 15));
}

/* ---- the end that serves */

static void serve_some(struct world_stream *stream, struct gw_mono now)
{
    for (;;) {
        size_t room;
        uint8_t *into = gw_stream_reserve(stream->out, 65536, &room);
        if (room == 0)
            return;
        for (size_t i = 0; i < room; i++)
            into[i] = byte_at(stream->written + i);
        gw_stream_commit(stream->out, now, room);
        stream->written += room;
    }
}

static void on_writable(struct gw_stream *end, struct gw_mono now, void *user)
{
    (void)end;
    serve_some(user, now);
}

static size_t swallow(struct gw_stream *end, struct gw_mono now, const struct iovec *iov, int count,
                      void *user)
{
    size_t len = 0;
    (void)end, (void)now, (void)user;
    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    return len;
}

static void on_fin(struct gw_stream *end, struct gw_mono now, void *user)
{
    (void)end, (void)now, (void)user;
}

static void on_closed(struct gw_stream *end, struct gw_mono now, unsigned long long reason, void *user)
{
    (void)end, (void)now, (void)reason, (void)user;
}

static const struct gw_stream_ops server_ops = {
    .on_data = swallow, .on_fin = on_fin, .on_writable = on_writable, .on_closed = on_closed};

static struct world_stream *served; /* one at a time */

static void on_open(struct gateway *gateway, struct gw_peer *peer, struct gw_stream *end,
                    const struct gw_open *open, struct gw_mono now, void *ctx)
{
    (void)gateway, (void)peer, (void)open, (void)ctx;
    served->out = end;
    gw_stream_accept(end, now, &server_ops, served);
    serve_some(served, now);
}

/* ---- the end that looks */

static size_t on_data(struct gw_stream *end, struct gw_mono now, const struct iovec *iov, int count,
                      void *user)
{
    struct world_stream *stream = user;
    uint64_t read = atomic_load(&stream->read);
    size_t taken = 0;
    (void)end, (void)now;
    if (stream->before_reading)
        stream->before_reading(stream);
    for (int i = 0; i < count; i++) {
        const uint8_t *bytes = iov[i].iov_base;
        for (size_t j = 0; j < iov[i].iov_len; j++) {
            if (bytes[j] != byte_at(read + taken + j))
                atomic_store(&stream->world->wrong, "a stream's byte is wrong");
        }
        taken += iov[i].iov_len;
    }
    atomic_store(&stream->read, read + taken);
    return taken;
}

static const struct gw_stream_ops client_ops = {
    .on_data = on_data, .on_fin = on_fin, .on_writable = on_fin, .on_closed = on_closed};

void world_stream_open(struct world_stream *stream, struct world *world)
{
    const struct gw_open open = {.service = "bytes", .class_ = GW_CLASS_BULK};
    struct world_node *node = &world->nodes[0];
    memset(stream, 0, sizeof *stream);
    stream->world = world;
    served = stream;
    world->nodes[1].events.on_open = on_open;
    if (gw_peer_open(gw_gateway_next_peer(node->gateway, NULL), world_now(world), &open, &client_ops, stream,
                     &stream->in) != 0)
        abort();
}

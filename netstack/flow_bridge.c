/* SPDX-License-Identifier: MIT */
/* Bytes between a connection and a stream; see flow_bridge.h. Each side is asked for room when the other has bytes, and resumed when it has some again. */
#include "netstack/flow_bridge.h"

#include <stdlib.h>
#include <string.h>

struct gw_flow_bridge {
    gw_flow_bridge_fn *on_end;
    gw_flow_bridge_accepted_fn *on_accepted; /* may be NULL, both */
    gw_flow_bridge_refused_fn *on_refused;
    void *user;
    struct gw_connection *connection;
    struct gw_stream *stream;
    unsigned depth; /* frames of ours on the stack */
    bool is_udp;
    bool is_offered;    /* the connection waits for the stream */
    bool is_dialling;   /* the stream waits for the connection */
    bool is_up_blocked; /* towards the stream */
    bool is_down_blocked;
    bool is_up_ended, is_down_ended;
    bool is_dead;
};

struct gw_flow_bridge *gw_flow_bridge_new(gw_flow_bridge_fn *on_end, void *user)
{
    struct gw_flow_bridge *bridge = calloc(1, sizeof *bridge);
    if (!bridge)
        return NULL;
    bridge->on_end = on_end;
    bridge->user = user;
    return bridge;
}

void gw_flow_bridge_watch(struct gw_flow_bridge *bridge, gw_flow_bridge_accepted_fn *on_accepted,
                          gw_flow_bridge_refused_fn *on_refused)
{
    bridge->on_accepted = on_accepted;
    bridge->on_refused = on_refused;
}

static void enter(struct gw_flow_bridge *bridge)
{
    bridge->depth++;
}

/* false = it is gone. */
static bool leave(struct gw_flow_bridge *bridge)
{
    bool is_alive = !bridge->is_dead;
    if (--bridge->depth == 0 && bridge->is_dead)
        free(bridge);
    return is_alive;
}

/* ---- ends */

static void drop_connection(struct gw_flow_bridge *bridge, struct gw_mono now, bool is_in_order)
{
    struct gw_connection *connection = bridge->connection;
    bridge->connection = NULL;
    if (!connection)
        return;
    if (is_in_order)
        gw_connection_release(connection, now);
    else
        gw_connection_reset(connection, now); /* an offer is refused by it */
}

static void drop_stream(struct gw_flow_bridge *bridge, struct gw_mono now, enum gw_reason reason)
{
    struct gw_stream *stream = bridge->stream;
    bridge->stream = NULL;
    if (!stream)
        return;
    if (reason == GW_REASON_NONE)
        gw_stream_release(stream, now);
    else
        gw_stream_reset(stream, now, reason);
}

/* Within enter/leave. */
static void end(struct gw_flow_bridge *bridge, struct gw_mono now, unsigned long long reason)
{
    if (bridge->is_dead)
        return;
    bridge->is_dead = true;
    if (bridge->is_offered && bridge->connection && bridge->on_refused &&
        bridge->on_refused(bridge, now, reason, bridge->connection, bridge->user))
        bridge->connection = NULL;
    drop_connection(bridge, now, reason == GW_REASON_NONE);
    drop_stream(bridge, now, (enum gw_reason)reason);
    if (bridge->on_end)
        bridge->on_end(bridge, now, reason, bridge->user);
}

void gw_flow_bridge_close(struct gw_flow_bridge *bridge, struct gw_mono now, enum gw_reason reason)
{
    enter(bridge);
    bridge->is_dead = true;
    drop_connection(bridge, now, false);
    drop_stream(bridge, now, reason == GW_REASON_NONE ? GW_REASON_CANCELLED : reason);
    leave(bridge);
}

static void end_if_done(struct gw_flow_bridge *bridge, struct gw_mono now)
{
    if (bridge->is_up_ended && bridge->is_down_ended)
        end(bridge, now, GW_REASON_NONE);
}

/* ---- from the connection to the stream */

static size_t to_stream(struct gw_flow_bridge *bridge, struct gw_mono now, const uint8_t *bytes, size_t len)
{
    size_t done = 0;
    while (done < len) {
        size_t room;
        uint8_t *out = gw_stream_reserve(bridge->stream, len - done, &room);
        if (!out)
            break;
        if (room > len - done)
            room = len - done;
        memcpy(out, bytes + done, room);
        gw_stream_commit(bridge->stream, now, room);
        done += room;
    }
    return done;
}

static size_t on_connection_data(struct gw_connection *connection, struct gw_mono now,
                                 const struct iovec *iov, int count, void *user)
{
    struct gw_flow_bridge *bridge = user;
    size_t taken = 0;
    (void)connection;
    enter(bridge);
    for (int i = 0; i < count && bridge->stream; i++) {
        size_t n = to_stream(bridge, now, iov[i].iov_base, iov[i].iov_len);
        taken += n;
        if (n < iov[i].iov_len) {
            bridge->is_up_blocked = true;
            break;
        }
    }
    leave(bridge);
    return taken;
}

static void on_connection_fin(struct gw_connection *connection, struct gw_mono now, void *user)
{
    struct gw_flow_bridge *bridge = user;
    (void)connection;
    enter(bridge);
    bridge->is_up_ended = true;
    gw_stream_finish(bridge->stream, now);
    end_if_done(bridge, now);
    leave(bridge);
}

static void on_connection_writable(struct gw_connection *connection, struct gw_mono now, void *user)
{
    struct gw_flow_bridge *bridge = user;
    (void)connection;
    if (!bridge->is_down_blocked)
        return;
    enter(bridge);
    bridge->is_down_blocked = false;
    gw_stream_resume(bridge->stream, now);
    leave(bridge);
}

static void on_connection_datagram(struct gw_connection *connection, struct gw_mono now, const void *data,
                                   size_t len, void *user)
{
    struct gw_flow_bridge *bridge = user;
    (void)connection;
    if (bridge->stream) /* what does not fit is lost, as on any network */
        (void)gw_stream_send_datagram(bridge->stream, now, data, len);
}

static void on_connection_closed(struct gw_connection *connection, struct gw_mono now, enum gw_reason reason,
                                 void *user)
{
    struct gw_flow_bridge *bridge = user;
    (void)connection;
    enter(bridge);
    bridge->connection = NULL;
    end(bridge, now, reason == GW_REASON_NONE ? GW_REASON_CANCELLED : reason);
    leave(bridge);
}

static void on_connection_connected(struct gw_connection *connection, struct gw_mono now, void *user)
{
    struct gw_flow_bridge *bridge = user;
    (void)connection;
    if (!bridge->is_dialling)
        return;
    enter(bridge);
    bridge->is_dialling = false;
    gw_stream_accept(bridge->stream, now, &gw_flow_bridge_stream_ops, bridge);
    leave(bridge);
}

const struct gw_connection_ops gw_flow_bridge_connection_ops = {
    .on_connected = on_connection_connected,
    .on_data = on_connection_data,
    .on_fin = on_connection_fin,
    .on_writable = on_connection_writable,
    .on_datagram = on_connection_datagram,
    .on_closed = on_connection_closed,
};

/* ---- from the stream to the connection */

static size_t on_stream_data(struct gw_stream *stream, struct gw_mono now, const struct iovec *iov, int count,
                             void *user)
{
    struct gw_flow_bridge *bridge = user;
    size_t taken = 0;
    (void)stream;
    if (bridge->is_offered || bridge->is_dialling) {
        bridge->is_down_blocked = true;
        return 0;
    }
    for (int i = 0; i < count; i++) {
        /* A datagram flow has no bytes of its own. */
        size_t n = bridge->is_udp
                       ? iov[i].iov_len
                       : gw_connection_write(bridge->connection, now, iov[i].iov_base, iov[i].iov_len);
        taken += n;
        if (n < iov[i].iov_len) {
            bridge->is_down_blocked = true;
            break;
        }
    }
    return taken;
}

static void on_stream_fin(struct gw_stream *stream, struct gw_mono now, void *user)
{
    struct gw_flow_bridge *bridge = user;
    (void)stream;
    enter(bridge);
    bridge->is_down_ended = true;
    if (bridge->is_udp)
        end(bridge, now, GW_REASON_CANCELLED);
    else
        gw_connection_finish(bridge->connection, now);
    end_if_done(bridge, now);
    leave(bridge);
}

static void on_stream_writable(struct gw_stream *stream, struct gw_mono now, void *user)
{
    struct gw_flow_bridge *bridge = user;
    (void)stream;
    if (!bridge->is_up_blocked)
        return;
    enter(bridge);
    bridge->is_up_blocked = false;
    gw_connection_resume(bridge->connection, now);
    leave(bridge);
}

static void on_stream_datagram(struct gw_stream *stream, struct gw_mono now, const void *data, size_t len,
                               void *user)
{
    struct gw_flow_bridge *bridge = user;
    (void)stream;
    if (bridge->connection)
        (void)gw_connection_send_datagram(bridge->connection, now, data, len);
}

static void on_stream_closed(struct gw_stream *stream, struct gw_mono now, unsigned long long reason,
                             void *user)
{
    struct gw_flow_bridge *bridge = user;
    (void)stream;
    enter(bridge);
    bridge->stream = NULL;
    end(bridge, now, reason == GW_REASON_NONE ? GW_REASON_CANCELLED : reason);
    leave(bridge);
}

/* The far service is there: so the SYN is answered. */
static void on_stream_accepted(struct gw_stream *stream, struct gw_mono now, void *user)
{
    struct gw_flow_bridge *bridge = user;
    (void)stream;
    if (!bridge->is_offered)
        return;
    enter(bridge);
    bridge->is_offered = false;
    if (bridge->on_accepted)
        bridge->on_accepted(bridge, now, bridge->user);
    gw_connection_accept(bridge->connection, now, &gw_flow_bridge_connection_ops, bridge);
    if (bridge->is_down_blocked && bridge->stream) {
        bridge->is_down_blocked = false;
        gw_stream_resume(bridge->stream, now);
    }
    leave(bridge);
}

const struct gw_stream_ops gw_flow_bridge_stream_ops = {
    .on_accepted = on_stream_accepted,
    .on_data = on_stream_data,
    .on_fin = on_stream_fin,
    .on_writable = on_stream_writable,
    .on_datagram = on_stream_datagram,
    .on_closed = on_stream_closed,
};

/* ---- joining */

static bool is_udp(const struct gw_connection *connection)
{
    struct gw_connection_info info;
    gw_connection_info(connection, &info);
    return info.is_udp;
}

void gw_flow_bridge_opened(struct gw_flow_bridge *bridge, struct gw_mono now, struct gw_connection *offer,
                           struct gw_stream *stream)
{
    bridge->connection = offer;
    bridge->stream = stream;
    bridge->is_udp = is_udp(offer);
    if (!bridge->is_udp) {
        bridge->is_offered = true;
        gw_connection_attach(offer, &gw_flow_bridge_connection_ops, bridge);
        return;
    }
    /* A datagram need not wait for anybody's answer. */
    enter(bridge);
    gw_connection_accept(offer, now, &gw_flow_bridge_connection_ops, bridge);
    leave(bridge);
}

void gw_flow_bridge_connected(struct gw_flow_bridge *bridge, struct gw_mono now,
                              struct gw_connection *connection, struct gw_stream *stream)
{
    bridge->connection = connection;
    bridge->stream = stream;
    bridge->is_udp = is_udp(connection);
    enter(bridge);
    if (bridge->is_udp) {
        gw_stream_accept(stream, now, &gw_flow_bridge_stream_ops, bridge);
    } else {
        bridge->is_dialling = true;
        gw_stream_attach(stream, &gw_flow_bridge_stream_ops, bridge);
    }
    leave(bridge);
}

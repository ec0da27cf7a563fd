/* SPDX-License-Identifier: MIT */
/* Bytes between a local socket and a connection; see pump.h. The socket is registered once, edge-triggered. */
#include "netstack/bridge/pump.h"

#include "gateway/base/err.h"
#include "gateway/local/sockopt.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* From one socket in one turn. */
#define TURN_BYTES_MAX (256u * 1024u)
#define TURN_DATAGRAMS_MAX 32
#define DATAGRAM_MAX 65536u
/* The kernel is short of memory and will not say when it has some again. */
#define RETRY_MS 10

struct gw_pump {
    struct event event;
    struct gw_loop *loop;
    struct gw_connection *connection;
    gw_pump_fn *on_end;
    void *user;
    int fd;
    unsigned depth;
    bool is_datagrams;
    bool is_connected;
    bool is_in_blocked;  /* the connection has no room */
    bool is_out_blocked; /* the socket takes nothing */
    bool is_in_ended, is_out_ended;
    bool is_dead;
    uint8_t *first; /* bytes that were read before the pump had the socket */
    size_t first_len, first_off;
    uint64_t limit; /* bytes that may still be read from the socket */
};

static void on_event(evutil_socket_t fd, short what, void *arg);

struct gw_pump *gw_pump_new(struct gw_loop *loop, int fd, bool is_datagrams, gw_pump_fn *on_end, void *user)
{
    struct gw_pump *pump = calloc(1, sizeof *pump);
    if (!pump) {
        close(fd);
        return NULL;
    }
    pump->loop = loop;
    pump->fd = fd;
    pump->is_datagrams = is_datagrams;
    pump->on_end = on_end;
    pump->user = user;
    pump->limit = UINT64_MAX;
    event_assign(&pump->event, gw_loop_base(loop), fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, on_event,
                 pump);
    if (event_add(&pump->event, NULL) < 0) {
        close(fd);
        free(pump);
        return NULL;
    }
    return pump;
}

/* ---- ends: calls out may end the pump; it is freed when the outermost frame leaves */

static void enter(struct gw_pump *pump)
{
    pump->depth++;
}

static void leave(struct gw_pump *pump)
{
    if (--pump->depth > 0 || !pump->is_dead)
        return;
    free(pump->first);
    free(pump);
}

static void shut(struct gw_pump *pump, struct gw_mono now, bool is_in_order)
{
    struct gw_connection *connection = pump->connection;
    pump->is_dead = true;
    pump->connection = NULL;
    event_del(&pump->event);
    if (!is_in_order && !pump->is_datagrams)
        gw_sock_set_abort(pump->fd);
    close(pump->fd);
    if (!connection)
        return;
    if (is_in_order)
        gw_connection_release(connection, now);
    else
        gw_connection_reset(connection, now);
}

/* Within enter/leave. */
static void end(struct gw_pump *pump, struct gw_mono now, enum gw_reason reason)
{
    if (pump->is_dead)
        return;
    shut(pump, now, reason == GW_REASON_NONE);
    if (pump->on_end)
        pump->on_end(pump, now, reason, pump->user);
}

void gw_pump_close(struct gw_pump *pump, struct gw_mono now)
{
    enter(pump);
    shut(pump, now, false);
    leave(pump);
}

static void end_if_done(struct gw_pump *pump, struct gw_mono now)
{
    if (pump->is_in_ended && pump->is_out_ended)
        end(pump, now, GW_REASON_NONE);
}

static void break_off(struct gw_pump *pump, struct gw_mono now, int err)
{
    end(pump, now,
        err == -ETIMEDOUT      ? GW_REASON_TIMED_OUT
        : err == -ECONNREFUSED ? GW_REASON_SERVICE_DOWN
                               : GW_REASON_CANCELLED);
}

/* No edge will follow a lack of memory. */
static bool is_weather(struct gw_pump *pump, int err)
{
    struct timeval retry = {.tv_usec = RETRY_MS * 1000};
    if (err == ENOBUFS || err == ENOMEM)
        event_add(&pump->event, &retry);
    return err == EAGAIN || err == ENOBUFS || err == ENOMEM;
}

/* ---- bytes from the socket */

/* How many; 0 = no more now. */
static size_t pump_piece(struct gw_pump *pump, struct gw_mono now)
{
    size_t len;
    ssize_t n;
    uint8_t *room = gw_connection_reserve(pump->connection, 0, &len);
    pump->is_in_blocked = !room;
    if (!room)
        return 0;
    /* At the limit one byte is asked for, to see the EOF or the trespass. */
    if (len > pump->limit)
        len = pump->limit > 0 ? (size_t)pump->limit : 1;
    do
        n = recv(pump->fd, room, len, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0 && pump->limit == 0) {
        break_off(pump, now, 0);
    } else if (n > 0) {
        pump->limit -= pump->limit == UINT64_MAX ? 0 : (uint64_t)n;
        gw_connection_commit(pump->connection, now, (size_t)n);
        return (size_t)n;
    } else if (n == 0) {
        pump->is_in_ended = true;
        gw_connection_finish(pump->connection, now);
        end_if_done(pump, now);
    } else if (!is_weather(pump, errno)) {
        break_off(pump, now, -errno);
    }
    return 0;
}

/* false = the connection is full. */
static bool pump_first(struct gw_pump *pump, struct gw_mono now)
{
    if (!pump->first)
        return true;
    pump->first_off += gw_connection_write(pump->connection, now, pump->first + pump->first_off,
                                           pump->first_len - pump->first_off);
    if (pump->first_off < pump->first_len)
        return false;
    free(pump->first);
    pump->first = NULL;
    return true;
}

static void pump_bytes(struct gw_pump *pump, struct gw_mono now)
{
    size_t total = 0, n;
    if (!pump->is_connected || pump->is_in_ended || !pump_first(pump, now))
        return;
    while (!pump->is_dead && (n = pump_piece(pump, now)) > 0) {
        total += n;
        if (total >= TURN_BYTES_MAX) {
            event_active(&pump->event, EV_READ, 0);
            return;
        }
    }
}

static void pump_datagrams(struct gw_pump *pump, struct gw_mono now)
{
    uint8_t bytes[DATAGRAM_MAX];
    for (int i = 0; i < TURN_DATAGRAMS_MAX && !pump->is_dead; i++) {
        ssize_t n = recv(pump->fd, bytes, sizeof bytes, 0);
        if (n < 0 && errno == ECONNREFUSED)
            break_off(pump, now, -ECONNREFUSED);
        if (n < 0)
            return;
        /* One that has no room is gone, as on any network. */
        (void)gw_connection_send_datagram(pump->connection, now, bytes, (size_t)n);
    }
    if (!pump->is_dead)
        event_active(&pump->event, EV_READ, 0);
}

static void pump_in(struct gw_pump *pump, struct gw_mono now)
{
    if (!pump->connection)
        return;
    if (pump->is_datagrams)
        pump_datagrams(pump, now);
    else
        pump_bytes(pump, now);
}

/* ---- the loop */

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct gw_pump *pump = arg;
    struct gw_mono now = gw_loop_now(pump->loop);
    (void)fd;
    enter(pump);
    if (what & EV_TIMEOUT)
        event_remove_timer(&pump->event);
    if ((what & (EV_WRITE | EV_TIMEOUT)) && pump->is_out_blocked && pump->connection) {
        pump->is_out_blocked = false;
        gw_connection_resume(pump->connection, now);
    }
    if ((what & (EV_READ | EV_TIMEOUT)) && !pump->is_dead)
        pump_in(pump, now);
    /* Both at once may be an error, which whoever does not read would not see. */
    if (!pump->is_dead && (what & (EV_READ | EV_WRITE)) == (EV_READ | EV_WRITE) &&
        (pump->is_in_blocked || pump->is_in_ended)) {
        int err = gw_sock_error(pump->fd);
        if (err)
            break_off(pump, now, err);
    }
    leave(pump);
}

/* ---- the connection */

static void on_connected(struct gw_connection *connection, struct gw_mono now, void *user)
{
    struct gw_pump *pump = user;
    enter(pump);
    pump->connection = connection;
    pump->is_connected = true;
    pump_in(pump, now);
    leave(pump);
}

static size_t on_data(struct gw_connection *connection, struct gw_mono now, const struct iovec *iov,
                      int count, void *user)
{
    struct gw_pump *pump = user;
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
    ssize_t n;
    (void)connection;
    do
        n = sendmsg(pump->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && !is_weather(pump, errno)) {
        enter(pump);
        break_off(pump, now, -errno);
        leave(pump);
        return 0;
    }
    size_t len = 0;
    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    pump->is_out_blocked = n < (ssize_t)len;
    return n > 0 ? (size_t)n : 0;
}

static void on_fin(struct gw_connection *connection, struct gw_mono now, void *user)
{
    struct gw_pump *pump = user;
    (void)connection;
    enter(pump);
    pump->is_out_ended = true;
    if (shutdown(pump->fd, SHUT_WR) < 0)
        break_off(pump, now, -errno);
    else
        end_if_done(pump, now);
    leave(pump);
}

static void on_writable(struct gw_connection *connection, struct gw_mono now, void *user)
{
    struct gw_pump *pump = user;
    (void)connection;
    enter(pump);
    pump_in(pump, now);
    leave(pump);
}

static void on_datagram(struct gw_connection *connection, struct gw_mono now, const void *data, size_t len,
                        void *user)
{
    struct gw_pump *pump = user;
    (void)connection;
    ssize_t n = send(pump->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0 || errno != ECONNREFUSED)
        return;
    enter(pump);
    break_off(pump, now, -ECONNREFUSED);
    leave(pump);
}

static void on_closed(struct gw_connection *connection, struct gw_mono now, enum gw_reason reason, void *user)
{
    struct gw_pump *pump = user;
    (void)connection;
    enter(pump);
    pump->connection = NULL;
    /* A UDP association that was idle ended as it should. */
    end(pump, now, reason);
    leave(pump);
}

static const struct gw_connection_ops ops = {
    .on_connected = on_connected,
    .on_data = on_data,
    .on_fin = on_fin,
    .on_writable = on_writable,
    .on_datagram = on_datagram,
    .on_closed = on_closed,
};

void gw_pump_accept(struct gw_pump *pump, struct gw_mono now, struct gw_connection *offer)
{
    enter(pump);
    pump->connection = offer;
    gw_connection_accept(offer, now, &ops, pump);
    leave(pump);
}

int gw_pump_join(struct gw_pump *pump, struct gw_mono now, struct gw_connection *connection,
                 const void *first, size_t len, uint64_t limit)
{
    pump->connection = connection;
    if (len > 0 && (pump->first = malloc(len)) == NULL) {
        gw_pump_close(pump, now);
        return GW_E_NOMEM;
    }
    if (len > 0)
        memcpy(pump->first, first, len);
    pump->first_len = len;
    pump->limit = limit;
    pump->is_connected = true;
    pump->is_out_blocked = !pump->is_datagrams; /* what came before is offered again */
    gw_connection_set_user(connection, &ops, pump);
    event_active(&pump->event, EV_READ | EV_WRITE, 0);
    return 0;
}

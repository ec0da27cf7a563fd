/* SPDX-License-Identifier: MIT */
#include "gateway/local/udp.h"

#include "gateway/base/err.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEFAULT_IDLE GW_S(120)
#define BATCH 8
/* Rounds of BATCH in one turn. */
#define ROUNDS_MAX 4
/* More than any path carries in a packet; longer ones are dropped. */
#define DATAGRAM_MAX 9216

struct gw_udp_bridge {
    struct event event; /* readable; its timeout looks whether the bridge is idle */
    struct gw_loop *loop;
    struct gw_stream *stream;
    gw_udp_bridge_fn *on_end;
    void *user;
    int fd;
    int depth;
    bool is_dead;
    int64_t idle_ns;
    struct gw_mono used; /* the last datagram either way */
};

static void on_event(evutil_socket_t fd, short what, void *arg);

static void enter(struct gw_udp_bridge *bridge)
{
    bridge->depth++;
}

static void leave(struct gw_udp_bridge *bridge)
{
    if (--bridge->depth == 0 && bridge->is_dead)
        free(bridge);
}

static void shut(struct gw_udp_bridge *bridge, struct gw_mono now, unsigned long long reason)
{
    struct gw_stream *stream = bridge->stream;
    bridge->stream = NULL;
    bridge->is_dead = true;
    event_del(&bridge->event);
    close(bridge->fd);
    if (stream)
        gw_stream_reset(stream, now, reason == GW_REASON_NONE ? GW_REASON_CANCELLED : (enum gw_reason)reason);
}

static void end(struct gw_udp_bridge *bridge, struct gw_mono now, unsigned long long reason)
{
    shut(bridge, now, reason);
    bridge->on_end(bridge, now, reason, bridge->user);
}

void gw_udp_bridge_close(struct gw_udp_bridge *bridge, struct gw_mono now, enum gw_reason reason)
{
    enter(bridge);
    shut(bridge, now, reason);
    leave(bridge);
}

static int arm_idle(struct gw_udp_bridge *bridge, int64_t wait_ns)
{
    struct timeval tv = {.tv_sec = wait_ns / GW_S(1), .tv_usec = wait_ns % GW_S(1) / 1000 + 1};
    return event_add(&bridge->event, &tv);
}

/* ICMP errors of a datagram sent before. Nobody there ends the flow; everything else is weather. */
static bool is_down(int err)
{
    return err == ECONNREFUSED;
}

static void pass_on(struct gw_udp_bridge *bridge, struct gw_mono now, const struct mmsghdr *msg)
{
    const struct iovec *iov = msg->msg_hdr.msg_iov;
    if (!(msg->msg_hdr.msg_flags & MSG_TRUNC))
        (void)gw_stream_send_datagram(bridge->stream, now, iov->iov_base, msg->msg_len);
}

/* true = there may be more. */
static bool receive(struct gw_udp_bridge *bridge, struct gw_mono now)
{
    uint8_t bytes[BATCH][DATAGRAM_MAX];
    struct iovec iov[BATCH];
    struct mmsghdr msgs[BATCH];
    for (int i = 0; i < BATCH; i++) {
        iov[i] = (struct iovec){bytes[i], sizeof bytes[i]};
        msgs[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
    }
    int n = recvmmsg(bridge->fd, msgs, BATCH, MSG_DONTWAIT, NULL);
    if (n < 0 && is_down(errno)) {
        end(bridge, now, GW_REASON_SERVICE_DOWN);
        return false;
    }
    if (n > 0)
        bridge->used = now;
    for (int i = 0; i < n && bridge->stream; i++)
        pass_on(bridge, now, &msgs[i]);
    return n == BATCH && bridge->stream;
}

static void check_idle(struct gw_udp_bridge *bridge, struct gw_mono now)
{
    int64_t left = bridge->idle_ns - gw_mono_sub(now, bridge->used);
    if (left <= 0)
        end(bridge, now, GW_REASON_NONE);
    else
        arm_idle(bridge, left);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct gw_udp_bridge *bridge = arg;
    struct gw_mono now = gw_loop_now(bridge->loop);
    (void)fd;
    enter(bridge);
    for (int i = 0; i < ROUNDS_MAX && (what & EV_READ) && receive(bridge, now); i++)
        ;
    if ((what & EV_TIMEOUT) && !bridge->is_dead)
        check_idle(bridge, now);
    leave(bridge);
}

/* ---- the stream */

static void on_datagram(struct gw_stream *stream, struct gw_mono now, const void *data, size_t len,
                        void *user)
{
    struct gw_udp_bridge *bridge = user;
    ssize_t n;
    (void)stream;
    bridge->used = now;
    /* The first call may only report what ICMP said of an earlier datagram. */
    n = send(bridge->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && (errno == EINTR || errno == EHOSTUNREACH || errno == ENETUNREACH))
        n = send(bridge->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0 || !is_down(errno))
        return;
    enter(bridge);
    end(bridge, now, GW_REASON_SERVICE_DOWN);
    leave(bridge);
}

static void on_fin(struct gw_stream *stream, struct gw_mono now, void *user)
{
    struct gw_udp_bridge *bridge = user;
    (void)stream;
    enter(bridge);
    end(bridge, now, GW_REASON_NONE);
    leave(bridge);
}

static void on_closed(struct gw_stream *stream, struct gw_mono now, unsigned long long reason, void *user)
{
    struct gw_udp_bridge *bridge = user;
    (void)stream;
    enter(bridge);
    bridge->stream = NULL;
    end(bridge, now, reason);
    leave(bridge);
}

static const struct gw_stream_ops ops = {
    .on_data = gw_stream_drop_data,
    .on_fin = on_fin,
    .on_writable = gw_stream_ignore,
    .on_datagram = on_datagram,
    .on_closed = on_closed,
};

int gw_udp_bridge_accept(struct gw_udp_bridge **out, const struct gw_udp_bridge_params *params,
                         struct gw_stream *stream, struct gw_mono now)
{
    struct gw_udp_bridge *bridge = calloc(1, sizeof *bridge);
    if (!bridge) {
        close(params->fd);
        return GW_E_NOMEM;
    }
    bridge->loop = params->loop;
    bridge->stream = stream;
    bridge->on_end = params->on_end;
    bridge->user = params->user;
    bridge->fd = params->fd;
    bridge->idle_ns = params->idle_ns ? params->idle_ns : DEFAULT_IDLE;
    bridge->used = now;
    event_assign(&bridge->event, gw_loop_base(params->loop), params->fd, EV_READ | EV_PERSIST, on_event,
                 bridge);
    if (arm_idle(bridge, bridge->idle_ns) < 0) {
        close(params->fd);
        free(bridge);
        return GW_E_NOMEM;
    }
    *out = bridge;
    enter(bridge);
    gw_stream_accept(stream, now, &ops, bridge);
    leave(bridge);
    return 0;
}

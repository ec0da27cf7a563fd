/* SPDX-License-Identifier: MIT */
#include "frontends/socks5/udp_target_private.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IDLE GW_S(120)
/* A destination that failed is not tried again for so long. */
#define FAILED GW_S(10)
#define TURN_MAX 32

void gw_udp_targets_init(struct gw_udp_targets *targets, const struct gw_frontend *frontend,
                         const struct gw_policy *policy, gw_udp_reply_fn *on_reply)
{
    *targets = (struct gw_udp_targets){.frontend = frontend, .policy = policy, .on_reply = on_reply};
    gw_list_init(&targets->list);
}

/* ---- life */

static void drop_waiting(struct udp_target *target)
{
    while (target->waiting_count > 0)
        free(target->waiting[--target->waiting_count]);
}

/* Lets go of whatever it has open. */
static void shut(struct udp_target *target, struct gw_mono now)
{
    drop_waiting(target);
    if (target->stream)
        gw_stream_reset(target->stream, now, GW_REASON_CANCELLED);
    target->stream = NULL;
    if (target->dial)
        gw_dial_cancel(target->dial);
    target->dial = NULL;
    if (target->packet_dial)
        gw_packet_dial_cancel(target->packet_dial);
    target->packet_dial = NULL;
    if (target->connection)
        gw_connection_reset(target->connection, now);
    target->connection = NULL;
    if (target->fd >= 0) {
        event_del(&target->event);
        close(target->fd);
    }
    target->fd = -1;
}

void udp_target_free(struct udp_target *target, struct gw_mono now)
{
    shut(target, now);
    gw_list_remove(&target->link);
    target->targets->count--;
    target->targets = NULL;
    if (!target->is_resolving)
        free(target);
}

void gw_udp_targets_fini(struct gw_udp_targets *targets, struct gw_mono now)
{
    gw_list_for_each (node, &targets->list)
        udp_target_free(gw_list_entry(node, struct udp_target, link), now);
}

void gw_udp_targets_expire(struct gw_udp_targets *targets, struct gw_mono now)
{
    gw_list_for_each (node, &targets->list) {
        struct udp_target *target = gw_list_entry(node, struct udp_target, link);
        if (gw_mono_sub(now, target->used) > (target->state == STATE_FAILED ? FAILED : IDLE))
            udp_target_free(target, now);
    }
}

void udp_target_fail(struct udp_target *target, struct gw_mono now, enum gw_outcome outcome)
{
    gw_log_debug("UDP to %s port %u: %s", target->request.host, target->request.port,
                 gw_outcome_sentence(outcome));
    shut(target, now);
    target->state = STATE_FAILED;
    target->used = now;
}

/* ---- bytes */

static bool keep(struct udp_target *target, const void *data, size_t len)
{
    if (target->waiting_count == UDP_TARGET_WAITING_MAX)
        return false;
    struct udp_waiting *waiting = malloc(sizeof *waiting + len);
    if (!waiting)
        return false;
    waiting->len = len;
    memcpy(waiting->bytes, data, len);
    target->waiting[target->waiting_count++] = waiting;
    return true;
}

static bool send_now(struct udp_target *target, const void *data, size_t len, struct gw_mono now)
{
    if (target->stream)
        return gw_stream_send_datagram(target->stream, now, data, len) == 0;
    if (target->connection)
        return gw_connection_send_datagram(target->connection, now, data, len) == 0;
    if (send(target->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return true;
    /* It may only have reported an ICMP error of an earlier datagram. */
    return errno == ECONNREFUSED && send(target->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

void udp_target_send_waiting(struct udp_target *target, struct gw_mono now)
{
    for (unsigned i = 0; i < target->waiting_count; i++) {
        if (target->stream || target->connection || target->fd >= 0)
            send_now(target, target->waiting[i]->bytes, target->waiting[i]->len, now);
    }
    drop_waiting(target);
}

void udp_target_reply(struct udp_target *target, const void *data, size_t len, struct gw_mono now)
{
    target->used = now;
    target->targets->on_reply(target->targets, target->header, target->header_len, data, len);
}

/* ---- a flow to a peer */

static void on_datagram(struct gw_stream *stream, struct gw_mono now, const void *data, size_t len,
                        void *user)
{
    (void)stream;
    udp_target_reply(user, data, len, now);
}

static void on_fin(struct gw_stream *stream, struct gw_mono now, void *user)
{
    struct udp_target *target = user;
    (void)stream;
    /* The service's end was idle for too long, or went: the next datagram opens another flow. */
    udp_target_free(target, now);
}

static void on_closed(struct gw_stream *stream, struct gw_mono now, unsigned long long reason, void *user)
{
    struct udp_target *target = user;
    (void)stream;
    target->stream = NULL;
    if (udp_target_try_packets(target, reason, now))
        return;
    if (reason == GW_REASON_CANCELLED || reason == GW_REASON_NONE)
        udp_target_free(target, now);
    else
        udp_target_fail(target, now, gw_outcome_of_reason(reason));
}

static size_t on_data(struct gw_stream *stream, struct gw_mono now, const struct iovec *iov, int count,
                      void *user)
{
    size_t len = 0;
    (void)stream, (void)now, (void)user;
    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    return len;
}

static void ignore(struct gw_stream *stream, struct gw_mono now, void *user)
{
    (void)stream, (void)now, (void)user;
}

static void on_accepted(struct gw_stream *stream, struct gw_mono now, void *user)
{
    struct udp_target *target = user;
    (void)stream;
    target->state = STATE_FLOW;
    target->flow_peer = NULL;
    udp_target_send_waiting(target, now);
}

static const struct gw_stream_ops ops = {
    .on_accepted = on_accepted,
    .on_data = on_data,
    .on_fin = on_fin,
    .on_writable = ignore,
    .on_datagram = on_datagram,
    .on_closed = on_closed,
};

static void open_flow(struct udp_target *target, struct gw_peer *peer, const struct gw_open *open,
                      struct gw_mono now)
{
    int err = gw_peer_open(peer, now, open, &ops, target, &target->stream);
    if (err) {
        udp_target_fail(target, now, gw_outcome_of_error(err));
        return;
    }
    struct gw_peer_status status;
    target->flow_peer = peer;
    gw_peer_status(peer, now, &status);
    bool may_be_stock = status.kind == GW_PEER_UNKNOWN && !gw_peer_config(peer)->has_ed25519;
    if (status.session.state != GW_SESSION_ESTABLISHED || !status.has_path || may_be_stock) {
        target->state = STATE_OPENING;
        return;
    }
    /* They ride with the open. */
    target->state = STATE_FLOW;
    udp_target_send_waiting(target, now);
}

/* ---- a socket of ours */

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct udp_target *target = arg;
    struct gw_mono now = gw_loop_now(target->targets->frontend->loop);
    uint8_t bytes[GW_UDP_DATAGRAM_MAX];
    (void)what;
    for (int i = 0; i < TURN_MAX; i++) {
        ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n >= 0 && (size_t)n <= sizeof bytes)
            udp_target_reply(target, bytes, (size_t)n, now);
    }
}

static void join(struct udp_target *target, int fd, struct gw_mono now)
{
    target->fd = fd;
    event_assign(&target->event, gw_loop_base(target->targets->frontend->loop), fd, EV_READ | EV_PERSIST,
                 on_event, target);
    if (event_add(&target->event, NULL) < 0) {
        udp_target_fail(target, now, GW_OUTCOME_OVERLOADED);
        return;
    }
    target->state = STATE_DIRECT;
    udp_target_send_waiting(target, now);
}

static void on_dialled(int fd, struct gw_mono now, void *user)
{
    struct udp_target *target = user;
    target->dial = NULL;
    if (fd >= 0)
        join(target, fd, now);
    else
        udp_target_fail(target, now, gw_outcome_of_dial(fd));
}

static bool is_permitted(const struct gw_addr *address, void *user)
{
    const struct udp_target *target = user;
    const char *host = gw_addr_is_set(&target->request.ip) ? NULL : target->request.host;
    return gw_policy_permits(target->targets->policy, host, address, target->request.port);
}

static void dial(struct udp_target *target, const struct gw_target *where, bool is_own, struct gw_mono now)
{
    struct gw_dial_params params = {.target = where,
                                    .is_datagrams = true,
                                    .is_permitted = is_own ? NULL : is_permitted,
                                    .on_done = on_dialled,
                                    .user = target};
    target->state = STATE_DIALLING;
    int result = gw_dial(target->targets->frontend->dialer, &params, now, &target->dial);
    if (result >= 0)
        join(target, result, now);
    else if (result != -EINPROGRESS)
        udp_target_fail(target, now, gw_outcome_of_dial(result));
}

static void open_other(struct udp_target *target, struct gw_mono now)
{
    struct gw_target where;
    const struct gw_proxy_request *request = &target->request;
    bool is_ip = gw_addr_is_set(&request->ip);
    if (gw_target_set_host(&where, request->host, request->port) != 0)
        udp_target_fail(target, now, GW_OUTCOME_UNKNOWN_NAME);
    else if (!gw_policy_permits(target->targets->policy, is_ip ? NULL : request->host,
                                is_ip ? &request->ip : NULL, request->port))
        udp_target_fail(target, now, GW_OUTCOME_NOT_OURS);
    else
        dial(target, &where, false, now);
}

/* ---- whose is it? */

static void open_answer(struct udp_target *target, const struct gw_answer *answer, struct gw_mono now)
{
    const struct gw_frontend *frontend = target->targets->frontend;
    struct gw_open open;
    struct gw_target where;
    if (answer->peer && target->request.port && (answer->is_behind || gw_packet_is_needed(answer->peer, now)))
        udp_target_open_packets(target, answer->peer, &target->request.ip, now);
    else if (!connect_fill_open(&open, answer, target->request.port, true))
        udp_target_fail(target, now, GW_OUTCOME_NOT_LISTED);
    else if (answer->peer)
        open_flow(target, answer->peer, &open, now);
    else if (frontend->own_service && frontend->own_service(frontend->ctx, answer->gateway, &open, &where))
        dial(target, &where, true, now);
    else
        udp_target_fail(target, now, GW_OUTCOME_NOT_LISTED);
}

static void on_answer(const struct gw_answer *answer, void *ctx)
{
    struct udp_target *target = ctx;
    target->is_resolving = false;
    if (!target->targets) {
        free(target);
        return;
    }
    const struct gw_frontend *frontend = target->targets->frontend;
    struct gw_mono now = gw_loop_now(frontend->loop);
    if (answer->err == 0)
        open_answer(target, answer, now);
    else if (gw_resolver_is_ours(frontend->resolver, target->request.host))
        udp_target_fail(target, now, gw_outcome_of_error(answer->err));
    else
        open_other(target, now);
}

static void start(struct udp_target *target, struct gw_mono now)
{
    struct gw_resolver *resolver = target->targets->frontend->resolver;
    struct gw_answer answer;
    if (!gw_addr_is_set(&target->request.ip)) {
        target->is_resolving = true;
        gw_resolver_lookup(resolver, target->request.host, on_answer, target);
    } else if (gw_resolver_find_address(resolver, &target->request.ip, &answer)) {
        open_answer(target, &answer, now);
    } else {
        open_other(target, now);
    }
}

/* ---- the client's datagrams */

static struct udp_target *find(struct gw_udp_targets *targets, const uint8_t *header, size_t header_len)
{
    gw_list_for_each (node, &targets->list) {
        struct udp_target *target = gw_list_entry(node, struct udp_target, link);
        /* The first three bytes are zero, or not looked at. */
        if (target->header_len == header_len && memcmp(target->header + 3, header + 3, header_len - 3) == 0)
            return target;
    }
    return NULL;
}

static struct udp_target *new_target(struct gw_udp_targets *targets, const struct gw_proxy_request *request,
                                     const uint8_t *header, size_t header_len, struct gw_mono now)
{
    struct udp_target *target = calloc(1, sizeof *target);
    if (!target)
        return NULL;
    if (targets->count >= GW_UDP_TARGETS_MAX)
        udp_target_free(gw_list_entry(targets->list.prev, struct udp_target, link), now);
    target->targets = targets;
    target->state = STATE_RESOLVING;
    target->fd = -1;
    target->used = now;
    target->request = *request;
    target->header_len = header_len;
    memcpy(target->header + 3, header + 3, header_len - 3);
    gw_list_init(&target->link);
    gw_list_push_front(&targets->list, &target->link);
    targets->count++;
    return target;
}

bool gw_udp_targets_send(struct gw_udp_targets *targets, const struct gw_proxy_request *request,
                         const uint8_t *header, size_t header_len, const void *data, size_t len,
                         struct gw_mono now)
{
    struct udp_target *target = find(targets, header, header_len);
    if (!target) {
        target = new_target(targets, request, header, header_len, now);
        if (!target || !keep(target, data, len))
            return false;
        start(target, now);
        return true;
    }
    if (target->state == STATE_FAILED)
        return false;
    gw_list_remove(&target->link);
    gw_list_push_front(&targets->list, &target->link);
    target->used = now;
    if (target->state == STATE_FLOW || target->state == STATE_DIRECT || target->state == STATE_PACKETS)
        return send_now(target, data, len, now);
    return keep(target, data, len);
}

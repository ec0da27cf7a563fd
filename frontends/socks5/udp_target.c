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

/* ---- whose is it? */

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
        udp_target_dial(target, &where, false, now);
}

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
        udp_target_open_flow(target, answer->peer, &open, now);
    else if (frontend->own_service && frontend->own_service(frontend->ctx, answer->gateway, &open, &where))
        udp_target_dial(target, &where, true, now);
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

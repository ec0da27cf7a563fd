/* SPDX-License-Identifier: MIT */
/* Connections on their way to a service. States: looking up (fd is ours) -> splice (opened, then accepted, or refused and being told so), or a
 * dial and a pair where the name is this node's own. */
#include "gateway/daemon/connect_private.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/daemon/control.h"
#include "gateway/flow/class.h"

#include <errno.h>
#include <event2/event.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICK_MS 250

/* --- patience --- */

static void arm_tick(struct gw_connects *all)
{
    const struct timeval tv = {.tv_usec = TICK_MS * 1000};
    if (!gw_list_is_empty(&all->opening) && !evtimer_pending(all->tick, NULL))
        evtimer_add(all->tick, &tv);
}

void gw_connect_set_open(struct connect *connect)
{
    connect->peer = NULL;
    gw_list_remove(&connect->node);
    gw_list_push_back(&connect->all->list, &connect->node);
}

const char *gw_connect_explain(const struct connect *connect, char out[GW_CONNECT_SENTENCE_MAX],
                               unsigned long long reason, struct gw_mono now)
{
    struct gw_hindrance hindrance;
    const char *sentence = gw_reason_sentence(reason);
    if (connect->is_given_up && reason == GW_REASON_TIMED_OUT)
        sentence = "no answer came in time"; /* whether the service was asked at all is not known */
    if ((reason != GW_REASON_UNREACHABLE && reason != GW_REASON_TIMED_OUT) ||
        !gw_frontend_hindered(connect->all->frontend, connect->peer, &hindrance, now))
        return sentence;
    snprintf(out, GW_CONNECT_SENTENCE_MAX, "%s: %s", sentence, hindrance.sentence);
    return out;
}

static void give_up(struct connect *connect, struct gw_mono now, enum gw_reason reason)
{
    char sentence[GW_CONNECT_SENTENCE_MAX];
    connect->is_given_up = true;
    if (connect->splice) {
        gw_connect_give_up_flow(connect, now, reason);
        return;
    }
    if (connect->dial)
        gw_dial_cancel(connect->dial);
    if (connect->packet_dial)
        gw_packet_dial_cancel(connect->packet_dial);
    connect->dial = NULL;
    connect->packet_dial = NULL;
    gw_connect_fail(connect, gw_reason_name(reason), gw_connect_explain(connect, sentence, reason, now));
}

/* Whose time is over, and who waits for what will not happen. */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct gw_connects *all = arg;
    struct gw_mono now = gw_loop_now(all->frontend->loop);
    struct gw_peer *last = NULL;
    bool is_hopeless = false;
    (void)fd, (void)what;
    gw_list_for_each (node, &all->opening) {
        struct connect *connect = gw_list_entry(node, struct connect, node);
        struct gw_hindrance hindrance;
        if (connect->flow_peer != last)
            is_hopeless = gw_frontend_hindered(all->frontend, connect->flow_peer, &hindrance, now) &&
                          hindrance.is_final;
        last = connect->flow_peer;
        if (is_hopeless)
            give_up(connect, now, GW_REASON_UNREACHABLE);
        else if (gw_mono_sub(now, connect->since) >= gw_frontend_opening_timeout(all->frontend))
            give_up(connect, now, GW_REASON_TIMED_OUT);
    }
    arm_tick(all);
}

int gw_connects_init(struct gw_connects *all, const struct gw_frontend *frontend)
{
    *all = (struct gw_connects){.frontend = frontend};
    gw_list_init(&all->opening);
    gw_list_init(&all->list);
    gw_list_init(&all->verdicts);
    all->tick = evtimer_new(gw_loop_base(frontend->loop), on_tick, all);
    return all->tick ? 0 : GW_E_NOMEM;
}

/* --- the end --- */

void gw_connect_free(struct connect *connect)
{
    gw_list_remove(&connect->node);
    if (connect->fd >= 0)
        close(connect->fd);
    connect->fd = -1;
    free(connect->rest);
    connect->rest = NULL;
    connect->is_ended = true;
    if (!connect->is_looking_up)
        free(connect);
}

void gw_connect_end(struct connect *connect, struct gw_mono now)
{
    if (connect->splice)
        gw_splice_close(connect->splice, now, GW_REASON_CANCELLED);
    if (connect->dial)
        gw_dial_cancel(connect->dial);
    if (connect->pair)
        gw_pair_close(connect->pair);
    if (connect->packet_dial)
        gw_packet_dial_cancel(connect->packet_dial);
    if (connect->pump)
        gw_pump_close(connect->pump, now);
    gw_connect_free(connect);
}

static void end_group(struct gw_list *list, const void *group, struct gw_mono now)
{
    gw_list_for_each (node, list) {
        struct connect *connect = gw_list_entry(node, struct connect, node);
        if (!group || connect->group == group)
            gw_connect_end(connect, now);
    }
}

void gw_connects_end_group(struct gw_connects *all, const void *group, struct gw_mono now)
{
    end_group(&all->opening, group, now);
    end_group(&all->list, group, now);
}

void gw_connects_fini(struct gw_connects *all, struct gw_mono now)
{
    if (!all->list.next)
        return;
    gw_connects_end_group(all, NULL, now);
    if (all->tick)
        event_free(all->tick);
    all->tick = NULL;
}

void gw_connect_tell_failure(const struct connect *connect, const char *code, const char *sentence)
{
    if (connect->open.service[0])
        gw_log_info("%s of %s: %s", connect->open.service, connect->host, sentence);
    else
        gw_log_info("port %u of %s: %s", connect->open.port, connect->host, sentence);
    if (connect->on_failed)
        connect->on_failed(code, sentence, connect->group);
}

void gw_connect_fail(struct connect *connect, const char *code, const char *sentence)
{
    gw_connect_tell_failure(connect, code, sentence);
    char *line = connect->wants_json ? gw_control_fail_line(code, sentence) : NULL;
    if (line && send(connect->fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        gw_log_debug("control: nobody listens to the answer");
    free(line);
    gw_connect_free(connect);
}

void gw_connect_say_yes(const struct connect *connect, int client)
{
    char *line = connect->wants_json ? gw_control_reply_line(NULL) : NULL;
    if (line && send(client, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        gw_log_debug("control: nobody listens to the answer");
    free(line);
}

/* --- this node's own --- */

static void on_pair_end(struct gw_pair *pair, void *user)
{
    struct connect *connect = user;
    (void)pair;
    gw_verdict_tell(&connect->all->verdicts, connect->token, "", NULL);
    connect->pair = NULL;
    gw_connect_free(connect);
}

static void on_dialed(int fd, struct gw_mono now, void *user)
{
    struct connect *connect = user;
    connect->dial = NULL;
    (void)now;
    if (fd < 0) {
        gw_connect_fail(connect, gw_reason_name(gw_dial_reason(fd)), gw_reason_sentence(gw_dial_reason(fd)));
        return;
    }
    int client = connect->fd;
    connect->fd = -1;
    gw_connect_set_open(connect);
    gw_connect_say_yes(connect, client);
    if (gw_pair_new(&connect->pair, connect->all->frontend->loop, client, fd, connect->rest,
                    connect->rest_len, UINT64_MAX, on_pair_end, connect) != 0)
        gw_connect_free(connect);
}

static void dial_own(struct connect *connect, struct gateway *gateway)
{
    const struct gw_frontend *frontend = connect->all->frontend;
    struct gw_target target;
    if (!frontend->own_service(frontend->ctx, gateway, &connect->open, &target)) {
        gw_connect_fail(connect, gw_reason_name(GW_REASON_NOT_LISTED),
                        "this node itself has no such service");
        return;
    }
    const struct gw_dial_params params = {.target = &target, .on_done = on_dialed, .user = connect};
    struct gw_mono now = gw_loop_now(connect->all->frontend->loop);
    int fd = gw_dial(connect->all->frontend->dialer, &params, now, &connect->dial);
    if (fd != -EINPROGRESS)
        on_dialed(fd, now, connect);
}

/* --- the beginning --- */

/* service.host.network.p2p: the name may say the service. */
static void open_answer(struct connect *connect, const struct gw_answer *answer, const struct gw_addr *ip)
{
    struct gw_mono now = gw_loop_now(connect->all->frontend->loop);
    if (answer->service[0] && !connect->open.service[0])
        snprintf(connect->open.service, sizeof connect->open.service, "%s", answer->service);
    if (!connect->has_class)
        connect->open.class_ = (uint8_t)gw_class_of(connect->open.service, connect->open.port);
    if (answer->peer && (answer->is_behind || gw_packet_is_needed(answer->peer, now)))
        gw_connect_open_packets(connect, answer->peer, ip);
    else if (answer->peer)
        gw_connect_open_flow(connect, answer->peer);
    else
        dial_own(connect, answer->gateway);
}

static void on_answer(const struct gw_answer *answer, void *ctx)
{
    static const struct gw_addr own;
    struct connect *connect = ctx;
    connect->is_looking_up = false;
    if (connect->is_ended)
        free(connect);
    else if (answer->err == GW_E_MALFORMED || answer->err == GW_E_UNKNOWN)
        gw_connect_fail(connect, "unknown-name", "no peer has this name; `peergate peers` lists them");
    else if (answer->err != 0)
        gw_connect_fail(connect, "failed", gw_strerror(answer->err));
    else
        open_answer(connect, answer, &own);
}

static void look_up(struct connect *connect)
{
    struct gw_resolver *resolver = connect->all->frontend->resolver;
    struct gw_addr ip;
    struct gw_answer answer;
    if (gw_addr_parse_ip(&ip, connect->host, 0) != 0) {
        connect->is_looking_up = true;
        gw_resolver_lookup(resolver, connect->host, on_answer, connect);
    } else if (gw_resolver_find_address(resolver, &ip, &answer)) {
        open_answer(connect, &answer, &ip);
    } else {
        gw_connect_fail(connect, "unknown-name", "no peer has this address in its `allowed_ips`");
    }
}

void gw_connect_start(struct gw_connects *all, const struct gw_connect_params *params)
{
    struct connect *connect = calloc(1, sizeof *connect);
    if (!connect) {
        close(params->fd);
        free(params->rest);
        return;
    }
    connect->all = all;
    connect->fd = params->fd;
    connect->rest = params->rest;
    connect->rest_len = params->rest_len;
    connect->wants_json = params->wants_json;
    connect->group = params->group;
    connect->on_failed = params->on_failed;
    connect->has_class = params->has_class;
    connect->open.class_ = (uint8_t)params->class_;
    connect->open.port = params->port;
    snprintf(connect->host, sizeof connect->host, "%s", params->host);
    snprintf(connect->open.service, sizeof connect->open.service, "%s",
             params->service ? params->service : "");
    snprintf(connect->token, sizeof connect->token, "%s", params->token ? params->token : "");
    connect->since = gw_loop_now(all->frontend->loop);
    gw_list_push_back(&all->opening, &connect->node);
    arm_tick(all);
    look_up(connect);
}

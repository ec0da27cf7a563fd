/* SPDX-License-Identifier: MIT */
/* Connections on their way to a service. States: looking up (fd is ours) -> splice (opened, then accepted, or refused and being told so), or a
 * dial and a pair where the name is this node's own. */
#include "gateway/daemon/connect_private.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/daemon/control.h"
#include "gateway/flow/class.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void gw_connects_init(struct gw_connects *all, const struct gw_frontend *frontend)
{
    *all = (struct gw_connects){.frontend = frontend};
    gw_list_init(&all->list);
    gw_list_init(&all->verdicts);
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

void gw_connects_end_group(struct gw_connects *all, const void *group, struct gw_mono now)
{
    gw_list_for_each (node, &all->list) {
        struct connect *connect = gw_list_entry(node, struct connect, node);
        if (connect->group == group)
            gw_connect_end(connect, now);
    }
}

void gw_connects_fini(struct gw_connects *all, struct gw_mono now)
{
    if (!all->list.next)
        return;
    gw_list_for_each (node, &all->list)
        gw_connect_end(gw_list_entry(node, struct connect, node), now);
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
    gw_list_push_back(&all->list, &connect->node);
    look_up(connect);
}

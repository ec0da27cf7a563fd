/* SPDX-License-Identifier: MIT */
/* Connections on their way to a service. States: looking up (fd is ours) -> splice (opened, then accepted, or refused and being told so), or a
 * dial and a pair where the name is this node's own. */
#include "gateway/daemon/connect.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/daemon/control.h"
#include "gateway/flow/class.h"
#include "gateway/local/pair.h"
#include "gateway/local/splice.h"
#include "netstack/bridge/packet_dial.h"
#include "netstack/bridge/pump.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct connect {
    struct gw_list node;
    struct gw_connects *all;
    int fd; /* -1: a splice, pair or nobody has it */
    uint8_t *rest;
    size_t rest_len;
    char host[256];
    struct gw_open open;
    char token[GW_VERDICT_TOKEN_MAX + 1];
    bool has_class; /* in open; else it follows from what is opened */
    bool wants_json;
    bool is_looking_up; /* the resolver still has a pointer here */
    bool is_ended;      /* while it looks up: to be freed by the answer */
    const void *group;
    struct gw_splice *splice;
    struct gw_dial *dial;
    struct gw_pair *pair;
    struct gw_peer *flow_peer; /* while a flow is asked for */
    struct gw_packet_dial *packet_dial;
    struct gw_pump *pump;
};

void gw_connects_init(struct gw_connects *all, const struct gw_frontend *frontend)
{
    *all = (struct gw_connects){.frontend = frontend};
    gw_list_init(&all->list);
    gw_list_init(&all->verdicts);
}

/* --- the end --- */

static void free_connect(struct connect *connect)
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

static void end(struct connect *connect, struct gw_mono now)
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
    free_connect(connect);
}

void gw_connects_end_group(struct gw_connects *all, const void *group, struct gw_mono now)
{
    gw_list_for_each (node, &all->list) {
        struct connect *connect = gw_list_entry(node, struct connect, node);
        if (connect->group == group)
            end(connect, now);
    }
}

void gw_connects_fini(struct gw_connects *all, struct gw_mono now)
{
    if (!all->list.next)
        return;
    gw_list_for_each (node, &all->list)
        end(gw_list_entry(node, struct connect, node), now);
}

static void log_failure(const struct connect *connect, const char *sentence)
{
    if (connect->open.service[0])
        gw_log_info("%s of %s: %s", connect->open.service, connect->host, sentence);
    else
        gw_log_info("port %u of %s: %s", connect->open.port, connect->host, sentence);
}

/* The connection is still raw, and ours: says why, closes. */
static void fail(struct connect *connect, const char *code, const char *sentence)
{
    log_failure(connect, sentence);
    char *line = connect->wants_json ? gw_control_fail_line(code, sentence) : NULL;
    if (line && send(connect->fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        gw_log_debug("control: nobody listens to the answer");
    free(line);
    free_connect(connect);
}

/* An answer before the first byte; a fresh socket buffer has room for one line. */
static void say_yes(const struct connect *connect, int client)
{
    char *line = connect->wants_json ? gw_control_reply_line(NULL) : NULL;
    if (line && send(client, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        gw_log_debug("control: nobody listens to the answer");
    free(line);
}

/* --- by packets: a stock WireGuard peer, and what lies behind a peer --- */

static void on_pump_end(struct gw_pump *pump, struct gw_mono now, enum gw_reason reason, void *user)
{
    struct connect *connect = user;
    bool is_good = reason == GW_REASON_NONE;
    (void)pump, (void)now;
    gw_verdict_tell(&connect->all->verdicts, connect->token, gw_reason_name(reason),
                    is_good ? NULL : gw_reason_sentence(reason));
    connect->pump = NULL;
    free_connect(connect);
}

static void on_packets_open(struct gw_connection *connection, enum gw_reason reason, struct gw_mono now,
                            void *user)
{
    struct connect *connect = user;
    int client = connect->fd;
    connect->packet_dial = NULL;
    if (!connection) {
        fail(connect, gw_reason_name(reason), gw_reason_sentence(reason));
        return;
    }
    say_yes(connect, client);
    connect->fd = -1;
    connect->pump = gw_pump_new(connect->all->frontend->loop, client, false, on_pump_end, connect);
    if (!connect->pump)
        gw_connection_reset(connection, now);
    else if (gw_pump_join(connect->pump, now, connection, connect->rest, connect->rest_len, UINT64_MAX) == 0)
        return;
    connect->pump = NULL;
    free_connect(connect);
}

/* The socket is ours. to: as in gw_packet_dial_params. */
static void open_packets(struct connect *connect, struct gw_peer *peer, const struct gw_addr *to)
{
    const struct gw_frontend *frontend = connect->all->frontend;
    struct gw_packet_dial_params params = {
        .peer = peer, .to = *to, .on_done = on_packets_open, .user = connect};
    params.to.port = connect->open.port;
    if (connect->open.port == 0) {
        fail(connect, "failed", "it takes packets only: ask for a port, not for a service");
        return;
    }
    int err = gw_packet_dial(frontend->packets, &params, gw_loop_now(frontend->loop), &connect->packet_dial);
    if (err == -EADDRNOTAVAIL)
        fail(connect, "failed",
             "it takes packets only: give this node an `address`, and the peer `allowed_ips`");
    else if (err != 0)
        fail(connect, "failed", gw_strerror(err));
}

/* --- a peer's service --- */

static void on_accepted(struct gw_splice *splice, struct gw_mono now, void *user)
{
    struct connect *connect = user;
    char *line = connect->wants_json ? gw_control_reply_line(NULL) : NULL;
    int err = line ? gw_splice_head(splice, line, strlen(line)) : 0;
    free(line);
    if (err != 0)
        end(connect, now);
}

static void on_said(struct gw_splice *splice, struct gw_mono now, unsigned long long reason, void *user)
{
    struct connect *connect = user;
    (void)splice, (void)now, (void)reason;
    connect->splice = NULL;
    free_connect(connect);
}

static const struct gw_splice_events saying_events = {.on_end = on_said};

/* A last line; it stays in the list until that is out and the client has hung up. It may be gone afterwards. */
static void say_and_end(struct connect *connect, struct gw_mono now, const char *code, const char *sentence)
{
    char *line = connect->wants_json ? gw_control_fail_line(code, sentence) : NULL;
    log_failure(connect, sentence);
    gw_splice_set_owner(connect->splice, &saying_events, connect);
    gw_splice_say_and_close(connect->splice, now, line ? line : "", line ? strlen(line) : 0);
    free(line);
}

static void on_refused(struct gw_splice *splice, struct gw_mono now, unsigned long long reason, void *user)
{
    static const struct gw_addr own;
    struct connect *connect = user;
    if (reason == GW_REASON_UNREACHABLE && connect->flow_peer && !gw_splice_has_read(splice) &&
        gw_packet_is_needed(connect->flow_peer, now)) {
        connect->splice = NULL;
        connect->fd = gw_splice_detach(splice);
        open_packets(connect, connect->flow_peer, &own);
        return;
    }
    say_and_end(connect, now, gw_reason_name(reason), gw_reason_sentence(reason));
}

static void on_end(struct gw_splice *splice, struct gw_mono now, unsigned long long reason, void *user)
{
    struct connect *connect = user;
    (void)splice, (void)now;
    bool is_good = reason == GW_REASON_NONE;
    if (!is_good && reason != GW_REASON_CANCELLED)
        log_failure(connect, gw_reason_sentence(reason));
    gw_verdict_tell(&connect->all->verdicts, connect->token, gw_reason_name(reason),
                    is_good ? NULL : gw_reason_sentence(reason));
    connect->splice = NULL;
    free_connect(connect);
}

static const struct gw_splice_events splice_events = {
    .on_accepted = on_accepted,
    .on_refused = on_refused,
    .on_end = on_end,
};

static void open_flow(struct connect *connect, struct gw_peer *peer)
{
    struct gw_mono now = gw_loop_now(connect->all->frontend->loop);
    struct gw_stream *stream;
    int fd = connect->fd;

    connect->fd = -1;
    connect->splice = gw_splice_new(connect->all->frontend->loop, fd, &splice_events, connect);
    if (!connect->splice) {
        free_connect(connect);
        return;
    }
    connect->flow_peer = peer;
    int err = gw_peer_open(peer, now, &connect->open, &gw_splice_stream_ops, connect->splice, &stream);
    if (err == 0)
        err = gw_splice_bridge_opened(connect->splice, now, stream, connect->rest, connect->rest_len,
                                      GW_SPLICE_UNLIMITED);
    if (err == 0)
        return;
    if (err == GW_E_NO_SEAL)
        say_and_end(connect, now, gw_reason_name(GW_REASON_NO_SEAL), gw_reason_sentence(GW_REASON_NO_SEAL));
    else if (err == -EHOSTUNREACH)
        say_and_end(connect, now, gw_reason_name(GW_REASON_UNREACHABLE),
                    "no address of the peer is known: it needs an `endpoint`, or an anchor that both use");
    else
        say_and_end(connect, now, "failed", gw_strerror(err));
}

/* --- this node's own --- */

static void on_pair_end(struct gw_pair *pair, void *user)
{
    struct connect *connect = user;
    (void)pair;
    gw_verdict_tell(&connect->all->verdicts, connect->token, "", NULL);
    connect->pair = NULL;
    free_connect(connect);
}

static void on_dialed(int fd, struct gw_mono now, void *user)
{
    struct connect *connect = user;
    connect->dial = NULL;
    (void)now;
    if (fd < 0) {
        fail(connect, gw_reason_name(gw_dial_reason(fd)), gw_reason_sentence(gw_dial_reason(fd)));
        return;
    }
    int client = connect->fd;
    connect->fd = -1;
    say_yes(connect, client);
    if (gw_pair_new(&connect->pair, connect->all->frontend->loop, client, fd, connect->rest,
                    connect->rest_len, UINT64_MAX, on_pair_end, connect) != 0)
        free_connect(connect);
}

static void dial_own(struct connect *connect, struct gateway *gateway)
{
    const struct gw_frontend *frontend = connect->all->frontend;
    struct gw_target target;
    if (!frontend->own_service(frontend->ctx, gateway, &connect->open, &target)) {
        fail(connect, gw_reason_name(GW_REASON_NOT_LISTED), "this node itself has no such service");
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
        open_packets(connect, answer->peer, ip);
    else if (answer->peer)
        open_flow(connect, answer->peer);
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
        fail(connect, "unknown-name", "no peer has this name; `peergate peers` lists them");
    else if (answer->err != 0)
        fail(connect, "failed", gw_strerror(answer->err));
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
        fail(connect, "unknown-name", "no peer has this address in its `allowed_ips`");
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

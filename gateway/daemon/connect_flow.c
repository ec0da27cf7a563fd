/* SPDX-License-Identifier: MIT */
/* By a flow, to a peer's service. */
#include "gateway/daemon/connect_private.h"

#include "gateway/base/err.h"
#include "gateway/daemon/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void on_accepted(struct gw_splice *splice, struct gw_mono now, void *user)
{
    struct connect *connect = user;
    char *line = connect->wants_json ? gw_control_reply_line(NULL) : NULL;
    gw_connect_set_open(connect);
    connect->flow_peer = NULL;
    int err = line ? gw_splice_head(splice, line, strlen(line)) : 0;
    free(line);
    if (err != 0)
        gw_connect_end(connect, now);
}

static void on_said(struct gw_splice *splice, struct gw_mono now, unsigned long long reason, void *user)
{
    struct connect *connect = user;
    (void)splice, (void)now, (void)reason;
    connect->splice = NULL;
    gw_connect_free(connect);
}

static const struct gw_splice_events saying_events = {.on_end = on_said};

/* A last line; it stays in the list until that is out and the client has hung up. It may be gone afterwards. */
static void say_and_end(struct connect *connect, struct gw_mono now, const char *code, const char *sentence)
{
    char *line = connect->wants_json ? gw_control_fail_line(code, sentence) : NULL;
    gw_connect_tell_failure(connect, code, sentence);
    gw_connect_set_open(connect);
    connect->flow_peer = NULL;
    gw_splice_set_owner(connect->splice, &saying_events, connect);
    gw_splice_say_and_close(connect->splice, now, line ? line : "", line ? strlen(line) : 0);
    free(line);
}

static void on_refused(struct gw_splice *splice, struct gw_mono now, unsigned long long reason, void *user)
{
    static const struct gw_addr own;
    struct connect *connect = user;
    char sentence[GW_CONNECT_SENTENCE_MAX];
    if (reason == GW_REASON_UNREACHABLE && connect->flow_peer && !gw_splice_has_read(splice) &&
        gw_packet_is_needed(connect->flow_peer, now)) {
        connect->splice = NULL;
        connect->fd = gw_splice_detach(splice);
        struct gw_peer *peer = connect->flow_peer;
        connect->flow_peer = NULL;
        gw_connect_open_packets(connect, peer, &own);
        return;
    }
    say_and_end(connect, now, gw_reason_name(reason), gw_connect_explain(connect, sentence, reason, now));
}

void gw_connect_give_up_flow(struct connect *connect, struct gw_mono now, enum gw_reason reason)
{
    char sentence[GW_CONNECT_SENTENCE_MAX];
    gw_splice_unbridge(connect->splice, now, GW_REASON_CANCELLED);
    say_and_end(connect, now, gw_reason_name(reason), gw_connect_explain(connect, sentence, reason, now));
}

static void on_end(struct gw_splice *splice, struct gw_mono now, unsigned long long reason, void *user)
{
    struct connect *connect = user;
    (void)splice, (void)now;
    bool is_good = reason == GW_REASON_NONE;
    if (!is_good && reason != GW_REASON_CANCELLED)
        gw_connect_tell_failure(connect, gw_reason_name(reason), gw_reason_sentence(reason));
    gw_verdict_tell(&connect->all->verdicts, connect->token, gw_reason_name(reason),
                    is_good ? NULL : gw_reason_sentence(reason));
    connect->splice = NULL;
    gw_connect_free(connect);
}

static const struct gw_splice_events splice_events = {
    .on_accepted = on_accepted,
    .on_refused = on_refused,
    .on_end = on_end,
};

void gw_connect_open_flow(struct connect *connect, struct gw_peer *peer)
{
    struct gw_mono now = gw_loop_now(connect->all->frontend->loop);
    struct gw_stream *stream;
    int fd = connect->fd;

    connect->fd = -1;
    connect->splice = gw_splice_new(connect->all->frontend->loop, fd, &splice_events, connect);
    if (!connect->splice) {
        gw_connect_free(connect);
        return;
    }
    connect->flow_peer = connect->peer = peer;
    int err = gw_peer_open(peer, now, &connect->open, &gw_splice_stream_ops, connect->splice, &stream);
    if (err == 0)
        err = gw_splice_bridge_opened(connect->splice, now, stream, connect->rest, connect->rest_len,
                                      GW_SPLICE_UNLIMITED);
    if (err == 0)
        return;
    if (err == GW_E_NO_SEAL)
        say_and_end(connect, now, gw_reason_name(GW_REASON_NO_SEAL), gw_reason_sentence(GW_REASON_NO_SEAL));
    else if (err == GW_E_SHUT_OUT)
        say_and_end(connect, now, gw_reason_name(GW_REASON_SHUT_OUT), gw_reason_sentence(GW_REASON_SHUT_OUT));
    else if (err == -EHOSTUNREACH)
        say_and_end(connect, now, gw_reason_name(GW_REASON_UNREACHABLE),
                    "no address of the peer is known: it needs an `endpoint`, or an anchor that both use");
    else
        say_and_end(connect, now, "failed", gw_strerror(err));
}

/* SPDX-License-Identifier: MIT */
/* By packets: to a stock WireGuard peer, and to what lies behind a peer. */
#include "gateway/daemon/connect_private.h"

#include "gateway/base/err.h"

#include <errno.h>

static void on_pump_end(struct gw_pump *pump, struct gw_mono now, enum gw_reason reason, void *user)
{
    struct connect *connect = user;
    bool is_good = reason == GW_REASON_NONE;
    (void)pump, (void)now;
    if (!is_good && reason != GW_REASON_CANCELLED)
        gw_connect_tell_failure(connect, gw_reason_name(reason), gw_reason_sentence(reason));
    gw_verdict_tell(&connect->all->verdicts, connect->token, gw_reason_name(reason),
                    is_good ? NULL : gw_reason_sentence(reason));
    connect->pump = NULL;
    gw_connect_free(connect);
}

static void on_packets_open(struct gw_connection *connection, enum gw_reason reason, struct gw_mono now,
                            void *user)
{
    struct connect *connect = user;
    char sentence[GW_CONNECT_SENTENCE_MAX];
    int client = connect->fd;
    connect->packet_dial = NULL;
    if (reason != GW_REASON_TIMED_OUT)
        connect->peer = NULL; /* it may be what ended the dial by going */
    if (!connection) {
        gw_connect_fail(connect, gw_reason_name(reason), gw_connect_explain(connect, sentence, reason, now));
        return;
    }
    gw_connect_set_open(connect);
    gw_connect_say_yes(connect, client);
    connect->fd = -1;
    connect->pump = gw_pump_new(connect->all->frontend->loop, client, false, on_pump_end, connect);
    if (!connect->pump)
        gw_connection_reset(connection, now);
    else if (gw_pump_join(connect->pump, now, connection, connect->rest, connect->rest_len, UINT64_MAX) == 0)
        return;
    connect->pump = NULL;
    gw_connect_free(connect);
}

void gw_connect_open_packets(struct connect *connect, struct gw_peer *peer, const struct gw_addr *to)
{
    const struct gw_frontend *frontend = connect->all->frontend;
    struct gw_packet_dial_params params = {.peer = peer,
                                           .to = *to,
                                           .timeout_ns = gw_frontend_opening_timeout(frontend),
                                           .on_done = on_packets_open,
                                           .user = connect};
    connect->peer = peer;
    params.to.port = connect->open.port;
    if (connect->open.port == 0) {
        gw_connect_fail(connect, "failed", "it takes packets only: ask for a port, not for a service");
        return;
    }
    int err = gw_packet_dial(frontend->packets, &params, gw_loop_now(frontend->loop), &connect->packet_dial);
    if (err == -EADDRNOTAVAIL)
        gw_connect_fail(connect, "failed",
                        "it takes packets only: give this node an `address`, and the peer `allowed_ips`");
    else if (err != 0)
        gw_connect_fail(connect, "failed", gw_strerror(err));
}

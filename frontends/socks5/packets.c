/* SPDX-License-Identifier: MIT */
/* Connections by packets: to a stock WireGuard peer, and to what lies behind a peer (a subnet, an exit node). */
#include "frontends/socks5/private.h"
#include "gateway/base/err.h"

#include <errno.h>

static void on_pump_end(struct gw_pump *pump, struct gw_mono now, enum gw_reason reason, void *user)
{
    (void)pump, (void)now, (void)reason;
    session_free(user);
}

/* The client has its yes; its socket and the connection talk to each other from here. */
static void join(struct session *session, struct gw_connection *connection, struct gw_mono now)
{
    size_t len, answer_len;
    const struct gw_proxy *proxy = &session->opening->proxy;
    const void *first = gw_proxy_first(proxy, &len);
    const void *answer = gw_proxy_answer(&session->opening->proxy, GW_OUTCOME_OK, NULL, &answer_len);
    if (answer_len > 0 && gw_splice_head(session->splice, answer, answer_len) != 0) {
        gw_connection_reset(connection, now);
        session_close(session, now);
        return;
    }
    int client = gw_splice_detach(session->splice);
    session->splice = NULL;
    session->pump = gw_pump_new(session->socks5->frontend->loop, client, false, on_pump_end, session);
    if (!session->pump) {
        gw_connection_reset(connection, now);
        session_free(session);
        return;
    }
    if (gw_pump_join(session->pump, now, connection, first, len, gw_proxy_limit(proxy)) != 0) {
        session_free(session);
        return;
    }
    session_drop_opening(session);
    session_set_state(session, SESSION_OPEN, now);
}

static void on_dialled(struct gw_connection *connection, enum gw_reason reason, struct gw_mono now,
                       void *user)
{
    struct session *session = user;
    session->opening->packet_dial = NULL;
    if (reason != GW_REASON_TIMED_OUT)
        session->opening->peer = NULL; /* it may be what ended the dial by going */
    if (connection)
        join(session, connection, now);
    else
        session_refuse(session, now, gw_outcome_of_reason(reason));
}

void packets_start(struct session *session, struct gw_peer *peer, const struct gw_addr *to,
                   struct gw_mono now)
{
    const struct gw_socks5 *socks5 = session->socks5;
    struct gw_packet_dial_params params = {.peer = peer,
                                           .to = *to,
                                           .timeout_ns = socks5->dial_timeout_ns,
                                           .on_done = on_dialled,
                                           .user = session};
    params.to.port = session->opening->proxy.request.port;
    session->opening->peer = peer;
    session_set_state(session, SESSION_DIALLING, now);
    int err = socks5->frontend->packets
                  ? gw_packet_dial(socks5->frontend->packets, &params, now, &session->opening->packet_dial)
                  : -EPROTONOSUPPORT;
    if (err != 0)
        session_refuse(session, now, gw_outcome_of_error(err));
}

bool packets_try_instead(struct session *session, unsigned long long reason, struct gw_mono now)
{
    static const struct gw_addr own;
    struct opening *opening = session->opening;
    struct gw_peer *peer = opening->flow_peer;
    opening->flow_peer = NULL;
    if (reason != GW_REASON_UNREACHABLE || !peer || opening->proxy.request.port == 0 ||
        gw_splice_has_read(session->splice) || !gw_packet_is_needed(peer, now))
        return false;
    packets_start(session, peer, &own, now);
    return true;
}

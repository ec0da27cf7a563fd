/* SPDX-License-Identifier: MIT */
/* Datagrams by a flow, to a peer's service. */
#include "frontends/socks5/udp_target_private.h"

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
    .on_data = gw_stream_drop_data,
    .on_fin = on_fin,
    .on_writable = gw_stream_ignore,
    .on_datagram = on_datagram,
    .on_closed = on_closed,
};

void udp_target_open_flow(struct udp_target *target, struct gw_peer *peer, const struct gw_open *open,
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

/* SPDX-License-Identifier: MIT */
/* Datagrams by packets: to a stock WireGuard peer, and to what lies behind a peer. */
#include "frontends/socks5/udp_target_private.h"

#include "gateway/base/err.h"

#include <errno.h>

static void on_packet(struct gw_connection *connection, struct gw_mono now, const void *data, size_t len,
                      void *user)
{
    (void)connection;
    udp_target_reply(user, data, len, now);
}

static void on_packets_closed(struct gw_connection *connection, struct gw_mono now, enum gw_reason reason,
                              void *user)
{
    struct udp_target *target = user;
    (void)connection, (void)reason;
    target->connection = NULL;
    udp_target_free(target, now); /* idle for too long, or the peer went: the next datagram begins anew */
}

static const struct gw_connection_ops packet_ops = {.on_datagram = on_packet, .on_closed = on_packets_closed};

static void on_packets_ready(struct gw_connection *connection, enum gw_reason reason, struct gw_mono now,
                             void *user)
{
    struct udp_target *target = user;
    target->packet_dial = NULL;
    if (!connection) {
        udp_target_fail(target, now, gw_outcome_of_reason(reason));
        return;
    }
    target->connection = connection;
    target->state = STATE_PACKETS;
    gw_connection_set_user(connection, &packet_ops, target);
    udp_target_send_waiting(target, now);
}

void udp_target_open_packets(struct udp_target *target, struct gw_peer *peer, const struct gw_addr *to,
                             struct gw_mono now)
{
    struct gw_packet_dialer *dialer = target->targets->frontend->packets;
    struct gw_packet_dial_params params = {
        .peer = peer, .to = *to, .is_datagrams = true, .on_done = on_packets_ready, .user = target};
    params.to.port = target->request.port;
    target->state = STATE_DIALLING;
    int err = dialer ? gw_packet_dial(dialer, &params, now, &target->packet_dial) : -EPROTONOSUPPORT;
    if (err != 0)
        udp_target_fail(target, now, gw_outcome_of_error(err));
}

bool udp_target_try_packets(struct udp_target *target, unsigned long long reason, struct gw_mono now)
{
    static const struct gw_addr own;
    struct gw_peer *peer = target->flow_peer;
    target->flow_peer = NULL;
    if (reason != GW_REASON_UNREACHABLE || !peer || target->request.port == 0 ||
        !gw_packet_is_needed(peer, now))
        return false;
    udp_target_open_packets(target, peer, &own, now);
    return true;
}

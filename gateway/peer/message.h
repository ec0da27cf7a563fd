/* SPDX-License-Identifier: MIT */
/* CONTROL messages of the engine's own, to a peer (docs/PROTOCOL.md "CONTROL"). For gateway/ only. */
#ifndef GATEWAY_PEER_MESSAGE_H
#define GATEWAY_PEER_MESSAGE_H

#include "gateway/peer/peer.h"
#include "gateway/wire/control.pb.h"

/* It only answers a request: whoever gets it owes nothing for it, not even the keepalive that WireGuard sends when data stays unanswered. Both sides go by this
 * (docs/PROTOCOL.md, "Timers"). */
bool gw_message_is_answer(const peergate_Control *message);

/* Encodes and queues. As gw_peer_send_control. */
int gw_peer_send_message(struct gw_peer *peer, struct gw_mono now, const peergate_Control *message);
/* 0 or GW_E_MALFORMED. */
int gw_message_decode(peergate_Control *out, struct gw_view body);

#endif

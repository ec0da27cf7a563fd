/* SPDX-License-Identifier: MIT */
/* The engine's CONTROL messages, encoded and decoded; see message.h. */
#include "gateway/peer/message.h"

#include "gateway/base/err.h"
#include "gateway/base/secret.h"
#include "gateway/peer/peer_private.h"

#include <pb_decode.h>
#include <pb_encode.h>

bool gw_message_is_answer(const peergate_Control *message)
{
    return message->which_body == peergate_Control_register_reply_tag ||
           message->which_body == peergate_Control_endpoint_info_tag ||
           (message->which_body == peergate_Control_nat_probe_tag && message->body.nat_probe.is_answer) ||
           message->which_body == peergate_Control_initiate_punch_tag ||
           (message->which_body == peergate_Control_channel_grant_tag && message->number != 0);
}

int gw_peer_send_message(struct gw_peer *peer, struct gw_mono now, const peergate_Control *message)
{
    uint8_t body[GW_CONTROL_LEN_MAX];
    pb_ostream_t out = pb_ostream_from_buffer(body, sizeof body);
    int err = GW_E_TOO_BIG;
    if (pb_encode(&out, peergate_Control_fields, message))
        err = gw_peer_queue_control(peer, now, body, out.bytes_written, gw_message_is_answer(message));
    gw_wipe(body, sizeof body); /* keys of a channel may be in it */
    return err;
}

int gw_message_decode(peergate_Control *out, struct gw_view body)
{
    *out = (peergate_Control)peergate_Control_init_zero;
    pb_istream_t in = pb_istream_from_buffer(body.data, body.len);
    return pb_decode(&in, peergate_Control_fields, out) ? 0 : GW_E_MALFORMED;
}

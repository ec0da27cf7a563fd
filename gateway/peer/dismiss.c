/* SPDX-License-Identifier: MIT */
/* The end of a session that one side may not have any longer (its line in the files has expired or is gone): the last thing that it says is
 * DISMISS, and then it is silent, as to any stranger. Who hears it inside the session knows at once what else would be a time-out. */
#include "gateway/base/log.h"
#include "gateway/peer/peer_private.h"

#define SHUT_OUT_NS GW_S(60) /* so long nobody waits for a peer that said so */

bool gw_peer_dismiss(struct gw_peer *peer, struct gw_mono now, struct gw_train *train)
{
    struct gw_keypair *kp = gw_session_sending_key(peer->session, now);
    struct gw_path *path = gw_paths_current(&peer->paths);
    if (!kp || !path || !path->is_validated || gw_peer_is_stock(peer) || peer->kind != GW_PEER_PEERGATE ||
        !gw_peer_may_send_data(peer, gw_peer_suite(peer, kp)))
        return false;
    struct gw_writer w = gw_writer_of(train->slab + GW_DATA_HEADER_LEN + 1, GW_PAYLOAD_START);
    struct gw_writer body = gw_frame_begin(&w, GW_FRAME_DISMISS, 0);
    gw_frame_finish(&w, &body);
    return gw_peer_output_single(peer, kp, now, train, &path->tuple, gw_writer_len(&w), false);
}

void gw_peer_dismiss_input(struct gw_peer *peer, const struct gw_keypair *kp)
{
    /* Of an older session it says nothing about this one. */
    if (kp != peer->hello.kp)
        return;
    peer->is_dismissed_due = true;
    gw_peer_mark_ready(peer);
}

void gw_peer_dismissed(struct gw_peer *peer, struct gw_mono now)
{
    if (!peer->is_dismissed_due)
        return;
    peer->is_dismissed_due = false;
    peer->shut_out_at = now;
    gw_session_end(peer->session, now);
}

bool gw_peer_is_shut_out(const struct gw_peer *peer)
{
    return !gw_mono_is_never(peer->shut_out_at);
}

bool gw_peer_was_just_shut_out(const struct gw_peer *peer, struct gw_mono now)
{
    return gw_peer_is_shut_out(peer) && gw_mono_sub(now, peer->shut_out_at) < SHUT_OUT_NS;
}

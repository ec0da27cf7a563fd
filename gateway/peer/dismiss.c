/* SPDX-License-Identifier: MIT */
/* The last words of a session. DISMISS: the other side may not have one any longer (its line in the files has expired or is gone), and from then on hears nothing, as
 * any stranger. GOODBYE: this node ends, or the network on it. Who hears either inside the session knows at once what else would be a time-out. */
#include "gateway/base/log.h"
#include "gateway/peer/peer_private.h"

#define SHUT_OUT_NS GW_S(60) /* so long nobody waits for a peer that said so */

static bool output_word(struct gw_peer *peer, struct gw_mono now, struct gw_train *train,
                        enum gw_frame_type word)
{
    struct gw_keypair *kp = gw_session_sending_key(peer->session, now);
    struct gw_path *path = gw_paths_current(&peer->paths);
    if (!kp || !path || !path->is_validated || gw_peer_is_stock(peer) || peer->kind != GW_PEER_PEERGATE ||
        !gw_peer_may_send_data(peer, gw_peer_suite(peer, kp)))
        return false;
    struct gw_writer w = gw_writer_of(train->slab + GW_DATA_HEADER_LEN + 1, GW_PAYLOAD_START);
    struct gw_writer body = gw_frame_begin(&w, word, 0);
    gw_frame_finish(&w, &body);
    return gw_peer_output_single(peer, kp, now, train, &path->tuple, gw_writer_len(&w), false);
}

bool gw_peer_dismiss(struct gw_peer *peer, struct gw_mono now, struct gw_train *train)
{
    return output_word(peer, now, train, GW_FRAME_DISMISS);
}

bool gw_peer_say_goodbye(struct gw_peer *peer, struct gw_mono now, struct gw_train *train)
{
    struct gw_session_stats session;
    gw_session_stats(peer->session, &session);
    /* With keys that are left of a session which failed nobody is told, or woken. */
    if (session.state != GW_SESSION_ESTABLISHED && session.state != GW_SESSION_STALE)
        return false;
    return output_word(peer, now, train, GW_FRAME_GOODBYE);
}

void gw_peer_last_word_input(struct gw_peer *peer, const struct gw_keypair *kp, enum gw_frame_type word)
{
    /* Of an older session it says nothing about this one. */
    if (kp != peer->hello.kp)
        return;
    peer->is_dismissed_due |= word == GW_FRAME_DISMISS;
    peer->is_goodbye_due |= word == GW_FRAME_GOODBYE;
    gw_peer_mark_ready(peer);
}

void gw_peer_heed_last_word(struct gw_peer *peer, struct gw_mono now)
{
    bool is_dismissed = peer->is_dismissed_due, has_left = peer->is_goodbye_due;
    if (!is_dismissed && !has_left)
        return;
    peer->is_dismissed_due = peer->is_goodbye_due = false;
    if (is_dismissed) {
        peer->shut_out_at = now;
        gw_session_end(peer->session, now);
        return;
    }
    peer->ended_at = now;
    /* Nothing of what waits is worth a handshake with somebody who is not there. */
    gw_peer_queues_clear(&peer->queues);
    gw_session_leave(peer->session, now);
    gw_peer_flows_end(peer, now, GW_REASON_SHUTTING_DOWN);
}

bool gw_peer_is_shut_out(const struct gw_peer *peer)
{
    return !gw_mono_is_never(peer->shut_out_at);
}

bool gw_peer_was_just_shut_out(const struct gw_peer *peer, struct gw_mono now)
{
    return gw_peer_is_shut_out(peer) && gw_mono_sub(now, peer->shut_out_at) < SHUT_OUT_NS;
}

bool gw_peer_has_ended(const struct gw_peer *peer)
{
    return !gw_mono_is_never(peer->ended_at);
}

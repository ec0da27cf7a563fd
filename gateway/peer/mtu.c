/* SPDX-License-Identifier: MIT */
/* How large datagrams to the peer may be: ties the search of the current path (gateway/path/mtu.h) to HELLO, which says what the peer takes, to the flows, whose acks
 * confirm large packets, and to the system's refusals. Only the path in use is searched; what was found stays with the path. */
#include "gateway/base/log.h"
#include "gateway/peer/peer_private.h"

#define ETHERNET_V4 1472u
#define ETHERNET_V6 1452u
#define UNKNOWN_RTT_NS GW_MS(150)
#define SEARCH_INTERVAL_NS GW_MS(200) /* or 2 RTT */
#define VERIFY_INTERVAL_NS GW_MS(100) /* or RTT / 2 */

/* len: as a HELLO says it, so anything from 0 on. */
static uint16_t less_wrap(const struct gw_path *path, unsigned len)
{
    unsigned wrap = gw_tuple_is_relay(&path->tuple) ? GW_PATH_RELAY_OVERHEAD : 0;
    return (uint16_t)(len > wrap ? len - wrap : 0);
}

/* The largest datagram that both ends take. */
static uint16_t full_len(const struct gw_peer *peer, const struct gw_path *path)
{
    uint16_t ours = path->tuple.remote.family == 6 ? peer->host->mtu_v6 : peer->host->mtu_v4;
    return less_wrap(path, peer->remote_mtu && peer->remote_mtu < ours ? peer->remote_mtu : ours);
}

static struct gw_path *searched_path(struct gw_peer *peer)
{
    struct gw_path *path = gw_paths_current(&peer->paths);
    bool is_ours = peer->kind == GW_PEER_PEERGATE && !gw_peer_is_stock(peer);
    bool is_ready = peer->hello.kp && peer->hello.acked > 0;
    return path && path->is_validated && is_ours && is_ready && !gw_peer_holds_data(peer, &path->tuple)
               ? path
               : NULL;
}

static int64_t interval_of(const struct gw_peer *peer, const struct gw_path *path)
{
    int64_t rtt = path->rtt_ns > 0 ? path->rtt_ns : gw_peer_rtt(peer);
    bool is_verifying = path->mtu.state == GW_MTU_VERIFYING;
    int64_t least = is_verifying ? VERIFY_INTERVAL_NS : SEARCH_INTERVAL_NS;
    int64_t wait = (rtt > 0 ? rtt : UNKNOWN_RTT_NS) * (is_verifying ? 1 : 4) / 2;
    return wait > least ? wait : least;
}

static void told(struct gw_peer *peer, struct gw_mono now, const struct gw_path *path)
{
    gw_log_debug("peer %s: datagrams of %u bytes (%s)", gw_peer_name(peer), path->mtu.len,
                 gw_mtu_state_names[path->mtu.state]);
    gw_peer_mark_ready(peer); /* lanes have to know */
    gw_peer_report(peer, now);
}

bool gw_peer_mtu_take_probe(struct gw_peer *peer, struct gw_mono now, uint16_t *len,
                            uint8_t nonce[GW_MTU_NONCE_LEN])
{
    struct gw_path *path = searched_path(peer);
    if (!path)
        return false;
    struct gw_mtu *mtu = &path->mtu;
    uint16_t full = full_len(peer, path), was = mtu->len;
    uint16_t ethernet = less_wrap(path, path->tuple.remote.family == 6 ? ETHERNET_V6 : ETHERNET_V4);
    if (mtu->max != full)
        gw_mtu_begin(mtu, full, ethernet < full ? ethernet : 0, peer->host->random);
    if (gw_mtu_expire(mtu, now, peer->host->random))
        gw_peer_tell(peer, now, GW_LOG_INFO, "datagrams of %u bytes no longer get through, %u are used", was,
                     mtu->len);
    bool is_due = gw_mtu_take_probe(mtu, now, interval_of(peer, path), len, nonce);
    if (mtu->len != was)
        told(peer, now, path);
    return is_due;
}

bool gw_peer_mtu_answered(struct gw_peer *peer, struct gw_mono now, const uint8_t nonce[GW_MTU_NONCE_LEN])
{
    for (unsigned i = 0; i < peer->paths.count; i++) {
        struct gw_path *path = &peer->paths.list[i];
        uint16_t was = path->mtu.len;
        if (!gw_mtu_answered(&path->mtu, nonce, peer->host->random))
            continue;
        if (path->mtu.len != was)
            told(peer, now, path);
        gw_peer_rearm(peer);
        return true;
    }
    return false;
}

void gw_peer_mtu_sent(struct gw_peer *peer, struct gw_path *path, struct gw_mono now, uint16_t len)
{
    if (!searched_path(peer))
        return;
    gw_mtu_sent(&path->mtu, now, len);
    struct gw_mono at = gw_mtu_next_deadline(&path->mtu);
    /* One that is armed for sooner looks again; this is done for each train. */
    if (gw_mono_before(at, peer->deadline.at))
        gw_peer_rearm(peer);
}

void gw_peer_mtu_doubt(struct gw_peer *peer)
{
    struct gw_path *path = searched_path(peer);
    if (path)
        gw_mtu_doubt(&path->mtu, peer->host->random);
}

void gw_peer_mtu_flows_acked(struct gw_peer *peer)
{
    struct gw_path *path = gw_paths_current(&peer->paths);
    uint64_t full = gw_mux_full_acked(peer->mux);
    if (path && full != peer->full_acked_seen)
        gw_mtu_confirmed(&path->mtu);
    peer->full_acked_seen = full;
}

void gw_peer_mtu_refused(struct gw_peer *peer, struct gw_path *path, struct gw_mono now, size_t len)
{
    uint16_t was = path->mtu.len;
    gw_mtu_refused(&path->mtu, now, (uint16_t)len, peer->host->random);
    if (path->mtu.len != was)
        told(peer, now, path);
    gw_peer_mark_ready(peer);
}

void gw_peer_mtu_look_again(struct gw_peer *peer, struct gw_mono now)
{
    for (unsigned i = 0; i < peer->paths.count; i++)
        gw_mtu_look_again(&peer->paths.list[i].mtu, now);
    gw_peer_rearm(peer);
}

struct gw_mono gw_peer_mtu_deadline(struct gw_peer *peer)
{
    const struct gw_path *path = searched_path(peer);
    return path ? gw_mtu_next_deadline(&path->mtu) : GW_NEVER;
}

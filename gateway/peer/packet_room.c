/* SPDX-License-Identifier: MIT */
/* How long IP packets to a peer may be: by its path's size where that is searched for (mtu.c), by the link's where nobody answers probes. */
#include "gateway/base/log.h"
#include "gateway/peer/output_private.h"

#define NARROW_NS GW_S(600) /* as long as Linux keeps what it learned of a path */

/* A stock peer answers no probe: to it goes what the link takes, as WireGuard does, until the kernel says that the path takes less. */
static size_t stock_cap(const struct gw_peer *peer, const struct gw_path *path)
{
    size_t full = path->tuple.remote.family == 6 ? peer->host->mtu_v6 : peer->host->mtu_v4;
    bool is_narrow = path->narrow_len > 0 && !gw_mono_due(path->narrow_until, peer->host->now);
    return is_narrow && path->narrow_len < full ? path->narrow_len : full;
}

/* One that has not said yet what it is may be one, unless it came by a relay. */
bool gw_peer_heeds_icmp(const struct gw_peer *peer, const struct gw_path *path)
{
    return !gw_tuple_is_relay(&path->tuple) && (peer->kind != GW_PEER_PEERGATE || gw_peer_is_stock(peer));
}

size_t gw_peer_packet_cap(const struct gw_peer *peer, const struct gw_path *path)
{
    return gw_peer_heeds_icmp(peer, path) ? stock_cap(peer, path) : path->mtu.len;
}

void gw_peer_path_refused(struct gw_peer *peer, struct gw_path *path, size_t len, struct gw_mono now)
{
    static const uint16_t rungs[] = {1424, 1376, 1312, 1232, GW_PAYLOAD_START};
    for (size_t i = 0; i < sizeof rungs / sizeof *rungs; i++) {
        if (rungs[i] >= len && i + 1 < sizeof rungs / sizeof *rungs)
            continue;
        path->narrow_len = rungs[i];
        path->narrow_until = gw_mono_add(now, NARROW_NS);
        gw_log_info("peer %s: its path does not carry datagrams of %zu bytes, %u are tried",
                    gw_peer_name(peer), len, rungs[i]);
        return;
    }
}

size_t gw_peer_packet_room(const struct gw_peer *peer)
{
    const struct gw_path *path = gw_paths_current(&((struct gw_peer *)(uintptr_t)peer)->paths);
    bool is_plain = gw_peer_is_stock(peer) || (peer->kind == GW_PEER_UNKNOWN && !peer->config.has_ed25519);
    if (path && is_plain)
        return gw_suite_room(GW_SUITE_CHACHA20_POLY1305, stock_cap(peer, path));
    if (!path || !gw_peer_can_frag(peer))
        return SIZE_MAX;
    return 2 * gw_peer_frag_room(gw_build_frames_room(path->mtu.len, GW_SUITE_CHACHA20_POLY1305));
}

size_t gw_peer_packet_whole(const struct gw_peer *peer)
{
    const struct gw_path *path = gw_paths_current(&((struct gw_peer *)(uintptr_t)peer)->paths);
    size_t room = gw_peer_packet_room(peer);
    if (!path || !gw_peer_can_frag(peer))
        return room;
    bool is_found = path->mtu.state == GW_MTU_DONE || path->mtu.state == GW_MTU_VERIFYING;
    return is_found ? gw_suite_room(GW_SUITE_AEGIS128L, path->mtu.len) : SIZE_MAX;
}

bool gw_peer_lane_way(struct gw_peer *peer, struct gw_mono now, struct gw_keypair **kp, enum gw_suite *suite,
                      size_t *cap)
{
    const struct gw_path *path = gw_paths_current(&peer->paths);
    *kp = gw_session_sending_key(peer->session, now);
    if (!*kp || !path || !path->is_validated || path->tuple.link != GW_LINK_PRIMARY ||
        gw_peer_is_unreachable(peer))
        return false;
    *suite = gw_peer_suite(peer, *kp);
    *cap = gw_peer_packet_cap(peer, path);
    return gw_peer_may_send_data(peer, *suite);
}

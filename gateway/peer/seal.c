/* SPDX-License-Identifier: MIT */
/* Which seal goes to a peer, and whether both ends can live with it: `seal: required` at one and no suite at the other is a session through
 * which nothing but HELLO ever passes (docs/PROTOCOL.md, "When HELLOs are sent"). That is found out from what each says in its HELLO, told
 * once, and ends what waits. */
#include "gateway/base/log.h"
#include "gateway/peer/peer_private.h"

const char *const gw_seal_conflict_names[GW_SEAL_CONFLICT_COUNT] = {
    "none", "not-offered", "no-hardware", "demanded", "demanded-no-hardware", "wireguard"};

enum gw_suite gw_peer_suite(const struct gw_peer *peer, const struct gw_keypair *kp)
{
    uint8_t both = peer->config.seal == GW_SEAL_FORBIDDEN ? 0 : kp->peer_suites & peer->host->local.suites;
    if (both & GW_SUITE_BIT(GW_SUITE_AEGIS128L))
        return GW_SUITE_AEGIS128L;
    if (both & GW_SUITE_BIT(GW_SUITE_AEGIS256))
        return GW_SUITE_AEGIS256;
    return GW_SUITE_CHACHA20_POLY1305;
}

uint8_t gw_peer_advertised_suites(const struct gw_peer *peer)
{
    return peer->config.seal == GW_SEAL_FORBIDDEN ? 0 : peer->host->local.suites;
}

bool gw_peer_may_send_data(const struct gw_peer *peer, enum gw_suite suite)
{
    if (peer->seal_conflict != GW_SEAL_AGREED)
        return false;
    return peer->config.seal != GW_SEAL_REQUIRED || suite != GW_SUITE_CHACHA20_POLY1305;
}

static enum gw_seal_conflict judge(const struct gw_peer *peer)
{
    const struct gw_keypair *kp = peer->hello.kp;
    const bool has_hardware = peer->host->local.suites != 0;
    if (gw_peer_is_stock(peer))
        return peer->config.seal == GW_SEAL_REQUIRED ? GW_SEAL_WIREGUARD : GW_SEAL_AGREED;
    if (!kp || !kp->has_hello)
        return peer->seal_conflict; /* until this key pair's HELLO says something else */
    if (gw_peer_suite(peer, kp) != GW_SUITE_CHACHA20_POLY1305)
        return GW_SEAL_AGREED;
    if (peer->config.seal == GW_SEAL_REQUIRED)
        return has_hardware ? GW_SEAL_NOT_OFFERED : GW_SEAL_NO_HARDWARE;
    if (!peer->demands_seal)
        return GW_SEAL_AGREED;
    return peer->config.seal == GW_SEAL_FORBIDDEN ? GW_SEAL_DEMANDED : GW_SEAL_DEMANDED_NO_HARDWARE;
}

static void set_conflict(struct gw_peer *peer, enum gw_seal_conflict conflict, struct gw_mono now)
{
    if (conflict == peer->seal_conflict)
        return;
    gw_log_debug("peer %s: seal conflict %s -> %s", gw_peer_name(peer),
                 gw_seal_conflict_names[peer->seal_conflict], gw_seal_conflict_names[conflict]);
    peer->seal_conflict = conflict;
    if (conflict != GW_SEAL_AGREED)
        gw_peer_flows_end(peer, now, GW_REASON_NO_SEAL);
    gw_peer_report(peer, now);
}

void gw_peer_seal_check(struct gw_peer *peer, struct gw_mono now)
{
    set_conflict(peer, judge(peer), now);
}

void gw_peer_seal_changed(struct gw_peer *peer, struct gw_mono now)
{
    gw_peer_seal_check(peer, now);
    /* The peer hears it in the HELLO of the next key pair. */
    if (peer->hello.kp && gw_peer_has_endpoint(peer))
        gw_session_doubt(peer->session, now);
}

void gw_peer_seal_forget(struct gw_peer *peer, struct gw_mono now)
{
    peer->demands_seal = false;
    set_conflict(peer, gw_peer_is_stock(peer) ? judge(peer) : GW_SEAL_AGREED, now);
}

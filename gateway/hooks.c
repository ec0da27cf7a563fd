/* SPDX-License-Identifier: MIT */
/* What discovery and anchor hear of peers. CONTROL messages are decoded here once, and given to whom they are for. */
#include "gateway/base/secret.h"
#include "gateway/gateway_private.h"
#include "gateway/peer/message.h"

static void on_known(struct gw_peer *peer, struct gw_mono now, void *ctx)
{
    struct gateway *gateway = ctx;
    gw_discovery_peer_known(gateway->discovery, peer, now);
}

static void on_gone(struct gw_peer *peer, struct gw_mono now, void *ctx)
{
    struct gateway *gateway = ctx;
    (void)now;
    gw_discovery_peer_gone(gateway->discovery, peer);
    if (gateway->anchor)
        gw_anchor_peer_gone(gateway->anchor, peer);
}

static bool on_control(struct gw_peer *peer, struct gw_view body, struct gw_mono now, void *ctx)
{
    struct gateway *gateway = ctx;
    peergate_Control message;
    if (gw_message_decode(&message, body) != 0) {
        gateway->host.stats.dropped_inner++;
        return true;
    }
    bool is_taken = gw_discovery_control(gateway->discovery, peer, &message, now);
    if (!is_taken && gateway->anchor)
        is_taken = gw_anchor_control(gateway->anchor, peer, &message, now);
    else if (!is_taken)
        gw_anchor_decline(peer, &message, now);
    gw_wipe(&message, sizeof message);
    return is_taken;
}

static void on_changed(struct gw_peer *peer, struct gw_mono now, void *ctx)
{
    struct gateway *gateway = ctx;
    gw_discovery_peer_changed(gateway->discovery, peer, now);
    if (gateway->anchor)
        gw_anchor_peer_changed(gateway->anchor, peer, now);
}

static void on_wanted(struct gw_peer *peer, struct gw_mono now, void *ctx)
{
    struct gateway *gateway = ctx;
    gw_discovery_peer_wanted(gateway->discovery, peer, now);
}

void gw_hooks_init(struct gateway *gateway)
{
    gateway->host.hooks =
        (struct gw_peer_hooks){on_known, on_gone, on_control, on_changed, on_wanted, gateway};
}

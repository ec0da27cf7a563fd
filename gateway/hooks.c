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
    gw_discovery_peer_gone(gateway->discovery, peer);
    if (gateway->anchor)
        gw_anchor_peer_gone(gateway->anchor, peer, now);
}

bool gw_hooks_is_anchor(const struct gateway *gateway)
{
    return gateway->anchor && (!gateway->is_anchor_auto || gw_discovery_is_public(gateway->discovery));
}

static bool on_control(struct gw_peer *peer, struct gw_view body, struct gw_mono now, bool *is_answer,
                       void *ctx)
{
    struct gateway *gateway = ctx;
    peergate_Control message;
    if (gw_message_decode(&message, body) != 0) {
        gateway->host.stats.dropped_inner++;
        return true;
    }
    *is_answer = gw_message_is_answer(&message);
    bool is_taken = gw_discovery_control(gateway->discovery, peer, &message, now);
    if (!is_taken && gw_hooks_is_anchor(gateway))
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
    if (gateway->anchor && (gw_peer_has_ended(peer) || gw_peer_is_shut_out(peer)))
        gw_anchor_client_ended(gateway->anchor, peer, now); /* it is not there any more to be found */
    else if (gateway->anchor)
        gw_anchor_peer_changed(gateway->anchor, peer, now);
}

static void on_wanted(struct gw_peer *peer, struct gw_mono now, void *ctx)
{
    struct gateway *gateway = ctx;
    gw_discovery_peer_wanted(gateway->discovery, peer, now);
}

static void on_proven(struct gw_peer *peer, struct gw_mono now, void *ctx)
{
    struct gateway *gateway = ctx;
    gw_discovery_peer_proven(gateway->discovery, peer, now);
}

static void on_quiet(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *relay, void *ctx)
{
    struct gateway *gateway = ctx;
    (void)peer;
    gw_discovery_relay_quiet(gateway->discovery, now, relay);
}

static bool take_check(struct gw_peer *peer, struct gw_mono now, struct gw_tuple *to, uint8_t nonce[8],
                       void *ctx)
{
    (void)ctx;
    return gw_discovery_take_check(peer, now, to, nonce);
}

static bool on_check_answered(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *from,
                              const uint8_t nonce[8], struct gw_tuple *path, int64_t *rtt_ns, void *ctx)
{
    (void)ctx;
    return gw_discovery_check_answered(peer, now, from, nonce, path, rtt_ns);
}

static const struct gw_peer *relay_of(const struct gw_tuple *tuple, void *ctx)
{
    const struct gateway *gateway = ctx;
    return gw_discovery_relay_of(gateway->discovery, tuple);
}

static void on_challenged(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *from, void *ctx)
{
    (void)ctx;
    gw_discovery_challenged(peer, now, from);
}

void gw_hooks_init(struct gateway *gateway)
{
    gateway->host.hooks = (struct gw_peer_hooks){.on_known = on_known,
                                                 .on_gone = on_gone,
                                                 .on_control = on_control,
                                                 .on_changed = on_changed,
                                                 .on_wanted = on_wanted,
                                                 .on_proven = on_proven,
                                                 .on_quiet = on_quiet,
                                                 .take_check = take_check,
                                                 .on_check_answered = on_check_answered,
                                                 .relay_of = relay_of,
                                                 .on_challenged = on_challenged,
                                                 .ctx = gateway};
}

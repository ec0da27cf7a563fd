/* SPDX-License-Identifier: MIT */
/* Peers that offer to relay (GW_CAP_RELAY in HELLO). To whoever uses one it is an anchor, with four differences: it comes and goes with what its HELLO says; anchors go first; it is
 * kept company with (beats, a session that is made again) only while no anchor of ours helps, and with an anchor just registered with as long as there is a session anyway; and its word
 * about our NAT counts for nothing, that about our address only while there is no anchor. */
#include "gateway/discovery/discovery_private.h"

#include "gateway/base/log.h"

/* To whom one is a neighbour computes all tags for it and registers them: not as often as somebody may change his mind. */
#define OFFERS_RATE (1.0 / 60)
#define OFFERS_BURST 4.0
#define OFFER_AGAIN_NS GW_S(60)

void gw_neighbour_init(struct gw_reach *reach, struct gw_mono now)
{
    gw_bucket_init(&reach->offers, OFFERS_BURST, now);
    reach->offer_at = GW_NEVER;
}

bool gw_neighbours_are_needed(const struct gw_discovery *discovery)
{
    gw_list_for_each (node, &discovery->anchors) {
        const struct gw_anchor_use *use = gw_list_entry(node, struct gw_anchor_use, node);
        if (!use->is_neighbour && use->is_registered && !use->is_silent)
            return false;
    }
    return true;
}

bool gw_neighbour_is_believed(const struct gw_anchor_use *use)
{
    return !use->is_neighbour || gw_neighbours_are_needed(use->discovery);
}

static unsigned count_of(const struct gw_discovery *discovery)
{
    unsigned count = 0;
    gw_list_for_each (node, &discovery->anchors)
        count += gw_list_entry(node, struct gw_anchor_use, node)->is_neighbour;
    return count;
}

void gw_neighbour_changed(struct gw_discovery *discovery, struct gw_peer *peer, struct gw_mono now)
{
    struct gw_anchor_use *use = peer->anchor_use;
    bool may_be = peer->config.is_listed && !peer->config.is_anchor && peer->reach &&
                  peer->config.path != GW_PATH_RELAY; /* that one is told none of our addresses */
    bool offers = may_be && peer->kind == GW_PEER_PEERGATE && (peer->remote_capabilities & GW_CAP_RELAY) != 0;
    if (peer->reach)
        peer->reach->offer_at = GW_NEVER;
    if (use && use->is_neighbour && !offers) {
        gw_peer_tell(peer, now, GW_LOG_INFO, "relays no more");
        gw_anchor_use_free(use);
        return;
    }
    if (use || !offers || count_of(discovery) >= GW_NEIGHBOURS_MAX)
        return;
    if (!gw_bucket_take(&peer->reach->offers, OFFERS_RATE, OFFERS_BURST, 1, now)) {
        peer->reach->offer_at = gw_mono_add(now, OFFER_AGAIN_NS);
        gw_reach_rearm(peer->reach, now);
    } else if (gw_anchor_use_new(discovery, peer, true, now) == 0) {
        gw_peer_tell(peer, now, GW_LOG_INFO, "relays between its peers");
    }
}

void gw_neighbours_wake(struct gw_discovery *discovery, struct gw_mono now)
{
    if (!gw_neighbours_are_needed(discovery))
        return;
    gw_list_for_each (node, &discovery->anchors) {
        struct gw_anchor_use *use = gw_list_entry(node, struct gw_anchor_use, node);
        if (use->is_neighbour)
            gw_anchor_use_resume(use, now);
    }
}

bool gw_neighbours_make_room(struct gw_discovery *discovery)
{
    gw_list_for_each (node, &discovery->anchors) {
        struct gw_anchor_use *use = gw_list_entry(node, struct gw_anchor_use, node);
        if (!use->is_neighbour)
            continue;
        gw_anchor_use_free(use);
        return true;
    }
    return false;
}

/* SPDX-License-Identifier: MIT */
/* One peer that can be found through anchors. */
#include "gateway/discovery/discovery_private.h"

#include "gateway/base/err.h"
#include "gateway/base/secret.h"

#include <stdlib.h>
#include <string.h>

#define TAG_LABEL "peergate rendezvous v1"

/* tag = KDF(DH(a, B), label || anchor key): the same for both of us, of no meaning to the anchor, another one with each anchor. */
void gw_reach_compute_tag(struct gw_reach *reach, const struct gw_anchor_use *use)
{
    uint8_t out[GW_HASH_LEN];
    gw_session_static_kdf(reach->peer->session, TAG_LABEL, use->peer->config.public_key, GW_KEY_LEN, out);
    memcpy(reach->tags[use->slot], out, GW_TAG_LEN);
    gw_wipe(out, sizeof out);
}

int gw_reach_new(struct gw_discovery *discovery, struct gw_peer *peer, struct gw_mono now)
{
    struct gw_reach *reach = calloc(1, sizeof *reach);
    if (!reach)
        return GW_E_NOMEM;
    reach->discovery = discovery;
    reach->peer = peer;
    gw_list_push_back(&discovery->reaches, &reach->node);
    peer->reach = reach;
    gw_list_for_each (node, &discovery->anchors) {
        struct gw_anchor_use *use = gw_list_entry(node, struct gw_anchor_use, node);
        gw_reach_compute_tag(reach, use);
        gw_anchor_use_renew(use, now);
    }
    return 0;
}

void gw_reach_free(struct gw_reach *reach, struct gw_mono now)
{
    struct gw_discovery *discovery = reach->discovery;
    gw_list_for_each (node, &discovery->anchors)
        gw_anchor_use_forget(gw_list_entry(node, struct gw_anchor_use, node), reach, now);
    gw_list_remove(&reach->node);
    reach->peer->reach = NULL;
    gw_wipe(reach, sizeof *reach);
    free(reach);
}

/* SPDX-License-Identifier: MIT */
/* Finding peers through anchors. Peers whose configuration says is_anchor are anchors of ours: each gets a session, and with it this node registers one rendezvous
 * tag for every other peer (docs/PROTOCOL.md, "Anchors"). Only hears of peers by gw_peer_hooks and speaks to them by CONTROL
 * messages. Sans-IO. */
#ifndef GATEWAY_DISCOVERY_DISCOVERY_H
#define GATEWAY_DISCOVERY_DISCOVERY_H

#include "gateway/discovery/view.h"
#include "gateway/peer/host.h"
#include "gateway/wire/candidate.h"

struct gw_discovery;

/* host is borrowed for life. 0 or GW_E_NOMEM. */
int gw_discovery_new(struct gw_discovery **out, struct gw_peer_host *host);
/* Every peer must be gone. NULL is fine. */
void gw_discovery_free(struct gw_discovery *discovery);

/* Where this node may be reached, as far as it can tell itself: its interfaces' addresses and the configured ones, best first. Copied; at most
 * GW_CANDIDATES_MAX - 2 are kept (two places are for observed ones). */
void gw_discovery_set_addresses(struct gw_discovery *discovery, struct gw_mono now,
                                const struct gw_candidate *list, unsigned count);

/* From gw_peer_hooks. control: true when the message was ours. */
void gw_discovery_peer_known(struct gw_discovery *discovery, struct gw_peer *peer, struct gw_mono now);
void gw_discovery_peer_gone(struct gw_discovery *discovery, struct gw_peer *peer);
void gw_discovery_peer_changed(struct gw_discovery *discovery, struct gw_peer *peer, struct gw_mono now);
bool gw_discovery_control(struct gw_discovery *discovery, struct gw_peer *peer,
                          const peergate_Control *message, struct gw_mono now);

/* For status. NULL starts, NULL ends. */
const struct gw_anchor_use *gw_discovery_next_anchor(const struct gw_discovery *discovery,
                                                     const struct gw_anchor_use *use);
void gw_anchor_use_view(const struct gw_anchor_use *use, struct gw_mono now, struct gw_anchor_view *out);

#endif

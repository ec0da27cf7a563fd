/* SPDX-License-Identifier: MIT */
/* Anchors between the files and the engine: what this node allows as one, where it says that it may be reached, and what status says of it. */
#ifndef GATEWAY_DAEMON_ANCHOR_SETUP_H
#define GATEWAY_DAEMON_ANCHOR_SETUP_H

#include "gateway/anchor/params.h"
#include "gateway/daemon/network.h"

#include <jansson.h>

/* What the configuration allows, for gw_gateway_params. Changing `role`, `relay` and the fleet needs a restart. */
void gw_anchor_setup_params(struct gw_anchor_params *out, const struct gw_config_network *config);
/* Tells the engine what may be relayed, after a reload. */
void gw_anchor_setup_limits(struct gw_network *network, struct gw_mono now);
/* Tells the engine this machine's addresses: at the start, after a reload, when the network changed. Virtual addresses of ours are left out. */
void gw_anchor_setup_addresses(struct gw_network *network, struct gw_mono now);

/* A path as people see it: `kind`, `endpoint` and, of a relay, the `transport` to it. */
void gw_anchor_setup_describe_path(json_t *object, const struct gw_peer *peer, const struct gw_tuple *path,
                                   struct gw_mono now);
/* Appends the anchors that this node uses in the network. */
void gw_anchor_setup_add_anchors(json_t *list, const struct gw_network *network, struct gw_mono now);
/* The NAT in front of it, as measured (docs/CONTROL.md, `nat`). */
json_t *gw_anchor_setup_nat_json(const struct gw_network *network, struct gw_mono now);
/* Whether anybody can reach it, and how that is known (docs/CONTROL.md, `public`). */
json_t *gw_anchor_setup_public_json(const struct gw_network *network, struct gw_mono now);
/* What a person reads of that: why a node with `role: auto` is no anchor, say. "" where there is nothing to say. */
const char *gw_anchor_setup_public_text(const char *reason);
/* What it does as an anchor itself; null when it is none. */
json_t *gw_anchor_setup_serving_json(const struct gw_network *network);

#endif

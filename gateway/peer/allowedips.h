/* SPDX-License-Identifier: MIT */
/* Prefix -> peer (the engine's, or the lanes' part of it), longest match: cryptokey routing (WireGuard paper 2). A path-compressed binary trie for each family; looked up for every
 * packet, built anew when a peer changes, which is rare. */
#ifndef GATEWAY_PEER_ALLOWEDIPS_H
#define GATEWAY_PEER_ALLOWEDIPS_H

#include "gateway/peer/config.h"

struct gw_allowedips_node;

struct gw_allowedips {
    struct gw_allowedips_node *root_v4, *root_v6;
};

void gw_allowedips_init(struct gw_allowedips *table);
/* Forgets all. */
void gw_allowedips_clear(struct gw_allowedips *table);
/* The later of two equal prefixes wins. 0, GW_E_NOMEM, GW_E_INVAL (family or bits). */
int gw_allowedips_insert(struct gw_allowedips *table, const struct gw_prefix *prefix, void *peer);
void *gw_allowedips_find(const struct gw_allowedips *table, const struct gw_addr *ip);

#endif

/* SPDX-License-Identifier: MIT */
/* The tier that needs no table: a peer ID is its own name. It answers for peers that some gateway knows. */
#ifndef RESOLVER_PEER_ID_TIER_H
#define RESOLVER_PEER_ID_TIER_H

#include "resolver/resolver.h"

/* Fills gateway, peer and tier. false = no gateway has that peer, or the key is none. */
bool gw_peer_id_tier_find(struct gw_resolver *resolver, const uint8_t ed25519[32], struct gw_answer *answer);

#endif

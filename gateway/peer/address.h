/* SPDX-License-Identifier: MIT */
/* Which of the addresses that are routed to a peer are its own, and which lie behind it: its own are where its services are, what lies behind it is reached by
 * packets only. */
#ifndef GATEWAY_PEER_ADDRESS_H
#define GATEWAY_PEER_ADDRESS_H

#include "gateway/peer/config.h"

/* Its own are its alias here (without one, the first single IPv4 address of allowed_ips), the first single IPv6 address, and every single IPv6 address in the range that addresses are derived
 * in. The first of a family, or NULL. */
const struct gw_addr *gw_peer_config_address(const struct gw_peer_config *config, uint8_t family);
bool gw_peer_config_owns(const struct gw_peer_config *config, const struct gw_addr *ip);

#endif

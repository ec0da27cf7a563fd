/* SPDX-License-Identifier: MIT */
/* Virtual addresses as the daemon uses them: our own, and for each peer those that are routed to it without a word of the owner's (its ULA, and its IPv4 alias,
 * kept in DIR/state/addresses). */
#ifndef GATEWAY_DAEMON_ADDRESSES_H
#define GATEWAY_DAEMON_ADDRESSES_H

#include "gateway/config/config.h"
#include "gateway/daemon/vip_state.h"

#define GW_ADDRESSES_OWN_MAX 3u
#define GW_ULA_BITS 48u

/* Ours, on this machine (in alias_range where the network has one): IPv4 (configured, else derived from the key), the IPv6 address that is configured, if one is, and
 * the one that follows from the key. What the configuration gives to a peer is not taken. Pure; how many. */
size_t gw_addresses_own(const struct gw_config_network *config, const uint8_t key[GW_KEY_LEN],
                        struct gw_prefix out[GW_ADDRESSES_OWN_MAX]);
/* What peers are told: one of each family, IPv4 as the network knows it. */
void gw_addresses_told(const struct gw_config_network *config, const uint8_t key[GW_KEY_LEN],
                       struct gw_addr out[2]);
/* The address that the owner gives the peer: of its tunnel_ips, else of IPv4 the first single one of its allowed_ips. NULL: none. */
const struct gw_addr *gw_addresses_configured(const struct gw_config_peer *peer, uint8_t family);
/* Where those of peers are without a TUN. */
extern const struct gw_prefix gw_addresses_local_range;
/* Where the network's IPv4 addresses are on this machine. */
const struct gw_prefix *gw_addresses_range(const struct gw_config_network *config);
/* All of fd83:e128:5e51::/48. */
struct gw_prefix gw_addresses_ula(void);

/* The table for this configuration and engine, open; space: the daemon's; what the configuration gives its peers is in it. state_dir: DIR/state. As gw_vip_state_open. */
int gw_addresses_open(struct gw_vip_state *state, const char *state_dir,
                      const struct gw_config_network *config, struct gw_vip_space *space,
                      struct gateway *gateway);
/* Adds to the peer's allowed_ips what is its without being written there, and says what it is called here and there. configured: of config.yaml; NULL for a peer that
 * is in authorized_keys only. What fails (a range that is used up) is logged. */
void gw_addresses_give(struct gw_vip_state *state, struct gw_peer_config *peer,
                       const struct gw_config_peer *configured);

#endif

/* SPDX-License-Identifier: MIT */
/* Which flow a packet is of, the same for both directions: as a key of both ends, and as a keyed hash of it, for tables that strangers cannot aim at. */
#ifndef GATEWAY_PACKET_FLOW_H
#define GATEWAY_PACKET_FLOW_H

#include "gateway/packet/ip.h"

#include <assert.h>

#define GW_FLOW_SEED_LEN 16u

struct gw_flow_key {
    uint8_t local[16], remote[16];
    uint32_t ports; /* local, remote; or what else tells them apart */
    uint8_t family, protocol, zero[2];
};
static_assert(sizeof(struct gw_flow_key) == 40, "hashed and compared without padding");

/* The addresses only. Of a packet that gw_ip_parse took, both. */
void gw_flow_key_of_addresses(struct gw_flow_key *key, const uint8_t *packet, const struct gw_ip *ip,
                              bool is_inbound);
/* With the ports of TCP and UDP; of what begins with its layer-4 header, 4 bytes of it at least. */
void gw_flow_key_of(struct gw_flow_key *key, const uint8_t *packet, const struct gw_ip *ip, bool is_inbound);
/* The same of a flow whose ends are known, ports and all. */
void gw_flow_key_of_ends(struct gw_flow_key *key, uint8_t protocol, const struct gw_addr *local,
                         const struct gw_addr *remote);
/* Bits 0 and 1 are 1 and 0. */
uint64_t gw_flow_tag(const struct gw_flow_key *key, const uint8_t seed[GW_FLOW_SEED_LEN]);

static inline bool gw_flow_has_ports(const struct gw_ip *ip)
{
    return ip->protocol == GW_IP_TCP || ip->protocol == GW_IP_UDP;
}

#endif

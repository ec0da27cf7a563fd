/* SPDX-License-Identifier: MIT */
/* Flows of packets; see flow.h. */
#include "gateway/packet/flow.h"

#include <sodium.h>
#include <string.h>

static_assert(crypto_shorthash_KEYBYTES == GW_FLOW_SEED_LEN, "the seed is SipHash's key");
static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "a tag is SipHash's output");

void gw_flow_key_of_addresses(struct gw_flow_key *key, const uint8_t *packet, const struct gw_ip *ip,
                              bool is_inbound)
{
    size_t len = ip->version == 6 ? 16 : 4, at = ip->version == 6 ? 8 : 12;
    memset(key, 0, sizeof *key);
    memcpy(is_inbound ? key->remote : key->local, packet + at, len);
    memcpy(is_inbound ? key->local : key->remote, packet + at + len, len);
    key->family = ip->version;
    key->protocol = ip->protocol;
}

void gw_flow_key_of(struct gw_flow_key *key, const uint8_t *packet, const struct gw_ip *ip, bool is_inbound)
{
    gw_flow_key_of_addresses(key, packet, ip, is_inbound);
    if (!gw_flow_has_ports(ip))
        return;
    uint32_t first = gw_load16_be(packet + ip->l4), second = gw_load16_be(packet + ip->l4 + 2);
    key->ports = is_inbound ? second << 16 | first : first << 16 | second;
}

void gw_flow_key_of_ends(struct gw_flow_key *key, uint8_t protocol, const struct gw_addr *local,
                         const struct gw_addr *remote)
{
    *key = (struct gw_flow_key){
        .ports = (uint32_t)local->port << 16 | remote->port, .family = local->family, .protocol = protocol};
    memcpy(key->local, local->ip, sizeof key->local);
    memcpy(key->remote, remote->ip, sizeof key->remote);
}

uint64_t gw_flow_tag(const struct gw_flow_key *key, const uint8_t seed[GW_FLOW_SEED_LEN])
{
    uint64_t tag;
    crypto_shorthash((uint8_t *)&tag, (const uint8_t *)key, sizeof *key, seed);
    return (tag & ~UINT64_C(3)) | 1;
}

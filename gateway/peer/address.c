/* SPDX-License-Identifier: MIT */
#include "gateway/peer/address.h"

#include <string.h>

/* docs/PROTOCOL.md, "Virtual addresses". */
static const uint8_t derived_range[6] = {0xfd, 0x83, 0xe1, 0x28, 0x5e, 0x51};

static bool is_single(const struct gw_prefix *prefix)
{
    return prefix->bits == (prefix->ip.family == 6 ? 128 : 32);
}

const struct gw_addr *gw_peer_config_address(const struct gw_peer_config *config, uint8_t family)
{
    if (family == 4 && config->alias.family == 4)
        return &config->alias;
    for (unsigned i = 0; i < config->allowed_ip_count; i++) {
        const struct gw_prefix *prefix = &config->allowed_ips[i];
        if (prefix->ip.family == family && is_single(prefix))
            return &prefix->ip;
    }
    return NULL;
}

bool gw_peer_config_owns(const struct gw_peer_config *config, const struct gw_addr *ip)
{
    const struct gw_addr *first = gw_peer_config_address(config, ip->family);
    if (first && gw_addr_same_ip(first, ip))
        return true;
    if (ip->family != 6 || memcmp(ip->ip, derived_range, sizeof derived_range) != 0)
        return false;
    for (unsigned i = 0; i < config->allowed_ip_count; i++) {
        if (is_single(&config->allowed_ips[i]) && gw_addr_same_ip(&config->allowed_ips[i].ip, ip))
            return true;
    }
    return false;
}

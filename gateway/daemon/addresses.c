/* SPDX-License-Identifier: MIT */
/* From the table of virtual addresses to what the engine routes; see addresses.h. */
#include "gateway/daemon/addresses.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <string.h>

#define OWN_ATTEMPTS 64u

const struct gw_prefix gw_addresses_local_range = {.ip = {.family = 4, .ip = {127, 64}}, .bits = 16};

struct gw_prefix gw_addresses_ula(void)
{
    return (struct gw_prefix){.ip = {.family = 6, .ip = {0xfd, GW_VIP_NETWORK}}, .bits = GW_ULA_BITS};
}

/* ---- ours */

static bool is_a_peers(const struct gw_config_network *config, const struct gw_addr *address)
{
    for (size_t i = 0; i < config->peers.count; i++) {
        const struct gw_addr *theirs = gw_addresses_configured(&config->peers.items[i], address->family);
        if (theirs && gw_addr_same_ip(theirs, address))
            return true;
    }
    return false;
}

static const struct gw_prefix *configured_own(const struct gw_config_network *config, uint8_t family)
{
    for (size_t i = 0; i < config->addresses.count; i++) {
        if (config->addresses.items[i].ip.family == family)
            return &config->addresses.items[i];
    }
    return NULL;
}

static struct gw_prefix own_ipv4(const struct gw_config_network *config, const uint8_t key[GW_KEY_LEN])
{
    const struct gw_prefix *configured = configured_own(config, 4);
    struct gw_prefix own = {.bits = config->address_range.bits};
    if (configured)
        return *configured;
    for (unsigned attempt = 0; attempt < OWN_ATTEMPTS; attempt++) {
        gw_vip_derive_ipv4(&config->address_range, key, attempt, &own.ip);
        if (!is_a_peers(config, &own.ip))
            break;
    }
    return own;
}

const struct gw_prefix *gw_addresses_range(const struct gw_config_network *config)
{
    return config->alias_range.ip.family == 4 ? &config->alias_range : &config->address_range;
}

/* From where the network has it to where it is on this machine; what lies outside the range is the same. */
static void place(const struct gw_config_network *config, struct gw_addr *address)
{
    uint32_t hosts = UINT32_MAX >> config->address_range.bits;
    uint32_t wire = gw_load32_be(address->ip), range = gw_load32_be(config->address_range.ip.ip);
    if (((wire ^ range) & ~hosts) == 0)
        gw_store32_be(address->ip,
                      (gw_load32_be(gw_addresses_range(config)->ip.ip) & ~hosts) | (wire & hosts));
}

size_t gw_addresses_own(const struct gw_config_network *config, const uint8_t key[GW_KEY_LEN],
                        struct gw_prefix out[GW_ADDRESSES_OWN_MAX])
{
    const struct gw_prefix *ipv6 = configured_own(config, 6);
    struct gw_prefix ula = {.bits = GW_ULA_BITS};
    size_t count = 0;
    gw_vip_ipv6(key, &ula.ip);
    out[count] = own_ipv4(config, key);
    place(config, &out[count++].ip);
    if (ipv6 && !gw_addr_same_ip(&ipv6->ip, &ula.ip))
        out[count++] = *ipv6;
    out[count++] = ula;
    return count;
}

void gw_addresses_told(const struct gw_config_network *config, const uint8_t key[GW_KEY_LEN],
                       struct gw_addr out[2])
{
    struct gw_prefix own[GW_ADDRESSES_OWN_MAX];
    gw_addresses_own(config, key, own);
    out[0] = own_ipv4(config, key).ip;
    out[1] = own[1].ip;
}

/* ---- the peers' */

const struct gw_addr *gw_addresses_configured(const struct gw_config_peer *peer, uint8_t family)
{
    for (size_t i = 0; i < peer->tunnel_ips.count; i++) {
        if (peer->tunnel_ips.items[i].family == family)
            return &peer->tunnel_ips.items[i];
    }
    /* How WireGuard's configurations say it. */
    for (size_t i = 0; family == 4 && i < peer->allowed_ips.count; i++) {
        if (peer->allowed_ips.items[i].ip.family == 4 && peer->allowed_ips.items[i].bits == 32)
            return &peer->allowed_ips.items[i].ip;
    }
    return NULL;
}

int gw_addresses_open(struct gw_vip_state *state, const char *state_dir,
                      const struct gw_config_network *config, struct gw_vip_space *space,
                      struct gateway *gateway)
{
    struct gw_vip_params params = {.space = space,
                                   .gateway = gateway,
                                   .range = config->address_range,
                                   .alias_range = config->alias_range,
                                   .local_range = gw_addresses_local_range};
    const struct gw_vip_entry *entry;
    memcpy(params.own_key, gw_gateway_public_key(gateway), GW_KEY_LEN);
    params.own_ipv4 = own_ipv4(config, params.own_key).ip;
    int err = gw_vip_state_open(state, state_dir, &params);
    /* The owner's word first, as such an address may be somebody else's until then. */
    for (size_t i = 0; err == 0 && i < config->peers.count; i++) {
        const struct gw_config_peer *peer = &config->peers.items[i];
        const struct gw_addr *ipv4 = gw_addresses_configured(peer, 4);
        if (ipv4)
            gw_vip_assign(state->vip, peer->public_key.bytes, ipv4, &entry); /* told where it is used */
    }
    return err;
}

static void allow(struct gw_peer_config *peer, const struct gw_addr *ip)
{
    const struct gw_prefix prefix = {.ip = *ip, .bits = ip->family == 6 ? 128 : 32};
    for (unsigned i = 0; i < peer->allowed_ip_count; i++) {
        if (peer->allowed_ips[i].bits == prefix.bits && gw_addr_same_ip(&peer->allowed_ips[i].ip, ip))
            return;
    }
    if (peer->allowed_ip_count < GW_PEER_ALLOWED_IPS_MAX)
        peer->allowed_ips[peer->allowed_ip_count++] = prefix;
}

/* That single address. */
static void disallow(struct gw_peer_config *peer, const struct gw_addr *ip)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < peer->allowed_ip_count; i++) {
        if (peer->allowed_ips[i].bits != 32 || !gw_addr_same_ip(&peer->allowed_ips[i].ip, ip))
            peer->allowed_ips[kept++] = peer->allowed_ips[i];
    }
    memset(&peer->allowed_ips[kept], 0, (peer->allowed_ip_count - kept) * sizeof peer->allowed_ips[0]);
    peer->allowed_ip_count = kept;
}

void gw_addresses_give(struct gw_vip_state *state, struct gw_peer_config *peer,
                       const struct gw_config_peer *configured)
{
    const struct gw_addr *ipv4 = configured ? gw_addresses_configured(configured, 4) : NULL;
    const struct gw_vip_entry *entry;
    if (!state->vip)
        return;
    int err = gw_vip_assign(state->vip, peer->public_key, ipv4, &entry);
    if (err != 0) {
        gw_log_warn("%s: no virtual address: %s", peer->name[0] ? peer->name : "a peer",
                    err == GW_E_INVAL ? "another has the one that it is given" : gw_strerror(err));
        return;
    }
    peer->alias = entry->ipv4;
    if (ipv4)
        disallow(peer, ipv4); /* on this machine it may be another network's */
    allow(peer, &entry->ipv4);
    if (peer->hello == GW_HELLO_NEVER && !ipv4)
        return; /* WireGuard's: it has what it is configured with */
    peer->own_ipv4 = entry->wire;
    if (peer->hello != GW_HELLO_NEVER)
        allow(peer, &entry->ipv6);
}

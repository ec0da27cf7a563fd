/* SPDX-License-Identifier: MIT */
/* The peer's IPv4 address here and as it has it itself: where the two differ, packets are rewritten as they pass (docs/PROTOCOL.md "Virtual addresses"). Each side
 * rewrites the other's address only, so that on the wire every packet bears what its sender and its receiver call themselves. The address in
 * a HELLO is believed, for this peer's packets alone: whichever it names, it gets no more than its own alias. */
#include "gateway/base/log.h"
#include "gateway/packet/rewrite.h"
#include "gateway/peer/peer_private.h"

#include <string.h>

static bool may_be_own(const struct gw_addr *addr)
{
    return addr->family == 4 && addr->ip[0] != 0 && addr->ip[0] < 240 && !gw_addr_is_multicast(addr) &&
           !gw_addr_is_loopback(addr);
}

/* Without the port, as there is none. */
static const char *log_ip(const struct gw_addr *addr, char out[GW_ADDR_STRLEN])
{
    gw_addr_log(addr, out);
    out[strcspn(out, ":")] = 0;
    return out;
}

static void set_remote(struct gw_peer *peer, const struct gw_addr *remote)
{
    struct gw_alias *alias = &peer->alias;
    const struct gw_addr *local = &peer->config.alias;
    char here[GW_ADDR_STRLEN], there[GW_ADDR_STRLEN];
    bool is_on = local->family == 4 && remote->family == 4 && memcmp(local->ip, remote->ip, 4) != 0;
    if (is_on && (!alias->is_on || memcmp(alias->remote, remote->ip, 4) != 0))
        gw_peer_tell(peer, peer->host->now, GW_LOG_INFO, "has the address %s, and is %s here: rewritten",
                     log_ip(remote, there), log_ip(local, here));
    alias->is_on = is_on;
    memcpy(alias->local, local->ip, sizeof alias->local);
    memcpy(alias->remote, remote->ip, sizeof alias->remote);
}

void gw_peer_alias_configured(struct gw_peer *peer)
{
    bool is_told = gw_addr_is_set(&peer->hello_ipv4);
    set_remote(peer, is_told ? &peer->hello_ipv4 : &peer->config.own_ipv4);
}

void gw_peer_alias_told(struct gw_peer *peer, const struct gw_hello *hello)
{
    for (unsigned i = 0; i < hello->addr_count; i++) {
        struct gw_addr addr = {.family = hello->addrs[i].family};
        memcpy(addr.ip, hello->addrs[i].ip, addr.family == 4 ? 4 : 16);
        if (!may_be_own(&addr))
            continue;
        peer->hello_ipv4 = addr;
        set_remote(peer, &addr);
        return;
    }
}

/* Ours, when it is another one on this machine; NULL: it is not. */
static const uint8_t *own_wire(const struct gw_peer_host *host)
{
    for (unsigned i = 0; i < 2 && host->own_alias.family == 4; i++) {
        if (host->addresses[i].family == 4)
            return host->addresses[i].ip;
    }
    return NULL;
}

bool gw_peer_alias_rules(const struct gw_peer *peer, const uint8_t **own_here, const uint8_t **own)
{
    *own = own_wire(peer->host);
    *own_here = peer->host->own_alias.ip;
    return peer->alias.is_on || *own;
}

void gw_peer_alias_out(const struct gw_peer *peer, uint8_t *packet, const struct gw_ip *ip,
                       bool is_checksum_left)
{
    const struct gw_alias *alias = &peer->alias;
    const uint8_t *own = own_wire(peer->host);
    if (ip->version != 4)
        return;
    if (alias->is_on)
        gw_ip_rewrite(packet, ip, GW_REWRITE_DESTINATION, alias->local, alias->remote, is_checksum_left);
    if (own)
        gw_ip_rewrite(packet, ip, GW_REWRITE_SOURCE, peer->host->own_alias.ip, own, is_checksum_left);
}

void gw_peer_alias_in(const struct gw_peer *peer, uint8_t *packet, const struct gw_ip *ip,
                      bool is_checksum_left)
{
    const struct gw_alias *alias = &peer->alias;
    const uint8_t *own = own_wire(peer->host);
    if (ip->version != 4)
        return;
    if (alias->is_on)
        gw_ip_rewrite(packet, ip, GW_REWRITE_SOURCE, alias->remote, alias->local, is_checksum_left);
    if (own)
        gw_ip_rewrite(packet, ip, GW_REWRITE_DESTINATION, own, peer->host->own_alias.ip, is_checksum_left);
}

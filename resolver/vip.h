/* SPDX-License-Identifier: MIT */
/* Virtual addresses: peer <-> address, for each network. The IPv6 ULA derived from the key is the canonical address; IPv4 is a local alias
 * (configured > first seen and kept > derived from the key), and what collides gets another one (docs/PROTOCOL.md "Virtual addresses"). Without a TUN
 * a peer's IPv4 address is its alias in 127.64.0.0/16, where the virtual IP router listens. Sans-IO. */
#ifndef RESOLVER_VIP_H
#define RESOLVER_VIP_H

#include "gateway/gateway.h"

/* The 40 bits behind fd: the first of BLAKE2s("peergate virtual addresses v1"). */
#define GW_VIP_NETWORK 0x83, 0xe1, 0x28, 0x5e, 0x51

struct gw_vip; /* the table of one network */

struct gw_vip_params {
    struct gw_prefix range;       /* IPv4, e.g. 10.64.0.0/16; at most /8, at least /28 */
    struct gw_prefix local_range; /* 127.64.0.0/16 */
    uint8_t own_key[GW_KEY_LEN];
    struct gw_addr own_ipv4; /* configured; family 0 = derive */
};

struct gw_vip_entry {
    uint8_t key[GW_KEY_LEN];
    struct gw_addr ipv4, ipv6, local; /* ports 0 */
    bool is_configured;               /* ipv4 comes from the owner */
};

/* NULL without memory, or when a range is no IPv4 prefix of 8 to 28 bits. */
struct gw_vip *gw_vip_new(const struct gw_vip_params *params);
void gw_vip_free(struct gw_vip *vip);
/* The canonical IPv6 address of a key: fd00::/8, a fixed 40-bit network part of peergate's, 80 bits of BLAKE2s(key). Pure. */
void gw_vip_ipv6(const uint8_t key[GW_KEY_LEN], struct gw_addr *out);
/* What this key's IPv4 address would be if nobody else were there; attempt counts collisions from 0. Pure. */
void gw_vip_derive_ipv4(const struct gw_prefix *range, const uint8_t key[GW_KEY_LEN], unsigned attempt,
                        struct gw_addr *out);
/* Finds or makes the entry of a peer. configured: the owner's IPv4 for it, or NULL. Stable for the life of the table, and across restarts when saved entries are put back
 * first (gw_vip_restore). Without a word of the owner's an entry keeps what it has; one whose IPv4 address the owner gives to another gets a new one (see
 * gw_vip_generation). 0, GW_E_NOMEM, GW_E_LIMIT (range used up, and no restored entry left that was not assigned again), GW_E_INVAL (configured for
 * two peers, or not IPv4: the entry keeps what it had; a new one is not made). */
int gw_vip_assign(struct gw_vip *vip, const uint8_t key[GW_KEY_LEN], const struct gw_addr *configured,
                  const struct gw_vip_entry **out);
/* What an earlier run had. An address that lies outside its range, or is taken, is left out: its family is 0 until gw_vip_assign finds another. 0, GW_E_NOMEM,
 * GW_E_LIMIT. */
int gw_vip_restore(struct gw_vip *vip, const struct gw_vip_entry *entry);
const struct gw_vip_entry *gw_vip_by_key(const struct gw_vip *vip, const uint8_t key[GW_KEY_LEN]);
/* By any of the three addresses. */
const struct gw_vip_entry *gw_vip_by_address(const struct gw_vip *vip, const struct gw_addr *address);
/* Grows whenever an entry comes or an address changes: save, and tell who keeps copies. */
uint64_t gw_vip_generation(const struct gw_vip *vip);
const struct gw_vip_entry *gw_vip_own(const struct gw_vip *vip);
void gw_vip_for_each(const struct gw_vip *vip, void (*visit)(const struct gw_vip_entry *entry, void *ctx),
                     void *ctx);

#endif

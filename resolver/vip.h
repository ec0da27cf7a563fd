/* SPDX-License-Identifier: MIT */
/* Virtual addresses: peer <-> address, a table for each network. The IPv6 ULA derived from the key is the canonical address; IPv4 is a local alias
 * (configured > first seen and kept > derived from the key), and what collides gets another one (docs/PROTOCOL.md "Virtual addresses"). Without a TUN
 * a peer's IPv4 address is its alias in 127.64.0.0/16, where the virtual IP router listens. Sans-IO.
 *
 * Networks choose their ranges without asking each other, so two of one node may have the same. The tables of a node share a space, in which no two
 * peers of whatever network have one IPv4 or local address; a table whose range is another's gets an alias range of its own. Who takes packets out of
 * this machine or brings them in rewrites 1:1: gw_vip_entry.ipv4 on this machine is gw_vip_entry.wire to and from that peer. */
#ifndef RESOLVER_VIP_H
#define RESOLVER_VIP_H

#include "gateway/gateway.h"

/* The 40 bits behind fd: the first of BLAKE2s("peergate virtual addresses v1"). */
#define GW_VIP_NETWORK 0x83, 0xe1, 0x28, 0x5e, 0x51

struct gw_vip_space; /* of one node */
struct gw_vip;       /* the table of one network */

struct gw_vip_params {
    struct gw_vip_space *space; /* borrowed; NULL = one of the table's own */
    struct gateway *gateway;    /* for those who ask the space; may be NULL */
    struct gw_prefix range;     /* IPv4, e.g. 10.64.0.0/16; at most /8, at least /28 */
    struct gw_prefix
        alias_range; /* of the same length: where the range is on this machine; family 0 = there */
    struct gw_prefix local_range; /* 127.64.0.0/16 */
    uint8_t own_key[GW_KEY_LEN];
    struct gw_addr own_ipv4; /* configured; family 0 = derive */
};

struct gw_vip_entry {
    uint8_t key[GW_KEY_LEN];
    struct gw_addr ipv4, ipv6, local; /* on this machine; ports 0 */
    struct gw_addr wire;              /* its IPv4 address as it knows it itself */
    bool is_configured;               /* ipv4 comes from the owner */
};

/* NULL without memory. Freed after its tables. */
struct gw_vip_space *gw_vip_space_new(void);
void gw_vip_space_free(struct gw_vip_space *space);
/* Whose address this is on this machine, and in whose table (vip may be NULL). NULL = nobody's. */
const struct gw_vip_entry *gw_vip_space_find(const struct gw_vip_space *space, const struct gw_addr *address,
                                             const struct gw_vip **vip);

/* NULL without memory, or when a range is no IPv4 prefix of 8 to 28 bits, or the alias range is of another length. */
struct gw_vip *gw_vip_new(const struct gw_vip_params *params);
void gw_vip_free(struct gw_vip *vip);
/* The canonical IPv6 address of a key: fd00::/8, a fixed 40-bit network part of peergate's, 80 bits of BLAKE2s(key). Pure. */
void gw_vip_ipv6(const uint8_t key[GW_KEY_LEN], struct gw_addr *out);
/* What this key's IPv4 address would be if nobody else were there; attempt counts collisions from 0. Pure. */
void gw_vip_derive_ipv4(const struct gw_prefix *range, const uint8_t key[GW_KEY_LEN], unsigned attempt,
                        struct gw_addr *out);
/* Finds or makes the entry of a peer. configured: the IPv4 address that it has, says the owner, or NULL; it is the alias too, at its place in the alias range, unless
 * another network's owner gave that away. Stable for the life of the table, and across restarts when saved entries are put back
 * first (gw_vip_restore). Without a word of the owner's an entry keeps what it has; one whose IPv4 address the owner gives to another gets a new one (see
 * gw_vip_generation). 0, GW_E_NOMEM, GW_E_LIMIT (range used up, and no restored entry left that was not assigned again), GW_E_INVAL (configured for
 * two peers, or not IPv4: the entry keeps what it had; a new one is not made). */
int gw_vip_assign(struct gw_vip *vip, const uint8_t key[GW_KEY_LEN], const struct gw_addr *configured,
                  const struct gw_vip_entry **out);
/* The IPv4 address that the peer says it has (HELLO); family 0 = none. Counts where the owner says nothing, and inside the range. Nothing happens to a key that is
 * not there. */
void gw_vip_announce(struct gw_vip *vip, const uint8_t key[GW_KEY_LEN], const struct gw_addr *ipv4);
/* What an earlier run had. An address that lies outside its range, or is taken, is left out: its family is 0 until gw_vip_assign finds another. 0, GW_E_NOMEM,
 * GW_E_LIMIT. */
int gw_vip_restore(struct gw_vip *vip, const struct gw_vip_entry *entry);
const struct gw_vip_entry *gw_vip_by_key(const struct gw_vip *vip, const uint8_t key[GW_KEY_LEN]);
/* By any of the three addresses on this machine, in this table. */
const struct gw_vip_entry *gw_vip_by_address(const struct gw_vip *vip, const struct gw_addr *address);
/* Grows whenever an entry comes or an address changes: save, and tell who keeps copies. */
uint64_t gw_vip_generation(const struct gw_vip *vip);
const struct gw_vip_entry *gw_vip_own(const struct gw_vip *vip);
const struct gw_vip_params *gw_vip_params(const struct gw_vip *vip);
void gw_vip_for_each(const struct gw_vip *vip, void (*visit)(const struct gw_vip_entry *entry, void *ctx),
                     void *ctx);

#endif

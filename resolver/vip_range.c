/* SPDX-License-Identifier: MIT */
/* Addresses from keys, and places in ranges. */
#include "resolver/vip_private.h"

#include "gateway/session/crypto.h"
#include "gateway/wire/cursor.h"

#include <string.h>

/* Hashed addresses that are tried before the next free one is searched for. */
#define ATTEMPTS 16u
/* x.x.0.53 is the DNS server's, in every range that has it. */
#define DNS_OFFSET 53u

void gw_vip_ipv6(const uint8_t key[GW_KEY_LEN], struct gw_addr *out)
{
    static const uint8_t network[6] = {0xfd, GW_VIP_NETWORK};
    uint8_t hash[GW_HASH_LEN];
    gw_hash(hash, key, GW_KEY_LEN, NULL, 0);
    *out = (struct gw_addr){.family = 6};
    memcpy(out->ip, network, sizeof network);
    memcpy(out->ip + sizeof network, hash, sizeof out->ip - sizeof network);
}

static uint32_t size_of(const struct gw_prefix *range)
{
    return UINT32_C(1) << (32 - range->bits);
}

static struct gw_addr address_at(const struct gw_prefix *range, uint32_t offset)
{
    struct gw_addr out = {.family = 4};
    uint32_t mask = ~(size_of(range) - 1);
    gw_store32_be(out.ip, (gw_load32_be(range->ip.ip) & mask) + offset);
    return out;
}

static bool is_reserved(uint32_t offset, uint32_t size)
{
    return offset == 0 || offset >= size - 1 || offset == DNS_OFFSET;
}

static uint32_t derive_offset(uint32_t size, const uint8_t key[GW_KEY_LEN], unsigned attempt)
{
    uint8_t hash[GW_HASH_LEN], number[4];
    gw_store32_le(number, attempt);
    gw_hash(hash, key, GW_KEY_LEN, number, sizeof number);
    uint32_t offset = 1 + (uint32_t)(gw_load64_le(hash) % (size - 2));
    while (is_reserved(offset, size))
        offset = offset + 1 < size ? offset + 1 : 1;
    return offset;
}

void gw_vip_derive_ipv4(const struct gw_prefix *range, const uint8_t key[GW_KEY_LEN], unsigned attempt,
                        struct gw_addr *out)
{
    *out = address_at(range, derive_offset(size_of(range), key, attempt));
}

bool gw_vip_is_in_range(const struct gw_prefix *range, const struct gw_addr *address)
{
    uint32_t size = size_of(range);
    if (address->family != 4 || address->port != 0)
        return false;
    uint32_t offset = gw_load32_be(address->ip) - gw_load32_be(address_at(range, 0).ip);
    return offset < size && !is_reserved(offset, size);
}

bool gw_vip_range_is_good(const struct gw_prefix *range)
{
    return range->ip.family == 4 && range->bits >= 8 && range->bits <= 28;
}

struct gw_addr gw_vip_move(const struct gw_addr *address, const struct gw_prefix *from,
                           const struct gw_prefix *to)
{
    uint32_t size = size_of(from);
    if (address->family != 4)
        return *address;
    uint32_t offset = gw_load32_be(address->ip) - gw_load32_be(address_at(from, 0).ip);
    if (offset >= size)
        return *address;
    struct gw_addr moved = address_at(to, offset);
    moved.port = address->port;
    return moved;
}

bool gw_vip_find_free(const struct gw_map *taken, const struct gw_prefix *range,
                      const uint8_t key[GW_KEY_LEN], struct gw_addr *out)
{
    uint32_t size = size_of(range), offset = 0;
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        offset = derive_offset(size, key, attempt);
        *out = address_at(range, offset);
        if (!gw_map_find(taken, out))
            return true;
    }
    for (uint32_t i = 0; i < size; i++) {
        offset = offset + 1 < size ? offset + 1 : 1;
        *out = address_at(range, offset);
        if (!is_reserved(offset, size) && !gw_map_find(taken, out))
            return true;
    }
    return false;
}

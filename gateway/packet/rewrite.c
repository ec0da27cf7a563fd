/* SPDX-License-Identifier: MIT */
/* 1:1 rewriting of IPv4 addresses; see rewrite.h. */
#include "gateway/packet/rewrite.h"

#include <string.h>

#define ICMP_HEADER 8u
#define ICMP_CHECKSUM 2u
#define IP_CHECKSUM 10u
#define DCCP 33u
#define UDP_LITE 136u

/* ---- checksums */

/* RFC 1624: HC' = ~(~HC + ~m + m'). */
static uint16_t corrected(uint16_t sum, uint16_t before, uint16_t after)
{
    return (uint16_t)~gw_checksum_fold((uint64_t)(uint16_t)~sum + (uint16_t)~before + after);
}

static void correct(uint8_t *field, const uint8_t from[4], const uint8_t to[4])
{
    uint16_t sum = gw_load16_be(field);
    sum = corrected(sum, gw_load16_be(from), gw_load16_be(to));
    sum = corrected(sum, gw_load16_be(from + 2), gw_load16_be(to + 2));
    gw_store16_be(field, sum);
}

/* Where the checksum stands that covers the addresses, in a layer-4 header; 0 = this protocol has none. */
static size_t covering_checksum(uint8_t protocol)
{
    return protocol == DCCP || protocol == UDP_LITE ? 6 : gw_checksum_offset(protocol);
}

/* The layer-4 checksum, when this packet (or fragment, or the part of it that is quoted) holds it; NULL otherwise, and where it is not used. */
static uint8_t *find_checksum(uint8_t *packet, size_t header_len, size_t len)
{
    size_t skipped = (size_t)(gw_load16_be(packet + 6) & 0x1fff) * 8, at = covering_checksum(packet[9]);
    if (at == 0 || at < skipped || header_len + (at - skipped) + 2 > len)
        return NULL;
    uint8_t *field = packet + header_len + (at - skipped);
    return packet[9] == GW_IP_UDP && gw_load16_be(field) == 0 ? NULL : field;
}

static void correct_l4(uint8_t *packet, size_t header_len, size_t len, const uint8_t from[4],
                       const uint8_t to[4])
{
    uint8_t *field = find_checksum(packet, header_len, len);
    if (!field)
        return;
    correct(field, from, to);
    if (packet[9] == GW_IP_UDP && gw_load16_be(field) == 0)
        gw_store16_be(field, 0xffff); /* 0 means "none" there */
}

/* ---- what an ICMP error quotes */

static bool is_error(const uint8_t *packet, const struct gw_ip *ip)
{
    if (ip->protocol != GW_IP_ICMP || (gw_load16_be(packet + 6) & 0x1fff) != 0)
        return false;
    if (ip->total_len < (size_t)ip->l4 + ICMP_HEADER + GW_IP_V4_HEADER)
        return false;
    uint8_t type = packet[ip->l4];
    return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

/* The quoted header's own checksum balances the address in it, so the message's sum changes by the other two: that of layer 4, and what of it was quoted. */
static void rewrite_quoted(uint8_t *packet, const struct gw_ip *ip, enum gw_rewrite_side side,
                           const uint8_t from[4], const uint8_t to[4])
{
    uint8_t *inner = packet + ip->l4 + ICMP_HEADER;
    size_t len = ip->total_len - ip->l4 - ICMP_HEADER, header_len = (size_t)(inner[0] & 15) * 4;
    uint8_t *address = inner + (side == GW_REWRITE_SOURCE ? 12 : 16);
    uint8_t before[4] = {0}, after[4] = {0};
    if (inner[0] >> 4 != 4 || header_len < GW_IP_V4_HEADER || header_len > len ||
        memcmp(address, from, 4) != 0)
        return;
    uint8_t *message_sum = packet + ip->l4 + ICMP_CHECKSUM, *l4_sum = find_checksum(inner, header_len, len);
    memcpy(before, inner + IP_CHECKSUM, 2);
    if (l4_sum)
        memcpy(before + 2, l4_sum, 2);
    memcpy(address, to, 4);
    correct(inner + IP_CHECKSUM, from, to);
    correct_l4(inner, header_len, len, from, to);
    memcpy(after, inner + IP_CHECKSUM, 2);
    if (l4_sum)
        memcpy(after + 2, l4_sum, 2);
    correct(message_sum, from, to);
    correct(message_sum, before, after);
}

/* ---- the packet */

void gw_ip_rewrite(uint8_t *packet, const struct gw_ip *ip, enum gw_rewrite_side side, const uint8_t from[4],
                   const uint8_t to[4], bool is_checksum_left)
{
    if (ip->version != 4)
        return;
    if (is_error(packet, ip))
        rewrite_quoted(packet, ip, side == GW_REWRITE_SOURCE ? GW_REWRITE_DESTINATION : GW_REWRITE_SOURCE,
                       from, to);
    uint8_t *address = packet + (side == GW_REWRITE_SOURCE ? 12 : 16);
    if (memcmp(address, from, 4) != 0)
        return;
    memcpy(address, to, 4);
    correct(packet + IP_CHECKSUM, from, to);
    if (!is_checksum_left)
        correct_l4(packet, ip->l4, ip->total_len, from, to);
}

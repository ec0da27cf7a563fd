/* SPDX-License-Identifier: MIT */
/* Error messages and MSS; see icmp_error.h. */
#include "frontends/tun/icmp_error.h"

#include <string.h>

#define ICMP_HEADER 8u
#define QUOTE_V4 576u /* RFC 1812, 4.3.2.3: the whole message is no longer */
#define TTL 64u

#define V4_UNREACHABLE 3u
#define V4_HOST 1u
#define V4_TOO_BIG 4u
#define V6_UNREACHABLE 1u
#define V6_NO_ROUTE 0u
#define V6_ADDRESS 3u
#define V6_TOO_BIG 2u

#define OPTION_END 0u
#define OPTION_NOP 1u
#define OPTION_MSS 2u
#define OPTION_MSS_LEN 4u

/* ---- errors */

static bool is_error_itself(const uint8_t *packet, const struct gw_ip *ip)
{
    if (ip->total_len <= ip->l4)
        return true; /* cannot be told */
    uint8_t type = packet[ip->l4];
    if (ip->protocol == GW_IP_ICMPV6)
        return type < 128;
    return ip->protocol == GW_IP_ICMP && type != 0 && type != 8 && (type < 13 || type > 18);
}

static bool is_one_machine(const struct gw_addr *addr)
{
    bool is_broadcast = addr->family == 4 && gw_load32_be(addr->ip) == 0xffffffff;
    return !is_broadcast && !gw_addr_is_multicast(addr) && !gw_addr_is_unspecified(addr);
}

/* A fragment that does not begin the packet. gw_ip_parse stops at an IPv6 fragment header, the 8 bytes before l4. */
static bool is_later_part(const uint8_t *packet, const struct gw_ip *ip)
{
    if (ip->version == 4)
        return (gw_load16_be(packet + 6) & 0x1fff) != 0;
    return ip->is_fragment && (gw_load16_be(packet + ip->l4 - 6) & 0xfff8) != 0;
}

static bool may_answer(const uint8_t *packet, const struct gw_ip *ip)
{
    struct gw_addr from, to;
    gw_ip_source(&from, packet, ip);
    gw_ip_destination(&to, packet, ip);
    return is_one_machine(&from) && is_one_machine(&to) && !is_later_part(packet, ip) &&
           !is_error_itself(packet, ip);
}

static size_t write_v4(uint8_t *out, enum gw_icmp_error error, uint32_t mtu, const struct gw_addr *from,
                       const uint8_t *packet, size_t len)
{
    size_t start = GW_IP_V4_HEADER,
           quote = len < QUOTE_V4 - start - ICMP_HEADER ? len : QUOTE_V4 - start - ICMP_HEADER;
    size_t total = start + ICMP_HEADER + quote;
    memset(out, 0, start + ICMP_HEADER);
    out[0] = 0x45;
    gw_store16_be(out + 2, (uint16_t)total);
    out[8] = TTL;
    out[9] = GW_IP_ICMP;
    memcpy(out + 12, from->ip, 4);
    memcpy(out + 16, packet + 12, 4);
    gw_checksum_ip_header(out, start);
    out[start] = V4_UNREACHABLE;
    out[start + 1] = error == GW_ICMP_TOO_BIG ? V4_TOO_BIG : V4_HOST;
    if (error == GW_ICMP_TOO_BIG)
        gw_store16_be(out + start + 6, (uint16_t)mtu);
    memcpy(out + start + ICMP_HEADER, packet, quote);
    gw_store16_be(out + start + 2,
                  (uint16_t)~gw_checksum_fold(gw_checksum_add(0, out + start, total - start)));
    return total;
}

static size_t write_v6(uint8_t *out, enum gw_icmp_error error, uint32_t mtu, const struct gw_addr *from,
                       const uint8_t *packet, size_t len)
{
    size_t start = GW_IP_V6_HEADER, most = GW_ICMP_ERROR_MAX - start - ICMP_HEADER,
           quote = len < most ? len : most;
    size_t l4_len = ICMP_HEADER + quote;
    memset(out, 0, start + ICMP_HEADER);
    out[0] = 0x60;
    gw_store16_be(out + 4, (uint16_t)l4_len);
    out[6] = GW_IP_ICMPV6;
    out[7] = TTL;
    memcpy(out + 8, from->ip, 16);
    memcpy(out + 24, packet + 8, 16);
    out[start] = error == GW_ICMP_TOO_BIG ? V6_TOO_BIG : V6_UNREACHABLE;
    out[start + 1] = error == GW_ICMP_HOST_UNREACHABLE ? V6_ADDRESS : V6_NO_ROUTE;
    if (error == GW_ICMP_TOO_BIG)
        gw_store32_be(out + start + 4, mtu);
    memcpy(out + start + ICMP_HEADER, packet, quote);
    uint64_t sum = gw_checksum_add(gw_checksum_pseudo(out, 6, GW_IP_ICMPV6, l4_len), out + start, l4_len);
    gw_store16_be(out + start + 2, (uint16_t)~gw_checksum_fold(sum));
    return start + l4_len;
}

size_t gw_icmp_error(uint8_t *out, enum gw_icmp_error error, uint32_t mtu, const struct gw_addr *from,
                     const uint8_t *packet, const struct gw_ip *ip)
{
    if (from->family != ip->version || !may_answer(packet, ip))
        return 0;
    return ip->version == 6 ? write_v6(out, error, mtu, from, packet, ip->total_len)
                            : write_v4(out, error, mtu, from, packet, ip->total_len);
}

/* ---- MSS */

/* Where the MSS option stands in the TCP header; 0 = there is none, or the options make no sense. */
static size_t find_mss(const uint8_t *tcp, size_t header_len)
{
    for (size_t at = GW_TCP_HEADER; at < header_len && tcp[at] != OPTION_END;) {
        if (tcp[at] == OPTION_NOP) {
            at++;
            continue;
        }
        size_t len = at + 1 < header_len ? tcp[at + 1] : 0;
        if (len < 2 || len > header_len - at)
            return 0;
        if (tcp[at] == OPTION_MSS)
            return len == OPTION_MSS_LEN ? at : 0;
        at += len;
    }
    return 0;
}

/* RFC 1624: HC' = ~(~HC + ~m + m'); at odd places in the header the bytes of the word are swapped. */
static void correct_checksum(uint8_t *tcp, size_t at, uint16_t before, uint16_t after)
{
    if (at % 2) {
        before = (uint16_t)(before << 8 | before >> 8);
        after = (uint16_t)(after << 8 | after >> 8);
    }
    uint64_t sum = (uint64_t)(uint16_t)~gw_load16_be(tcp + 16) + (uint16_t)~before + after;
    gw_store16_be(tcp + 16, (uint16_t)~gw_checksum_fold(sum));
}

void gw_tcp_clamp_mss(uint8_t *packet, const struct gw_ip *ip, size_t room, bool is_checksum_left)
{
    if (ip->protocol != GW_IP_TCP || ip->is_fragment || (packet[ip->l4 + 13] & GW_TCP_SYN) == 0)
        return;
    uint8_t *tcp = packet + ip->l4;
    size_t header = (ip->version == 6 ? GW_IP_V6_HEADER : GW_IP_V4_HEADER) + GW_TCP_HEADER;
    size_t at = find_mss(tcp, (size_t)(ip->header_len - ip->l4));
    if (at == 0 || room <= header || gw_load16_be(tcp + at + 2) <= room - header)
        return;
    uint16_t before = gw_load16_be(tcp + at + 2), after = (uint16_t)(room - header);
    gw_store16_be(tcp + at + 2, after);
    if (!is_checksum_left)
        correct_checksum(tcp, at, before, after);
}

/* SPDX-License-Identifier: MIT */
/* "Nobody here": a RST for a segment (RFC 9293, 3.10.7.1), ICMP port unreachable for a datagram (RFC 792, RFC 4443), the latter at a bounded rate. Neither ever
 * answers an answer. */
#include "netstack/private.h"

#include <string.h>

#define ICMP_HEADER 8u
/* Of the datagram that is refused: RFC 1812 lets it be more than 8 bytes, RFC 4443 wants as much as fits; this is enough for every stack to find its socket. */
#define QUOTE_V4 (GW_IP_V4_HEADER + 40u)
#define QUOTE_V6 (GW_IP_V6_HEADER + 64u)
#define UNREACHABLE_RATE 100.0
#define UNREACHABLE_BURST 200.0

void ns_refuse_segment(struct gw_netstack_link *link, const uint8_t *packet, const struct gw_ip *ip)
{
    const uint8_t *segment = packet + ip->l4;
    uint8_t flags = segment[13];
    struct gw_addr from, to;
    if (flags & GW_TCP_RST)
        return;
    gw_ip_destination(&from, packet, ip);
    gw_ip_source(&to, packet, ip);
    size_t header = ip->version == 6 ? GW_IP_V6_HEADER : GW_IP_V4_HEADER;
    uint8_t *out = ns_out(link, header + GW_TCP_HEADER);
    uint8_t *reset = out + ns_out_header(link, out, &from, &to, GW_IP_TCP, GW_TCP_HEADER);
    memset(reset, 0, GW_TCP_HEADER);
    memcpy(reset, segment + 2, 2);
    memcpy(reset + 2, segment, 2);
    reset[12] = (GW_TCP_HEADER / 4) << 4;
    if (flags & GW_TCP_ACK) {
        memcpy(reset + 4, segment + 8, 4);
        reset[13] = GW_TCP_RST;
    } else {
        uint32_t len = ip->total_len - ip->header_len + !!(flags & GW_TCP_SYN) + !!(flags & GW_TCP_FIN);
        gw_store32_be(reset + 8, gw_load32_be(segment + 4) + len);
        reset[13] = GW_TCP_RST | GW_TCP_ACK;
    }
    ns_out_done(link, header + GW_TCP_HEADER, true);
    link->stack->stats.refused++;
}

static void finish_v6(uint8_t *out, size_t icmp_len)
{
    uint64_t sum = gw_checksum_pseudo(out, 6, GW_IP_ICMPV6, icmp_len);
    gw_store16_be(out + GW_IP_V6_HEADER + 2,
                  (uint16_t)~gw_checksum_fold(gw_checksum_add(sum, out + GW_IP_V6_HEADER, icmp_len)));
}

static void finish_v4(uint8_t *out, size_t icmp_len)
{
    gw_store16_be(out + GW_IP_V4_HEADER + 2,
                  (uint16_t)~gw_checksum_fold(gw_checksum_add(0, out + GW_IP_V4_HEADER, icmp_len)));
}

void ns_refuse_datagram(struct gw_netstack_link *link, const uint8_t *packet, size_t len)
{
    struct gw_netstack *stack = link->stack;
    struct gw_ip ip;
    struct gw_addr from, to;
    if (gw_ip_parse(&ip, packet, len) != 0 ||
        !gw_bucket_take(&stack->unreachables, UNREACHABLE_RATE, UNREACHABLE_BURST, 1, stack->now))
        return;
    bool is_v6 = ip.version == 6;
    size_t header = is_v6 ? GW_IP_V6_HEADER : GW_IP_V4_HEADER, quote = is_v6 ? QUOTE_V6 : QUOTE_V4;
    if (quote > ip.total_len)
        quote = ip.total_len;
    gw_ip_destination(&from, packet, &ip);
    gw_ip_source(&to, packet, &ip);
    uint8_t *out = ns_out(link, header + ICMP_HEADER + quote);
    ns_out_header(link, out, &from, &to, is_v6 ? GW_IP_ICMPV6 : GW_IP_ICMP, ICMP_HEADER + quote);
    memset(out + header, 0, ICMP_HEADER);
    out[header] = is_v6 ? 1 : 3;
    out[header + 1] = is_v6 ? 4 : 3;
    memcpy(out + header + ICMP_HEADER, packet, quote);
    if (is_v6)
        finish_v6(out, ICMP_HEADER + quote);
    else
        finish_v4(out, ICMP_HEADER + quote);
    ns_out_done(link, header + ICMP_HEADER + quote, false);
    stack->stats.refused++;
}

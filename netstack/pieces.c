/* SPDX-License-Identifier: MIT */
/* Packets that are longer than their path, in pieces (RFC 791, RFC 8200, 4.5): large datagrams and echo replies. TCP never needs it. */
#include "netstack/private.h"

#include <string.h>

#define V6_FRAGMENT_HEADER 8u
#define PROTOCOL_FRAGMENT 44u
#define MORE_FRAGMENTS 0x2000u

static void piece_v4(uint8_t *out, size_t from, size_t len, bool has_more)
{
    gw_store16_be(out + 2, (uint16_t)(GW_IP_V4_HEADER + len));
    gw_store16_be(out + 6, (uint16_t)(from / 8 | (has_more ? MORE_FRAGMENTS : 0u)));
}

static void piece_v6(uint8_t *out, uint8_t protocol, size_t from, size_t len, bool has_more, uint32_t id)
{
    uint8_t *fragment = out + GW_IP_V6_HEADER;
    gw_store16_be(out + 4, (uint16_t)(V6_FRAGMENT_HEADER + len));
    out[6] = PROTOCOL_FRAGMENT;
    fragment[0] = protocol;
    fragment[1] = 0;
    gw_store16_be(fragment + 2, (uint16_t)(from | has_more));
    gw_store32_be(fragment + 4, id);
}

void ns_out_pieces(struct gw_netstack_link *link, const uint8_t *packet, const struct gw_ip *ip, uint16_t mtu)
{
    bool is_v6 = ip->version == 6;
    size_t header = is_v6 ? GW_IP_V6_HEADER : GW_IP_V4_HEADER, extra = is_v6 ? V6_FRAGMENT_HEADER : 0;
    size_t total = ip->total_len - header, step = (mtu - header - extra) & ~(size_t)7;
    uint32_t id = gw_random_u32(link->stack->params.random);
    for (size_t from = 0; from < total; from += step) {
        bool has_more = total - from > step;
        size_t len = has_more ? step : total - from;
        uint8_t *out = ns_out(link, header + extra + len);
        memcpy(out, packet, header);
        if (is_v6)
            piece_v6(out, ip->protocol, from, len, has_more, id);
        else
            piece_v4(out, from, len, has_more);
        memcpy(out + header + extra, packet + header + from, len);
        ns_out_done(link, header + extra + len, false);
    }
}

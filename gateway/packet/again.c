/* SPDX-License-Identifier: MIT */
/* See again.h. */
#include "gateway/packet/again.h"

#include <string.h>

#define V4_ENDS 12u /* in the packet: addresses, and the ports right behind them */
#define V4_ENDS_LEN 12u
#define V6_ENDS 8u
#define V6_ENDS_LEN 36u

/* A segment that neither begins nor ends anything. ECE and CWR may be set, unlike in what a burst takes in (coalesce.c): nobody is asked because of them. */
static bool is_midway(const uint8_t *l4)
{
    return (l4[13] & (GW_TCP_FIN | GW_TCP_SYN | GW_TCP_RST | GW_TCP_ACK | GW_TCP_URG)) == GW_TCP_ACK;
}

void gw_again_set(struct gw_again *again, const uint8_t *packet, const struct gw_ip *ip)
{
    bool is_plain = !ip->is_fragment && !ip->has_extensions &&
                    (ip->protocol == GW_IP_UDP || (ip->protocol == GW_IP_TCP && is_midway(packet + ip->l4)));
    again->version = is_plain ? ip->version : 0;
    again->protocol = ip->protocol;
    if (is_plain && ip->version == 4)
        memcpy(again->ends, packet + V4_ENDS, V4_ENDS_LEN);
    else if (is_plain)
        memcpy(again->ends, packet + V6_ENDS, V6_ENDS_LEN);
}

/* The layer-4 header, which is at l4. */
static bool read_l4(struct gw_ip *ip, const uint8_t *packet)
{
    const uint8_t *l4 = packet + ip->l4;
    size_t room = ip->total_len - ip->l4, header = GW_UDP_HEADER;
    if (ip->protocol == GW_IP_TCP) {
        header = (size_t)(l4[12] >> 4) * 4;
        if (header < GW_TCP_HEADER || header > room || !is_midway(l4))
            return false;
    } else if (gw_load16_be(l4 + 4) < GW_UDP_HEADER || gw_load16_be(l4 + 4) > room) {
        return false;
    }
    ip->header_len = (uint16_t)(ip->l4 + header);
    return true;
}

bool gw_again_is(const struct gw_again *again, struct gw_ip *ip, const uint8_t *packet, size_t len)
{
    bool is_same;
    if (again->version == 0 || len < GW_IP_V6_HEADER || packet[0] >> 4 != again->version)
        return false;
    *ip = (struct gw_ip){.version = again->version, .protocol = again->protocol};
    if (again->version == 4) {
        ip->l4 = GW_IP_V4_HEADER;
        ip->total_len = gw_load16_be(packet + 2);
        is_same = (packet[0] & 15) * 4u == GW_IP_V4_HEADER && packet[9] == again->protocol &&
                  (gw_load16_be(packet + 6) & 0x3fff) == 0 &&
                  memcmp(packet + V4_ENDS, again->ends, V4_ENDS_LEN) == 0;
    } else {
        ip->l4 = GW_IP_V6_HEADER;
        ip->total_len = GW_IP_V6_HEADER + gw_load16_be(packet + 4);
        is_same = len >= GW_IP_V6_HEADER + 4u && packet[6] == again->protocol &&
                  memcmp(packet + V6_ENDS, again->ends, V6_ENDS_LEN) == 0;
    }
    size_t least = ip->l4 + (again->protocol == GW_IP_TCP ? GW_TCP_HEADER : GW_UDP_HEADER);
    return is_same && ip->total_len >= least && ip->total_len <= len && read_l4(ip, packet);
}

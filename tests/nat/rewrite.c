/* SPDX-License-Identifier: MIT */
#include "tests/nat/rewrite.h"

#include <string.h>

enum { ECHO4 = 8, REPLY4 = 0, ECHO6 = 128, REPLY6 = 129 };
#define ICMP_HEADER 8u
#define ICMP_ID 4u /* offset in the ICMP header */

static bool is_echo(const struct gw_ip *ip, const uint8_t *l4, bool *is_reply)
{
    if (ip->total_len - ip->l4 < ICMP_HEADER)
        return false;
    *is_reply = l4[0] == (ip->protocol == NAT_ICMP ? REPLY4 : REPLY6);
    return *is_reply || l4[0] == (ip->protocol == NAT_ICMP ? ECHO4 : ECHO6);
}

bool nat_read(struct nat_view *out, const uint8_t *bytes, size_t len)
{
    bool is_reply;
    memset(out, 0, sizeof *out);
    if (gw_ip_parse(&out->ip, bytes, len) != 0 || out->ip.is_fragment)
        return false;
    const uint8_t *l4 = bytes + out->ip.l4;
    struct nat_packet *packet = &out->packet;
    gw_ip_source(&packet->from, bytes, &out->ip);
    gw_ip_destination(&packet->to, bytes, &out->ip);
    packet->protocol = out->ip.protocol;
    switch (packet->protocol) {
    case NAT_TCP:
        packet->tcp_flags = l4[13];
        /* fall through */
    case NAT_UDP:
        packet->from.port = gw_load16_be(l4);
        packet->to.port = gw_load16_be(l4 + 2);
        return true;
    case NAT_ICMP:
    case NAT_ICMPV6:
        if (packet->from.family != (packet->protocol == NAT_ICMP ? 4 : 6) ||
            !is_echo(&out->ip, l4, &is_reply))
            return false;
        *(is_reply ? &packet->to.port : &packet->from.port) = gw_load16_be(l4 + ICMP_ID);
        return true;
    default:
        return false;
    }
}

/* RFC 1624, equation 3, over words; eats what stands there and what is to stand there. */
static uint32_t mend(uint32_t sum, const uint8_t *old, const uint8_t *new, size_t len)
{
    for (size_t i = 0; i < len; i += 2)
        sum += (uint32_t)(uint16_t)~gw_load16_be(old + i) + gw_load16_be(new + i);
    return sum;
}

static void mend_at(uint8_t *checksum, uint32_t change, bool is_udp)
{
    uint16_t old = gw_load16_be(checksum);
    if (is_udp && old == 0)
        return; /* there is none */
    uint32_t sum = (uint16_t)~old + change;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    uint16_t new = (uint16_t)~sum;
    gw_store16_be(checksum, is_udp && new == 0 ? 0xffff : new);
}

static uint32_t replace(uint8_t *at, const uint8_t *with, size_t len)
{
    uint32_t change = mend(0, at, with, len);
    memcpy(at, with, len);
    return change;
}

static uint32_t replace_port(uint8_t *at, uint16_t port)
{
    uint8_t with[2];
    gw_store16_be(with, port);
    return replace(at, with, sizeof with);
}

void nat_write(uint8_t *bytes, const struct nat_view *view, const struct nat_packet *to)
{
    const struct gw_ip *ip = &view->ip;
    size_t ip_len = ip->version == 6 ? 16 : 4, at = ip->version == 6 ? 8 : 12;
    uint8_t *l4 = bytes + ip->l4;
    uint32_t addresses =
        replace(bytes + at, to->from.ip, ip_len) + replace(bytes + at + ip_len, to->to.ip, ip_len);
    if (ip->version == 4)
        mend_at(bytes + 10, addresses, false);
    if (ip->protocol == NAT_TCP || ip->protocol == NAT_UDP) {
        uint32_t ports = replace_port(l4, to->from.port) + replace_port(l4 + 2, to->to.port);
        mend_at(l4 + gw_checksum_offset(ip->protocol), addresses + ports, ip->protocol == NAT_UDP);
        return;
    }
    bool is_reply = l4[0] == REPLY4 || l4[0] == REPLY6;
    uint32_t id = replace_port(l4 + ICMP_ID, is_reply ? to->to.port : to->from.port);
    mend_at(l4 + 2, ip->protocol == NAT_ICMPV6 ? addresses + id : id,
            false); /* ICMP for IPv4 has no pseudo header */
}

/* SPDX-License-Identifier: MIT */
#include "gateway/packet/reset.h"

#include <string.h>

#define SEQ 4u
#define ACK 8u
#define FLAGS 13u
#define HOPS 64u

static void put_header(uint8_t *out, const struct gw_addr *from, const struct gw_addr *to, size_t l4_len)
{
    size_t len = from->family == 6 ? 16 : 4, at = from->family == 6 ? 8 : 12;
    memset(out, 0, GW_RESET_MAX);
    memcpy(out + at, from->ip, len);
    memcpy(out + at + len, to->ip, len);
    if (from->family == 6) {
        out[0] = 0x60;
        gw_store16_be(out + 4, (uint16_t)l4_len);
        out[6] = GW_IP_TCP;
        out[7] = HOPS;
        return;
    }
    out[0] = 0x45;
    gw_store16_be(out + 2, (uint16_t)(GW_IP_V4_HEADER + l4_len));
    gw_store16_be(out + 6, 0x4000); /* whole, so its id means nothing (RFC 6864) */
    out[8] = HOPS;
    out[9] = GW_IP_TCP;
    gw_checksum_ip_header(out, GW_IP_V4_HEADER);
}

/* `data`: so many bytes, zero. */
static size_t make_with(uint8_t out[GW_RESET_MAX], const struct gw_addr *from, const struct gw_addr *to,
                        uint32_t seq, uint32_t ack, uint8_t flags, size_t data)
{
    struct gw_ip ip;
    size_t header = from->family == 6 ? GW_IP_V6_HEADER : GW_IP_V4_HEADER;
    uint8_t *tcp = out + header;
    put_header(out, from, to, GW_TCP_HEADER + data);
    gw_store16_be(tcp, from->port);
    gw_store16_be(tcp + 2, to->port);
    gw_store32_be(tcp + SEQ, seq);
    gw_store32_be(tcp + ACK, ack);
    tcp[12] = (GW_TCP_HEADER / 4) << 4;
    tcp[FLAGS] = flags;
    if (gw_ip_parse(&ip, out, header + GW_TCP_HEADER + data) != 0)
        return 0; /* from or to is no address */
    gw_checksum_complete(out, &ip);
    return header + GW_TCP_HEADER + data;
}

static size_t make(uint8_t out[GW_RESET_MAX], const struct gw_addr *from, const struct gw_addr *to,
                   uint32_t seq, uint32_t ack, uint8_t flags)
{
    return make_with(out, from, to, seq, ack, flags, 0);
}

static void read_ends(struct gw_addr *from, struct gw_addr *to, const uint8_t *packet, const struct gw_ip *ip)
{
    gw_ip_source(from, packet, ip);
    gw_ip_destination(to, packet, ip);
    from->port = gw_load16_be(packet + ip->l4);
    to->port = gw_load16_be(packet + ip->l4 + 2);
}

size_t gw_reset_sender(uint8_t out[GW_RESET_MAX], const uint8_t *packet, const struct gw_ip *ip)
{
    const uint8_t *tcp = packet + ip->l4;
    struct gw_addr from, to;
    if (tcp[FLAGS] & GW_TCP_RST)
        return 0;
    read_ends(&from, &to, packet, ip);
    if (tcp[FLAGS] & GW_TCP_ACK)
        return make(out, &to, &from, gw_load32_be(tcp + ACK), 0, GW_TCP_RST);
    uint32_t len = ip->total_len - ip->header_len + !!(tcp[FLAGS] & GW_TCP_SYN) + !!(tcp[FLAGS] & GW_TCP_FIN);
    return make(out, &to, &from, 0, gw_load32_be(tcp + SEQ) + len, GW_TCP_RST | GW_TCP_ACK);
}

size_t gw_reset_receiver(uint8_t out[GW_RESET_MAX], const uint8_t *packet, const struct gw_ip *ip)
{
    const uint8_t *tcp = packet + ip->l4;
    struct gw_addr from, to;
    if (tcp[FLAGS] & GW_TCP_RST)
        return 0;
    read_ends(&from, &to, packet, ip);
    return make(out, &from, &to, gw_load32_be(tcp + SEQ), gw_load32_be(tcp + ACK),
                GW_TCP_RST | (tcp[FLAGS] & GW_TCP_ACK));
}

size_t gw_reset_probe(uint8_t out[GW_RESET_MAX], const struct gw_addr *from, const struct gw_addr *to,
                      uint32_t seq)
{
    return make_with(out, from, to, seq, 0, GW_TCP_ACK, 1);
}

/* SPDX-License-Identifier: MIT */
/* ICMP and ICMPv6 echo; see icmp.h. */
#include "netstack/icmp.h"

#include "gateway/wire/cursor.h"

#include <string.h>

#define V4_HEADER 20u
#define V6_HEADER 40u
#define ECHO_HEADER 8u /* type, code, checksum, id, sequence */
#define PROTOCOL_ICMP 1u
#define PROTOCOL_ICMPV6 58u
#define V4_REQUEST 8u
#define V4_REPLY 0u
#define V6_REQUEST 128u
#define V6_REPLY 129u
#define TTL 64u

/* ---- checksums (RFC 1071) */

static uint32_t sum(uint32_t start, const uint8_t *data, size_t len)
{
    for (; len > 1; data += 2, len -= 2)
        start += gw_load16_be(data);
    return len ? start + (uint32_t)data[0] * 256u : start;
}

static uint16_t fold(uint32_t total)
{
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    return (uint16_t)~total;
}

/* Of an echo message at `icmp`; over the pseudo header too when the packet is IPv6. */
static uint16_t echo_checksum(const uint8_t *packet, const uint8_t *icmp, size_t icmp_len)
{
    uint32_t total = 0;
    if (packet[0] >> 4 == 6)
        total = sum((uint32_t)icmp_len + PROTOCOL_ICMPV6, packet + 8, 32);
    return fold(sum(total, icmp, icmp_len));
}

/* ---- in */

/* Where the ICMP message begins; 0 = not one of ours to look at. *end: the IP packet's own length. */
static size_t locate(const uint8_t *packet, size_t len, size_t *end)
{
    if (len >= V4_HEADER + ECHO_HEADER && packet[0] >> 4 == 4) {
        size_t header = (size_t)(packet[0] & 15) * 4;
        *end = gw_load16_be(packet + 2);
        bool is_fragment = (gw_load16_be(packet + 6) & 0x3fff) != 0;
        if (header < V4_HEADER || is_fragment || packet[9] != PROTOCOL_ICMP)
            return 0;
        return *end <= len && header + ECHO_HEADER <= *end ? header : 0;
    }
    if (len >= V6_HEADER + ECHO_HEADER && packet[0] >> 4 == 6) {
        *end = V6_HEADER + gw_load16_be(packet + 4);
        return packet[6] == PROTOCOL_ICMPV6 && *end <= len && *end >= V6_HEADER + ECHO_HEADER ? V6_HEADER : 0;
    }
    return 0;
}

static void read_addresses(const uint8_t *packet, struct gw_icmp_echo *out)
{
    bool is_v6 = packet[0] >> 4 == 6;
    size_t at = is_v6 ? 8 : 12, len = is_v6 ? 16 : 4;
    out->from.family = out->to.family = is_v6 ? 6 : 4;
    memcpy(out->from.ip, packet + at, len);
    memcpy(out->to.ip, packet + at + len, len);
}

bool gw_icmp_parse(const uint8_t *packet, size_t len, struct gw_icmp_echo *out)
{
    size_t end, at = locate(packet, len, &end);
    if (at == 0)
        return false;
    const uint8_t *icmp = packet + at;
    bool is_v6 = packet[0] >> 4 == 6;
    memset(out, 0, sizeof *out);
    out->is_reply = icmp[0] == (is_v6 ? V6_REPLY : V4_REPLY);
    if (!out->is_reply && icmp[0] != (is_v6 ? V6_REQUEST : V4_REQUEST))
        return false;
    if (icmp[1] != 0 || echo_checksum(packet, icmp, end - at) != 0)
        return false;
    out->id = gw_load16_be(icmp + 4);
    out->seq = gw_load16_be(icmp + 6);
    read_addresses(packet, out);
    return true;
}

/* ---- out */

static void set_checksums(uint8_t *packet, size_t at, size_t end)
{
    gw_store16_be(packet + at + 2, 0);
    gw_store16_be(packet + at + 2, echo_checksum(packet, packet + at, end - at));
    if (packet[0] >> 4 == 4) {
        gw_store16_be(packet + 10, 0);
        gw_store16_be(packet + 10, fold(sum(0, packet, at)));
    }
}

void gw_icmp_answer(uint8_t *packet, size_t len)
{
    size_t end, at = locate(packet, len, &end);
    bool is_v6 = packet[0] >> 4 == 6;
    size_t address = is_v6 ? 8 : 12, address_len = is_v6 ? 16 : 4;
    uint8_t from[16];
    memcpy(from, packet + address, address_len);
    memcpy(packet + address, packet + address + address_len, address_len);
    memcpy(packet + address + address_len, from, address_len);
    packet[is_v6 ? 7 : 8] = TTL;
    packet[at] = is_v6 ? V6_REPLY : V4_REPLY;
    set_checksums(packet, at, end);
}

static void write_header(struct gw_writer *w, const struct gw_icmp_echo *echo, size_t icmp_len)
{
    if (echo->from.family == 6) {
        gw_write_u32_be(w, 6u << 28);
        gw_write_u16_be(w, (uint16_t)icmp_len);
        gw_write_u8(w, PROTOCOL_ICMPV6);
        gw_write_u8(w, TTL);
    } else {
        gw_write_u16_be(w, 0x4500);
        gw_write_u16_be(w, (uint16_t)(V4_HEADER + icmp_len));
        gw_write_u32_be(w, 0x4000); /* id 0, don't fragment */
        gw_write_u8(w, TTL);
        gw_write_u8(w, PROTOCOL_ICMP);
        gw_write_u16_be(w, 0);
    }
    size_t address_len = echo->from.family == 6 ? 16 : 4;
    gw_write_bytes(w, echo->from.ip, address_len);
    gw_write_bytes(w, echo->to.ip, address_len);
}

size_t gw_icmp_request(uint8_t *out, size_t cap, const struct gw_icmp_echo *echo, size_t payload_len)
{
    struct gw_writer w = gw_writer_of(out, cap);
    bool is_v6 = echo->from.family == 6;
    if (echo->from.family != echo->to.family || (!is_v6 && echo->from.family != 4))
        return 0;
    write_header(&w, echo, ECHO_HEADER + payload_len);
    size_t at = gw_writer_len(&w);
    gw_write_u8(&w, is_v6 ? V6_REQUEST : V4_REQUEST);
    gw_write_u8(&w, 0);
    gw_write_u16_be(&w, 0);
    gw_write_u16_be(&w, echo->id);
    gw_write_u16_be(&w, echo->seq);
    gw_write_zeros(&w, payload_len);
    if (!gw_writer_ok(&w))
        return 0;
    set_checksums(out, at, gw_writer_len(&w));
    return gw_writer_len(&w);
}

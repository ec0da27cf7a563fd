/* SPDX-License-Identifier: MIT */
/* IP headers and checksums; see ip.h. */
#include "gateway/packet/ip.h"

#include "gateway/base/err.h"

#include <sodium.h>
#include <string.h>

#define FEW 64u           /* bytes */
#define EXTENSIONS_MAX 8u /* a chain longer than that is an attack */

/* ---- headers */

static int parse_l4(struct gw_ip *ip, const uint8_t *packet)
{
    size_t room = ip->total_len - ip->l4;
    ip->header_len = ip->l4;
    if (ip->is_fragment)
        return 0;
    if (ip->protocol == GW_IP_TCP) {
        size_t header = room >= GW_TCP_HEADER ? (size_t)(packet[ip->l4 + 12] >> 4) * 4 : 0;
        if (header < GW_TCP_HEADER || header > room)
            return GW_E_MALFORMED;
        ip->header_len = (uint16_t)(ip->l4 + header);
    } else if (ip->protocol == GW_IP_UDP) {
        size_t length = room >= GW_UDP_HEADER ? gw_load16_be(packet + ip->l4 + 4) : 0;
        if (length < GW_UDP_HEADER || length > room)
            return GW_E_MALFORMED;
        ip->header_len = (uint16_t)(ip->l4 + GW_UDP_HEADER);
    }
    return 0;
}

static int parse_v4(struct gw_ip *out, const uint8_t *packet, size_t len)
{
    if (len < GW_IP_V4_HEADER)
        return GW_E_MALFORMED;
    size_t header = (size_t)(packet[0] & 15) * 4, total = gw_load16_be(packet + 2);
    if (header < GW_IP_V4_HEADER || total < header || total > len)
        return GW_E_MALFORMED;
    *out = (struct gw_ip){.version = 4,
                          .protocol = packet[9],
                          .is_fragment = (gw_load16_be(packet + 6) & 0x3fff) != 0,
                          .has_extensions = header > GW_IP_V4_HEADER,
                          .l4 = (uint16_t)header,
                          .total_len = (uint32_t)total};
    return parse_l4(out, packet);
}

static bool is_extension(uint8_t next)
{
    return next == 0 || next == 43 || next == 60; /* hop-by-hop, routing, destination options: one layout */
}

static int parse_v6(struct gw_ip *out, const uint8_t *packet, size_t len)
{
    if (len < GW_IP_V6_HEADER)
        return GW_E_MALFORMED;
    size_t total = GW_IP_V6_HEADER + gw_load16_be(packet + 4), at = GW_IP_V6_HEADER;
    uint8_t next = packet[6];
    bool is_fragment = false;
    if (total > len)
        return GW_E_MALFORMED;
    for (unsigned i = 0; is_extension(next) || next == 44; i++) {
        if (i == EXTENSIONS_MAX || total - at < 8)
            return GW_E_MALFORMED;
        size_t size = next == 44 ? 8 : 8u * (1u + packet[at + 1]);
        if (next == 44 && (gw_load16_be(packet + at + 2) & 0xfff9) != 0)
            is_fragment = true; /* offset or more; an atomic fragment (RFC 6946) is whole */
        if (size > total - at)
            return GW_E_MALFORMED;
        next = packet[at];
        at += size;
        if (is_fragment)
            break;
    }
    if (at > UINT16_MAX)
        return GW_E_MALFORMED;
    *out = (struct gw_ip){.version = 6,
                          .protocol = next,
                          .is_fragment = is_fragment,
                          .has_extensions = at > GW_IP_V6_HEADER,
                          .l4 = (uint16_t)at,
                          .total_len = (uint32_t)total};
    return parse_l4(out, packet);
}

int gw_ip_parse(struct gw_ip *out, const uint8_t *packet, size_t len)
{
    if (len == 0)
        return GW_E_MALFORMED;
    switch (packet[0] >> 4) {
    case 4:
        return parse_v4(out, packet, len);
    case 6:
        return parse_v6(out, packet, len);
    default:
        return GW_E_MALFORMED;
    }
}

static void read_address(struct gw_addr *out, const uint8_t *at, uint8_t version)
{
    memset(out, 0, sizeof *out);
    out->family = version;
    memcpy(out->ip, at, version == 6 ? 16 : 4);
}

void gw_ip_source(struct gw_addr *out, const uint8_t *packet, const struct gw_ip *ip)
{
    read_address(out, packet + (ip->version == 6 ? 8 : 12), ip->version);
}

void gw_ip_destination(struct gw_addr *out, const uint8_t *packet, const struct gw_ip *ip)
{
    read_address(out, packet + (ip->version == 6 ? 24 : 16), ip->version);
}

/* ---- checksums */

/* The thread sanitizer is not there yet when the loader asks which clone to take. */
#ifdef __SANITIZE_THREAD__
#define CLONES
#else
#define CLONES __attribute__((target_clones("avx2", "default")))
#endif

/* Summed in the machine's order, 4 bytes at a time into 64 bits, which the compiler makes vectors of: the sum of 16-bit words is the same in
 * either byte order but for a swap of the folded result (RFC 1071, 2.B). */
CLONES static uint64_t sum_words(const uint8_t *data, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t word;
        memcpy(&word, data + 4 * i, sizeof word);
        sum += word;
    }
    return sum;
}

uint16_t gw_checksum_fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* As sum_words, of what is shorter than a call of it is worth: headers. */
static inline uint64_t sum_few(const uint8_t *data, size_t len)
{
    uint64_t sum = 0;
    uint32_t word = 0;
    for (; len >= sizeof word; data += sizeof word, len -= sizeof word) {
        memcpy(&word, data, sizeof word);
        sum += word;
    }
    word = 0;
    memcpy(&word, data, len);
    return sum + word;
}

uint64_t gw_checksum_add(uint64_t sum, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    size_t many = len > FEW ? len / 4 : 0;
    uint64_t words = sum_few(bytes + 4 * many, len - 4 * many);
    if (many > 0)
        words += sum_words(bytes, many);
    uint16_t folded = gw_checksum_fold(words);
    uint8_t in_order[2];
    memcpy(in_order, &folded, sizeof in_order);
    return sum + gw_load16_be(in_order);
}

uint64_t gw_checksum_pseudo(const uint8_t *packet, uint8_t version, uint8_t protocol, size_t l4_len)
{
    uint64_t sum = (uint64_t)protocol + l4_len;
    return version == 6 ? gw_checksum_add(sum, packet + 8, 32) : gw_checksum_add(sum, packet + 12, 8);
}

size_t gw_checksum_offset(uint8_t protocol)
{
    return protocol == GW_IP_TCP ? 16 : protocol == GW_IP_UDP ? 6 : 0;
}

void gw_checksum_ip_header(uint8_t *packet, size_t header_len)
{
    gw_store16_be(packet + 10, 0);
    gw_store16_be(packet + 10, (uint16_t)~gw_checksum_fold(gw_checksum_add(0, packet, header_len)));
}

static uint64_t sum_l4(const uint8_t *packet, const struct gw_ip *ip)
{
    size_t l4_len = ip->total_len - ip->l4;
    return gw_checksum_add(gw_checksum_pseudo(packet, ip->version, ip->protocol, l4_len), packet + ip->l4,
                           l4_len);
}

void gw_checksum_complete(uint8_t *packet, const struct gw_ip *ip)
{
    size_t offset = gw_checksum_offset(ip->protocol);
    if (offset == 0 || ip->is_fragment)
        return;
    gw_store16_be(packet + ip->l4 + offset, 0);
    uint16_t sum = (uint16_t)~gw_checksum_fold(sum_l4(packet, ip));
    if (sum == 0 && ip->protocol == GW_IP_UDP)
        sum = 0xffff; /* 0 means "none" there */
    gw_store16_be(packet + ip->l4 + offset, sum);
}

bool gw_checksum_is_right(const uint8_t *packet, const struct gw_ip *ip)
{
    size_t offset = gw_checksum_offset(ip->protocol);
    if (offset == 0 || ip->is_fragment)
        return true;
    if (ip->protocol == GW_IP_UDP && ip->version == 4 && gw_load16_be(packet + ip->l4 + offset) == 0)
        return true;
    return gw_checksum_fold(sum_l4(packet, ip)) == 0xffff;
}

void gw_checksum_prepare(uint8_t *packet, const struct gw_ip *ip, size_t l4_len)
{
    size_t offset = gw_checksum_offset(ip->protocol);
    if (offset)
        gw_store16_be(packet + ip->l4 + offset,
                      gw_checksum_fold(gw_checksum_pseudo(packet, ip->version, ip->protocol, l4_len)));
}

/* ---- flows */

uint32_t gw_ip_flow_hash(const uint8_t *packet, const struct gw_ip *ip, const uint8_t seed[16])
{
    uint8_t key[16 + 16 + 4 + 1] = {0};
    uint8_t hash[crypto_shorthash_BYTES];
    bool is_v6 = ip->version == 6;
    size_t address_len = is_v6 ? 16 : 4;
    memcpy(key, packet + (is_v6 ? 8 : 12), 2 * address_len);
    if (!ip->is_fragment && (ip->protocol == GW_IP_TCP || ip->protocol == GW_IP_UDP))
        memcpy(key + 2 * address_len, packet + ip->l4, 4);
    key[2 * address_len + 4] = ip->protocol;
    crypto_shorthash(hash, key, 2 * address_len + 5, seed);
    return gw_load32_le(hash);
}

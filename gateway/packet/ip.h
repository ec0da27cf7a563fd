/* SPDX-License-Identifier: MIT */
/* IP packets as they stand in memory: where the headers end, whose they are, and their checksums. Nothing in a header is believed before
 * gw_ip_parse has checked it against the bytes that are there. No state, no allocation. */
#ifndef GATEWAY_PACKET_IP_H
#define GATEWAY_PACKET_IP_H

#include "gateway/wire/addr.h"
#include "gateway/wire/cursor.h"

#define GW_IP_V4_HEADER 20u
#define GW_IP_V6_HEADER 40u
#define GW_TCP_HEADER 20u
#define GW_UDP_HEADER 8u
#define GW_IP_MIN_MTU_V6 1280u

enum gw_ip_protocol {
    GW_IP_ICMP = 1,
    GW_IP_TCP = 6,
    GW_IP_UDP = 17,
    GW_IP_ICMPV6 = 58,
};

/* Flags of a TCP header's byte 13. */
enum {
    GW_TCP_FIN = 1,
    GW_TCP_SYN = 2,
    GW_TCP_RST = 4,
    GW_TCP_PSH = 8,
    GW_TCP_ACK = 16,
    GW_TCP_URG = 32,
    GW_TCP_ECE = 64,
    GW_TCP_CWR = 128
};

struct gw_ip {
    uint8_t version;     /* 4 or 6 */
    uint8_t protocol;    /* of the layer-4 header at l4; behind IPv6 extension headers, if any */
    bool is_fragment;    /* l4 is not (or not all of) a layer-4 header then */
    bool has_extensions; /* IPv4 options or IPv6 extension headers */
    uint16_t l4;         /* offset of the layer-4 header */
    uint16_t header_len; /* IP and, for whole TCP and UDP, the layer-4 header */
    uint32_t total_len;  /* what the IP header says, <= what is there */
};

/* 0, or GW_E_MALFORMED: not IPv4 or IPv6, a length that does not fit, a layer-4 header that is cut. */
int gw_ip_parse(struct gw_ip *out, const uint8_t *packet, size_t len);
/* Of a packet that gw_ip_parse took; ports 0. */
void gw_ip_source(struct gw_addr *out, const uint8_t *packet, const struct gw_ip *ip);
void gw_ip_destination(struct gw_addr *out, const uint8_t *packet, const struct gw_ip *ip);

/* RFC 1071: the ones' complement sum of data in network order, added to `sum` and not folded. Fast for long data. */
uint64_t gw_checksum_add(uint64_t sum, const void *data, size_t len);
/* Folded to 16 bits, not inverted. */
uint16_t gw_checksum_fold(uint64_t sum);
/* Over the addresses, protocol and layer-4 length: what TCP, UDP and ICMPv6 checksums start from. */
uint64_t gw_checksum_pseudo(const uint8_t *packet, uint8_t version, uint8_t protocol, size_t l4_len);
/* Where in a layer-4 header the checksum stands: 16 for TCP, 6 for UDP; 0 for others. */
size_t gw_checksum_offset(uint8_t protocol);
/* Writes the IPv4 header's checksum (header_len bytes from packet). */
void gw_checksum_ip_header(uint8_t *packet, size_t header_len);
/* Completes the TCP or UDP checksum of a whole packet; nothing for others. */
void gw_checksum_complete(uint8_t *packet, const struct gw_ip *ip);
/* Is the TCP or UDP checksum right (or absent, for UDP over IPv4)? True for other protocols. */
bool gw_checksum_is_right(const uint8_t *packet, const struct gw_ip *ip);
/* Writes the pseudo header's sum into the checksum field, as a virtio NEEDS_CSUM packet has it. */
void gw_checksum_prepare(uint8_t *packet, const struct gw_ip *ip, size_t l4_len);

/* The same for all packets of one TCP or UDP flow (5-tuple), and of one address pair otherwise; keyed, so that strangers cannot aim at a queue. */
uint32_t gw_ip_flow_hash(const uint8_t *packet, const struct gw_ip *ip, const uint8_t seed[16]);

#endif

/* SPDX-License-Identifier: MIT */
/* Packets for tests, written byte by byte: nothing here shares code with what is tested. */
#ifndef TESTS_UNIT_PACKET_MAKE_H
#define TESTS_UNIT_PACKET_MAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct make {
    int version;      /* 4 or 6 */
    uint8_t protocol; /* 6 or 17 */
    uint8_t flow;     /* last byte of the source address and of the source port */
    uint32_t seq, ack;
    uint8_t flags; /* TCP */
    uint16_t window, id;
    size_t options; /* bytes of TCP options, a multiple of 4 */
    size_t payload;
    uint8_t fill; /* byte i of the payload is fill + i */
    uint8_t tos;
};

/* Writes a whole packet with right checksums; its length. */
size_t make_packet(uint8_t *out, const struct make *make);
/* One byte at a time (RFC 1071), over the addresses, protocol, length and layer 4 of a packet without extensions: 0 when the checksum is right. */
uint16_t naive_l4(const uint8_t *packet, size_t len);
/* The same over plain bytes, inverted: what a checksum field gets. */
uint16_t naive_sum(const uint8_t *data, size_t len);

#endif

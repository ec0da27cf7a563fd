/* SPDX-License-Identifier: MIT */
/* IP packets by hand, for what looks at their headers: no checksums. */
#ifndef TESTS_UNIT_NETSTACK_PACKET_H
#define TESTS_UNIT_NETSTACK_PACKET_H

#include "gateway/packet/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct packet {
    uint8_t bytes[1500];
    size_t len;
};

/* offset in bytes; more: fragments follow. l4_len zeros behind the header. */
static inline struct packet packet_v4(const char *from, const char *to, uint8_t protocol, size_t offset,
                                      bool more, uint16_t id, size_t l4_len)
{
    struct packet packet = {.len = 20 + l4_len};
    struct gw_addr a;
    packet.bytes[0] = 0x45;
    gw_store16_be(packet.bytes + 2, (uint16_t)packet.len);
    gw_store16_be(packet.bytes + 4, id);
    gw_store16_be(packet.bytes + 6, (uint16_t)(offset / 8 | (more ? 0x2000u : 0u)));
    packet.bytes[8] = 64;
    packet.bytes[9] = protocol;
    assert_int_equal(gw_addr_parse_ip(&a, from, 0), 0);
    memcpy(packet.bytes + 12, a.ip, 4);
    assert_int_equal(gw_addr_parse_ip(&a, to, 0), 0);
    memcpy(packet.bytes + 16, a.ip, 4);
    return packet;
}

static inline struct packet packet_v6(const char *from, const char *to, uint8_t protocol, size_t l4_len)
{
    struct packet packet = {.len = 40 + l4_len};
    struct gw_addr a;
    packet.bytes[0] = 0x60;
    gw_store16_be(packet.bytes + 4, (uint16_t)l4_len);
    packet.bytes[6] = protocol;
    assert_int_equal(gw_addr_parse_ip(&a, from, 0), 0);
    memcpy(packet.bytes + 8, a.ip, 16);
    assert_int_equal(gw_addr_parse_ip(&a, to, 0), 0);
    memcpy(packet.bytes + 24, a.ip, 16);
    return packet;
}

#endif

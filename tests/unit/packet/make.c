/* SPDX-License-Identifier: MIT */
/* Packets for tests; see make.h. */
#include "tests/unit/packet/make.h"

#include <string.h>

static uint32_t add_bytes(uint32_t sum, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

uint16_t naive_sum(const uint8_t *data, size_t len)
{
    return (uint16_t)~add_bytes(0, data, len);
}

uint16_t naive_l4(const uint8_t *packet, size_t len)
{
    bool is_v6 = packet[0] >> 4 == 6;
    size_t header = is_v6 ? 40 : 20, l4 = len - header;
    const uint8_t tail[4] = {(uint8_t)(l4 >> 8), (uint8_t)l4, 0, packet[is_v6 ? 6 : 9]};
    uint32_t sum = add_bytes(0, packet + (is_v6 ? 8 : 12), is_v6 ? 32 : 8);
    sum = add_bytes(sum, tail, sizeof tail);
    return (uint16_t)~add_bytes(sum, packet + header, l4);
}

static void put16(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

static size_t put_ip(uint8_t *out, const struct make *make, size_t l4)
{
    if (make->version == 6) {
        out[0] = (uint8_t)(0x60 | make->tos >> 4);
        out[1] = (uint8_t)(make->tos << 4);
        put16(out + 4, l4);
        out[6] = make->protocol;
        out[7] = 64;
        out[8] = out[24] = 0xfd;
        out[23] = make->flow;
        out[39] = 2;
        return 40;
    }
    out[0] = 0x45;
    out[1] = make->tos;
    put16(out + 2, 20 + l4);
    put16(out + 4, make->id);
    out[6] = 0x40;
    out[8] = 64;
    out[9] = make->protocol;
    out[12] = out[16] = 10;
    out[15] = make->flow;
    out[19] = 2;
    put16(out + 10, naive_sum(out, 20));
    return 20;
}

size_t make_packet(uint8_t *out, const struct make *make)
{
    bool is_tcp = make->protocol == 6;
    size_t header = is_tcp ? 20 + make->options : 8, l4 = header + make->payload;
    memset(out, 0, 40 + header);
    size_t start = put_ip(out, make, l4);
    uint8_t *at = out + start;
    put16(at, 1000u + make->flow);
    put16(at + 2, 80);
    if (is_tcp) {
        put32(at + 4, make->seq);
        put32(at + 8, make->ack);
        at[12] = (uint8_t)(header / 4 << 4);
        at[13] = make->flags;
        put16(at + 14, make->window);
        memset(at + 20, 1, make->options); /* NOPs */
    } else {
        put16(at + 4, l4);
    }
    for (size_t i = 0; i < make->payload; i++)
        at[header + i] = (uint8_t)(make->fill + i);
    uint16_t sum = naive_l4(out, start + l4);
    put16(at + (is_tcp ? 16 : 6), !is_tcp && sum == 0 ? 0xffff : sum);
    return start + l4;
}

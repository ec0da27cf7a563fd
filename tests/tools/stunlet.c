/* SPDX-License-Identifier: MIT */
#include "tests/tools/stunlet.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define COOKIE 0x2112a442u
#define HEADER 20u

enum {
    MAPPED = 0x0001, /* RFC 3489's, of servers that send both */
    CHANGE_REQUEST = 0x0003,
    ERROR_CODE = 0x0009,
    CHANNEL_NUMBER = 0x000c,
    LIFETIME = 0x000d,
    XOR_PEER = 0x0012,
    XOR_RELAYED = 0x0016,
    REQUESTED_TRANSPORT = 0x0019,
    XOR_MAPPED = 0x0020,
    RESPONSE_PORT = 0x0027,
    RESPONSE_ORIGIN = 0x802b,
    OTHER_ADDRESS = 0x802c,
};

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static void put32(uint8_t *p, uint32_t value)
{
    put16(p, (uint16_t)(value >> 16));
    put16(p + 2, (uint16_t)value);
}

/* ---- addresses */

uint16_t stun_addr_port(const struct stun_addr *a)
{
    return ntohs(a->sa.sa_family == AF_INET6 ? a->in6.sin6_port : a->in.sin_port);
}

void stun_addr_set_port(struct stun_addr *a, uint16_t port)
{
    if (a->sa.sa_family == AF_INET6)
        a->in6.sin6_port = htons(port);
    else
        a->in.sin_port = htons(port);
}

socklen_t stun_addr_len(const struct stun_addr *a)
{
    return a->sa.sa_family == AF_INET6 ? sizeof a->in6 : sizeof a->in;
}

bool stun_addr_same_ip(const struct stun_addr *a, const struct stun_addr *b)
{
    if (a->sa.sa_family != b->sa.sa_family)
        return false;
    if (a->sa.sa_family == AF_INET6)
        return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16) == 0;
    return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
}

bool stun_addr_equal(const struct stun_addr *a, const struct stun_addr *b)
{
    return stun_addr_same_ip(a, b) && stun_addr_port(a) == stun_addr_port(b);
}

const char *stun_addr_text(const struct stun_addr *a, char out[64])
{
    char ip[INET6_ADDRSTRLEN];
    if (a->sa.sa_family == AF_INET6)
        snprintf(out, 64, "[%s]:%u", inet_ntop(AF_INET6, &a->in6.sin6_addr, ip, sizeof ip),
                 stun_addr_port(a));
    else if (a->sa.sa_family == AF_INET)
        snprintf(out, 64, "%s:%u", inet_ntop(AF_INET, &a->in.sin_addr, ip, sizeof ip), stun_addr_port(a));
    else
        snprintf(out, 64, "-");
    return out;
}

/* ---- attributes */

/* The mask is the cookie and, for IPv6, the transaction's ID behind it; NULL: none. */
static void put_addr(uint8_t *out, size_t *at, uint16_t type, const struct stun_addr *a, const uint8_t *mask)
{
    bool is_6 = a->sa.sa_family == AF_INET6;
    size_t len = is_6 ? 16 : 4;
    uint8_t *p = out + *at;
    if (a->sa.sa_family == 0)
        return;
    put16(p, type);
    put16(p + 2, (uint16_t)(4 + len));
    put16(p + 4, is_6 ? 2 : 1);
    put16(p + 6, (uint16_t)(stun_addr_port(a) ^ (mask ? get16(mask) : 0)));
    memcpy(p + 8, is_6 ? (const void *)&a->in6.sin6_addr : &a->in.sin_addr, len);
    for (size_t i = 0; mask && i < len; i++)
        p[8 + i] ^= mask[i];
    *at += 8 + len;
}

static bool get_addr(struct stun_addr *out, const uint8_t *p, size_t len, const uint8_t *mask)
{
    uint8_t ip[16];
    size_t ip_len = len == 8 ? 4 : 16;
    if ((len != 8 && len != 20) || p[1] != (len == 8 ? 1 : 2))
        return false;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < ip_len; i++)
        ip[i] = p[4 + i] ^ (mask ? mask[i] : 0);
    out->sa.sa_family = len == 8 ? AF_INET : AF_INET6;
    memcpy(len == 8 ? (void *)&out->in.sin_addr : &out->in6.sin6_addr, ip, ip_len);
    stun_addr_set_port(out, (uint16_t)(get16(p + 2) ^ (mask ? get16(mask) : 0)));
    return true;
}

static void put_word(uint8_t *out, size_t *at, uint16_t type, uint32_t word)
{
    put32(out + *at, (uint32_t)type << 16 | 4);
    put32(out + *at + 4, word);
    *at += 8;
}

size_t stun_encode(uint8_t *out, const struct stun_message *message)
{
    size_t at = HEADER;
    put16(out, message->type);
    put32(out + 4, COOKIE);
    memcpy(out + 8, message->id, STUN_ID_LEN);
    put_addr(out, &at, XOR_MAPPED, &message->mapped, out + 4);
    put_addr(out, &at, RESPONSE_ORIGIN, &message->origin, NULL);
    put_addr(out, &at, OTHER_ADDRESS, &message->other, NULL);
    put_addr(out, &at, XOR_PEER, &message->peer, out + 4);
    if (message->change_ip || message->change_port)
        put_word(out, &at, CHANGE_REQUEST, (message->change_ip ? 4u : 0) | (message->change_port ? 2u : 0));
    if (message->response_port)
        put_word(out, &at, RESPONSE_PORT, (uint32_t)message->response_port << 16);
    if (message->channel)
        put_word(out, &at, CHANNEL_NUMBER, (uint32_t)message->channel << 16);
    if (message->type == TURN_REFRESH)
        put_word(out, &at, LIFETIME, 0);
    if (message->transport)
        put_word(out, &at, REQUESTED_TRANSPORT, (uint32_t)message->transport << 24);
    put16(out + 2, (uint16_t)(at - HEADER));
    return at;
}

static bool take(struct stun_message *out, uint16_t type, const uint8_t *p, size_t len, const uint8_t *mask)
{
    switch (type) {
    case MAPPED:
        return out->mapped.sa.sa_family || get_addr(&out->mapped, p, len, NULL);
    case XOR_MAPPED:
        return get_addr(&out->mapped, p, len, mask);
    case XOR_RELAYED:
        return get_addr(&out->relayed, p, len, mask);
    case RESPONSE_ORIGIN:
        return get_addr(&out->origin, p, len, NULL);
    case OTHER_ADDRESS:
        return get_addr(&out->other, p, len, NULL);
    case ERROR_CODE:
        if (len >= 4)
            out->error = (uint16_t)(p[2] * 100 + p[3]);
        return len >= 4;
    case CHANGE_REQUEST:
        if (len == 4) {
            out->change_ip = p[3] & 4;
            out->change_port = p[3] & 2;
        }
        return len == 4;
    case RESPONSE_PORT:
        if (len >= 2)
            out->response_port = get16(p);
        return len >= 2;
    default:
        return true;
    }
}

bool stun_decode(struct stun_message *out, const uint8_t *bytes, size_t len)
{
    static const uint8_t cookie[4] = {0x21, 0x12, 0xa4, 0x42};
    memset(out, 0, sizeof *out);
    if (len < HEADER || (bytes[0] & 0xc0) || memcmp(bytes + 4, cookie, 4) != 0 ||
        get16(bytes + 2) != len - HEADER)
        return false;
    out->type = get16(bytes);
    memcpy(out->id, bytes + 8, STUN_ID_LEN);
    for (size_t at = HEADER; at < len;) {
        if (len - at < 4)
            return false;
        size_t size = get16(bytes + at + 2);
        if (size > len - at - 4 || !take(out, get16(bytes + at), bytes + at + 4, size, bytes + 4))
            return false;
        at += 4 + ((size + 3) & ~(size_t)3);
    }
    return true;
}

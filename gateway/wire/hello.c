/* SPDX-License-Identifier: MIT */
/* HELLO's body: what a node says about itself when a key pair is born (docs/PROTOCOL.md, "HELLO"). Layout
 * only; what it means, and whether the identity proof holds, is the session's to judge. */
#include "gateway/base/err.h"
#include "gateway/wire/frame.h"

#include <assert.h>
#include <string.h>

#define FIXED_LEN (5u + 8u + 8u + 8u + 2u) /* up to the MTU, with the longest varint */
#define IDENTITY_LEN (32u + 64u)
static_assert(FIXED_LEN + 1 + GW_HELLO_NAME_MAX + 1 + GW_HELLO_ADDRS_MAX * 17 + IDENTITY_LEN <= GW_HELLO_MAX,
              "the longest HELLO that the struct can hold fits");

static size_t ip_len(uint8_t family)
{
    return family == 4 ? 4 : family == 6 ? 16 : 0;
}

/* For display: what could drive a terminal or break a log line becomes '?'. */
static void decode_name(struct gw_reader *r, char name[GW_HELLO_NAME_MAX + 1])
{
    size_t len = gw_read_u8(r);
    if (len > GW_HELLO_NAME_MAX) {
        gw_reader_fail(r);
        return;
    }
    gw_read_bytes(r, name, len);
    for (size_t i = 0; i < len; i++) {
        if (name[i] < ' ' || name[i] > '~')
            name[i] = '?';
    }
    name[len] = '\0';
}

static void decode_addrs(struct gw_reader *r, struct gw_hello *hello)
{
    hello->addr_count = gw_read_u8(r);
    if (hello->addr_count > GW_HELLO_ADDRS_MAX) {
        gw_reader_fail(r);
        return;
    }
    for (unsigned i = 0; i < hello->addr_count; i++) {
        uint8_t family = gw_read_u8(r);
        if (ip_len(family) == 0) {
            gw_reader_fail(r);
            return;
        }
        hello->addrs[i].family = family;
        gw_read_bytes(r, hello->addrs[i].ip, ip_len(family));
    }
}

int gw_hello_decode(struct gw_hello *out, struct gw_view body)
{
    struct gw_reader r = gw_reader_of_view(body);
    struct gw_hello hello;
    memset(&hello, 0, sizeof hello);
    hello.version = gw_read_u8(&r);
    hello.flags = gw_read_u8(&r);
    hello.seq = gw_read_u8(&r);
    hello.ack = gw_read_u8(&r);
    hello.suites = gw_read_u8(&r);
    hello.instance = gw_read_u64_be(&r);
    hello.to_instance = gw_read_u64_be(&r);
    hello.capabilities = gw_read_varint(&r);
    hello.mtu = gw_read_u16_be(&r);
    decode_name(&r, hello.name);
    decode_addrs(&r, &hello);
    if (hello.flags & GW_HELLO_IDENTITY) {
        gw_read_bytes(&r, hello.ed25519, sizeof hello.ed25519);
        gw_read_bytes(&r, hello.signature, sizeof hello.signature);
    }
    if (!gw_reader_ok(&r) || hello.version == 0 || body.len > GW_HELLO_MAX)
        return GW_E_MALFORMED;
    *out = hello;
    return 0;
}

void gw_hello_encode(struct gw_writer *w, const struct gw_hello *hello)
{
    size_t name_len = strnlen(hello->name, GW_HELLO_NAME_MAX);
    assert(hello->addr_count <= GW_HELLO_ADDRS_MAX);
    gw_write_u8(w, hello->version);
    gw_write_u8(w, hello->flags);
    gw_write_u8(w, hello->seq);
    gw_write_u8(w, hello->ack);
    gw_write_u8(w, hello->suites);
    gw_write_u64_be(w, hello->instance);
    gw_write_u64_be(w, hello->to_instance);
    gw_write_varint(w, hello->capabilities);
    gw_write_u16_be(w, hello->mtu);
    gw_write_u8(w, (uint8_t)name_len);
    gw_write_bytes(w, hello->name, name_len);
    gw_write_u8(w, (uint8_t)hello->addr_count);
    for (unsigned i = 0; i < hello->addr_count; i++) {
        assert(ip_len(hello->addrs[i].family) != 0);
        gw_write_u8(w, hello->addrs[i].family);
        gw_write_bytes(w, hello->addrs[i].ip, ip_len(hello->addrs[i].family));
    }
    if (hello->flags & GW_HELLO_IDENTITY) {
        gw_write_bytes(w, hello->ed25519, sizeof hello->ed25519);
        gw_write_bytes(w, hello->signature, sizeof hello->signature);
    }
}

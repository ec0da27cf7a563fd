/* SPDX-License-Identifier: MIT */
/* The codec; see pcp.h.
 *
 *  PCP     version 2 | R, opcode | 0, result (of a response) | lifetime 32 | client IP 128, or epoch 32 and 96 zero bits | opcode's
 *  MAP     nonce 96 | protocol, 24 zero bits | internal port 16 | external port 16 | external IP 128
 *  NAT-PMP version 0 | R, opcode | result 16, epoch 32 (of a response) | opcode's */
#include "gateway/wire/pcp.h"

#include "gateway/base/err.h"
#include "gateway/wire/cursor.h"

#define RESPONSE 0x80u
#define UDP 17u
#define PCP_HEADER_LEN 24u

enum pcp_opcode { PCP_ANNOUNCE = 0, PCP_MAP = 1 };
enum pmp_opcode { PMP_ADDRESS = 0, PMP_MAP_UDP = 1 };

const char *gw_pcp_result_text(enum gw_pcp_version version, unsigned result)
{
    static const char *const pmp[] = {
        "done",         "version not supported", "not authorized", "network failure", "out of resources",
        "not supported"};
    static const char *const pcp[] = {"done",
                                      "version not supported",
                                      "not authorized",
                                      "malformed request",
                                      "not supported",
                                      "option not supported",
                                      "malformed option",
                                      "network failure",
                                      "out of resources",
                                      "protocol not supported",
                                      "quota exceeded",
                                      "outside address not to be had",
                                      "there is another NAT before it",
                                      "too many peers"};
    size_t count = version == GW_PMP ? sizeof pmp / sizeof *pmp : sizeof pcp / sizeof *pcp;
    return result >= count ? "refused" : version == GW_PMP ? pmp[result] : pcp[result];
}

/* ---- requests */

/* IPv4 as ::ffff:a.b.c.d; an address that is not set as ::ffff:0.0.0.0 or ::, "any". */
static void write_ip(struct gw_writer *w, const struct gw_addr *addr, bool is_v6)
{
    if (is_v6) {
        gw_write_bytes(w, addr->ip, sizeof addr->ip);
        return;
    }
    gw_write_zeros(w, 10);
    gw_write_u16_be(w, 0xffff);
    gw_write_bytes(w, addr->ip, 4);
}

static void write_header(struct gw_writer *w, uint8_t opcode, uint32_t lifetime_s,
                         const struct gw_addr *client)
{
    gw_write_u8(w, GW_PCP);
    gw_write_u8(w, opcode);
    gw_write_u16_be(w, 0);
    gw_write_u32_be(w, lifetime_s);
    write_ip(w, client, client->family == 6);
}

size_t gw_pcp_encode_map(uint8_t out[GW_PCP_REQUEST_MAX], const struct gw_pcp_map *map)
{
    struct gw_writer w = gw_writer_of(out, GW_PCP_REQUEST_MAX);
    write_header(&w, PCP_MAP, map->lifetime_s, &map->client);
    gw_write_bytes(&w, map->nonce, sizeof map->nonce);
    gw_write_u8(&w, UDP);
    gw_write_zeros(&w, 3);
    gw_write_u16_be(&w, map->internal_port);
    gw_write_u16_be(&w, map->external_port);
    write_ip(&w, &map->external, map->client.family == 6);
    return gw_writer_len(&w);
}

size_t gw_pcp_encode_announce(uint8_t out[GW_PCP_REQUEST_MAX], const struct gw_addr *client)
{
    struct gw_writer w = gw_writer_of(out, GW_PCP_REQUEST_MAX);
    write_header(&w, PCP_ANNOUNCE, 0, client);
    return gw_writer_len(&w);
}

size_t gw_pmp_encode_address(uint8_t out[GW_PCP_REQUEST_MAX])
{
    out[0] = GW_PMP;
    out[1] = PMP_ADDRESS;
    return 2;
}

size_t gw_pmp_encode_map(uint8_t out[GW_PCP_REQUEST_MAX], const struct gw_pcp_map *map)
{
    out[0] = GW_PMP;
    out[1] = PMP_MAP_UDP;
    gw_store16_be(out + 2, 0);
    gw_store16_be(out + 4, map->internal_port);
    gw_store16_be(out + 6, map->lifetime_s == 0 ? 0 : map->external_port); /* RFC 6886, 3.4 */
    gw_store32_be(out + 8, map->lifetime_s);
    return 12;
}

/* ---- responses */

static int decode_pcp(struct gw_pcp_response *out, struct gw_reader *r, unsigned opcode, size_t len)
{
    if (len < PCP_HEADER_LEN || len % 4 != 0)
        return GW_E_MALFORMED;
    gw_read_u8(r);
    out->result = gw_read_u8(r);
    out->lifetime_s = gw_read_u32_be(r);
    out->epoch_s = gw_read_u32_be(r);
    gw_read_take(r, 12);
    out->kind = opcode == PCP_MAP ? GW_PCP_MAP : opcode == PCP_ANNOUNCE ? GW_PCP_ANNOUNCE : GW_PCP_OTHER;
    if (opcode != PCP_MAP)
        return 0;
    if (out->result != GW_PCP_SUCCESS && gw_reader_left(r) == 0)
        return 0; /* refused before it was read: some leave the rest out */
    gw_read_bytes(r, out->nonce, sizeof out->nonce);
    out->protocol = gw_read_u8(r);
    gw_read_take(r, 3);
    out->internal_port = gw_read_u16_be(r);
    out->external.port = gw_read_u16_be(r);
    out->external.family = 6;
    gw_read_bytes(r, out->external.ip, sizeof out->external.ip);
    gw_addr_normalise(&out->external);
    return gw_reader_ok(r) ? 0 : GW_E_MALFORMED; /* options may follow */
}

static int decode_pmp(struct gw_pcp_response *out, struct gw_reader *r, unsigned opcode, size_t len)
{
    out->result = gw_read_u16_be(r);
    out->kind = opcode == PMP_ADDRESS ? GW_PCP_ADDRESS : opcode == PMP_MAP_UDP ? GW_PCP_MAP : GW_PCP_OTHER;
    if (len < 8 && out->result == GW_PCP_UNSUPPORTED_VERSION)
        return gw_reader_ok(r) ? 0 : GW_E_MALFORMED;
    out->epoch_s = gw_read_u32_be(r);
    if (out->result != GW_PCP_SUCCESS || out->kind == GW_PCP_OTHER)
        return gw_reader_ok(r) ? 0 : GW_E_MALFORMED;
    if (out->kind == GW_PCP_ADDRESS) {
        out->external.family = 4;
        gw_read_bytes(r, out->external.ip, 4);
    } else {
        out->internal_port = gw_read_u16_be(r);
        out->external.port = gw_read_u16_be(r);
        out->lifetime_s = gw_read_u32_be(r);
        out->protocol = UDP;
    }
    return gw_reader_done(r) ? 0 : GW_E_MALFORMED;
}

int gw_pcp_decode(struct gw_pcp_response *out, const uint8_t *data, size_t len)
{
    struct gw_pcp_response response = {.kind = GW_PCP_OTHER};
    struct gw_reader r = gw_reader_of(data, len);
    unsigned version = gw_read_u8(&r), opcode = gw_read_u8(&r);
    if (!gw_reader_ok(&r) || len > GW_PCP_MESSAGE_MAX || !(opcode & RESPONSE))
        return GW_E_MALFORMED;
    response.version = version == GW_PCP ? GW_PCP : GW_PMP;
    int err = version == GW_PCP   ? decode_pcp(&response, &r, opcode & ~RESPONSE, len)
              : version == GW_PMP ? decode_pmp(&response, &r, opcode & ~RESPONSE, len)
                                  : GW_E_MALFORMED;
    if (err == 0)
        *out = response;
    return err;
}

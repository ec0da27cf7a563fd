/* SPDX-License-Identifier: MIT */
/* The STUN codec; see stun.h.
 *
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  |0 0|     STUN Message Type     |         Message Length        |
 *  |                         Magic Cookie                          |
 *  |                     Transaction ID (96 bits)                  |
 *  |  attributes: type 16, length 16, value, padding to 32 bits    | */
#include "gateway/wire/stun.h"

#include "gateway/base/err.h"
#include "gateway/wire/cursor.h"

#define COOKIE 0x2112a442u
#define FINGERPRINT_XOR 0x5354554eu /* "STUN" */
#define FINGERPRINT_LEN 8u

enum attribute {
    MAPPED_ADDRESS = 0x0001,
    CHANGE_REQUEST = 0x0003,
    CHANGED_ADDRESS = 0x0005, /* RFC 3489's OTHER-ADDRESS */
    USERNAME = 0x0006,
    MESSAGE_INTEGRITY = 0x0008,
    ERROR_CODE = 0x0009,
    UNKNOWN_ATTRIBUTES = 0x000a,
    REALM = 0x0014,
    NONCE = 0x0015,
    MESSAGE_INTEGRITY_SHA256 = 0x001c,
    XOR_MAPPED_ADDRESS = 0x0020,
    OPTIONAL = 0x8000, /* from here on it may be passed over */
    FINGERPRINT = 0x8028,
    RESPONSE_ORIGIN = 0x802b,
    OTHER_ADDRESS = 0x802c,
};

#define CHANGE_IP 4u
#define CHANGE_PORT 2u

/* CRC-32 of ISO HDLC, as FINGERPRINT has it (RFC 8489, 14.7). A few short messages: no table. */
static uint32_t crc32(const uint8_t *data, size_t len)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

bool gw_stun_is(const uint8_t *datagram, size_t len)
{
    if (len < GW_STUN_HEADER_LEN || len > GW_STUN_MESSAGE_MAX || len % 4 != 0)
        return false;
    uint16_t type = gw_load16_be(datagram);
    return (type == GW_STUN_REQUEST || type == GW_STUN_SUCCESS || type == GW_STUN_ERROR) &&
           gw_load16_be(datagram + 2) == len - GW_STUN_HEADER_LEN && gw_load32_be(datagram + 4) == COOKIE;
}

size_t gw_stun_encode_request(uint8_t out[GW_STUN_REQUEST_MAX], const uint8_t id[GW_STUN_ID_LEN],
                              bool change_ip, bool change_port)
{
    bool has_change = change_ip || change_port;
    struct gw_writer w = gw_writer_of(out, GW_STUN_REQUEST_MAX);
    gw_write_u16_be(&w, GW_STUN_REQUEST);
    gw_write_u16_be(&w, (uint16_t)((has_change ? 8 : 0) + FINGERPRINT_LEN));
    gw_write_u32_be(&w, COOKIE);
    gw_write_bytes(&w, id, GW_STUN_ID_LEN);
    if (has_change) {
        gw_write_u16_be(&w, CHANGE_REQUEST);
        gw_write_u16_be(&w, 4);
        gw_write_u32_be(&w, (change_ip ? CHANGE_IP : 0) | (change_port ? CHANGE_PORT : 0));
    }
    uint32_t crc = crc32(out, gw_writer_len(&w)) ^ FINGERPRINT_XOR;
    gw_write_u16_be(&w, FINGERPRINT);
    gw_write_u16_be(&w, 4);
    gw_write_u32_be(&w, crc);
    return gw_writer_len(&w);
}

/* 00 | family | port 16 | address 32 or 128. xor_with: cookie and transaction ID, which the value is XORed with; NULL = it is not. */
static bool read_address(struct gw_addr *out, struct gw_reader value, const uint8_t *xor_with)
{
    struct gw_addr addr = {.family = 0};
    gw_read_u8(&value);
    uint8_t family = gw_read_u8(&value);
    addr.port = gw_read_u16_be(&value);
    size_t ip_len = family == 2 ? 16 : 4;
    gw_read_bytes(&value, addr.ip, ip_len);
    if (!gw_reader_done(&value) || (family != 1 && family != 2))
        return false;
    addr.family = family == 1 ? 4 : 6;
    if (xor_with) {
        addr.port ^= (uint16_t)(COOKIE >> 16);
        for (size_t i = 0; i < ip_len; i++)
            addr.ip[i] ^= xor_with[i];
    }
    gw_addr_normalise(&addr);
    *out = addr;
    return true;
}

/* 00 00 | class (3 bits) | number | reason */
static bool read_error(unsigned *out, struct gw_reader value)
{
    gw_read_u16_be(&value);
    unsigned class = gw_read_u8(&value) & 7u, number = gw_read_u8(&value);
    *out = class * 100 + number;
    return gw_reader_ok(&value) && class >= 3 && class <= 6 && number < 100;
}

struct decoding {
    const uint8_t *datagram;
    size_t len;
    struct gw_stun_message *message;
    struct gw_addr plain; /* MAPPED-ADDRESS: only where there is no XOR-MAPPED-ADDRESS */
    bool is_sealed;       /* MESSAGE-INTEGRITY is behind us: the rest is not the server's word */
};

/* at: where the attribute begins. */
static bool read_attribute(struct decoding *d, unsigned type, struct gw_reader value, size_t at)
{
    struct gw_stun_message *message = d->message;
    if (type == FINGERPRINT) /* the last one, over all before it */
        return at + FINGERPRINT_LEN == d->len && gw_reader_left(&value) == 4 &&
               gw_read_u32_be(&value) == (crc32(d->datagram, at) ^ FINGERPRINT_XOR);
    if (d->is_sealed)
        return true;
    switch (type) {
    case MAPPED_ADDRESS:
        return read_address(&d->plain, value, NULL);
    case XOR_MAPPED_ADDRESS:
        return read_address(&message->mapped, value, d->datagram + 4);
    case OTHER_ADDRESS:
    case CHANGED_ADDRESS:
        return read_address(&message->other, value, NULL);
    case RESPONSE_ORIGIN:
        return read_address(&message->origin, value, NULL);
    case ERROR_CODE:
        return read_error(&message->error, value);
    case MESSAGE_INTEGRITY: /* we have no password with anybody */
    case MESSAGE_INTEGRITY_SHA256:
        d->is_sealed = true;
        return true;
    case CHANGE_REQUEST:
    case USERNAME:
    case UNKNOWN_ATTRIBUTES:
    case REALM:
    case NONCE:
    case 0x0004: /* RFC 3489's SOURCE-ADDRESS */
        return true;
    default:
        return type >= OPTIONAL;
    }
}

int gw_stun_decode(struct gw_stun_message *out, const uint8_t *datagram, size_t len)
{
    struct gw_stun_message message = {.type = 0};
    struct decoding d = {.datagram = datagram, .len = len, .message = &message};
    if (!gw_stun_is(datagram, len))
        return GW_E_MALFORMED;
    message.type = gw_load16_be(datagram);
    memcpy(message.id, datagram + 8, GW_STUN_ID_LEN);
    struct gw_reader r = gw_reader_of(datagram + GW_STUN_HEADER_LEN, len - GW_STUN_HEADER_LEN);
    while (gw_reader_left(&r) > 0) {
        size_t at = (size_t)(r.at - datagram);
        unsigned type = gw_read_u16_be(&r);
        size_t value_len = gw_read_u16_be(&r);
        struct gw_reader value = gw_read_sub(&r, value_len);
        gw_read_take(&r, (4 - value_len % 4) % 4);
        if (!gw_reader_ok(&r) || !read_attribute(&d, type, value, at))
            return GW_E_MALFORMED;
    }
    if (!gw_addr_is_set(&message.mapped))
        message.mapped = d.plain;
    *out = message;
    return 0;
}

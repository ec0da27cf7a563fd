/* SPDX-License-Identifier: MIT */
/* Fragmenting IPv4; see fragment.h. */
#include "gateway/packet/fragment.h"

#include "gateway/base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define DONT_FRAGMENT 0x4000u
#define MORE_FRAGMENTS 0x2000u
#define OFFSET_MASK 0x1fffu

#define OPTION_END 0u
#define OPTION_NOP 1u
#define OPTION_COPIED 0x80u

bool gw_fragment_may(const uint8_t *packet, const struct gw_ip *ip)
{
    return ip->version == 4 && (gw_load16_be(packet + 6) & DONT_FRAGMENT) == 0;
}

void gw_fragmenter_init(struct gw_fragmenter *f, const uint8_t *packet, const struct gw_ip *ip, size_t room)
{
    assert(room >= GW_FRAGMENT_MIN && gw_fragment_may(packet, ip));
    *f = (struct gw_fragmenter){
        .packet = packet, .len = ip->total_len, .room = room, .header = (uint8_t)((packet[0] & 15) * 4)};
}

/* Those of the packet that go into its later fragments too; padded to words. Their length. */
static size_t copy_options(uint8_t *out, const uint8_t *packet, size_t header)
{
    size_t len = 0;
    for (size_t at = GW_IP_V4_HEADER; at < header && packet[at] != OPTION_END;) {
        size_t one = packet[at] == OPTION_NOP ? 1 : at + 1 < header ? packet[at + 1] : 0;
        if (one == 0 || one > header - at || (one == 1 && packet[at] != OPTION_NOP))
            break; /* makes no sense: nor does what follows */
        if (packet[at] & OPTION_COPIED) {
            memcpy(out + len, packet + at, one);
            len += one;
        }
        at += one;
    }
    while (len % 4)
        out[len++] = OPTION_END;
    return len;
}

static size_t write_header(const struct gw_fragmenter *f, uint8_t *out)
{
    if (f->done == 0) {
        memcpy(out, f->packet, f->header);
        return f->header;
    }
    memcpy(out, f->packet, GW_IP_V4_HEADER);
    size_t header = GW_IP_V4_HEADER + copy_options(out + GW_IP_V4_HEADER, f->packet, f->header);
    out[0] = (uint8_t)(0x40 | header / 4);
    return header;
}

size_t gw_fragment_next(struct gw_fragmenter *f, uint8_t *out)
{
    uint32_t left = f->len - f->header - f->done;
    if (left == 0)
        return 0;
    size_t header = write_header(f, out), most = (f->room - header) & ~(size_t)7;
    bool is_last = left <= f->room - header;
    size_t len = is_last ? left : most;
    unsigned word = gw_load16_be(f->packet + 6);
    unsigned more = is_last ? word & MORE_FRAGMENTS : MORE_FRAGMENTS;
    gw_store16_be(out + 2, (uint16_t)(header + len));
    gw_store16_be(out + 6, (uint16_t)(more | (((word & OFFSET_MASK) + f->done / 8) & OFFSET_MASK)));
    gw_checksum_ip_header(out, header);
    memcpy(out + header, f->packet + f->header + f->done, len);
    f->done += (uint32_t)len;
    return header + len;
}

int gw_fragment_each(const uint8_t *packet, const struct gw_ip *ip, const struct gw_super_hint *hint,
                     size_t room, void (*emit)(const uint8_t *packet, size_t len, void *ctx), void *ctx)
{
    struct gw_super *super;
    size_t whole_room = ip->total_len; /* the longest datagram in it, and the longest fragment */
    int err = gw_super_new(&super, packet, ip->total_len, hint);
    if (err != 0)
        return err;
    uint8_t *whole = malloc(2 * whole_room), *out = whole + whole_room;
    while (whole && !gw_super_is_done(super)) {
        struct gw_fragmenter fragmenter;
        struct gw_ip one;
        bool is_partial;
        size_t len = gw_super_take(super, whole, whole_room, false, &is_partial);
        if (gw_ip_parse(&one, whole, len) != 0)
            continue;
        gw_fragmenter_init(&fragmenter, whole, &one, room);
        while ((len = gw_fragment_next(&fragmenter, out)) > 0)
            emit(out, len, ctx);
    }
    gw_super_free(super);
    free(whole);
    return whole ? 0 : GW_E_NOMEM;
}

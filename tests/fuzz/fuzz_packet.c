/* SPDX-License-Identifier: MIT */
/* What a TUN gives: a virtio-net header (10 bytes) and a packet. Parsed, cut, each segment merged again: what comes out has the bytes that went in. And
 * what is said about it: error messages, MSS. */
#include "frontends/tun/icmp_error.h"
#include "frontends/tun/virtio.h"
#include "gateway/packet/again.h"
#include "gateway/packet/coalesce.h"
#include "gateway/packet/fragment.h"
#include "gateway/packet/rewrite.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROOM 1400u
#define GAP 48u     /* between sealed packets */
#define HEADERS 60u /* of IPv6 and TCP without options */
#define SHORT 44u   /* what is less is never taken for more of a flow */

struct joined {
    uint8_t bytes[2 * GW_SUPER_MAX];
    size_t len;
    uint16_t header_len;
};

/* Payloads of what is emitted, one behind the other. */
static void collect(const struct gw_merged *merged, void *ctx)
{
    struct joined *joined = ctx;
    size_t skip = merged->header_len, total = 0;
    for (int i = 0; i < merged->iov_count; i++) {
        size_t len = merged->iov[i].iov_len;
        assert(len >= skip && joined->len + len - skip <= sizeof joined->bytes);
        memcpy(joined->bytes + joined->len, (const uint8_t *)merged->iov[i].iov_base + skip, len - skip);
        joined->len += len - skip;
        total += len;
        skip = 0;
    }
    assert(total == merged->len);
}

static void cut_and_merge(const uint8_t *packet, size_t len, const struct gw_super_hint *hint)
{
    static struct joined joined;
    static struct gw_coalescer coalescer;
    struct gw_super *super;
    struct gw_ip ip;
    bool keep = len % 2, is_partial;
    if (gw_ip_parse(&ip, packet, len) != 0 || gw_super_new(&super, packet, len, hint) != 0)
        return;
    joined.len = 0;
    gw_coalesce_init(&coalescer, collect, &joined);
    coalescer.takes_datagram_bursts = len % 4 < 2;
    uint8_t *slab = malloc(64 * (size_t)(GW_SUPER_MAX + 1)), *at = slab;
    assert(slab);
    for (unsigned i = 0; !gw_super_is_done(super); i++) {
        if (i % 64 == 0) {
            gw_coalesce_flush(&coalescer);
            at = slab;
            if (len % 8 < 4)
                gw_coalesce_lend(&coalescer, slab, 64 * (size_t)(GW_SUPER_MAX + 1));
        }
        size_t next = gw_super_next_len(super, ROOM), got = gw_super_take(super, at, ROOM, keep, &is_partial);
        assert(next == got && got > 0);
        if (!gw_coalesce_add(&coalescer, at, got, is_partial))
            goto out; /* a UDP length that is not the segments' */
        at += got + GAP;
    }
    gw_coalesce_flush(&coalescer);
    assert(joined.len == ip.total_len - ip.header_len);
    assert(memcmp(joined.bytes, packet + ip.header_len, joined.len) == 0);
out:
    free(slab);
    gw_super_free(super);
}

/* Whatever is taken for one more packet of a flow is parsed as all are. */
static void compare_again(const uint8_t *packet, size_t len)
{
    static uint8_t next[GW_SUPER_MAX];
    struct gw_again again;
    struct gw_ip ip, other, parsed;
    assert(!gw_again_is(&(struct gw_again){0}, &other, packet, len));
    if (gw_ip_parse(&ip, packet, len) != 0)
        return;
    gw_again_set(&again, packet, &ip);
    assert(again.version == 0 || len < SHORT || gw_again_is(&again, &other, packet, len));
    for (size_t at = 0; at < len && at < HEADERS; at++) {
        memcpy(next, packet, len);
        next[at] = (uint8_t)(next[at] + 1 + len % 255);
        if (!gw_again_is(&again, &other, next, len))
            continue;
        assert(gw_ip_parse(&parsed, next, len) == 0);
        assert(parsed.version == other.version && parsed.protocol == other.protocol &&
               parsed.l4 == other.l4 && parsed.header_len == other.header_len &&
               parsed.total_len == other.total_len && !parsed.is_fragment && !parsed.has_extensions);
        assert(memcmp(next + (ip.version == 6 ? 8 : 12), packet + (ip.version == 6 ? 8 : 12),
                      ip.version == 6 ? 36 : 12) == 0);
    }
}

static void speak_of(uint8_t *packet, size_t len)
{
    uint8_t message[GW_ICMP_ERROR_MAX];
    struct gw_addr from;
    struct gw_ip ip, said;
    if (gw_ip_parse(&ip, packet, len) != 0)
        return;
    gw_ip_destination(&from, packet, &ip);
    size_t got = gw_icmp_error(message, (enum gw_icmp_error)(len % 3), 1280, &from, packet, &ip);
    assert(got <= sizeof message && (got == 0 || gw_ip_parse(&said, message, got) == 0));
    bool was_right = gw_checksum_is_right(packet, &ip);
    gw_tcp_clamp_mss(packet, &ip, 600, false);
    assert(!was_right || gw_checksum_is_right(packet, &ip));
}

/* A right checksum stays right, and the length is what it was. */
static void rename_in(uint8_t *packet, size_t len)
{
    static const uint8_t to[4] = {10, 64, 77, 78};
    struct gw_ip ip;
    uint8_t from[4];
    if (gw_ip_parse(&ip, packet, len) != 0 || ip.version != 4)
        return;
    enum gw_rewrite_side side = len % 2 ? GW_REWRITE_SOURCE : GW_REWRITE_DESTINATION;
    bool was_right = gw_checksum_is_right(packet, &ip);
    memcpy(from, packet + (side == GW_REWRITE_SOURCE ? 12 : 16), sizeof from);
    gw_ip_rewrite(packet, &ip, side, from, to, false);
    assert(memcmp(packet + (side == GW_REWRITE_SOURCE ? 12 : 16), to, sizeof to) == 0);
    assert(!was_right || gw_checksum_is_right(packet, &ip));
}

/* Fragments hold the packet's bytes in order, and each is as long as allowed. */
static void saw(const uint8_t *packet, size_t len)
{
    static uint8_t out[GW_SUPER_MAX];
    struct gw_fragmenter fragmenter;
    struct gw_ip ip, part;
    size_t room = GW_FRAGMENT_MIN + len % 1500, at;
    if (gw_ip_parse(&ip, packet, len) != 0 || !gw_fragment_may(packet, &ip))
        return;
    at = (size_t)(packet[0] & 15) * 4;
    gw_fragmenter_init(&fragmenter, packet, &ip, room);
    for (size_t got; (got = gw_fragment_next(&fragmenter, out)) > 0;) {
        size_t header = (size_t)(out[0] & 15) * 4;
        bool is_whole = at + got - header == ip.total_len && at == (size_t)(packet[0] & 15) * 4;
        assert(got <= room && got > header && at + got - header <= ip.total_len);
        assert(is_whole || gw_ip_parse(&part, out, got) == 0);
        assert(memcmp(out + header, packet + at, got - header) == 0);
        at += got - header;
    }
    assert(at == ip.total_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_virtio_header header;
    struct gw_super_hint hint;
    if (size < sizeof header || size > GW_SUPER_MAX)
        return 0;
    size_t len = size - sizeof header;
    uint8_t *packet = malloc(len + 1);
    assert(packet);
    memcpy(&header, data, sizeof header);
    memcpy(packet, data + sizeof header, len);
    if (gw_virtio_decode(&hint, &header, packet, len) == 0)
        cut_and_merge(packet, len, &hint);
    compare_again(packet, len);
    saw(packet, len);
    speak_of(packet, len);
    rename_in(packet, len);
    free(packet);
    return 0;
}

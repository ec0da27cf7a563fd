/* SPDX-License-Identifier: MIT */
/* Cutting a super-packet into packets: IPv4 length, identification and checksum, IPv6 length, TCP sequence numbers; FIN and PSH in the last, CWR
 * in the first (what a network card does for TSO and USO). */
#include "gateway/packet/super.h"

#include "gateway/base/err.h"

#include <stdlib.h>
#include <string.h>

static bool can_cut(const struct gw_ip *ip)
{
    return !ip->is_fragment && (ip->protocol == GW_IP_TCP || ip->protocol == GW_IP_UDP);
}

static int check(struct gw_ip *ip, const uint8_t *packet, size_t len, const struct gw_super_hint *hint)
{
    int err = gw_ip_parse(ip, packet, len);
    if (err)
        return err;
    return hint->segment_len > 0 && (!can_cut(ip) || ip->has_extensions) ? GW_E_MALFORMED : 0;
}

static struct gw_super *allocate(size_t len)
{
    return malloc(sizeof(struct gw_super) + len + GW_SUPER_HEADER_MAX);
}

static void set(struct gw_super *super, const struct gw_ip *ip, const struct gw_super_hint *hint)
{
    gw_list_init(&super->node);
    super->queued = (struct gw_mono){0};
    super->ip = *ip;
    super->hint = *hint;
    super->len = ip->total_len;
    super->flow = super->done = super->ip_sum = 0;
    super->segments = 0;
}

int gw_super_new(struct gw_super **out, const uint8_t *packet, size_t len, const struct gw_super_hint *hint)
{
    struct gw_ip ip;
    int err = check(&ip, packet, len, hint);
    if (err)
        return err;
    struct gw_super *super =
        hint->segment_len > 0 ? allocate(ip.total_len) : malloc(sizeof *super + ip.total_len);
    if (!super)
        return GW_E_NOMEM;
    set(super, &ip, hint);
    memcpy(super->data, packet, ip.total_len);
    *out = super;
    return 0;
}

struct gw_super *gw_super_blank(void)
{
    return allocate(GW_SUPER_MAX + 1u); /* one more than there can be: what is longer shows */
}

int gw_super_set(struct gw_super *super, size_t len, const struct gw_super_hint *hint)
{
    struct gw_ip ip;
    int err = check(&ip, super->data, len, hint);
    if (err)
        return err;
    set(super, &ip, hint);
    return 0;
}

void gw_super_free(struct gw_super *super)
{
    free(super);
}

static size_t payload_len(const struct gw_super *super)
{
    return super->len - super->ip.header_len;
}

static bool is_cut(const struct gw_super *super)
{
    return super->hint.segment_len > 0 && payload_len(super) > 0;
}

bool gw_super_is_done(const struct gw_super *super)
{
    return is_cut(super) ? super->done >= payload_len(super) : super->segments > 0;
}

/* Payload bytes of the next segment: what the sender's MSS allows, and less if the path is narrower (TCP only: a datagram is one). */
static size_t segment_len(const struct gw_super *super, size_t room)
{
    size_t left = payload_len(super) - super->done, len = super->hint.segment_len;
    if (super->ip.protocol == GW_IP_TCP && room > super->ip.header_len && super->ip.header_len + len > room)
        len = room - super->ip.header_len;
    return left < len ? left : len;
}

size_t gw_super_next_len(const struct gw_super *super, size_t room)
{
    if (gw_super_is_done(super))
        return 0;
    return is_cut(super) ? super->ip.header_len + segment_len(super, room) : super->len;
}

/* What all segments' headers have in common. Reading each again right after it was written is what the processor does slowest. */
static uint32_t sum_constant(const struct gw_super *super)
{
    uint64_t sum;
    if (super->ip.version != 4)
        return 0;
    sum = gw_checksum_add(0, super->data, 2);
    sum = gw_checksum_add(sum, super->data + 6, 4);
    sum = gw_checksum_add(sum, super->data + 12, super->ip.l4 - 12u);
    return gw_checksum_fold(sum);
}

static void fix_ip(const struct gw_super *super, const uint8_t *header, uint8_t *out, size_t len)
{
    if (super->ip.version == 6) {
        gw_store16_be(out + 4, (uint16_t)(len - GW_IP_V6_HEADER));
        return;
    }
    uint16_t id = (uint16_t)(gw_load16_be(header + 4) + super->segments);
    gw_store16_be(out + 2, (uint16_t)len);
    gw_store16_be(out + 4, id);
    gw_store16_be(out + 10, (uint16_t)~gw_checksum_fold((uint64_t)super->ip_sum + len + id));
}

static void fix_l4(const struct gw_super *super, const uint8_t *header, uint8_t *out, size_t len,
                   bool is_last)
{
    uint8_t *l4 = out + super->ip.l4;
    if (super->ip.protocol == GW_IP_UDP) {
        gw_store16_be(l4 + 4, (uint16_t)(len - super->ip.l4));
        return;
    }
    uint8_t flags = header[super->ip.l4 + 13];
    gw_store32_be(l4 + 4, gw_load32_be(header + super->ip.l4 + 4) + super->done);
    if (!is_last)
        flags = (uint8_t)(flags & ~(GW_TCP_FIN | GW_TCP_PSH));
    if (super->segments > 0)
        flags &= (uint8_t)~GW_TCP_CWR;
    l4[13] = flags;
}

/* The layer-4 checksum of what was written. */
static void finish_checksum(uint8_t *out, size_t len, const struct gw_ip *whole, bool keep_partial,
                            bool *is_partial)
{
    struct gw_ip ip = *whole;
    ip.total_len = (uint32_t)len;
    *is_partial = keep_partial;
    if (!keep_partial)
        gw_checksum_complete(out, &ip);
}

/* Each segment's header goes right before its payload, over the end of what went out before; the first one's over the one that all are made of, so that is
 * kept behind the packet. */
static uint8_t *next_segment(struct gw_super *super, size_t *len, size_t room, bool keep_partial,
                             bool *is_partial)
{
    uint8_t *header = super->data + super->len, *out = super->data + super->done;
    size_t payload = segment_len(super, room);
    bool is_last = super->done + payload == payload_len(super);
    *len = super->ip.header_len + payload;
    if (super->segments == 0) {
        super->ip_sum = sum_constant(super);
        memcpy(header, super->data, super->ip.header_len);
    } else {
        memcpy(out, header, super->ip.header_len);
    }
    fix_ip(super, header, out, *len);
    fix_l4(super, header, out, *len, is_last);
    finish_checksum(out, *len, &super->ip, keep_partial, is_partial);
    super->done += (uint32_t)payload;
    super->segments++;
    return out;
}

uint8_t *gw_super_next(struct gw_super *super, size_t *len, size_t room, bool keep_partial, bool *is_partial)
{
    if (is_cut(super))
        return next_segment(super, len, room, keep_partial, is_partial);
    *len = super->len;
    *is_partial = false;
    super->segments++;
    if (super->hint.is_checksum_left && can_cut(&super->ip))
        finish_checksum(super->data, super->len, &super->ip, keep_partial, is_partial);
    return super->data;
}

size_t gw_super_take(struct gw_super *super, uint8_t *out, size_t room, bool keep_partial, bool *is_partial)
{
    size_t len;
    const uint8_t *packet = gw_super_next(super, &len, room, keep_partial, is_partial);
    memcpy(out, packet, len);
    return len;
}

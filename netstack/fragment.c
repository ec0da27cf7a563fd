/* SPDX-License-Identifier: MIT */
/* Fragments to whole packets; see fragment.h. */
#include "netstack/fragment.h"

#include "gateway/base/err.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_ROOM GW_IP_V6_HEADER
#define CAP_MIN 4096u

/* What one fragment says of itself. */
struct fragment {
    uint8_t version, protocol;
    const uint8_t *addresses;
    size_t addresses_len;
    uint32_t id, from, len;
    bool has_more;
    const uint8_t *bytes;
};

void gw_fragments_init(struct gw_fragments *fragments)
{
    memset(fragments, 0, sizeof *fragments);
}

static void drop(struct gw_fragment_slot *slot)
{
    free(slot->bytes);
    memset(slot, 0, sizeof *slot);
}

void gw_fragments_fini(struct gw_fragments *fragments)
{
    for (unsigned i = 0; i < GW_FRAGMENT_DATAGRAMS; i++)
        drop(&fragments->slots[i]);
}

/* ---- one fragment */

static void read_v4(struct fragment *out, const uint8_t *packet)
{
    uint16_t word = gw_load16_be(packet + 6);
    out->addresses = packet + 12;
    out->addresses_len = 8;
    out->id = gw_load16_be(packet + 4);
    out->from = (word & 0x1fffu) * 8;
    out->has_more = word & 0x2000;
}

static void read_v6(struct fragment *out, const uint8_t *packet, const struct gw_ip *ip)
{
    const uint8_t *header = packet + ip->l4 - 8;
    uint16_t word = gw_load16_be(header + 2);
    out->addresses = packet + 8;
    out->addresses_len = 32;
    out->id = gw_load32_be(header + 4);
    out->from = word & 0xfff8u;
    out->has_more = word & 1;
}

static bool read_fragment(struct fragment *out, const uint8_t *packet, const struct gw_ip *ip)
{
    *out = (struct fragment){.version = ip->version,
                             .protocol = ip->protocol,
                             .len = ip->total_len - ip->l4,
                             .bytes = packet + ip->l4};
    if (ip->version == 4)
        read_v4(out, packet);
    else
        read_v6(out, packet, ip);
    size_t header = ip->version == 4 ? GW_IP_V4_HEADER : 0; /* an IPv6 length does not count its header */
    return out->len > 0 && (!out->has_more || out->len % 8 == 0) &&
           header + out->from + out->len <= GW_FRAGMENT_LEN_MAX;
}

/* ---- its datagram */

static bool is_of(const struct gw_fragment_slot *slot, uint64_t owner, const struct fragment *fragment)
{
    /* IPv6 has no protocol in the key: later fragments may say what they like. */
    return slot->is_used && slot->owner == owner && slot->version == fragment->version &&
           slot->id == fragment->id && (fragment->version == 6 || slot->protocol == fragment->protocol) &&
           memcmp(slot->addresses, fragment->addresses, fragment->addresses_len) == 0;
}

static struct gw_fragment_slot *find_slot(struct gw_fragments *fragments, uint64_t owner,
                                          const struct fragment *fragment)
{
    for (unsigned i = 0; i < GW_FRAGMENT_DATAGRAMS; i++)
        if (is_of(&fragments->slots[i], owner, fragment))
            return &fragments->slots[i];
    return NULL;
}

/* A free one, or the oldest, whose datagram is lost. */
static struct gw_fragment_slot *take_slot(struct gw_fragments *fragments)
{
    struct gw_fragment_slot *oldest = &fragments->slots[0];
    for (unsigned i = 0; i < GW_FRAGMENT_DATAGRAMS; i++) {
        struct gw_fragment_slot *slot = &fragments->slots[i];
        if (!slot->is_used)
            return slot;
        if (gw_mono_before(slot->started, oldest->started))
            oldest = slot;
    }
    drop(oldest);
    return oldest;
}

static struct gw_fragment_slot *slot_of(struct gw_fragments *fragments, struct gw_mono now, uint64_t owner,
                                        const struct fragment *fragment)
{
    struct gw_fragment_slot *slot = find_slot(fragments, owner, fragment);
    if (slot && gw_mono_sub(now, slot->started) > GW_FRAGMENT_TIMEOUT) {
        drop(slot);
        slot = NULL;
    }
    if (slot)
        return slot;
    slot = take_slot(fragments);
    slot->is_used = true;
    slot->owner = owner;
    slot->version = fragment->version;
    slot->protocol = fragment->protocol;
    slot->id = fragment->id;
    slot->started = now;
    memcpy(slot->addresses, fragment->addresses, fragment->addresses_len);
    return slot;
}

/* ---- pieces */

static bool overlaps(const struct gw_fragment_slot *slot, uint32_t from, uint32_t to)
{
    for (unsigned i = 0; i < slot->piece_count; i++)
        if (from < slot->pieces[i].to && slot->pieces[i].from < to)
            return true;
    return false;
}

static void remove_piece(struct gw_fragment_slot *slot, unsigned at)
{
    slot->piece_count--;
    memmove(&slot->pieces[at], &slot->pieces[at + 1], (slot->piece_count - at) * sizeof slot->pieces[0]);
}

static bool insert_piece(struct gw_fragment_slot *slot, uint32_t from, uint32_t to)
{
    unsigned at = 0;
    while (at < slot->piece_count && slot->pieces[at].from < from)
        at++;
    bool touches_left = at > 0 && slot->pieces[at - 1].to == from;
    bool touches_right = at < slot->piece_count && slot->pieces[at].from == to;
    if (touches_left && touches_right) {
        slot->pieces[at - 1].to = slot->pieces[at].to;
        remove_piece(slot, at);
    } else if (touches_left) {
        slot->pieces[at - 1].to = to;
    } else if (touches_right) {
        slot->pieces[at].from = from;
    } else {
        if (slot->piece_count == GW_FRAGMENT_HOLES)
            return false;
        memmove(&slot->pieces[at + 1], &slot->pieces[at], (slot->piece_count - at) * sizeof slot->pieces[0]);
        slot->pieces[at] = (struct gw_fragment_piece){from, to};
        slot->piece_count++;
    }
    return true;
}

static bool make_room(struct gw_fragment_slot *slot, size_t len)
{
    size_t cap = slot->cap ? slot->cap : CAP_MIN;
    if (len <= slot->cap)
        return true;
    while (cap < len)
        cap *= 2;
    uint8_t *bytes = realloc(slot->bytes, cap);
    if (!bytes)
        return false;
    slot->bytes = bytes;
    slot->cap = cap;
    return true;
}

static int add_piece(struct gw_fragment_slot *slot, const struct fragment *fragment)
{
    uint32_t from = fragment->from, to = from + fragment->len;
    bool is_beyond = slot->has_end && (to > slot->end || !fragment->has_more);
    bool is_short = !fragment->has_more && slot->piece_count && slot->pieces[slot->piece_count - 1].to > to;
    if (is_beyond || is_short || overlaps(slot, from, to))
        return GW_E_MALFORMED;
    if (!make_room(slot, HEADER_ROOM + to) || !insert_piece(slot, from, to))
        return GW_E_LIMIT;
    memcpy(slot->bytes + HEADER_ROOM + from, fragment->bytes, fragment->len);
    if (!fragment->has_more) {
        slot->has_end = true;
        slot->end = to;
    }
    if (from == 0)
        slot->protocol = fragment->protocol;
    return 0;
}

/* ---- the whole */

static uint8_t *write_header(const struct gw_fragment_slot *slot)
{
    size_t header = slot->version == 4 ? GW_IP_V4_HEADER : GW_IP_V6_HEADER;
    uint8_t *packet = slot->bytes + HEADER_ROOM - header;
    memset(packet, 0, header);
    if (slot->version == 4) {
        packet[0] = 0x45;
        gw_store16_be(packet + 2, (uint16_t)(header + slot->end));
        packet[8] = 64;
        packet[9] = slot->protocol;
        memcpy(packet + 12, slot->addresses, 8);
        gw_checksum_ip_header(packet, header);
    } else {
        packet[0] = 0x60;
        gw_store16_be(packet + 4, (uint16_t)slot->end);
        packet[6] = slot->protocol;
        packet[7] = 64;
        memcpy(packet + 8, slot->addresses, 32);
    }
    return packet;
}

int gw_fragments_add(struct gw_fragments *fragments, struct gw_mono now, uint64_t owner,
                     const uint8_t *packet, const struct gw_ip *ip, uint8_t **out, size_t *out_len)
{
    struct fragment fragment;
    if (!read_fragment(&fragment, packet, ip))
        return GW_E_MALFORMED;
    struct gw_fragment_slot *slot = slot_of(fragments, now, owner, &fragment);
    int err = add_piece(slot, &fragment);
    if (err) {
        drop(slot);
        return err;
    }
    if (!slot->has_end || slot->piece_count != 1 || slot->pieces[0].from != 0 ||
        slot->pieces[0].to != slot->end)
        return 0;
    *out = write_header(slot);
    *out_len = (slot->version == 4 ? GW_IP_V4_HEADER : GW_IP_V6_HEADER) + slot->end;
    slot->is_used = false; /* the bytes live until it is taken again */
    slot->piece_count = 0;
    slot->has_end = false;
    return 1;
}

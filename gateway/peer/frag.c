/* SPDX-License-Identifier: MIT */
/* FRAG: an IP packet that the path does not carry goes in two parts between our own, so that nobody is told a small MTU while the path's size is still being
 * found out (the kernel would keep it for 600 s). Body: id u32 | flags u8 (1 second part, 2 no layer-4 checksum) | bytes. */
#include "gateway/peer/peer_private.h"

#include <stdlib.h>
#include <string.h>

#define FLAG_SECOND 1u
#define FLAG_PARTIAL 2u
#define HEADER_LEN 5u
#define FRAME_LEN (3u + HEADER_LEN) /* with type and length */

void gw_peer_frags_fini(struct gw_peer *peer)
{
    for (unsigned i = 0; i < GW_FRAGS_MAX; i++)
        free(peer->frags.halves[i].data);
    free(peer->frags.waiting);
}

bool gw_peer_can_frag(const struct gw_peer *peer)
{
    return peer->kind == GW_PEER_PEERGATE && (peer->remote_capabilities & GW_CAP_FRAG);
}

/* ---- out */

size_t gw_peer_frag_room(size_t room)
{
    size_t part = room > FRAME_LEN ? room - FRAME_LEN : 0;
    return part < GW_FRAG_PART_MAX ? part : GW_FRAG_PART_MAX;
}

static void write_part(struct gw_writer *w, uint32_t id, uint8_t flags, const uint8_t *data, size_t len)
{
    struct gw_writer body = gw_frame_begin(w, GW_FRAME_FRAG, HEADER_LEN + len);
    gw_write_u32_be(&body, id);
    gw_write_u8(&body, flags);
    gw_write_bytes(&body, data, len);
    gw_frame_finish(w, &body);
}

bool gw_peer_frag_first(struct gw_peer *peer, struct gw_writer *w, const uint8_t *packet, size_t len,
                        bool is_partial)
{
    struct gw_frags *frags = &peer->frags;
    size_t room = gw_writer_left(w);
    size_t first = (len + 1) / 2;
    if (room < FRAME_LEN + first || first > GW_FRAG_PART_MAX)
        return false; /* not in two parts either */
    if (!frags->waiting)
        frags->waiting = malloc(GW_FRAG_PART_MAX);
    if (!frags->waiting)
        return false;
    frags->waiting_id = ++frags->next_id;
    frags->waiting_len = len - first;
    frags->is_waiting_partial = is_partial;
    memcpy(frags->waiting, packet + first, frags->waiting_len);
    write_part(w, frags->waiting_id, is_partial ? FLAG_PARTIAL : 0, packet, first);
    return true;
}

bool gw_peer_frag_second(struct gw_peer *peer, struct gw_writer *w)
{
    struct gw_frags *frags = &peer->frags;
    if (frags->waiting_len == 0 || gw_writer_left(w) < FRAME_LEN + frags->waiting_len)
        return false;
    write_part(w, frags->waiting_id, FLAG_SECOND | (frags->is_waiting_partial ? FLAG_PARTIAL : 0u),
               frags->waiting, frags->waiting_len);
    frags->waiting_len = 0;
    return true;
}

/* ---- in */

static struct gw_frag_half *find_half(struct gw_frags *frags, uint32_t id, struct gw_mono now)
{
    for (unsigned i = 0; i < GW_FRAGS_MAX; i++) {
        struct gw_frag_half *half = &frags->halves[i];
        if (half->data && half->len > 0 && half->id == id &&
            gw_mono_sub(now, half->arrived) < GW_FRAG_LIFE_NS)
            return half;
    }
    return NULL;
}

/* A free place, or that of the oldest. */
static struct gw_frag_half *place_half(struct gw_frags *frags)
{
    struct gw_frag_half *found = &frags->halves[0];
    for (unsigned i = 1; i < GW_FRAGS_MAX && found->len > 0; i++) {
        struct gw_frag_half *half = &frags->halves[i];
        if (half->len == 0 || gw_mono_before(half->arrived, found->arrived))
            found = half;
    }
    if (!found->data)
        found->data = malloc(2 * GW_FRAG_PART_MAX);
    return found->data ? found : NULL;
}

static void keep_half(struct gw_frags *frags, struct gw_mono now, uint32_t id, uint8_t flags,
                      struct gw_view part)
{
    struct gw_frag_half *half = place_half(frags);
    if (!half)
        return;
    half->id = id;
    half->arrived = now;
    half->is_second = flags & FLAG_SECOND;
    half->is_partial = flags & FLAG_PARTIAL;
    half->len = (uint16_t)part.len;
    memcpy(half->data, part.data, part.len);
}

/* Puts the part that came beside the one that waited, in half->data. */
static void join(struct gw_frag_half *half, struct gw_view part)
{
    if (half->is_second) {
        memmove(half->data + part.len, half->data, half->len);
        memcpy(half->data, part.data, part.len);
    } else {
        memcpy(half->data + half->len, part.data, part.len);
    }
}

bool gw_peer_frag_input(struct gw_peer *peer, struct gw_mono now, struct gw_view body, struct gw_view *packet,
                        bool *is_partial)
{
    struct gw_reader r = gw_reader_of_view(body);
    uint32_t id = gw_read_u32_be(&r);
    uint8_t flags = gw_read_u8(&r);
    struct gw_view part = gw_read_view(&r, gw_reader_left(&r));
    if (!gw_reader_ok(&r) || part.len == 0 || part.len > GW_FRAG_PART_MAX)
        return false;
    struct gw_frag_half *half = find_half(&peer->frags, id, now);
    if (!half) {
        keep_half(&peer->frags, now, id, flags, part);
        return false;
    }
    if (half->is_second == (bool)(flags & FLAG_SECOND))
        return false; /* the same part twice */
    join(half, part);
    *packet = (struct gw_view){half->data, (size_t)half->len + part.len};
    *is_partial = half->is_partial;
    half->len = 0; /* free; the bytes stay until the next part comes */
    return true;
}

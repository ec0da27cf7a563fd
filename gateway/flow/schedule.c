/* SPDX-License-Identifier: MIT */
/* Whose turn is it? Streams with something urgent (small frames, lost bytes, a FIN alone) wait in one list and
 * always go first. Those with new bytes or datagrams wait in bands, one for each class: the highest band that has
 * a share left goes first, and when none of the busy ones has, all get theirs anew. Within a band streams take
 * turns by deficit round robin; one that was idle and has not used up its last turn goes before those that are at
 * it all the time, so that a keystroke never waits behind a hundred downloads. Everything is O(1) a packet,
 * however many streams there are. What a turn writes is packet.c's. */
#include "gateway/flow/mux_private.h"

static const int64_t shares[GW_CLASS_COUNT] = {[GW_CLASS_INTERACTIVE] = 16 * GW_QUANTUM,
                                               [GW_CLASS_NORMAL] = 4 * GW_QUANTUM,
                                               [GW_CLASS_BULK] = GW_QUANTUM};

void gw_schedule_init(struct gw_mux *mux)
{
    for (int i = 0; i < GW_CLASS_COUNT; i++) {
        gw_list_init(&mux->bands[i].fresh);
        gw_list_init(&mux->bands[i].old);
        mux->bands[i].share = shares[i];
    }
    gw_list_init(&mux->urgent);
    gw_list_init(&mux->starved);
}

/* --- queues ------------------------------------------------------------------------------------------------------ */

static bool has_bare_fin(const struct gw_stream *stream)
{
    return stream->is_finishing && !stream->is_fin_sent && gw_sendbuf_unsent(&stream->out) == 0;
}

bool gw_schedule_is_urgent(const struct gw_stream *stream)
{
    if (stream->controls != 0)
        return true;
    return !stream->is_aborted && (gw_sendbuf_has_lost(&stream->out) || has_bare_fin(stream));
}

static bool has_datagram(const struct gw_stream *stream)
{
    return stream->datagrams != NULL && stream->datagrams->head != NULL;
}

static bool has_new(const struct gw_stream *stream)
{
    return !stream->is_aborted && (gw_sendbuf_unsent(&stream->out) > 0 || has_datagram(stream));
}

void gw_schedule_stream(struct gw_stream *stream)
{
    struct gw_mux *mux = stream->mux;
    if (gw_schedule_is_urgent(stream) && !gw_list_is_linked(&stream->urgent))
        gw_list_push_back(&mux->urgent, &stream->urgent);
    if (!has_new(stream) || gw_list_is_linked(&stream->ready))
        return;
    struct gw_band *band = &mux->bands[stream->class_];
    if (stream->deficit > 0) {
        gw_list_push_back(&band->fresh, &stream->ready);
    } else {
        stream->deficit += GW_QUANTUM;
        gw_list_push_back(&band->old, &stream->ready);
    }
}

void gw_schedule_remove(struct gw_stream *stream)
{
    gw_list_remove(&stream->ready);
    gw_list_remove(&stream->urgent);
    gw_list_remove(&stream->notify);
}

void gw_schedule_feed(struct gw_mux *mux)
{
    struct gw_list *node;
    while ((node = gw_list_pop_front(&mux->starved)) != NULL)
        gw_schedule_stream(gw_list_entry(node, struct gw_stream, ready));
}

void gw_schedule_writable(struct gw_stream *stream)
{
    if (!stream->wants_writable || stream->is_aborted || gw_list_is_linked(&stream->notify))
        return;
    if (gw_sendbuf_unsent(&stream->out) <= GW_STREAM_UNSENT_LOW && stream->out_max > stream->out.end)
        gw_list_push_back(&stream->mux->writable, &stream->notify);
}

static bool is_band_empty(const struct gw_band *band)
{
    return gw_list_is_empty(&band->fresh) && gw_list_is_empty(&band->old);
}

static bool has_ready(const struct gw_mux *mux)
{
    for (int i = 0; i < GW_CLASS_COUNT; i++)
        if (!is_band_empty(&mux->bands[i]))
            return true;
    return false;
}

bool gw_schedule_has_work(const struct gw_mux *mux)
{
    return mux->controls != 0 || mux->probes > 0 || !gw_list_is_empty(&mux->urgent) || has_ready(mux);
}

static struct gw_band *pick_band(struct gw_mux *mux)
{
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < GW_CLASS_COUNT; i++)
            if (mux->bands[i].share > 0 && !is_band_empty(&mux->bands[i]))
                return &mux->bands[i];
        if (round == 0 && !has_ready(mux))
            return NULL;
        for (int i = 0; i < GW_CLASS_COUNT; i++)
            mux->bands[i].share = shares[i];
    }
    return NULL;
}

struct gw_stream *gw_schedule_pick(struct gw_mux *mux)
{
    struct gw_band *band = pick_band(mux);
    if (band == NULL)
        return NULL;
    struct gw_list *list = !gw_list_is_empty(&band->fresh) ? &band->fresh : &band->old;
    return gw_list_entry(list->next, struct gw_stream, ready);
}

void gw_schedule_charge(struct gw_stream *stream, size_t n)
{
    stream->mux->bands[stream->class_].share -= (int64_t)n;
    stream->deficit -= (int32_t)n;
    if (!has_new(stream)) {
        gw_list_remove(&stream->ready);
    } else if (stream->deficit <= 0) {
        gw_list_remove(&stream->ready);
        gw_schedule_stream(stream);
    }
}

void gw_schedule_starve(struct gw_stream *stream)
{
    struct gw_mux *mux = stream->mux;
    if (gw_list_is_empty(&mux->starved))
        mux->controls |= GW_CONTROL_BLOCKED;
    gw_list_remove(&stream->ready);
    gw_list_push_back(&mux->starved, &stream->ready);
}

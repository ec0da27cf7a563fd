/* SPDX-License-Identifier: MIT */
/* Turns of a lane, and what it tells the engine; see lane.h. */
#include "gateway/lane/lane.h"

#include "gateway/base/err.h"

#include <string.h>

static_assert(GW_LANES_MAX <= GW_EPOCH_READERS_MAX, "each lane is a reader");
static_assert(GW_LANES_MAX + 1 <= GW_KEYPAIR_SHARERS_MAX, "the lanes and the engine");

static void drop_merged(const struct gw_merged *merged, void *ctx)
{
    (void)merged, (void)ctx;
}

int gw_lane_init(struct gw_lane *lane, struct gw_lane_hub *hub, unsigned number)
{
    memset(lane, 0, sizeof *lane);
    lane->hub = hub;
    lane->number = number;
    lane->tell_at = lane->failed_at = GW_NEVER;
    gw_list_init(&lane->ready);
    gw_list_init(&lane->untold);
    gw_coalesce_init(&lane->coalescer, drop_merged, NULL);
    if (gw_ring_init(&lane->told, GW_LANE_TOLD_BYTES) != 0 ||
        gw_ring_init(&lane->strangers, GW_LANE_STRANGERS_BYTES) != 0) {
        gw_lane_fini(lane);
        return GW_E_NOMEM;
    }
    return 0;
}

void gw_lane_set_emit(struct gw_lane *lane, gw_merged_fn *emit, bool takes_bursts, bool takes_datagram_bursts,
                      bool takes_partial, void *ctx)
{
    gw_coalesce_init(&lane->coalescer, emit, ctx);
    lane->coalescer.takes_no_bursts = !takes_bursts;
    lane->coalescer.takes_datagram_bursts = takes_datagram_bursts;
    lane->coalescer.takes_no_partial = !takes_partial;
}

void gw_lane_fini(struct gw_lane *lane)
{
    gw_ring_fini(&lane->told);
    gw_ring_fini(&lane->strangers);
}

/* ---- records */

struct gw_lane_record *gw_lane_record(struct gw_lane *lane, enum gw_lane_record_type type, size_t len)
{
    struct gw_lane_record *record = gw_ring_reserve(&lane->told, sizeof *record + len);
    if (!record)
        return NULL;
    memset(record, 0, sizeof *record);
    record->type = (uint8_t)type;
    return record;
}

void gw_lane_tell(struct gw_lane *lane)
{
    gw_ring_commit(&lane->told);
    lane->has_told = true;
}

static bool tell_received(struct gw_lane *lane, struct gw_lane_received *received)
{
    if (received->bytes == 0)
        return true;
    struct gw_lane_record *record = gw_lane_record(lane, GW_LANE_RECEIVED, 0);
    if (!record)
        return false;
    record->tuple = received->tuple;
    record->index = received->index;
    record->is_data = received->is_data;
    record->is_highest = received->is_highest;
    record->bytes = received->bytes;
    gw_lane_tell(lane);
    *received = (struct gw_lane_received){0};
    return true;
}

static bool tell_sent(struct gw_lane *lane, struct gw_lane_sent *sent)
{
    if (sent->bytes == 0)
        return true;
    struct gw_lane_record *record = gw_lane_record(lane, GW_LANE_SENT, 0);
    if (!record)
        return false;
    record->index = sent->index;
    record->len = sent->longest;
    record->bytes = sent->bytes;
    gw_lane_tell(lane);
    *sent = (struct gw_lane_sent){0};
    return true;
}

/* What finds no room in the ring is kept, and told later. */
static void tell_all(struct gw_lane *lane)
{
    lane->is_urgent = false;
    lane->tell_at = GW_NEVER;
    gw_list_for_each (node, &lane->untold) {
        struct gw_lane_slot *slot = gw_list_entry(node, struct gw_lane_slot, untold);
        /* In this order: what came since something was sent is taken for its answer. */
        bool is_told = tell_sent(lane, &slot->sent) && tell_received(lane, &slot->received);
        if (is_told)
            gw_list_remove(&slot->untold);
        else
            lane->tell_at = gw_mono_add(lane->now, GW_LANE_TELL_NS);
    }
}

static void note(struct gw_lane *lane, struct gw_lane_slot *slot)
{
    if (!gw_list_is_linked(&slot->untold))
        gw_list_push_back(&lane->untold, &slot->untold);
    if (gw_mono_is_never(lane->tell_at))
        lane->tell_at = gw_mono_add(lane->now, GW_LANE_TELL_NS);
}

static bool is_same_tuple(const struct gw_tuple *a, const struct gw_tuple *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

void gw_lane_note_received(struct gw_lane *lane, const struct gw_lane_key *key, const struct gw_tuple *tuple,
                           uint64_t bytes, bool is_data, bool is_highest)
{
    const struct gw_lane_entry *entry = &lane->snapshot->entries[key->peer];
    struct gw_lane_slot *slot = &entry->peer->slots[lane->number];
    struct gw_lane_received *received = &slot->received;
    bool is_other =
        received->bytes > 0 && (received->index != key->index || !is_same_tuple(&received->tuple, tuple));
    if (is_other && !tell_received(lane, received))
        return; /* the ring is full: of two addresses the older is told */
    received->tuple = *tuple;
    received->index = key->index;
    received->bytes += bytes;
    received->is_data |= is_data;
    received->is_highest |= is_highest;
    note(lane, slot);
    /* A key pair's first packet lets the engine use it; another address may be the peer's new one. */
    if (!key->is_confirmed || (is_highest && !is_same_tuple(&entry->path, tuple)))
        lane->is_urgent = true;
}

void gw_lane_note_sent(struct gw_lane *lane, struct gw_lane_slot *slot, uint32_t index,
                       const struct gw_train *train)
{
    if (slot->sent.bytes > 0 && slot->sent.index != index && !tell_sent(lane, &slot->sent))
        return;
    slot->sent.index = index;
    slot->sent.bytes += gw_train_len(train);
    if (train->stride > slot->sent.longest)
        slot->sent.longest = train->stride;
    note(lane, slot);
}

void gw_lane_send_failed(struct gw_lane *lane, const struct gw_train *train, int err)
{
    bool is_new =
        gw_mono_is_never(lane->failed_at) || gw_mono_sub(lane->now, lane->failed_at) >= GW_LANE_TELL_NS;
    gw_lane_count(&lane->stats.link_errors, 1);
    struct gw_lane_record *record = is_new ? gw_lane_record(lane, GW_LANE_FAILED, 0) : NULL;
    if (!record)
        return;
    lane->failed_at = lane->now;
    record->tuple = train->tuple;
    record->len = train->stride;
    record->error = err;
    gw_lane_tell(lane);
}

/* ---- turns */

static void forget_gone(struct gw_list *list, size_t node_offset)
{
    gw_list_for_each (node, list) {
        struct gw_lane_slot *slot = (struct gw_lane_slot *)(void *)((char *)node - node_offset);
        if (atomic_load_explicit(&slot->peer->is_gone, memory_order_relaxed))
            gw_list_remove(node);
    }
}

/* A slot may be in the lane's lists from turn to turn, so before a new epoch is entered those go whose peers the engine took away: it said is_gone, then
 * published a snapshot without the peer, then counted the epoch up. */
void gw_lane_begin(struct gw_lane *lane, struct gw_mono now)
{
    uint64_t number = gw_epoch_number(&lane->hub->epoch);
    if (number != lane->epoch) {
        forget_gone(&lane->ready, offsetof(struct gw_lane_slot, ready));
        forget_gone(&lane->untold, offsetof(struct gw_lane_slot, untold));
        lane->epoch = number;
        gw_lane_count(&lane->stats.snapshots, 1);
    }
    gw_epoch_enter(&lane->hub->epoch, lane->number, number);
    lane->snapshot = atomic_load(&lane->hub->current);
    lane->now = now;
}

static void wake_engine(struct gw_lane *lane)
{
    struct gw_lane_hub *hub = lane->hub;
    lane->has_told = false;
    if (!atomic_exchange(&hub->is_signalled, true))
        hub->wake(hub->ctx);
}

struct gw_mono gw_lane_end(struct gw_lane *lane)
{
    if (lane->is_urgent || gw_mono_due(lane->tell_at, lane->now))
        tell_all(lane);
    if (lane->has_told)
        wake_engine(lane);
    return lane->tell_at;
}

void gw_lane_rest(struct gw_lane *lane)
{
    lane->snapshot = NULL;
    if (gw_list_is_empty(&lane->ready) && gw_list_is_empty(&lane->untold))
        gw_epoch_leave(&lane->hub->epoch, lane->number);
}

void gw_lane_stop(struct gw_lane *lane)
{
    tell_all(lane);
    lane->snapshot = NULL;
    while (gw_list_pop_front(&lane->ready)) {
    }
    while (gw_list_pop_front(&lane->untold)) {
    }
    gw_epoch_leave(&lane->hub->epoch, lane->number);
}

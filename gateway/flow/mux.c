/* SPDX-License-Identifier: MIT */
/* A mux's birth and death, and what frames every call of it: on the way out of the outermost one the callbacks
 * that wait are made, dead streams are freed, the one deadline is armed, and the owner hears that there is output. */
#include "gateway/flow/mux_private.h"

#include "gateway/base/err.h"

#include <stdlib.h>
#include <string.h>

#define FULL_SLACK 16u /* so much shorter is full, too */
#define BACK_PROBES \
    2u /* unanswered, and the peer is heard: the way may be there again, and the next probe is due the later the longer it was not */
#define BACKS_MAX 2u /* then it hears us, and does not answer */
#define REPEATED 10u /* packets, as many as a new path takes at once */
#define DEFAULT_MAX_STREAMS 16384u
#define DEFAULT_MAX_PLAIN 1200u
#define DEFAULT_OVERHEAD 80u
/* gateway/wire/frame.h: what a length of two bytes can say, and type and length. */
#define FRAME_BODY_MAX 16383u
#define FRAME_HEAD 3u
#define NUMBER_FRAME_MAX 6u

/* Writers that found no memory look again after this. */
#define HUNGRY_NS GW_MS(10)
/* Memory that nothing uses is given back after this. */
#define TIDY_NS GW_S(5)
/* A blocked reader is not reset for memory's sake before this. */
#define VICTIM_NS GW_MS(100)

static void on_deadline(struct gw_deadline *deadline, struct gw_mono now);

uint64_t gw_mux_receive_limit(const struct gw_mux *mux)
{
    return mux->budget->limit;
}

/* Senders leave room for what the peers may still send by the credit that they have. */
uint64_t gw_mux_send_limit(const struct gw_mux *mux)
{
    return mux->budget->limit / 4 * 3;
}

/* NUMBER and the frame's own head, and no room lost to an ack: that waits for another packet. */
size_t gw_mux_datagram_max(const struct gw_mux *mux, uint64_t id)
{
    size_t head = NUMBER_FRAME_MAX + FRAME_HEAD + gw_varint_len(id);
    size_t plain = mux->max_plain < FRAME_BODY_MAX ? mux->max_plain : FRAME_BODY_MAX;
    return plain > head ? plain - head : 0;
}

/* --- enter and leave --------------------------------------------------------------------------------------------- */

void gw_mux_enter(struct gw_mux *mux, struct gw_mono now)
{
    mux->depth++;
    mux->now = now;
    mux->cc.is_shared = gw_mono_sub(now, mux->opened_at) < GW_SHARED_NS;
}

static bool has_room_to_send(const struct gw_mux *mux)
{
    return mux->budget->used + GW_POOL_LARGE <= gw_mux_send_limit(mux);
}

static bool make_room(struct gw_mux *mux, int64_t min_age);

static void tell_writers(struct gw_mux *mux)
{
    struct gw_list *node;
    /* What readers leave lying does not keep writers waiting for ever. */
    while (!gw_list_is_empty(&mux->hungry) && !has_room_to_send(mux) && make_room(mux, GW_STALL_NS))
        ;
    if (!gw_list_is_empty(&mux->hungry) && has_room_to_send(mux)) {
        while ((node = gw_list_pop_front(&mux->hungry)) != NULL)
            gw_list_push_back(&mux->writable, node);
    }
    while ((node = gw_list_pop_front(&mux->writable)) != NULL) {
        struct gw_stream *stream = gw_list_entry(node, struct gw_stream, notify);
        stream->wants_writable = false;
        if (stream->ops != NULL && stream->ops->on_writable != NULL && !stream->is_detached &&
            !stream->is_aborted)
            stream->ops->on_writable(stream, mux->now, stream->user);
    }
}

static struct gw_mono next_deadline(const struct gw_mux *mux)
{
    struct gw_mono at = gw_recovery_deadline(&mux->recovery);
    if (mux->acker.pending > 0)
        at = gw_mono_min(at, mux->acker.due);
    at = gw_mono_min(at, mux->pacer_at);
    if (!gw_list_is_empty(&mux->blocked)) {
        struct gw_stream *first = gw_list_entry(mux->blocked.next, struct gw_stream, blocked);
        at = gw_mono_min(at, gw_mono_add(first->blocked_since, GW_STALL_NS));
    }
    if (!gw_list_is_empty(&mux->hungry))
        at = gw_mono_min(at, gw_mono_add(mux->now, HUNGRY_NS));
    return gw_mono_min(at, mux->tidy_at);
}

static bool is_untidy(const struct gw_mux *mux)
{
    return mux->recovery.outstanding == 0 &&
           (mux->recovery.sent.cap > 0 || mux->pool.small_count > 0 || mux->pool.large_count > 0);
}

/* The deadline only ever moves forward by being served: most of what arms it is overtaken by an ack before it is
 * due, and one that comes too early costs less than moving it with each packet. */
static void arm(struct gw_mux *mux)
{
    if (!is_untidy(mux))
        mux->tidy_at = GW_NEVER;
    else if (gw_mono_is_never(mux->tidy_at))
        mux->tidy_at = gw_mono_add(mux->now, TIDY_NS);
    struct gw_mono at = next_deadline(mux);
    if (gw_mono_before(at, mux->deadline.at))
        gw_deadline_arm(mux->deadlines, &mux->deadline, at);
}

void gw_mux_leave(struct gw_mux *mux, bool is_pull)
{
    if (mux->depth > 1) {
        mux->depth--;
        return;
    }
    tell_writers(mux);
    gw_streams_reap(mux);
    arm(mux);
    mux->depth--;
    if (!is_pull && mux->events.on_output != NULL && gw_mux_has_output(mux, mux->now))
        mux->events.on_output(mux, mux->events.ctx);
}

/* --- the deadline ------------------------------------------------------------------------------------------------ */

static void tidy(struct gw_mux *mux)
{
    mux->tidy_at = GW_NEVER;
    gw_recovery_forget(&mux->recovery, mux->now);
    gw_sent_trim(&mux->recovery.sent);
    gw_pool_trim(&mux->pool);
}

static void on_deadline(struct gw_deadline *deadline, struct gw_mono now)
{
    struct gw_mux *mux = gw_container_of(deadline, struct gw_mux, deadline);
    gw_mux_enter(mux, now);
    struct gw_mono due = gw_mono_min(gw_recovery_deadline(&mux->recovery), mux->pacer_at);
    if (gw_mono_due(due, now))
        gw_rate_served(&mux->recovery.rate, due, now);
    if (gw_mono_due(mux->pacer_at, now))
        mux->pacer_at = GW_NEVER;
    if (gw_mono_due(gw_recovery_deadline(&mux->recovery), now)) {
        unsigned probes = gw_recovery_expire(&mux->recovery, now);
        if (probes > mux->probes)
            mux->probes = probes;
    }
    gw_acker_expire(&mux->acker, now);
    gw_grant_stall(mux);
    if (gw_mono_due(mux->tidy_at, now))
        tidy(mux);
    gw_mux_leave(mux, false);
}

/* --- memory ------------------------------------------------------------------------------------------------------ */

static struct gw_stream *longest_blocked(const struct gw_mux *mux)
{
    const struct gw_list *list = !gw_list_is_empty(&mux->stalled) ? &mux->stalled : &mux->blocked;
    return gw_list_is_empty(list) ? NULL : gw_list_entry(list->next, struct gw_stream, blocked);
}

static bool make_room(struct gw_mux *mux, int64_t min_age)
{
    struct gw_stream *victim = NULL;
    for (struct gw_mux *other = mux->budget->first; other != NULL; other = other->budget_next) {
        struct gw_stream *stream = longest_blocked(other);
        if (stream != NULL &&
            (victim == NULL || gw_mono_before(stream->blocked_since, victim->blocked_since)))
            victim = stream;
    }
    if (victim == NULL || gw_mono_sub(mux->now, victim->blocked_since) < min_age)
        return false;
    struct gw_mux *owner = victim->mux;
    gw_mux_enter(owner, mux->now);
    gw_streams_fail(victim, GW_REASON_NO_MEMORY, GW_REASON_NO_MEMORY);
    gw_mux_leave(owner, false);
    return true;
}

bool gw_mux_make_room(struct gw_mux *mux)
{
    return make_room(mux, VICTIM_NS);
}

/* --- birth and death --------------------------------------------------------------------------------------------- */

static void init_streams(struct gw_mux *mux, const struct gw_mux_params *params)
{
    uint8_t seed[16];
    gw_random_fill(params->random, seed, sizeof seed);
    gw_map_init(&mux->streams, sizeof(uint64_t), seed);
    gw_ranges_init(&mux->seen);
    gw_list_init(&mux->dead);
    gw_list_init(&mux->writable);
    gw_list_init(&mux->hungry);
    gw_list_init(&mux->blocked);
    gw_list_init(&mux->stalled);
    mux->max_streams = params->max_streams > 0 ? params->max_streams : DEFAULT_MAX_STREAMS;
    mux->our_next = 1; /* ids 0 and 1 are reserved */
    mux->our_max = mux->peer_max = GW_CREDIT_STREAMS_INITIAL;
}

int gw_mux_new(struct gw_mux **out, const struct gw_mux_params *params, struct gw_mono now)
{
    struct gw_mux *mux = calloc(1, sizeof *mux);
    if (mux == NULL)
        return GW_E_NOMEM;
    if (gw_deadlines_reserve(params->deadlines) != 0) {
        free(mux);
        return GW_E_NOMEM;
    }
    mux->deadlines = params->deadlines;
    mux->random = params->random;
    mux->budget = params->budget;
    mux->events = *params->events;
    mux->is_lower = params->is_lower;
    mux->cc_kind = params->cc;
    mux->now = mux->opened_at = now;
    gw_deadline_init(&mux->deadline, on_deadline);
    mux->budget_next = mux->budget->first;
    mux->budget->first = mux;
    gw_pool_init(&mux->pool, mux->budget);
    init_streams(mux, params);

    mux->max_plain = DEFAULT_MAX_PLAIN;
    mux->overhead = DEFAULT_OVERHEAD;
    gw_cc_init(&mux->cc, mux->cc_kind, mux->max_plain + mux->overhead, now, mux->random);
    mux->recovery_events = gw_input_recovery_events(mux);
    gw_recovery_init(&mux->recovery, &mux->cc, &mux->recovery_events, now);
    gw_pacer_init(&mux->pacer, now);
    mux->pacer_at = mux->tidy_at = GW_NEVER;
    gw_schedule_init(mux);
    mux->out_max = GW_CREDIT_SESSION_INITIAL;

    gw_acker_init(&mux->acker);
    gw_credit_init(&mux->credit, now, GW_CREDIT_SESSION_INITIAL);
    mux->bdp.round_at = now;
    *out = mux;
    return 0;
}

static void forget_in_budget(struct gw_mux *mux)
{
    struct gw_mux **link = &mux->budget->first;
    while (*link != mux)
        link = &(*link)->budget_next;
    *link = mux->budget_next;
}

/* Callbacks may end other streams but opens fail now, so each round leaves less to do. */
static void fail_streams(struct gw_mux *mux, enum gw_reason reason)
{
    mux->is_dying = true;
    mux->run.stream = NULL;
    for (struct gw_map_node *node = gw_map_first(&mux->streams); node != NULL;
         node = gw_map_next(&mux->streams, node)) {
        struct gw_stream *stream = gw_map_entry(node, struct gw_stream, node);
        if (!stream->is_aborted)
            gw_streams_fail(stream, reason, reason);
    }
}

void gw_mux_end(struct gw_mux *mux, struct gw_mono now, enum gw_reason reason)
{
    gw_mux_enter(mux, now);
    fail_streams(mux, reason);
    gw_mux_leave(mux, false);
}

void gw_mux_free(struct gw_mux *mux, struct gw_mono now, enum gw_reason reason)
{
    if (mux == NULL)
        return;
    assert(mux->depth == 0);
    gw_mux_enter(mux, now);
    fail_streams(mux, reason);
    struct gw_map_node *node;
    while ((node = gw_map_first(&mux->streams)) != NULL)
        gw_streams_free(gw_map_entry(node, struct gw_stream, node));
    gw_deadline_disarm(mux->deadlines, &mux->deadline);
    gw_deadlines_release(mux->deadlines);
    forget_in_budget(mux);
    gw_recovery_fini(&mux->recovery);
    gw_acker_fini(&mux->acker);
    gw_ranges_fini(&mux->seen);
    gw_map_fini(&mux->streams);
    gw_pool_fini(&mux->pool);
    free(mux);
}

void gw_mux_set_path(struct gw_mux *mux, struct gw_mono now, size_t max_plain, size_t overhead,
                     int64_t rtt_hint_ns, bool is_new)
{
    gw_mux_enter(mux, now);
    bool is_narrower = max_plain < mux->max_plain;
    mux->max_plain = max_plain;
    mux->overhead = overhead;
    mux->cc.mss = max_plain + overhead;
    mux->recovery.full_bytes = (uint32_t)(max_plain + overhead - FULL_SLACK);
    if (is_new) {
        gw_cc_init(&mux->cc, mux->cc_kind, max_plain + overhead, now, mux->random);
        gw_recovery_new_path(&mux->recovery, now, rtt_hint_ns);
        gw_pacer_init(&mux->pacer, now);
        mux->pacer_at = GW_NEVER;
    } else if (mux->recovery.srtt_ns == 0) {
        mux->recovery.rtt_hint_ns = rtt_hint_ns;
    }
    /* What was on its way may have died with the old path, or for its length: this packet's ack will tell. */
    if ((is_new || is_narrower) && mux->recovery.outstanding > 0 && mux->probes == 0)
        mux->probes = 1;
    gw_mux_leave(mux, false);
}

static void repeat_oldest(struct gw_mux *mux)
{
    for (unsigned i = 0; i < REPEATED && gw_recovery_repeat_oldest(&mux->recovery); i++)
        ;
}

void gw_mux_path_lost(struct gw_mux *mux, struct gw_mono now)
{
    gw_mux_enter(mux, now);
    repeat_oldest(mux);
    gw_mux_leave(mux, false);
}

bool gw_mux_is_back(struct gw_mux *mux)
{
    if (mux->recovery.pto_count < BACK_PROBES || mux->recovery.backs >= BACKS_MAX)
        return false;
    mux->recovery.backs++;
    return true;
}

void gw_mux_try_again(struct gw_mux *mux, struct gw_mono now)
{
    if (mux->recovery.outstanding == 0)
        return;
    gw_mux_enter(mux, now);
    if (mux->recovery.pto_count > 0)
        repeat_oldest(mux);
    mux->recovery.pto_count = 0;
    if (mux->probes == 0)
        mux->probes = 1;
    gw_mux_leave(mux, false);
}

/* --- looking at it ----------------------------------------------------------------------------------------------- */

uint64_t gw_mux_full_acked(const struct gw_mux *mux)
{
    return mux->recovery.full_acked;
}

unsigned gw_mux_unanswered_probes(const struct gw_mux *mux)
{
    return mux->recovery.pto_count;
}

bool gw_mux_is_broken(const struct gw_mux *mux)
{
    return mux->is_broken;
}

bool gw_mux_has_streams(const struct gw_mux *mux)
{
    return mux->streams.len > 0;
}

void gw_mux_lose_long_datagram(struct gw_mux *mux, uint64_t id, size_t len)
{
    mux->datagrams_dropped++;
    if (mux->events.on_too_long)
        mux->events.on_too_long(mux, len, gw_mux_datagram_max(mux, id), mux->events.ctx);
}

void gw_mux_stats(const struct gw_mux *mux, struct gw_mux_stats *out)
{
    const struct gw_recovery *recovery = &mux->recovery;
    *out = (struct gw_mux_stats){
        .srtt_ns = recovery->srtt_ns,
        .min_rtt_ns = recovery->min_rtt_ns,
        .cwnd = mux->cc.cwnd,
        .inflight = recovery->inflight,
        .pacing_rate = mux->cc.pacing_rate,
        .packets_sent = mux->packets_sent,
        .packets_lost = recovery->lost,
        .packets_spurious = recovery->spurious,
        .bytes_sent = mux->bytes_sent,
        .bytes_received = mux->bytes_received,
        .datagrams_dropped = mux->datagrams_dropped,
        .violations = mux->violations,
        .streams_open = (uint32_t)mux->streams.len,
        .streams_total = mux->total,
        .cc_name = mux->cc.ops->name,
    };
}

void gw_mux_for_each(struct gw_mux *mux, void (*visit)(struct gw_stream *stream, void *ctx), void *ctx)
{
    for (struct gw_map_node *node = gw_map_first(&mux->streams); node != NULL;
         node = gw_map_next(&mux->streams, node)) {
        struct gw_stream *stream = gw_map_entry(node, struct gw_stream, node);
        if (!stream->is_detached)
            visit(stream, ctx);
    }
}

void *gw_mux_ctx(const struct gw_mux *mux)
{
    return mux->events.ctx;
}

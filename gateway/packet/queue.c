/* SPDX-License-Identifier: MIT */
/* Flow queueing with CoDel; see queue.h. */
#include "gateway/packet/queue.h"

#include "gateway/packet/coalesce.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct flow {
    struct gw_list active; /* in queue->fresh or queue->old; unlinked when idle */
    struct gw_list packets;
    uint32_t bytes;
    int32_t deficit;
    /* CoDel (RFC 8289, 5). */
    struct gw_mono first_above, drop_next;
    uint32_t drop_count;
    bool is_dropping;
};

struct gw_packet_queue {
    struct flow flows[GW_PACKET_FLOWS];
    struct gw_list fresh, old;
    struct flow *serving;  /* whose head was handed out */
    struct gw_mono served; /* when a head was handed out last */
    struct gw_mono left;   /* when some of one went out last; 0: never */
    uint8_t seed[16];
    struct gw_packet_queue_stats stats;
};

struct gw_packet_queue *gw_packet_queue_new(const uint8_t seed[16])
{
    struct gw_packet_queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return NULL;
    for (unsigned i = 0; i < GW_PACKET_FLOWS; i++) {
        gw_list_init(&queue->flows[i].active);
        gw_list_init(&queue->flows[i].packets);
    }
    gw_list_init(&queue->fresh);
    gw_list_init(&queue->old);
    memcpy(queue->seed, seed, sizeof queue->seed);
    return queue;
}

static struct gw_super *first_of(const struct flow *flow)
{
    return gw_list_is_empty(&flow->packets) ? NULL : gw_list_entry(flow->packets.next, struct gw_super, node);
}

static void drop_first(struct gw_packet_queue *queue, struct flow *flow)
{
    struct gw_super *super = first_of(flow);
    gw_list_remove(&super->node);
    flow->bytes -= super->len;
    queue->stats.bytes -= super->len;
    queue->stats.waiting--;
    gw_super_free(super);
}

void gw_packet_queue_free(struct gw_packet_queue *queue)
{
    if (!queue)
        return;
    for (unsigned i = 0; i < GW_PACKET_FLOWS; i++) {
        while (first_of(&queue->flows[i]))
            drop_first(queue, &queue->flows[i]);
    }
    free(queue);
}

bool gw_packet_queue_is_backlogged(const struct gw_packet_queue *queue, struct gw_mono now)
{
    return queue->stats.waiting >= GW_PACKET_ENOUGH && queue->left.ns != 0 &&
           gw_mono_sub(now, queue->left) <= GW_PACKET_STUCK_NS;
}

bool gw_packet_queue_is_empty(const struct gw_packet_queue *queue)
{
    return queue->stats.bytes == 0;
}

void gw_packet_queue_stats(const struct gw_packet_queue *queue, struct gw_packet_queue_stats *out)
{
    *out = queue->stats;
}

/* ---- in */

static struct flow *fattest(struct gw_packet_queue *queue)
{
    struct flow *found = &queue->flows[0];
    for (unsigned i = 1; i < GW_PACKET_FLOWS; i++) {
        if (queue->flows[i].bytes > found->bytes)
            found = &queue->flows[i];
    }
    return found;
}

static void make_room(struct gw_packet_queue *queue)
{
    while (queue->stats.bytes > GW_PACKET_QUEUE_BYTES) {
        struct flow *flow = fattest(queue);
        if (flow == queue->serving)
            queue->serving = NULL;
        drop_first(queue, flow);
        queue->stats.dropped_full++;
    }
}

/* A burst that the flow goes on right behind need not be pushed: the word to push goes to the end of that, as when TCP itself joins two buffers. A train mostly has
 * the end of one burst and the beginning of the next, and at a PSH the receiver would have to make two of it. */
static void pass_push_on(struct flow *flow, struct gw_super *next)
{
    if (gw_list_is_empty(&flow->packets))
        return;
    struct gw_super *last = gw_list_entry(flow->packets.prev, struct gw_super, node);
    uint8_t *header = gw_super_header(last);
    if (last->hint.segment_len == 0 || next->hint.segment_len == 0 ||
        !gw_coalesce_is_next(header, &last->ip, next->data, &next->ip) ||
        !(header[last->ip.l4 + 13] & GW_TCP_PSH))
        return;
    header[last->ip.l4 + 13] &= (uint8_t)~GW_TCP_PSH;
    next->data[next->ip.l4 + 13] |= GW_TCP_PSH;
}

void gw_packet_queue_push(struct gw_packet_queue *queue, struct gw_super *super, struct gw_mono now)
{
    super->flow = gw_ip_flow_hash(super->data, &super->ip, queue->seed);
    super->queued = now;
    struct flow *flow = &queue->flows[super->flow % GW_PACKET_FLOWS];
    pass_push_on(flow, super);
    gw_list_push_back(&flow->packets, &super->node);
    flow->bytes += super->len;
    queue->stats.bytes += super->len;
    queue->stats.queued++;
    queue->stats.waiting++;
    if (!gw_list_is_linked(&flow->active)) {
        flow->deficit = GW_PACKET_QUANTUM;
        gw_list_push_back(&queue->fresh, &flow->active);
    }
    make_room(queue);
}

/* ---- CoDel */

static struct gw_mono control_law(struct gw_mono from, uint32_t count)
{
    return gw_mono_add(from, (int64_t)((double)GW_CODEL_INTERVAL_NS / sqrt((double)count)));
}

/* Has the flow's head waited too long for a whole interval? */
static bool is_late(struct flow *flow, struct gw_mono now)
{
    const struct gw_super *super = first_of(flow);
    bool is_below =
        !super || gw_mono_sub(now, super->queued) < GW_CODEL_TARGET_NS || flow->bytes <= GW_SUPER_MAX;
    if (is_below || super->segments > 0) { /* what is half out is finished */
        flow->first_above = (struct gw_mono){0};
        return false;
    }
    if (flow->first_above.ns == 0) {
        flow->first_above = gw_mono_add(now, GW_CODEL_INTERVAL_NS);
        return false;
    }
    return gw_mono_due(flow->first_above, now);
}

static void drop_late(struct gw_packet_queue *queue, struct flow *flow, struct gw_mono now)
{
    bool late = is_late(flow, now);
    if (flow->is_dropping && !late) {
        flow->is_dropping = false;
        return;
    }
    if (!flow->is_dropping && late) {
        bool was_recent = gw_mono_sub(now, flow->drop_next) < GW_CODEL_INTERVAL_NS && flow->drop_count > 2;
        flow->is_dropping = true;
        flow->drop_count = was_recent ? flow->drop_count - 2 : 0;
        flow->drop_next = now;
    }
    while (flow->is_dropping && gw_mono_due(flow->drop_next, now) && is_late(flow, now)) {
        drop_first(queue, flow);
        queue->stats.dropped_late++;
        flow->drop_next = control_law(flow->drop_next, ++flow->drop_count);
    }
}

/* ---- out */

/* The flow whose turn it is, with a packet; NULL when all are empty. */
static struct flow *next_flow(struct gw_packet_queue *queue, struct gw_mono now)
{
    for (;;) {
        bool is_fresh = !gw_list_is_empty(&queue->fresh);
        struct gw_list *list = is_fresh ? &queue->fresh : &queue->old;
        if (gw_list_is_empty(list))
            return NULL;
        struct flow *flow = gw_list_entry(list->next, struct flow, active);
        if (flow->deficit <= 0) {
            flow->deficit += (int32_t)GW_PACKET_QUANTUM;
            gw_list_remove(&flow->active);
            gw_list_push_back(&queue->old, &flow->active);
            continue;
        }
        drop_late(queue, flow, now);
        if (first_of(flow))
            return flow;
        gw_list_remove(&flow->active);
        if (is_fresh) /* it may not come back as a sparse one at once */
            gw_list_push_back(&queue->old, &flow->active);
    }
}

struct gw_super *gw_packet_queue_head(struct gw_packet_queue *queue, struct gw_mono now)
{
    if (!queue->serving)
        queue->serving = next_flow(queue, now);
    queue->served = now;
    return queue->serving ? first_of(queue->serving) : NULL;
}

void gw_packet_queue_took(struct gw_packet_queue *queue, size_t len, bool is_refused)
{
    struct flow *flow = queue->serving;
    struct gw_super *super = first_of(flow);
    flow->deficit -= (int32_t)len;
    if (!is_refused)
        queue->left = queue->served;
    if (is_refused || gw_super_is_done(super)) {
        drop_first(queue, flow);
        queue->serving = NULL;
    } else if (flow->deficit <= 0) {
        queue->serving = NULL; /* another flow's turn between two segments: order within this one is kept */
    }
}

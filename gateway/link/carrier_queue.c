/* SPDX-License-Identifier: MIT */
/* The queue in front of a carrier. */
#include "gateway/link/carrier_queue.h"

#include "gateway/wire/carrier_frame.h"
#include "gateway/wire/cursor.h"

#include <stdlib.h>
#include <string.h>

struct block { /* of one train */
    struct gw_list node;
    struct gw_mono at;
    size_t len, done;
    unsigned count; /* datagrams from `done` on */
    uint8_t data[];
};

void gw_carrier_queue_init(struct gw_carrier_queue *queue)
{
    *queue = (struct gw_carrier_queue){0};
    gw_list_init(&queue->blocks);
}

static struct block *head_of(const struct gw_carrier_queue *queue)
{
    return gw_list_is_empty(&queue->blocks) ? NULL : gw_list_entry(queue->blocks.next, struct block, node);
}

static void pop(struct gw_carrier_queue *queue)
{
    struct block *block = head_of(queue);
    gw_list_remove(&block->node);
    queue->bytes -= block->len;
    free(block);
}

void gw_carrier_queue_fini(struct gw_carrier_queue *queue)
{
    while (head_of(queue))
        pop(queue);
}

static void drop(struct gw_carrier_queue *queue)
{
    queue->dropped += head_of(queue)->count;
    pop(queue);
}

void gw_carrier_queue_push(struct gw_carrier_queue *queue, struct gw_mono now, const struct gw_train *train)
{
    size_t len = gw_train_len(train) + (size_t)train->count * GW_CARRIER_HEADER_LEN;
    bool is_framable = train->stride <= GW_CARRIER_MAX && train->last_len >= GW_CARRIER_MIN;
    struct block *block = is_framable ? malloc(sizeof *block + len) : NULL;
    if (!block) {
        queue->dropped += train->count;
        return;
    }
    uint8_t *at = block->data;
    for (unsigned i = 0; i < train->count; i++) {
        size_t one = gw_train_datagram_len(train, i);
        gw_carrier_frame_write(at, one);
        memcpy(at + GW_CARRIER_HEADER_LEN, gw_train_datagram(train, i), one);
        at += GW_CARRIER_HEADER_LEN + one;
    }
    gw_list_init(&block->node);
    block->at = now;
    block->len = len;
    block->done = 0;
    block->count = train->count;
    while (head_of(queue) && queue->bytes + len > GW_CARRIER_QUEUE_BYTES)
        drop(queue);
    gw_list_push_back(&queue->blocks, &block->node);
    queue->bytes += len;
}

const uint8_t *gw_carrier_queue_take(struct gw_carrier_queue *queue, struct gw_mono now, size_t want,
                                     size_t *len)
{
    struct block *block = head_of(queue);
    *len = 0;
    if (block && block->done == block->len) /* lent by the call before */
        pop(queue);
    while ((block = head_of(queue)) != NULL && block->node.next != &queue->blocks &&
           gw_mono_sub(now, block->at) > GW_CARRIER_QUEUE_NS)
        drop(queue);
    if (!block)
        return NULL;
    const uint8_t *from = block->data + block->done;
    while (block->done < block->len && (*len == 0 || *len < want)) {
        size_t frame = GW_CARRIER_HEADER_LEN + gw_load16_be(block->data + block->done);
        block->done += frame;
        block->count--;
        *len += frame;
    }
    return from;
}

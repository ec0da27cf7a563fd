/* SPDX-License-Identifier: MIT */
#include "gateway/flow/sent.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 64u

void gw_sent_init(struct gw_sent *sent)
{
    *sent = (struct gw_sent){0};
}

static void free_items(struct gw_sent *sent)
{
    while (sent->free_items != NULL) {
        struct gw_sent_item *item = sent->free_items;
        sent->free_items = item->more;
        free(item);
    }
}

void gw_sent_fini(struct gw_sent *sent)
{
    for (uint64_t number = sent->first; number < sent->next; number++)
        gw_sent_clear_items(sent, gw_sent_at(sent, number));
    free_items(sent);
    free(sent->ring);
    sent->ring = NULL;
    sent->cap = 0;
}

static bool grow(struct gw_sent *sent)
{
    uint64_t cap = sent->cap == 0 ? FIRST_CAP : sent->cap * 2;
    if (cap > GW_SENT_MAX)
        return false;
    struct gw_sent_packet *ring = malloc(cap * sizeof *ring);
    if (ring == NULL)
        return false;
    for (uint64_t number = sent->first; number < sent->next; number++)
        ring[number & (cap - 1)] = sent->ring[number & (sent->cap - 1)];
    free(sent->ring);
    sent->ring = ring;
    sent->cap = cap;
    return true;
}

struct gw_sent_packet *gw_sent_begin(struct gw_sent *sent)
{
    if (sent->next - sent->first >= sent->cap && !grow(sent))
        return NULL;
    struct gw_sent_packet *packet = &sent->ring[sent->next & (sent->cap - 1)];
    packet->item.kind = GW_SENT_NOTHING;
    packet->item.more = NULL;
    packet->u.ack_largest = 0;
    packet->state = GW_SENT_OUTSTANDING;
    packet->controls = 0;
    packet->is_repeated = false;
    return packet;
}

struct gw_sent_item *gw_sent_add(struct gw_sent *sent, struct gw_sent_packet *packet)
{
    struct gw_sent_item *item = &packet->item;
    if (item->kind != GW_SENT_NOTHING) {
        struct gw_sent_item *fresh = sent->free_items;
        if (fresh != NULL)
            sent->free_items = fresh->more;
        else if ((fresh = malloc(sizeof *fresh)) == NULL)
            return NULL;
        while (item->more != NULL)
            item = item->more;
        item->more = fresh;
        item = fresh;
    }
    *item = (struct gw_sent_item){.kind = GW_SENT_NOTHING};
    return item;
}

void gw_sent_clear_items(struct gw_sent *sent, struct gw_sent_packet *packet)
{
    struct gw_sent_item *item = packet->item.more;
    while (item != NULL) {
        struct gw_sent_item *more = item->more;
        item->more = sent->free_items;
        sent->free_items = item;
        item = more;
    }
    packet->item.more = NULL;
    packet->item.kind = GW_SENT_NOTHING;
}

void gw_sent_trim(struct gw_sent *sent)
{
    if (!gw_sent_is_empty(sent))
        return;
    free_items(sent);
    free(sent->ring);
    sent->ring = NULL;
    sent->cap = 0;
}

/* SPDX-License-Identifier: MIT */
#include "gateway/flow/datagram.h"

#include "gateway/base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static size_t charge_of(size_t len)
{
    return sizeof(struct gw_datagram) + len;
}

void gw_datagrams_pop(struct gw_datagrams *queue, struct gw_flow_budget *budget)
{
    struct gw_datagram *datagram = queue->head;
    size_t charge = charge_of(datagram->len);
    queue->head = datagram->next;
    if (queue->head == NULL)
        queue->tail = NULL;
    queue->bytes -= charge;
    assert(budget->used >= charge);
    budget->used -= charge;
    free(datagram);
}

struct gw_datagram *gw_datagrams_peek(struct gw_datagrams *queue, struct gw_flow_budget *budget,
                                      struct gw_mono now, unsigned *dropped)
{
    *dropped = 0;
    while (queue->head != NULL && gw_mono_sub(now, queue->head->queued_at) > GW_DATAGRAM_WAIT_NS) {
        gw_datagrams_pop(queue, budget);
        ++*dropped;
    }
    return queue->head;
}

int gw_datagrams_push(struct gw_datagrams *queue, struct gw_flow_budget *budget, uint64_t limit,
                      struct gw_mono now, const void *data, size_t len, unsigned *dropped)
{
    size_t charge = charge_of(len);
    (void)gw_datagrams_peek(queue, budget, now, dropped);
    if (queue->bytes + charge > GW_DATAGRAM_QUEUE_MAX)
        return GW_E_LIMIT;
    if (budget->used + charge > limit)
        return GW_E_NOMEM;
    struct gw_datagram *datagram = malloc(charge);
    if (datagram == NULL)
        return GW_E_NOMEM;
    *datagram = (struct gw_datagram){.queued_at = now, .len = (uint32_t)len};
    if (len > 0)
        memcpy(datagram->data, data, len);
    if (queue->tail != NULL)
        queue->tail->next = datagram;
    else
        queue->head = datagram;
    queue->tail = datagram;
    queue->bytes += charge;
    budget->used += charge;
    return 0;
}

void gw_datagrams_clear(struct gw_datagrams *queue, struct gw_flow_budget *budget)
{
    while (queue->head != NULL)
        gw_datagrams_pop(queue, budget);
}

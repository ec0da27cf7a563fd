/* SPDX-License-Identifier: MIT */
/* The datagrams that wait to be sent on one datagram flow: in order, bounded, and dropped oldest first when they have
 * waited for longer than anybody would want them. */
#ifndef GATEWAY_FLOW_DATAGRAM_H
#define GATEWAY_FLOW_DATAGRAM_H

#include "gateway/base/mono.h"
#include "gateway/flow/pool.h"

#include <stddef.h>
#include <stdint.h>

#define GW_DATAGRAM_WAIT_NS GW_MS(20)
#define GW_DATAGRAM_QUEUE_MAX 262144u /* bytes in one flow's queue */

struct gw_datagram {
    struct gw_datagram *next;
    struct gw_mono queued_at;
    uint32_t len;
    uint8_t data[];
};

struct gw_datagrams {
    struct gw_datagram *head, *tail;
    size_t bytes; /* as charged to the budget */
};

/* Copies. 0; GW_E_LIMIT when the queue is full of young ones; GW_E_NOMEM. *dropped: how many old ones went. */
int gw_datagrams_push(struct gw_datagrams *queue, struct gw_flow_budget *budget, uint64_t limit,
                      struct gw_mono now, const void *data, size_t len, unsigned *dropped);
/* The oldest that is still young enough, or NULL; *dropped as above. It stays in the queue. */
struct gw_datagram *gw_datagrams_peek(struct gw_datagrams *queue, struct gw_flow_budget *budget,
                                      struct gw_mono now, unsigned *dropped);
/* Forgets the oldest. */
void gw_datagrams_pop(struct gw_datagrams *queue, struct gw_flow_budget *budget);
void gw_datagrams_clear(struct gw_datagrams *queue, struct gw_flow_budget *budget);

#endif

/* SPDX-License-Identifier: MIT */
/* What waits for a carrier: trains, framed already, oldest first. A carrier is a queue that the network empties as it likes, and bytes that wait in it are delay for all that
 * come behind; so what has waited for too long goes, if something newer is there, and so does the oldest when there is too much: the sessions inside see
 * loss, as on any way, and send less. */
#ifndef GATEWAY_LINK_CARRIER_QUEUE_H
#define GATEWAY_LINK_CARRIER_QUEUE_H

#include "gateway/base/list.h"
#include "gateway/base/mono.h"
#include "gateway/wire/train.h"

#define GW_CARRIER_QUEUE_BYTES 262144u /* of one carrier */
#define GW_CARRIER_QUEUE_NS GW_MS(50)

struct gw_carrier_queue {
    struct gw_list blocks;
    size_t bytes;
    uint64_t dropped; /* datagrams */
};

void gw_carrier_queue_init(struct gw_carrier_queue *queue);
void gw_carrier_queue_fini(struct gw_carrier_queue *queue);
/* Copies the train's datagrams, each behind its length. What does not fit a frame, and what there is no memory for, is dropped. */
void gw_carrier_queue_push(struct gw_carrier_queue *queue, struct gw_mono now, const struct gw_train *train);
/* The oldest whole frames of up to about `want` bytes, one at least, after dropping what is too old; *len 0: there are none. Valid until the next call. */
const uint8_t *gw_carrier_queue_take(struct gw_carrier_queue *queue, struct gw_mono now, size_t want,
                                     size_t *len);

#endif

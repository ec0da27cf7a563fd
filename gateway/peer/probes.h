/* SPDX-License-Identifier: MIT */
/* Probes on their way out (type 7): few, small and soon gone, so one short queue for all of them. For gateway/ only. */
#ifndef GATEWAY_PEER_PROBES_H
#define GATEWAY_PEER_PROBES_H

#include "gateway/session/crypto.h"
#include "gateway/wire/probe.h"
#include "gateway/wire/train.h"

#include <stdbool.h>

#define GW_PROBES_MAX 64u

struct gw_probe_queue {
    struct {
        struct gw_tuple tuple;
        uint8_t bytes[GW_PROBE_LEN];
    } slots[GW_PROBES_MAX];
    unsigned head, len;
};

/* Sealed with the key. A full queue drops it: whoever wants it asks again. */
void gw_probes_push(struct gw_probe_queue *queue, const struct gw_tuple *tuple, const struct gw_probe *probe,
                    const uint8_t key[GW_PROBE_KEY_LEN]);
/* The oldest as a train of one; false when there is none. */
bool gw_probes_output(struct gw_probe_queue *queue, struct gw_train *train);
/* Decodes, if the mac is right: false = drop. */
bool gw_probe_open(struct gw_probe *out, const uint8_t datagram[GW_PROBE_LEN],
                   const uint8_t key[GW_PROBE_KEY_LEN]);

#endif

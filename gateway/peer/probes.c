/* SPDX-License-Identifier: MIT */
/* Probes out, and the mac of those that come in; see probes.h. */
#include "gateway/peer/probes.h"

#include "gateway/base/secret.h"

#include <string.h>

static_assert(GW_PROBE_COVERED + GW_MAC_LEN == GW_PROBE_LEN, "the mac is what is left");

void gw_probes_push(struct gw_probe_queue *queue, const struct gw_tuple *tuple, const struct gw_probe *probe,
                    const uint8_t key[GW_PROBE_KEY_LEN])
{
    if (queue->len == GW_PROBES_MAX)
        return;
    unsigned slot = (queue->head + queue->len++) % GW_PROBES_MAX;
    uint8_t *bytes = queue->slots[slot].bytes;
    queue->slots[slot].tuple = *tuple;
    gw_probe_encode(bytes, probe);
    gw_mac(bytes + GW_PROBE_COVERED, key, GW_PROBE_KEY_LEN, bytes, GW_PROBE_COVERED);
}

bool gw_probes_output(struct gw_probe_queue *queue, struct gw_train *train)
{
    if (queue->len == 0)
        return false;
    unsigned slot = queue->head;
    queue->head = (queue->head + 1) % GW_PROBES_MAX;
    queue->len--;
    memcpy(train->slab, queue->slots[slot].bytes, GW_PROBE_LEN);
    train->tuple = queue->slots[slot].tuple;
    train->stride = train->last_len = GW_PROBE_LEN;
    train->count = 1;
    train->ecn = 0;
    train->may_be_cut = false;
    train->heeds_icmp = false;
    return true;
}

bool gw_probe_open(struct gw_probe *out, const uint8_t datagram[GW_PROBE_LEN],
                   const uint8_t key[GW_PROBE_KEY_LEN])
{
    uint8_t mac[GW_MAC_LEN];
    gw_mac(mac, key, GW_PROBE_KEY_LEN, datagram, GW_PROBE_COVERED);
    return gw_secret_equal(mac, datagram + GW_PROBE_COVERED, sizeof mac) &&
           gw_probe_decode(out, datagram) == 0;
}

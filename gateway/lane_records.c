/* SPDX-License-Identifier: MIT */
/* What lanes tell, taken in by the engine as if it had been there itself. Key pairs are looked up by their index, since they may have died meanwhile. */
#include "gateway/lanes_private.h"

#include <string.h>

/* A turn's worth of each ring. */
#define TOLD_BYTES (256u * 1024u)
#define STRANGERS_MAX 64u
/* What peers said is lent to the flows until they are told that a train is over, so it stays in the ring until then. */
#define HELD_BYTES GW_TRAIN_BYTES

struct drain {
    struct gateway *gateway;
    struct gw_mono now;
    struct gw_train train; /* only tuple and ecn mean something */
    struct gw_peer *peer;  /* whose opened datagrams are under way */
};

static void flush(struct drain *drain)
{
    struct gw_peer_host *host = &drain->gateway->host;
    if (drain->peer)
        gw_peer_input_flush(drain->peer, drain->now, &drain->train);
    drain->peer = NULL;
    if (host->has_packets && host->events->on_packets_end)
        host->events->on_packets_end(drain->gateway, drain->now, host->events->ctx);
    host->has_packets = false;
}

static struct gw_keypair *keypair_of(struct drain *drain, const struct gw_lane_record *record)
{
    return gw_session_receiving_key(&drain->gateway->host.local, record->index, drain->now);
}

static void on_opened(struct drain *drain, struct gw_lane_record *record, size_t len)
{
    struct gw_peer_host *host = &drain->gateway->host;
    struct gw_keypair *kp = keypair_of(drain, record);
    if (!kp) {
        host->stats.dropped_unknown++;
        return;
    }
    struct gw_peer *peer = gw_session_owner(kp->session);
    bool was_confirmed = kp->is_confirmed;
    if (peer != drain->peer || memcmp(&drain->train.tuple, &record->tuple, sizeof record->tuple) != 0)
        flush(drain);
    drain->peer = peer;
    drain->train.tuple = record->tuple;
    drain->train.ecn = record->ecn;
    gw_peer_input(peer, kp, drain->now, &drain->train, record->len,
                  (struct gw_view){gw_lane_record_bytes(record), len}, record->counter, record->is_highest);
    drain->gateway->lanes->is_dirty |= !was_confirmed;
}

static void on_received(struct drain *drain, const struct gw_lane_record *record)
{
    struct gw_keypair *kp = keypair_of(drain, record);
    flush(drain);
    if (!kp)
        return;
    drain->gateway->lanes->is_dirty |= !kp->is_confirmed;
    gw_peer_lane_received(gw_session_owner(kp->session), kp, drain->now, &record->tuple, record->bytes,
                          record->is_data, record->is_highest);
}

static void on_sent(struct drain *drain, const struct gw_lane_record *record)
{
    struct gw_keypair *kp = keypair_of(drain, record);
    if (kp)
        gw_peer_lane_sent(gw_session_owner(kp->session), kp, drain->now, record->bytes,
                          (uint16_t)record->len);
}

static void on_failed(struct drain *drain, const struct gw_lane_record *record)
{
    gw_gateway_path_failed(drain->gateway, drain->now, &record->tuple, record->len, record->error);
}

static void on_datagram(struct drain *drain, struct gw_lane_record *record, size_t len)
{
    struct gw_train train = {.tuple = record->tuple,
                             .slab = gw_lane_record_bytes(record),
                             .stride = (uint16_t)len,
                             .count = 1,
                             .last_len = (uint16_t)len,
                             .ecn = record->ecn};
    drain->gateway->host.stats.datagrams_received--; /* the lane counted it */
    gw_gateway_input(drain->gateway, drain->now, &train);
}

static void on_record(struct drain *drain, struct gw_lane_record *record, size_t len)
{
    struct gw_lanes *lanes = drain->gateway->lanes;
    switch (record->type) {
    case GW_LANE_RECEIVED:
        on_received(drain, record);
        break;
    case GW_LANE_SENT:
        on_sent(drain, record);
        break;
    case GW_LANE_OPENED:
        on_opened(drain, record, len);
        break;
    case GW_LANE_BURST:
        if (lanes->on_burst)
            lanes->on_burst(gw_lane_record_bytes(record), len, &record->hint, drain->now, lanes->ctx);
        break;
    case GW_LANE_FAILED:
        on_failed(drain, record);
        break;
    case GW_LANE_DATAGRAM:
        on_datagram(drain, record, len);
        break;
    }
}

/* true: time is up. */
static bool drain_ring(struct drain *drain, struct gw_ring *ring, size_t bytes_max, unsigned count_max)
{
    size_t bytes = 0, held = 0, len;
    unsigned count = 0;
    bool is_more = false;
    for (struct gw_lane_record *record; (record = gw_ring_next(ring, &len)) != NULL;) {
        on_record(drain, record, len - sizeof *record);
        bytes += len;
        held += len;
        is_more = bytes >= bytes_max || ++count >= count_max;
        if (is_more)
            break;
        if (held < HELD_BYTES)
            continue;
        flush(drain);
        gw_ring_release(ring);
        held = 0;
    }
    flush(drain);
    gw_ring_release(ring);
    return is_more;
}

bool gw_lanes_drain(struct gateway *gateway, struct gw_mono now)
{
    struct drain drain = {.gateway = gateway, .now = now};
    struct gw_lanes *lanes = gateway->lanes;
    bool is_more = false;
    if (!lanes)
        return false;
    gateway->host.now = now;
    /* First: what is told from now on wakes us again. */
    atomic_store(&lanes->hub.is_signalled, false);
    for (unsigned i = 0; i < lanes->count; i++) {
        is_more |= drain_ring(&drain, &lanes->lanes[i].told, TOLD_BYTES, UINT32_MAX);
        is_more |= drain_ring(&drain, &lanes->lanes[i].strangers, SIZE_MAX, STRANGERS_MAX);
    }
    return is_more;
}

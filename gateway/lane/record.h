/* SPDX-License-Identifier: MIT */
/* What a lane tells the engine: records in its two rings. `told` carries what authenticated peers and our own interface brought, `strangers` what
 * nobody vouches for, so that a flood of it displaces nothing of the other. */
#ifndef GATEWAY_LANE_RECORD_H
#define GATEWAY_LANE_RECORD_H

#include "gateway/packet/super.h"
#include "gateway/wire/train.h"

enum gw_lane_record_type {
    GW_LANE_RECEIVED, /* packets came on a key pair from an address; no bytes follow */
    GW_LANE_SENT,     /* packets went out on a key pair */
    GW_LANE_OPENED,   /* an opened datagram that is not the lane's to deal with: its inner bytes follow */
    GW_LANE_BURST,    /* a packet from the interface that the lane cannot send: it follows */
    GW_LANE_FAILED,   /* a train could not be sent */
    GW_LANE_DATAGRAM, /* as it came from the network */
};

struct gw_lane_record {
    struct gw_tuple tuple; /* RECEIVED, OPENED, FAILED, DATAGRAM */
    uint8_t type;
    uint8_t ecn;
    bool is_data, is_highest;
    uint32_t index;   /* of the key pair, ours */
    uint32_t len;     /* of the datagram: OPENED, FAILED; of the longest: SENT */
    int32_t error;    /* FAILED: -errno */
    uint64_t counter; /* OPENED */
    uint64_t bytes;   /* RECEIVED, SENT */
    struct gw_super_hint hint;
};

#endif

/* SPDX-License-Identifier: MIT */
/* What the owner of an anchor allows: plain data, made by daemon/ or by a test. */
#ifndef GATEWAY_ANCHOR_PARAMS_H
#define GATEWAY_ANCHOR_PARAMS_H

#include "gateway/anchor/fleet.h"

#include <stdbool.h>
#include <stdint.h>

struct gw_anchor_params {
    bool is_enabled;
    bool is_auto; /* only as long as gw_discovery_is_public */
    bool relays;  /* gives channels */
    bool offers; /* ... and tells every peer so, which then needs no word of this node in its configuration */
    bool only_listed;        /* serves nobody whom the owner has only let in */
    unsigned max_tags;       /* of one client; 0 = 256 */
    unsigned max_channels;   /* in all; 0 = 10,000 */
    unsigned max_per_client; /* channels of one client; 0 = 256 */
    uint64_t rate;           /* bytes a second between two clients, both directions together; 0 = no limit */
    uint64_t total_rate;     /* of all together; 0 = no limit */
    uint64_t volume;         /* bytes between two clients in an hour; 0 = no limit */
    struct gw_fleet_params fleet;
};

#endif

/* SPDX-License-Identifier: MIT */
/* A sender with no end of data and its receiver, over two links: the smallest thing that a congestion controller can be tried on. Packets are
 * numbered and never sent again; a loss is noticed as RACK does, an outage by a probe timeout; the receiver acks
 * once for so many packets, or at the end of its loop's turn. Both ends act only once in a turn of `turn_ns`. */
#ifndef TESTS_SIM_BULK_H
#define TESTS_SIM_BULK_H

#include "gateway/flow/congestion.h"
#include "gateway/flow/pacer.h"
#include "gateway/flow/ratesample.h"
#include "tests/sim/link.h"

struct sim_bulk_params {
    enum gw_cc_kind cc;
    size_t mss;           /* 0 = 1400 */
    unsigned ack_every;   /* packets; 0 = 2 */
    int64_t ack_delay_ns; /* for fewer than that; 0 = 1 ms */
    int64_t turn_ns;      /* 0 = at once */
    uint64_t app_rate;    /* bytes a second that the application writes; 0 = no end */
    uint8_t ecn;          /* of data packets: 0 or 2 (ECT(0)) */
    uint64_t seed;        /* of the controller's randomness */
};

struct sim_bulk_stats {
    uint64_t delivered;                      /* bytes that arrived, duplicates not */
    uint64_t sent, lost, spurious, timeouts; /* packets */
    int64_t rtt_sum_ns, rtt_max_ns;          /* of samples since the last reset */
    uint64_t rtt_count;
};

struct sim_bulk; /* heap object */

struct sim_bulk *sim_bulk_new(struct sim_clock *clock, struct sim_link *data, struct sim_link *acks,
                              const struct sim_bulk_params *params);
void sim_bulk_free(struct sim_bulk *bulk);
/* Begins to send at `at`. */
void sim_bulk_start(struct sim_bulk *bulk, struct gw_mono at);
/* The application stops (0) or goes on. */
void sim_bulk_pause(struct sim_bulk *bulk, bool is_paused);
struct sim_bulk_stats *sim_bulk_stats(struct sim_bulk *bulk);
const struct gw_cc *sim_bulk_cc(const struct sim_bulk *bulk);
uint64_t sim_bulk_inflight(const struct sim_bulk *bulk);

#endif

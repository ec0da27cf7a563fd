/* SPDX-License-Identifier: MIT */
/* When may the next bytes leave? A token bucket asked at each pull: quantum = clamp(rate x 1 ms, 2 packets, one train), at most 1 ms of
 * catch-up after a late wake-up; below 1 ms RTT, where our own loop's turns take as long as the path, one RTT of it or one
 * train, whichever is more. Once empty it waits for a whole quantum, so that trains stay trains. */
#ifndef GATEWAY_FLOW_PACER_H
#define GATEWAY_FLOW_PACER_H

#include "gateway/base/mono.h"

#include <stdbool.h>
#include <stdint.h>

struct gw_pacer {
    int64_t
        tokens; /* bytes; goes negative by the last packet, and by what is not paced but counts (at most GW_PACER_DEBT_MAX) */
    struct gw_mono filled;
    bool is_waiting; /* ran empty: nothing before a quantum is there */
};

#define GW_PACER_DEBT_MAX 65536

uint64_t gw_pacer_quantum(uint64_t rate, uint64_t mss, uint64_t train);

void gw_pacer_init(struct gw_pacer *pacer, struct gw_mono now);
/* Bytes that may leave now (0 = wait until gw_pacer_next). rate in bytes a second, 0 = no limit (returns UINT64_MAX). */
uint64_t gw_pacer_allowance(struct gw_pacer *pacer, struct gw_mono now, uint64_t rate, uint64_t mss,
                            uint64_t train, int64_t srtt_ns);
void gw_pacer_sent(struct gw_pacer *pacer, uint64_t bytes);
/* When at least a quantum will be there again: wakes once for each quantum, not for each packet. */
struct gw_mono gw_pacer_next(const struct gw_pacer *pacer, uint64_t rate, uint64_t mss, uint64_t train);

#endif

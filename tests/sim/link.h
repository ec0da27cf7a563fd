/* SPDX-License-Identifier: MIT */
/* One direction of a network path for tests, in virtual time:
 *
 *   send -> [up?] -> [mtu] -> [loss] -> drop-tail buffer, CE marks -> transmission at `rate` -> delay (+ jitter, held back, twice) -> port
 *
 * It carries opaque datagrams, copied. Chance comes from its own seed only. Several senders share one link as a bottleneck: each datagram
 * names the port that it goes to; a port may send into the next link. */
#ifndef TESTS_SIM_LINK_H
#define TESTS_SIM_LINK_H

#include "tests/sim/clock.h"

/* Where a datagram arrives; embedded in its owner. The bytes are lent for the call. ecn: 0-3 as in the IP header. */
struct sim_port {
    void (*deliver)(struct sim_port *port, struct gw_mono now, const void *data, size_t len, uint8_t ecn);
};

/* All zero: an ideal wire. */
struct sim_link_params {
    uint64_t rate_bps; /* bits a second; 0 = no limit */
    int64_t delay_ns;  /* propagation */
    uint64_t
        buffer_bytes; /* waiting behind the one being sent; a datagram that does not fit is dropped; 0 = no limit */
    size_t overhead;     /* bytes that each datagram takes on the wire beyond its own */
    size_t mtu;          /* longer datagrams (with overhead) vanish; 0 = no limit */
    uint64_t mark_bytes; /* an ECT datagram that finds more than this waiting is CE-marked; 0 = never */
    double loss;         /* chance of each datagram */
    /* Gilbert-Elliott: chances to enter and to leave the bad state at each datagram, and of loss while in it. */
    double burst_enter, burst_leave, burst_loss;
    int64_t jitter_ns; /* up to this is added to the delay, order kept */
    double reorder;    /* chance that a datagram is held back by reorder_ns and overtaken */
    int64_t reorder_ns;
    double duplicate; /* chance that it arrives twice */
};

struct sim_link_stats {
    uint64_t sent, delivered, dropped_full, dropped_loss, dropped_mtu, dropped_down, duplicated, marked;
    uint64_t bytes_delivered; /* without overhead */
    uint64_t queue_max;       /* bytes */
};

#define SIM_LINK_PARTITIONS_MAX 16

struct sim_link; /* heap object */

/* Aborts without memory. */
struct sim_link *sim_link_new(struct sim_clock *clock, const struct sim_link_params *params, uint64_t seed);
/* What is under way is dropped. */
void sim_link_free(struct sim_link *link);
void sim_link_send(struct sim_link *link, struct sim_port *to, const void *data, size_t len, uint8_t ecn);
/* Holds for what is sent, or begins its transmission, from now on. */
void sim_link_set(struct sim_link *link, const struct sim_link_params *params);
const struct sim_link_params *sim_link_params(const struct sim_link *link);
/* What is sent in [from, until) vanishes; what was under way arrives. At most SIM_LINK_PARTITIONS_MAX windows. */
void sim_link_partition(struct sim_link *link, struct gw_mono from, struct gw_mono until);
/* Forgets those that go to `port`: its owner goes away. */
void sim_link_forget(struct sim_link *link, const struct sim_port *port);
/* Bytes waiting or being sent now. */
uint64_t sim_link_queued(const struct sim_link *link);
const struct sim_link_stats *sim_link_stats(const struct sim_link *link);

#endif

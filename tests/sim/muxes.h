/* SPDX-License-Identifier: MIT */
/* Two muxes over two links, with what the daemon's loop does to them: datagrams are read in turns of `turn_ns`, acked once a turn, and what
 * may leave is pulled at the end of it. One stream of endless, checked bytes can run each way. */
#ifndef TESTS_SIM_MUXES_H
#define TESTS_SIM_MUXES_H

#include "gateway/flow/mux.h"
#include "tests/sim/link.h"

#define SIM_MUXES_PLAIN 1396u
#define SIM_MUXES_OVERHEAD 76u /* IPv4, UDP, the session's header and tag */

struct sim_muxes;

/* A stream from one side to the other. */
struct sim_source {
    struct sim_muxes *muxes;
    int from;
    enum gw_class class_;
    uint64_t limit; /* bytes to send; UINT64_MAX = no end */
    uint64_t written, received;
    struct gw_stream *stream, *sink;
    struct gw_mono ended; /* the last byte of `limit` arrived; GW_NEVER */
    struct gw_list node;
};

struct sim_muxes_params {
    struct sim_link_params to_right, to_left; /* overhead is set to SIM_MUXES_OVERHEAD */
    enum gw_cc_kind cc;
    int64_t turn_ns;
    uint8_t ecn;     /* what is sent: 0 or 2 */
    uint64_t budget; /* 0 = 64 MB */
    uint64_t seed;
};

struct sim_side {
    struct sim_muxes *muxes;
    struct gw_mux *mux;
    struct gw_deadlines deadlines;
    struct gw_flow_budget budget;
    struct sim_port port;
    struct sim_event turn;
    struct sim_link *out;
    struct gw_mono last_turn;
    uint8_t *received; /* datagrams of this turn, each behind its length and its ECN bits */
    size_t received_len, received_cap;
};

struct sim_muxes {
    struct sim_clock clock;
    struct gw_mono start;
    struct sim_muxes_params params;
    struct sim_side sides[2]; /* left, right */
    struct sim_dice dice;
    struct gw_random random;
    struct gw_list sources;
    uint64_t next_source;
};

void sim_muxes_begin(struct sim_muxes *muxes, const struct sim_muxes_params *params);
/* Every source is released. */
void sim_muxes_end(struct sim_muxes *muxes);
/* Both sides move to another path; what was on its way over the old one is lost. rtt_hint_ns: 0 = unknown. */
void sim_muxes_move(struct sim_muxes *muxes, struct sim_link_params path, int64_t rtt_hint_ns);
/* Until so many seconds after the start. */
void sim_muxes_run(struct sim_muxes *muxes, double until_s);
/* from: 0 = left, 1 = right. The source is the caller's, zeroed here; it lives until sim_muxes_end. */
void sim_source_start(struct sim_source *source, struct sim_muxes *muxes, int from, uint64_t limit,
                      enum gw_class class_);

#endif

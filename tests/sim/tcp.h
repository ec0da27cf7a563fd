/* SPDX-License-Identifier: MIT */
/* TCP for carriers, in virtual time. The code of gateway/link that makes and takes TLS connections runs as it is, with libevent and OpenSSL; each of its sockets is one end of
 * a local pair, and what is written to it is taken out at the other end and brought to the far one's pair when its time has come:
 *
 *   carriers.c -- socket pair -- [window] -> transmission at `rate` -> delay -> [stalled?] -> in pieces -- socket pair -- carriers.c
 *
 * This file is gateway/link/carrier_socket.h and loop.h to them, and the process's clock to libevent, whose timers so follow the simulation's. There is
 * one such network in a process. Local pairs hand over at once, so a run is repeated by its seed but for TLS's random bytes, on whose values nothing depends. */
#ifndef TESTS_SIM_TCP_H
#define TESTS_SIM_TCP_H

#include "gateway/link/loop.h"
#include "gateway/wire/addr.h"
#include "tests/sim/clock.h"

#define SIM_TCP_MAX 64u
#define SIM_TCP_USER_TIMEOUT_NS GW_S(30) /* as carrier_socket_linux.c asks of the kernel */

struct sim_tcp_params {
    int64_t delay_ns;
    uint64_t rate_bps; /* 0 = no limit */
    size_t window;     /* bytes under way in a direction; 0 = 128 KB */
    size_t piece;      /* handed over at a time, with a turn of the receiver's loop between; 0 = no limit */
    bool is_refused;   /* connections that are made from now on */
    /* Nothing arrives, and nobody hears of it: connections wait, and end only by the sender's own limit of time. */
    bool is_stalled;
};

struct sim_tcp_stats {
    unsigned open, made, most_open; /* most_open since sim_tcp_init */
    uint64_t bytes;                 /* handed over */
};

/* accept is given each connection's far end: fd is its own. The clock is borrowed. */
void sim_tcp_init(struct sim_clock *clock, const struct sim_tcp_params *params,
                  void (*accept)(int fd, const struct gw_addr *to));
void sim_tcp_fini(void);
struct gw_loop *sim_tcp_loop(void);
void sim_tcp_set(const struct sim_tcp_params *params);
/* All that are open end, each direction after so many more bytes. */
void sim_tcp_cut(size_t after);
/* All that are open are reset, what is under way is lost. is_half: who took them hears nothing of it. */
void sim_tcp_reset(bool is_half);
/* In those that are open nothing arrives any more, without a word: a router has forgotten them. Others can be made. */
void sim_tcp_forget(void);
const struct sim_tcp_stats *sim_tcp_stats(void);
/* After each event of the clock: what is due is handed over, libevent's callbacks run. true: something moved. */
bool sim_tcp_turn(void);

#endif

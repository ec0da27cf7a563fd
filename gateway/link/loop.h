/* SPDX-License-Identifier: MIT */
/* The daemon's loop over libevent: one turn in fixed order (receive, timers, sockets, handshakes, send), `now` read once a turn. Everything
 * with a file descriptor hangs on `base`; the gateways hang on it through link/udp.h. */
#ifndef GATEWAY_LINK_LOOP_H
#define GATEWAY_LINK_LOOP_H

#include "gateway/base/mono.h"

#include <event2/event.h>
#include <stdbool.h>

struct gw_loop;

/* NULL without memory. */
struct gw_loop *gw_loop_new(void);
void gw_loop_free(struct gw_loop *loop);
struct event_base *gw_loop_base(struct gw_loop *loop);
/* The turn's time: read from the clock at the first call in a turn. */
struct gw_mono gw_loop_now(struct gw_loop *loop);
/* Runs until gw_loop_stop. 0, or -errno. */
int gw_loop_run(struct gw_loop *loop);
void gw_loop_stop(struct gw_loop *loop);
/* fn is called, once for each time, when the machine has slept: CLOCK_BOOTTIME moved by more than a second that CLOCK_MONOTONIC knows nothing
 * of. It also finds the loop's timers right again. NULL for none. */
void gw_loop_on_wake(struct gw_loop *loop, void (*fn)(struct gw_mono now, int64_t slept_ns, void *ctx),
                     void *ctx);

/* For busy_ns after the last gw_loop_note_traffic the loop asks again and again instead of sleeping, so that nobody waits for it to be woken: it
 * keeps a core busy meanwhile. 0, as at the beginning: it always sleeps. */
void gw_loop_set_busy_poll(struct gw_loop *loop, int64_t busy_ns);
int64_t gw_loop_busy_poll(const struct gw_loop *loop);
/* Somebody's data came or went in this turn. */
void gw_loop_note_traffic(struct gw_loop *loop);

/* Called in every turn after the sockets' callbacks: work that was put off to be done once (sending, handshakes); returns its next deadline
 * (one that is due already makes the next turn poll instead of sleep). A hook may remove itself or free its owner from within. */
struct gw_loop_hook {
    struct gw_mono (*run)(struct gw_loop_hook *hook, struct gw_mono now);
    struct gw_loop_hook *next; /* the loop's */
};
void gw_loop_add_hook(struct gw_loop *loop, struct gw_loop_hook *hook);
void gw_loop_remove_hook(struct gw_loop *loop, struct gw_loop_hook *hook);

#endif

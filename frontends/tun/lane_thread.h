/* SPDX-License-Identifier: MIT */
/* One lane's thread, between lanes.c, which makes it, and lane_linux.c, which is it. */
#ifndef FRONTENDS_TUN_LANE_THREAD_H
#define FRONTENDS_TUN_LANE_THREAD_H

#include "frontends/tun/tun.h"
#include "gateway/lane/lane.h"
#include "gateway/link/udp.h"

#include <pthread.h>

/* A lane in one network. */
struct gw_tun_lane_end {
    struct gw_tun_lane *owner;
    struct gw_lane *lane;
    struct gw_udp udp;
    struct gw_slabs slabs;
    struct gw_train train; /* in the send slab, when is_waiting */
    unsigned done;
    bool is_waiting; /* for room in the socket */
    bool is_readable[GW_UDP_FAMILIES];
    bool wants_room[GW_UDP_FAMILIES]; /* asked of epoll */
};

struct gw_tun_lane {
    unsigned number;
    struct gw_tun tun;
    bool is_tun_readable;
    bool is_tun_watched; /* by epoll */
    bool is_tun_lost;
    int epoll_fd, stop_fd;
    unsigned end_count;
    struct gw_tun_lane_end *ends; /* one for each network */
    pthread_t thread;
    bool is_running;
    _Atomic bool is_stopping;
    /* The interface is gone: -errno, told to the loop by waking it. */
    _Atomic int lost;
    void (*wake)(void *ctx);
    void *ctx;
    uint8_t buffer[GW_TUN_BUFFER];
};

/* The thread's function; arg: the lane, with everything open. */
void *gw_tun_lane_run(void *arg);
/* Makes its epoll. 0, or -errno. */
int gw_tun_lane_watch(struct gw_tun_lane *self);

#endif

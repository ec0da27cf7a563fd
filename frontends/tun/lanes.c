/* SPDX-License-Identifier: MIT */
/* Making lanes and ending them; see lanes.h. */
#include "frontends/tun/lanes.h"

#include "frontends/tun/lane_thread.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/link/slice.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The kernel goes on putting packets into a queue while it is emptied. */
#define QUEUE_READS_MAX 256u

struct gw_tun_lanes {
    struct gw_loop_hook hook; /* while the rings hold more than a turn's worth */
    struct gw_loop *loop;
    struct gw_device *device;
    struct event *event;
    int event_fd; /* lanes wake the loop */
    bool is_more;
    bool has_lost; /* the interface is gone: said once, these lanes end soon */
    unsigned count, network_count;
    struct gw_tun_lanes_network networks[GW_DEVICE_NETWORKS];
    bool has_started[GW_DEVICE_NETWORKS]; /* gw_lanes_start */
    struct gw_tun_lane *lanes[GW_LANES_MAX];
};

/* ---- news */

static void wake(void *ctx)
{
    const struct gw_tun_lanes *lanes = ctx;
    const uint64_t one = 1;
    if (write(lanes->event_fd, &one, sizeof one) < 0) {
        /* Only when 2^64 - 1 wake-ups wait: the loop wakes anyway. */
    }
}

static void look_for_loss(struct gw_tun_lanes *lanes)
{
    int lost = 0;
    for (unsigned i = 0; i < lanes->count; i++) {
        int err = atomic_exchange(&lanes->lanes[i]->lost, 0);
        lost = err ? err : lost;
    }
    if (lost && !lanes->has_lost)
        gw_device_lost(lanes->device, lost);
    lanes->has_lost |= lost != 0;
}

static void drain(struct gw_tun_lanes *lanes, struct gw_mono now)
{
    lanes->is_more = false;
    for (unsigned i = 0; i < lanes->network_count; i++)
        lanes->is_more |= gw_lanes_drain(lanes->networks[i].gateway, now);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct gw_tun_lanes *lanes = arg;
    uint64_t count;
    (void)what;
    if (read(fd, &count, sizeof count) < 0) {
        /* Somebody was faster: nothing is lost by looking. */
    }
    drain(lanes, gw_loop_now(lanes->loop));
    look_for_loss(lanes);
}

static struct gw_mono run_hook(struct gw_loop_hook *hook, struct gw_mono now)
{
    struct gw_tun_lanes *lanes = gw_container_of(hook, struct gw_tun_lanes, hook);
    if (!lanes->is_more)
        return GW_NEVER;
    drain(lanes, now);
    return now; /* whatever came of it: the links' hooks may have been before us */
}

static void on_burst(uint8_t *packet, size_t len, const struct gw_super_hint *hint, struct gw_mono now,
                     void *ctx)
{
    struct gw_tun_lanes *lanes = ctx;
    gw_device_from_lane(lanes->device, packet, len, hint, now);
}

static void emit(const struct gw_merged *merged, void *ctx)
{
    struct gw_tun_lane_end *end = ctx;
    bool is_written = gw_tun_write(&end->owner->tun, merged) == 0;
    gw_lane_count(is_written ? &end->lane->stats.writes : &end->lane->stats.interface_errors, 1);
}

/* ---- opening */

static int open_end(struct gw_tun_lanes *lanes, struct gw_tun_lane *lane, unsigned network)
{
    struct gw_tun_lane_end *end = &lane->ends[network];
    struct gw_udp *first = gw_link_udp(lanes->networks[network].link);
    end->owner = lane;
    end->lane = gw_lanes_get(lanes->networks[network].gateway, lane->number);
    gw_lane_set_emit(end->lane, emit, lane->tun.offload & GW_TUN_TCP, lane->tun.offload & GW_TUN_UDP,
                     lane->tun.offload & GW_TUN_CHECKSUM, end);
    if (lane->number > 0) {
        int err = gw_udp_join(&end->udp, first);
        if (err != 0)
            return err;
    } else { /* the link's own */
        end->udp = *first;
        end->udp.is_quiet = true;
    }
    return gw_slabs_init(&end->slabs);
}

static struct gw_tun_lane *new_lane(struct gw_tun_lanes *lanes, unsigned number)
{
    struct gw_tun_lane *lane = calloc(1, sizeof *lane);
    if (!lane)
        return NULL;
    lane->number = number;
    lane->tun.fd = lane->epoll_fd = lane->stop_fd = -1;
    lane->wake = wake;
    lane->ctx = lanes;
    lane->end_count = lanes->network_count;
    lane->ends = calloc(lane->end_count, sizeof *lane->ends);
    for (unsigned i = 0; lane->ends && i < lane->end_count; i++)
        lane->ends[i].udp = (struct gw_udp){.sockets = {{.fd = -1}, {.fd = -1}}};
    if (lane->ends)
        return lane;
    free(lane);
    return NULL;
}

static int open_lane(struct gw_tun_lanes *lanes, struct gw_tun_lane *lane)
{
    int err = 0;
    if (lane->number > 0)
        err = gw_tun_open_queue(&lane->tun, gw_device_tun(lanes->device));
    else
        lane->tun = *gw_device_tun(lanes->device); /* the device's own */
    for (unsigned i = 0; i < lane->end_count && err == 0; i++)
        err = open_end(lanes, lane, i);
    if (err != 0)
        return err;
    lane->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return lane->stop_fd < 0 ? -errno : gw_tun_lane_watch(lane);
}

static int open_lanes(struct gw_tun_lanes *lanes)
{
    for (unsigned i = 0; i < lanes->count; i++) {
        lanes->lanes[i] = new_lane(lanes, i);
        int err = lanes->lanes[i] ? open_lane(lanes, lanes->lanes[i]) : GW_E_NOMEM;
        if (err != 0)
            return err;
    }
    return 0;
}

static int start_engines(struct gw_tun_lanes *lanes, unsigned mtu)
{
    for (unsigned i = 0; i < lanes->network_count; i++) {
        const struct gw_tun_lanes_network *network = &lanes->networks[i];
        const struct gw_lanes_params params = {.count = lanes->count,
                                               .mtu = mtu,
                                               .sources = network->sources,
                                               .source_count = network->source_count,
                                               .flows = network->flows,
                                               .wake = wake,
                                               .on_burst = on_burst,
                                               .ctx = lanes};
        int err = gw_lanes_start(network->gateway, &params, gw_loop_now(lanes->loop));
        if (err != 0)
            return err;
        lanes->has_started[i] = true;
    }
    return 0;
}

static int watch_events(struct gw_tun_lanes *lanes)
{
    lanes->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (lanes->event_fd < 0)
        return -errno;
    lanes->event =
        event_new(gw_loop_base(lanes->loop), lanes->event_fd, EV_READ | EV_PERSIST, on_event, lanes);
    if (!lanes->event || event_add(lanes->event, NULL) < 0)
        return GW_E_NOMEM;
    lanes->hook.run = run_hook;
    gw_loop_add_hook(lanes->loop, &lanes->hook);
    return 0;
}

/* From here on the loop keeps its hands off. Signals are the loop's. */
static int start_threads(struct gw_tun_lanes *lanes)
{
    sigset_t all, before;
    int err = 0;
    gw_slice_shorten(); /* theirs is as this one's */
    gw_device_set_reading(lanes->device, false);
    for (unsigned i = 0; i < lanes->network_count; i++)
        gw_link_set_receiving(lanes->networks[i].link, false);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < lanes->count && err == 0; i++) {
        char name[16];
        err = -pthread_create(&lanes->lanes[i]->thread, NULL, gw_tun_lane_run, lanes->lanes[i]);
        lanes->lanes[i]->is_running = err == 0;
        snprintf(name, sizeof name, "lane %u", i);
        if (err == 0)
            pthread_setname_np(lanes->lanes[i]->thread, name);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

static unsigned possible_count(const struct gw_tun_lanes_params *params)
{
    unsigned most = gw_device_tun(params->device)->has_queues ? GW_LANES_MAX : 1;
    return params->count < most ? params->count : most;
}

int gw_tun_lanes_new(struct gw_tun_lanes **out, const struct gw_tun_lanes_params *params)
{
    struct gw_tun_lanes *lanes = calloc(1, sizeof *lanes);
    *out = NULL;
    if (!lanes)
        return GW_E_NOMEM;
    lanes->loop = params->loop;
    lanes->device = params->device;
    lanes->event_fd = -1;
    lanes->count = possible_count(params);
    lanes->network_count =
        params->network_count < GW_DEVICE_NETWORKS ? params->network_count : GW_DEVICE_NETWORKS;
    memcpy(lanes->networks, params->networks, lanes->network_count * sizeof *lanes->networks);
    int err = watch_events(lanes);
    if (err == 0)
        err = start_engines(lanes, params->mtu);
    if (err == 0)
        err = open_lanes(lanes);
    if (err == 0)
        err = start_threads(lanes);
    if (err != 0) {
        gw_tun_lanes_free(lanes);
        return err;
    }
    if (lanes->count < params->count)
        gw_log_info("tun: %s was opened with one queue: lanes: 1 of %u", gw_device_tun(params->device)->name,
                    params->count);
    *out = lanes;
    return 0;
}

/* ---- ending */

/* What the kernel has put into the queue that is about to be closed. */
static void empty_queue(struct gw_tun_lanes *lanes, struct gw_tun_lane *lane)
{
    for (unsigned i = 0; i < QUEUE_READS_MAX; i++) {
        struct gw_super_hint hint;
        uint8_t *packet;
        ssize_t len = gw_tun_read(&lane->tun, lane->buffer, &packet, &hint);
        if (len < 0)
            return;
        if (len > 0)
            gw_device_from_lane(lanes->device, packet, (size_t)len, &hint, gw_loop_now(lanes->loop));
    }
}

static void stop_threads(struct gw_tun_lanes *lanes)
{
    const uint64_t one = 1;
    for (unsigned i = 0; i < lanes->count; i++) {
        struct gw_tun_lane *lane = lanes->lanes[i];
        if (!lane || !lane->is_running)
            continue;
        atomic_store(&lane->is_stopping, true);
        if (write(lane->stop_fd, &one, sizeof one) < 0) {
            /* Not full: it was never written to. */
        }
    }
    for (unsigned i = 0; i < lanes->count; i++) {
        if (lanes->lanes[i] && lanes->lanes[i]->is_running)
            pthread_join(lanes->lanes[i]->thread, NULL);
    }
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void free_lane(struct gw_tun_lane *lane)
{
    if (!lane)
        return;
    for (unsigned i = 0; i < lane->end_count; i++) {
        if (lane->number > 0)
            gw_udp_close(&lane->ends[i].udp);
        if (lane->ends[i].slabs.receive)
            gw_slabs_fini(&lane->ends[i].slabs);
    }
    if (lane->number > 0)
        gw_tun_close(&lane->tun);
    close_fd(lane->epoll_fd);
    close_fd(lane->stop_fd);
    free(lane->ends);
    free(lane);
}

void gw_tun_lanes_free(struct gw_tun_lanes *lanes)
{
    if (!lanes)
        return;
    stop_threads(lanes);
    for (unsigned i = 0; i < lanes->network_count; i++) {
        if (lanes->has_started[i])
            gw_lanes_stop(lanes->networks[i].gateway, gw_loop_now(lanes->loop));
    }
    for (unsigned i = 1; i < lanes->count; i++) {
        if (lanes->lanes[i] && lanes->lanes[i]->tun.fd >= 0)
            empty_queue(lanes, lanes->lanes[i]);
    }
    for (unsigned i = 0; i < lanes->count; i++)
        free_lane(lanes->lanes[i]);
    gw_device_set_reading(lanes->device, true);
    for (unsigned i = 0; i < lanes->network_count; i++)
        gw_link_set_receiving(lanes->networks[i].link, true);
    if (lanes->hook.run)
        gw_loop_remove_hook(lanes->loop, &lanes->hook);
    if (lanes->event)
        event_free(lanes->event);
    close_fd(lanes->event_fd);
    free(lanes);
}

/* ---- to read */

unsigned gw_tun_lanes_count(const struct gw_tun_lanes *lanes)
{
    return lanes ? lanes->count : 0;
}

bool gw_tun_lanes_have(const struct gw_tun_lanes *lanes, const struct gateway *gateway)
{
    for (unsigned i = 0; lanes && i < lanes->network_count; i++) {
        if (lanes->networks[i].gateway == gateway)
            return true;
    }
    return false;
}

void gw_tun_lanes_stats(const struct gw_tun_lanes *lanes, unsigned number, struct gw_lane_stats *out)
{
    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < lanes->network_count; i++) {
        const struct gw_lane_stats *one = &lanes->lanes[number]->ends[i].lane->stats;
#define X(name) gw_lane_count(&out->name, gw_lane_counted(&one->name));
        GW_LANE_COUNTERS(X)
#undef X
    }
}

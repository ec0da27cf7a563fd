/* SPDX-License-Identifier: MIT */
/* A lane's loop: epoll, and turns of the same shape as the engine's (gateway/link/link.c): receive two trains, read what the interface has, send for a moment,
 * tell. Nothing here blocks but epoll_wait, and nothing logs. */
#include "frontends/tun/lane_thread.h"

#include "frontends/tun/icmp_error.h"
#include "gateway/base/err.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define RECEIVE_BYTES 98304u
#define RECEIVE_TRAINS 64u
#define READS_MAX 256u
#define READ_BYTES (512u * 1024u)
#define SEND_BYTES 98304u
#define SEND_NS GW_US(50)
#define EVENTS_MAX 16
#define FAREWELL_NS GW_MS(20)

static struct gw_mono clock_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (struct gw_mono){GW_S(ts.tv_sec) + ts.tv_nsec};
}

/* ---- what epoll watches: a number says which descriptor, with the end's number above it */

enum { TAG_STOP, TAG_TUN, TAG_V4, TAG_V6, TAG_BITS = 2 };

static int watch(const struct gw_tun_lane *self, int fd, uint64_t tag, uint32_t events, int operation)
{
    struct epoll_event event = {.events = events, .data.u64 = tag};
    return epoll_ctl(self->epoll_fd, operation, fd, &event) < 0 ? -errno : 0;
}

static uint64_t tag_of(const struct gw_tun_lane *self, const struct gw_tun_lane_end *end,
                       enum gw_udp_family family)
{
    return (uint64_t)(end - self->ends) << TAG_BITS | (family == GW_UDP_V4 ? TAG_V4 : TAG_V6);
}

int gw_tun_lane_watch(struct gw_tun_lane *self)
{
    self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int err = self->epoll_fd < 0 ? -errno : watch(self, self->stop_fd, TAG_STOP, EPOLLIN, EPOLL_CTL_ADD);
    if (err == 0)
        err = watch(self, self->tun.fd, TAG_TUN, EPOLLIN, EPOLL_CTL_ADD);
    self->is_tun_watched = err == 0;
    for (unsigned i = 0; i < self->end_count; i++) {
        struct gw_tun_lane_end *end = &self->ends[i];
        for (enum gw_udp_family family = GW_UDP_V4; family < GW_UDP_FAMILIES && err == 0; family++) {
            if (end->udp.sockets[family].fd >= 0)
                err = watch(self, end->udp.sockets[family].fd, tag_of(self, end, family), EPOLLIN,
                            EPOLL_CTL_ADD);
        }
    }
    return err;
}

static void want_room(struct gw_tun_lane *self, struct gw_tun_lane_end *end, enum gw_udp_family family,
                      bool wanted)
{
    if (end->wants_room[family] == wanted)
        return;
    end->wants_room[family] = wanted;
    watch(self, end->udp.sockets[family].fd, tag_of(self, end, family),
          EPOLLIN | (wanted ? (uint32_t)EPOLLOUT : 0), EPOLL_CTL_MOD);
}

/* While it is known to have packets that may not be read yet, it would wake us for nothing. */
static void watch_tun(struct gw_tun_lane *self)
{
    bool wanted = !self->is_tun_readable;
    if (self->is_tun_watched == wanted || self->is_tun_lost)
        return;
    self->is_tun_watched = wanted;
    watch(self, self->tun.fd, TAG_TUN, wanted ? (uint32_t)EPOLLIN : 0, EPOLL_CTL_MOD);
}

static void on_event(struct gw_tun_lane *self, const struct epoll_event *event)
{
    uint64_t tag = event->data.u64;
    struct gw_tun_lane_end *end = &self->ends[tag >> TAG_BITS];
    switch (tag & ((1 << TAG_BITS) - 1)) {
    case TAG_TUN:
        self->is_tun_readable = true;
        break;
    case TAG_V4:
        end->is_readable[GW_UDP_V4] = true;
        break;
    case TAG_V6:
        end->is_readable[GW_UDP_V6] = true;
        break;
    default: /* is_stopping says it */
        break;
    }
}

/* ---- from the network */

static void receive(struct gw_tun_lane_end *end, enum gw_udp_family family, struct gw_mono now)
{
    struct gw_train trains[GW_UDP_MESSAGES];
    unsigned bytes = 0, count = 0;
    bool is_drained = false;
    gw_slabs_touch(&end->slabs, now);
    while (!is_drained && bytes < RECEIVE_BYTES && count < RECEIVE_TRAINS) {
        unsigned made = gw_udp_receive(&end->udp, family, &end->slabs, GW_SLABS_RECEIVE, trains, &is_drained);
        for (unsigned i = 0; i < made; i++) {
            bytes += (unsigned)gw_train_len(&trains[i]);
            gw_lane_input(end->lane, &trains[i]);
        }
        count += made > 0 ? made : 8;
    }
    end->is_readable[family] = !is_drained;
}

/* ---- from the interface */

/* true: enough for this turn. */
static bool from_tun(struct gw_tun_lane *self, uint8_t *packet, size_t len, const struct gw_super_hint *hint)
{
    const struct gw_lane_entry *entry = NULL;
    struct gw_tun_lane_end *end = self->ends;
    struct gw_ip ip;
    if (gw_ip_parse(&ip, packet, len) != 0) {
        gw_lane_count(&end->lane->stats.dropped_malformed, 1);
        return false;
    }
    while (end < self->ends + self->end_count &&
           !gw_lane_route(end->lane, packet, &ip, gw_super_longest(&ip, hint), &entry))
        end++;
    if (!entry) /* nobody's, or not for a lane */
        return gw_lane_hand_over(self->ends[0].lane, packet, ip.total_len, hint);
    return gw_lane_send(end->lane, entry, packet, ip.total_len, hint);
}

static bool is_gone(ssize_t err)
{
    return err == -EBADFD || err == -EBADF || err == -ENODEV || err == -ENXIO;
}

static void lose(struct gw_tun_lane *self, int err)
{
    epoll_ctl(self->epoll_fd, EPOLL_CTL_DEL, self->tun.fd, NULL);
    self->is_tun_readable = false;
    self->is_tun_lost = true;
    atomic_store(&self->lost, err);
    self->wake(self->ctx);
}

static void read_tun(struct gw_tun_lane *self)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < READS_MAX && bytes < READ_BYTES; i++) {
        struct gw_super_hint hint;
        uint8_t *packet;
        ssize_t len = gw_tun_read(&self->tun, self->buffer, &packet, &hint);
        if (len < 0) {
            self->is_tun_readable = false;
            if (len != -EAGAIN)
                gw_lane_count(&self->ends[0].lane->stats.interface_errors, 1);
            if (is_gone(len))
                lose(self, (int)len);
            return;
        }
        bytes += (size_t)len;
        gw_lane_count(&self->ends[0].lane->stats.packets_in, 1);
        gw_lane_count(&self->ends[0].lane->stats.bytes_in, (uint64_t)len);
        if (len == 0)
            gw_lane_count(&self->ends[0].lane->stats.dropped_malformed, 1);
        else if (from_tun(self, packet, (size_t)len, &hint))
            return;
    }
}

/* No more is read than leaves. */
static bool is_backlogged(const struct gw_tun_lane *self)
{
    for (unsigned i = 0; i < self->end_count; i++) {
        if (gw_lane_is_backlogged(self->ends[i].lane))
            return true;
    }
    return false;
}

/* ---- to the network */

/* false: the socket is full. */
static bool send_train(struct gw_tun_lane *self, struct gw_tun_lane_end *end, struct gw_mono now)
{
    enum gw_udp_family family = end->train.tuple.remote.family == 6 ? GW_UDP_V6 : GW_UDP_V4;
    int err = gw_udp_send(&end->udp, &end->train, &end->done, now);
    end->is_waiting = err == GW_E_AGAIN;
    if (end->is_waiting)
        gw_lane_count(&end->lane->stats.link_full, 1);
    else if (err != 0)
        gw_lane_send_failed(end->lane, &end->train, err);
    want_room(self, end, family, end->is_waiting);
    return !end->is_waiting;
}

/* true: there is more, and time is up. */
static bool send_trains(struct gw_tun_lane *self, struct gw_tun_lane_end *end, struct gw_mono now)
{
    struct gw_mono until = GW_NEVER;
    size_t bytes = 0;
    if (end->is_waiting && !send_train(self, end, now))
        return false;
    for (;;) {
        end->train = (struct gw_train){.slab = end->slabs.send};
        end->done = 0;
        if (!gw_lane_output(end->lane, &end->train))
            return false;
        gw_slabs_touch(&end->slabs, now);
        bytes += gw_train_len(&end->train);
        if (!send_train(self, end, now))
            return false;
        if (bytes >= SEND_BYTES)
            return true;
        struct gw_mono at = clock_now();
        if (gw_mono_is_never(until))
            until = gw_mono_add(at, SEND_NS);
        else if (gw_mono_due(until, at))
            return true;
    }
}

/* ---- turns */

/* Returns when the next one has to be at the latest; now: at once. */
static struct gw_mono turn_end(struct gw_tun_lane *self, struct gw_tun_lane_end *end, struct gw_mono now)
{
    bool is_more = send_trains(self, end, now);
    struct gw_mono at = gw_lane_end(end->lane);
    if (is_more || end->is_readable[GW_UDP_V4] || end->is_readable[GW_UDP_V6])
        return now;
    if (!end->is_waiting)
        gw_slabs_expire(&end->slabs, now);
    return gw_mono_min(at, gw_slabs_deadline(&end->slabs));
}

static struct gw_mono turn(struct gw_tun_lane *self, struct gw_mono now)
{
    struct gw_mono at = GW_NEVER;
    for (unsigned i = 0; i < self->end_count; i++)
        gw_lane_begin(self->ends[i].lane, now);
    for (unsigned i = 0; i < self->end_count; i++) {
        for (enum gw_udp_family family = GW_UDP_V4; family < GW_UDP_FAMILIES; family++) {
            if (self->ends[i].is_readable[family])
                receive(&self->ends[i], family, now);
        }
    }
    if (self->is_tun_readable && !is_backlogged(self))
        read_tun(self);
    for (unsigned i = 0; i < self->end_count; i++)
        at = gw_mono_min(at, turn_end(self, &self->ends[i], now));
    if (!self->is_tun_readable)
        return at;
    /* Until the socket has room; what leaves for one peer does not wait for ever for another's. */
    return is_backlogged(self) ? gw_mono_min(at, gw_mono_add(now, GW_PACKET_STUCK_NS)) : now;
}

static int timeout_ms(struct gw_mono at, struct gw_mono now)
{
    if (gw_mono_is_never(at))
        return -1;
    if (gw_mono_due(at, now))
        return 0;
    int64_t ms = (gw_mono_sub(at, now) + GW_MS(1) - 1) / GW_MS(1);
    return ms > 60000 ? 60000 : (int)ms;
}

/* What still waits for room keeps the engine from freeing: look again soon (gw_lane_rest). */
static int rest(struct gw_tun_lane *self, int timeout)
{
    for (unsigned i = 0; i < self->end_count; i++) {
        gw_lane_rest(self->ends[i].lane);
        if (self->ends[i].is_waiting && (timeout < 0 || timeout > GW_LANE_TELL_NS / GW_MS(1)))
            timeout = (int)(GW_LANE_TELL_NS / GW_MS(1));
    }
    return timeout;
}

/* What it has read is the peers', unless the socket stays full. */
static void finish(struct gw_tun_lane *self)
{
    struct gw_mono now = clock_now(), until = gw_mono_add(now, FAREWELL_NS);
    for (unsigned i = 0; i < self->end_count; i++) {
        struct gw_tun_lane_end *end = &self->ends[i];
        gw_lane_begin(end->lane, now);
        while ((send_trains(self, end, now) || end->is_waiting) && !gw_mono_due(until, now)) {
            if (end->is_waiting)
                usleep(100);
            now = clock_now();
        }
        gw_lane_stop(end->lane);
    }
}

void *gw_tun_lane_run(void *arg)
{
    struct gw_tun_lane *self = arg;
    struct epoll_event events[EVENTS_MAX];
    while (!atomic_load_explicit(&self->is_stopping, memory_order_relaxed)) {
        struct gw_mono now = clock_now();
        int timeout = timeout_ms(turn(self, now), now);
        if (timeout != 0) {
            timeout = rest(self, timeout);
            watch_tun(self);
        }
        int count = epoll_wait(self->epoll_fd, events, EVENTS_MAX, timeout);
        for (int i = 0; i < count; i++)
            on_event(self, &events[i]);
    }
    finish(self);
    return NULL;
}

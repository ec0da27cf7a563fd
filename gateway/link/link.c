/* SPDX-License-Identifier: MIT */
/* The turn. A train that the socket has no room for stays in the send slab, and nothing more is pulled until it is gone: so nothing is ever
 * sealed before it can be sent. */
#include "gateway/link/link.h"

#include "gateway/link/further.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/session/keypair.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long a turn may be: it ends at either limit; a train without coalescing is one datagram. Whatever else waits, waits for a turn at both
 * ends (docs/ARCHITECTURE.md, "Decisions that practice changed"). */
struct turn {
    unsigned slabs; /* of a receiving call */
    unsigned receive_bytes;
    int64_t send_ns; /* 0: one train, however short */
};
static const struct turn long_turn = {GW_SLABS_RECEIVE, 4 * GW_TRAIN_BYTES, GW_US(100)};
static const struct turn short_turn = {2, 3 * GW_TRAIN_BYTES / 2, 0};
#define RECEIVE_TRAINS 64u
/* What is left to be said at the end takes so long at most; goodbyes, of which there may be thousands, so long beside that. */
#define FAREWELL_NS GW_MS(20)
#define GOODBYES_NS GW_MS(200)
/* Nothing can be said again to a peer that is gone: a lost datagram or two should not be all. */
#define DISMISSALS 3u
/* Handshakes get a tenth of the turn: a ninth of what the rest took, and at least time for one. */
#define HANDSHAKE_SHARE 9
#define HANDSHAKE_NS_MAX GW_MS(2)

struct gw_link {
    struct gw_loop_hook hook;
    struct gw_loop *loop;
    struct gateway *gateway;
    struct gw_udp udp;
    struct gw_furthers furthers;
    struct gw_slabs slabs;
    struct event *readable[GW_UDP_FAMILIES];
    struct event *writable[GW_UDP_FAMILIES];
    struct gw_train train; /* in the send slab, when is_waiting */
    unsigned done;         /* datagrams of it that are sent */
    bool is_waiting;
    struct gw_carriers *carriers;
};

static int64_t clock_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return GW_S(ts.tv_sec) + ts.tv_nsec;
}

/* Keepalives alone keep nobody awake. */
static void note_traffic(struct gw_link *link, const struct gw_train *train)
{
    if (gw_train_len(train) > gw_suite_overhead(GW_SUITE_CHACHA20_POLY1305))
        gw_loop_note_traffic(link->loop);
}

static const struct turn *turn_of(const struct gw_link *link, struct gw_mono now)
{
    return gw_gateway_is_shared(link->gateway, now) ? &short_turn : &long_turn;
}

/* --- receiving --- */

/* is_closed: of a further socket, which the engine may close meanwhile. */
static void receive(struct gw_link *link, struct gw_udp *udp, enum gw_udp_family family,
                    const bool *is_closed)
{
    struct gw_train trains[GW_UDP_MESSAGES];
    struct gw_mono now = gw_loop_now(link->loop);
    const struct turn *turn = turn_of(link, now);
    unsigned bytes = 0, count = 0;
    bool is_drained = false;

    gw_slabs_touch(&link->slabs, now);
    while (!is_drained && bytes < turn->receive_bytes && count < RECEIVE_TRAINS &&
           !(is_closed && *is_closed)) {
        unsigned made = gw_udp_receive(udp, family, &link->slabs, turn->slabs, trains, &is_drained);
        for (unsigned i = 0; i < made; i++) {
            bytes += (unsigned)gw_train_len(&trains[i]);
            note_traffic(link, &trains[i]);
            gw_gateway_input(link->gateway, now, &trains[i]);
        }
        /* A call that gives nothing still counts: an error that comes again and again must not hold the loop. */
        count += made > 0 ? made : 8;
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct gw_link *link = arg;
    (void)what;
    receive(link, &link->udp, fd == link->udp.sockets[GW_UDP_V6].fd ? GW_UDP_V6 : GW_UDP_V4, NULL);
}

static void on_further_readable(evutil_socket_t fd, short what, void *arg)
{
    struct gw_further *further = arg;
    const struct gw_link *link = further->owner;
    (void)what;
    if (link->gateway)
        receive(further->owner, &further->udp,
                fd == further->udp.sockets[GW_UDP_V6].fd ? GW_UDP_V6 : GW_UDP_V4, &further->is_closed);
}

void gw_link_input(struct gw_link *link, struct gw_train *train)
{
    note_traffic(link, train);
    gw_gateway_input(link->gateway, gw_loop_now(link->loop), train);
}

/* --- sending --- */

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    /* The hook, which runs in every turn, sends. */
    (void)fd, (void)what, (void)arg;
}

/* false: the socket is full, the train waits. */
static bool send_train(struct gw_link *link, struct gw_mono now)
{
    if (gw_tuple_is_carrier(&link->train.tuple)) {
        gw_carriers_send(link->carriers, &link->train);
        link->is_waiting = false;
        return true;
    }
    uint32_t number = link->train.tuple.link;
    struct gw_further *further = gw_further_of(&link->furthers, number);
    struct gw_udp *udp = number == GW_LINK_PRIMARY ? &link->udp : further ? &further->udp : NULL;
    int err = udp ? gw_udp_send(udp, &link->train, &link->done, now) : -ENOTCONN;
    link->is_waiting = err == GW_E_AGAIN;
    if (link->is_waiting) {
        unsigned family = link->train.tuple.remote.family == 6 ? GW_UDP_V6 : GW_UDP_V4;
        event_add(further ? further->writable[family] : link->writable[family], NULL);
        return false;
    }
    if (err != 0)
        gw_gateway_send_failed(link->gateway, now, &link->train, err);
    return true;
}

/* true: there is more, and it is somebody else's turn. */
static bool send_trains(struct gw_link *link, struct gw_mono now)
{
    const struct turn *turn = turn_of(link, now);
    int64_t until = 0;
    if (link->is_waiting && !send_train(link, now))
        return false;
    for (;;) {
        link->train = (struct gw_train){.slab = link->slabs.send};
        link->done = 0;
        if (!gw_gateway_output(link->gateway, now, &link->train))
            return false;
        gw_slabs_touch(&link->slabs, now);
        note_traffic(link, &link->train);
        if (!send_train(link, now))
            return false;
        if (turn->send_ns == 0)
            return true;
        int64_t at = clock_now_ns();
        if (until == 0)
            until = at + turn->send_ns;
        else if (at >= until)
            return true;
    }
}

void gw_link_dismiss(struct gw_link *link, struct gw_peer *peer, struct gw_mono now)
{
    for (unsigned i = 0; i < DISMISSALS && link->gateway; i++) {
        if (link->is_waiting && !send_train(link, now))
            return;
        gw_slabs_touch(&link->slabs, now);
        link->train = (struct gw_train){.slab = link->slabs.send};
        link->done = 0;
        if (!gw_gateway_dismiss(link->gateway, now, peer, &link->train) || !send_train(link, now))
            return;
    }
}

unsigned gw_link_forward(struct gw_link *link, const struct gw_train *train, struct gw_mono now)
{
    unsigned done = 0;
    if (link->is_waiting || train->tuple.link != link->udp.link)
        return 0;
    int err = gw_udp_send(&link->udp, train, &done, now);
    if (err == 0 || err == GW_E_AGAIN)
        return done;
    gw_gateway_send_failed(link->gateway, now, train, err);
    return train->count;
}

/* --- the rest of the turn --- */

/* true: there are more. The turn so far is what happened since `now`, its beginning. */
static bool handshakes(struct gw_link *link, struct gw_mono now)
{
    if (!gw_gateway_handshake(link->gateway, now))
        return false;
    int64_t started = clock_now_ns();
    int64_t share = (started - now.ns) / HANDSHAKE_SHARE;
    int64_t until = started + (share < HANDSHAKE_NS_MAX ? share : HANDSHAKE_NS_MAX);
    while (clock_now_ns() < until) {
        if (!gw_gateway_handshake(link->gateway, now))
            return false;
    }
    return true;
}

static struct gw_mono turn(struct gw_loop_hook *hook, struct gw_mono now)
{
    struct gw_link *link = gw_container_of(hook, struct gw_link, hook);
    gw_furthers_reap(&link->furthers);
    if (!link->gateway)
        return GW_NEVER;
    if (gw_mono_due(gw_gateway_next_deadline(link->gateway), now))
        gw_gateway_expire(link->gateway, now);
    bool is_more = handshakes(link, now);
    is_more = send_trains(link, now) || is_more;
    if (is_more)
        return now;
    if (!link->is_waiting)
        gw_slabs_expire(&link->slabs, now);
    return gw_mono_min(gw_gateway_next_deadline(link->gateway), gw_slabs_deadline(&link->slabs));
}

/* --- life --- */

int gw_link_new(struct gw_link **out, struct gw_loop *loop, const struct gw_udp_params *params, char *why,
                size_t why_len)
{
    struct gw_link *link = calloc(1, sizeof *link);
    *out = NULL;
    if (!link || gw_slabs_init(&link->slabs) != 0) {
        free(link);
        strncpy(why, "out of memory", why_len);
        return GW_E_NOMEM;
    }
    int err = gw_udp_open(&link->udp, params, why, why_len);
    if (err != 0) {
        gw_slabs_fini(&link->slabs);
        free(link);
        return err;
    }
    gw_furthers_init(&link->furthers, params->listen);
    link->loop = loop;
    link->hook.run = turn;
    *out = link;
    return 0;
}

static void free_events(struct gw_link *link)
{
    for (enum gw_udp_family family = GW_UDP_V4; family < GW_UDP_FAMILIES; family++) {
        if (link->readable[family])
            event_free(link->readable[family]);
        if (link->writable[family])
            event_free(link->writable[family]);
        link->readable[family] = link->writable[family] = NULL;
    }
}

int gw_link_attach(struct gw_link *link, struct gateway *gateway)
{
    struct event_base *base = gw_loop_base(link->loop);
    for (enum gw_udp_family family = GW_UDP_V4; family < GW_UDP_FAMILIES; family++) {
        int fd = link->udp.sockets[family].fd;
        if (fd < 0)
            continue;
        link->readable[family] = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, link);
        link->writable[family] = event_new(base, fd, EV_WRITE, on_writable, link);
        if (!link->readable[family] || !link->writable[family] ||
            event_add(link->readable[family], NULL) < 0) {
            free_events(link);
            return GW_E_NOMEM;
        }
    }
    link->gateway = gateway;
    gw_loop_add_hook(link->loop, &link->hook);
    return 0;
}

/* The socket had no room: false when it has none in time. */
static bool wait_for_room(struct gw_link *link, int64_t until)
{
    struct gw_mono now = gw_loop_now(link->loop);
    while (link->is_waiting && !send_train(link, now)) {
        int64_t left = (until - clock_now_ns()) / GW_MS(1);
        struct pollfd sockets[GW_UDP_FAMILIES];
        for (enum gw_udp_family family = GW_UDP_V4; family < GW_UDP_FAMILIES; family++)
            sockets[family] = (struct pollfd){.fd = link->udp.sockets[family].fd, .events = POLLOUT};
        if (left <= 0 || (poll(sockets, GW_UDP_FAMILIES, (int)left) < 0 && errno != EINTR))
            return false;
    }
    return true;
}

static void say_goodbye(struct gw_link *link)
{
    int64_t until = clock_now_ns() + GOODBYES_NS;
    struct gw_mono now = gw_loop_now(link->loop);
    struct gw_farewell farewell = {0};
    while (wait_for_room(link, until) && clock_now_ns() < until) {
        gw_slabs_touch(&link->slabs, now);
        link->train = (struct gw_train){.slab = link->slabs.send};
        link->done = 0;
        if (!gw_gateway_farewell(link->gateway, now, &farewell, &link->train))
            return;
        send_train(link, now);
    }
}

void gw_link_detach(struct gw_link *link)
{
    if (!link->gateway)
        return;
    int64_t until = clock_now_ns() + FAREWELL_NS;
    while (send_trains(link, gw_loop_now(link->loop)) && clock_now_ns() < until)
        ;
    say_goodbye(link);
    gw_loop_remove_hook(link->loop, &link->hook);
    free_events(link);
    for (uint32_t number = 1; number < GW_FURTHER_MAX; number++)
        gw_further_close(&link->furthers, number);
    link->gateway = NULL;
    link->is_waiting = false;
}

void gw_link_free(struct gw_link *link)
{
    if (!link)
        return;
    if (link->gateway) {
        gw_loop_remove_hook(link->loop, &link->hook);
        free_events(link);
    }
    gw_furthers_fini(&link->furthers);
    gw_udp_close(&link->udp);
    gw_slabs_fini(&link->slabs);
    free(link);
}

int gw_link_open(struct gw_link *link, uint32_t number, bool with_v6)
{
    const struct gw_further_params params = {
        .number = number,
        .skip = {!gw_link_has(link, GW_UDP_V4), !with_v6 || !gw_link_has(link, GW_UDP_V6)},
        .base = gw_loop_base(link->loop),
        .owner = link,
        .on_readable = on_further_readable,
        .on_writable = on_writable};
    if (params.skip[GW_UDP_V4] && params.skip[GW_UDP_V6])
        return -EAFNOSUPPORT;
    return gw_further_open(&link->furthers, &params);
}

void gw_link_close(struct gw_link *link, uint32_t number)
{
    gw_further_close(&link->furthers, number);
}

void gw_link_set_carriers(struct gw_link *link, struct gw_carriers *carriers)
{
    link->carriers = carriers;
}

void gw_link_set_receiving(struct gw_link *link, bool is_receiving)
{
    for (enum gw_udp_family family = GW_UDP_V4; family < GW_UDP_FAMILIES; family++) {
        if (!link->readable[family])
            continue;
        if (is_receiving)
            event_add(link->readable[family], NULL);
        else
            event_del(link->readable[family]);
    }
}

struct gw_udp *gw_link_udp(struct gw_link *link)
{
    return &link->udp;
}

uint16_t gw_link_port(const struct gw_link *link)
{
    return link->udp.port;
}

const struct gw_udp_stats *gw_link_stats(const struct gw_link *link)
{
    return &link->udp.stats;
}

bool gw_link_has(const struct gw_link *link, enum gw_udp_family family)
{
    return link->udp.sockets[family].fd >= 0;
}

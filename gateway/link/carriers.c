/* SPDX-License-Identifier: MIT */
/* The connections: whose they are, how long they live, what goes in and out. A tuple's link holds a slot and its generation, so that what is meant for a connection that is gone
 * reaches no other. */
#include "gateway/link/carriers.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/link/carrier_proxy.h"
#include "gateway/link/carrier_queue.h"
#include "gateway/link/carrier_socket.h"
#include "gateway/link/carrier_tls.h"
#include "gateway/peer/config.h"
#include "gateway/wire/carrier_frame.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOT_BITS 10u
#define GENERATION_MASK 0xfffffu
static_assert(GW_CARRIERS_MAX == 1u << SLOT_BITS, "a slot fits its bits");

#define SWEEP_MS 500
#define RECHECK_NS GW_S(30)
#define LOOK_EVERY_NS GW_MS(100)
#define GRACE_NS GW_S(1) /* enough for a handshake with us, of TLS and then of the session, in most places */
#define READ_MAX 131072u /* of one connection, decrypted and not looked at */
#define UNSENT_MIN \
    4096u /* what is in libevent's and the kernel's hands: 50 ms of what the network takes, each */
#define UNSENT_START 16384u
#define UNSENT_MAX 131072u
#define RATE_EVERY_NS GW_MS(100)
#define WRITE_ONCE 65536u

static const char not_found[] = "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n"
                                "Connection: close\r\n\r\nNot found\n";

struct carrier {
    struct gw_carriers *carriers; /* NULL: the slot is free */
    uint32_t generation;
    struct gw_tuple tuple;
    struct bufferevent *bev;               /* NULL: as long as there is `through` */
    struct gw_carrier_proxy_call *through; /* the proxy has not answered yet */
    char name[GW_CARRIER_NAME_MAX + 1];    /* for TLS, then */
    struct gw_carrier_queue queue;
    void *user;
    bool is_ours;    /* we made it */
    bool is_up;      /* the handshake is over */
    bool is_used;    /* a peer has proven to be there */
    bool is_closing; /* as soon as what was written is gone */
    struct gw_mono born, heard, checked, rated;
    size_t unsent; /* most that may wait behind our queue */
    uint64_t bytes_in;
};

struct gw_carriers {
    struct gw_carriers_params params;
    struct gw_carrier_tls *tls;
    struct carrier slots[GW_CARRIERS_MAX];
    unsigned top; /* slots in use are below */
    struct event *sweep;
    struct gw_carriers_stats stats;
    uint8_t *slab;
};

static struct carrier *carrier_of(struct gw_carriers *carriers, const struct gw_tuple *tuple)
{
    struct carrier *carrier = &carriers->slots[tuple->link & (GW_CARRIERS_MAX - 1)];
    bool is_it = gw_tuple_is_carrier(tuple) && carrier->carriers && carrier->tuple.link == tuple->link;
    return is_it ? carrier : NULL;
}

/* ---- life of one */

static void arm_sweep(struct gw_carriers *carriers)
{
    const struct timeval in = {.tv_usec = SWEEP_MS * 1000};
    if (!evtimer_pending(carriers->sweep, NULL))
        evtimer_add(carriers->sweep, &in);
}

static struct carrier *free_slot(struct gw_carriers *carriers)
{
    unsigned i = 0;
    while (i < GW_CARRIERS_MAX && carriers->slots[i].carriers)
        i++;
    if (i == GW_CARRIERS_MAX)
        return NULL;
    if (!carriers->slab)
        carriers->slab = malloc(GW_TRAIN_SLAB);
    if (!carriers->slab)
        return NULL;
    if (i >= carriers->top)
        carriers->top = i + 1;
    return &carriers->slots[i];
}

static void end(struct carrier *carrier)
{
    struct gw_carriers *carriers = carrier->carriers;
    carriers->stats.dropped += carrier->queue.dropped;
    carriers->stats.open--;
    carriers->stats.strangers -= !carrier->is_ours && !carrier->is_used;
    gw_carrier_queue_fini(&carrier->queue);
    gw_carrier_proxy_call_free(carrier->through);
    if (carrier->bev)
        bufferevent_free(carrier->bev);
    carrier->carriers = NULL;
    while (carriers->top > 0 && !carriers->slots[carriers->top - 1].carriers)
        carriers->top--;
    if (carriers->stats.open > 0)
        return;
    free(carriers->slab);
    carriers->slab = NULL;
    evtimer_del(carriers->sweep);
}

/* By our own will: what was said last is to arrive. */
static void hang_up(struct carrier *carrier)
{
    if (carrier->is_up && carrier->bev)
        gw_carrier_tls_flush(carrier->bev);
    end(carrier);
}

/* It ended without our doing: whoever relies on it hears of it. */
static void lose(struct carrier *carrier)
{
    struct gw_carriers *carriers = carrier->carriers;
    struct gw_tuple tuple = carrier->tuple;
    void *user = carrier->user;
    carriers->stats.failed += carrier->is_ours && !carrier->is_up;
    end(carrier);
    carriers->params.on_down(&tuple, user, carriers->params.ctx);
}

/* ---- out */

static size_t waiting(const struct carrier *carrier)
{
    return evbuffer_get_length(bufferevent_get_output(carrier->bev));
}

/* 50 ms of what the network took lately. */
static void rate(struct carrier *carrier, struct gw_mono now)
{
    if (gw_mono_sub(now, carrier->rated) < RATE_EVERY_NS)
        return;
    int fd = bufferevent_getfd(carrier->bev);
    uint64_t bytes = gw_carrier_socket_rate(fd) / (uint64_t)(GW_S(1) / GW_CARRIER_QUEUE_NS);
    size_t unsent = bytes == 0 ? UNSENT_START : bytes < UNSENT_MIN ? UNSENT_MIN : (size_t)bytes;
    carrier->rated = now;
    unsent = unsent < UNSENT_MAX ? unsent : UNSENT_MAX;
    if (unsent == carrier->unsent)
        return;
    carrier->unsent = unsent;
    bufferevent_setwatermark(carrier->bev, EV_WRITE, unsent / 2, 0);
    gw_carrier_socket_limit_unsent(fd, unsent);
}

static void pump(struct carrier *carrier, struct gw_mono now)
{
    const uint8_t *bytes;
    size_t len;
    rate(carrier, now);
    for (size_t held; (held = waiting(carrier)) < carrier->unsent;) {
        bytes = gw_carrier_queue_take(&carrier->queue, now, carrier->unsent - held, &len);
        if (len == 0 || evbuffer_add(bufferevent_get_output(carrier->bev), bytes, len) != 0)
            return;
    }
}

void gw_carriers_send(struct gw_carriers *carriers, const struct gw_train *train)
{
    struct carrier *carrier = carriers ? carrier_of(carriers, &train->tuple) : NULL;
    if (!carrier || !carrier->is_up || carrier->is_closing) {
        if (carriers)
            carriers->stats.dropped += train->count;
        return;
    }
    struct gw_mono now = gw_loop_now(carriers->params.loop);
    gw_carrier_queue_push(&carrier->queue, now, train);
    carriers->stats.datagrams_sent += train->count;
    pump(carrier, now);
}

static void on_writable(struct bufferevent *bev, void *arg)
{
    struct carrier *carrier = arg;
    (void)bev;
    if (carrier->is_closing && waiting(carrier) == 0)
        lose(carrier);
    else if (carrier->is_up && !carrier->is_closing)
        pump(carrier, gw_loop_now(carrier->carriers->params.loop));
}

/* ---- in */

static void check_used(struct carrier *carrier, struct gw_mono now)
{
    struct gw_carriers *carriers = carrier->carriers;
    bool is_used = carriers->params.is_used(&carrier->tuple, carriers->params.ctx);
    carrier->checked = now;
    if (is_used != carrier->is_used && !carrier->is_ours)
        carriers->stats.strangers += is_used ? -1u : 1u;
    carrier->is_used = is_used;
}

static void flush(struct carrier *carrier, struct gw_train *train)
{
    struct gw_carriers *carriers = carrier->carriers;
    if (train->count == 0)
        return;
    carriers->stats.datagrams_received += train->count;
    carriers->params.on_train(train, carriers->params.ctx);
    train->count = 0;
}

/* The next datagram goes behind those before it, as long as all but the last are equally long. */
static void add(struct carrier *carrier, struct gw_train *train, struct evbuffer *in, size_t len)
{
    bool has_room = train->count > 0 && train->count < GW_TRAIN_DATAGRAMS && len <= train->stride &&
                    train->last_len == train->stride && gw_train_len(train) + len <= GW_TRAIN_BYTES;
    if (!has_room)
        flush(carrier, train);
    evbuffer_drain(in, GW_CARRIER_HEADER_LEN);
    if (train->count == 0) {
        *train = (struct gw_train){
            .tuple = carrier->tuple, .slab = carrier->carriers->slab, .stride = (uint16_t)len};
    }
    evbuffer_remove(in, train->slab + (size_t)train->count * train->stride, len);
    train->count++;
    train->last_len = (uint16_t)len;
}

/* What came first looks like a browser's, or a prober's: it gets what a web server without such a page says. */
static void answer_http(struct carrier *carrier)
{
    carrier->carriers->stats.http++;
    carrier->is_closing = true;
    bufferevent_disable(carrier->bev, EV_READ);
    bufferevent_setwatermark(carrier->bev, EV_WRITE, 0, 0);
    evbuffer_add(bufferevent_get_output(carrier->bev), not_found, sizeof not_found - 1);
}

static enum gw_carrier_frame take_frames(struct carrier *carrier, struct evbuffer *in)
{
    struct gw_train train = {0};
    uint8_t gate[GW_CARRIER_GATE_LEN];
    enum gw_carrier_frame frame;
    for (size_t len;;) {
        size_t have = evbuffer_get_length(in);
        if (have >= sizeof gate)
            evbuffer_copyout(in, gate, sizeof gate);
        frame = gw_carrier_frame_look(gate, have, &len);
        if (frame != GW_CARRIER_FRAME_WHOLE)
            break;
        add(carrier, &train, in, len);
    }
    flush(carrier, &train);
    return frame;
}

static void on_readable(struct bufferevent *bev, void *arg)
{
    struct carrier *carrier = arg;
    struct gw_carriers *carriers = carrier->carriers;
    struct evbuffer *in = bufferevent_get_input(bev);
    struct gw_mono now = gw_loop_now(carriers->params.loop);
    size_t had = evbuffer_get_length(in);
    carrier->heard = now;
    enum gw_carrier_frame frame = take_frames(carrier, in);
    carrier->bytes_in += had - evbuffer_get_length(in);
    bool is_first = carrier->bytes_in == 0; /* no frame came before, in whatever pieces */
    if (frame == GW_CARRIER_FRAME_HTTP && is_first && !carrier->is_ours) {
        answer_http(carrier);
        return;
    }
    if (!carrier->is_used && carrier->bytes_in > GW_CARRIER_STRANGER_BYTES)
        check_used(carrier, now);
    bool is_wrong = frame == GW_CARRIER_FRAME_HTTP || frame == GW_CARRIER_FRAME_WRONG;
    bool is_greedy = !carrier->is_used && carrier->bytes_in > GW_CARRIER_STRANGER_BYTES;
    carriers->stats.wrong += is_wrong;
    carriers->stats.late += !is_wrong && is_greedy;
    if (is_wrong || is_greedy)
        lose(carrier);
}

/* ---- events, time */

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct carrier *carrier = arg;
    struct gw_carriers *carriers = carrier->carriers;
    char at[GW_ADDR_STRLEN];
    (void)bev;
    if (!(what & BEV_EVENT_CONNECTED)) {
        gw_log_debug("tls: the connection with %s is over", gw_addr_log(&carrier->tuple.remote, at));
        lose(carrier);
        return;
    }
    carrier->is_up = true;
    carrier->heard = gw_loop_now(carriers->params.loop);
    if (!carrier->is_ours)
        return;
    carriers->stats.made++;
    carriers->params.on_up(&carrier->tuple, carrier->user, carriers->params.ctx);
}

/* Has its time come? */
static bool is_over(struct carrier *carrier, struct gw_mono now)
{
    bool is_young = gw_mono_sub(now, carrier->born) < GW_CARRIERS_PROOF_NS;
    if (is_young)
        return false;
    if (gw_mono_sub(now, carrier->heard) >= GW_CARRIER_IDLE_NS)
        return true;
    if (!carrier->is_used || gw_mono_sub(now, carrier->checked) >= RECHECK_NS)
        check_used(carrier, now);
    carrier->carriers->stats.late += !carrier->is_used;
    return !carrier->is_used;
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct gw_carriers *carriers = arg;
    struct gw_mono now = gw_loop_now(carriers->params.loop);
    (void)fd, (void)what;
    for (unsigned i = 0; i < carriers->top; i++) {
        struct carrier *carrier = &carriers->slots[i];
        if (carrier->carriers && is_over(carrier, now))
            lose(carrier);
    }
    if (carriers->stats.open > 0)
        arm_sweep(carriers);
}

/* ---- making and taking */

/* The bufferevent is the carrier's. */
static void set_bufferevent(struct carrier *carrier, struct bufferevent *bev)
{
    carrier->bev = bev;
    bufferevent_setcb(bev, on_readable, on_writable, on_event, carrier);
    bufferevent_setwatermark(bev, EV_READ, 0, READ_MAX);
    bufferevent_set_max_single_read(bev, WRITE_ONCE);
    bufferevent_set_max_single_write(bev, WRITE_ONCE);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void begin(struct gw_carriers *carriers, struct carrier *carrier, const struct gw_addr *remote)
{
    uint32_t generation = (carrier->generation + 1) & GENERATION_MASK;
    struct gw_mono now = gw_loop_now(carriers->params.loop);
    *carrier = (struct carrier){.carriers = carriers,
                                .generation = generation,
                                .born = now,
                                .heard = now,
                                .checked = now,
                                .rated = gw_mono_add(now, -RATE_EVERY_NS)};
    carrier->tuple = (struct gw_tuple){.remote = *remote,
                                       .link = GW_LINK_CARRIER | generation << SLOT_BITS |
                                               (uint32_t)(carrier - carriers->slots)};
    gw_carrier_queue_init(&carrier->queue);
    carriers->stats.open++;
    arm_sweep(carriers);
}

/* Strangers, and those of them that came from one place. */
struct strangers {
    struct carrier *oldest, *oldest_there;
    unsigned there;
};

static struct strangers count_strangers(struct gw_carriers *carriers, const struct gw_addr *from,
                                        struct gw_mono now)
{
    struct strangers found = {0};
    uint8_t place[8], other[8];
    gw_addr_prefix(from, place);
    for (unsigned i = 0; i < carriers->top; i++) {
        struct carrier *carrier = &carriers->slots[i];
        bool may_be_used =
            carrier->carriers && !carrier->is_ours && !carrier->is_used && carrier->bytes_in > 0;
        if (may_be_used && gw_mono_sub(now, carrier->checked) >= LOOK_EVERY_NS)
            check_used(carrier, now);
        if (!carrier->carriers || carrier->is_ours || carrier->is_used)
            continue;
        gw_addr_prefix(&carrier->tuple.remote, other);
        bool is_there = memcmp(place, other, sizeof place) == 0;
        found.there += is_there;
        if (!found.oldest || gw_mono_before(carrier->born, found.oldest->born))
            found.oldest = carrier;
        if (is_there && (!found.oldest_there || gw_mono_before(carrier->born, found.oldest_there->born)))
            found.oldest_there = carrier;
    }
    return found;
}

/* Too many strangers: the oldest makes room, of one place if they are too many there. One that had no time to prove anything stays, and the new one is turned away. */
static bool make_room(struct gw_carriers *carriers, const struct gw_addr *from, struct gw_mono now)
{
    struct strangers found = count_strangers(carriers, from, now);
    struct carrier *out = found.there >= GW_CARRIERS_STRANGERS_OF_ONE          ? found.oldest_there
                          : carriers->stats.strangers >= GW_CARRIERS_STRANGERS ? found.oldest
                                                                               : NULL;
    if (!out)
        return true;
    if (gw_mono_sub(now, out->born) < GRACE_NS)
        return false;
    carriers->stats.late++;
    lose(out);
    return true;
}

void gw_carriers_take(struct gw_carriers *carriers, int fd)
{
    struct gw_mono now = gw_loop_now(carriers->params.loop);
    struct gw_addr from;
    bool is_known = gw_carrier_socket_peer(fd, &from) == 0;
    struct carrier *carrier = is_known && make_room(carriers, &from, now) ? free_slot(carriers) : NULL;
    struct bufferevent *bev =
        carrier ? gw_carrier_tls_server(carriers->tls, gw_loop_base(carriers->params.loop), fd) : NULL;
    if (!bev) {
        carriers->stats.refused++;
        close(fd);
        return;
    }
    gw_carrier_socket_prepare(fd);
    begin(carriers, carrier, &from);
    set_bufferevent(carrier, bev);
    carriers->stats.taken++;
    carriers->stats.strangers++;
}

static bool begin_tls(struct carrier *carrier, int fd)
{
    struct gw_carriers *carriers = carrier->carriers;
    struct bufferevent *bev =
        gw_carrier_tls_client(carriers->tls, gw_loop_base(carriers->params.loop), fd, carrier->name);
    if (bev)
        set_bufferevent(carrier, bev);
    return bev != NULL;
}

static void on_through(int fd, void *ctx)
{
    struct carrier *carrier = ctx;
    carrier->through = NULL;
    if (begin_tls(carrier, fd))
        return;
    close(fd);
    lose(carrier);
}

static void on_not_through(void *ctx)
{
    struct carrier *carrier = ctx;
    carrier->through = NULL;
    lose(carrier);
}

static bool begin_call(struct carrier *carrier, const struct gw_carriers_call *call, int fd)
{
    struct gw_carriers *carriers = carrier->carriers;
    if (!call->proxy)
        return begin_tls(carrier, fd);
    carrier->through = gw_carrier_proxy_call_new(gw_loop_base(carriers->params.loop), fd, &call->to,
                                                 call->proxy, on_through, on_not_through, carrier);
    return carrier->through != NULL;
}

int gw_carriers_connect(struct gw_carriers *carriers, const struct gw_carriers_call *call,
                        struct gw_tuple *tuple)
{
    struct carrier *carrier = free_slot(carriers);
    if (!carrier)
        return GW_E_LIMIT;
    int fd = gw_carrier_socket_connect(call->proxy ? &call->proxy->at : &call->to);
    if (fd < 0)
        return fd;
    begin(carriers, carrier, &call->to);
    carrier->is_ours = true;
    carrier->user = call->user;
    snprintf(carrier->name, sizeof carrier->name, "%s", call->name);
    *tuple = carrier->tuple;
    if (begin_call(carrier, call, fd))
        return 0;
    close(fd);
    end(carrier);
    return GW_E_NOMEM;
}

void gw_carriers_close(struct gw_carriers *carriers, const struct gw_tuple *tuple)
{
    struct carrier *carrier = carriers ? carrier_of(carriers, tuple) : NULL;
    if (carrier)
        hang_up(carrier);
}

struct gw_mono gw_carriers_heard(struct gw_carriers *carriers, const struct gw_tuple *tuple)
{
    struct carrier *carrier = carriers ? carrier_of(carriers, tuple) : NULL;
    return carrier ? carrier->heard : GW_NEVER;
}

/* ---- all of them */

int gw_carriers_new(struct gw_carriers **out, const struct gw_carriers_params *params)
{
    struct gw_carriers *carriers = calloc(1, sizeof *carriers);
    *out = NULL;
    if (!carriers)
        return GW_E_NOMEM;
    carriers->params = *params;
    carriers->sweep = evtimer_new(gw_loop_base(params->loop), on_sweep, carriers);
    int err = carriers->sweep ? gw_carrier_tls_new(&carriers->tls) : GW_E_NOMEM;
    if (err != 0) {
        gw_carriers_free(carriers);
        return err;
    }
    *out = carriers;
    return 0;
}

int gw_carriers_set_certificate(struct gw_carriers *carriers,
                                const struct gw_carriers_certificate *certificate,
                                enum gw_certificate_fault *fault)
{
    return gw_carrier_tls_set_certificate(carriers ? carriers->tls : NULL, certificate, fault);
}

void gw_carriers_free(struct gw_carriers *carriers)
{
    if (!carriers)
        return;
    for (unsigned i = 0; i < GW_CARRIERS_MAX; i++) {
        if (carriers->slots[i].carriers)
            hang_up(&carriers->slots[i]);
    }
    free(carriers->slab); /* made for a connection that never began */
    if (carriers->sweep)
        event_free(carriers->sweep);
    gw_carrier_tls_free(carriers->tls);
    free(carriers);
}

void gw_carriers_stats(const struct gw_carriers *carriers, struct gw_carriers_stats *out)
{
    *out = carriers->stats;
    for (unsigned i = 0; i < carriers->top; i++)
        out->dropped += carriers->slots[i].carriers ? carriers->slots[i].queue.dropped : 0;
}

/* SPDX-License-Identifier: MIT */
#include "tests/sim/muxes.h"

#include "gateway/wire/cursor.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PULL_MAX 4096u /* packets in one turn */

static uint8_t pattern(uint64_t offset)
{
    return (uint8_t)((offset * 0x9e3779b97f4a7c15u) >> 56);
}

/* ---- Streams. */

static void write_some(struct sim_source *source, struct gw_mono now)
{
    while (source->stream && source->written < source->limit) {
        uint64_t wish = source->limit - source->written;
        size_t len;
        uint8_t *room = gw_stream_reserve(source->stream, wish < 65536 ? (size_t)wish : 65536, &len);
        if (!room)
            return;
        if (len > wish)
            len = (size_t)wish;
        for (size_t i = 0; i < len; i++)
            room[i] = pattern(source->written + i);
        source->written += len;
        gw_stream_commit(source->stream, now, len);
    }
}

static void on_writable(struct gw_stream *stream, struct gw_mono now, void *user)
{
    (void)stream;
    write_some(user, now);
}

static void on_source_closed(struct gw_stream *stream, struct gw_mono now, unsigned long long reason,
                             void *user)
{
    struct sim_source *source = user;
    (void)stream;
    (void)now;
    assert(reason == GW_REASON_SHUTTING_DOWN);
    source->stream = NULL;
}

static size_t on_data(struct gw_stream *stream, struct gw_mono now, const struct iovec *iov, int count,
                      void *user)
{
    struct sim_source *source = user;
    size_t taken = 0;
    (void)stream;
    for (int i = 0; i < count; i++) {
        const uint8_t *bytes = iov[i].iov_base;
        for (size_t k = 0; k < iov[i].iov_len; k++)
            if (bytes[k] != pattern(source->received + taken + k))
                abort();
        taken += iov[i].iov_len;
    }
    source->received += taken;
    if (source->received == source->limit)
        source->ended = now;
    return taken;
}

static void on_sink_closed(struct gw_stream *stream, struct gw_mono now, unsigned long long reason,
                           void *user)
{
    struct sim_source *source = user;
    (void)stream;
    (void)now;
    (void)reason;
    source->sink = NULL;
}

static void on_fin(struct gw_stream *stream, struct gw_mono now, void *user)
{
    (void)stream;
    (void)now;
    (void)user;
}

static const struct gw_stream_ops source_ops = {
    .on_data = on_data, .on_fin = on_fin, .on_writable = on_writable, .on_closed = on_source_closed};
static const struct gw_stream_ops sink_ops = {
    .on_data = on_data, .on_fin = on_fin, .on_closed = on_sink_closed};

/* The service's name is the source's number. */
static void on_open(struct gw_mux *mux, struct gw_stream *stream, const struct gw_open *open,
                    struct gw_mono now, void *ctx)
{
    struct sim_side *side = ctx;
    uint64_t number = strtoull(open->service + 1, NULL, 10);
    (void)mux;
    gw_list_for_each (node, &side->muxes->sources) {
        struct sim_source *source = gw_list_entry(node, struct sim_source, node);
        if (number-- > 0)
            continue;
        source->sink = stream;
        gw_stream_accept(stream, now, &sink_ops, source);
        return;
    }
    abort();
}

void sim_source_start(struct sim_source *source, struct sim_muxes *muxes, int from, uint64_t limit,
                      enum gw_class class_)
{
    struct gw_open open = {.class_ = (uint8_t)class_};
    *source = (struct sim_source){
        .muxes = muxes, .from = from, .limit = limit, .class_ = class_, .ended = GW_NEVER};
    open.service[0] = 's';
    uint64_t number = muxes->next_source++;
    for (uint64_t i = 0, ten = 100; ten > 0; ten /= 10)
        open.service[++i] = (char)('0' + number / ten % 10);
    gw_list_push_back(&muxes->sources, &source->node);
    int err =
        gw_stream_open(muxes->sides[from].mux, muxes->clock.now, &open, &source_ops, source, &source->stream);
    assert(err == 0);
    (void)err;
    write_some(source, muxes->clock.now);
}

/* ---- A side's loop. */

static void wake(struct sim_side *side, struct gw_mono at)
{
    at = gw_mono_max(at, gw_mono_add(side->last_turn, side->muxes->params.turn_ns));
    if (!gw_mono_is_never(at) && (!side->turn.slot || gw_mono_before(at, side->turn.at)))
        sim_clock_at(&side->muxes->clock, &side->turn, at);
}

static void on_output(struct gw_mux *mux, void *ctx)
{
    struct sim_side *side = ctx;
    (void)mux;
    wake(side, side->muxes->clock.now);
}

static void on_datagram(struct sim_port *port, struct gw_mono now, const void *data, size_t len, uint8_t ecn)
{
    struct sim_side *side = gw_container_of(port, struct sim_side, port);
    uint16_t head[2] = {(uint16_t)len, ecn};
    size_t need = side->received_len + sizeof head + len;
    if (need > side->received_cap) {
        side->received_cap = 2 * need;
        side->received = realloc(side->received, side->received_cap);
        if (!side->received)
            abort();
    }
    memcpy(side->received + side->received_len, head, sizeof head);
    memcpy(side->received + side->received_len + sizeof head, data, len);
    side->received_len = need;
    wake(side, now);
}

static void input(struct sim_side *side, struct gw_mono now)
{
    for (size_t at = 0; at < side->received_len;) {
        uint16_t head[2];
        memcpy(head, side->received + at, sizeof head);
        at += sizeof head;
        struct gw_reader r = gw_reader_of(side->received + at, head[0]);
        struct gw_frame frame;
        gw_mux_packet_begin(side->mux, now, head[0] + SIM_MUXES_OVERHEAD, (uint8_t)head[1]);
        while (gw_frame_next(&r, &frame))
            if (gw_mux_frame(side->mux, &frame) != 0)
                abort();
        gw_mux_packet_end(side->mux);
        at += head[0];
    }
    if (side->received_len > 0)
        gw_mux_input_flush(side->mux, now);
    side->received_len = 0;
}

static void on_turn(struct sim_clock *clock, struct sim_event *event)
{
    struct sim_side *side = gw_container_of(event, struct sim_side, turn);
    struct sim_side *other = &side->muxes->sides[side == &side->muxes->sides[0]];
    uint8_t packet[SIM_MUXES_PLAIN];
    size_t len;
    side->last_turn = clock->now;
    input(side, clock->now);
    gw_deadlines_expire(&side->deadlines, clock->now);
    for (unsigned i = 0;
         i < PULL_MAX && (len = gw_mux_output(side->mux, clock->now, packet, sizeof packet)) > 0; i++)
        sim_link_send(side->out, &other->port, packet, len, side->muxes->params.ecn);
    if (gw_mux_has_output(side->mux, clock->now))
        wake(side, clock->now);
    wake(side, gw_deadlines_next(&side->deadlines));
}

/* ---- Both. */

static void fill_random(struct gw_random *random, void *out, size_t len)
{
    struct sim_muxes *muxes = gw_container_of(random, struct sim_muxes, random);
    for (uint8_t *p = out; len-- > 0; p++)
        *p = (uint8_t)(sim_dice_u64(&muxes->dice) >> 56);
}

static void side_begin(struct sim_side *side, struct sim_muxes *muxes, struct sim_link_params link,
                       int number)
{
    const struct sim_muxes_params *params = &muxes->params;
    struct gw_mux_events events = {.on_open = on_open, .on_output = on_output, .ctx = side};
    *side = (struct sim_side){.muxes = muxes, .port.deliver = on_datagram, .turn.fire = on_turn};
    side->budget.limit = params->budget ? params->budget : 64u << 20;
    gw_deadlines_init(&side->deadlines);
    link.overhead = SIM_MUXES_OVERHEAD;
    side->out = sim_link_new(&muxes->clock, &link, params->seed * 2 + (uint64_t)number);
    struct gw_mux_params own = {.deadlines = &side->deadlines,
                                .random = &muxes->random,
                                .budget = &side->budget,
                                .events = &events,
                                .cc = params->cc,
                                .is_lower = number == 0};
    if (gw_mux_new(&side->mux, &own, muxes->clock.now) != 0)
        abort();
    gw_mux_set_path(side->mux, muxes->clock.now, SIM_MUXES_PLAIN, SIM_MUXES_OVERHEAD, 0, true);
}

void sim_muxes_begin(struct sim_muxes *muxes, const struct sim_muxes_params *params)
{
    *muxes = (struct sim_muxes){.params = *params, .dice = {params->seed}, .random.fill = fill_random};
    sim_clock_init(&muxes->clock);
    muxes->start = muxes->clock.now;
    gw_list_init(&muxes->sources);
    side_begin(&muxes->sides[0], muxes, params->to_right, 0);
    side_begin(&muxes->sides[1], muxes, params->to_left, 1);
}

void sim_muxes_end(struct sim_muxes *muxes)
{
    for (int i = 0; i < 2; i++) {
        struct sim_side *side = &muxes->sides[i];
        gw_mux_free(side->mux, muxes->clock.now, GW_REASON_SHUTTING_DOWN);
        assert(side->budget.used == 0);
        sim_clock_cancel(&muxes->clock, &side->turn);
        sim_link_free(side->out);
        gw_deadlines_fini(&side->deadlines);
        free(side->received);
    }
    sim_clock_fini(&muxes->clock);
}

void sim_muxes_move(struct sim_muxes *muxes, struct sim_link_params path, int64_t rtt_hint_ns)
{
    path.overhead = SIM_MUXES_OVERHEAD;
    for (int i = 0; i < 2; i++) {
        struct sim_side *side = &muxes->sides[i];
        sim_link_free(side->out);
        side->out = sim_link_new(&muxes->clock, &path, muxes->params.seed * 2 + 100 + (uint64_t)i);
        gw_mux_set_path(side->mux, muxes->clock.now, SIM_MUXES_PLAIN, SIM_MUXES_OVERHEAD, rtt_hint_ns, true);
    }
}

void sim_muxes_run(struct sim_muxes *muxes, double until_s)
{
    sim_clock_run(&muxes->clock, gw_mono_add(muxes->start, (int64_t)(until_s * 1e9)));
}

/* SPDX-License-Identifier: MIT */
/* A live pair of muxes with open streams, driven by a script: the input's bytes are operations of the users,
 * losses on the way between the two, and packets of arbitrary frames injected into either. Whatever comes, nothing
 * crashes, memory stays within the budget, and all of it is back when the muxes are gone. */
#include "gateway/flow/mux.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS 16
#define PLAIN 600u
#define LIMIT (256u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t touched;
static struct gw_deadlines deadlines;
static struct gw_mono now;
static struct gw_mux *muxes[2];
static struct gw_flow_budget budgets[2];
static struct gw_reader input;

/* A user of a stream; which ops it makes within callbacks is the input's choice. */
struct user {
    struct gw_stream *stream;
    bool has_fin, is_finished, is_offered;
};
static struct user users[2][STREAMS];

static struct user *free_user(int side)
{
    for (int i = 0; i < STREAMS; i++)
        if (users[side][i].stream == NULL)
            return &users[side][i];
    return NULL;
}

static void write_some(struct user *user, size_t wish)
{
    size_t len;
    uint8_t *room = gw_stream_reserve(user->stream, wish + 1, &len);
    if (room == NULL)
        return;
    memset(room, 0x55, len);
    gw_stream_commit(user->stream, now, len);
}

static void end_user(struct user *user)
{
    struct gw_stream *stream = user->stream;
    *user = (struct user){0};
    gw_stream_release(stream, now);
}

static size_t on_data(struct gw_stream *stream, struct gw_mono at, const struct iovec *iov, int count,
                      void *ctx)
{
    size_t sum = 0;
    struct user *user = ctx;
    (void)at;
    assert(user->stream == stream && count > 0 && count <= 64);
    for (int i = 0; i < count; i++) {
        assert(iov[i].iov_len > 0);
        touched = ((const uint8_t *)iov[i].iov_base)[iov[i].iov_len - 1];
        sum += iov[i].iov_len;
    }
    switch (gw_read_u8(&input) & 15) {
    case 1:
        return sum / 2;
    case 2:
        return 0;
    case 3:
        gw_stream_resume(stream, now);
        return sum / 2;
    case 4:
        write_some(user, 100);
        return sum;
    case 5:
        *user = (struct user){0};
        gw_stream_reset(stream, now, GW_REASON_SERVICE_DOWN);
        return 0;
    default:
        return sum;
    }
}

static void on_fin(struct gw_stream *stream, struct gw_mono at, void *ctx)
{
    struct user *user = ctx;
    (void)stream;
    (void)at;
    user->has_fin = true;
    if (user->is_finished)
        end_user(user);
}

static void on_writable(struct gw_stream *stream, struct gw_mono at, void *ctx)
{
    (void)stream;
    (void)at;
    write_some(ctx, 3000);
}

static void on_datagram(struct gw_stream *stream, struct gw_mono at, const void *data, size_t len, void *ctx)
{
    (void)ctx;
    (void)gw_stream_send_datagram(stream, at, data, len);
}

static void on_closed(struct gw_stream *stream, struct gw_mono at, unsigned long long reason, void *ctx)
{
    struct user *user = ctx;
    (void)at;
    (void)gw_reason_sentence(reason);
    assert(user->stream == stream);
    *user = (struct user){0};
}

static const struct gw_stream_ops ops = {
    .on_data = on_data,
    .on_fin = on_fin,
    .on_writable = on_writable,
    .on_datagram = on_datagram,
    .on_closed = on_closed,
};

static void on_open(struct gw_mux *mux, struct gw_stream *stream, const struct gw_open *open,
                    struct gw_mono at, void *ctx)
{
    struct user *user = free_user(mux == muxes[0] ? 0 : 1);
    uint8_t choice = gw_read_u8(&input);
    (void)open;
    (void)ctx;
    if (user == NULL || choice % 8 == 1) {
        gw_stream_reset(stream, at, GW_REASON_NOT_LISTED);
        return;
    }
    user->stream = stream;
    if (choice % 8 == 2) {
        user->is_offered = true;
        if (choice & 16)
            gw_stream_attach(stream, &ops, user);
    } else {
        gw_stream_accept(stream, at, &ops, user);
    }
}

/* A packet into one of them, from a copy of exactly its size. */
static void feed(int side, const uint8_t *bytes, size_t len, uint8_t ecn)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    struct gw_frame frame;
    if (copy == NULL)
        abort();
    if (len > 0)
        memcpy(copy, bytes, len);
    struct gw_reader r = gw_reader_of(copy, len);
    gw_mux_packet_begin(muxes[side], now, len + 60, ecn);
    while (gw_frame_next(&r, &frame))
        if (gw_mux_frame(muxes[side], &frame) != 0)
            break;
    gw_mux_packet_end(muxes[side]);
    gw_mux_input_flush(muxes[side], now);
    free(copy);
}

/* Lets both send up to `count` packets; `fate` decides which of them arrive. */
static void pump(unsigned count, uint8_t fate)
{
    uint8_t buf[PLAIN];
    for (unsigned i = 0; i < count; i++) {
        for (int side = 0; side < 2; side++) {
            size_t len = gw_mux_output(muxes[side], now, buf, sizeof buf);
            assert(len <= sizeof buf);
            if (len > 0 && !(fate >> (i % 8) & 1))
                feed(1 - side, buf, len, i % 16 == 15 ? 3 : 0);
        }
        now = gw_mono_add(now, GW_US(50));
    }
}

static void act(struct user *user, uint8_t op)
{
    if (user->stream == NULL)
        return;
    if (user->is_offered) {
        user->is_offered = false;
        gw_stream_accept(user->stream, now, &ops, user);
        return;
    }
    switch (op % 7) {
    case 0:
        write_some(user, (size_t)gw_read_u8(&input) * 64);
        break;
    case 1:
        gw_stream_finish(user->stream, now);
        user->is_finished = true;
        if (user->has_fin)
            end_user(user);
        break;
    case 2:
        gw_stream_resume(user->stream, now);
        break;
    case 3: {
        struct gw_stream *stream = user->stream;
        *user = (struct user){0};
        gw_stream_reset(stream, now, GW_REASON_CANCELLED);
        break;
    }
    case 4:
        (void)gw_stream_send_datagram(user->stream, now, "datagram", 8);
        break;
    case 5:
        end_user(user);
        break;
    default:
        gw_stream_set_class(user->stream, (enum gw_class)(gw_read_u8(&input) % GW_CLASS_COUNT));
    }
}

static void open_one(int side, uint8_t choice)
{
    struct user *user = free_user(side);
    struct gw_open open = {.is_datagrams = choice & 1, .class_ = choice % GW_CLASS_COUNT, .port = 1};
    if (user == NULL)
        return;
    if (gw_stream_open(muxes[side], now, &open, &ops, user, &user->stream) != 0)
        *user = (struct user){0};
}

static void step(void)
{
    uint8_t op = gw_read_u8(&input), arg = gw_read_u8(&input);
    int side = op >> 7;
    switch (op % 8) {
    case 0:
    case 1: {
        struct gw_view packet =
            gw_read_view(&input, arg < gw_reader_left(&input) ? arg : gw_reader_left(&input));
        feed(side, packet.data, packet.len, op >> 5 & 3);
        break;
    }
    case 2:
        pump(arg % 32, 0);
        break;
    case 3:
        pump(arg % 16, gw_read_u8(&input));
        break;
    case 4:
        now = gw_mono_add(now, GW_US(100) << (arg % 16));
        gw_deadlines_expire(&deadlines, now);
        break;
    case 5:
        open_one(side, arg);
        break;
    case 6:
        act(&users[side][arg % STREAMS], op >> 3);
        break;
    default:
        gw_mux_set_path(muxes[side], now, 300 + arg, 60, GW_MS(arg), arg & 1);
    }
    for (int i = 0; i < 2; i++)
        assert(budgets[i].used <= LIMIT + 65536);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_random_seeded random;
    struct gw_mux_events events = {.on_open = on_open};
    now = (struct gw_mono){GW_S(10)};
    input = gw_reader_of(data, size);
    memset(users, 0, sizeof users);
    gw_deadlines_init(&deadlines);
    gw_random_seeded_init(&random, 1);
    for (int i = 0; i < 2; i++) {
        budgets[i] = (struct gw_flow_budget){.limit = LIMIT};
        struct gw_mux_params params = {
            .deadlines = &deadlines,
            .random = &random.random,
            .budget = &budgets[i],
            .events = &events,
            .cc = i == 0 ? GW_CC_BBR : GW_CC_CUBIC,
            .is_lower = i == 0,
            .max_streams = STREAMS,
        };
        if (gw_mux_new(&muxes[i], &params, now) != 0)
            abort();
        gw_mux_set_path(muxes[i], now, PLAIN, 60, GW_MS(1), true);
    }
    open_one(0, 0);
    open_one(0, 1);
    open_one(1, 2);
    pump(4, 0);
    while (gw_reader_left(&input) > 0)
        step();
    for (int i = 0; i < 2; i++) {
        gw_mux_free(muxes[i], now, GW_REASON_SHUTTING_DOWN);
        assert(budgets[i].used == 0);
        for (int k = 0; k < STREAMS; k++) /* only who was offered one and never attached is not told */
            assert(users[i][k].stream == NULL || users[i][k].is_offered);
    }
    gw_deadlines_fini(&deadlines);
    return 0;
}

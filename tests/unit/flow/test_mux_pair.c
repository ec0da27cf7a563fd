/* SPDX-License-Identifier: MIT */
/* Thousands of random streams between two muxes over random bad links: every byte is checked at its offset, every
 * stream must end the way that its script says, and afterwards nothing may be left. A failure prints its seed;
 * with arguments that seed, or those from the first to the second, are run. */
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS 60u
#define STREAMS 120u
#define AT_ONCE 24u
#define LIMIT_NS GW_S(3000)

static uint64_t current_seed;

#define check(condition)                                                                                    \
    do {                                                                                                    \
        if (!(condition)) {                                                                                 \
            fprintf(stderr, "%s:%d: seed %llu: %s\n", __FILE__, __LINE__, (unsigned long long)current_seed, \
                    #condition);                                                                            \
            abort();                                                                                        \
        }                                                                                                   \
    } while (0)

enum fate { FATE_FINISH, FATE_RESET, FATE_REFUSE };
enum reader { READER_QUICK, READER_SLOW, READER_STALLS };

struct talk;

/* One user of one end of a stream. */
struct user {
    struct talk *talk;
    struct gw_stream *stream;
    struct gw_deadline timer, finish_timer;
    uint64_t seed, peer_seed; /* of the bytes of ours and of the peer's */
    uint64_t total, written, received, reset_at;
    enum reader reader;
    int side;
    bool is_opener, is_accepted, is_finished, has_fin, is_gone, was_closed, is_stalled, is_dialing;
    unsigned long long closed_reason;
};

/* One stream. */
struct talk {
    struct world *world;
    enum fate fate;
    bool is_datagrams, is_started;
    unsigned number;
    struct user users[2]; /* opener, acceptor */
    unsigned datagrams_sent, datagrams_received;
};

struct world {
    struct pair pair;
    struct talk *talks;
    unsigned count, started, ended;
};

static uint8_t byte_at(uint64_t seed, uint64_t offset)
{
    uint64_t x = (offset / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ seed;
    return (uint8_t)((x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9) >> (8 * (offset % 8)));
}

static void start_one(struct world *world);

static void maybe_ended(struct talk *talk)
{
    if (!talk->users[0].is_gone || !(talk->users[1].is_gone || talk->users[1].stream == NULL))
        return;
    talk->world->ended++;
    if (talk->world->started < talk->world->count)
        start_one(talk->world);
}

/* The user lets go of its stream. */
static void go(struct user *user)
{
    check(!user->is_gone);
    user->is_gone = true;
    gw_deadline_disarm(&user->talk->world->pair.deadlines, &user->timer);
    gw_deadline_disarm(&user->talk->world->pair.deadlines, &user->finish_timer);
    maybe_ended(user->talk);
}

static void maybe_release(struct user *user)
{
    struct world *world = user->talk->world;
    if (user->is_gone || !user->is_finished || !user->has_fin)
        return;
    gw_stream_release(user->stream, world->pair.now);
    go(user);
}

static void send_datagrams(struct user *user)
{
    struct talk *talk = user->talk;
    uint8_t data[600];
    for (int i = 0; i < 3; i++) {
        size_t len = 8 + pair_below(&talk->world->pair, sizeof data - 8);
        memcpy(data, &user->seed, 8);
        for (size_t k = 8; k < len; k++)
            data[k] = byte_at(user->seed, k);
        if (gw_stream_send_datagram(user->stream, talk->world->pair.now, data, len) == 0)
            talk->datagrams_sent++;
    }
}

static void finish(struct user *user)
{
    gw_stream_finish(user->stream, user->talk->world->pair.now);
    user->is_finished = true;
    maybe_release(user);
}

static void write_some(struct user *user)
{
    struct world *world = user->talk->world;
    size_t len;
    if (user->is_gone || user->is_finished)
        return;
    if (user->talk->is_datagrams)
        send_datagrams(user);
    while (user->written < user->total) {
        size_t wish = 1 + pair_below(&world->pair, 70000);
        uint8_t *room = gw_stream_reserve(user->stream, wish, &len);
        if (room == NULL) {
            check(len == 0);
            return;
        }
        check(len > 0 && len <= wish);
        if (len > user->total - user->written)
            len = user->total - user->written;
        len = pair_below(&world->pair, len + 1);
        for (size_t i = 0; i < len; i++)
            room[i] = byte_at(user->seed, user->written + i);
        gw_stream_commit(user->stream, world->pair.now, len);
        user->written += len;
        if (user->talk->fate == FATE_RESET && user->is_opener && user->written >= user->reset_at) {
            gw_stream_reset(user->stream, world->pair.now, GW_REASON_CANCELLED);
            go(user);
            return;
        }
    }
    if (user->finish_timer.slot != 0)
        return;
    if (pair_chance(&world->pair, 0.7)) {
        finish(user);
        return;
    }
    /* Later, when all bytes have left: a FIN alone. */
    int64_t wait = (int64_t)pair_below(&world->pair, (uint64_t)GW_MS(400));
    gw_deadline_arm(&world->pair.deadlines, &user->finish_timer, gw_mono_add(world->pair.now, wait));
}

static void on_finish_timer(struct gw_deadline *timer, struct gw_mono now)
{
    struct user *user = gw_container_of(timer, struct user, finish_timer);
    (void)now;
    if (!user->is_gone && !user->is_finished)
        finish(user);
}

static size_t on_data(struct gw_stream *stream, struct gw_mono now, const struct iovec *iov, int count,
                      void *ctx)
{
    struct user *user = ctx;
    struct world *world = user->talk->world;
    size_t sum = 0, take;
    check(!user->is_gone && stream == user->stream && !user->has_fin && count > 0 && count <= 64);
    check(user->is_accepted && !user->is_stalled);
    for (int i = 0; i < count; i++) {
        check(iov[i].iov_len > 0);
        sum += iov[i].iov_len;
    }
    take = sum;
    if (user->reader != READER_QUICK && pair_chance(&world->pair, 0.5)) {
        take = pair_below(&world->pair, sum + 1);
        if (take < sum) {
            int64_t wait = user->reader == READER_SLOW ? GW_MS(20) : GW_S(4);
            user->is_stalled = true;
            if (user->reader == READER_STALLS)
                user->reader = READER_QUICK; /* once is enough */
            gw_deadline_arm(&world->pair.deadlines, &user->timer, gw_mono_add(now, wait));
        }
    }
    size_t left = take;
    for (int i = 0; i < count && left > 0; i++) {
        const uint8_t *data = iov[i].iov_base;
        for (size_t k = 0; k < iov[i].iov_len && left > 0; k++, left--)
            check(data[k] == byte_at(user->peer_seed, user->received++));
    }
    if (pair_chance(&world->pair, 0.01))
        write_some(user); /* a call from within */
    return take;
}

static void on_fin(struct gw_stream *stream, struct gw_mono now, void *ctx)
{
    struct user *user = ctx;
    (void)now;
    check(!user->is_gone && stream == user->stream && !user->has_fin);
    user->has_fin = true;
    struct user *other = &user->talk->users[user->is_opener ? 1 : 0];
    check(user->received == other->total);
    maybe_release(user);
}

static void on_writable(struct gw_stream *stream, struct gw_mono now, void *ctx)
{
    struct user *user = ctx;
    (void)now;
    check(!user->is_gone && stream == user->stream && !user->is_finished);
    write_some(user);
}

static void on_accepted(struct gw_stream *stream, struct gw_mono now, void *ctx)
{
    struct user *user = ctx;
    (void)now;
    check(!user->is_gone && stream == user->stream && user->is_opener && !user->is_accepted);
    user->is_accepted = true;
    if (user->talk->is_datagrams)
        send_datagrams(user);
}

static void on_datagram(struct gw_stream *stream, struct gw_mono now, const void *data, size_t len, void *ctx)
{
    struct user *user = ctx;
    const uint8_t *bytes = data;
    (void)stream;
    (void)now;
    check(!user->is_gone && user->talk->is_datagrams && len >= 8 && memcmp(data, &user->peer_seed, 8) == 0);
    for (size_t k = 8; k < len; k++)
        check(bytes[k] == byte_at(user->peer_seed, k));
    user->talk->datagrams_received++;
}

static void on_closed(struct gw_stream *stream, struct gw_mono now, unsigned long long reason, void *ctx)
{
    struct user *user = ctx;
    (void)now;
    check(!user->is_gone && stream == user->stream);
    user->was_closed = true;
    user->closed_reason = reason;
    if (user->talk->fate == FATE_REFUSE)
        check(user->is_opener && reason == GW_REASON_NOT_LISTED && !user->is_accepted);
    else
        check(user->talk->fate == FATE_RESET && reason == GW_REASON_CANCELLED);
    go(user);
}

static const struct gw_stream_ops ops = {.on_accepted = on_accepted,
                                         .on_data = on_data,
                                         .on_fin = on_fin,
                                         .on_writable = on_writable,
                                         .on_datagram = on_datagram,
                                         .on_closed = on_closed};

static void accept_now(struct user *user)
{
    user->is_dialing = false;
    user->is_accepted = true;
    gw_stream_accept(user->stream, user->talk->world->pair.now, &ops, user);
    write_some(user);
}

static void on_timer(struct gw_deadline *timer, struct gw_mono now)
{
    struct user *user = gw_container_of(timer, struct user, timer);
    if (user->is_gone)
        return;
    if (user->is_dialing) {
        accept_now(user);
        return;
    }
    user->is_stalled = false;
    gw_stream_resume(user->stream, now);
}

static void on_open(struct gw_mux *mux, struct gw_stream *stream, const struct gw_open *open,
                    struct gw_mono now, void *ctx)
{
    struct world *world = ctx;
    struct talk *talk = &world->talks[strtoul(open->service + 1, NULL, 10)];
    struct user *user = &talk->users[1];
    check(open->service[0] == 's' && user->stream == NULL && open->is_datagrams == talk->is_datagrams);
    check(world->pair.mux[user->side] == mux && gw_stream_mux(stream) == mux);
    user->stream = stream;
    if (talk->fate == FATE_REFUSE) {
        gw_stream_reset(stream, now, GW_REASON_NOT_LISTED);
        go(user);
        return;
    }
    if (pair_chance(&world->pair, 0.5)) {
        accept_now(user);
        return;
    }
    user->is_dialing = true;
    gw_stream_attach(stream, &ops, user);
    gw_deadline_arm(&world->pair.deadlines, &user->timer,
                    gw_mono_add(now, (int64_t)pair_below(&world->pair, (uint64_t)GW_MS(50))));
}

static void start_one(struct world *world)
{
    struct talk *talk = &world->talks[world->started];
    struct user *user = &talk->users[0];
    struct gw_open open = {.is_datagrams = talk->is_datagrams,
                           .class_ = (uint8_t)(talk->number % GW_CLASS_COUNT)};
    snprintf(open.service, sizeof open.service, "s%u", world->started);
    world->started++;
    talk->is_started = true;
    int err = gw_stream_open(world->pair.mux[user->side], world->pair.now, &open, &ops, user, &user->stream);
    check(err == 0);
    write_some(user);
}

/* --- one run ----------------------------------------------------------------------------------------------------- */

static uint64_t random_size(struct pair *pair)
{
    return pair_chance(pair, 0.1) ? 0 : pair_below(pair, UINT64_C(1) << (4 + pair_below(pair, 16)));
}

static void script(struct world *world)
{
    struct pair *pair = &world->pair;
    for (unsigned i = 0; i < world->count; i++) {
        struct talk *talk = &world->talks[i];
        talk->world = world;
        talk->number = i;
        talk->is_datagrams = pair_chance(pair, 0.1);
        talk->fate = pair_chance(pair, 0.15)  ? FATE_RESET
                     : pair_chance(pair, 0.1) ? FATE_REFUSE
                                              : FATE_FINISH;
        for (int k = 0; k < 2; k++) {
            struct user *user = &talk->users[k];
            user->talk = talk;
            user->is_opener = k == 0;
            user->side = (int)((i + (unsigned)k) % 2);
            user->seed = pair_random(pair);
            user->total = random_size(pair);
            user->reset_at = pair_below(pair, user->total + 1);
            user->reader = pair_chance(pair, 0.6)   ? READER_QUICK
                           : pair_chance(pair, 0.7) ? READER_SLOW
                                                    : READER_STALLS;
            gw_deadline_init(&user->timer, on_timer);
            gw_deadline_init(&user->finish_timer, on_finish_timer);
            check(gw_deadlines_reserve(&pair->deadlines) == 0);
            check(gw_deadlines_reserve(&pair->deadlines) == 0);
        }
        talk->users[0].peer_seed = talk->users[1].seed;
        talk->users[1].peer_seed = talk->users[0].seed;
    }
}

static struct pair_link random_link(uint64_t seed)
{
    struct pair dice = {.rng = seed ^ 0x55};
    struct pair_link link = {.plain = 300 + pair_below(&dice, 1100), .queue = 100000};
    link.delay_ns = (int64_t)pair_below(&dice, (uint64_t)(seed % 3 == 0 ? GW_US(200) : GW_MS(80)));
    link.jitter_ns =
        pair_chance(&dice, 0.5) ? 0 : (int64_t)pair_below(&dice, (uint64_t)(link.delay_ns / 2 + 1));
    link.loss = pair_chance(&dice, 0.3) ? 0 : 0.2 * (double)pair_below(&dice, 100) / 100;
    link.duplicate = pair_chance(&dice, 0.5) ? 0 : 0.1;
    link.mark = pair_chance(&dice, 0.8) ? 0 : 0.02;
    link.rate = pair_chance(&dice, 0.5) ? 0 : 500000 + pair_below(&dice, 20000000);
    return link;
}

/* Returns the hash of every packet that was sent. */
static uint64_t run_seed(uint64_t seed)
{
    struct world world = {.count = STREAMS};
    struct pair_link link = random_link(seed);
    struct gw_mux_events events[2] = {{.on_open = on_open, .ctx = &world},
                                      {.on_open = on_open, .ctx = &world}};
    current_seed = seed;
    pair_init(&world.pair, seed, &link, events, seed % 2 == 0 ? GW_CC_BBR : GW_CC_CUBIC, 64u << 20);
    world.pair.late_ns = seed % 5 < 2 ? 0 : (int64_t)pair_below(&world.pair, (uint64_t)GW_MS(2));
    world.talks = calloc(world.count, sizeof *world.talks);
    check(world.talks != NULL);
    script(&world);
    while (world.started < AT_ONCE)
        start_one(&world);
    struct gw_mono end = gw_mono_add(world.pair.now, LIMIT_NS);
    while (world.ended < world.count) {
        check(pair_step(&world.pair));
        check(gw_mono_before(world.pair.now, end));
    }
    /* Everything that still waits for an ack gets it; then nothing is left. */
    pair_run(&world.pair, GW_S(30));
    for (int i = 0; i < 2; i++) {
        struct gw_mux_stats stats;
        gw_mux_stats(world.pair.mux[i], &stats);
        check(stats.streams_open == 0);
        check(stats.inflight == 0);
        check(stats.violations == 0);
        check(world.pair.budget[i].used == 0);
    }
    for (unsigned i = 0; i < world.count; i++) {
        struct talk *talk = &world.talks[i];
        check(talk->is_started);
        if (talk->fate == FATE_FINISH)
            check(talk->users[0].has_fin && talk->users[1].has_fin);
        if (link.duplicate <= 0)
            check(talk->datagrams_received <= talk->datagrams_sent);
    }
    check(gw_mono_is_never(gw_deadlines_next(&world.pair.deadlines)));
    pair_fini(&world.pair);
    free(world.talks);
    return world.pair.hash;
}

static uint64_t first_seed = 1, last_seed = SEEDS;

static void test_random_streams(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed <= last_seed; seed++)
        (void)run_seed(seed);
}

/* Nothing that reaches the wire depends on addresses in memory. */
static void test_same_seed_same_packets(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + 5; seed++)
        assert_true(run_seed(seed) == run_seed(seed));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_streams),
                                       cmocka_unit_test(test_same_seed_same_packets)};
    if (argc > 1)
        first_seed = last_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        last_seed = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* A lone mux (solo.h) with one user, who notes what its streams hear, and the peer's side of a stream by hand. What the tests of a mux's rules begin with; each has it for itself. */
#ifndef TESTS_UNIT_FLOW_SOLO_USER_H
#define TESTS_UNIT_FLOW_SOLO_USER_H

#include "solo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct solo solo;

/* The only user; what its stream heard. */
static struct {
    struct gw_stream *offered;
    unsigned opened, accepted, fins, closed, writable;
    uint64_t received;
    unsigned long long reason;
    size_t takes;  /* at most so many bytes a call */
    bool releases; /* in on_fin */
    enum { ACCEPT, ATTACH, WAIT, REFUSE } answer;
} user;

static size_t on_data(struct gw_stream *stream, struct gw_mono at, const struct iovec *iov, int count,
                      void *ctx)
{
    size_t sum = 0;
    (void)stream;
    (void)at;
    (void)ctx;
    for (int i = 0; i < count; i++)
        sum += iov[i].iov_len;
    size_t taken = sum < user.takes ? sum : user.takes;
    user.received += taken;
    return taken;
}
static void on_accepted(struct gw_stream *stream, struct gw_mono at, void *ctx)
{
    (void)stream;
    (void)at;
    (void)ctx;
    user.accepted++;
}
static void on_fin(struct gw_stream *stream, struct gw_mono at, void *ctx)
{
    (void)ctx;
    user.fins++;
    if (user.releases)
        gw_stream_release(stream, at);
}
static void on_writable(struct gw_stream *stream, struct gw_mono at, void *ctx)
{
    (void)stream;
    (void)at;
    (void)ctx;
    user.writable++;
}
static void on_closed(struct gw_stream *stream, struct gw_mono at, unsigned long long reason, void *ctx)
{
    (void)stream;
    (void)at;
    (void)ctx;
    user.closed++;
    user.reason = reason;
}
static const struct gw_stream_ops ops = {.on_accepted = on_accepted,
                                         .on_data = on_data,
                                         .on_fin = on_fin,
                                         .on_writable = on_writable,
                                         .on_closed = on_closed};

static void on_open(struct gw_mux *mux, struct gw_stream *stream, const struct gw_open *open,
                    struct gw_mono at, void *ctx)
{
    (void)ctx;
    assert_ptr_equal(gw_mux_ctx(mux), &solo);
    assert_int_equal(open->port, 22);
    user.opened++;
    user.offered = stream;
    switch (user.answer) {
    case ACCEPT:
        gw_stream_accept(stream, at, &ops, NULL);
        break;
    case ATTACH:
        gw_stream_attach(stream, &ops, NULL);
        break;
    case REFUSE:
        gw_stream_reset(stream, at, GW_REASON_REFUSED);
        break;
    default:
        break;
    }
}

static inline int set_up(void **state)
{
    static const struct gw_mux_events events = {.on_open = on_open};
    (void)state;
    memset(&user, 0, sizeof user);
    user.takes = SIZE_MAX;
    solo_init(&solo, &events, 64u << 20);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    solo_fini(&solo);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static inline struct gw_stream *open_ours(void)
{
    struct gw_open open = {.port = 22};
    struct gw_stream *stream;
    assert_int_equal(gw_stream_open(solo.mux, solo.now, &open, &ops, NULL, &stream), 0);
    return stream;
}

/* The peer's ids are odd, and 1 is reserved. */
#define PEER_ID 3u
static const uint8_t preface[] = {1, 0, 0, 22};

static inline void open_peers(void)
{
    assert_int_equal(solo_feed_stream(&solo, PEER_ID, 0, preface, sizeof preface, false), 0);
    assert_int_equal(user.opened, 1);
    (void)solo_pull_all(&solo);
}

/* Data behind the preface; what gw_mux_frame said. */
static inline int feed_data(uint64_t offset, size_t len, bool is_fin)
{
    static const uint8_t data[1500];
    return solo_feed_stream(&solo, PEER_ID, sizeof preface + offset, data, len, is_fin);
}

/* In the next packet. */
static inline void expect_reset(uint64_t id, enum gw_reason reason)
{
    assert_true(solo_pull(&solo));
    const struct solo_frame *reset = solo_find(&solo, GW_FRAME_RESET);
    assert_non_null(reset);
    assert_int_equal(reset->numbers[0], id);
    assert_int_equal(reset->numbers[1], reason);
}

static inline uint64_t violations(void)
{
    struct gw_mux_stats stats;
    gw_mux_stats(solo.mux, &stats);
    return stats.violations;
}

static inline unsigned streams_open(void)
{
    struct gw_mux_stats stats;
    gw_mux_stats(solo.mux, &stats);
    return stats.streams_open;
}

#endif

/* SPDX-License-Identifier: MIT */
/* What the flow layer promises, one situation a test, over a simulated link in virtual time: bandwidth on lossy
 * links, no round trip more than needed, a stalled stream stops only itself, memory bounded, outages and changes
 * of path survived, silence when idle. */
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ENDS_MAX 64

/* One end of a stream: sends `total` bytes as fast as it may, takes what `takes` says. */
struct end {
    struct gw_stream *stream;
    uint64_t total, written, received;
    bool is_blocked, is_accepted, has_fin, is_closed;
    unsigned long long reason;
    struct gw_mono first_at, last_at, closed_at;
    unsigned datagrams;
    struct gw_mono datagram_at;
};

struct scene {
    struct pair pair;
    struct gw_mux_events events[2];
    struct end ends[2][ENDS_MAX];
    unsigned opened, accepted;
    bool blocks_acceptors;
    uint64_t answer; /* bytes that each acceptor sends */
};

static struct scene *scene;

static void write_more(struct end *end)
{
    size_t len;
    while (end->written < end->total) {
        uint8_t *room = gw_stream_reserve(end->stream, 65536, &len);
        if (room == NULL)
            return;
        if (len > end->total - end->written)
            len = end->total - end->written;
        memset(room, 'x', len);
        gw_stream_commit(end->stream, scene->pair.now, len);
        end->written += len;
    }
}

static size_t on_data(struct gw_stream *stream, struct gw_mono now, const struct iovec *iov, int count,
                      void *user)
{
    struct end *end = user;
    size_t sum = 0;
    (void)stream;
    if (end->is_blocked)
        return 0;
    for (int i = 0; i < count; i++)
        sum += iov[i].iov_len;
    if (end->received == 0)
        end->first_at = now;
    end->last_at = now;
    end->received += sum;
    return sum;
}

static void on_fin(struct gw_stream *stream, struct gw_mono now, void *user)
{
    (void)stream;
    (void)now;
    ((struct end *)user)->has_fin = true;
}

static void on_writable(struct gw_stream *stream, struct gw_mono now, void *user)
{
    (void)stream;
    (void)now;
    write_more(user);
}

static void on_accepted(struct gw_stream *stream, struct gw_mono now, void *user)
{
    (void)stream;
    (void)now;
    ((struct end *)user)->is_accepted = true;
}

static void on_datagram(struct gw_stream *stream, struct gw_mono now, const void *data, size_t len,
                        void *user)
{
    struct end *end = user;
    (void)stream;
    (void)data;
    assert_int_not_equal(len, 0);
    end->datagrams++;
    end->datagram_at = now;
}

static void on_closed(struct gw_stream *stream, struct gw_mono now, unsigned long long reason, void *user)
{
    struct end *end = user;
    (void)stream;
    end->is_closed = true;
    end->closed_at = now;
    end->reason = reason;
    end->stream = NULL;
}

static const struct gw_stream_ops ops = {on_accepted, on_data, on_fin, on_writable, on_datagram, on_closed};

static void on_open(struct gw_mux *mux, struct gw_stream *stream, const struct gw_open *open,
                    struct gw_mono now, void *ctx)
{
    struct end *end = &scene->ends[1][open->port - 1];
    (void)mux;
    (void)ctx;
    end->stream = stream;
    end->is_blocked = scene->blocks_acceptors;
    end->total = scene->answer;
    scene->accepted++;
    gw_stream_accept(stream, now, &ops, end);
    write_more(end);
}

static void begin(const struct pair_link *link, enum gw_cc_kind cc, uint64_t limit)
{
    scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    scene->events[0].on_open = scene->events[1].on_open = on_open;
    pair_init(&scene->pair, 42, link, scene->events, cc, limit);
}

static void end_scene(void)
{
    pair_fini(&scene->pair);
    free(scene);
}

static struct end *open_stream(uint64_t total, enum gw_class class_)
{
    struct end *end = &scene->ends[0][scene->opened++];
    struct gw_open open = {.port = (uint16_t)scene->opened, .class_ = (uint8_t)class_};
    end->total = total;
    assert_int_equal(gw_stream_open(scene->pair.mux[0], scene->pair.now, &open, &ops, end, &end->stream), 0);
    write_more(end);
    return end;
}

static struct end *other(const struct end *end)
{
    return &scene->ends[1][end - scene->ends[0]];
}

static struct gw_mux_stats stats_of(int side)
{
    struct gw_mux_stats stats;
    gw_mux_stats(scene->pair.mux[side], &stats);
    return stats;
}

/* Megabit a second of one bulk stream in the last of `seconds` + 2. */
static double bulk_rate(const struct pair_link *link, enum gw_cc_kind cc, int seconds)
{
    begin(link, cc, 64u << 20);
    struct end *end = open_stream(UINT64_C(1) << 40, GW_CLASS_BULK);
    pair_run(&scene->pair, GW_S(2));
    uint64_t before = other(end)->received;
    pair_run(&scene->pair, GW_S(seconds));
    double rate = (double)(other(end)->received - before) * 8 / 1e6 / seconds;
    struct gw_mux_stats stats = stats_of(0);
    print_message(
        "%-6s %4.0f Mbit/s, %2lld ms, loss %.3f: %6.1f Mbit/s (cwnd %llu, lost %llu of %llu, spurious %llu)\n",
        stats.cc_name, (double)link->rate * 8 / 1e6, (long long)(2 * link->delay_ns / GW_MS(1)), link->loss,
        rate, (unsigned long long)stats.cwnd, (unsigned long long)stats.packets_lost,
        (unsigned long long)stats.packets_sent, (unsigned long long)stats.packets_spurious);
    end_scene();
    return rate;
}

static void test_lossy_links(void **state)
{
    struct pair_link link = {.plain = 1400, .rate = 12500000, .delay_ns = GW_MS(25), .queue = 625000};
    (void)state;
    assert_true(bulk_rate(&link, GW_CC_BBR, 8) > 85);
    assert_true(bulk_rate(&link, GW_CC_CUBIC, 8) > 85);
    link.loss = 0.01;
    assert_true(bulk_rate(&link, GW_CC_BBR, 8) > 75);
    (void)bulk_rate(&link, GW_CC_CUBIC, 8);
    link = (struct pair_link){
        .plain = 1400, .rate = 125000000, .delay_ns = GW_MS(10), .queue = 2500000, .loss = 0.001};
    assert_true(bulk_rate(&link, GW_CC_BBR, 3) > 700);
    link.loss = 0.01;
    assert_true(bulk_rate(&link, GW_CC_BBR, 3) > 391);
    link.jitter_ns = GW_MS(2); /* reordering */
    link.loss = 0;
    assert_true(bulk_rate(&link, GW_CC_BBR, 3) > 500);
}

/* --- latency ----------------------------------------------------------------------------------------------------- */

static void test_open_costs_no_round_trip(void **state)
{
    struct pair_link link = {.plain = 1400, .delay_ns = GW_MS(25)};
    (void)state;
    begin(&link, GW_CC_BBR, 64u << 20);
    scene->answer = 100;
    struct gw_mono start = scene->pair.now;
    struct end *end = open_stream(100, GW_CLASS_INTERACTIVE);
    pair_run(&scene->pair, GW_MS(500));
    /* The request rides with the open and the answer with the acceptance. */
    assert_int_equal(gw_mono_sub(other(end)->first_at, start), GW_MS(25));
    assert_int_equal(gw_mono_sub(end->first_at, start), GW_MS(50));
    assert_true(end->is_accepted);
    assert_int_equal(end->received, 100);
    /* Open and answer, their acks, and nothing else. */
    assert_in_range(scene->pair.packets, 3, 4);
    end_scene();
}

static void test_quiet_when_idle(void **state)
{
    struct pair_link link = {.plain = 1400, .delay_ns = GW_MS(5)};
    (void)state;
    begin(&link, GW_CC_BBR, 64u << 20);
    struct end *end = open_stream(100000, GW_CLASS_NORMAL);
    pair_run(&scene->pair, GW_S(20));
    assert_int_equal(other(end)->received, 100000);
    uint64_t packets = scene->pair.packets;
    pair_run(&scene->pair, GW_S(3600));
    assert_int_equal(scene->pair.packets, packets);
    assert_true(gw_mono_is_never(gw_deadlines_next(&scene->pair.deadlines)));
    /* The stream lives and holds nothing. */
    assert_int_equal(stats_of(0).streams_open, 1);
    assert_int_equal(scene->pair.budget[0].used, 0);
    assert_int_equal(scene->pair.budget[1].used, 0);
    end_scene();
}

static void test_tail_loss(void **state)
{
    struct pair_link link = {.plain = 1400, .delay_ns = GW_MS(25)};
    (void)state;
    begin(&link, GW_CC_BBR, 64u << 20);
    struct end *end = open_stream(1000, GW_CLASS_NORMAL);
    pair_run(&scene->pair, GW_MS(500));
    assert_int_equal(other(end)->received, 1000);
    /* The only packet of a request is lost: a probe repeats it, in less than three round trips. */
    struct gw_mono start = scene->pair.now;
    scene->pair.link.is_down = true;
    end->total += 1000;
    write_more(end);
    pair_pump(&scene->pair);
    scene->pair.link.is_down = false;
    pair_run(&scene->pair, GW_MS(500));
    assert_int_equal(other(end)->received, 2000);
    assert_true(gw_mono_sub(other(end)->last_at, start) < GW_MS(150));
    end_scene();
}

/* --- outages and paths ------------------------------------------------------------------------------------------- */

static void test_outage(void **state)
{
    struct pair_link link = {.plain = 1400, .delay_ns = GW_MS(10), .rate = 12500000, .queue = 200000};
    (void)state;
    begin(&link, GW_CC_BBR, 64u << 20);
    struct end *end = open_stream(UINT64_C(1) << 40, GW_CLASS_NORMAL);
    pair_run(&scene->pair, GW_S(3));
    scene->pair.link.is_down = true;
    pair_run(&scene->pair, GW_S(30));
    uint64_t packets = scene->pair.packets, received = other(end)->received;
    pair_run(&scene->pair, GW_S(10));
    assert_true(scene->pair.packets - packets <= 14); /* of both sides, one in 2 s */
    assert_int_equal(other(end)->received, received);
    scene->pair.link.is_down = false;
    pair_run(&scene->pair, GW_S(5)); /* the next probe comes within 2 s */
    assert_true(other(end)->received > received + 20000000);
    end_scene();
}

static void test_new_path(void **state)
{
    struct pair_link link = {.plain = 1400, .delay_ns = GW_MS(10), .rate = 12500000, .queue = 200000};
    (void)state;
    begin(&link, GW_CC_BBR, 64u << 20);
    struct end *end = open_stream(UINT64_C(1) << 40, GW_CLASS_NORMAL);
    pair_run(&scene->pair, GW_S(3));
    scene->pair.link.is_down = true;
    pair_run(&scene->pair, GW_S(5));
    /* The gateway finds another one: nothing waits for the old one's backoff. */
    scene->pair.link =
        (struct pair_link){.plain = 1200, .delay_ns = GW_MS(40), .rate = 5000000, .queue = 400000};
    uint64_t received = other(end)->received;
    for (int i = 0; i < 2; i++)
        gw_mux_set_path(scene->pair.mux[i], scene->pair.now, 1200, 76, GW_MS(80), true);
    pair_run(&scene->pair, GW_MS(300));
    assert_true(other(end)->received > received);
    pair_run(&scene->pair, GW_S(5));
    assert_true(other(end)->received > received + 15000000);
    assert_in_range(stats_of(0).min_rtt_ns, GW_MS(80), GW_MS(90));
    end_scene();
}

/* One path keeps what it has for 5 s, while tens of thousands of packets take another: those that come then are what they were, old. */
static void test_path_stands_still(void **state)
{
    struct pair_link link = {.plain = 1400, .delay_ns = GW_MS(10), .rate = 12500000, .queue = 200000};
    (void)state;
    begin(&link, GW_CC_BBR, 64u << 20);
    struct end *end = open_stream(UINT64_C(1) << 40, GW_CLASS_NORMAL);
    pair_run(&scene->pair, GW_S(3));
    scene->pair.link.delay_ns = GW_S(5);
    pair_run(&scene->pair, GW_MS(50));
    scene->pair.link.delay_ns = GW_MS(10);
    for (int i = 0; i < 2; i++)
        gw_mux_set_path(scene->pair.mux[i], scene->pair.now, 1400, 76, GW_MS(20), true);
    uint64_t sent = stats_of(0).packets_sent, received = other(end)->received;
    pair_run(&scene->pair, GW_MS(4900));
    assert_true(stats_of(0).packets_sent - sent > 1u << 15);
    assert_true(other(end)->received > received + 40000000);
    received = other(end)->received;
    pair_run(&scene->pair, GW_S(5));
    assert_true(other(end)->received > received + 40000000);
    assert_int_equal(stats_of(0).violations + stats_of(1).violations, 0);
    end_scene();
}

/* --- flow control ------------------------------------------------------------------------------------------------ */

static void test_stalled_stream_stops_only_itself(void **state)
{
    struct pair_link link = {.plain = 1400, .delay_ns = GW_MS(10), .rate = 12500000, .queue = 200000};
    (void)state;
    begin(&link, GW_CC_BBR, 64u << 20);
    struct end *stalled[20], *good;
    /* Twenty streams whose readers have kept up, so that their windows have grown, stop reading. */
    for (int i = 0; i < 20; i++)
        stalled[i] = open_stream(UINT64_C(1) << 40, GW_CLASS_NORMAL);
    pair_run(&scene->pair, GW_S(3));
    for (int i = 0; i < 20; i++)
        other(stalled[i])->is_blocked = true;
    pair_run(&scene->pair, GW_S(5));
    good = open_stream(UINT64_C(1) << 40, GW_CLASS_NORMAL);
    pair_run(&scene->pair, GW_S(10));
    assert_true(other(good)->received > 90000000);
    for (int i = 0; i < 20; i++) {
        struct gw_stream_stats stats;
        assert_false(other(stalled[i])->is_closed);
        gw_stream_stats(other(stalled[i])->stream, &stats);
        assert_true(stats.is_blocked_by_reader);
        assert_true(stats.received - stats.delivered <= 1u << 20);
    }
    /* One of them goes on where it was. */
    uint64_t received = other(stalled[7])->received;
    other(stalled[7])->is_blocked = false;
    gw_stream_resume(other(stalled[7])->stream, scene->pair.now);
    pair_run(&scene->pair, GW_S(5));
    assert_true(other(stalled[7])->received > received + 5000000);
    end_scene();
}

static void test_memory_is_bounded(void **state)
{
    struct pair_link link = {.plain = 1400, .delay_ns = GW_MS(5), .rate = 125000000, .queue = 2000000};
    (void)state;
    begin(&link, GW_CC_BBR, 64u << 20);
    scene->pair.budget[1].limit = 1u << 20;
    struct end *ends[ENDS_MAX - 1];
    for (int i = 0; i < ENDS_MAX - 1; i++)
        ends[i] = open_stream(UINT64_C(1) << 40, GW_CLASS_NORMAL);
    pair_run(&scene->pair, GW_S(1));
    /* Their readers stop one after the other. */
    uint64_t most = 0;
    unsigned closed = 0;
    for (int i = 0; i < ENDS_MAX - 1; i++) {
        other(ends[i])->is_blocked = true;
        pair_run(&scene->pair, GW_MS(300));
        if (scene->pair.budget[1].used > most)
            most = scene->pair.budget[1].used;
    }
    pair_run(&scene->pair, GW_S(5));
    for (int i = 0; i < ENDS_MAX - 1; i++) {
        if (!other(ends[i])->is_closed)
            continue;
        closed++;
        assert_int_equal(other(ends[i])->reason, GW_REASON_NO_MEMORY);
        assert_true(ends[i]->is_closed);
        assert_int_equal(ends[i]->reason, GW_REASON_NO_MEMORY);
        /* The longest blocked go first. */
        assert_true(i == 0 || other(ends[i - 1])->is_closed);
    }
    assert_true(closed > 0 && closed < ENDS_MAX - 1);
    assert_true(most <= (1u << 20) + 65536);
    end_scene();
}

static void test_session_window_grows(void **state)
{
    struct pair_link link = {.plain = 1400, .delay_ns = GW_MS(50), .rate = 12500000, .queue = 1000000};
    (void)state;
    begin(&link, GW_CC_BBR, 64u << 20);
    /* Many streams share it; each has 16 KB to begin with and 40 KB to say. */
    for (int i = 0; i < ENDS_MAX; i++)
        (void)open_stream(40000, GW_CLASS_NORMAL);
    pair_run(&scene->pair, GW_MS(1300));
    for (int i = 0; i < ENDS_MAX; i++)
        assert_int_equal(scene->ends[1][i].received, 40000);
    end_scene();
}

/* --- fairness ---------------------------------------------------------------------------------------------------- */

static void test_classes(void **state)
{
    struct pair_link link = {.plain = 1400, .delay_ns = GW_MS(10), .rate = 12500000, .queue = 100000};
    (void)state;
    begin(&link, GW_CC_BBR, 64u << 20);
    struct end *bulk = open_stream(UINT64_C(1) << 40, GW_CLASS_BULK);
    struct end *bulk2 = open_stream(UINT64_C(1) << 40, GW_CLASS_BULK);
    struct end *normal = open_stream(UINT64_C(1) << 40, GW_CLASS_NORMAL);
    struct end *normal2 = open_stream(UINT64_C(1) << 40, GW_CLASS_NORMAL);
    pair_run(&scene->pair, GW_S(3));
    uint64_t b = other(bulk)->received, b2 = other(bulk2)->received, n = other(normal)->received,
             n2 = other(normal2)->received;
    pair_run(&scene->pair, GW_S(5));
    b = other(bulk)->received - b;
    b2 = other(bulk2)->received - b2;
    n = other(normal)->received - n;
    n2 = other(normal2)->received - n2;
    /* Equal within a class, four to one between them, and nobody starves. */
    assert_in_range(b * 100 / b2, 90, 110);
    assert_in_range(n * 100 / n2, 90, 110);
    assert_in_range((n + n2) * 100 / (b + b2), 330, 470);
    /* A keystroke waits for what the path's queue holds, not for the others' windows. */
    struct end *keys = open_stream(1, GW_CLASS_INTERACTIVE);
    pair_run(&scene->pair, GW_MS(200));
    assert_int_equal(other(keys)->received, 1);
    for (int i = 0; i < 20; i++) {
        struct gw_mono start = scene->pair.now;
        keys->total++;
        write_more(keys);
        pair_run(&scene->pair, GW_MS(97));
        assert_int_equal(other(keys)->received, 2 + (uint64_t)i);
        assert_true(gw_mono_sub(other(keys)->last_at, start) < GW_MS(45));
    }
    end_scene();
}

/* --- datagrams --------------------------------------------------------------------------------------------------- */

static void test_datagrams(void **state)
{
    struct pair_link link = {.plain = 1400, .delay_ns = GW_MS(10), .rate = 1250000, .queue = 20000};
    static const uint8_t data[1390];
    (void)state;
    begin(&link, GW_CC_BBR, 64u << 20);
    struct end *end = &scene->ends[0][scene->opened++];
    struct gw_open open = {.port = 1, .is_datagrams = true, .class_ = GW_CLASS_INTERACTIVE};
    assert_int_equal(gw_stream_open(scene->pair.mux[0], scene->pair.now, &open, &ops, end, &end->stream), 0);
    struct gw_mono start = scene->pair.now;
    /* The first rides with the open. */
    assert_int_equal(gw_stream_send_datagram(end->stream, start, data, 100), 0);
    pair_run(&scene->pair, GW_MS(15));
    assert_int_equal(other(end)->datagrams, 1);
    assert_true(gw_mono_sub(other(end)->datagram_at, start) < GW_MS(11));
    /* The largest fits, one more byte does not. */
    size_t max = 1400 - 6 - 3 - 1;
    assert_int_equal(gw_stream_send_datagram(end->stream, scene->pair.now, data, max), 0);
    assert_true(gw_stream_send_datagram(end->stream, scene->pair.now, data, max + 1) < 0);
    pair_run(&scene->pair, GW_MS(500));
    assert_int_equal(other(end)->datagrams, 2);
    /* Twice what the path carries: what arrives is young. */
    for (int i = 0; i < 2000; i++) {
        (void)gw_stream_send_datagram(end->stream, scene->pair.now, data, 1250);
        pair_run(&scene->pair, GW_US(500));
    }
    struct gw_mux_stats stats = stats_of(0);
    assert_true(stats.datagrams_dropped > 500);
    assert_in_range(other(end)->datagrams, 500, 1100);
    assert_true(stats.srtt_ns < GW_MS(70));
    pair_run(&scene->pair, GW_S(10));
    assert_int_equal(scene->pair.budget[0].used, 0);
    end_scene();
}

/* --- ends -------------------------------------------------------------------------------------------------------- */

static void test_free_tells_all(void **state)
{
    struct pair_link link = {.plain = 1400, .delay_ns = GW_MS(10)};
    (void)state;
    begin(&link, GW_CC_BBR, 64u << 20);
    for (int i = 0; i < 10; i++)
        (void)open_stream(UINT64_C(1) << 40, GW_CLASS_NORMAL);
    pair_run(&scene->pair, GW_MS(100));
    struct scene *old = scene;
    pair_fini(&scene->pair);
    for (int i = 0; i < 10; i++) {
        assert_true(old->ends[0][i].is_closed && old->ends[1][i].is_closed);
        assert_int_equal(old->ends[0][i].reason, GW_REASON_SHUTTING_DOWN);
    }
    free(old);
}

static void test_too_many_streams(void **state)
{
    struct pair_link link = {.plain = 1400, .delay_ns = GW_MS(10)};
    struct gw_open open = {.port = 1};
    static struct end ends[3000];
    (void)state;
    begin(&link, GW_CC_BBR, 64u << 20);
    int err = 0;
    unsigned count = 0;
    while (err == 0 && count < 3000) {
        struct gw_stream *stream;
        err = gw_stream_open(scene->pair.mux[0], scene->pair.now, &open, &ops, &ends[count], &stream);
        count += err == 0;
    }
    assert_int_equal(count, 1023); /* what the protocol starts with */
    pair_run(&scene->pair, GW_MS(200));
    struct gw_stream *stream;
    /* By now the peer has allowed more. */
    for (unsigned i = 0; i < 1500; i++)
        assert_int_equal(
            gw_stream_open(scene->pair.mux[0], scene->pair.now, &open, &ops, &ends[count + i], &stream), 0);
    pair_run(&scene->pair, GW_S(1));
    assert_int_equal(stats_of(1).streams_open, 1023 + 1500);
    end_scene();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_costs_no_round_trip),
        cmocka_unit_test(test_quiet_when_idle),
        cmocka_unit_test(test_tail_loss),
        cmocka_unit_test(test_outage),
        cmocka_unit_test(test_new_path),
        cmocka_unit_test(test_path_stands_still),
        cmocka_unit_test(test_stalled_stream_stops_only_itself),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_session_window_grows),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_datagrams),
        cmocka_unit_test(test_free_tells_all),
        cmocka_unit_test(test_too_many_streams),
        cmocka_unit_test(test_lossy_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

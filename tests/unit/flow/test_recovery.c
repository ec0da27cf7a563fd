/* SPDX-License-Identifier: MIT */
/* Loss recovery by the clock: RTT, RACK's window and its growth, probes and their backoff, persistent congestion,
 * spurious losses, paths. */
#include "gateway/base/err.h"
#include "gateway/flow/recovery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SIZE 1000u

/* A congestion controller that only counts. */
static struct {
    uint64_t sent, acked, lost, ce;
    unsigned persistent, spurious;
    struct gw_cc_ack last;
} cc_saw;

static void cc_init(struct gw_cc *cc, struct gw_mono now)
{
    (void)cc;
    (void)now;
}
static void cc_on_sent(struct gw_cc *cc, struct gw_mono now, uint64_t bytes, uint64_t inflight,
                       bool is_app_limited)
{
    (void)cc;
    (void)now;
    (void)is_app_limited;
    (void)inflight;
    cc_saw.sent += bytes;
}
static void cc_on_ack(struct gw_cc *cc, const struct gw_cc_ack *ack)
{
    (void)cc;
    cc_saw.acked += ack->acked;
    cc_saw.ce += ack->ce_acked;
    cc_saw.last = *ack;
}
static void cc_on_lost(struct gw_cc *cc, struct gw_mono now, uint64_t bytes, struct gw_mono sent_at,
                       uint64_t inflight, uint64_t tx_inflight, uint64_t lost_since_sent)
{
    (void)cc;
    (void)now;
    (void)sent_at;
    (void)inflight;
    (void)tx_inflight;
    (void)lost_since_sent;
    cc_saw.lost += bytes;
}
static void cc_on_persistent(struct gw_cc *cc, struct gw_mono now)
{
    (void)cc;
    (void)now;
    cc_saw.persistent++;
}
static void cc_on_spurious(struct gw_cc *cc, struct gw_mono now)
{
    (void)cc;
    (void)now;
    cc_saw.spurious++;
}
static const struct gw_cc_ops cc_ops = {"counting", cc_init,          cc_on_sent,    cc_on_ack,
                                        cc_on_lost, cc_on_persistent, cc_on_spurious};

/* What the streams hear: per packet, by its number as the item's offset. */
static struct {
    unsigned acked[1000], lost[1000], forgotten[1000];
    uint8_t controls;
    uint64_t ack_seen;
} heard;

static void on_acked(void *ctx, const struct gw_sent_item *item)
{
    (void)ctx;
    heard.acked[item->offset]++;
}
static void on_lost(void *ctx, const struct gw_sent_item *item)
{
    (void)ctx;
    heard.lost[item->offset]++;
}
static void on_forgotten(void *ctx, const struct gw_sent_item *item)
{
    (void)ctx;
    heard.forgotten[item->offset]++;
}
static void on_controls_lost(void *ctx, uint8_t controls)
{
    (void)ctx;
    heard.controls |= controls;
}
static void on_ack_seen(void *ctx, uint64_t largest)
{
    (void)ctx;
    heard.ack_seen = largest;
}
static const struct gw_recovery_events events = {on_acked,         on_lost,     on_forgotten,
                                                 on_controls_lost, on_ack_seen, NULL};

static struct gw_cc cc;
static struct gw_recovery recovery;
static struct gw_mono now;

static int set_up(void **state)
{
    (void)state;
    memset(&cc_saw, 0, sizeof cc_saw);
    memset(&heard, 0, sizeof heard);
    cc = (struct gw_cc){.ops = &cc_ops, .mss = SIZE, .cwnd = 1u << 30};
    now = (struct gw_mono){GW_S(100)};
    gw_recovery_init(&recovery, &cc, &events, now);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gw_recovery_fini(&recovery);
    return 0;
}

static void advance(int64_t ns)
{
    now = gw_mono_add(now, ns);
}

static void send_packets(unsigned count)
{
    while (count-- > 0) {
        struct gw_sent_packet *packet = gw_sent_begin(&recovery.sent);
        struct gw_sent_item *item = gw_sent_add(&recovery.sent, packet);
        item->kind = GW_SENT_BYTES;
        item->offset = recovery.sent.next;
        gw_recovery_on_sent(&recovery, now, packet, SIZE);
    }
}

/* ACK of [start, end). */
static void ack_range(uint64_t start, uint64_t end)
{
    struct gw_ack ack = {.count = 1, .ranges = {{start, end}}};
    assert_int_equal(gw_recovery_on_ack(&recovery, now, &ack), 0);
}

/* A steady round trip of 40 ms. */
static void warm_up(void)
{
    for (int i = 0; i < 20; i++) {
        uint64_t number = recovery.sent.next;
        send_packets(1);
        advance(GW_MS(40));
        ack_range(number, number + 1);
    }
}

static void test_rtt(void **state)
{
    (void)state;
    assert_int_equal(gw_recovery_rtt(&recovery), GW_MS(100)); /* nobody knows */
    gw_recovery_new_path(&recovery, now, GW_MS(30));
    assert_int_equal(gw_recovery_rtt(&recovery), GW_MS(30)); /* the hint */
    send_packets(2);
    advance(GW_MS(50));
    ack_range(0, 1);
    assert_int_equal(recovery.srtt_ns, GW_MS(50));
    assert_int_equal(recovery.rttvar_ns, GW_MS(25));
    assert_int_equal(recovery.min_rtt_ns, GW_MS(50));
    /* The peer's delay is taken off, but never below the minimum. */
    struct gw_ack ack = {.count = 1, .ranges = {{0, 2}}, .delay_ns = GW_MS(8)};
    advance(GW_MS(8));
    assert_int_equal(gw_recovery_on_ack(&recovery, now, &ack), 0);
    assert_int_equal(cc_saw.last.rtt_ns, GW_MS(50));
    assert_int_equal(recovery.latest_rtt_ns, GW_MS(58));
    /* An ACK whose largest number is old news gives no sample. */
    send_packets(2);
    advance(GW_MS(60));
    ack_range(3, 4);
    advance(GW_MS(60));
    ack_range(0, 4);
    assert_int_equal(cc_saw.last.rtt_ns, 0);
    assert_int_equal(cc_saw.acked, 4 * SIZE);
    assert_int_equal(recovery.inflight, 0);
}

static void test_nonsense(void **state)
{
    (void)state;
    struct gw_ack ack = {.count = 1, .ranges = {{0, 1}}};
    assert_int_equal(gw_recovery_on_ack(&recovery, now, &ack), GW_E_MALFORMED);
    send_packets(1);
    ack.ranges[0].end = 2;
    assert_int_equal(gw_recovery_on_ack(&recovery, now, &ack), GW_E_MALFORMED);
    ack_range(0, 1);
    ack_range(0, 1); /* again: nothing happens */
    assert_int_equal(heard.acked[0], 1);
    assert_int_equal(cc_saw.acked, SIZE);
}

static void test_rack(void **state)
{
    (void)state;
    warm_up();
    uint64_t first = recovery.sent.next;
    send_packets(1);
    advance(GW_MS(2));
    send_packets(5);
    advance(GW_MS(40));
    ack_range(first + 1, first + 6);
    /* It is 42 ms old: within the round trip and a quarter. */
    assert_int_equal(heard.lost[first], 0);
    int64_t wait = gw_mono_sub(gw_recovery_deadline(&recovery), now);
    assert_in_range(wait, GW_MS(7), GW_MS(9));
    advance(wait - 1);
    assert_int_equal(gw_recovery_expire(&recovery, now), 0);
    assert_int_equal(heard.lost[first], 0);
    advance(1);
    assert_int_equal(gw_recovery_expire(&recovery, now), 0);
    assert_int_equal(heard.lost[first], 1);
    assert_int_equal(cc_saw.lost, SIZE);
    assert_int_equal(recovery.inflight, 0);
    assert_true(gw_mono_is_never(gw_recovery_deadline(&recovery)));
    /* It comes after all: spurious, and the window is wider from now on. */
    ack_range(first, first + 6);
    assert_int_equal(recovery.spurious, 1);
    assert_int_equal(cc_saw.spurious, 1);
    assert_int_equal(heard.acked[first], 1);
    assert_int_equal(recovery.window_factor, 2);
    assert_int_equal(cc_saw.acked, 25 * SIZE);
    first = recovery.sent.next;
    send_packets(1);
    advance(GW_MS(2));
    send_packets(1);
    advance(GW_MS(40));
    ack_range(first + 1, first + 2);
    wait = gw_mono_sub(gw_recovery_deadline(&recovery), now);
    assert_in_range(wait, GW_MS(17), GW_MS(19));
}

static void test_window_is_never_under_1_ms(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        uint64_t number = recovery.sent.next;
        send_packets(1);
        advance(GW_US(100));
        ack_range(number, number + 1);
    }
    uint64_t first = recovery.sent.next;
    send_packets(50);
    advance(GW_US(100));
    ack_range(first + 3, first + 50);
    assert_int_equal(heard.lost[first], 0); /* 47 packets later: no threshold of packets */
    advance(GW_US(1001));
    (void)gw_recovery_expire(&recovery, now);
    assert_int_equal(heard.lost[first], 1);
}

static void test_runs_are_skipped(void **state)
{
    (void)state;
    /* Odd packets first, then all: each is acked once, whatever the ranges repeat. */
    send_packets(100);
    advance(GW_MS(40));
    struct gw_ack ack = {.count = 50};
    for (unsigned i = 0; i < 50; i++)
        ack.ranges[i] = (struct gw_range){99 - 2 * i, 100 - 2 * i};
    assert_int_equal(gw_recovery_on_ack(&recovery, now, &ack), 0);
    ack_range(50, 100);
    ack_range(10, 90);
    ack_range(0, 100);
    ack_range(0, 100);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(heard.acked[i], 1);
    assert_int_equal(recovery.outstanding, 0);
    assert_true(gw_sent_is_empty(&recovery.sent));
}

static void test_probes(void **state)
{
    (void)state;
    warm_up();
    uint64_t first = recovery.sent.next;
    send_packets(2);
    /* A round trip that is steady, the ack's delay and the timers' grain. */
    int64_t wait = gw_mono_sub(gw_recovery_deadline(&recovery), now);
    assert_int_equal(wait, GW_MS(40) + GW_MS(10) + GW_MS(1));
    for (unsigned i = 0; i < 12; i++) {
        wait = gw_mono_sub(gw_recovery_deadline(&recovery), now);
        advance(wait);
        unsigned probes = gw_recovery_expire(&recovery, now);
        assert_int_equal(probes, i == 1 || i == 2 ? 2 : 1);
        assert_true(wait <= GW_S(2));
    }
    assert_int_equal(wait, GW_S(2));
    /* Nothing was declared lost by silence alone. */
    assert_int_equal(cc_saw.lost, 0);
    assert_int_equal(recovery.inflight, 2 * SIZE);
    /* A probe repeats what the oldest carried, once. */
    assert_true(gw_recovery_repeat_oldest(&recovery));
    assert_int_equal(heard.lost[first], 1);
    assert_true(gw_recovery_repeat_oldest(&recovery));
    assert_int_equal(heard.lost[first + 1], 1);
    assert_false(gw_recovery_repeat_oldest(&recovery));
    send_packets(1);
    advance(GW_MS(40));
    ack_range(first + 2, first + 3);
    /* Now they are lost, which their streams know already. */
    assert_int_equal(cc_saw.lost, 2 * SIZE);
    assert_int_equal(heard.lost[first], 1);
    assert_int_equal(recovery.inflight, 0);
    assert_int_equal(recovery.pto_count, 0);
}

static void test_persistent_congestion(void **state)
{
    (void)state;
    warm_up();
    uint64_t first = recovery.sent.next;
    for (int i = 0; i < 10; i++) {
        send_packets(1);
        advance(GW_MS(100));
    }
    send_packets(1);
    advance(GW_MS(40));
    ack_range(first + 10, first + 11);
    assert_int_equal(cc_saw.lost, 10 * SIZE);
    assert_int_equal(cc_saw.persistent, 1);
    /* The same losses with one arrival in between are not. */
    first = recovery.sent.next;
    for (int i = 0; i < 5; i++) {
        send_packets(1);
        advance(GW_MS(35));
    }
    ack_range(first + 2, first + 3);
    send_packets(1);
    advance(GW_MS(40));
    ack_range(first + 5, first + 6);
    assert_int_equal(cc_saw.persistent, 1);
    assert_int_equal(cc_saw.lost, 14 * SIZE);
}

static void test_forgetting(void **state)
{
    (void)state;
    warm_up();
    uint64_t first = recovery.sent.next;
    send_packets(1);
    advance(GW_MS(20));
    send_packets(1);
    advance(GW_MS(40));
    ack_range(first + 1, first + 2);
    assert_int_equal(heard.lost[first], 1);
    gw_recovery_forget(&recovery, now);
    assert_int_equal(heard.forgotten[first], 0);
    advance(GW_S(2));
    gw_recovery_forget(&recovery, now);
    assert_int_equal(heard.forgotten[first], 1);
    assert_true(gw_sent_is_empty(&recovery.sent));
    ack_range(first, first + 2); /* too late to matter */
    assert_int_equal(heard.acked[first], 0);
}

static void test_ce(void **state)
{
    (void)state;
    send_packets(10);
    advance(GW_MS(40));
    struct gw_ack ack = {.count = 1, .ranges = {{0, 5}}, .ce_count = 2};
    assert_int_equal(gw_recovery_on_ack(&recovery, now, &ack), 0);
    assert_int_equal(cc_saw.ce, 2 * SIZE);
    ack.ranges[0].end = 10;
    ack.ce_count = 1000; /* more than were acked */
    assert_int_equal(gw_recovery_on_ack(&recovery, now, &ack), 0);
    assert_int_equal(cc_saw.ce, 7 * SIZE);
}

static void test_new_path(void **state)
{
    (void)state;
    warm_up();
    uint64_t first = recovery.sent.next;
    send_packets(3);
    gw_recovery_new_path(&recovery, now, GW_MS(7));
    assert_int_equal(recovery.inflight, 0);
    send_packets(1);
    assert_int_equal(recovery.inflight, SIZE);
    advance(GW_MS(500));
    uint64_t acked = cc_saw.acked, lost = cc_saw.lost;
    ack_range(first + 1, first + 2); /* of the old one */
    assert_int_equal(recovery.srtt_ns, 0);
    assert_int_equal(cc_saw.acked, acked);
    ack_range(first + 3, first + 4);
    assert_int_equal(recovery.srtt_ns, GW_MS(500));
    assert_int_equal(cc_saw.acked, acked + SIZE);
    advance(GW_S(1));
    (void)gw_recovery_expire(&recovery, now);
    assert_int_equal(heard.lost[first], 1);
    assert_int_equal(heard.lost[first + 2], 1);
    assert_int_equal(cc_saw.lost, lost);
    assert_int_equal(recovery.inflight, 0);
    assert_int_equal(recovery.outstanding, 0);
}

static void test_first_probe(void **state)
{
    (void)state;
    assert_true(gw_mono_is_never(gw_recovery_deadline(&recovery))); /* nothing in flight */
    gw_recovery_new_path(&recovery, now, GW_MS(30));
    send_packets(1);
    /* By the hint. */
    assert_int_equal(gw_mono_sub(gw_recovery_deadline(&recovery), now),
                     2 * GW_MS(30) + GW_US(7500) + GW_MS(1));
    advance(GW_MS(50));
    ack_range(0, 1);
    send_packets(1);
    /* One sample leaves a wide variance; a tail loss probe takes two round trips all the same. */
    assert_int_equal(gw_mono_sub(gw_recovery_deadline(&recovery), now),
                     2 * GW_MS(50) + GW_US(12500) + GW_MS(1));
}

static void test_controls_and_acks(void **state)
{
    (void)state;
    warm_up();
    struct gw_sent_packet *packet = gw_sent_begin(&recovery.sent);
    uint64_t first = recovery.sent.next;
    packet->controls = 5;
    packet->u.ack_largest = 78; /* 77 */
    gw_recovery_on_sent(&recovery, now, packet, SIZE);
    advance(GW_MS(20));
    send_packets(1);
    advance(GW_MS(40));
    ack_range(first + 1, first + 2);
    assert_int_equal(heard.controls, 5);
    ack_range(first, first + 2);
    assert_int_equal(heard.ack_seen, 77);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rtt),
        TEST(test_nonsense),
        TEST(test_rack),
        TEST(test_window_is_never_under_1_ms),
        TEST(test_runs_are_skipped),
        TEST(test_first_probe),
        TEST(test_probes),
        TEST(test_persistent_congestion),
        TEST(test_forgetting),
        TEST(test_ce),
        TEST(test_new_path),
        TEST(test_controls_and_acks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

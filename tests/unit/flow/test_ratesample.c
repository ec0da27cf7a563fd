/* SPDX-License-Identifier: MIT */
/* Delivery rate samples: a conveyor of packets whose true rate is known. */
#include "gateway/flow/ratesample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BYTES 1000u
#define PACKETS 64u

struct conveyor {
    struct gw_rate rate;
    struct gw_mono start;
    uint64_t inflight;
    struct {
        struct gw_mono sent_at;
        struct gw_rate_stamp stamp;
    } packets[PACKETS];
    unsigned sent;
};

static struct gw_mono ms(const struct conveyor *c, double t)
{
    return gw_mono_add(c->start, (int64_t)(t * 1e6));
}

static void begin(struct conveyor *c)
{
    memset(c, 0, sizeof *c);
    c->start = (struct gw_mono){GW_S(1000)};
    gw_rate_init(&c->rate, c->start);
}

static unsigned send_at(struct conveyor *c, double t)
{
    assert_true(c->sent < PACKETS);
    unsigned i = c->sent++;
    c->packets[i].sent_at = ms(c, t);
    gw_rate_on_sent(&c->rate, ms(c, t), BYTES, c->inflight, &c->packets[i].stamp);
    c->inflight += BYTES;
    return i;
}

static void take(struct conveyor *c, unsigned i, double t)
{
    gw_rate_on_acked(&c->rate, ms(c, t), BYTES, c->packets[i].sent_at, &c->packets[i].stamp);
    c->inflight -= BYTES;
}

static struct gw_cc_ack finish(struct conveyor *c, double t, double min_rtt_ms)
{
    struct gw_cc_ack ack = {.now = ms(c, t)};
    gw_rate_finish(&c->rate, ms(c, t), (int64_t)(min_rtt_ms * 1e6), &ack);
    return ack;
}

static struct gw_cc_ack ack_at(struct conveyor *c, unsigned i, double t)
{
    take(c, i, t);
    return finish(c, t, 0);
}

#define assert_rate(ack, expected) \
    assert_in_range((ack).delivery_rate, 99 * (expected) / 100, 101 * (expected) / 100)

static void test_steady(void **state)
{
    (void)state;
    struct conveyor c;
    struct gw_cc_ack ack = {0};
    begin(&c);
    for (unsigned i = 0; i < 40; i++) { /* one each ms, a round trip of 10 ms */
        send_at(&c, i);
        if (i >= 10)
            ack = ack_at(&c, i - 10, i);
    }
    assert_rate(ack, 1000000);
    assert_false(ack.is_app_limited);
    assert_int_equal(ack.delivered, 30 * BYTES);
    assert_int_equal(ack.largest_acked_delivered, 19 * BYTES);
    assert_int_equal(ack.tx_inflight, 11 * BYTES);
    assert_int_equal(ack.largest_sent_at.ns, ms(&c, 29).ns);
}

/* Acks that were held back and come together do not make the path look faster than we sent. */
static void test_compressed_acks(void **state)
{
    (void)state;
    struct conveyor c;
    begin(&c);
    for (unsigned i = 0; i < 20; i++)
        send_at(&c, i);
    ack_at(&c, 0, 20);
    for (unsigned i = 1; i < 20; i++)
        take(&c, i, 20.01);
    assert_rate(finish(&c, 20.01, 0), 1000000);
}

/* A train sent at once that arrives at the path's pace. */
static void test_burst(void **state)
{
    (void)state;
    struct conveyor c;
    struct gw_cc_ack ack = {0};
    begin(&c);
    for (unsigned i = 0; i < 20; i++)
        send_at(&c, 0);
    for (unsigned i = 0; i < 20; i++)
        ack = ack_at(&c, i, 10 + 0.5 * i);
    for (unsigned i = 0; i < 20; i++)
        send_at(&c, 20);
    for (unsigned i = 20; i < 40; i++)
        ack = ack_at(&c, i, 30 + 0.5 * (i - 20));
    /* 20 packets in the 19.5 ms since the train left: what one flight in a round trip gives */
    assert_rate(ack, 1025641);
}

static void test_newest_of_a_train(void **state)
{
    (void)state;
    struct conveyor c;
    begin(&c);
    for (unsigned i = 0; i < 3; i++)
        send_at(&c, 0);
    /* Whatever the order in which an ACK's packets are told. */
    take(&c, 2, 10);
    take(&c, 0, 10);
    take(&c, 1, 10);
    assert_int_equal(finish(&c, 10, 0).tx_inflight, 3 * BYTES);
}

static void test_app_limited(void **state)
{
    (void)state;
    struct conveyor c;
    begin(&c);
    send_at(&c, 0);
    send_at(&c, 1);
    gw_rate_app_limited(&c.rate, c.inflight);
    assert_true(gw_rate_is_app_limited(&c.rate));
    send_at(&c, 5);
    assert_false(ack_at(&c, 0, 10).is_app_limited); /* sent before */
    assert_false(ack_at(&c, 1, 11).is_app_limited);
    assert_true(gw_rate_is_app_limited(&c.rate));
    assert_true(ack_at(&c, 2, 15).is_app_limited);
    assert_false(gw_rate_is_app_limited(&c.rate)); /* what was in flight then is acked */
    send_at(&c, 15);
    assert_false(ack_at(&c, 3, 25).is_app_limited);
}

static void test_idle_is_not_slowness(void **state)
{
    (void)state;
    struct conveyor c;
    begin(&c);
    send_at(&c, 0);
    ack_at(&c, 0, 10);
    for (unsigned i = 0; i < 10; i++)
        send_at(&c, 5000 + i);
    for (unsigned i = 1; i < 10; i++)
        ack_at(&c, i, 5010 + i - 1);
    assert_rate(ack_at(&c, 10, 5019), 526315); /* 10 packets in the 19 ms since the restart */
}

static void test_losses(void **state)
{
    (void)state;
    struct conveyor c;
    begin(&c);
    for (unsigned i = 0; i < 4; i++)
        send_at(&c, i);
    assert_int_equal(gw_rate_on_lost(&c.rate, BYTES, &c.packets[0].stamp), BYTES);
    send_at(&c, 4);
    assert_int_equal(gw_rate_on_lost(&c.rate, BYTES, &c.packets[1].stamp), 2 * BYTES);
    assert_int_equal(ack_at(&c, 2, 10).lost_since_sent, 2 * BYTES);
    assert_int_equal(ack_at(&c, 4, 14).lost_since_sent, BYTES);
}

static void test_our_own_stall(void **state)
{
    (void)state;
    struct conveyor c;
    begin(&c);
    send_at(&c, 0);
    gw_rate_served(&c.rate, ms(&c, 4), ms(&c, 8)); /* a little late */
    assert_false(ack_at(&c, 0, 10).is_app_limited);
    send_at(&c, 11);
    gw_rate_served(&c.rate, ms(&c, 12), ms(&c, 60));
    assert_true(ack_at(&c, 1, 60).is_app_limited);
    send_at(&c, 60);
    assert_false(ack_at(&c, 2, 70).is_app_limited);
    gw_rate_served(&c.rate, GW_NEVER, ms(&c, 80)); /* nothing was due */
    send_at(&c, 79);
    assert_false(ack_at(&c, 3, 90).is_app_limited);
}

static void test_no_sample(void **state)
{
    (void)state;
    struct conveyor c;
    begin(&c);
    send_at(&c, 0);
    take(&c, 0, 5);
    assert_int_equal(finish(&c, 5, 8).delivery_rate, 0); /* shorter than any round trip */
    struct gw_cc_ack ack = finish(&c, 6, 0);             /* nothing new */
    assert_int_equal(ack.delivery_rate, 0);
    assert_int_equal(ack.delivered, BYTES);
    assert_true(ack.is_app_limited);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steady),      cmocka_unit_test(test_compressed_acks),
        cmocka_unit_test(test_burst),       cmocka_unit_test(test_newest_of_a_train),
        cmocka_unit_test(test_app_limited), cmocka_unit_test(test_idle_is_not_slowness),
        cmocka_unit_test(test_losses),      cmocka_unit_test(test_our_own_stall),
        cmocka_unit_test(test_no_sample),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

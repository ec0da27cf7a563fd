/* SPDX-License-Identifier: MIT */
/* The simulator's own parts: virtual time and the link. */
#include "tests/sim/link.h"

#include "gateway/base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- Clock. */

static unsigned order[400];
static unsigned order_len;

struct numbered {
    struct sim_event event;
    unsigned number;
    int64_t again_ns;
};

static void on_numbered(struct sim_clock *clock, struct sim_event *event)
{
    struct numbered *n = gw_container_of(event, struct numbered, event);
    assert_int_equal(event->slot, 0);
    assert_int_equal(event->at.ns, clock->now.ns);
    order[order_len++] = n->number;
    if (n->again_ns) {
        sim_clock_at(clock, event, gw_mono_add(clock->now, n->again_ns));
        n->again_ns = 0;
    }
}

static void test_clock(void **state)
{
    (void)state;
    struct sim_clock clock;
    struct numbered n[5] = {0};
    sim_clock_init(&clock);
    struct gw_mono t = clock.now;
    order_len = 0;
    for (unsigned i = 0; i < 5; i++)
        n[i] = (struct numbered){.event.fire = on_numbered, .number = i};
    sim_clock_at(&clock, &n[0].event, gw_mono_add(t, 30));
    sim_clock_at(&clock, &n[1].event, gw_mono_add(t, 10));
    sim_clock_at(&clock, &n[2].event, gw_mono_add(t, 10)); /* of equal ones the first scheduled */
    sim_clock_at(&clock, &n[3].event, gw_mono_add(t, 20));
    sim_clock_at(&clock, &n[4].event, gw_mono_add(t, 5));
    sim_clock_at(&clock, &n[4].event, gw_mono_add(t, 30)); /* moved: behind n[0] */
    sim_clock_cancel(&clock, &n[3].event);
    n[1].again_ns = 20;
    sim_clock_run(&clock, gw_mono_add(t, 100));
    static const unsigned expected[] = {1, 2, 0, 4, 1};
    assert_int_equal(order_len, 5);
    assert_memory_equal(order, expected, sizeof expected);
    assert_int_equal(gw_mono_sub(clock.now, t), 100);
    sim_clock_at(&clock, &n[3].event, t); /* past: now */
    assert_true(sim_clock_step(&clock, clock.now));
    assert_int_equal(gw_mono_sub(clock.now, t), 100);
    sim_clock_at(&clock, &n[3].event, GW_NEVER);
    assert_false(sim_clock_step(&clock, gw_mono_add(t, 200)));
    sim_clock_fini(&clock);
}

/* Random scheduling, moving and cancelling against the order that sorting gives. */
static void test_clock_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct sim_dice dice = {seed};
        struct sim_clock clock;
        static struct numbered n[100];
        sim_clock_init(&clock);
        order_len = 0;
        for (unsigned i = 0; i < 100; i++)
            n[i] = (struct numbered){.event.fire = on_numbered, .number = i};
        for (unsigned i = 0; i < 1000; i++) {
            struct sim_event *event = &n[sim_dice_u64(&dice) % 100].event;
            if (sim_dice_u64(&dice) % 4 == 0)
                sim_clock_cancel(&clock, event);
            else
                sim_clock_at(&clock, event, gw_mono_add(clock.now, (int64_t)(sim_dice_u64(&dice) % 50)));
        }
        size_t scheduled = clock.len;
        sim_clock_run(&clock, gw_mono_add(clock.now, 1000));
        assert_int_equal(order_len, scheduled);
        for (unsigned i = 1; i < order_len; i++) {
            const struct sim_event *a = &n[order[i - 1]].event, *b = &n[order[i]].event;
            assert_true(a->at.ns < b->at.ns || (a->at.ns == b->at.ns && a->sequence < b->sequence));
        }
        sim_clock_fini(&clock);
    }
}

/* ---- Link. */

struct sink {
    struct sim_port port;
    struct gw_mono first, last;
    uint64_t count, bytes, marked, out_of_order, sum;
    uint32_t largest;
};

static void on_datagram(struct sim_port *port, struct gw_mono now, const void *data, size_t len, uint8_t ecn)
{
    struct sink *sink = gw_container_of(port, struct sink, port);
    uint32_t number;
    memcpy(&number, data, sizeof number);
    if (sink->count++ == 0)
        sink->first = now;
    sink->last = now;
    sink->bytes += len;
    sink->marked += ecn == 3;
    sink->out_of_order += number < sink->largest;
    sink->largest = number > sink->largest ? number : sink->largest;
    sink->sum += number * (uint64_t)now.ns;
}

struct fixture {
    struct sim_clock clock;
    struct gw_mono start;
    struct sim_link *link;
    struct sink sink;
};

static void begin(struct fixture *f, const struct sim_link_params *params, uint64_t seed)
{
    memset(f, 0, sizeof *f);
    sim_clock_init(&f->clock);
    f->start = f->clock.now;
    f->link = sim_link_new(&f->clock, params, seed);
    f->sink.port.deliver = on_datagram;
}

static void end(struct fixture *f)
{
    sim_link_free(f->link);
    sim_clock_fini(&f->clock);
}

/* `count` datagrams of `len` bytes, one each gap_ns. */
static void send_many(struct fixture *f, unsigned count, size_t len, int64_t gap_ns, uint8_t ecn)
{
    uint8_t bytes[2000] = {0};
    for (uint32_t i = 0; i < count; i++) {
        memcpy(bytes, &i, sizeof i);
        sim_link_send(f->link, &f->sink.port, bytes, len, ecn);
        sim_clock_run(&f->clock, gw_mono_add(f->clock.now, gap_ns));
    }
}

static void settle(struct fixture *f)
{
    sim_clock_run(&f->clock, gw_mono_add(f->clock.now, GW_S(100)));
}

static void test_rate_and_delay(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, &(struct sim_link_params){.rate_bps = 8000000, .delay_ns = GW_MS(10), .overhead = 28}, 1);
    send_many(&f, 100, 972, 0, 0); /* 1000 bytes take 1 ms */
    assert_int_equal(sim_link_queued(f.link), 100 * 1000);
    settle(&f);
    assert_int_equal(f.sink.count, 100);
    assert_int_equal(f.sink.bytes, 97200);
    assert_int_equal(gw_mono_sub(f.sink.first, f.start), GW_MS(11));
    assert_int_equal(gw_mono_sub(f.sink.last, f.start), GW_MS(110));
    assert_int_equal(sim_link_queued(f.link), 0);
    assert_int_equal(sim_link_stats(f.link)->queue_max, 100000);
    end(&f);
}

static void test_ideal_wire(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, &(struct sim_link_params){0}, 1);
    send_many(&f, 10, 100, 0, 0);
    sim_clock_run(&f.clock, f.start);
    assert_int_equal(f.sink.count, 10);
    assert_int_equal(f.sink.last.ns, f.start.ns);
    end(&f);
}

static void test_drop_tail_and_marks(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, &(struct sim_link_params){.rate_bps = 8000000, .buffer_bytes = 10000, .mark_bytes = 4000}, 1);
    send_many(&f, 30, 1000, 0, 2);
    settle(&f);
    assert_int_equal(f.sink.count, 10);
    assert_int_equal(sim_link_stats(f.link)->dropped_full, 20);
    assert_int_equal(f.sink.marked, 5);
    send_many(&f, 10, 1000, 0, 0); /* not ECT: never marked */
    settle(&f);
    assert_int_equal(f.sink.marked, 5);
    end(&f);
}

static void test_mtu(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, &(struct sim_link_params){.mtu = 1500, .overhead = 28}, 1);
    send_many(&f, 1, 1472, 0, 0);
    send_many(&f, 1, 1473, 0, 0);
    settle(&f);
    assert_int_equal(f.sink.count, 1);
    assert_int_equal(sim_link_stats(f.link)->dropped_mtu, 1);
    end(&f);
}

static void test_chances(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, &(struct sim_link_params){.loss = 0.01, .duplicate = 0.02, .delay_ns = GW_MS(5)}, 3);
    send_many(&f, 100000, 40, GW_US(1), 0);
    settle(&f);
    const struct sim_link_stats *stats = sim_link_stats(f.link);
    assert_in_range(stats->dropped_loss, 850, 1150);
    assert_in_range(stats->duplicated, 1750, 2250);
    assert_int_equal(f.sink.count, 100000 - stats->dropped_loss + stats->duplicated);
    assert_int_equal(f.sink.out_of_order, 0);
    end(&f);
}

/* Mean loss = share of time in the bad state * burst_loss; and it comes in bursts. */
static void test_bursts(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, &(struct sim_link_params){.burst_enter = 0.001, .burst_leave = 0.05, .burst_loss = 0.5}, 4);
    send_many(&f, 200000, 40, 0, 0);
    settle(&f);
    assert_in_range(sim_link_stats(f.link)->dropped_loss, 1500, 2500); /* 0.0196 * 0.5 */
    end(&f);
}

static void test_jitter_and_reorder(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, &(struct sim_link_params){.delay_ns = GW_MS(5), .jitter_ns = GW_MS(3)}, 5);
    send_many(&f, 10000, 40, GW_US(10), 0);
    settle(&f);
    assert_int_equal(f.sink.count, 10000);
    assert_int_equal(f.sink.out_of_order, 0); /* jitter alone keeps the order */
    end(&f);
    begin(&f, &(struct sim_link_params){.delay_ns = GW_MS(5), .reorder = 0.1, .reorder_ns = GW_MS(1)}, 5);
    send_many(&f, 10000, 40, GW_US(10), 0);
    settle(&f);
    assert_int_equal(f.sink.count, 10000);
    assert_in_range(f.sink.out_of_order, 800, 1200);
    end(&f);
}

static void test_partition(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, &(struct sim_link_params){.delay_ns = GW_MS(5)}, 1);
    sim_link_partition(f.link, gw_mono_add(f.start, GW_MS(10)), gw_mono_add(f.start, GW_MS(20)));
    sim_link_partition(f.link, gw_mono_add(f.start, GW_MS(25)), gw_mono_add(f.start, GW_MS(26)));
    send_many(&f, 30, 40, GW_MS(1), 0);
    settle(&f);
    assert_int_equal(f.sink.count, 19);
    assert_int_equal(sim_link_stats(f.link)->dropped_down, 11);
    end(&f);
}

static void test_changes(void **state)
{
    (void)state;
    struct fixture f;
    struct sim_link_params params = {.rate_bps = 8000000};
    begin(&f, &params, 1);
    send_many(&f, 20, 1000, 0, 0);
    sim_clock_run(&f.clock, gw_mono_add(f.start, GW_MS(10)));
    params.rate_bps = 80000000; /* the one that is being sent takes its ms still */
    sim_link_set(f.link, &params);
    settle(&f);
    assert_int_equal(gw_mono_sub(f.sink.last, f.start), GW_MS(11) + 9 * GW_US(100));
    /* Its receiver goes away. */
    send_many(&f, 5, 1000, 0, 0);
    sim_link_forget(f.link, &f.sink.port);
    settle(&f);
    assert_int_equal(f.sink.count, 20);
    send_many(&f, 5, 1000, 0, 0); /* and the link itself, with datagrams in it */
    end(&f);
}

static void test_is_reproducible(void **state)
{
    (void)state;
    uint64_t sums[3];
    for (int i = 0; i < 3; i++) {
        struct fixture f;
        begin(&f,
              &(struct sim_link_params){.rate_bps = 10000000,
                                        .buffer_bytes = 20000,
                                        .loss = 0.1,
                                        .jitter_ns = GW_MS(3),
                                        .reorder = 0.1,
                                        .reorder_ns = GW_MS(1),
                                        .duplicate = 0.1},
              i == 2 ? 8 : 7);
        send_many(&f, 2000, 500, GW_US(300), 0);
        settle(&f);
        sums[i] = f.sink.sum;
        end(&f);
    }
    assert_true(sums[0] == sums[1]);
    assert_true(sums[0] != sums[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_clock_random),
        cmocka_unit_test(test_rate_and_delay),
        cmocka_unit_test(test_ideal_wire),
        cmocka_unit_test(test_drop_tail_and_marks),
        cmocka_unit_test(test_mtu),
        cmocka_unit_test(test_chances),
        cmocka_unit_test(test_bursts),
        cmocka_unit_test(test_jitter_and_reorder),
        cmocka_unit_test(test_partition),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_is_reproducible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

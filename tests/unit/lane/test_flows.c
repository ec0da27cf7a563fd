/* SPDX-License-Identifier: MIT */
/* What lanes may carry: the table that the engine's thread fills and lanes look into. */
#include "gateway/lane/flows.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define READERS 3u
#define FLOWS 64u
#define ROUNDS 2000u

static const uint8_t seed[GW_FLOW_SEED_LEN] = {5, 3, 1};
static struct gw_lane_flows *flows;
static struct gw_mono now;

static int set_up(void **state)
{
    (void)state;
    flows = gw_lane_flows_new(seed);
    assert_non_null(flows);
    now = (struct gw_mono){GW_S(1000)};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gw_lane_flows_free(flows);
    return 0;
}

static struct gw_flow_key key_of(uint32_t number)
{
    return (struct gw_flow_key){
        .local = {10, 0, 0, 1}, .remote = {10, 0, 0, 2}, .ports = number, .family = 4, .protocol = GW_IP_UDP};
}

static void admit(uint32_t number, bool is_inbound)
{
    struct gw_flow_key key = key_of(number);
    gw_lane_flows_admit(flows, &key, is_inbound, now);
}

static bool have(struct gw_lane_flow_last *last, uint32_t number, bool is_inbound)
{
    struct gw_flow_key key = key_of(number);
    return gw_lane_flows_have(flows, last, &key, is_inbound, now);
}

/* ---- one thread */

static void test_directions_are_admitted_by_themselves(void **state)
{
    struct gw_lane_flow_last last = {0};
    (void)state;
    assert_false(have(&last, 1, true));
    admit(1, false);
    assert_false(have(&last, 1, true));
    assert_true(have(&last, 1, false));
    admit(1, true);
    assert_true(have(&last, 1, true));
    assert_true(have(&last, 1, false));
    assert_false(have(&last, 2, true));
}

/* Whatever the lane asked just before. */
static void test_what_is_removed_is_gone(void **state)
{
    struct gw_lane_flow_last last = {0};
    struct gw_flow_key key = key_of(1);
    (void)state;
    admit(1, true);
    assert_true(have(&last, 1, true));
    gw_lane_flows_remove(flows, &key, true);
    assert_false(have(&last, 1, true));
    admit(1, true);
    assert_true(have(&last, 1, true));
    gw_lane_flows_clear(flows);
    assert_false(have(&last, 1, true));
}

static void test_use_keeps_it(void **state)
{
    struct gw_lane_flow_last last = {0};
    (void)state;
    admit(1, true);
    for (int i = 0; i < 10; i++) {
        now = gw_mono_add(now, GW_S(GW_LANE_FLOW_KEPT_S));
        assert_true(have(&last, 1, true));
    }
    now = gw_mono_add(now, GW_S(GW_LANE_FLOW_KEPT_S + 1));
    assert_false(have(&last, 1, true));
    /* A lane's clock may be behind the engine's. */
    admit(2, true);
    now = gw_mono_add(now, -GW_S(2));
    assert_true(have(&last, 2, true));
}

struct found {
    uint64_t tag;
    uint32_t used_s;
    unsigned count;
};

static void on_used(uint64_t tag, uint32_t used_s, void *ctx)
{
    struct found *found = ctx;
    *found = (struct found){tag, used_s, found->count + 1};
}

static void test_the_engine_hears_of_use(void **state)
{
    struct gw_lane_flow_last last = {0};
    struct gw_flow_key key = key_of(1);
    struct found found = {0};
    (void)state;
    gw_lane_flows_each(flows, on_used, &found);
    assert_int_equal(found.count, 0);
    admit(1, true);
    now = gw_mono_add(now, GW_S(7));
    assert_true(have(&last, 1, true));
    gw_lane_flows_each(flows, on_used, &found);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.tag, gw_flow_tag(&key, seed)); /* the gate's, without the direction */
    assert_int_equal(found.used_s, 1007);
}

/* The oldest of a set makes room; what is in use stays. */
static void test_a_flood_takes_the_oldest(void **state)
{
    struct gw_lane_flow_last last = {0};
    (void)state;
    admit(1, true);
    for (uint32_t i = 0; i < 20000; i++) {
        now = gw_mono_add(now, GW_MS(1) * 1000);
        assert_true(have(&last, 1, true));
        admit(100 + i, true);
    }
    assert_true(have(&last, 1, true));
    assert_true(have(&last, 100 + 19999, true));
    assert_false(have(&last, 100, true));
}

/* ---- threads */

static _Atomic bool is_over;
static _Atomic unsigned looks;

/* Those with odd numbers are never admitted. */
static void *look(void *arg)
{
    struct gw_lane_flow_last last = {0};
    (void)arg;
    for (uint32_t i = 0; !atomic_load(&is_over); i++) {
        uint32_t number = i / 8 % FLOWS;
        if (have(&last, number, true) && number % 2 == 1)
            abort();
        atomic_fetch_add_explicit(&looks, 1, memory_order_relaxed);
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[READERS];
    (void)state;
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look, NULL), 0);
    while (atomic_load(&looks) < 1000)
        sched_yield();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        for (uint32_t number = 0; number < FLOWS; number += 2)
            admit(number, true);
        struct gw_flow_key key = key_of(i % FLOWS);
        gw_lane_flows_remove(flows, &key, true);
        if (i % 64 == 0)
            gw_lane_flows_clear(flows);
    }
    atomic_store(&is_over, true);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_directions_are_admitted_by_themselves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_removed_is_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_use_keeps_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_engine_hears_of_use, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_flood_takes_the_oldest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

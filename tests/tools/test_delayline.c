/* SPDX-License-Identifier: MIT */
/* delayline on its own: what the link does with each kind of packet, in exact time. */
#include "tests/tools/delayline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/tools/tool.h"

static struct delayline *line_new(struct delayline_config config)
{
    config.packet_max = config.packet_max ? config.packet_max : 1500;
    config.packets_max = config.packets_max ? config.packets_max : 10000;
    return delayline_new(&config);
}

static void push(struct delayline *line, uint64_t now, uint32_t number, size_t len)
{
    memcpy(delayline_slot(line), &number, sizeof number);
    delayline_push(line, now, len);
}

/* Takes the next packet, which must be there; returns its number. */
static uint32_t take(struct delayline *line, uint64_t *due)
{
    uint32_t number;
    size_t len;

    *due = delayline_next(line);
    assert_true(*due != TOOL_NEVER);
    memcpy(&number, delayline_peek(line, &len), sizeof number);
    delayline_pop(line);
    return number;
}

static void test_delay(void **state)
{
    struct delayline *line = line_new((struct delayline_config){.delay_ns = 10 * TOOL_MS});
    uint64_t due;

    (void)state;
    assert_true(delayline_next(line) == TOOL_NEVER);
    push(line, 5, 1, 1000);
    push(line, 6, 2, 1000);
    assert_int_equal(take(line, &due), 1);
    assert_int_equal(due, 5 + 10 * TOOL_MS);
    assert_int_equal(take(line, &due), 2);
    assert_int_equal(due, 6 + 10 * TOOL_MS);
    assert_true(delayline_next(line) == TOOL_NEVER);
    delayline_free(line);
}

/* 1250 bytes at 100 Mbit/s take 100 us each; the queue holds 300 us. */
static void test_rate_and_queue(void **state)
{
    struct delayline *line = line_new((struct delayline_config){.rate = 100000000, .buffer_ns = 300000});
    uint64_t due;

    (void)state;
    for (uint32_t i = 0; i < 10; i++)
        push(line, 0, i, 1250);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(take(line, &due), i);
        assert_int_equal(due, (i + 1) * 100000);
    }
    assert_true(delayline_next(line) == TOOL_NEVER);
    assert_int_equal(delayline_stats(line)->dropped_queue, 6);
    push(line, 1000000, 10, 1250); /* the link was free for long: no credit for that */
    take(line, &due);
    assert_int_equal(due, 1100000);
    delayline_free(line);
}

static void test_buffer_in_bytes(void **state)
{
    struct delayline *line = line_new((struct delayline_config){.rate = 100000000, .buffer_bytes = 5000});

    (void)state;
    for (uint32_t i = 0; i < 10; i++)
        push(line, 0, i, 1250);
    assert_int_equal(delayline_stats(line)->dropped_queue, 6);
    delayline_free(line);
}

/* The loss that is asked for, in bursts of the length that is asked for. */
static void check_loss(double burst)
{
    enum { PACKETS = 1000000 };
    struct delayline *line = line_new((struct delayline_config){.loss = 0.02, .burst = burst, .seed = 7});
    const struct delayline_stats *stats = delayline_stats(line);
    uint64_t bursts = 0;
    bool was_lost = false;

    for (uint32_t i = 0; i < PACKETS; i++) {
        uint64_t before = stats->lost;

        push(line, i, i, 100);
        bursts += stats->lost > before && !was_lost;
        was_lost = stats->lost > before;
        if (!was_lost)
            delayline_pop(line);
    }
    assert_in_range(stats->lost, 18500, 21500);
    if (burst > 1)
        assert_in_range((uint64_t)(1000.0 * (double)stats->lost / (double)bursts), (uint64_t)(burst * 900),
                        (uint64_t)(burst * 1100));
    delayline_free(line);
}

static void test_loss(void **state)
{
    (void)state;
    check_loss(0);
    check_loss(4);
}

static void test_jitter_keeps_order(void **state)
{
    struct delayline *line =
        line_new((struct delayline_config){.delay_ns = TOOL_MS, .jitter_ns = 5 * TOOL_MS});
    uint64_t last = 0;
    uint64_t due;

    (void)state;
    for (uint32_t i = 0; i < 1000; i++)
        push(line, i * 1000, i, 100);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(take(line, &due), i);
        assert_true(due >= last && due >= i * 1000 + TOOL_MS);
        last = due;
    }
    delayline_free(line);
}

static void test_reorder_and_duplicate(void **state)
{
    struct delayline *line =
        line_new((struct delayline_config){.reorder = 0.1, .reorder_ns = 50, .duplicate = 0.1});
    uint64_t seen[1000] = {0};
    uint64_t due;
    uint32_t early = 0;
    uint32_t highest = 0;
    uint64_t copies = 0;

    (void)state;
    for (uint32_t i = 0; i < 1000; i++)
        push(line, i * 10, i, 100);
    while (delayline_next(line) != TOOL_NEVER) {
        uint32_t number = take(line, &due);

        assert_true(number < 1000);
        copies += seen[number]++ > 0;
        early += number < highest;
        highest = number > highest ? number : highest;
    }
    for (size_t i = 0; i < 1000; i++)
        assert_true(seen[i] > 0);
    assert_in_range(copies, 60, 140);
    assert_int_equal(copies, delayline_stats(line)->duplicated);
    assert_in_range(early, 60, 160);
    delayline_free(line);
}

/* Without room a packet is dropped and counted, and what is on its way stays whole. */
static void test_room(void **state)
{
    struct delayline *line =
        line_new((struct delayline_config){.delay_ns = 1, .packets_max = 3, .duplicate = 1});
    uint64_t due;

    (void)state;
    for (uint32_t i = 0; i < 5; i++)
        push(line, i, i, 100);
    assert_int_equal(delayline_stats(line)->dropped_room, 4);
    assert_int_equal(take(line, &due), 0);
    assert_int_equal(take(line, &due), 0);
    assert_int_equal(take(line, &due), 1);
    assert_true(delayline_next(line) == TOOL_NEVER);
    delayline_free(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delay),
        cmocka_unit_test(test_rate_and_queue),
        cmocka_unit_test(test_buffer_in_bytes),
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_jitter_keeps_order),
        cmocka_unit_test(test_reorder_and_duplicate),
        cmocka_unit_test(test_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Type 7: what is on the wire, and what is taken for a probe: of all that may come only what somebody with the key wrote. */
#include "gateway/peer/probes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A reply, with the mac of another implementation of BLAKE2s (Python's hashlib). */
static const uint8_t vector[GW_PROBE_LEN] = {
    0x07, 0x00, 0x00, 0x00, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0x04,
    0x03, 0x02, 0x01, 0x01, 0x03, 0x58, 0x1b, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xc0, 0x00, 0x02, 0x01, 0x4c, 0x2e, 0xc8,
    0xf8, 0x84, 0x70, 0x03, 0xac, 0x23, 0x39, 0xff, 0x3a, 0x2b, 0x10, 0x97, 0x51,
};

static uint8_t key[GW_PROBE_KEY_LEN];

static int set_up(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    return 0;
}

static struct gw_probe probe_of(const char *seen)
{
    struct gw_probe probe = {.token = {0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7},
                             .seq = 0x01020304,
                             .role = 1,
                             .is_reply = true,
                             .by_other_port = true};
    if (seen)
        assert_int_equal(gw_addr_parse(&probe.seen, seen), 0);
    return probe;
}

/* As it goes out. */
static void seal(uint8_t out[GW_PROBE_LEN], const struct gw_probe *probe)
{
    static struct gw_probe_queue queue;
    uint8_t slab[GW_PROBE_LEN];
    struct gw_train train = {.slab = slab};
    const struct gw_tuple to = {.link = 3};
    gw_probes_push(&queue, &to, probe, key);
    assert_true(gw_probes_output(&queue, &train));
    assert_int_equal(train.count, 1);
    assert_int_equal(gw_train_len(&train), GW_PROBE_LEN);
    assert_int_equal(train.tuple.link, 3);
    memcpy(out, slab, GW_PROBE_LEN);
}

static void assert_same(const struct gw_probe *a, const struct gw_probe *b)
{
    assert_memory_equal(a->token, b->token, sizeof a->token);
    assert_int_equal(a->seq, b->seq);
    assert_int_equal(a->role, b->role);
    assert_int_equal(a->is_reply, b->is_reply);
    assert_int_equal(a->by_other_port, b->by_other_port);
    assert_true(gw_addr_equal(&a->seen, &b->seen));
}

static void test_vector(void **state)
{
    (void)state;
    struct gw_probe expected = probe_of("192.0.2.1:7000"), got;
    uint8_t out[GW_PROBE_LEN];
    seal(out, &expected);
    assert_memory_equal(out, vector, sizeof vector);
    assert_true(gw_probe_open(&got, vector, key));
    assert_same(&got, &expected);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const char *const seen[] = {NULL, "0.0.0.0:1", "255.255.255.255:65535", "[2001:db8::1]:256",
                                       "[::1]:7000"};
    for (unsigned i = 0; i < 8 * sizeof seen / sizeof *seen; i++) {
        struct gw_probe probe = probe_of(seen[i / 8]), got;
        uint8_t out[GW_PROBE_LEN];
        probe.role = i & 1;
        probe.is_reply = i & 2;
        probe.by_other_port = i & 4;
        probe.seq = 0xfffffffeu + i;
        seal(out, &probe);
        assert_true(gw_probe_open(&got, out, key));
        if (!probe.is_reply)
            probe.seen = (struct gw_addr){0}; /* only a reply tells */
        assert_same(&got, &probe);
    }
}

/* Only one length passes the gate. */
static void test_every_length(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 2 * GW_PROBE_LEN; len++) {
        uint8_t *exact = calloc(1, len + 1);
        memcpy(exact, vector, len < sizeof vector ? len : sizeof vector);
        uint8_t *end = realloc(exact, len > 0 ? len : 1); /* for a sanitizer to see */
        assert_int_equal(gw_message_gate(end, len), len == GW_PROBE_LEN ? GW_MESSAGE_PROBE : GW_MESSAGE_NONE);
        free(end);
    }
}

static void test_every_bit(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 8 * GW_PROBE_LEN; bit++) {
        struct gw_probe got;
        uint8_t other[GW_PROBE_LEN];
        memcpy(other, vector, sizeof other);
        other[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(gw_probe_open(&got, other, key));
        if (bit < 32)
            assert_int_not_equal(gw_message_gate(other, sizeof other), GW_MESSAGE_PROBE);
    }
}

static void test_wrong_keys(void **state)
{
    (void)state;
    struct gw_probe got;
    uint8_t other[GW_PROBE_KEY_LEN];
    for (unsigned bit = 0; bit < 8 * GW_PROBE_KEY_LEN; bit++) {
        memcpy(other, key, sizeof other);
        other[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(gw_probe_open(&got, vector, other));
    }
    memset(other, 0, sizeof other);
    assert_false(gw_probe_open(&got, vector, other));
}

/* The mac is right, and yet there are roles and flags that nobody has. */
static void test_what_nobody_writes(void **state)
{
    (void)state;
    for (unsigned role = 0; role < 256; role++) {
        for (unsigned flags = 0; flags < 256; flags++) {
            struct gw_probe got;
            uint8_t other[GW_PROBE_LEN];
            memcpy(other, vector, sizeof other);
            other[16] = (uint8_t)role;
            other[17] = (uint8_t)flags;
            gw_mac(other + GW_PROBE_COVERED, key, sizeof key, other, GW_PROBE_COVERED);
            assert_int_equal(gw_probe_open(&got, other, key), role <= 1 && flags <= 3);
        }
    }
}

/* Both who hold a token make one key of it. */
static void test_context(void **state)
{
    (void)state;
    uint8_t low[32] = {1}, high[32] = {2}, secret[GW_TOKEN_SECRET_LEN] = {3}, a[GW_PROBE_CONTEXT_LEN],
            b[GW_PROBE_CONTEXT_LEN];
    gw_probe_context(a, secret, low, high);
    gw_probe_context(b, secret, high, low);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_equal(a, secret, sizeof secret);
    assert_memory_equal(a + sizeof secret, low, 32);
    assert_memory_equal(a + sizeof secret + 32, high, 32);
}

/* What is too much is dropped, the rest keeps its order. */
static void test_queue(void **state)
{
    (void)state;
    static struct gw_probe_queue queue;
    uint8_t slab[GW_PROBE_LEN];
    struct gw_train train = {.slab = slab};
    const struct gw_tuple to = {.link = 0};
    struct gw_probe probe = probe_of(NULL), got;
    for (probe.seq = 0; probe.seq < 2 * GW_PROBES_MAX; probe.seq++)
        gw_probes_push(&queue, &to, &probe, key);
    for (uint32_t seq = 0; seq < GW_PROBES_MAX; seq++) {
        assert_true(gw_probes_output(&queue, &train));
        assert_true(gw_probe_open(&got, slab, key));
        assert_int_equal(got.seq, seq);
    }
    assert_false(gw_probes_output(&queue, &train));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vector),       cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_length), cmocka_unit_test(test_every_bit),
        cmocka_unit_test(test_wrong_keys),   cmocka_unit_test(test_what_nobody_writes),
        cmocka_unit_test(test_context),      cmocka_unit_test(test_queue),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}

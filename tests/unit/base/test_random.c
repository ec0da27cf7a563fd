/* SPDX-License-Identifier: MIT */
/* Randomness: the seeded stream is ChaCha20 and the same for ever; the system's fills what it is given. */
#include "gateway/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* ChaCha20 with a zero key, from draft-agl-tls-chacha20poly1305-04, section 7: nonces 0 and 01 00 .. 00. */
static const uint8_t stream_of_call_0[32] = {
    0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28,
    0xbd, 0xd2, 0x19, 0xb8, 0xa0, 0x8d, 0xed, 0x1a, 0xa8, 0x36, 0xef, 0xcc, 0x8b, 0x77, 0x0d, 0xc7,
};
static const uint8_t stream_of_call_1[32] = {
    0xef, 0x3f, 0xdf, 0xd6, 0xc6, 0x15, 0x78, 0xfb, 0xf5, 0xcf, 0x35, 0xbd, 0x3d, 0xd3, 0x3b, 0x80,
    0x09, 0x63, 0x16, 0x34, 0xd2, 0x1e, 0x42, 0xac, 0x33, 0x96, 0x0b, 0xd1, 0x38, 0xe5, 0x0d, 0x32,
};

static void test_seeded_stream_is_chacha20(void **state)
{
    (void)state;
    struct gw_random_seeded seeded;
    uint8_t out[32];
    gw_random_seeded_init(&seeded, 0);
    gw_random_fill(&seeded.random, out, sizeof out);
    assert_memory_equal(out, stream_of_call_0, sizeof out);
    gw_random_fill(&seeded.random, out, sizeof out);
    assert_memory_equal(out, stream_of_call_1, sizeof out);
    gw_random_seeded_init(&seeded, 0);
    gw_random_fill(&seeded.random, out, 1); /* how much a call drew does not matter to the next */
    gw_random_fill(&seeded.random, out, sizeof out);
    assert_memory_equal(out, stream_of_call_1, sizeof out);
}

static void test_seeds_differ(void **state)
{
    (void)state;
    uint64_t first[64];
    for (unsigned i = 0; i < 64; i++) {
        struct gw_random_seeded seeded;
        gw_random_seeded_init(&seeded, UINT64_C(1) << i);
        first[i] = gw_random_u64(&seeded.random);
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(first[i], first[j]);
    }
}

static void test_system_fills_exactly(void **state)
{
    (void)state;
    struct gw_random *system = gw_random_system();
    uint8_t ever_set[32] = {0}, out[48];
    for (unsigned round = 0; round < 64; round++) {
        memset(out, 0, sizeof out);
        gw_random_fill(system, out + 8, 32);
        for (unsigned i = 0; i < 8; i++) {
            assert_int_equal(out[i], 0);
            assert_int_equal(out[40 + i], 0);
        }
        for (unsigned i = 0; i < 32; i++)
            ever_set[i] |= out[8 + i];
    }
    for (unsigned i = 0; i < 32; i++)
        assert_int_equal(ever_set[i], 0xff); /* wrong once in 2^56 */
    assert_ptr_equal(gw_random_system(), system);
}

static void test_numbers_use_all_bits(void **state)
{
    (void)state;
    uint64_t set64 = 0, clear64 = 0;
    uint32_t set32 = 0, clear32 = 0;
    for (unsigned i = 0; i < 64; i++) {
        uint64_t wide = gw_random_u64(gw_random_system());
        uint32_t narrow = gw_random_u32(gw_random_system());
        set64 |= wide;
        clear64 |= ~wide;
        set32 |= narrow;
        clear32 |= ~narrow;
    }
    assert_true(set64 == UINT64_MAX && clear64 == UINT64_MAX);
    assert_true(set32 == UINT32_MAX && clear32 == UINT32_MAX);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeded_stream_is_chacha20),
        cmocka_unit_test(test_seeds_differ),
        cmocka_unit_test(test_system_fills_exactly),
        cmocka_unit_test(test_numbers_use_all_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

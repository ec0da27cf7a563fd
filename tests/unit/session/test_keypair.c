/* SPDX-License-Identifier: MIT */
/* Types 4 and 5 byte for byte as another implementation seals them; one counter and one window for both; what is refused. */
#include "gateway/session/keypair.h"

#include "gateway/base/err.h"
#include "gateway/base/secret.h"
#include "gateway/session/noise.h"
#include "tests/vectors/session/session_vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hex.h"

#define I_INDEX 0x12345678u
#define R_INDEX 0xfedcba98u
#define BORN ((struct gw_mono){GW_S(100)})

/* The two sides of the vectors' first handshake. */
static struct gw_keypair initiator, responder;

static int setup(void **state)
{
    struct gw_noise_keys i, r;

    (void)state;
    unhex(VECTOR_PSK_I_KEY, i.send);
    unhex(VECTOR_PSK_R_KEY, i.receive);
    unhex(VECTOR_PSK_HASH, i.hash);
    unhex(VECTOR_PSK_EXPORTER, i.exporter);
    r = i;
    memcpy(r.send, i.receive, sizeof r.send);
    memcpy(r.receive, i.send, sizeof r.receive);
    gw_keypair_init(&initiator, gw_crypto_system(), &i, true, I_INDEX, R_INDEX, BORN);
    gw_keypair_init(&responder, gw_crypto_system(), &r, false, R_INDEX, I_INDEX, BORN);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gw_keypair_wipe(&initiator);
    gw_keypair_wipe(&responder);
    return 0;
}

static size_t seal_text(struct gw_keypair *kp, enum gw_suite suite, const char *text, uint8_t *slot,
                        size_t cap)
{
    memset(slot, 0xee, cap);
    return gw_keypair_seal(kp, suite, slot, cap, unhex(text, slot + GW_DATA_HEADER_LEN));
}

static void check_seal(struct gw_keypair *kp, enum gw_suite suite, const char *plain, const char *expected)
{
    uint8_t slot[256];
    const size_t len = seal_text(kp, suite, plain, slot, sizeof slot);

    assert_int_equal(len, strlen(expected) / 2);
    assert_hex_equal(slot, expected);
}

static void check_open(struct gw_keypair *kp, const char *datagram, const char *expected,
                       bool expected_highest)
{
    uint8_t bytes[256];
    const size_t len = unhex(datagram, bytes);
    struct gw_view plain;
    bool is_highest = !expected_highest;

    assert_int_equal(gw_keypair_open(kp, bytes, len, &plain, &is_highest), 0);
    assert_true(plain.data == bytes + GW_DATA_HEADER_LEN && plain.len >= strlen(expected) / 2);
    assert_hex_equal(plain.data, expected);
    assert_int_equal(is_highest, expected_highest);
}

static void test_seal_vectors(void **state)
{
    (void)state;
    check_seal(&initiator, GW_SUITE_CHACHA20_POLY1305, VECTOR_DATA, VECTOR_SEAL4);
    check_seal(&initiator, GW_SUITE_CHACHA20_POLY1305, "", VECTOR_SEAL4_KEEPALIVE);
    initiator.send_counter = 3;
    check_seal(&initiator, GW_SUITE_AEGIS256, VECTOR_DATA, VECTOR_SEAL5_1);
    check_seal(&initiator, GW_SUITE_AEGIS128L, VECTOR_DATA, VECTOR_SEAL5_2);
    initiator.send_counter = (UINT64_C(1) << 40) + 1;
    check_seal(&initiator, GW_SUITE_AEGIS256, "", VECTOR_SEAL5_1_LATE);
    check_seal(&initiator, GW_SUITE_AEGIS128L, "", VECTOR_SEAL5_2_LATE);
    check_seal(&responder, GW_SUITE_AEGIS256, VECTOR_DATA, VECTOR_SEAL5_1_BACK);
    responder.send_counter = 0;
    check_seal(&responder, GW_SUITE_AEGIS128L, VECTOR_DATA, VECTOR_SEAL5_2_BACK);
}

static void test_open_vectors(void **state)
{
    (void)state;
    check_open(&responder, VECTOR_SEAL5_1, VECTOR_DATA, true);
    check_open(&responder, VECTOR_SEAL4, VECTOR_DATA, false);
    check_open(&responder, VECTOR_SEAL4_KEEPALIVE, "", false);
    check_open(&responder, VECTOR_SEAL5_2, VECTOR_DATA, true);
    check_open(&responder, VECTOR_SEAL5_2_LATE, "", true);
    check_open(&responder, VECTOR_SEAL5_1_LATE, "", false);
    check_open(&initiator, VECTOR_SEAL5_1_BACK, VECTOR_DATA, true);
}

static void test_export(void **state)
{
    uint8_t out[100], other[100];

    (void)state;
    gw_keypair_export(&initiator, "test", "context", 7, out, sizeof out);
    assert_hex_equal(out, VECTOR_EXPORT_TEST);
    gw_keypair_export(&responder, "test", "context", 7, other, sizeof other);
    assert_memory_equal(out, other, sizeof out);
    gw_keypair_export(&responder, "test", "contexu", 7, other, sizeof other);
    assert_memory_not_equal(out, other, sizeof out);
    gw_keypair_export(&responder, "tes", "tcontext", 8, other, sizeof other);
    assert_memory_not_equal(out, other, sizeof out);
}

/* All lengths 0 .. 100, all suites, both directions, one counter. */
static void test_round_trips(void **state)
{
    uint8_t slot[160], copy[100];
    struct gw_view plain;

    (void)state;
    for (size_t i = 0; i < sizeof copy; i++)
        copy[i] = (uint8_t)(i * 7);
    for (size_t n = 0; n < 303; n++) {
        const enum gw_suite suite = (enum gw_suite)(n % 3);
        struct gw_keypair *from = n % 2 ? &initiator : &responder, *to = n % 2 ? &responder : &initiator;
        const size_t plain_len = n / 3;
        size_t len;

        memcpy(slot + GW_DATA_HEADER_LEN, copy, plain_len);
        len = gw_keypair_seal(from, suite, slot, sizeof slot, plain_len);
        assert_true(len >= gw_suite_overhead(suite) + plain_len);
        assert_int_equal(gw_keypair_open(to, slot, len, &plain, NULL), 0);
        assert_true(plain.len >= plain_len && plain.len < plain_len + 16);
        assert_memory_equal(plain.data, copy, plain_len);
        assert_true(gw_is_zero(plain.data + plain_len, plain.len - plain_len));
        assert_true(suite == GW_SUITE_CHACHA20_POLY1305 ? plain.len % 16 == 0 : plain.len == plain_len);
    }
    assert_int_equal(initiator.send_counter, 151);
    assert_int_equal(responder.send_counter, 152);
}

static void test_no_room(void **state)
{
    uint8_t slot[256];

    (void)state;
    assert_int_equal(seal_text(&initiator, GW_SUITE_CHACHA20_POLY1305, VECTOR_DATA, slot, 16 + 37 + 15), 0);
    assert_int_equal(seal_text(&initiator, GW_SUITE_AEGIS128L, VECTOR_DATA, slot, 16 + 37 + 31), 0);
    assert_int_equal(gw_keypair_seal(&initiator, GW_SUITE_AEGIS128L, slot, sizeof slot, SIZE_MAX), 0);
    assert_int_equal(initiator.send_counter, 0);
    assert_int_equal(seal_text(&initiator, GW_SUITE_CHACHA20_POLY1305, VECTOR_DATA, slot, 16 + 48 + 16), 80);
    /* No padding beyond what the path carries. */
    assert_int_equal(seal_text(&initiator, GW_SUITE_CHACHA20_POLY1305, VECTOR_DATA, slot, 16 + 37 + 16), 69);
    assert_int_equal(seal_text(&initiator, GW_SUITE_AEGIS128L, VECTOR_DATA, slot, 16 + 37 + 32), 85);
    assert_int_equal(initiator.send_counter, 3);
}

/* A keepalive that gw_keypair_seal would not make. */
static void seal_by_hand(uint64_t counter, uint8_t datagram[32])
{
    uint8_t nonce[12] = {0};

    gw_store64_le(datagram + 8, counter);
    gw_store64_le(nonce + 4, counter);
    initiator.crypto->aead[GW_SUITE_CHACHA20_POLY1305].seal(datagram + 16, datagram + 16, datagram + 16, 0,
                                                            NULL, 0, nonce, initiator.send.chacha);
}

static void test_used_up(void **state)
{
    uint8_t slot[64], last[64];
    struct gw_view plain;

    (void)state;
    initiator.send_counter = GW_REJECT_AFTER_MESSAGES - 1;
    assert_int_equal(gw_keypair_seal(&initiator, GW_SUITE_CHACHA20_POLY1305, last, sizeof last, 0), 32);
    assert_int_equal(gw_keypair_seal(&initiator, GW_SUITE_CHACHA20_POLY1305, slot, sizeof slot, 0), 0);
    assert_int_equal(gw_keypair_open(&responder, last, 32, &plain, NULL), 0);
    seal_by_hand(GW_REJECT_AFTER_MESSAGES, last);
    assert_int_equal(gw_keypair_open(&responder, last, 32, &plain, NULL), GW_E_REPLAY);
    seal_by_hand(5, last);
    assert_int_equal(gw_keypair_open(&responder, last, 32, &plain, NULL), GW_E_REPLAY); /* too old */
}

/* Flips each byte, cuts off each length: refused, and the window does not move. */
static void check_damage(enum gw_suite suite, struct gw_keypair *from, struct gw_keypair *to)
{
    uint8_t good[128], bad[128];
    const size_t len = seal_text(from, suite, VECTOR_DATA, good, sizeof good);
    const struct gw_replay before = to->replay;
    struct gw_view plain = {good, 12345};

    for (size_t i = 0; i < len; i++) {
        memcpy(bad, good, len);
        bad[i] ^= 0x10;
        if (suite == GW_SUITE_CHACHA20_POLY1305 && i >= 4 && i < 8)
            continue; /* the index is how the key pair is found, and no part of type 4's seal */
        assert_true(gw_keypair_open(to, bad, len, &plain, NULL) < 0);
        memcpy(bad, good, len);
        assert_true(gw_keypair_open(to, bad, i, &plain, NULL) < 0);
    }
    assert_int_equal(plain.len, 12345);
    assert_memory_equal(&before, &to->replay, sizeof before);
    memcpy(bad, good, len);
    assert_int_equal(gw_keypair_open(to, bad, len, &plain, NULL), 0);
    memcpy(bad, good, len);
    assert_int_equal(gw_keypair_open(to, bad, len, &plain, NULL), GW_E_REPLAY);
}

static void test_damage(void **state)
{
    (void)state;
    for (unsigned suite = 0; suite < GW_SUITE_COUNT; suite++)
        check_damage((enum gw_suite)suite, &initiator, &responder);
}

/* A packet of one type does not open as another, though counter and key pair are the same. */
static void test_types_apart(void **state)
{
    uint8_t sealed[64], bytes[64];
    const size_t len = seal_text(&initiator, GW_SUITE_AEGIS128L, "45000000", sealed, sizeof sealed);
    static const uint8_t types[][4] = {{4}, {5, 1}, {5, 0}, {5, 3}, {5, 2, 1}, {5, 2, 0, 1}, {4, 2}, {6, 2}};
    struct gw_view plain;

    (void)state;
    for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++) {
        memcpy(bytes, sealed, len);
        memcpy(bytes, types[i], 4);
        assert_int_equal(gw_keypair_open(&responder, bytes, len, &plain, NULL),
                         i < 2 ? GW_E_AUTH : GW_E_MALFORMED);
    }
    assert_int_equal(gw_keypair_open(&responder, sealed, len, &plain, NULL), 0);
}

static void test_own_packet(void **state)
{
    uint8_t slot[64];
    struct gw_view plain;

    (void)state;
    for (unsigned suite = 0; suite < GW_SUITE_COUNT; suite++) {
        const size_t len = seal_text(&initiator, (enum gw_suite)suite, "60", slot, sizeof slot);

        assert_int_equal(gw_keypair_open(&initiator, slot, len, &plain, NULL), GW_E_AUTH);
    }
}

/* AEGIS keys are not made before they are needed. */
static void test_lazy(void **state)
{
    uint8_t slot[64];

    (void)state;
    seal_text(&initiator, GW_SUITE_CHACHA20_POLY1305, "60", slot, sizeof slot);
    assert_true(gw_is_zero(initiator.send.aegis128l, sizeof initiator.send.aegis128l));
    assert_true(gw_is_zero(initiator.receive.aegis256, sizeof initiator.receive.aegis256));
    seal_text(&initiator, GW_SUITE_AEGIS128L, "60", slot, sizeof slot);
    assert_false(gw_is_zero(initiator.send.aegis128l, sizeof initiator.send.aegis128l));
    assert_false(gw_is_zero(initiator.receive.aegis128l, sizeof initiator.receive.aegis128l));
    assert_true(gw_is_zero(initiator.receive.aegis256, sizeof initiator.receive.aegis256));
}

static void test_wipe(void **state)
{
    (void)state;
    gw_keypair_wipe(&initiator);
    assert_true(gw_is_zero(&initiator, sizeof initiator));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_seal_vectors), TEST(test_open_vectors), TEST(test_export), TEST(test_round_trips),
        TEST(test_no_room),      TEST(test_used_up),      TEST(test_damage), TEST(test_types_apart),
        TEST(test_own_packet),   TEST(test_lazy),         TEST(test_wipe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

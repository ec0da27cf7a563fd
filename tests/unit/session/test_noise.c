/* SPDX-License-Identifier: MIT */
/* noise.c against handshakes made by another implementation (tests/vectors/session), byte for byte in both roles; and what
 * must be refused, with nothing changed. */
#include "gateway/session/noise.h"

#include "gateway/wire/cursor.h"
#include "tests/vectors/session/session_vectors.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "hex.h"

#define I_INDEX 0x12345678u
#define R_INDEX 0xfedcba98u
#define MACS_LEN 32u

/* Both ends of a vector. */
struct ends {
    uint8_t i_secret[32], i_public[32], i_ephemeral[32];
    uint8_t r_secret[32], r_public[32], r_ephemeral[32];
    uint8_t static_static[32], psk[32], timestamp[12];
    struct gw_noise_self i, r;
    struct gw_noise_remote i_sees_r;
    struct gw_initiation initiation;
    struct gw_response response;
};

static struct ends *read_ends(struct ends *ends, const char *const texts[8])
{
    const struct gw_crypto *crypto = gw_crypto_system();

    unhex(texts[0], ends->i_secret);
    unhex(texts[1], ends->i_ephemeral);
    unhex(texts[2], ends->r_secret);
    unhex(texts[3], ends->r_ephemeral);
    unhex(texts[4], ends->psk);
    unhex(texts[5], ends->timestamp);
    unhex(texts[6], &ends->initiation);
    unhex(texts[7], &ends->response);
    crypto->dh_public(ends->i_public, ends->i_secret);
    crypto->dh_public(ends->r_public, ends->r_secret);
    assert_true(crypto->dh(ends->static_static, ends->i_secret, ends->r_public));
    ends->i = (struct gw_noise_self){crypto, ends->i_secret, ends->i_public};
    ends->r = (struct gw_noise_self){crypto, ends->r_secret, ends->r_public};
    ends->i_sees_r = (struct gw_noise_remote){ends->r_public, ends->static_static};
    return ends;
}

#define READ(ends, name)                                                                         \
    read_ends(ends, (const char *const[]){VECTOR_##name##_I_STATIC, VECTOR_##name##_I_EPHEMERAL, \
                                          VECTOR_##name##_R_STATIC, VECTOR_##name##_R_EPHEMERAL, \
                                          VECTOR_##name##_PSK, VECTOR_##name##_TIMESTAMP,        \
                                          VECTOR_##name##_INITIATION, VECTOR_##name##_RESPONSE})

static void check_initiator(const struct ends *ends, const char *const keys[4])
{
    const uint8_t wrong[32] = {1};
    uint8_t psks[2][GW_KEY_LEN];
    struct gw_noise_initiator slot = {0};
    struct gw_initiation msg;
    struct gw_noise_keys out;
    unsigned psk_used = 7;

    assert_true(gw_noise_create_initiation(&ends->i, &ends->i_sees_r, ends->i_ephemeral, ends->timestamp,
                                           I_INDEX, &slot, &msg));
    assert_memory_equal(&msg, &ends->initiation, sizeof msg - MACS_LEN);
    memcpy(psks[0], wrong, sizeof wrong);
    memcpy(psks[1], ends->psk, sizeof ends->psk);
    assert_true(gw_noise_consume_response(&ends->i, &slot, &ends->response,
                                          (const uint8_t(*)[GW_KEY_LEN])psks, 2, &psk_used, &out));
    assert_int_equal(psk_used, 1);
    assert_hex_equal(out.send, keys[0]);
    assert_hex_equal(out.receive, keys[1]);
    assert_hex_equal(out.hash, keys[2]);
    assert_hex_equal(out.exporter, keys[3]);
}

static void check_responder(const struct ends *ends, const char *const keys[4])
{
    struct gw_noise_responder slot;
    struct gw_response msg;
    struct gw_noise_keys out;
    uint8_t timestamp[GW_TAI64N_LEN];

    assert_true(gw_noise_consume_initiation(&ends->r, &ends->initiation, &slot));
    assert_memory_equal(slot.remote_static, ends->i_public, sizeof ends->i_public);
    assert_int_equal(slot.remote_index, I_INDEX);
    assert_true(
        gw_noise_consume_timestamp(&ends->r, &ends->initiation, ends->static_static, &slot, timestamp));
    assert_memory_equal(timestamp, ends->timestamp, sizeof timestamp);
    assert_true(gw_noise_create_response(&ends->r, &slot, ends->psk, ends->r_ephemeral, R_INDEX, &msg, &out));
    assert_memory_equal(&msg, &ends->response, sizeof msg - MACS_LEN);
    assert_hex_equal(out.receive, keys[0]);
    assert_hex_equal(out.send, keys[1]);
    assert_hex_equal(out.hash, keys[2]);
    assert_hex_equal(out.exporter, keys[3]);
}

static void test_with_psk(void **state)
{
    static const char *const keys[] = {VECTOR_PSK_I_KEY, VECTOR_PSK_R_KEY, VECTOR_PSK_HASH,
                                       VECTOR_PSK_EXPORTER};
    struct ends ends;

    (void)state;
    check_initiator(READ(&ends, PSK), keys);
    check_responder(&ends, keys);
}

static void test_without_psk(void **state)
{
    static const char *const keys[] = {VECTOR_NOPSK_I_KEY, VECTOR_NOPSK_R_KEY, VECTOR_NOPSK_HASH,
                                       VECTOR_NOPSK_EXPORTER};
    struct ends ends;

    (void)state;
    check_initiator(READ(&ends, NOPSK), keys);
    check_responder(&ends, keys);
}

/* Every bit of the initiation that the pattern protects, flipped: refused, and the slot is as it was. */
static void test_flipped_initiation(void **state)
{
    struct ends ends;
    struct gw_noise_responder slot, before;
    uint8_t timestamp[GW_TAI64N_LEN], untouched[GW_TAI64N_LEN];

    (void)state;
    READ(&ends, PSK);
    memset(&before, 0x55, sizeof before);
    memset(untouched, 0x55, sizeof untouched);
    for (size_t byte = offsetof(struct gw_initiation, ephemeral); byte < offsetof(struct gw_initiation, mac1);
         byte++) {
        struct gw_initiation msg = ends.initiation;

        ((uint8_t *)&msg)[byte] ^= (uint8_t)(1u << byte % 8);
        slot = before;
        memcpy(timestamp, untouched, sizeof timestamp);
        if (byte < offsetof(struct gw_initiation, encrypted_timestamp)) {
            assert_false(gw_noise_consume_initiation(&ends.r, &msg, &slot));
            assert_memory_equal(&slot, &before, sizeof slot);
            continue;
        }
        assert_true(gw_noise_consume_initiation(&ends.r, &msg, &slot));
        assert_false(gw_noise_consume_timestamp(&ends.r, &msg, ends.static_static, &slot, timestamp));
        assert_memory_equal(timestamp, untouched, sizeof timestamp);
    }
}

/* With the right PSK. */
static bool consume_response(const struct ends *ends, const struct gw_noise_initiator *slot,
                             const struct gw_response *msg, unsigned *psk_used, struct gw_noise_keys *keys)
{
    uint8_t psks[1][GW_KEY_LEN];

    memcpy(psks[0], ends->psk, GW_KEY_LEN);
    return gw_noise_consume_response(&ends->i, slot, msg, (const uint8_t(*)[GW_KEY_LEN])psks, 1, psk_used,
                                     keys);
}

static void test_flipped_response(void **state)
{
    struct ends ends;
    struct gw_noise_initiator slot = {0};
    struct gw_initiation initiation;
    struct gw_noise_keys keys, untouched;
    unsigned psk_used = 7;

    (void)state;
    READ(&ends, PSK);
    memset(&untouched, 0x55, sizeof untouched);
    assert_true(gw_noise_create_initiation(&ends.i, &ends.i_sees_r, ends.i_ephemeral, ends.timestamp, I_INDEX,
                                           &slot, &initiation));
    for (size_t byte = offsetof(struct gw_response, ephemeral); byte < offsetof(struct gw_response, mac1);
         byte++) {
        struct gw_response msg = ends.response;

        ((uint8_t *)&msg)[byte] ^= (uint8_t)(1u << byte % 8);
        keys = untouched;
        assert_false(consume_response(&ends, &slot, &msg, &psk_used, &keys));
        assert_memory_equal(&keys, &untouched, sizeof keys);
        assert_int_equal(psk_used, 7);
    }
}

static void test_wrong_psk(void **state)
{
    static const uint8_t wrong[2][GW_KEY_LEN] = {{1}, {2}};
    struct ends ends;
    struct gw_noise_initiator slot = {0};
    struct gw_initiation initiation;
    struct gw_noise_keys keys;
    unsigned psk_used;

    (void)state;
    READ(&ends, PSK);
    assert_true(gw_noise_create_initiation(&ends.i, &ends.i_sees_r, ends.i_ephemeral, ends.timestamp, I_INDEX,
                                           &slot, &initiation));
    assert_false(gw_noise_consume_response(&ends.i, &slot, &ends.response, wrong, 2, &psk_used, &keys));
}

/* Ephemeral keys of small order, in each message. */
static void test_small_order(void **state)
{
    struct ends ends;
    struct gw_noise_initiator slot = {0};
    struct gw_noise_responder responder;
    struct gw_initiation initiation;
    struct gw_response response;
    struct gw_noise_keys keys;
    unsigned psk_used;
    uint8_t zeros[GW_KEY_LEN] = {0};

    (void)state;
    READ(&ends, PSK);
    initiation = ends.initiation;
    memset(initiation.ephemeral, 0, sizeof initiation.ephemeral);
    assert_false(gw_noise_consume_initiation(&ends.r, &initiation, &responder));
    assert_true(gw_noise_create_initiation(&ends.i, &ends.i_sees_r, ends.i_ephemeral, ends.timestamp, I_INDEX,
                                           &slot, &initiation));
    response = ends.response;
    memset(response.ephemeral, 0, sizeof response.ephemeral);
    assert_false(consume_response(&ends, &slot, &response, &psk_used, &keys));
    ends.i_sees_r.public_key = zeros;
    assert_false(gw_noise_create_initiation(&ends.i, &ends.i_sees_r, ends.i_ephemeral, ends.timestamp,
                                            I_INDEX, &slot, &initiation));
    assert_true(gw_noise_consume_initiation(&ends.r, &ends.initiation, &responder));
    memset(responder.remote_static, 0, sizeof responder.remote_static);
    assert_false(
        gw_noise_create_response(&ends.r, &responder, ends.psk, ends.r_ephemeral, R_INDEX, &response, &keys));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_with_psk),           cmocka_unit_test(test_without_psk),
        cmocka_unit_test(test_flipped_initiation), cmocka_unit_test(test_flipped_response),
        cmocka_unit_test(test_wrong_psk),          cmocka_unit_test(test_small_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

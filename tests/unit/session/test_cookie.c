/* SPDX-License-Identifier: MIT */
/* mac1, mac2 and cookies: against another implementation's bytes, through both sides, and over time. */
#include "gateway/session/cookie.h"

#include "gateway/base/secret.h"
#include "tests/vectors/session/session_vectors.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "hex.h"

#define T0 ((struct gw_mono){GW_S(1000)})
#define LEN sizeof(struct gw_initiation)

/* A random that gives what a vector says. */
struct scripted {
    struct gw_random random;
    const char *texts[4];
    unsigned next;
};

static void scripted_fill(struct gw_random *random, void *out, size_t len)
{
    struct scripted *self = (struct scripted *)(void *)random;

    assert_int_equal(unhex(self->texts[self->next++], out), len);
}

static struct scripted scripted;
static struct gw_cookie_checker checker;
static struct gw_initiation initiation;
static uint8_t r_public[GW_KEY_LEN], source[6];

static struct gw_mono after(int64_t ns)
{
    return gw_mono_add(T0, ns);
}

static int setup(void **state)
{
    uint8_t r_secret[GW_KEY_LEN];

    (void)state;
    scripted = (struct scripted){{scripted_fill}, {VECTOR_COOKIE_NONCE, VECTOR_COOKIE_SECRET}, 0};
    unhex(VECTOR_PSK_R_STATIC, r_secret);
    unhex(VECTOR_PSK_INITIATION, &initiation);
    unhex(VECTOR_COOKIE_SOURCE, source);
    gw_crypto_system()->dh_public(r_public, r_secret);
    gw_cookie_checker_init(&checker, gw_crypto_system(), &scripted.random, r_public);
    return 0;
}

static enum gw_cookie_verdict check(struct gw_mono now, const struct gw_initiation *msg)
{
    return gw_cookie_check(&checker, now, msg, LEN, source, sizeof source);
}

static void test_vectors(void **state)
{
    struct gw_cookie_reply reply;
    struct gw_initiation msg;
    struct gw_cookie cookie;
    uint8_t mac1[GW_MAC_LEN];

    (void)state;
    assert_int_equal(check(T0, &initiation), GW_COOKIE_VALID_MAC);
    gw_cookie_create_reply(&checker, T0, &initiation, LEN, source, sizeof source, &reply);
    assert_hex_equal(&reply, VECTOR_COOKIE_REPLY);

    gw_cookie_init(&cookie, r_public);
    msg = initiation;
    memset(msg.mac1, 0xee, sizeof msg.mac1 + sizeof msg.mac2);
    gw_cookie_add_macs(&cookie, T0, &msg, LEN, mac1);
    assert_hex_equal(&msg, VECTOR_PSK_INITIATION);
    assert_true(gw_cookie_consume_reply(&cookie, gw_crypto_system(), &reply, mac1, T0));
    assert_hex_equal(cookie.cookie, VECTOR_COOKIE);
    gw_cookie_add_macs(&cookie, T0, &msg, LEN, mac1);
    assert_hex_equal(&msg, VECTOR_COOKIE_INITIATION);
    assert_int_equal(check(T0, &msg), GW_COOKIE_VALID_MAC_AND_COOKIE);
}

static void test_flipped(void **state)
{
    (void)state;
    for (size_t i = 0; i < LEN - 16; i++) {
        struct gw_initiation msg = initiation;

        ((uint8_t *)&msg)[i] ^= 0x80;
        assert_int_equal(check(T0, &msg), GW_COOKIE_INVALID_MAC);
    }
}

/* With a cookie for `source` in hand. */
static void take_cookie(struct gw_cookie *cookie, struct gw_initiation *msg)
{
    struct gw_cookie_reply reply;
    uint8_t mac1[GW_MAC_LEN];

    gw_cookie_init(cookie, r_public);
    *msg = initiation;
    gw_cookie_add_macs(cookie, T0, msg, LEN, mac1);
    gw_cookie_create_reply(&checker, T0, msg, LEN, source, sizeof source, &reply);
    assert_true(gw_cookie_consume_reply(cookie, gw_crypto_system(), &reply, mac1, T0));
    gw_cookie_add_macs(cookie, T0, msg, LEN, mac1);
}

static void test_other_source(void **state)
{
    struct gw_cookie cookie;
    struct gw_initiation msg;

    (void)state;
    take_cookie(&cookie, &msg);
    assert_int_equal(check(T0, &msg), GW_COOKIE_VALID_MAC_AND_COOKIE);
    source[5] ^= 1;
    assert_int_equal(check(T0, &msg), GW_COOKIE_VALID_MAC);
    source[5] ^= 1;
    msg.mac2[0] ^= 1;
    assert_int_equal(check(T0, &msg), GW_COOKIE_VALID_MAC);
}

static void test_ages(void **state)
{
    struct gw_cookie cookie;
    struct gw_initiation msg;
    uint8_t mac1[GW_MAC_LEN];

    (void)state;
    scripted.texts[2] = VECTOR_PSK_HASH; /* the second secret */
    take_cookie(&cookie, &msg);
    assert_int_equal(check(after(GW_S(120) - 1), &msg), GW_COOKIE_VALID_MAC_AND_COOKIE);
    gw_cookie_add_macs(&cookie, after(GW_S(115) - 1), &msg, LEN, mac1);
    assert_false(gw_is_zero(msg.mac2, sizeof msg.mac2));
    assert_int_equal(check(after(GW_S(120)), &msg), GW_COOKIE_VALID_MAC); /* another secret */
    gw_cookie_add_macs(&cookie, after(GW_S(115)), &msg, LEN, mac1);
    assert_true(gw_is_zero(msg.mac2, sizeof msg.mac2)); /* too old to be used */
}

static void test_wrong_reply(void **state)
{
    struct gw_cookie cookie;
    struct gw_cookie_reply reply, bad;
    struct gw_initiation msg = initiation;
    uint8_t mac1[GW_MAC_LEN];

    (void)state;
    gw_cookie_init(&cookie, r_public);
    gw_cookie_add_macs(&cookie, T0, &msg, LEN, mac1);
    gw_cookie_create_reply(&checker, T0, &msg, LEN, source, sizeof source, &reply);
    for (size_t i = offsetof(struct gw_cookie_reply, nonce); i < sizeof reply; i++) {
        bad = reply;
        ((uint8_t *)&bad)[i] ^= 1;
        assert_false(gw_cookie_consume_reply(&cookie, gw_crypto_system(), &bad, mac1, T0));
    }
    mac1[3] ^= 1; /* to another message of ours */
    assert_false(gw_cookie_consume_reply(&cookie, gw_crypto_system(), &reply, mac1, T0));
    assert_true(gw_mono_is_never(cookie.received));
}

static void test_wiped(void **state)
{
    (void)state;
    gw_cookie_checker_fini(&checker);
    assert_true(gw_is_zero(&checker, sizeof checker));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_vectors, setup),      cmocka_unit_test_setup(test_flipped, setup),
        cmocka_unit_test_setup(test_other_source, setup), cmocka_unit_test_setup(test_ages, setup),
        cmocka_unit_test_setup(test_wrong_reply, setup),  cmocka_unit_test_setup(test_wiped, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

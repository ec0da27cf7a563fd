/* SPDX-License-Identifier: MIT */
/* RFC 5769's vectors, requests of ours, and what is refused. */
#include "gateway/wire/stun.h"

#include "gateway/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* RFC 5769, 2.2 */
static const uint8_t response4[] = {
    0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63,
    0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43,
    0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5, 0x99, 0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9,
    0x2a, 0xf9, 0xba, 0x53, 0xf0, 0x6b, 0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96};

/* RFC 5769, 2.3 */
static const uint8_t response6[] = {
    0x01, 0x01, 0x00, 0x48, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63,
    0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa,
    0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9, 0x00, 0x08, 0x00, 0x14,
    0xa3, 0x82, 0x95, 0x4e, 0x4b, 0xe6, 0x7b, 0xf1, 0x17, 0x84, 0xc9, 0x7c, 0x82, 0x92, 0xc2, 0x75,
    0xbf, 0xe3, 0xed, 0x41, 0x80, 0x28, 0x00, 0x04, 0xc8, 0xfb, 0x0b, 0x4c};

static const uint8_t id[GW_STUN_ID_LEN] = {0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
                                           0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};

static void is_addr(const struct gw_addr *addr, const char *text)
{
    char out[GW_ADDR_STRLEN];
    assert_string_equal(gw_addr_format(addr, out), text);
}

static void test_vectors(void **state)
{
    struct gw_stun_message message;
    (void)state;
    assert_int_equal(gw_stun_decode(&message, response4, sizeof response4), 0);
    assert_int_equal(message.type, GW_STUN_SUCCESS);
    assert_memory_equal(message.id, id, sizeof id);
    is_addr(&message.mapped, "192.0.2.1:32853");
    assert_false(gw_addr_is_set(&message.other));
    assert_int_equal(gw_stun_decode(&message, response6, sizeof response6), 0);
    is_addr(&message.mapped, "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
}

/* No wrong bit makes it another address: FINGERPRINT catches it, or is itself what the bit made unreadable, and then the address before it is strict. */
static void test_every_bit(void **state)
{
    struct gw_stun_message message;
    uint8_t copy[sizeof response4];
    unsigned taken = 0;
    (void)state;
    for (size_t bit = 0; bit < sizeof copy * 8; bit++) {
        memcpy(copy, response4, sizeof copy);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (gw_stun_decode(&message, copy, sizeof copy) != 0)
            continue;
        taken++;
        if (gw_addr_is_set(&message.mapped))
            is_addr(&message.mapped, "192.0.2.1:32853");
    }
    assert_in_range(taken, 1, 40);
    for (size_t len = 0; len < sizeof response4; len++)
        assert_int_equal(gw_stun_decode(&message, response4, len), GW_E_MALFORMED);
}

static void test_request(void **state)
{
    static const uint8_t plain[] = {0x00, 0x01, 0x00, 0x08, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01,
                                    0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae, 0x80, 0x28, 0,    4};
    static const uint8_t change[] = {0x00, 0x03, 0x00, 0x04, 0, 0, 0, 6};
    uint8_t out[GW_STUN_REQUEST_MAX];
    struct gw_stun_message message;
    (void)state;
    assert_int_equal(gw_stun_encode_request(out, id, false, false), 28);
    assert_memory_equal(out, plain, sizeof plain);
    assert_true(gw_stun_is(out, 28));
    assert_int_equal(gw_stun_decode(&message, out, 28), 0); /* FINGERPRINT is right */
    assert_int_equal(message.type, GW_STUN_REQUEST);
    assert_int_equal(gw_stun_encode_request(out, id, true, true), GW_STUN_REQUEST_MAX);
    assert_memory_equal(out + 20, change, sizeof change);
    assert_int_equal(gw_stun_decode(&message, out, GW_STUN_REQUEST_MAX), 0);
    gw_stun_encode_request(out, id, false, true);
    assert_int_equal(out[27], 2);
}

/* A response with these attributes. */
static size_t response(uint8_t *out, uint16_t type, const void *attributes, size_t len)
{
    const uint8_t head[] = {(uint8_t)(type >> 8), (uint8_t)type, 0, (uint8_t)len, 0x21, 0x12, 0xa4, 0x42};
    memcpy(out, head, sizeof head);
    memcpy(out + 8, id, sizeof id);
    memcpy(out + 20, attributes, len);
    return 20 + len;
}

static void test_attributes(void **state)
{
    /* MAPPED-ADDRESS 1.2.3.4:5, OTHER-ADDRESS 5.6.7.8:9, RESPONSE-ORIGIN 9.9.9.9:10, an optional one of 1 byte */
    static const uint8_t old[] = {0, 1,  0, 8, 0, 1, 0,    5, 1, 2,    3,    4, 0x80, 0x2c, 0,
                                  8, 0,  1, 0, 9, 5, 6,    7, 8, 0x80, 0x2b, 0, 8,    0,    1,
                                  0, 10, 9, 9, 9, 9, 0xc0, 0, 0, 1,    7,    0, 0,    0};
    static const uint8_t error[] = {0, 9, 0, 8, 0, 0, 4, 20, 'U', 'n', 'k', '.'};
    static const uint8_t mapped6[] = {0, 1, 0, 20, 0, 2, 0,    5,    0, 0, 0, 0,
                                      0, 0, 0, 0,  0, 0, 0xff, 0xff, 1, 2, 3, 4};
    uint8_t out[128];
    struct gw_stun_message message;
    (void)state;
    assert_int_equal(gw_stun_decode(&message, out, response(out, 0x0101, old, sizeof old)), 0);
    is_addr(&message.mapped, "1.2.3.4:5");
    is_addr(&message.other, "5.6.7.8:9");
    is_addr(&message.origin, "9.9.9.9:10");
    assert_int_equal(gw_stun_decode(&message, out, response(out, 0x0111, error, sizeof error)), 0);
    assert_int_equal(message.type, GW_STUN_ERROR);
    assert_int_equal(message.error, 420);
    assert_int_equal(gw_stun_decode(&message, out, response(out, 0x0101, mapped6, sizeof mapped6)), 0);
    is_addr(&message.mapped, "1.2.3.4:5"); /* one address has one form */
}

static void test_refused(void **state)
{
    static const struct {
        uint16_t type;
        uint8_t attributes[16];
        size_t len;
    } table[] = {
        {0x0101, {0, 0x24, 0, 4, 1, 2, 3, 4}, 8},                        /* must be understood */
        {0x0101, {0, 1, 0, 8, 0, 3, 0, 5, 1, 2, 3, 4}, 12},              /* no such family */
        {0x0101, {0, 1, 0, 4, 0, 1, 0, 5}, 8},                           /* no address in it */
        {0x0101, {0, 1, 0, 12, 0, 1, 0, 5, 1, 2, 3, 4, 0, 0, 0, 0}, 16}, /* too much in it */
        {0x0101, {0, 1, 0, 9, 0, 1, 0, 5, 1, 2, 3, 4}, 12},              /* longer than the message */
        {0x0101, {0x80, 0x28, 0, 4, 1, 2, 3, 4}, 8},                     /* wrong FINGERPRINT */
        {0x0111, {0, 9, 0, 4, 0, 0, 2, 20}, 8},                          /* class 2 is no error */
        {0x0003, {0}, 0},                                                /* no Binding: TURN's Allocate */
        {0x0011, {0}, 0},                                                /* an indication */
        {0x4101, {0}, 0},                                                /* no STUN: the first two bits */
    };
    uint8_t out[64];
    struct gw_stun_message message;
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t len = response(out, table[i].type, table[i].attributes, table[i].len);
        assert_int_equal(gw_stun_decode(&message, out, len), GW_E_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),    cmocka_unit_test(test_every_bit), cmocka_unit_test(test_request),
        cmocka_unit_test(test_attributes), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

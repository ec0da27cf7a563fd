/* SPDX-License-Identifier: MIT */
/* HELLO: its bytes as docs/PROTOCOL.md draws them, cut at every length, with fields out of range. */
#include "gateway/base/err.h"
#include "gateway/base/random.h"
#include "gateway/wire/frame.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Two addresses, no identity. */
static const uint8_t plain[] = {
    1,    GW_HELLO_ELICIT,
    7,    6,
    0x04, /* version, flags, seq, ack, suites */
    1,    2,
    3,    4,
    5,    6,
    7,    8, /* instance */
    9,    10,
    11,   12,
    13,   14,
    15,   16,   /* to_instance */
    0x40, 0x41, /* capabilities: 65 in two bytes */
    0x05, 0xdc, /* mtu 1500 */
    4,    'h',
    'o',  'm',
    'e', /* name */
    2,    4,
    100,  64,
    0,    1, /* addresses: 100.64.0.1 */
    6,    0xfd,
    0,    0,
    0,    0,
    0,    0,
    0,    0,
    0,    0,
    0,    0,
    0,    0,
    1, /* fd00::1 */
};

static struct gw_view view_of(const uint8_t *bytes, size_t len)
{
    return (struct gw_view){bytes, len};
}

static size_t encode(const struct gw_hello *hello, uint8_t out[GW_HELLO_MAX])
{
    struct gw_writer w = gw_writer_of(out, GW_HELLO_MAX);
    gw_hello_encode(&w, hello);
    assert_true(gw_writer_ok(&w));
    return gw_writer_len(&w);
}

static void test_plain(void **state)
{
    (void)state;
    struct gw_hello hello;
    uint8_t out[GW_HELLO_MAX];
    assert_int_equal(gw_hello_decode(&hello, view_of(plain, sizeof plain)), 0);
    assert_int_equal(hello.version, 1);
    assert_int_equal(hello.flags, GW_HELLO_ELICIT);
    assert_int_equal(hello.seq, 7);
    assert_int_equal(hello.ack, 6);
    assert_int_equal(hello.suites, 4);
    assert_true(hello.instance == 0x0102030405060708);
    assert_true(hello.to_instance == 0x090a0b0c0d0e0f10);
    assert_true(hello.capabilities == 65);
    assert_int_equal(hello.mtu, 1500);
    assert_string_equal(hello.name, "home");
    assert_int_equal(hello.addr_count, 2);
    assert_int_equal(hello.addrs[0].family, 4);
    assert_memory_equal(hello.addrs[0].ip, "\x64\x40\0\x01\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    assert_int_equal(hello.addrs[1].family, 6);
    assert_memory_equal(hello.addrs[1].ip, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
    assert_int_equal(encode(&hello, out), sizeof plain);
    assert_memory_equal(out, plain, sizeof plain);
}

static void fill_longest(struct gw_hello *hello)
{
    memset(hello, 0, sizeof *hello);
    hello->version = GW_HELLO_VERSION;
    hello->flags = GW_HELLO_IDENTITY;
    hello->capabilities = GW_VARINT_MAX;
    memset(hello->name, 'n', GW_HELLO_NAME_MAX);
    hello->addr_count = GW_HELLO_ADDRS_MAX;
    for (unsigned i = 0; i < GW_HELLO_ADDRS_MAX; i++)
        hello->addrs[i].family = 6;
    memset(hello->ed25519, 0xed, sizeof hello->ed25519);
    memset(hello->signature, 0x51, sizeof hello->signature);
}

static void test_the_longest(void **state)
{
    (void)state;
    struct gw_hello hello, back;
    uint8_t out[GW_HELLO_MAX];
    fill_longest(&hello);
    size_t len = encode(&hello, out);
    assert_int_equal(gw_hello_decode(&back, view_of(out, len)), 0);
    assert_string_equal(back.name, hello.name);
    assert_true(back.capabilities == GW_VARINT_MAX);
    assert_memory_equal(back.ed25519, hello.ed25519, sizeof back.ed25519);
    assert_memory_equal(back.signature, hello.signature, sizeof back.signature);
    for (size_t cap = 0; cap < len; cap++) { /* and no room for it fails */
        struct gw_writer w = gw_writer_of(out, cap);
        gw_hello_encode(&w, &hello);
        assert_false(gw_writer_ok(&w));
    }
}

static void test_cut_at_every_length(void **state)
{
    (void)state;
    struct gw_hello hello, longest;
    uint8_t out[GW_HELLO_MAX];
    fill_longest(&longest);
    size_t len = encode(&longest, out);
    memset(&hello, 0x77, sizeof hello);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(gw_hello_decode(&hello, view_of(out, cut)), GW_E_MALFORMED);
    for (size_t cut = 0; cut < sizeof plain; cut++)
        assert_int_equal(gw_hello_decode(&hello, view_of(plain, cut)), GW_E_MALFORMED);
    for (size_t i = 0; i < sizeof hello; i++) /* what does not parse leaves no trace */
        assert_int_equal(((const uint8_t *)&hello)[i], 0x77);
}

static void test_later_versions_may_add_fields(void **state)
{
    (void)state;
    struct gw_hello hello;
    uint8_t longer[GW_HELLO_MAX + 1] = {0};
    memcpy(longer, plain, sizeof plain);
    longer[0] = 2;
    longer[1] |= 0x80; /* a flag nobody knows yet */
    assert_int_equal(gw_hello_decode(&hello, view_of(longer, GW_HELLO_MAX)), 0);
    assert_int_equal(hello.version, 2);
    assert_string_equal(hello.name, "home");
    assert_int_equal(gw_hello_decode(&hello, view_of(longer, GW_HELLO_MAX + 1)), GW_E_MALFORMED);
}

static void test_fields_out_of_range(void **state)
{
    (void)state;
    static const struct {
        size_t at; /* in `plain` */
        uint8_t value;
    } table[] = {
        {0, 0},                 /* version */
        {1, GW_HELLO_IDENTITY}, /* an identity that is not there */
        {25, 64},
        {25, 255}, /* longer than a name may be */
        {30, 5},
        {30, 255},
        {30, 3}, /* too many addresses; one more than there are */
        {31, 0},
        {31, 5},
        {36, 0},
        {36, 7},        /* families that are none */
        {21 + 0, 0xc0}, /* capabilities in eight bytes shift all that follows */
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct gw_hello hello;
        uint8_t bytes[sizeof plain];
        memcpy(bytes, plain, sizeof plain);
        bytes[table[i].at] = table[i].value;
        assert_int_equal(gw_hello_decode(&hello, view_of(bytes, sizeof bytes)), GW_E_MALFORMED);
    }
}

static void test_more_addresses_than_allowed(void **state)
{
    (void)state;
    struct gw_hello hello, longest;
    uint8_t bytes[GW_HELLO_MAX] = {0};
    fill_longest(&longest);
    longest.flags = 0;
    size_t len = encode(&longest, bytes);
    size_t count_at = len - GW_HELLO_ADDRS_MAX * 17 - 1;
    for (unsigned extra = 1; len + 17 <= sizeof bytes; extra++) { /* all of them there */
        bytes[len] = 6;
        len += 17;
        bytes[count_at] = (uint8_t)(GW_HELLO_ADDRS_MAX + extra);
        assert_int_equal(gw_hello_decode(&hello, view_of(bytes, len)), GW_E_MALFORMED);
    }
    assert_int_equal(bytes[count_at], 17); /* as many as fit were tried */
    bytes[count_at] = GW_HELLO_ADDRS_MAX;
    assert_int_equal(gw_hello_decode(&hello, view_of(bytes, len)), 0);
}

static void test_names_are_made_harmless(void **state)
{
    (void)state;
    struct gw_hello hello;
    uint8_t bytes[sizeof plain];
    memcpy(bytes, plain, sizeof plain);
    for (unsigned c = 0; c < 256; c++) {
        bytes[27] = (uint8_t)c;
        assert_int_equal(gw_hello_decode(&hello, view_of(bytes, sizeof bytes)), 0);
        char expected[] = "h?me";
        if (c >= 0x20 && c <= 0x7e)
            expected[1] = (char)c;
        assert_string_equal(hello.name, expected);
    }
}

static void test_random_round_trips(void **state)
{
    (void)state;
    struct gw_random_seeded random;
    gw_random_seeded_init(&random, 1);
    for (unsigned round = 0; round < 5000; round++) {
        uint8_t bytes[GW_HELLO_MAX], out[GW_HELLO_MAX], again[GW_HELLO_MAX];
        struct gw_hello hello, back;
        memset(&hello, 0, sizeof hello);
        gw_random_fill(&random.random, bytes, sizeof bytes);
        hello.version = bytes[0] | 1;
        hello.flags = bytes[1];
        hello.seq = bytes[2];
        hello.ack = bytes[3];
        hello.suites = bytes[4];
        hello.instance = gw_load64_be(bytes + 5);
        hello.to_instance = gw_load64_be(bytes + 13);
        hello.capabilities = gw_load64_be(bytes + 21) >> (2 + bytes[29] % 62);
        hello.mtu = gw_load16_be(bytes + 32);
        for (unsigned i = 0; i < bytes[34] % (GW_HELLO_NAME_MAX + 1); i++)
            hello.name[i] = (char)(' ' + bytes[40 + i] % 95);
        hello.addr_count = bytes[35] % (GW_HELLO_ADDRS_MAX + 1);
        for (unsigned i = 0; i < hello.addr_count; i++) {
            hello.addrs[i].family = bytes[36 + i] % 2 ? 4 : 6;
            memcpy(hello.addrs[i].ip, bytes + 120 + 16 * i, hello.addrs[i].family == 4 ? 4 : 16);
        }
        if (hello.flags & GW_HELLO_IDENTITY) {
            memcpy(hello.ed25519, bytes + 200, 32);
            memcpy(hello.signature, bytes + 232, 64);
        }
        size_t len = encode(&hello, out);
        assert_int_equal(gw_hello_decode(&back, view_of(out, len)), 0);
        assert_int_equal(encode(&back, again), len);
        assert_memory_equal(again, out, len);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_the_longest),
        cmocka_unit_test(test_cut_at_every_length),
        cmocka_unit_test(test_later_versions_may_add_fields),
        cmocka_unit_test(test_fields_out_of_range),
        cmocka_unit_test(test_more_addresses_than_allowed),
        cmocka_unit_test(test_names_are_made_harmless),
        cmocka_unit_test(test_random_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

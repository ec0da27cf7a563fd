/* SPDX-License-Identifier: MIT */
/* The decoder of questions against bytes that are wrong in one way each, and the rules of who may ask. */
#include "frontends/dns/access.h"
#include "frontends/dns/answer.h"

#include "gateway/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

#define HEAD(flags, qd, an, ns, ar) "\x12\x34" flags "\0" qd "\0" an "\0" ns "\0" ar
#define NAME "\4hOme\3p2p\0"
#define A_IN "\0\1\0\1"
#define OPT(version, options_len) "\0\0\x29\x10\0\0" version "\0\0\0" options_len
/* clang-format off */
#define T(bytes, verdict) {bytes, sizeof bytes - 1, verdict}
/* clang-format on */

static void test_queries(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        int verdict;
    } cases[] = {
        /* 0 */ T("", GW_DNS_DROP),
        /* 1 */ T("\x12\x34\1\0\0\1\0\0\0\0\0", GW_DNS_DROP),
        /* 2 */ T(HEAD("\1\0", "\1", "\0", "\0", "\0") NAME A_IN, GW_DNS_NOERROR),
        /* 3: a response */ T(HEAD("\x81\0", "\1", "\0", "\0", "\0") NAME A_IN, GW_DNS_DROP),
        /* 4: NOTIFY */ T(HEAD("\x20\0", "\1", "\0", "\0", "\0") NAME A_IN, GW_DNS_NOTIMP),
        /* 5: no, or two, questions */ T(HEAD("\1\0", "\0", "\0", "\0", "\0"), GW_DNS_FORMERR),
        /* 6 */ T(HEAD("\1\0", "\2", "\0", "\0", "\0") NAME A_IN NAME A_IN, GW_DNS_FORMERR),
        /* 7: records where there are none */
        T(HEAD("\1\0", "\1", "\1", "\0", "\0") NAME A_IN, GW_DNS_FORMERR),
        /* 8 */ T(HEAD("\1\0", "\1", "\0", "\1", "\0") NAME A_IN, GW_DNS_FORMERR),
        /* 9: something behind */ T(HEAD("\1\0", "\1", "\0", "\0", "\0") NAME A_IN "x", GW_DNS_FORMERR),
        /* 10: cut */ T(HEAD("\1\0", "\1", "\0", "\0", "\0") NAME "\0\1\0", GW_DNS_FORMERR),
        /* 11 */ T(HEAD("\1\0", "\1", "\0", "\0", "\0") "\4ho", GW_DNS_FORMERR),
        /* 12 */ T(HEAD("\1\0", "\1", "\0", "\0", "\0") "\4home", GW_DNS_FORMERR),
        /* 13: a pointer to itself, to the header, forward */
        T(HEAD("\1\0", "\1", "\0", "\0", "\0") "\xc0\x0c" A_IN, GW_DNS_FORMERR),
        /* 14 */ T(HEAD("\1\0", "\1", "\0", "\0", "\0") "\4home\xc0\0" A_IN, GW_DNS_FORMERR),
        /* 15: the two other kinds of label */
        T(HEAD("\1\0", "\1", "\0", "\0", "\0") "\x41x\0" A_IN, GW_DNS_FORMERR),
        /* 16 */ T(HEAD("\1\0", "\1", "\0", "\0", "\0") "\x80x\0" A_IN, GW_DNS_FORMERR),
        /* 17 */ T(HEAD("\1\0", "\1", "\0", "\0", "\1") NAME A_IN OPT("\0", "\0"), GW_DNS_NOERROR),
        /* 18 */ T(HEAD("\1\0", "\1", "\0", "\0", "\1") NAME A_IN OPT("\1", "\0"), GW_DNS_BADVERS),
        /* 19: two of them */
        T(HEAD("\1\0", "\1", "\0", "\0", "\2") NAME A_IN OPT("\0", "\0") OPT("\0", "\0"), GW_DNS_FORMERR),
        /* 20: options that are longer than it */
        T(HEAD("\1\0", "\1", "\0", "\0", "\1") NAME A_IN OPT("\0", "\4") "\0\12\0\1", GW_DNS_FORMERR),
        /* 21 */
        T(HEAD("\1\0", "\1", "\0", "\0", "\1") NAME A_IN OPT("\0", "\4") "\0\12\0\0", GW_DNS_NOERROR),
        /* 22: it isn't there */ T(HEAD("\1\0", "\1", "\0", "\0", "\1") NAME A_IN, GW_DNS_FORMERR),
        /* 23: at a name */
        T(HEAD("\1\0", "\1", "\0", "\0", "\1") NAME A_IN "\1x" OPT("\0", "\0"), GW_DNS_FORMERR),
        /* 24: an additional record's pointer is not followed */
        T(HEAD("\1\0", "\1", "\0", "\0", "\1") NAME A_IN "\xc0\x1a\0\1\0\1\0\0\0\0\0\0", GW_DNS_NOERROR),
        /* 25: five additional records */ T(HEAD("\1\0", "\1", "\0", "\0", "\5") NAME A_IN, GW_DNS_FORMERR),
        /* 26: the root */ T(HEAD("\1\0", "\1", "\0", "\0", "\0") "\0" A_IN, GW_DNS_NOERROR),
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gw_dns_query query;
        int verdict = gw_dns_query_decode(&query, (const uint8_t *)cases[i].bytes, cases[i].len);
        if (verdict != cases[i].verdict)
            fail_msg("%zu: %d instead of %d", i, verdict, cases[i].verdict);
    }
}

static size_t put_name(uint8_t *out, unsigned label_len, unsigned count)
{
    uint8_t *at = out;
    for (unsigned i = 0; i < count; i++) {
        *at++ = (uint8_t)label_len;
        memset(at, 'A', label_len);
        at += label_len;
    }
    *at++ = 0;
    memcpy(at, A_IN, 4);
    return (size_t)(at + 4 - out);
}

static void test_name_lengths(void **state)
{
    uint8_t bytes[1024] = HEAD("\1\0", "\1", "\0", "\0", "\0");
    struct gw_dns_query query;
    char text[256];
    (void)state;
    /* 127 labels of one letter are 255 bytes, the most there can be. */
    size_t len = put_name(bytes + 12, 1, 127);
    assert_int_equal(gw_dns_query_decode(&query, bytes, 12 + len), GW_DNS_NOERROR);
    assert_int_equal(query.label_count, 127);
    assert_int_equal(query.name_len, 255);
    assert_true(gw_dns_query_label_is(&query, 126, "a"));
    assert_int_equal(strlen(gw_dns_query_text(&query, text)), 253);
    len = put_name(bytes + 12, 1, 128);
    assert_int_equal(gw_dns_query_decode(&query, bytes, 12 + len), GW_DNS_FORMERR);
    len = put_name(bytes + 12, 63, 3);
    assert_int_equal(gw_dns_query_decode(&query, bytes, 12 + len), GW_DNS_NOERROR);
    len = put_name(bytes + 12, 63, 4);
    assert_int_equal(gw_dns_query_decode(&query, bytes, 12 + len), GW_DNS_FORMERR);
}

/* Whatever the buffer's size, nothing is written behind it, and what is returned fits. */
static void test_small_buffers(void **state)
{
    static const char bytes[] = HEAD("\1\0", "\1", "\0", "\0", "\1") NAME A_IN OPT("\0", "\0");
    struct gw_dns_query query;
    (void)state;
    assert_int_equal(gw_dns_query_decode(&query, (const uint8_t *)bytes, sizeof bytes - 1), GW_DNS_NOERROR);
    for (size_t cap = 0; cap < 64; cap++) {
        uint8_t out[64];
        memset(out, 0xee, sizeof out);
        size_t len = gw_dns_answer_code(&query, GW_DNS_SERVFAIL, 0, out, cap);
        assert_true(len <= cap);
        assert_true(len == 0 || len == sizeof bytes - 1);
        for (size_t i = cap; i < sizeof out; i++)
            assert_int_equal(out[i], 0xee);
    }
}

static struct gw_addr from(const char *text)
{
    struct gw_addr out;
    assert_int_equal(gw_addr_parse(&out, text), 0);
    return out;
}

static void test_access(void **state)
{
    struct gw_dns_access access;
    struct gw_addr ours = from("10.64.1.2:5000"), stranger = from("192.0.2.1:5000"),
                   loop = from("127.0.0.1:5000"), zero = from("127.0.0.1:0");
    struct gw_prefix allowed = {.ip = ours, .bits = 9};
    struct gw_mono now = {GW_S(1)};
    unsigned verdicts[4] = {0};
    (void)state;
    assert_int_equal(gw_dns_access_init(&access, &allowed, 1, 100, 50), 0);
    assert_int_equal(gw_dns_access_take(&access, &stranger, now), GW_DNS_PERMIT_NOT);
    assert_int_equal(gw_dns_access_take(&access, &zero, now), GW_DNS_PERMIT_NOT);
    for (unsigned i = 0; i < 1000; i++) {
        verdicts[gw_dns_access_take(&access, &ours, now)]++;
        assert_int_equal(gw_dns_access_take(&access, &loop, now), GW_DNS_PERMIT);
    }
    assert_int_equal(verdicts[GW_DNS_PERMIT], 50);
    assert_true(verdicts[GW_DNS_SLIP] > 0 && verdicts[GW_DNS_SLIP] <= 250);
    now.ns += GW_S(1);
    assert_int_equal(gw_dns_access_take(&access, &ours, now), GW_DNS_PERMIT);
    gw_dns_access_fini(&access);
    assert_int_equal(gw_dns_access_init(&access, &allowed, GW_DNS_ALLOWED_MAX + 1, 0, 0), GW_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_name_lengths),
        cmocka_unit_test(test_small_buffers),
        cmocka_unit_test(test_access),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* What is said to an HTTP proxy, and what of its answers is understood. */
#include "gateway/wire/http_connect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect_request(const char *addr, const char *credentials, const char *expected)
{
    char out[GW_HTTP_CONNECT_MAX];
    struct gw_addr to;
    assert_int_equal(gw_addr_parse(&to, addr), 0);
    size_t len = gw_http_connect_write(out, &to, credentials);
    assert_string_equal(out, expected);
    assert_int_equal(len, strlen(expected));
}

static void test_request(void **state)
{
    (void)state;
    expect_request("192.0.2.1:443", "", "CONNECT 192.0.2.1:443 HTTP/1.1\r\nHost: 192.0.2.1:443\r\n\r\n");
    /* RFC 7617, 2 */
    expect_request("[2001:db8::1]:8443", "Aladdin:open sesame",
                   "CONNECT [2001:db8::1]:8443 HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\n"
                   "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n");
}

static void test_longest_request(void **state)
{
    (void)state;
    char out[GW_HTTP_CONNECT_MAX], credentials[GW_HTTP_CREDENTIALS_MAX + 1];
    struct gw_addr to;
    memset(credentials, 'x', sizeof credentials);
    credentials[GW_HTTP_CREDENTIALS_MAX] = '\0';
    assert_int_equal(gw_addr_parse(&to, "[1111:2222:3333:4444:5555:6666:7777:8888]:65535"), 0);
    size_t len = gw_http_connect_write(out, &to, credentials);
    assert_int_equal(len, strlen(out));
    assert_string_equal(out + len - 4, "\r\n\r\n");
}

static void test_answers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum gw_http_connect expected;
        unsigned status;
        size_t behind; /* bytes of the far end's */
    } table[] = {
        {"HTTP/1.1 200 Connection established\r\n\r\n", GW_HTTP_CONNECT_OPEN, 200, 0},
        {"HTTP/1.0 200\r\nVia: x\r\n\r\n", GW_HTTP_CONNECT_OPEN, 200, 0},
        {"HTTP/1.0 204 \n\n", GW_HTTP_CONNECT_OPEN, 204, 0},
        {"HTTP/1.1 200 OK\r\n\r\nmore", GW_HTTP_CONNECT_OPEN, 200, 4},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", GW_HTTP_CONNECT_OPEN, 200, 0},
        {"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 3\r\n\r\nno!",
         GW_HTTP_CONNECT_REFUSED, 407, 3},
        {"HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n", GW_HTTP_CONNECT_REFUSED, 302, 0},
        {"HTTP/1.1 200 OK\r\n", GW_HTTP_CONNECT_MORE, 0, 0},
        {"HTTP/1.1 200 OK\r\n\r", GW_HTTP_CONNECT_MORE, 0, 0},
        {"HT", GW_HTTP_CONNECT_MORE, 0, 0},
        {"", GW_HTTP_CONNECT_MORE, 0, 0},
        {"SSH-2.0-OpenSSH_9.2\r\n", GW_HTTP_CONNECT_WRONG, 0, 0},
        {"HTTP/2 200\r\n\r\n", GW_HTTP_CONNECT_WRONG, 0, 0},
        {"HTTP/1.1 2x0 OK\r\n\r\n", GW_HTTP_CONNECT_WRONG, 0, 0},
        {"HTTP/1.1 099 OK\r\n\r\n", GW_HTTP_CONNECT_WRONG, 0, 0},
        {"HTTP/1.1 20\r\n\r\n", GW_HTTP_CONNECT_WRONG, 0, 0},
        {"\x16\x03\x03", GW_HTTP_CONNECT_WRONG, 0, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t len = strlen(table[i].text), used;
        unsigned status;
        uint8_t *exact = malloc(len > 0 ? len : 1); /* for a sanitizer to see */
        memcpy(exact, table[i].text, len);
        assert_int_equal(gw_http_connect_read(exact, len, &status, &used), table[i].expected);
        if (table[i].status)
            assert_int_equal(status, table[i].status);
        if (table[i].expected == GW_HTTP_CONNECT_OPEN)
            assert_int_equal(len - used, table[i].behind);
        free(exact);
    }
}

/* However it comes, nothing is decided before it is all there. */
static void test_byte_by_byte(void **state)
{
    (void)state;
    static const char text[] = "HTTP/1.1 200 Connection established\r\nProxy-agent: x\r\n\r\n";
    size_t used;
    unsigned status;
    for (size_t len = 0; len < sizeof text - 1; len++)
        assert_int_equal(gw_http_connect_read((const uint8_t *)text, len, &status, &used),
                         GW_HTTP_CONNECT_MORE);
    assert_int_equal(gw_http_connect_read((const uint8_t *)text, sizeof text - 1, &status, &used),
                     GW_HTTP_CONNECT_OPEN);
}

/* A head without an end, and provisional answers without one, are not kept for ever. */
static void test_endless(void **state)
{
    (void)state;
    static uint8_t bytes[GW_HTTP_ANSWER_MAX + 100];
    size_t used;
    unsigned status;
    memset(bytes, 'a', sizeof bytes);
    memcpy(bytes, "HTTP/1.1 200 ", 13);
    assert_int_equal(gw_http_connect_read(bytes, GW_HTTP_ANSWER_MAX, &status, &used), GW_HTTP_CONNECT_MORE);
    assert_int_equal(gw_http_connect_read(bytes, GW_HTTP_ANSWER_MAX + 1, &status, &used),
                     GW_HTTP_CONNECT_WRONG);
    static const char again[] = "HTTP/1.1 100 x\r\n\r\n";
    size_t n = 0;
    for (; n + sizeof again <= sizeof bytes; n += sizeof again - 1)
        memcpy(bytes + n, again, sizeof again - 1);
    assert_int_equal(gw_http_connect_read(bytes, n, &status, &used), GW_HTTP_CONNECT_WRONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request), cmocka_unit_test(test_longest_request),
        cmocka_unit_test(test_answers), cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_endless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

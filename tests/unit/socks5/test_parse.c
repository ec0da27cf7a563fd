/* SPDX-License-Identifier: MIT */
/* The proxy's parser: what each input means, and that it means the same however it is cut. */
#include "feed.h"

#include "frontends/socks5/socks5.h"
#include "frontends/socks5/udp_header.h"
#include "gateway/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

static size_t all_of_it(size_t at, void *ctx)
{
    (void)at, (void)ctx;
    return FEED_MAX;
}

static size_t one_byte(size_t at, void *ctx)
{
    (void)at, (void)ctx;
    return 1;
}

/* Everything up to *ctx, then the rest. */
static size_t up_to(size_t at, void *ctx)
{
    size_t cut = *(size_t *)ctx;
    return at < cut ? cut - at : FEED_MAX;
}

static size_t random_piece(size_t at, void *ctx)
{
    unsigned *state = ctx;
    (void)at;
    *state = *state * 1664525u + 1013904223u;
    return 1 + (*state >> 16) % 40;
}

static struct fed whole, other;

/* Runs it in every way, and leaves the result in `whole`. */
static void feed_all_ways(const void *input, size_t len, const struct gw_auth *auth)
{
    struct feed feed = {.input = input, .input_len = len, .piece = all_of_it, .auth = auth};
    unsigned seed = 1;
    feed_run(&feed, &whole);
    feed.piece = one_byte;
    feed_run(&feed, &other);
    feed_expect_same(&whole, &other);
    feed.piece = up_to;
    for (size_t cut = 1; cut < len && cut < 2000; cut++) {
        feed.ctx = &cut;
        feed_run(&feed, &other);
        feed_expect_same(&whole, &other);
    }
    feed.piece = random_piece;
    feed.ctx = &seed;
    for (int i = 0; i < 50; i++) {
        feed_run(&feed, &other);
        feed_expect_same(&whole, &other);
    }
}

#define BYTES(text) text, sizeof text - 1

struct socks_case {
    const char *input;
    size_t len;
    const char *said;
    size_t said_len;
    enum gw_proxy_command command;
    const char *host;
    uint16_t port;
    const char *first;
};

static void test_socks5(void **state)
{
    static const struct socks_case cases[] = {
        {BYTES("\5\1\0\5\1\0\1\x0a\1\2\3\0\x50"), BYTES("\5\0"), GW_PROXY_CONNECT, "10.1.2.3", 80, ""},
        {BYTES("\5\2\2\0\5\1\0\3\4home\0\x16SSH-2.0"), BYTES("\5\0"), GW_PROXY_CONNECT, "home", 22,
         "SSH-2.0"},
        {BYTES("\5\1\0\5\1\0\4\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\1\273abc"), BYTES("\5\0"), GW_PROXY_CONNECT,
         "fd00::1", 443, "abc"},
        {BYTES("\5\1\0\5\3\0\1\0\0\0\0\0\0"), BYTES("\5\0"), GW_PROXY_ASSOCIATE, "0.0.0.0", 0, ""},
        /* a reserved byte that is not zero */
        {BYTES("\5\1\0\5\1\7\1\x0a\1\2\3\0\x50"), BYTES("\5\0"), GW_PROXY_CONNECT, "10.1.2.3", 80, ""},
        /* an address that is written as a name */
        {BYTES("\5\1\0\5\1\0\3\7"
               "1.2.3.4\0\1"),
         BYTES("\5\0"), GW_PROXY_CONNECT, "1.2.3.4", 1, ""},
        /* a password where none is needed */
        {BYTES("\5\1\2\1\1u\1p\5\1\0\3\1h\0\1x"), BYTES("\5\2\1\0"), GW_PROXY_CONNECT, "h", 1, "x"},
        {BYTES("\5\1\2\1\0\0\5\1\0\3\1h\0\1"), BYTES("\5\2\1\0"), GW_PROXY_CONNECT, "h", 1, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct socks_case *c = &cases[i];
        feed_all_ways(c->input, c->len, NULL);
        assert_int_equal(whole.last, GW_PROXY_REQUEST);
        assert_int_equal(whole.said_len, c->said_len);
        assert_memory_equal(whole.said, c->said, c->said_len);
        assert_int_equal(whole.request.command, c->command);
        assert_string_equal(whole.request.host, c->host);
        assert_int_equal(whole.request.port, c->port);
        assert_int_equal(whole.first_len, strlen(c->first));
        assert_memory_equal(whole.first, c->first, strlen(c->first));
        bool is_ip = c->host[0] < 'a' || strchr(c->host, ':');
        assert_int_equal(gw_addr_is_set(&whole.request.ip), is_ip);
    }
}

static void test_socks5_failures(void **state)
{
    static const struct {
        const char *input;
        size_t len;
        enum gw_outcome outcome;
    } cases[] = {
        {BYTES("\4\1\0\x50\1\2\3\4\0"), GW_OUTCOME_BAD_VERSION},
        {BYTES("\x16\3\1"), GW_OUTCOME_BAD_REQUEST},
        {BYTES("\0"), GW_OUTCOME_BAD_REQUEST},
        {BYTES("\5\0"), GW_OUTCOME_NEEDS_AUTH},
        {BYTES("\5\1\x80"), GW_OUTCOME_NEEDS_AUTH},
        {BYTES("\5\1\0\4\1\0\1"), GW_OUTCOME_BAD_REQUEST},
        {BYTES("\5\1\0\5\2\0\1\1\2\3\4\0\1"), GW_OUTCOME_BAD_COMMAND},
        {BYTES("\5\1\0\5\0\0\1\1\2\3\4\0\1"), GW_OUTCOME_BAD_COMMAND},
        {BYTES("\5\1\0\5\1\0\2\1\2\3\4\0\1"), GW_OUTCOME_BAD_ADDRESS_TYPE},
        {BYTES("\5\1\0\5\1\0\3\0\0\1"), GW_OUTCOME_BAD_REQUEST},
        {BYTES("\5\1\0\5\1\0\3\3a\0b\0\1"), GW_OUTCOME_BAD_REQUEST},
        {BYTES("\5\1\0\5\1\0\3\3a b\0\1"), GW_OUTCOME_BAD_REQUEST},
        {BYTES("\5\1\2\2\1u\1p"), GW_OUTCOME_BAD_REQUEST},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        feed_all_ways(cases[i].input, cases[i].len, NULL);
        assert_int_equal(whole.last, GW_PROXY_FAIL);
        assert_int_equal(whole.outcome, cases[i].outcome);
    }
    /* A prefix of a good one only wants more. */
    static const char good[] = "\5\1\0\5\1\0\3\4home\0\x16";
    for (size_t len = 0; len < sizeof good - 1; len++) {
        feed_all_ways(good, len, NULL);
        assert_int_equal(whole.last, GW_PROXY_MORE);
    }
}

/* The longest of everything, at once. */
static void test_socks5_long(void **state)
{
    uint8_t input[2 + 255 + 3 + 510 + 7 + 255 + 100];
    struct gw_auth *auth;
    char name[256], password[256], host[256];
    size_t n = 0;
    (void)state;
    memset(name, 'n', 255);
    memset(password, 'p', 255);
    memset(host, 'h', 255);
    name[255] = password[255] = host[255] = '\0';
    struct gw_socks5_user user = {name, password};
    assert_int_equal(gw_auth_new(&auth, &user, 1), 0);
    input[n++] = 5;
    input[n++] = 255;
    memset(input + n, 2, 255);
    n += 255;
    input[n++] = 1;
    input[n++] = 255;
    memcpy(input + n, name, 255);
    n += 255;
    input[n++] = 255;
    memcpy(input + n, password, 255);
    n += 255;
    memcpy(input + n, "\5\1\0\3\xff", 5);
    n += 5;
    memcpy(input + n, host, 255);
    n += 255;
    memcpy(input + n, "\xff\xff", 2);
    n += 2;
    memset(input + n, 'x', 100);
    n += 100;
    feed_all_ways(input, n, auth);
    assert_int_equal(whole.last, GW_PROXY_REQUEST);
    assert_string_equal(whole.request.host, host);
    assert_int_equal(whole.request.port, 65535);
    assert_int_equal(whole.first_len, 100);
    gw_auth_put(auth);
}

struct http_case {
    const char *input, *first, *host;
    uint16_t port;
    enum gw_proxy_command command;
};

static void test_http(void **state)
{
    static const struct http_case cases[] = {
        {"CONNECT home.demo:443 HTTP/1.1\r\nHost: home.demo:443\r\n\r\n\x16\x03", "\x16\x03", "home.demo",
         443, GW_PROXY_CONNECT},
        {"CONNECT [fd00::1]:22 HTTP/1.0\r\n\r\n", "", "fd00::1", 22, GW_PROXY_CONNECT},
        {"GET http://web.home.demo/ HTTP/1.1\r\nHost: other\r\nAccept: */*\r\n\r\n",
         "GET / HTTP/1.1\r\nHost: web.home.demo\r\nAccept: */*\r\nConnection: close\r\n\r\n", "web.home.demo",
         80, GW_PROXY_FORWARD},
        {"GET HTTP://home:8080/a/b?c=d HTTP/1.0\r\n\r\n",
         "GET /a/b?c=d HTTP/1.0\r\nHost: home:8080\r\nConnection: close\r\n\r\n", "home", 8080,
         GW_PROXY_FORWARD},
        {"GET http://home?q HTTP/1.1\r\n\r\n", "GET /?q HTTP/1.1\r\nHost: home\r\nConnection: close\r\n\r\n",
         "home", 80, GW_PROXY_FORWARD},
        {"GET http://home HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: home\r\nConnection: close\r\n\r\n",
         "home", 80, GW_PROXY_FORWARD},
        {"OPTIONS http://home HTTP/1.1\r\n\r\n",
         "OPTIONS * HTTP/1.1\r\nHost: home\r\nConnection: close\r\n\r\n", "home", 80, GW_PROXY_FORWARD},
        {"GET http://[::1]/ HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n",
         "::1", 80, GW_PROXY_FORWARD},
        /* what is for this connection only */
        {"GET http://h/ HTTP/1.1\r\nConnection: keep-alive, x-one\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nX-One: 1\r\nX-Two: 2\r\nTE: x\r\n"
         "Upgrade: websocket\r\nproxy-authorization: Basic eA==\r\nTrailer: x\r\n\r\n",
         "GET / HTTP/1.1\r\nHost: h\r\nX-Two: 2\r\nConnection: close\r\n\r\n", "h", 80, GW_PROXY_FORWARD},
        /* the body's length is not, whatever it says */
        {"POST http://h/ HTTP/1.1\r\nConnection: content-length\r\nContent-Length: 3\r\n\r\nabcGET http://other/ HTTP/1.1\r\n\r\n",
         "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", "h", 80,
         GW_PROXY_FORWARD},
        {"POST http://h/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
         "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
         "h", 80, GW_PROXY_FORWARD},
        {"GET http://h/ HTTP/1.1\r\nEmpty:\r\nTabs:\t x \t\r\n\r\n",
         "GET / HTTP/1.1\r\nHost: h\r\nEmpty:\r\nTabs:\t x \t\r\nConnection: close\r\n\r\n", "h", 80,
         GW_PROXY_FORWARD},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct http_case *c = &cases[i];
        feed_all_ways(c->input, strlen(c->input), NULL);
        assert_int_equal(whole.last, GW_PROXY_REQUEST);
        assert_int_equal(whole.said_len, 0);
        assert_int_equal(whole.request.command, c->command);
        assert_string_equal(whole.request.host, c->host);
        assert_int_equal(whole.request.port, c->port);
        whole.first[whole.first_len] = '\0';
        assert_string_equal(whole.first, c->first);
    }
}

static void test_http_failures(void **state)
{
    static const struct {
        const char *input;
        enum gw_outcome outcome;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", GW_OUTCOME_NOT_A_PROXY_REQUEST},
        {"OPTIONS * HTTP/1.1\r\n\r\n", GW_OUTCOME_NOT_A_PROXY_REQUEST},
        {"GET https://h/ HTTP/1.1\r\n\r\n", GW_OUTCOME_HTTPS_BY_GET},
        {"GET ftp://h/ HTTP/1.1\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http://h/ HTTP/2.0\r\n\r\n", GW_OUTCOME_BAD_VERSION},
        {"GET http://h/ HTTP/1.1 \r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http://h/  HTTP/1.1\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http://h/\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http:///x HTTP/1.1\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http://u@h/ HTTP/1.1\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http://h:/ HTTP/1.1\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http://h:0/ HTTP/1.1\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http://h:65536/ HTTP/1.1\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http://h:8x/ HTTP/1.1\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http://::1/ HTTP/1.1\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http://[::1/ HTTP/1.1\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http://[h]/ HTTP/1.1\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http://h/#x HTTP/1.1\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"CONNECT h HTTP/1.1\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"CONNECT http://h:1/ HTTP/1.1\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"CONNECT :1 HTTP/1.1\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"G(T http://h/ HTTP/1.1\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http://h/ HTTP/1.1\n\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http://h/ HTTP/1.1\r\nA: b\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http://h/ HTTP/1.1\r\nA: b\rc\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http://h/ HTTP/1.1\r\nA: b\r\n c\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http://h/ HTTP/1.1\r\nA : b\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http://h/ HTTP/1.1\r\n: b\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http://h/ HTTP/1.1\r\nno colon\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"GET http://h/ HTTP/1.1\r\nA: \x01\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"POST http://h/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"POST http://h/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"POST http://h/ HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
        {"POST http://h/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         GW_OUTCOME_BAD_REQUEST},
        {"POST http://h/ HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", GW_OUTCOME_BAD_REQUEST},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        feed_all_ways(cases[i].input, strlen(cases[i].input), NULL);
        if (whole.last != GW_PROXY_FAIL || whole.outcome != cases[i].outcome)
            fail_msg("%s: step %d, outcome %d", cases[i].input, whole.last, whole.outcome);
        assert_memory_equal(whole.said, "HTTP/1.1 ", 9);
    }
}

static void test_http_large(void **state)
{
    static char input[40000];
    size_t n = (size_t)snprintf(input, sizeof input, "GET http://h/ HTTP/1.1\r\nX: ");
    (void)state;
    /* Just fits; then one byte more. */
    memset(input + n, 'x', GW_PROXY_HEADER_MAX - n - 4);
    memcpy(input + GW_PROXY_HEADER_MAX - 4, "\r\n\r\n", 4);
    feed_all_ways(input, GW_PROXY_HEADER_MAX, NULL);
    assert_int_equal(whole.last, GW_PROXY_REQUEST);
    memset(input + n, 'x', sizeof input - n);
    feed_all_ways(input, sizeof input, NULL);
    assert_int_equal(whole.last, GW_PROXY_FAIL);
    assert_int_equal(whole.outcome, GW_OUTCOME_TOO_LARGE);
    assert_non_null(strstr(whole.said, "431"));
}

/* Random bytes, and random changes of good input: nothing to expect but that all ways agree. */
static void test_random(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } good[] = {
        {BYTES("\5\1\2\1\1u\1p\5\1\0\3\4home\0\x16xyz")},
        {BYTES("GET http://h:1/x HTTP/1.1\r\nA: b\r\nContent-Length: 3\r\n\r\nabc")},
        {BYTES("CONNECT [::1]:2 HTTP/1.1\r\nConnection: a, b\r\n\r\nrest")},
    };
    unsigned seed = 12345;
    (void)state;
    for (int i = 0; i < 3000; i++) {
        uint8_t input[64];
        size_t which = random_piece(0, &seed) % 3, len = good[which].len;
        assert_true(len <= sizeof input);
        memcpy(input, good[which].bytes, len);
        for (size_t n = random_piece(0, &seed) % 4; n > 0; n--)
            input[(random_piece(0, &seed) * 41 + random_piece(0, &seed)) % len] =
                (uint8_t)(random_piece(0, &seed) * 7);
        feed_all_ways(input, len, NULL);
    }
}

static void test_udp_header(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        int result;
        const char *host;
        uint16_t port;
    } cases[] = {
        {BYTES("\0\0\0\1\x0a\0\0\1\0\65data"), 10, "10.0.0.1", 53},
        {BYTES("\0\0\0\3\4home\0\x35"), 11, "home", 53},
        {BYTES("\xff\xff\0\4\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\1\0!"), 22, "fd00::1", 256},
        {BYTES("\0\0\1\1\x0a\0\0\1\0\x35"), GW_E_STATE, "", 0},
        {BYTES("\0\0\0\2\x0a\0\0\1\0\x35"), GW_E_MALFORMED, "", 0},
        {BYTES("\0\0\0\3\0\0\x35"), GW_E_MALFORMED, "", 0},
        {BYTES("\0\0\0\3\4hom\0\x35"), GW_E_MALFORMED, "", 0},
        {BYTES("\0\0\0"), GW_E_MALFORMED, "", 0},
        {BYTES(""), GW_E_MALFORMED, "", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gw_proxy_request target = {0};
        assert_int_equal(gw_udp_header_parse(&target, (const uint8_t *)cases[i].bytes, cases[i].len),
                         cases[i].result);
        if (cases[i].result < 0)
            continue;
        assert_string_equal(target.host, cases[i].host);
        assert_int_equal(target.port, cases[i].port);
        for (size_t len = 0; len < (size_t)cases[i].result; len++)
            assert_int_equal(gw_udp_header_parse(&target, (const uint8_t *)cases[i].bytes, len),
                             GW_E_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_socks5),        cmocka_unit_test(test_socks5_failures),
        cmocka_unit_test(test_socks5_long),   cmocka_unit_test(test_http),
        cmocka_unit_test(test_http_failures), cmocka_unit_test(test_http_large),
        cmocka_unit_test(test_random),        cmocka_unit_test(test_udp_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

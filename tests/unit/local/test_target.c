/* SPDX-License-Identifier: MIT */
#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/local/listener.h"
#include "gateway/local/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        enum gw_target_kind kind;
        uint16_t port;
        const char *name;
    } good[] = {
        {"127.0.0.1:80", GW_TARGET_ADDR, 80, ""},
        {"[::1]:65535", GW_TARGET_ADDR, 65535, ""},
        {"localhost:22", GW_TARGET_HOST, 22, "localhost"},
        {"a-b.example.org:1", GW_TARGET_HOST, 1, "a-b.example.org"},
        {"unix:/run/x.sock", GW_TARGET_UNIX, 0, "/run/x.sock"},
        {"unix:@abstract", GW_TARGET_UNIX, 0, "@abstract"},
        {"unix:relative", GW_TARGET_UNIX, 0, "relative"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct gw_target target, again;
        char text[GW_TARGET_STRLEN];
        assert_int_equal(gw_target_parse(&target, good[i].text), 0);
        assert_int_equal(target.kind, good[i].kind);
        assert_int_equal(target.port, good[i].port);
        assert_string_equal(target.name, good[i].name);
        assert_string_equal(gw_target_format(&target, text), good[i].text);
        assert_int_equal(gw_target_parse(&again, text), 0);
        assert_true(gw_target_equal(&target, &again));
    }
}

static void test_bad(void **state)
{
    static const char *const bad[] = {"",      "x",     ":80",    "x:",       "x:0",    "x:65536",
                                      "x:-1",  "x:8 ",  "::1:80", "[::1]",    "[::1",   "[x]:1",
                                      "a b:1", "unix:", "unix:@", "x:123456", "a/b:80", "x:+1"};
    struct gw_target target;
    char text[400];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (gw_target_parse(&target, bad[i]) == 0)
            fail_msg("'%s'", bad[i]);
    }
    memset(text, 'a', sizeof text);
    memcpy(text, "unix:", 5);
    text[5 + 107] = '\0';
    assert_int_equal(gw_target_parse(&target, text), 0);
    text[5 + 107] = 'a';
    text[5 + 108] = '\0';
    assert_int_equal(gw_target_parse(&target, text), GW_E_TOO_BIG);
    memset(text, 'a', sizeof text);
    strcpy(text + 255, ":1");
    assert_int_equal(gw_target_parse(&target, text), 0);
    memset(text, 'a', sizeof text);
    strcpy(text + 256, ":1");
    assert_int_equal(gw_target_parse(&target, text), GW_E_TOO_BIG);
}

static void test_log(void **state)
{
    struct gw_target target;
    char text[GW_TARGET_STRLEN];
    (void)state;
    gw_log_set_hide_addresses(true);
    assert_int_equal(gw_target_parse(&target, "192.0.2.1:80"), 0);
    assert_string_equal(gw_target_log(&target, text), "(hidden)");
    assert_int_equal(gw_target_parse(&target, "unix:/x"), 0);
    assert_string_equal(gw_target_log(&target, text), "unix:/x");
    gw_log_set_hide_addresses(false);
}

static void test_listen(void **state)
{
    static const struct {
        const char *text, *means;
    } good[] = {{"127.0.0.1:0", "127.0.0.1:0"}, {"localhost:1080", "127.0.0.1:1080"},
                {"*:1080", "[::]:1080"},        {"*:0", "[::]:0"},
                {"[::1]:5", "[::1]:5"},         {"unix:/x:0", "unix:/x:0"}};
    static const char *const bad[] = {"", "1080", "home:1080", "127.0.0.1", "*", "::1:80", "unix:"};
    struct gw_target target;
    char text[GW_TARGET_STRLEN];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(gw_listener_parse(&target, good[i].text), 0);
        assert_string_equal(gw_target_format(&target, text), good[i].means);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_not_equal(gw_listener_parse(&target, bad[i]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

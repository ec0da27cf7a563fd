/* SPDX-License-Identifier: MIT */
/* Rules: which texts are some, how they print, and what they say of destinations. */
#include "gateway/config/rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *text, *printed; /* NULL: refused */
} rules[] = {
    {"example.org", "example.org"},
    {"Example.org:443", "example.org:443"},
    {"*.example.org", "*.example.org"},
    {"*.example.org:80", "*.example.org:80"},
    {"*", "*"},
    {"*:25", "*:25"},
    {"10.0.0.1", "10.0.0.1/32"},
    {"10.0.0.0/8:22", "10.0.0.0/8:22"},
    {"fd00::/8", "fd00::/8"},
    {"[fd00::/8]:22", "[fd00::/8]:22"},
    {"[::1]:22", "[::1/128]:22"},
    {"[::1]", "::1/128"},
    {"::1", "::1/128"},
    {"[10.0.0.0/8]:22", "10.0.0.0/8:22"},
    {"a_b", "a_b"},
    {"1.2.3.4:8000-9000", "1.2.3.4/32:8000-9000"},
    {"*.x:1-65535", "*.x:1-65535"},
    {"[fd00::/8]:7-8", "[fd00::/8]:7-8"},
    {"x:80-80", "x:80"},
    {"", NULL},
    {"*foo", NULL},
    {"a.*", NULL},
    {"*.", NULL},
    {"a:0", NULL},
    {"a:b", NULL},
    {"[::1]22", NULL},
    {"1.2.3.4.5", NULL},
    {"a/8", NULL},
    {"*x", NULL},
    {"a b", NULL},
    {"10.0.0.0/33", NULL},
    {"fd00::/129", NULL},
    {"10.0.0.0/", NULL},
    {"a:65536", NULL},
    {"a:2-1", NULL},
    {"a:1-", NULL},
    {"a:-1", NULL},
    {"a:0-5", NULL},
    {":80", NULL},
    {"[::1", NULL},
    {"[a]:80", NULL},
    {"[]", NULL},
    {"[::1]:", NULL},
};

static void rules_parse(void **state)
{
    char printed[300];
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        struct gw_rule rule, again;
        int err = gw_rule_parse(&rule, rules[i].text);
        if ((err == 0) != (rules[i].printed != NULL))
            fail_msg("\"%s\": %d", rules[i].text, err);
        if (err)
            continue;
        assert_string_equal(gw_rule_format(&rule, printed, sizeof printed), rules[i].printed);
        assert_int_equal(gw_rule_parse(&again, printed), 0);
        assert_memory_equal(&rule, &again, sizeof rule);
    }
}

static const struct {
    const char *rule, *host, *ip;
    uint16_t port;
    bool matches;
} matches[] = {
    {"example.org", "example.org", NULL, 80, true},
    {"example.org", "EXAMPLE.org.", NULL, 80, true},
    {"example.org", "www.example.org", NULL, 80, false},
    {"*.example.org", "www.example.org", NULL, 80, true},
    {"*.example.org", "a.b.example.org", NULL, 80, true},
    {"*.example.org", "example.org", NULL, 80, false},
    {"*.example.org", "badexample.org", NULL, 80, false},
    {"example.org:443", "example.org", NULL, 80, false},
    {"example.org:443", "example.org", NULL, 443, true},
    {"*", NULL, "1.2.3.4", 1, true},
    {"*:25", "x", NULL, 25, true},
    {"*:25", "x", NULL, 26, false},
    {"10.0.0.0/8", NULL, "10.1.2.3", 5, true},
    {"10.0.0.0/8", NULL, "11.1.2.3", 5, false},
    {"10.0.0.0/8", NULL, "a00::", 5, false},
    {"0.0.0.0/0", NULL, "::1", 5, false},
    {"::/0", NULL, "::1", 5, true},
    {"10.0.0.0/8", "10.1.2.3", NULL, 5, false},
    {"example.org", NULL, "1.2.3.4", 5, false},
    {"*.example.org", "www.example.org.", NULL, 1, true},
    {"10.0.0.0/9", NULL, "10.127.0.1", 1, true},
    {"10.0.0.0/9", NULL, "10.128.0.1", 1, false},
    {"fd00::/8", "x", "fdff::1", 1, true},
    {"x:80-81", "x", NULL, 81, true},
    {"x:80-81", "x", NULL, 82, false},
};

static void rules_match(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) {
        struct gw_rule rule;
        struct gw_addr ip = {0};
        assert_int_equal(gw_rule_parse(&rule, matches[i].rule), 0);
        if (matches[i].ip)
            assert_int_equal(gw_addr_parse_ip(&ip, matches[i].ip, 0), 0);
        if (gw_rule_matches(&rule, matches[i].host, matches[i].ip ? &ip : NULL, matches[i].port) !=
            matches[i].matches)
            fail_msg("%zu: %s", i, matches[i].rule);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_parse),
        cmocka_unit_test(rules_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

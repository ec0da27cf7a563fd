/* SPDX-License-Identifier: MIT */
#include "frontends/socks5/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
/* after the headers that it needs */
#include <cmocka.h>

static bool permits(const struct gw_policy *policy, const char *host, const char *ip, uint16_t port)
{
    struct gw_addr addr;
    if (ip)
        assert_int_equal(gw_addr_parse_ip(&addr, ip, port), 0);
    return gw_policy_permits(policy, host, ip ? &addr : NULL, port);
}

static void test_policy(void **state)
{
    struct gw_rule allow[2], deny[2];
    struct gw_policy policy = {0};
    (void)state;
    assert_false(permits(NULL, "example.org", NULL, 80));
    assert_false(permits(&policy, "example.org", NULL, 80));
    policy.is_direct = true;
    assert_true(permits(&policy, "example.org", NULL, 80));
    assert_true(permits(&policy, NULL, "192.0.2.1", 80));
    /* This machine, and what is only near it, needs to be allowed by address. */
    static const char *const near[] = {"127.0.0.1", "::1",       "0.0.0.0", "::",      "169.254.1.1",
                                       "fe80::1",   "224.0.0.1", "ff02::1", "0.1.2.3", "255.255.255.255"};
    for (size_t i = 0; i < sizeof near / sizeof near[0]; i++) {
        if (permits(&policy, "example.org", near[i], 80))
            fail_msg("%s", near[i]);
    }
    assert_int_equal(gw_rule_parse(&deny[0], "*.bad.org"), 0);
    assert_int_equal(gw_rule_parse(&deny[1], "10.0.0.0/8"), 0);
    policy.deny = deny;
    policy.deny_count = 2;
    assert_false(permits(&policy, "x.bad.org", NULL, 80));
    assert_true(permits(&policy, "good.org", NULL, 80));
    assert_false(permits(&policy, "good.org", "10.1.1.1", 80));
    assert_int_equal(gw_rule_parse(&allow[0], "*.org:443"), 0);
    assert_int_equal(gw_rule_parse(&allow[1], "127.0.0.0/8:8080"), 0);
    policy.allow = allow;
    policy.allow_count = 1;
    assert_true(permits(&policy, "good.org", NULL, 443));
    assert_false(permits(&policy, "good.org", NULL, 80));
    assert_false(permits(&policy, "good.com", NULL, 443));
    assert_false(permits(&policy, "bad.org", "127.0.0.1", 443));
    policy.allow_count = 2;
    assert_true(permits(&policy, NULL, "127.0.0.1", 8080));
    assert_false(permits(&policy, NULL, "127.0.0.1", 80));
    /* A prefix may still turn out to have it. */
    assert_true(permits(&policy, "some.com", NULL, 80));
    assert_false(permits(&policy, "some.com", "192.0.2.1", 80));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

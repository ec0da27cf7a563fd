/* SPDX-License-Identifier: MIT */
/* Where an HTTP proxy is, and who is spared it. */
#include "gateway/config/proxy_url.h"

#include "gateway/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *text, const char *at, const char *credentials)
{
    struct gw_proxy_url url;
    char place[300];
    assert_int_equal(gw_proxy_url_parse(&url, text), 0);
    assert_string_equal(gw_config_endpoint_format(&url.at, place, sizeof place), at);
    assert_string_equal(url.credentials, credentials);
}

static void test_good(void **state)
{
    (void)state;
    expect("http://10.0.0.1:3128", "10.0.0.1:3128", "");
    expect("10.0.0.1:3128", "10.0.0.1:3128", "");
    expect("HTTP://proxy.corp.example:8080/", "proxy.corp.example:8080", "");
    expect("http://[2001:db8::1]:80/", "[2001:db8::1]:80", "");
    expect("http://ann:s3cret@proxy:3128", "proxy:3128", "ann:s3cret");
    expect("http://ann:p%40ss%3Aw%2f@proxy:3128", "proxy:3128", "ann:p@ss:w/");
    expect("http://ann:p@ss@proxy:3128", "proxy:3128", "ann:p@ss");
    expect("http://ann:@proxy:3128", "proxy:3128", "ann:");
}

static void test_bad(void **state)
{
    static const char *const texts[] = {"",
                                        "http://",
                                        "proxy",
                                        "http://proxy",
                                        "http://proxy:0",
                                        "http://proxy:70000",
                                        "https://proxy:3128",
                                        "socks5://proxy:1080",
                                        "http://proxy:3128/path",
                                        "http://@proxy:3128",
                                        "http://ann@proxy:3128",
                                        "http://ann:%4@proxy:3128",
                                        "http://ann:%zz@proxy:3128",
                                        "http://ann:a%0d%0aX: y@proxy:3128"};
    char longest[400];
    struct gw_proxy_url url;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(gw_proxy_url_parse(&url, texts[i]), GW_E_MALFORMED);
    snprintf(longest, sizeof longest, "http://a:%0*d@proxy:3128", (int)GW_HTTP_CREDENTIALS_MAX - 2, 0);
    assert_int_equal(gw_proxy_url_parse(&url, longest), 0);
    snprintf(longest, sizeof longest, "http://a:%0*d@proxy:3128", (int)GW_HTTP_CREDENTIALS_MAX - 1, 0);
    assert_int_equal(gw_proxy_url_parse(&url, longest), GW_E_MALFORMED);
}

static void test_spared(void **state)
{
    struct gw_addr v4, v6;
    (void)state;
    assert_int_equal(gw_addr_parse(&v4, "10.1.2.3:443"), 0);
    assert_int_equal(gw_addr_parse(&v6, "[2001:db8::1]:443"), 0);
    assert_false(gw_no_proxy_has(NULL, &v4));
    assert_false(gw_no_proxy_has("", &v4));
    assert_false(gw_no_proxy_has("localhost,.corp.example, 10.1.2.4", &v4));
    assert_false(gw_no_proxy_has("10.1.2.33", &v4));
    assert_true(gw_no_proxy_has("localhost, 10.1.2.3", &v4));
    assert_true(gw_no_proxy_has("10.1.2.3,x", &v4));
    assert_true(gw_no_proxy_has("2001:db8::1", &v6));
    assert_true(gw_no_proxy_has("x,*", &v6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
                                       cmocka_unit_test(test_spared)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Where a Redis is. */
#include "gateway/config/redis_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_good(void **state)
{
    struct gw_redis_url url;
    char text[GW_ADDR_STRLEN];
    (void)state;
    assert_int_equal(gw_redis_url_parse(&url, "redis://10.0.0.1:6379"), 0);
    assert_string_equal(gw_addr_format(&url.addr, text), "10.0.0.1:6379");
    assert_string_equal(url.password, "");
    assert_int_equal(url.database, 0);
    assert_int_equal(gw_redis_url_parse(&url, "redis://:p@ss:word@[2001:db8::1]:7/12"), 0);
    assert_string_equal(gw_addr_format(&url.addr, text), "[2001:db8::1]:7");
    assert_string_equal(url.password, "p@ss:word");
    assert_int_equal(url.database, 12);
    assert_int_equal(gw_redis_url_parse(&url, "unix:///run/redis/redis.sock"), 0);
    assert_false(gw_addr_is_set(&url.addr));
    assert_string_equal(url.path, "/run/redis/redis.sock");
}

static void test_bad(void **state)
{
    static const char *const texts[] = {"",
                                        "redis://",
                                        "redis://localhost:6379",
                                        "redis://10.0.0.1",
                                        "redis://10.0.0.1:0",
                                        "redis://10.0.0.1:6379/x",
                                        "redis://10.0.0.1:6379/10000",
                                        "redis://@10.0.0.1:6379",
                                        "redis://:@10.0.0.1:6379",
                                        "redis://user@10.0.0.1:6379",
                                        "rediss://10.0.0.1:6379",
                                        "unix://relative.sock",
                                        "10.0.0.1:6379"};
    struct gw_redis_url url;
    char path[300] = "unix:///";
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_not_equal(gw_redis_url_parse(&url, texts[i]), 0);
    memset(path + 8, 'x', sizeof path - 9);
    assert_int_not_equal(gw_redis_url_parse(&url, path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

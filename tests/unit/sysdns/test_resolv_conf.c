/* SPDX-License-Identifier: MIT */
/* What our resolv.conf says, from what was there. */
#include "frontends/dns/system/resolv_conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

static struct gw_sysdns_wish wish_of(const char *first, const char *second)
{
    struct gw_sysdns_wish wish;
    memset(&wish, 0, sizeof wish);
    const char *const servers[] = {first, second};
    for (unsigned i = 0; i < 2 && servers[i]; i++)
        assert_int_equal(gw_addr_parse(&wish.servers[wish.server_count++], servers[i]), 0);
    return wish;
}

static void expect(const struct gw_sysdns_wish *wish, const char *old, const char *body)
{
    char *text;
    size_t len;
    assert_int_equal(gw_resolv_conf_make(&text, &len, old, wish), 0);
    assert_int_equal(strlen(text), len);
    assert_int_equal(strncmp(text, GW_RESOLV_CONF_MARK, strlen(GW_RESOLV_CONF_MARK)), 0);
    const char *at = text;
    while (*at == '#')
        at = strchr(at, '\n') + 1;
    assert_string_equal(at, body);
    free(text);
}

static void test_make(void **state)
{
    struct gw_sysdns_wish wish = wish_of("127.0.0.1:53", NULL);
    (void)state;
    expect(&wish, "", "nameserver 127.0.0.1\n");
    expect(&wish, "nameserver 192.0.2.1\n", "nameserver 127.0.0.1\nnameserver 192.0.2.1\n");
    /* ours is there already; comments; no newline at the end; no more than three */
    expect(&wish,
           "# x\n; y\nnameserver 127.0.0.1\n  nameserver\t192.0.2.1 # a\r\nnameserver\nnameserver 192.0.2.2\n"
           "nameserver 192.0.2.3\nnameserver 192.0.2.4",
           "nameserver 127.0.0.1\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n");
    /* the last search line holds, domain is one; options add up, without rotate */
    expect(&wish, "search a b\ndomain c\noptions rotate\noptions edns0 rotate ndots:2\noptions trust-ad\n",
           "nameserver 127.0.0.1\nsearch c\noptions edns0 ndots:2 trust-ad\n");
    assert_true(gw_sysdns_add_search(&wish, "demo.p2p"));
    expect(&wish, "", "nameserver 127.0.0.1\nsearch demo.p2p\n");
    expect(&wish, "search lan\n", "nameserver 127.0.0.1\nsearch demo.p2p lan\n");
    /* only what is at port 53 may be named */
    wish = wish_of("127.0.0.1:5300", "[::1]:53");
    expect(&wish, "nameserver fe80::1\n", "nameserver ::1\nnameserver fe80::1\n");
}

static void test_long(void **state)
{
    struct gw_sysdns_wish wish = wish_of("127.0.0.1:53", NULL);
    char *text, *old = malloc(100000);
    size_t len;
    (void)state;
    assert_non_null(old);
    memset(old, 'x', 99999);
    memcpy(old, "options ", 8);
    old[99999] = '\0';
    assert_int_equal(gw_resolv_conf_make(&text, &len, old, &wish), 0);
    assert_true(len < 4096);
    free(text);
    for (size_t i = 0; i < 99999; i++)
        old[i] = "search a\n"[i % 9];
    assert_int_equal(gw_resolv_conf_make(&text, &len, old, &wish), 0);
    assert_true(len < 4096);
    free(text);
    free(old);
}

/* Options that are too many for a line: whole ones are left out, and what was made stays what it is. */
static void test_many_options(void **state)
{
    struct gw_sysdns_wish wish = wish_of("127.0.0.1:53", NULL);
    char old[4096] = "", *first, *second;
    size_t len;
    (void)state;
    for (unsigned i = 0; i < 30; i++)
        snprintf(old + strlen(old), sizeof old - strlen(old), "options %c%099u\n", (char)('a' + i % 26), i);
    assert_int_equal(gw_resolv_conf_make(&first, &len, old, &wish), 0);
    const char *options = strstr(first, "\noptions ");
    assert_non_null(options);
    assert_int_equal((strlen(options) - strlen("\noptions\n")) % 101, 0);
    assert_int_equal(gw_resolv_conf_make(&second, &len, first, &wish), 0);
    assert_string_equal(first, second);
    free(first);
    free(second);
}

static void test_names(void **state)
{
    struct gw_sysdns_wish wish = wish_of("127.0.0.1:53", "[::1]:53");
    (void)state;
    assert_true(gw_resolv_conf_names("nameserver 127.0.0.1", &wish.servers[0]));
    assert_true(gw_resolv_conf_names("# x\nnameserver 192.0.2.1\nnameserver ::1\n", &wish.servers[1]));
    assert_false(gw_resolv_conf_names("nameserver 192.0.2.1\n", &wish.servers[0]));
    assert_false(gw_resolv_conf_names("#nameserver 127.0.0.1\nsearch 127.0.0.1\n\n", &wish.servers[0]));
    assert_false(gw_resolv_conf_names("", &wish.servers[0]));
}

static void test_servers(void **state)
{
    (void)state;
    struct gw_addr out[GW_SYSDNS_OLD_MAX];
    char at[GW_ADDR_STRLEN];
    assert_int_equal(gw_resolv_conf_servers("", out), 0);
    assert_int_equal(
        gw_resolv_conf_servers("search x\nnameserver\n#nameserver 192.0.2.9\nnameserver nonsense\n", out), 0);
    assert_int_equal(
        gw_resolv_conf_servers(
            "# x\nnameserver 192.0.2.1 # a\r\nnameserver\tfe80::1%lo\nnameserver fe80::2%1\n", out),
        3);
    assert_string_equal(gw_addr_format(&out[0], at), "192.0.2.1:53");
    assert_string_equal(gw_addr_format(&out[1], at), "[fe80::1%1]:53");
    assert_string_equal(gw_addr_format(&out[2], at), "[fe80::2%1]:53");
    assert_int_equal(gw_resolv_conf_servers("nameserver fe80::1%nosuchlink\n", out), 0);
    char many[1024] = "";
    for (unsigned i = 0; i < 20; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), "nameserver 192.0.2.%u\n", i + 1);
    assert_int_equal(gw_resolv_conf_servers(many, out), GW_SYSDNS_OLD_MAX);
    assert_string_equal(gw_addr_format(&out[7], at), "192.0.2.8:53");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_make), cmocka_unit_test(test_long),
                                       cmocka_unit_test(test_many_options), cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_servers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

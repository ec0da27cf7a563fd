/* SPDX-License-Identifier: MIT */
#include "frontends/tun/change.h"
#include "gateway/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void lines_say_the_same_both_ways(void **state)
{
    const char *const lines[] = {
        "address peer0 0 0 0 10.64.0.1/16",
        "address peer0 0 0 0 fd00:64::1/64",
        "route peer0 1885805401 2000 0 0.0.0.0/0",
        "unreachable - 4294967295 2001 0 ::/0",
        "rule-port - 0 5200 7001 0.0.0.0/0",
        "rule-local - 0 5201 0 ::/0",
        "rule-mark - 0 5200 12391 ::/0",
        "rule-to - 0 5200 443 192.0.2.7/32",
        "rule-table - 1885805401 5202 0 ::/0",
        "route peer0 254 2000 0 10.65.0.0/16 10.65.3.4",
        "route peer0 254 2000 0 fd00::7/128 fd00::1",
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct gw_change change, again;
        char text[GW_CHANGE_LINE_MAX];
        assert_int_equal(gw_change_parse(&change, lines[i]), 0);
        assert_string_equal(gw_change_format(&change, text), lines[i]);
        assert_int_equal(gw_change_parse(&again, text), 0);
        assert_memory_equal(&change, &again, sizeof change);
    }
}

static void other_lines_are_refused(void **state)
{
    const char *const lines[] = {
        "",
        "address",
        "address peer0 0 0 0 10.64.0.1",
        "address peer0 0 0 0 10.64.0.1/33",
        "address a/b 0 0 0 10.64.0.1/16",
        "address peer0 0 0 0 fd00::1/129",
        "address peer0 0 0 0 10.64.0.1/16 more",
        "address peer0123456789012345 0 0 0 10.64.0.1/16",
        "adress peer0 0 0 0 10.64.0.1/16",
        "route peer0 4294967296 2000 0 0.0.0.0/0",
        "rule-port - 0 5200 70000 0.0.0.0/0",
        "rule-port - x 5200 7000 0.0.0.0/0",
        "route peer0 254 2000 0 10.65.0.0/16 fd00::1",
        "route peer0 254 2000 0 10.65.0.0/16 10.65.3.4/16",
        "route peer0 254 2000 0 10.65.0.0/16  10.65.3.4",
        "route peer0 254 2000 0 10.65.0.0/16 10.65.3.4 more",
        "address peer0 0 0 0 10.64.0.1/16 10.64.0.1",
    };
    struct gw_change change;
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_int_equal(gw_change_parse(&change, lines[i]), GW_E_MALFORMED);
}

static void sets_are_sorted_without_doubles(void **state)
{
    struct gw_changes set = {0};
    struct gw_change a = {.kind = GW_CHANGE_RULE_TABLE, .table = 7}, b = {.kind = GW_CHANGE_ADDRESS},
                     c = {.kind = GW_CHANGE_ROUTE};
    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(gw_changes_add(&set, &a), 0);
        assert_int_equal(gw_changes_add(&set, &b), 0);
    }
    gw_changes_finish(&set);
    assert_int_equal(set.count, 2);
    assert_int_equal(set.items[0].kind, GW_CHANGE_ADDRESS);
    assert_true(gw_changes_have(&set, &a));
    assert_false(gw_changes_have(&set, &c));
    gw_changes_free(&set);
    assert_false(gw_changes_have(&set, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_say_the_same_both_ways),
        cmocka_unit_test(other_lines_are_refused),
        cmocka_unit_test(sets_are_sorted_without_doubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

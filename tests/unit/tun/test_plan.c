/* SPDX-License-Identifier: MIT */
#include "frontends/tun/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct gw_prefix prefix(const char *text)
{
    struct gw_prefix out = {0};
    char ip[64];
    unsigned bits;
    assert_int_equal(sscanf(text, "%63[^/]/%u", ip, &bits), 2);
    assert_int_equal(gw_addr_parse_ip(&out.ip, ip, 0), 0);
    out.bits = (uint8_t)bits;
    return out;
}

/* The plan for these routes as lines, against what is expected; lists end with NULL. */
static void expect(const char *const *addresses, const char *const *routes, const char *endpoint,
                   bool unknown, const char *const *lines)
{
    struct gw_prefix own[4], theirs[8];
    struct gw_addr at;
    struct gw_plan_input input = {.device = "peer0",
                                  .addresses = own,
                                  .routes = theirs,
                                  .endpoints = &at,
                                  .has_unknown_endpoints = unknown,
                                  .port = 1};
    struct gw_changes plan = {0};
    char text[GW_CHANGE_LINE_MAX];
    size_t count = 0;
    while (addresses[input.address_count])
        own[input.address_count] = prefix(addresses[input.address_count]), input.address_count++;
    while (routes[input.route_count])
        theirs[input.route_count] = prefix(routes[input.route_count]), input.route_count++;
    if (endpoint)
        assert_int_equal(gw_addr_parse_ip(&at, endpoint, 9), 0), input.endpoint_count = 1;
    assert_int_equal(gw_plan_make(&plan, &input), 0);
    while (lines[count])
        count++;
    for (size_t i = 0; i < plan.count; i++) {
        bool is_expected = false;
        gw_change_format(&plan.items[i], text);
        for (size_t n = 0; n < count; n++)
            is_expected |= strcmp(lines[n], text) == 0;
        if (!is_expected)
            fail_msg("not expected: %s", text);
    }
    assert_int_equal(plan.count, count);
    gw_changes_free(&plan);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define TABLE "1885798401"
#define OWN "route peer0 254 2000 0 10.64.0.0/16"

static void what_the_address_covers_needs_no_route(void **state)
{
    (void)state;
    expect(LIST("10.64.0.1/16"), LIST("10.64.0.2/32", "10.64.7.0/24"), "10.77.0.2", false,
           LIST("address peer0 0 0 0 10.64.0.1/16", OWN));
    expect(LIST("10.64.0.1/32"), LIST("10.64.0.2/32"), NULL, false,
           LIST("address peer0 0 0 0 10.64.0.1/32", "route peer0 254 2000 0 10.64.0.2/32"));
    expect(LIST("10.64.0.1/16"), LIST("fd00::/8"), NULL, false,
           LIST("address peer0 0 0 0 10.64.0.1/16", OWN)); /* no IPv6 of ours */
}

static void host_bits_do_not_matter(void **state)
{
    (void)state;
    expect(LIST("10.64.0.1/16"), LIST("192.168.7.9/21"), NULL, true,
           LIST("address peer0 0 0 0 10.64.0.1/16", OWN, "route peer0 254 2000 0 192.168.0.0/21"));
}

static void an_endpoint_is_not_swallowed(void **state)
{
    const char *const lines[] = {"address peer0 0 0 0 10.64.0.1/16",
                                 OWN,
                                 "route peer0 " TABLE " 2000 0 192.168.0.0/16",
                                 "rule-port - 0 5203 1 0.0.0.0/0",
                                 "rule-local - 0 5204 0 0.0.0.0/0",
                                 "rule-table - " TABLE " 5205 0 0.0.0.0/0",
                                 NULL};
    (void)state;
    expect(LIST("10.64.0.1/16"), LIST("192.168.0.0/16"), "192.168.3.4", false, lines);
}

static void an_exit_node_of_one_family_refuses_the_other(void **state)
{
    const char *const lines[] = {"address peer0 0 0 0 10.64.0.1/16",
                                 OWN,
                                 "route peer0 " TABLE " 2000 0 0.0.0.0/0",
                                 "unreachable - " TABLE " 2001 0 ::/0",
                                 "rule-port - 0 5203 1 0.0.0.0/0",
                                 "rule-local - 0 5204 0 0.0.0.0/0",
                                 "rule-table - " TABLE " 5205 0 0.0.0.0/0",
                                 "rule-port - 0 5203 1 ::/0",
                                 "rule-local - 0 5204 0 ::/0",
                                 "rule-table - " TABLE " 5205 0 ::/0",
                                 NULL};
    (void)state;
    expect(LIST("10.64.0.1/16"), LIST("0.0.0.0/0"), NULL, false, lines);
    expect(LIST("10.64.0.1/16"), LIST("0.0.0.0/0", "::/0"), NULL, false,
           lines); /* we have no IPv6 address to go out with */
}

static void prefixes_compare_bit_by_bit(void **state)
{
    const struct {
        const char *outer, *inner;
        bool covers;
    } rows[] = {
        /* 1 */ {"10.0.0.0/8", "10.1.2.3/32", true},
        /* 2 */ {"10.0.0.0/9", "10.128.0.0/9", false},
        /* 3 */ {"0.0.0.0/0", "10.0.0.0/8", true},
        /* 4 */ {"10.0.0.0/8", "0.0.0.0/0", false},
        /* 5 */ {"0.0.0.0/0", "::/0", false},
        /* 6 */ {"fd00::/7", "fc00::/7", true},
        /* 7 */ {"10.64.0.2/31", "10.64.0.3/32", true},
        /* 8 */ {"fd00::1/128", "fd00::1/128", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gw_prefix outer = prefix(rows[i].outer), inner = prefix(rows[i].inner);
        assert_int_equal(gw_prefix_covers(&outer, &inner), rows[i].covers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_address_covers_needs_no_route),
        cmocka_unit_test(host_bits_do_not_matter),
        cmocka_unit_test(an_endpoint_is_not_swallowed),
        cmocka_unit_test(an_exit_node_of_one_family_refuses_the_other),
        cmocka_unit_test(prefixes_compare_bit_by_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

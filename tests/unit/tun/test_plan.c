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

static void expect_lines(const struct gw_changes *plan, const char *const *lines)
{
    char text[GW_CHANGE_LINE_MAX];
    size_t count = 0;
    while (lines[count])
        count++;
    for (size_t i = 0; i < plan->count; i++) {
        bool is_expected = false;
        gw_change_format(&plan->items[i], text);
        for (size_t n = 0; n < count; n++)
            is_expected |= strcmp(lines[n], text) == 0;
        if (!is_expected)
            fail_msg("not expected: %s", text);
    }
    assert_int_equal(plan->count, count);
}

/* The plan for these routes as lines, against what is expected; lists end with NULL. */
static void expect(const char *const *addresses, const char *const *routes, const char *endpoint,
                   bool unknown, const char *const *lines)
{
    static const uint16_t port = 1;
    struct gw_plan_route theirs[8] = {0};
    struct gw_prefix own[4];
    struct gw_addr at;
    struct gw_plan_input input = {.device = "peer0",
                                  .addresses = own,
                                  .routes = theirs,
                                  .endpoints = &at,
                                  .has_unknown_endpoints = unknown,
                                  .ports = &port,
                                  .port_count = 1};
    struct gw_changes plan = {0};
    while (addresses[input.address_count])
        own[input.address_count] = prefix(addresses[input.address_count]), input.address_count++;
    while (routes[input.route_count])
        theirs[input.route_count].prefix = prefix(routes[input.route_count]), input.route_count++;
    if (endpoint)
        assert_int_equal(gw_addr_parse_ip(&at, endpoint, 9), 0), input.endpoint_count = 1;
    assert_int_equal(gw_plan_make(&plan, &input), 0);
    expect_lines(&plan, lines);
    gw_changes_free(&plan);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define TABLE "1885798401"
#define OWN "route peer0 254 2000 0 10.64.0.0/16 10.64.0.1"
/* clang-format off */
/* An exit node for IPv4 alone, by port 1. */
#define EXIT_V4                                                                                             \
    "address peer0 0 0 0 10.64.0.1/16", OWN, "route peer0 " TABLE " 2000 0 0.0.0.0/0",                       \
    "unreachable - " TABLE " 2001 0 ::/0",                                                                  \
    "rule-port - 0 5203 1 0.0.0.0/0", "rule-mark - 0 5203 12391 0.0.0.0/0",                                  \
    "rule-local - 0 5204 0 0.0.0.0/0", "rule-table - " TABLE " 5205 0 0.0.0.0/0",                            \
    "rule-port - 0 5203 1 ::/0", "rule-mark - 0 5203 12391 ::/0",                                            \
    "rule-local - 0 5204 0 ::/0", "rule-table - " TABLE " 5205 0 ::/0"
/* clang-format on */

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
                                 "rule-mark - 0 5203 12391 0.0.0.0/0",
                                 "rule-local - 0 5204 0 0.0.0.0/0",
                                 "rule-table - " TABLE " 5205 0 0.0.0.0/0",
                                 NULL};
    (void)state;
    expect(LIST("10.64.0.1/16"), LIST("192.168.0.0/16"), "192.168.3.4", false, lines);
}

static void an_exit_node_of_one_family_refuses_the_other(void **state)
{
    const char *const lines[] = {EXIT_V4, NULL};
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

static struct gw_addr address(const char *text)
{
    struct gw_addr out;
    assert_int_equal(gw_addr_parse_ip(&out, text, 0), 0);
    return out;
}

/* Two networks on one interface: what goes to one comes from our address there, and neither's own packets go into the tunnel. */
static void networks_have_sources_of_their_own(void **state)
{
    static const uint16_t ports[] = {1, 2};
    const struct gw_prefix own[] = {prefix("10.64.0.1/16"), prefix("fd00::1/48"), prefix("10.65.0.4/16"),
                                    prefix("fd00::4/128")};
    const struct gw_addr first = address("10.64.0.1"), second = address("10.65.0.4"),
                         second_v6 = address("fd00::4");
    const struct gw_plan_route routes[] = {
        {prefix("10.64.0.0/16"), first},    {prefix("172.16.0.0/12"), first},
        {prefix("10.65.0.0/16"), second},   /* covered by our address there */
        {prefix("10.65.7.7/32"), second},   /* and this */
        {prefix("fd00::7/128"), second_v6}, /* covered by that of the other network */
        {prefix("10.64.9.0/24"), second},   /* and this */
        {prefix("10.64.0.0/16"), second},   /* the other network's own */
        {prefix("172.16.0.0/12"), second},  /* the other network had it first */
        {prefix("0.0.0.0/1"), second},
    };
    const char *const lines[] = {"address peer0 0 0 0 10.64.0.1/16",
                                 "address peer0 0 0 0 fd00::1/48",
                                 "address peer0 0 0 0 10.65.0.4/16",
                                 "address peer0 0 0 0 fd00::4/128",
                                 "route peer0 254 2000 0 10.64.0.0/16 10.64.0.1",
                                 "route peer0 254 2000 0 fd00::/48 fd00::1",
                                 "route peer0 254 2000 0 10.65.0.0/16 10.65.0.4",
                                 "route peer0 254 2000 0 172.16.0.0/12 10.64.0.1",
                                 "route peer0 254 2000 0 fd00::7/128 fd00::4",
                                 "route peer0 254 2000 0 10.64.9.0/24 10.65.0.4",
                                 "route peer0 " TABLE " 2000 0 0.0.0.0/1 10.65.0.4",
                                 "rule-port - 0 5203 1 0.0.0.0/0",
                                 "rule-port - 0 5203 2 0.0.0.0/0",
                                 "rule-mark - 0 5203 12391 0.0.0.0/0",
                                 "rule-local - 0 5204 0 0.0.0.0/0",
                                 "rule-table - " TABLE " 5205 0 0.0.0.0/0",
                                 NULL};
    const struct gw_plan_input input = {.device = "peer0",
                                        .addresses = own,
                                        .address_count = 4,
                                        .routes = routes,
                                        .route_count = sizeof routes / sizeof *routes,
                                        .has_unknown_endpoints = true,
                                        .ports = ports,
                                        .port_count = 2};
    struct gw_changes plan = {0};
    (void)state;
    assert_int_equal(gw_plan_make(&plan, &input), 0);
    expect_lines(&plan, lines);
    gw_changes_free(&plan);
}

/* Only where the way back is checked, and only over IPv4. */
static void carriers_have_rules_where_the_way_back_is_checked(void **state)
{
    static const uint16_t port = 1;
    const struct gw_prefix own = prefix("10.64.0.1/16");
    const struct gw_plan_route all = {.prefix = prefix("0.0.0.0/0")};
    struct gw_addr carriers[3];
    const char *const lines[] = {EXIT_V4, "rule-to - 0 5203 443 192.0.2.7/32", NULL};
    const char *const without[] = {EXIT_V4, NULL};
    struct gw_plan_input input = {.device = "peer0",
                                  .addresses = &own,
                                  .address_count = 1,
                                  .routes = &all,
                                  .route_count = 1,
                                  .carriers = carriers,
                                  .carrier_count = 3,
                                  .is_way_back_checked = true,
                                  .ports = &port,
                                  .port_count = 1};
    struct gw_changes plan = {0};
    (void)state;
    assert_int_equal(gw_addr_parse_ip(&carriers[0], "192.0.2.7", 443), 0);
    assert_int_equal(gw_addr_parse_ip(&carriers[1], "2001:db8::7", 443), 0);
    carriers[2] = carriers[0]; /* of two networks */
    assert_int_equal(gw_plan_make(&plan, &input), 0);
    expect_lines(&plan, lines);
    gw_changes_free(&plan);
    input.is_way_back_checked = false;
    assert_int_equal(gw_plan_make(&plan, &input), 0);
    expect_lines(&plan, without);
    gw_changes_free(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_have_sources_of_their_own),
        cmocka_unit_test(what_the_address_covers_needs_no_route),
        cmocka_unit_test(host_bits_do_not_matter),
        cmocka_unit_test(an_endpoint_is_not_swallowed),
        cmocka_unit_test(an_exit_node_of_one_family_refuses_the_other),
        cmocka_unit_test(carriers_have_rules_where_the_way_back_is_checked),
        cmocka_unit_test(prefixes_compare_bit_by_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

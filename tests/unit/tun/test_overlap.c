/* SPDX-License-Identifier: MIT */
#include "frontends/tun/overlap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct gw_prefix prefix_of(const char *text)
{
    char ip[64];
    unsigned bits;
    struct gw_prefix out = {0};
    assert_int_equal(sscanf(text, "%63[^/]/%u", ip, &bits), 2);
    assert_int_equal(gw_addr_parse_ip(&out.ip, ip, 0), 0);
    out.bits = (uint8_t)bits;
    return out;
}

static struct gw_known_route items[8];

static struct gw_known_routes routes_of(const char *const *texts)
{
    struct gw_known_routes routes = {.items = items};
    for (; texts[routes.count]; routes.count++)
        items[routes.count] = (struct gw_known_route){.prefix = prefix_of(texts[routes.count])};
    return routes;
}

static void the_worst_is_told(void **state)
{
    (void)state;
    const struct {
        const char *routes[5];
        enum gw_overlap want;
        const char *which;
    } rows[] = {
        /* 1 */ {{NULL}, GW_OVERLAP_NONE, NULL},
        /* 2 */ {{"10.65.0.0/16", "192.168.1.0/24", NULL}, GW_OVERLAP_NONE, NULL},
        /* 3 */ {{"10.0.0.0/8", NULL}, GW_OVERLAP_AROUND, "10.0.0.0/8"},
        /* 4 */ {{"10.0.0.0/8", "10.64.7.0/24", NULL}, GW_OVERLAP_INSIDE, "10.64.7.0/24"},
        /* 5 */ {{"10.64.7.0/24", "10.64.0.0/16", "10.0.0.0/8", NULL}, GW_OVERLAP_SAME, "10.64.0.0/16"},
        /* 6 */ {{"10.64.7.9/32", NULL}, GW_OVERLAP_INSIDE, "10.64.7.9/32"},
        /* 7 */ {{"10.64.0.0/15", NULL}, GW_OVERLAP_AROUND, "10.64.0.0/15"},
    };
    const struct gw_prefix range = prefix_of("10.64.0.0/16");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct gw_known_route *which;
        struct gw_known_routes routes = routes_of(rows[i].routes);
        assert_int_equal(gw_overlap_find(&routes, &range, &which), rows[i].want);
        assert_int_equal(which != NULL, rows[i].which != NULL);
        if (which) {
            struct gw_prefix want = prefix_of(rows[i].which);
            assert_memory_equal(&which->prefix, &want, sizeof want);
        }
    }
}

static void what_is_suggested_is_free(void **state)
{
    (void)state;
    const struct {
        const char *routes[6];
        uint8_t bits;
        const char *want; /* NULL: none */
    } rows[] = {
        /* 1 */ {{"10.64.0.0/16", NULL}, 16, "10.65.0.0/16"},
        /* 2 */ {{"10.64.3.0/24", "10.65.0.0/16", NULL}, 16, "10.66.0.0/16"},
        /* 3 */ {{"10.0.0.0/8", NULL}, 16, "172.16.0.0/16"},
        /* 4 */ {{"10.0.0.0/8", "172.16.0.0/12", NULL}, 24, "192.168.0.0/24"},
        /* 5 */ {{"10.0.0.0/8", NULL}, 8, NULL},
        /* 6 */ {{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", NULL}, 16, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gw_known_routes routes = routes_of(rows[i].routes);
        struct gw_prefix got;
        bool found = gw_overlap_suggest(&routes, rows[i].bits, &got);
        assert_int_equal(found, rows[i].want != NULL);
        if (found) {
            struct gw_prefix want = prefix_of(rows[i].want);
            assert_memory_equal(&got, &want, sizeof want);
        }
    }
}

static void the_machines_routes_are_read(void **state)
{
    struct gw_known_routes routes;
    (void)state;
    assert_int_equal(gw_known_routes_read(&routes, NULL), 0);
    for (size_t i = 0; i < routes.count; i++) {
        assert_int_equal(routes.items[i].prefix.ip.family, 4);
        assert_in_range(routes.items[i].prefix.bits, 1, 32);
    }
    gw_known_routes_free(&routes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worst_is_told),
        cmocka_unit_test(what_is_suggested_is_free),
        cmocka_unit_test(the_machines_routes_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* What is concluded from what three places saw of one socket. */
#include "gateway/discovery/nat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct gw_addr at(uint8_t host, unsigned port)
{
    return port == 0 ? (struct gw_addr){0}
                     : (struct gw_addr){.family = 4, .ip = {11, 0, 0, host}, .port = (uint16_t)port};
}

static void test_table(void **state)
{
    (void)state;
    static const struct {
        unsigned first, port, second; /* 0: not seen */
        enum gw_nat_reach mapping;
        enum gw_nat_ports ports;
        int step;
    } table[] = {
        {7000, 7000, 7000, GW_NAT_INDEPENDENT, GW_NAT_PORTS_PRESERVED, 0},
        {7100, 7100, 7100, GW_NAT_INDEPENDENT, GW_NAT_PORTS_UNKNOWN, 0},
        {7100, 7100, 0, GW_NAT_INDEPENDENT, GW_NAT_PORTS_UNKNOWN, 0},
        {7100, 0, 0, GW_NAT_UNKNOWN, GW_NAT_PORTS_UNKNOWN, 0},
        {7100, 7100, 9000, GW_NAT_ADDRESS, GW_NAT_PORTS_RANDOM, 0},
        {7100, 7100, 7101, GW_NAT_ADDRESS, GW_NAT_PORTS_SEQUENTIAL, 1},
        {7100, 7101, 7102, GW_NAT_ADDRESS_PORT, GW_NAT_PORTS_SEQUENTIAL, 1},
        {7100, 7098, 7096, GW_NAT_ADDRESS_PORT, GW_NAT_PORTS_SEQUENTIAL, -2},
        {7100, 7103, 7104, GW_NAT_ADDRESS_PORT, GW_NAT_PORTS_SEQUENTIAL, 1}, /* others took two */
        {7100, 7101, 7100 - 1, GW_NAT_ADDRESS_PORT, GW_NAT_PORTS_RANDOM, 0},
        {7100, 7101, 60000, GW_NAT_ADDRESS_PORT, GW_NAT_PORTS_RANDOM, 0},
        {7100, 60000, 0, GW_NAT_ADDRESS_PORT, GW_NAT_PORTS_RANDOM, 0},
        {7100, 7102, 0, GW_NAT_ADDRESS_PORT, GW_NAT_PORTS_SEQUENTIAL, 2},
        {7100, 0, 7101, GW_NAT_ADDRESS_PORT, GW_NAT_PORTS_SEQUENTIAL, 1},
    };
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct gw_nat_behaviour nat = {0};
        struct gw_nat_seen seen = {.local = at(9, 7000),
                                   .first = at(1, table[i].first),
                                   .port = at(1, table[i].port),
                                   .second = at(1, table[i].second)};
        gw_nat_conclude(&nat, &seen);
        assert_int_equal(nat.mapping, table[i].mapping);
        assert_int_equal(nat.ports, table[i].ports);
        assert_int_equal(nat.step, table[i].step);
        assert_int_equal(nat.translated, GW_NAT_YES);
    }
}

static void test_filtering(void **state)
{
    (void)state;
    struct gw_nat_behaviour nat = {0};
    struct gw_nat_seen seen = {.local = at(1, 7000), .first = at(1, 7000)};
    gw_nat_conclude(&nat, &seen);
    assert_int_equal(nat.filtering, GW_NAT_UNKNOWN); /* nobody tried */
    assert_int_equal(nat.translated, GW_NAT_NO);
    seen.asked_port = true;
    gw_nat_conclude(&nat, &seen);
    assert_int_equal(nat.filtering, GW_NAT_ADDRESS_PORT);
    seen.got_from_port = true;
    gw_nat_conclude(&nat, &seen);
    assert_int_equal(nat.filtering, GW_NAT_ADDRESS);
    seen.got_from_second = true;
    gw_nat_conclude(&nat, &seen);
    assert_int_equal(nat.filtering, GW_NAT_INDEPENDENT);
    assert_int_equal(nat.anchors, 2);
    seen.local = (struct gw_addr){.family = 4, .port = 7000}; /* only the port is known */
    gw_nat_conclude(&nat, &seen);
    assert_int_equal(nat.translated, GW_NAT_UNTESTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_filtering)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

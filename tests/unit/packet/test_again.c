/* SPDX-License-Identifier: MIT */
#include "gateway/packet/again.h"
#include "tests/unit/packet/make.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROOM 1500

static bool is_again(const struct make *first, const struct make *next, size_t cut)
{
    uint8_t a[ROOM], b[ROOM];
    struct gw_again again;
    struct gw_ip ip, parsed;
    size_t a_len = make_packet(a, first), b_len = make_packet(b, next);
    assert_int_equal(gw_ip_parse(&ip, a, a_len), 0);
    gw_again_set(&again, a, &ip);
    if (!gw_again_is(&again, &ip, b, b_len - cut))
        return false;
    assert_int_equal(gw_ip_parse(&parsed, b, b_len), 0);
    assert_memory_equal(&ip, &parsed, sizeof ip);
    return true;
}

static void what_is_more_of_a_flow(void **state)
{
    (void)state;
    for (int version = 4; version <= 6; version += 2) {
        for (uint8_t protocol = 6; protocol <= 17; protocol += 11) {
            const struct make first = {
                .version = version, .protocol = protocol, .flags = GW_TCP_ACK, .payload = 100};
            struct make next = first;
            assert_true(is_again(&first, &next, 0));
            next.seq = 100, next.ack = 7, next.window = 9, next.id = 3, next.payload = 900, next.tos = 3;
            assert_true(is_again(&first, &next, 0));
            assert_false(is_again(&first, &next, 1));
            next.flow = 1;
            assert_false(is_again(&first, &next, 0));
            next = first;
            next.protocol = protocol == 6 ? 17 : 6;
            assert_false(is_again(&first, &next, 0));
            next = first;
            next.version = version == 4 ? 6 : 4;
            assert_false(is_again(&first, &next, 0));
        }
    }
}

static void what_begins_or_ends_something_is_asked_about(void **state)
{
    const uint8_t edges[] = {
        GW_TCP_SYN, GW_TCP_SYN | GW_TCP_ACK, GW_TCP_RST, GW_TCP_RST | GW_TCP_ACK, GW_TCP_FIN | GW_TCP_ACK,
        0,          GW_TCP_URG | GW_TCP_ACK};
    (void)state;
    for (size_t i = 0; i < sizeof edges; i++) {
        const struct make plain = {.version = 4, .protocol = 6, .flags = GW_TCP_ACK, .payload = 10};
        struct make edge = plain;
        edge.flags = edges[i];
        assert_false(is_again(&plain, &edge, 0));
        assert_false(is_again(&edge, &plain, 0));
        assert_false(is_again(&edge, &edge, 0));
    }
    const struct make options = {
        .version = 4, .protocol = 6, .flags = GW_TCP_ACK | GW_TCP_PSH, .options = 12};
    assert_true(is_again(&options, &options, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_more_of_a_flow),
        cmocka_unit_test(what_begins_or_ends_something_is_asked_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

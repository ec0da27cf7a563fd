/* SPDX-License-Identifier: MIT */
/* Packets in memory under a NAT's hands, and its settings as words. */
#include "tests/nat/kinds.h"
#include "tests/nat/rewrite.h"
#include "tests/nat/settings.h"
#include "tests/sim/clock.h"
#include "tests/unit/packet/make.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct gw_addr random_addr(struct sim_dice *dice, uint8_t family)
{
    struct gw_addr addr = {.family = family, .port = (uint16_t)sim_dice_u64(dice)};
    for (unsigned i = 0; i < (family == 6 ? 16 : 4); i++)
        addr.ip[i] = (uint8_t)(sim_dice_u64(dice) % 3 ? sim_dice_u64(dice) : 255);
    return addr;
}

/* Whatever is written in, the checksums are right afterwards, and nothing else has changed. */
static void test_rewrite(void **state)
{
    (void)state;
    struct sim_dice dice = {1};
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t packet[600], before[600];
        struct make make = {.version = i % 2 ? 4 : 6,
                            .protocol = i % 4 < 2 ? 6 : 17,
                            .flow = (uint8_t)i,
                            .payload = sim_dice_u64(&dice) % 200,
                            .fill = (uint8_t)sim_dice_u64(&dice)};
        struct nat_view view, again;
        size_t len = make_packet(packet, &make);
        memcpy(before, packet, len);
        assert_true(nat_read(&view, packet, len));
        struct nat_packet to = view.packet;
        to.from = random_addr(&dice, view.packet.from.family);
        to.to = random_addr(&dice, view.packet.to.family);
        nat_write(packet, &view, &to);
        assert_true(nat_read(&again, packet, len));
        assert_true(gw_addr_equal(&again.packet.from, &to.from) && gw_addr_equal(&again.packet.to, &to.to));
        assert_int_equal(naive_l4(packet, len), 0);
        if (make.version == 4)
            assert_int_equal(naive_sum(packet, 20), 0);
        nat_write(packet, &again, &view.packet);
        /* A sum may be 0 or 0xffff for the same value; the rest is as it was. */
        size_t checksum = (size_t)view.ip.l4 + gw_checksum_offset(view.ip.protocol);
        assert_memory_equal(packet + view.ip.l4, before + view.ip.l4, gw_checksum_offset(view.ip.protocol));
        assert_memory_equal(packet + checksum + 2, before + checksum + 2, len - checksum - 2);
        assert_int_equal(naive_l4(packet, len), 0);
    }
}

static void test_udp_without_checksum(void **state)
{
    (void)state;
    uint8_t packet[100];
    struct nat_view view;
    size_t len = make_packet(packet, &(struct make){.version = 4, .protocol = 17, .payload = 10});
    packet[26] = packet[27] = 0;
    assert_true(nat_read(&view, packet, len));
    struct nat_packet to = view.packet;
    to.from.ip[0] = 99;
    nat_write(packet, &view, &to);
    assert_int_equal(packet[26] | packet[27], 0);
}

/* An echo's identifier is the port, of the one that asked. */
static void test_echo(void **state)
{
    (void)state;
    uint8_t packet[] = {0x45, 0, 0, 32, 0,    0,    0, 0, 64,  1,   0,   0,
                        10,   0, 0, 1,  10,   0,    0, 2, /* IPv4 */
                        8,    0, 0, 0,  0x12, 0x34, 0, 1, 'p', 'i', 'n', 'g'};
    struct nat_view view;
    uint16_t sum = naive_sum(packet, 20);
    memcpy(packet + 10, (uint8_t[]){(uint8_t)(sum >> 8), (uint8_t)sum}, 2);
    sum = naive_sum(packet + 20, 12);
    memcpy(packet + 22, (uint8_t[]){(uint8_t)(sum >> 8), (uint8_t)sum}, 2);
    assert_true(nat_read(&view, packet, sizeof packet));
    assert_int_equal(view.packet.from.port, 0x1234);
    assert_int_equal(view.packet.to.port, 0);
    struct nat_packet to = view.packet;
    to.from.ip[3] = 77;
    to.from.port = 0x4321;
    nat_write(packet, &view, &to);
    assert_int_equal(naive_sum(packet, 20), 0);
    assert_int_equal(naive_sum(packet + 20, 12), 0);
    assert_int_equal(packet[24] << 8 | packet[25], 0x4321);
    packet[20] = 0; /* a reply: to whom it belongs is where it goes */
    assert_true(nat_read(&view, packet, sizeof packet));
    assert_int_equal(view.packet.from.port, 0);
    assert_int_equal(view.packet.to.port, 0x4321);
    packet[20] = 3; /* an error */
    assert_false(nat_read(&view, packet, sizeof packet));
    packet[9] = 47;
    assert_false(nat_read(&view, packet, sizeof packet));
    assert_false(nat_read(&view, packet, 10));
    packet[9] = 17;
    packet[6] = 0x20; /* a fragment */
    assert_false(nat_read(&view, packet, sizeof packet));
}

static void test_settings(void **state)
{
    (void)state;
    struct nat_line line;
    nat_line(&line, NAT_KIND_PORT_RESTRICTED);
    struct nat_params *p = &line.v4[0];
    assert_null(nat_set(p, ""));
    assert_null(nat_set(
        p,
        "mapping=address-port,filtering=address,ports=sequential,step=3,others=2.5,fresh=1.5,hairpin=1,max=7,last=3000"));
    assert_int_equal(p->mapping, NAT_ADDRESS_PORT);
    assert_int_equal(p->filtering, NAT_ADDRESS);
    assert_int_equal(p->ports, NAT_PORTS_SEQUENTIAL);
    assert_int_equal(p->step, 3);
    assert_true(p->others > 2.49 && p->others < 2.51);
    assert_int_equal(p->udp_fresh_ns, GW_MS(1500));
    assert_true(p->has_hairpin);
    assert_int_equal(p->max_mappings, 7);
    assert_int_equal(p->port_last, 3000);
    static const char *const wrong[] = {"what=1",   "step",      "step=x",    "step=70000",    "ports=odd",
                                        "fresh=-1", "hairpin=2", "mapping=0", "step=1 ,max=2", "max="};
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_non_null(nat_set(p, wrong[i]));
    assert_string_equal(nat_set(p, "step=1,nonsense=2,max=3"), "nonsense=2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rewrite),
        cmocka_unit_test(test_udp_without_checksum),
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

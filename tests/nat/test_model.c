/* SPDX-License-Identifier: MIT */
/* The model, behaviour by behaviour, in RFC 4787's words. Time-outs and TCP: test_sessions.c. */
#include "tests/nat/ask.h"

#include <stdio.h>

static struct nat_params params(enum nat_reach mapping, enum nat_reach filtering, enum nat_ports ports)
{
    struct nat_params params = {.mapping = mapping,
                                .filtering = filtering,
                                .ports = ports,
                                .udp_fresh_ns = GW_S(30),
                                .udp_assured_ns = GW_S(120),
                                .tcp_fresh_ns = GW_S(30),
                                .tcp_open_ns = GW_S(1000),
                                .tcp_closed_ns = GW_S(10)};
    ask_pool(&params, 1);
    return params;
}

/* ---- section 4.1: mapping */

static void test_mapping(void **state)
{
    (void)state;
    /* Same outside port to: the same address and port, another port, another address. */
    static const bool same[3][3] = {
        [NAT_INDEPENDENT] = {true, true, true},
        [NAT_ADDRESS] = {true, true, false},
        [NAT_ADDRESS_PORT] = {true, false, false},
    };
    for (unsigned mapping = NAT_INDEPENDENT; mapping <= NAT_ADDRESS_PORT; mapping++) {
        for (unsigned ports = NAT_PORTS_PRESERVE; ports <= NAT_PORTS_RANDOM; ports++) {
            struct nat_params p = params((enum nat_reach)mapping, NAT_ADDRESS_PORT, (enum nat_ports)ports);
            struct ask a = ask_new(&p);
            unsigned first = ask_out_port(&a, HOST, "1.1.1.1:10");
            assert_int_equal(ask_out_port(&a, HOST, "1.1.1.1:10") == first, same[mapping][0]);
            assert_int_equal(ask_out_port(&a, HOST, "1.1.1.1:11") == first, same[mapping][1]);
            assert_int_equal(ask_out_port(&a, HOST, "2.2.2.2:10") == first, same[mapping][2]);
            /* Another socket of the host never shares. */
            assert_int_not_equal(ask_out_port(&a, "192.168.1.2:5001", "1.1.1.1:10"), first);
            ask_end(&a);
        }
    }
}

/* ---- section 5: filtering */

static void test_filtering(void **state)
{
    (void)state;
    static const bool lets_in[3][3] = {
        [NAT_INDEPENDENT] = {true, true, true},
        [NAT_ADDRESS] = {true, true, false},
        [NAT_ADDRESS_PORT] = {true, false, false},
    };
    for (unsigned filtering = NAT_INDEPENDENT; filtering <= NAT_ADDRESS_PORT; filtering++) {
        struct nat_params p = params(NAT_INDEPENDENT, (enum nat_reach)filtering, NAT_PORTS_PRESERVE);
        struct ask a = ask_new(&p);
        assert_false(ask_in(&a, "1.1.1.1:10", "11.0.0.1:5000", HOST)); /* nobody has sent yet */
        assert_int_equal(ask_out_port(&a, HOST, "1.1.1.1:10"), 5000);
        assert_int_equal(ask_in(&a, "1.1.1.1:10", "11.0.0.1:5000", HOST), lets_in[filtering][0]);
        assert_int_equal(ask_in(&a, "1.1.1.1:11", "11.0.0.1:5000", HOST), lets_in[filtering][1]);
        assert_int_equal(ask_in(&a, "2.2.2.2:10", "11.0.0.1:5000", HOST), lets_in[filtering][2]);
        assert_false(ask_in(&a, "1.1.1.1:10", "11.0.0.1:5001", HOST)); /* no such mapping */
        assert_int_equal(ask_stats(&a).filtered,
                         2 + (filtering >= NAT_ADDRESS) + (filtering == NAT_ADDRESS_PORT));
        ask_end(&a);
    }
}

/* A symmetric mapping lets in only whom it was made for, whatever the filter: others have another mapping. */
static void test_symmetric(void **state)
{
    (void)state;
    struct nat_params p = params(NAT_ADDRESS_PORT, NAT_ADDRESS_PORT, NAT_PORTS_RANDOM);
    struct ask a = ask_new(&p);
    char first[GW_ADDR_STRLEN], second[GW_ADDR_STRLEN];
    ask_out(&a, HOST, "1.1.1.1:10", first);
    ask_out(&a, HOST, "2.2.2.2:10", second);
    assert_true(ask_in(&a, "1.1.1.1:10", first, HOST));
    assert_true(ask_in(&a, "2.2.2.2:10", second, HOST));
    assert_false(ask_in(&a, "2.2.2.2:10", first, HOST));
    assert_false(ask_in(&a, "1.1.1.1:10", second, HOST));
    ask_end(&a);
}

/* ---- section 4.2: ports */

static void test_ports_preserved(void **state)
{
    (void)state;
    struct nat_params p = params(NAT_INDEPENDENT, NAT_ADDRESS_PORT, NAT_PORTS_PRESERVE);
    struct ask a = ask_new(&p);
    assert_int_equal(ask_out_port(&a, HOST, "1.1.1.1:10"), 5000);
    assert_int_equal(ask_out_port(&a, "192.168.1.2:80", "1.1.1.1:10"), 80);
    /* Two hosts with one port: the second gets another (REQ-3 a: no overloading). */
    unsigned other = ask_out_port(&a, "192.168.1.3:5000", "2.2.2.2:10");
    assert_int_not_equal(other, 5000);
    assert_in_range(other, 1024, 65535);
    ask_end(&a);
}

static void test_ports_overloaded(void **state)
{
    (void)state;
    struct nat_params p = params(NAT_ADDRESS_PORT, NAT_ADDRESS_PORT, NAT_PORTS_PRESERVE);
    p.is_overloading = true;
    struct ask a = ask_new(&p);
    /* One host cannot tell it from an endpoint-independent mapping ... */
    assert_int_equal(ask_out_port(&a, HOST, "1.1.1.1:10"), 5000);
    assert_int_equal(ask_out_port(&a, HOST, "1.1.1.1:11"), 5000);
    assert_int_equal(ask_out_port(&a, HOST, "2.2.2.2:10"), 5000);
    /* ... and two share a port, but not to one remote. */
    assert_int_equal(ask_out_port(&a, "192.168.1.3:5000", "3.3.3.3:10"), 5000);
    assert_int_not_equal(ask_out_port(&a, "192.168.1.3:5000", "1.1.1.1:10"), 5000);
    assert_true(ask_in(&a, "1.1.1.1:10", "11.0.0.1:5000", HOST));
    assert_true(ask_in(&a, "3.3.3.3:10", "11.0.0.1:5000", "192.168.1.3:5000"));
    ask_end(&a);
}

static void test_ports_sequential(void **state)
{
    (void)state;
    for (uint16_t step = 1; step <= 4; step = (uint16_t)(step * 2)) {
        struct nat_params p = params(NAT_ADDRESS_PORT, NAT_ADDRESS_PORT, NAT_PORTS_SEQUENTIAL);
        p.port_first = 2000;
        p.port_last = 2099;
        p.step = step;
        struct ask a = ask_new(&p);
        unsigned last = ask_out_port(&a, HOST, "1.1.1.1:1");
        for (unsigned i = 0; i < 20; i++) {
            char remote[32];
            snprintf(remote, sizeof remote, "1.1.1.1:%u", 10 + i);
            unsigned port = ask_out_port(&a, HOST, remote);
            assert_int_equal(port, 2000 + (last - 2000 + step) % 100);
            last = port;
        }
        ask_end(&a);
    }
}

/* Between two of ours others took `others` a second. */
static void test_ports_of_others(void **state)
{
    (void)state;
    struct nat_params p = params(NAT_ADDRESS_PORT, NAT_ADDRESS_PORT, NAT_PORTS_SEQUENTIAL);
    p.others = 50;
    struct ask a = ask_new(&p);
    unsigned first = ask_out_port(&a, HOST, "1.1.1.1:1"), last = first, largest = 0, zeros = 0;
    for (unsigned i = 0; i < 400; i++) {
        char remote[32];
        snprintf(remote, sizeof remote, "1.1.1.1:%u", 10 + i);
        a.now = gw_mono_add(a.now, GW_MS(20)); /* one other on average */
        unsigned port = ask_out_port(&a, HOST, remote), by = (port - last) & 0xffff;
        by = port > last ? port - last : port + 64512 - last;
        largest = by > largest ? by : largest;
        zeros += by == 1;
        last = port;
    }
    unsigned all = last > first ? last - first : last + 64512 - first;
    assert_in_range(all, 400 + 320, 400 + 480); /* mean 400 beside ours, deviation 20 */
    assert_in_range(zeros, 110, 185);           /* 400/e = 147 */
    assert_in_range(largest, 4, 12);
    ask_end(&a);
}

static void test_ports_random(void **state)
{
    (void)state;
    struct nat_params p = params(NAT_ADDRESS_PORT, NAT_ADDRESS_PORT, NAT_PORTS_RANDOM);
    p.port_first = 10000;
    p.port_last = 10999;
    struct ask a = ask_new(&p);
    static bool taken[1000];
    memset(taken, 0, sizeof taken);
    unsigned ascents = 0, last = 0;
    for (unsigned i = 0; i < 1000; i++) { /* until every port is taken, each once */
        char remote[32];
        snprintf(remote, sizeof remote, "1.1.1.1:%u", 10 + i);
        unsigned port = ask_out_port(&a, HOST, remote);
        assert_in_range(port, 10000, 10999);
        assert_false(taken[port - 10000]);
        taken[port - 10000] = true;
        ascents += i < 100 && port > last;
        last = port;
    }
    assert_in_range(ascents, 30, 70);
    assert_false(ask_out(&a, HOST, "2.2.2.2:1", NULL)); /* none is left */
    assert_int_equal(ask_stats(&a).refused, 1);
    ask_end(&a);
}

/* ---- pools (REQ-2), limits */

static void test_pool(void **state)
{
    (void)state;
    for (unsigned arbitrary = 0; arbitrary < 2; arbitrary++) {
        struct nat_params p = params(NAT_ADDRESS_PORT, NAT_ADDRESS_PORT, NAT_PORTS_RANDOM);
        p.is_pool_arbitrary = arbitrary;
        ask_pool(&p, 4);
        struct ask a = ask_new(&p);
        unsigned seen[2] = {0, 0};
        for (unsigned i = 0; i < 64; i++) {
            char host[32], remote[32];
            struct gw_addr out;
            snprintf(host, sizeof host, "192.168.1.%u:%u", 2 + i % 2, 5000 + i / 2);
            snprintf(remote, sizeof remote, "1.1.1.%u:1", 1 + i % 7);
            assert_true(ask_out_addr(&a, host, remote, &out));
            seen[i % 2] |= 1u << (out.ip[3] - 1);
        }
        if (arbitrary) {
            assert_int_equal(seen[0], 15);
            assert_int_equal(seen[1], 15);
        } else {
            assert_int_equal(__builtin_popcount(seen[0]), 1);
            assert_int_equal(__builtin_popcount(seen[1]), 1);
            assert_int_not_equal(seen[0], seen[1]);
        }
        ask_end(&a);
    }
}

static void test_limits(void **state)
{
    (void)state;
    struct nat_params p = params(NAT_INDEPENDENT, NAT_INDEPENDENT, NAT_PORTS_PRESERVE);
    p.max_mappings = 3;
    p.max_host_mappings = 2;
    struct ask a = ask_new(&p);
    assert_true(ask_out(&a, "192.168.1.2:1001", "1.1.1.1:1", NULL));
    assert_true(ask_out(&a, "192.168.1.2:1002", "1.1.1.1:1", NULL));
    assert_false(ask_out(&a, "192.168.1.2:1003", "1.1.1.1:1", NULL)); /* the host's limit */
    assert_true(ask_out(&a, "192.168.1.3:1001", "1.1.1.1:1", NULL));
    assert_false(ask_out(&a, "192.168.1.4:1001", "1.1.1.1:1", NULL)); /* everybody's */
    assert_true(ask_out(&a, "192.168.1.2:1001", "2.2.2.2:1", NULL));  /* has a mapping */
    assert_int_equal(ask_stats(&a).refused, 2);
    assert_int_equal(ask_stats(&a).hosts, 2);
    a.now = gw_mono_add(a.now, GW_S(31));
    assert_int_equal(ask_stats(&a).mappings, 0);
    assert_int_equal(ask_stats(&a).hosts, 0);
    assert_true(ask_out(&a, "192.168.1.4:1001", "1.1.1.1:1", NULL));
    ask_end(&a);
}

/* ---- section 6: hairpin */

static void test_hairpin(void **state)
{
    (void)state;
    struct nat_params p = params(NAT_INDEPENDENT, NAT_ADDRESS_PORT, NAT_PORTS_PRESERVE);
    struct ask a = ask_new(&p);
    struct nat_packet packet;
    ask_out(&a, HOST, "1.1.1.1:1", NULL);
    assert_int_equal(ask_inside(&a, "192.168.1.3:6000", "11.0.0.1:5000", &packet), NAT_DROP);
    assert_int_equal(ask_stats(&a).refused, 1);
    ask_end(&a);
    p.has_hairpin = true;
    a = ask_new(&p);
    ask_out(&a, HOST, "1.1.1.1:1", NULL);
    /* The filter holds for a neighbour as for anybody; what it sends opens its own side. */
    assert_int_equal(ask_inside(&a, "192.168.1.3:6000", "11.0.0.1:5000", &packet), NAT_DROP);
    assert_int_equal(ask_inside(&a, HOST, "11.0.0.1:6000", &packet), NAT_IN);
    ask_is(&packet.from, "11.0.0.1:5000"); /* REQ-9 a: the outside address is the source */
    ask_is(&packet.to, "192.168.1.3:6000");
    assert_int_equal(ask_inside(&a, "192.168.1.3:6000", "11.0.0.1:5000", &packet), NAT_IN);
    ask_is(&packet.from, "11.0.0.1:6000");
    ask_is(&packet.to, HOST);
    assert_int_equal(ask_stats(&a).hairpinned, 2);
    ask_end(&a);
}

/* ---- firewall: no translation */

static void test_firewall(void **state)
{
    (void)state;
    for (unsigned filtering = NAT_INDEPENDENT; filtering <= NAT_ADDRESS_PORT; filtering++) {
        struct nat_params p = params(NAT_ADDRESS_PORT, (enum nat_reach)filtering, NAT_PORTS_RANDOM);
        p.is_firewall = true;
        p.pool_count = 0;
        struct ask a = ask_new(&p);
        char out[GW_ADDR_STRLEN];
        static const char host[] = "[2a00:1::2]:5000";
        assert_false(ask_in(&a, "[2a00:2::2]:10", host, host));
        assert_true(ask_out(&a, host, "[2a00:2::2]:10", out));
        assert_string_equal(out, host);
        assert_true(ask_in(&a, "[2a00:2::2]:10", host, host));
        assert_int_equal(ask_in(&a, "[2a00:2::2]:11", host, host), filtering != NAT_ADDRESS_PORT);
        assert_int_equal(ask_in(&a, "[2a00:3::2]:10", host, host), filtering == NAT_INDEPENDENT);
        assert_false(ask_in(&a, "[2a00:2::2]:10", "[2a00:1::2]:5001", ""));
        ask_end(&a);
    }
}

/* ---- Linux without a firewall of its own: a stranger's packet that comes first spoils the port */

static void test_strangers(void **state)
{
    (void)state;
    struct nat_params p = params(NAT_ADDRESS_PORT, NAT_ADDRESS_PORT, NAT_PORTS_PRESERVE);
    p.is_overloading = p.remembers_strangers = true;
    struct ask a = ask_new(&p);
    assert_int_equal(ask_out_port(&a, HOST, "1.1.1.1:10"), 5000);
    assert_false(ask_in(&a, "2.2.2.2:10", "11.0.0.1:5000", HOST));
    unsigned port = ask_out_port(&a, HOST, "2.2.2.2:10");
    assert_int_not_equal(port, 5000);
    assert_false(ask_in(&a, "2.2.2.2:10", "11.0.0.1:5000", HOST));
    char outside[32];
    snprintf(outside, sizeof outside, "11.0.0.1:%u", port);
    assert_true(ask_in(&a, "2.2.2.2:10", outside, HOST));
    assert_int_equal(ask_out_port(&a, HOST, "3.3.3.3:10"), 5000); /* others are as before */
    ask_end(&a);
}

/* ---- what happens to it */

static void test_rebind(void **state)
{
    (void)state;
    for (unsigned ports = NAT_PORTS_PRESERVE; ports <= NAT_PORTS_RANDOM; ports++) {
        struct nat_params p = params(NAT_INDEPENDENT, NAT_INDEPENDENT, (enum nat_ports)ports);
        struct ask a = ask_new(&p);
        char before[GW_ADDR_STRLEN], after[GW_ADDR_STRLEN];
        ask_out(&a, HOST, "1.1.1.1:10", before);
        nat_rebind(a.nat);
        assert_false(ask_in(&a, "1.1.1.1:10", before, HOST));
        ask_out(&a, HOST, "1.1.1.1:10", after);
        assert_string_not_equal(before, after);
        assert_true(ask_in(&a, "1.1.1.1:10", after, HOST));
        nat_forget(a.nat);
        assert_false(ask_in(&a, "1.1.1.1:10", after, HOST));
        if (ports == NAT_PORTS_PRESERVE) { /* forgotten, not moved */
            ask_out(&a, HOST, "1.1.1.1:10", before);
            assert_string_equal(before, after);
        }
        struct gw_addr ip;
        gw_addr_parse_ip(&ip, "11.0.0.99", 0);
        nat_renumber(a.nat, 0, &ip);
        ask_out(&a, HOST, "1.1.1.1:10", after);
        assert_non_null(strstr(after, "11.0.0.99:"));
        assert_true(nat_owns(a.nat, &ip));
        ask_end(&a);
    }
}

static void test_blocking(void **state)
{
    (void)state;
    struct nat_params p = params(NAT_INDEPENDENT, NAT_INDEPENDENT, NAT_PORTS_PRESERVE);
    p.blocks_tcp = true;
    struct ask a = ask_new(&p);
    struct gw_addr remote;
    ask_out(&a, HOST, "1.1.1.1:10", NULL);
    gw_addr_parse_ip(&remote, "2.2.2.2", 0);
    assert_true(nat_block(a.nat, &remote));
    assert_false(ask_out(&a, HOST, "2.2.2.2:10", NULL));
    assert_false(ask_in(&a, "2.2.2.2:10", "11.0.0.1:5000", HOST));
    assert_true(ask_in(&a, "1.1.1.1:10", "11.0.0.1:5000", HOST));
    nat_unblock_all(a.nat);
    assert_true(ask_in(&a, "2.2.2.2:10", "11.0.0.1:5000", HOST));
    nat_silence(a.nat, true);
    assert_false(ask_out(&a, HOST, "1.1.1.1:10", NULL));
    assert_false(ask_in(&a, "1.1.1.1:10", "11.0.0.1:5000", HOST));
    nat_silence(a.nat, false);
    nat_block_udp(a.nat, true);
    assert_false(ask_out(&a, HOST, "1.1.1.1:10", NULL));
    a.protocol = NAT_TCP;
    a.tcp_flags = 2;
    assert_true(ask_out(&a, HOST, "1.1.1.1:443", NULL));
    assert_false(ask_out(&a, HOST, "1.1.1.1:22", NULL));
    a.protocol = 47;
    nat_block_udp(a.nat, false);
    assert_false(ask_out(&a, HOST, "1.1.1.1:10", NULL));
    assert_int_equal(ask_stats(&a).blocked, 7);
    for (unsigned i = 0; i < NAT_BLOCKED_MAX; i++)
        assert_true(nat_block(a.nat, &remote));
    assert_false(nat_block(a.nat, &remote));
    ask_end(&a);
}

static void test_forward(void **state)
{
    (void)state;
    struct nat_params p = params(NAT_ADDRESS_PORT, NAT_ADDRESS_PORT, NAT_PORTS_RANDOM);
    struct ask a = ask_new(&p);
    struct gw_addr outside, inside;
    char out[GW_ADDR_STRLEN];
    gw_addr_parse(&outside, "11.0.0.1:7777");
    gw_addr_parse(&inside, HOST);
    for (unsigned i = 0; i < NAT_FORWARDS_MAX; i++, outside.port++)
        assert_true(nat_forward(a.nat, i ? NAT_TCP : NAT_UDP, &outside, &inside));
    assert_false(nat_forward(a.nat, NAT_UDP, &outside, &inside));
    assert_true(ask_in(&a, "1.1.1.1:10", "11.0.0.1:7777", HOST)); /* from anybody, with nothing sent before */
    assert_false(ask_in(&a, "1.1.1.1:10", "11.0.0.1:7778", HOST));
    ask_out(&a, HOST, "1.1.1.1:10", out);
    assert_string_equal(out, "11.0.0.1:7777");
    gw_addr_parse_ip(&outside, "11.0.0.99", 0);
    nat_renumber(a.nat, 0, &outside);
    assert_true(ask_in(&a, "1.1.1.1:10", "11.0.0.99:7777", HOST));
    ask_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mapping),
        cmocka_unit_test(test_filtering),
        cmocka_unit_test(test_symmetric),
        cmocka_unit_test(test_ports_preserved),
        cmocka_unit_test(test_ports_overloaded),
        cmocka_unit_test(test_ports_sequential),
        cmocka_unit_test(test_ports_of_others),
        cmocka_unit_test(test_ports_random),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_hairpin),
        cmocka_unit_test(test_firewall),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_rebind),
        cmocka_unit_test(test_blocking),
        cmocka_unit_test(test_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The simulated internet with NATs: who reaches whom through what. The NATs' own rules: tests/nat. */
#include "tests/sim/nat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DELAY GW_MS(10)

struct host {
    struct sim_end end;
    struct sim_nat_net *net;
    bool answers;
    unsigned count;
    struct gw_addr from; /* of the last datagram */
    struct gw_mono at;
    char text[16];
};

static struct sim_clock clock_;
static struct sim_nat_net net;

static void on_receive(struct sim_end *end, struct gw_mono now, const struct sim_datagram *datagram)
{
    struct host *host = gw_container_of(end, struct host, end);
    host->count++;
    host->from = datagram->from;
    host->at = now;
    assert_true(datagram->len < sizeof host->text);
    memcpy(host->text, datagram->data, datagram->len);
    host->text[datagram->len] = 0;
    if (host->answers) {
        struct sim_datagram reply = *datagram;
        reply.from = datagram->to;
        reply.to = datagram->from;
        sim_nat_send(host->net, end, &reply);
    }
}

static void begin(void)
{
    sim_clock_init(&clock_);
    sim_nat_init(&net, &clock_, 7, &(struct sim_link_params){.delay_ns = DELAY, .mtu = 1472});
}

static void end(void)
{
    sim_nat_fini(&net);
    sim_clock_fini(&clock_);
}

static struct host host_new(bool answers)
{
    return (struct host){.end.receive = on_receive, .net = &net, .answers = answers};
}

static struct gw_addr at(const char *text)
{
    struct gw_addr addr;
    assert_int_equal(gw_addr_parse(&addr, text), 0);
    return addr;
}

static void say(struct host *host, uint16_t port, const struct gw_addr *to, const char *text)
{
    struct sim_datagram datagram = {
        .from = *sim_end_ip(&host->end, to->family), .to = *to, .data = text, .len = strlen(text)};
    datagram.from.port = port;
    sim_nat_send(&net, &host->end, &datagram);
    sim_clock_run(&clock_, gw_mono_add(clock_.now, 4 * DELAY));
}

static void is(const struct gw_addr *addr, const char *text)
{
    char out[GW_ADDR_STRLEN];
    assert_string_equal(gw_addr_format(addr, out), text);
}

static void test_through_a_router(void **state)
{
    (void)state;
    begin();
    struct host server = host_new(true), home = host_new(false);
    struct sim_nat_line line;
    struct gw_addr to = at("9.9.9.9:80");
    sim_nat_attach(&net.internet, &server.end, "9.9.9.9", NULL);
    sim_nat_add_line(&line, &net, &net.internet, NAT_KIND_PORT_RESTRICTED, 0x102, false);
    sim_nat_join(&line, &home.end);
    is(sim_end_ip(&home.end, 4), "192.168.1.2:0");
    assert_null(sim_end_ip(&home.end, 6));
    struct gw_mono start = clock_.now;
    say(&home, 5000, &to, "hello");
    is(&server.from, "11.1.2.1:5000");
    is(&home.from, "9.9.9.9:80");
    assert_string_equal(home.text, "hello");
    assert_int_equal(gw_mono_sub(home.at, start), 2 * DELAY);
    /* A stranger is not let in; nobody at all is no error. */
    struct host stranger = host_new(false);
    sim_nat_attach(&net.internet, &stranger.end, "9.9.9.7", NULL);
    to = at("11.1.2.1:5000");
    say(&stranger, 1, &to, "hi");
    to = at("11.7.7.7:5000");
    say(&stranger, 1, &to, "hi");
    assert_int_equal(home.count, 1);
    assert_int_equal(net.lost, 1);
    /* Renumbered: the box is found at its new address. */
    struct gw_addr ip = at("11.5.5.5:1");
    nat_renumber(line.home->v4, 0, &ip);
    to = at("9.9.9.9:80");
    say(&home, 5000, &to, "again");
    is(&server.from, "11.5.5.5:5000");
    assert_string_equal(home.text, "again");
    sim_nat_leave(&home.end);
    say(&server, 80, &server.from, "gone");
    assert_int_equal(home.count, 2);
    end();
}

/* The same private address is another machine's behind each router. */
static void test_private_addresses(void **state)
{
    (void)state;
    begin();
    struct host a = host_new(false), a2 = host_new(false), b = host_new(false);
    struct sim_nat_line lines[2];
    struct gw_addr to = at("192.168.1.3:9");
    for (unsigned i = 0; i < 2; i++)
        sim_nat_add_line(&lines[i], &net, &net.internet, NAT_KIND_FULL_CONE, 1 + i, false);
    sim_nat_join(&lines[0], &a.end);
    sim_nat_join(&lines[0], &a2.end);
    sim_nat_join(&lines[1], &b.end);
    say(&a, 1, &to, "neighbour");
    assert_string_equal(a2.text, "neighbour");
    is(&a2.from, "192.168.1.2:1");
    say(&b, 1, &to, "nobody");
    assert_int_equal(a2.count, 1);
    /* Hairpin: two behind one full cone, by the outside address. */
    to = at("9.9.9.9:1");
    say(&a, 7, &to, "open");
    to = at("11.0.1.1:7");
    say(&a2, 8, &to, "hairpin");
    assert_string_equal(a.text, "hairpin");
    is(&a.from, "11.0.1.1:8");
    end();
}

/* Two homes of one carrier meet at its NAT, which can hairpin; a home router cannot see the difference. */
static void test_one_carrier(void **state)
{
    (void)state;
    begin();
    struct host server = host_new(true), a = host_new(false), b = host_new(false);
    struct sim_nat_line lines[2];
    struct nat_line preset;
    struct gw_addr to = at("9.9.9.9:80"), a_seen, b_seen;
    nat_line(&preset, NAT_KIND_CGNAT_DOUBLE);
    preset.v4[1].pool_count = 1;
    preset.v4[1].pool[0] = at("12.0.0.1:1");
    preset.v4[1].pool[0].port = 0;
    struct sim_nat_box *carrier = sim_nat_add_box(&net, &net.internet, &preset.v4[1], NULL, NULL);
    sim_nat_attach(&net.internet, &server.end, "9.9.9.9", NULL);
    for (unsigned i = 0; i < 2; i++)
        sim_nat_add_line(&lines[i], &net, &carrier->inside, NAT_KIND_PORT_RESTRICTED, 1 + i, false);
    sim_nat_join(&lines[0], &a.end);
    sim_nat_join(&lines[1], &b.end);
    say(&a, 7, &to, "a");
    a_seen = server.from;
    say(&b, 7, &to, "b");
    b_seen = server.from;
    assert_true(gw_addr_same_ip(&a_seen, &b_seen));
    assert_int_not_equal(a_seen.port, b_seen.port);
    is(&preset.v4[1].pool[0], "12.0.0.1:0");
    /* Both sides punch. */
    say(&a, 7, &b_seen, "punch");
    assert_int_equal(b.count, 1);
    say(&b, 7, &a_seen, "back");
    assert_string_equal(a.text, "back");
    assert_true(gw_addr_equal(&a.from, &b_seen));
    struct nat_stats stats;
    nat_stats(carrier->v4, clock_.now, &stats);
    assert_int_equal(stats.hairpinned, 1);
    end();
}

static void test_double(void **state)
{
    (void)state;
    begin();
    struct host server = host_new(true), home = host_new(false);
    struct sim_nat_line line;
    struct gw_addr to = at("9.9.9.9:80"), to6 = at("[2a00:ffff::9]:80");
    sim_nat_attach(&net.internet, &server.end, "9.9.9.9", "2a00:ffff::9");
    sim_nat_add_line(&line, &net, &net.internet, NAT_KIND_CGNAT_DOUBLE, 5, true);
    sim_nat_join(&line, &home.end);
    say(&home, 5000, &to, "hello");
    assert_string_equal(home.text, "hello");
    assert_true(server.from.ip[0] == 11 && server.from.port != 5000);
    assert_int_equal(nat_params(line.home->v4)->pool[0].ip[0], 100);
    /* IPv6 is filtered once, not translated. */
    say(&home, 5000, &to6, "six");
    assert_string_equal(home.text, "six");
    is(&server.from, "[2a00:0:5::2]:5000");
    to6 = server.from;
    to6.port = 5001;
    say(&server, 80, &to6, "seven");
    assert_string_equal(home.text, "six");
    end();
}

/* Open lines have public addresses of both families; udp-blocked lets TCP pass; v6-only has no IPv4. */
static void test_other_kinds(void **state)
{
    (void)state;
    begin();
    struct host server = host_new(true), hosts[3];
    struct sim_nat_line lines[3];
    static const enum nat_kind kinds[] = {NAT_KIND_OPEN, NAT_KIND_UDP_BLOCKED, NAT_KIND_V6_ONLY};
    struct gw_addr to = at("9.9.9.9:80"), to6 = at("[2a00:ffff::9]:80");
    sim_nat_attach(&net.internet, &server.end, "9.9.9.9", "2a00:ffff::9");
    for (unsigned i = 0; i < 3; i++) {
        hosts[i] = host_new(false);
        sim_nat_add_line(&lines[i], &net, &net.internet, kinds[i], 1 + i, false);
        sim_nat_join(&lines[i], &hosts[i].end);
    }
    is(sim_end_ip(&hosts[0].end, 4), "11.0.1.2:0");
    is(sim_end_ip(&hosts[0].end, 6), "[2a00:0:1::2]:0");
    say(&hosts[0], 1, &to, "open");
    say(&hosts[0], 1, &to6, "open6");
    assert_int_equal(hosts[0].count, 2);
    say(&hosts[1], 1, &to, "udp");
    assert_int_equal(hosts[1].count, 0);
    struct sim_datagram syn = {
        .from = at("192.168.1.2:9"), .to = to, .protocol = NAT_TCP, .tcp_flags = 2, .data = "syn", .len = 3};
    sim_nat_send(&net, &hosts[1].end, &syn);
    sim_clock_run(&clock_, gw_mono_add(clock_.now, 4 * DELAY));
    assert_string_equal(hosts[1].text, "syn");
    assert_null(sim_end_ip(&hosts[2].end, 4));
    say(&hosts[2], 1, &to6, "six");
    assert_int_equal(hosts[2].count, 1);
    to6 = at("[2a00:0:3::2]:1");
    say(&hosts[0], 1, &to6, "stranger");
    assert_int_equal(hosts[2].count, 1);
    end();
}

/* Links are one for each direction between two addresses, and a test's to change. */
static void test_links(void **state)
{
    (void)state;
    begin();
    struct host server = host_new(true), home = host_new(false);
    struct sim_nat_line line;
    struct gw_addr to = at("9.9.9.9:80"), outside = at("11.0.1.1:5");
    sim_nat_attach(&net.internet, &server.end, "9.9.9.9", NULL);
    sim_nat_add_line(&line, &net, &net.internet, NAT_KIND_SYMMETRIC_RANDOM, 1, false);
    sim_nat_join(&line, &home.end);
    struct sim_link *up = sim_nat_link(&net, &net.internet, &outside, &to);
    for (uint16_t port = 1; port < 50; port++)
        say(&home, port, &to, "x");
    assert_int_equal(sim_link_stats(up)->delivered, 49);
    sim_link_set(up, &(struct sim_link_params){.loss = 1});
    say(&home, 1, &to, "lost");
    assert_int_equal(server.count, 49);
    assert_int_equal(home.count, 49);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_through_a_router), cmocka_unit_test(test_private_addresses),
        cmocka_unit_test(test_one_carrier),      cmocka_unit_test(test_double),
        cmocka_unit_test(test_other_kinds),      cmocka_unit_test(test_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

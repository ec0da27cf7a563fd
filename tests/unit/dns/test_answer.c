/* SPDX-License-Identifier: MIT */
/* Questions to a zone: code, records and their times, as ldns reads them. */
#include "ask.h"

#include "gateway/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

static struct gw_dns_table *table;

static int setup(void **state)
{
    (void)state;
    table = make_table();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gw_dns_table_free(table);
    return 0;
}

static void expect(const char *name, int type, int rcode, const char *record)
{
    ldns_pkt *pkt = ask_zone(table, name, type, 1232);
    assert_non_null(pkt);
    if ((int)ldns_pkt_get_rcode(pkt) != rcode || ldns_pkt_ancount(pkt) != (record != NULL))
        fail_msg("%s %d: code %d, %u answers", name, type, ldns_pkt_get_rcode(pkt), ldns_pkt_ancount(pkt));
    if (record)
        assert_string_equal(record_text(ldns_pkt_answer(pkt), 0), record);
    /* What there is not comes with the SOA, whose time says for how long. */
    if (!record && rcode != GW_DNS_REFUSED) {
        assert_int_equal(ldns_pkt_nscount(pkt), 1);
        assert_non_null(strstr(record_text(ldns_pkt_authority(pkt), 0),
                               " 30 IN SOA ns.p2p. hostmaster.p2p. 1 3600 600 86400 30"));
    }
    assert_int_equal(ldns_pkt_aa(pkt), rcode != GW_DNS_REFUSED);
    assert_false(ldns_pkt_ra(pkt));
    ldns_pkt_free(pkt);
}

static void test_hosts(void **state)
{
    (void)state;
    expect("home.demo.p2p.", GW_DNS_A, 0, "home.demo.p2p. 300 IN A 127.64.0.7");
    expect("home.demo.p2p.", GW_DNS_AAAA, 0, "home.demo.p2p. 300 IN AAAA fd83::7");
    expect("HOME.dEmo.P2P.", GW_DNS_A, 0, "HOME.dEmo.P2P. 300 IN A 127.64.0.7");
    expect("nas.demo.p2p.", GW_DNS_A, 0, "nas.demo.p2p. 60 IN A 127.64.0.8");
    expect("nas.demo.p2p.", GW_DNS_AAAA, 0, NULL);
    expect("nas.demo.p2p.", GW_DNS_TXT, 0, NULL);
    expect("solo.p2p.", GW_DNS_A, 0, "solo.p2p. 60 IN A 10.70.1.1");
    expect(
        "home.demo.p2p.", GW_DNS_TXT, 0,
        "home.demo.p2p. 60 IN TXT \"peer=12D3KooWtest\" \"web=80/tcp\" \"game=27015/udp\" \"notes=0/tcp\"");
    expect("home.demo.p2p.", GW_DNS_SRV, 0, NULL);
    expect("home.demo.p2p.", GW_DNS_ANY, 0, "home.demo.p2p. 300 IN HINFO \"RFC8482\" \"\"");
    expect("home.p2p.", GW_DNS_A, GW_DNS_NXDOMAIN, NULL);
    expect("nobody.demo.p2p.", GW_DNS_A, GW_DNS_NXDOMAIN, NULL);
    expect("home.empty.p2p.", GW_DNS_A, GW_DNS_NXDOMAIN, NULL);
    expect("home\\.demo.p2p.", GW_DNS_A, GW_DNS_NXDOMAIN, NULL);
    expect("ho\\000me.demo.p2p.", GW_DNS_A, GW_DNS_NXDOMAIN, NULL);
}

static void test_apex(void **state)
{
    (void)state;
    expect("p2p.", GW_DNS_SOA, 0, "p2p. 300 IN SOA ns.p2p. hostmaster.p2p. 1 3600 600 86400 30");
    expect("p2p.", GW_DNS_NS, 0, "p2p. 300 IN NS ns.p2p.");
    expect("p2p.", GW_DNS_A, 0, NULL);
    expect("ns.p2p.", GW_DNS_A, 0, "ns.p2p. 300 IN A 127.64.0.53");
    expect("ns.p2p.", GW_DNS_AAAA, 0, NULL);
    expect("demo.p2p.", GW_DNS_A, 0, NULL);
    expect("empty.p2p.", GW_DNS_AAAA, 0, NULL);
    expect("other.p2p.", GW_DNS_A, GW_DNS_NXDOMAIN, NULL);
}

static void test_services(void **state)
{
    (void)state;
    expect("web.home.demo.p2p.", GW_DNS_A, 0, "web.home.demo.p2p. 300 IN A 127.64.0.7");
    expect("anything.home.demo.p2p.", GW_DNS_AAAA, 0, "anything.home.demo.p2p. 300 IN AAAA fd83::7");
    expect("a.b.c.home.demo.p2p.", GW_DNS_A, 0, "a.b.c.home.demo.p2p. 300 IN A 127.64.0.7");
    expect("web.home.demo.p2p.", GW_DNS_SRV, 0, "web.home.demo.p2p. 60 IN SRV 0 0 80 home.demo.p2p.");
    expect("game.home.demo.p2p.", GW_DNS_TXT, 0, "game.home.demo.p2p. 60 IN TXT \"game=27015/udp\"");
    expect("notes.home.demo.p2p.", GW_DNS_SRV, 0, NULL);
    expect("anything.home.demo.p2p.", GW_DNS_SRV, 0, NULL);
    expect("a.web.home.demo.p2p.", GW_DNS_SRV, 0, NULL);
    expect("_web._tcp.home.demo.p2p.", GW_DNS_SRV, 0,
           "_web._tcp.home.demo.p2p. 60 IN SRV 0 0 80 home.demo.p2p.");
    expect("_game._udp.home.demo.p2p.", GW_DNS_SRV, 0,
           "_game._udp.home.demo.p2p. 60 IN SRV 0 0 27015 home.demo.p2p.");
    expect("_web._udp.home.demo.p2p.", GW_DNS_SRV, GW_DNS_NXDOMAIN, NULL);
    expect("web._tcp.home.demo.p2p.", GW_DNS_SRV, GW_DNS_NXDOMAIN, NULL);
    expect("_tcp.home.demo.p2p.", GW_DNS_A, 0, NULL);
    expect("_x.home.demo.p2p.", GW_DNS_A, GW_DNS_NXDOMAIN, NULL);
    expect("x._web._tcp.home.demo.p2p.", GW_DNS_SRV, GW_DNS_NXDOMAIN, NULL);
}

static void test_reverse(void **state)
{
    (void)state;
    expect("7.0.64.127.in-addr.arpa.", GW_DNS_PTR, 0, "7.0.64.127.in-addr.arpa. 300 IN PTR home.demo.p2p.");
    expect("8.0.64.127.in-addr.arpa.", GW_DNS_PTR, 0, "8.0.64.127.in-addr.arpa. 60 IN PTR nas.demo.p2p.");
    expect(
        "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.8.d.f.ip6.arpa.", GW_DNS_PTR, 0,
        "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.8.d.f.ip6.arpa. 300 IN PTR home.demo.p2p.");
    expect("7.0.64.127.in-addr.arpa.", GW_DNS_A, 0, NULL);
    expect("9.0.64.127.in-addr.arpa.", GW_DNS_PTR, GW_DNS_NXDOMAIN, NULL);
    expect("07.0.64.127.in-addr.arpa.", GW_DNS_PTR, GW_DNS_NXDOMAIN, NULL);
    expect("1.7.0.64.127.in-addr.arpa.", GW_DNS_PTR, GW_DNS_NXDOMAIN, NULL);
    expect("0.64.127.in-addr.arpa.", GW_DNS_PTR, 0, NULL);
    expect("64.127.in-addr.arpa.", GW_DNS_NS, 0, "64.127.in-addr.arpa. 300 IN NS ns.p2p.");
    expect("1.1.70.10.in-addr.arpa.", GW_DNS_PTR, 0, "1.1.70.10.in-addr.arpa. 60 IN PTR solo.p2p.");
    expect("1.1.80.10.in-addr.arpa.", GW_DNS_PTR, GW_DNS_REFUSED, NULL);
    expect("127.in-addr.arpa.", GW_DNS_PTR, GW_DNS_REFUSED, NULL);
    expect("in-addr.arpa.", GW_DNS_PTR, GW_DNS_REFUSED, NULL);
    expect("300.64.127.in-addr.arpa.", GW_DNS_PTR, GW_DNS_NXDOMAIN, NULL);
}

static void test_not_ours(void **state)
{
    (void)state;
    expect("example.com.", GW_DNS_A, GW_DNS_REFUSED, NULL);
    expect(".", GW_DNS_NS, GW_DNS_REFUSED, NULL);
    expect("xp2p.", GW_DNS_A, GW_DNS_REFUSED, NULL);
    expect("home.demo.p2p.", GW_DNS_AXFR, GW_DNS_REFUSED, NULL);
    expect("p2p.", GW_DNS_IXFR, GW_DNS_REFUSED, NULL);
}

static enum gw_dns_verdict verdict_of(const char *name, bool forwards, uint8_t *out, size_t *out_len)
{
    struct gw_dns_query query;
    struct gw_dns_ask ask = {.zone = gw_dns_table_zone(table), .forwards = forwards};
    size_t len;
    uint8_t *wire = make_query(name, GW_DNS_A, 0, &len);
    enum gw_dns_verdict verdict = gw_dns_answer(&ask, wire, len, &query, out, GW_DNS_UDP_MAX, out_len);
    free(wire);
    return verdict;
}

static void test_forwarded(void **state)
{
    uint8_t out[GW_DNS_UDP_MAX];
    size_t len;
    (void)state;
    assert_int_equal(verdict_of("example.com.", true, out, &len), GW_DNS_FORWARDED);
    assert_int_equal(verdict_of("1.1.80.10.in-addr.arpa.", true, out, &len), GW_DNS_FORWARDED);
    /* Ours stay here, and what the world should not be asked. */
    assert_int_equal(verdict_of("nobody.demo.p2p.", true, out, &len), GW_DNS_ANSWERED);
    assert_int_equal(verdict_of("printer.local.", true, out, &len), GW_DNS_ANSWERED);
    assert_int_equal(out[3] & 0xf, GW_DNS_NXDOMAIN);
    assert_int_equal(out[3] & 0x80, 0x80);
}

/* More services than 512 bytes hold: TC and nothing else, unless the asker takes more. */
static void test_truncation(void **state)
{
    struct gw_dns_service services[60];
    struct gw_dns_host many = {.name = "many.demo", .services = services, .service_count = 60};
    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        services[i] = (struct gw_dns_service){.port = (uint16_t)(1000 + i)};
        snprintf(services[i].name, sizeof services[i].name, "s%u", i);
    }
    assert_int_equal(gw_dns_table_put(table, &many, true), 0);
    for (unsigned i = 0; i < 3; i++) {
        static const uint16_t sizes[] = {0, 512, 1232};
        ldns_pkt *pkt = ask_zone(table, "many.demo.p2p.", GW_DNS_TXT, sizes[i]);
        assert_int_equal(ldns_pkt_tc(pkt), sizes[i] < 1232);
        assert_int_equal(ldns_pkt_ancount(pkt), sizes[i] == 1232);
        ldns_pkt_free(pkt);
    }
}

static void test_table(void **state)
{
    struct gw_dns_host host = {.name = "home.demo", .ipv4 = {.family = 4, .ip = {127, 64, 0, 8}}};
    static const char *const bad[] = {"", "a.b.c", "A.demo", "a..b", ".demo", "a.", "a b.demo"};
    (void)state;
    /* nas was first with its address; a canonical name takes it over, and gives it up with itself. */
    assert_int_equal(gw_dns_table_put(table, &host, false), 0);
    expect("8.0.64.127.in-addr.arpa.", GW_DNS_PTR, 0, "8.0.64.127.in-addr.arpa. 60 IN PTR nas.demo.p2p.");
    expect("7.0.64.127.in-addr.arpa.", GW_DNS_PTR, GW_DNS_NXDOMAIN, NULL);
    assert_int_equal(gw_dns_table_put(table, &host, true), 0);
    expect("8.0.64.127.in-addr.arpa.", GW_DNS_PTR, 0, "8.0.64.127.in-addr.arpa. 60 IN PTR home.demo.p2p.");
    assert_int_equal(gw_dns_table_count(table), 3);
    gw_dns_table_remove(table, "home.demo");
    gw_dns_table_remove(table, "home.demo");
    expect("home.demo.p2p.", GW_DNS_A, GW_DNS_NXDOMAIN, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(host.name, sizeof host.name, "%s", bad[i]);
        assert_int_equal(gw_dns_table_put(table, &host, true), GW_E_INVAL);
    }
    gw_dns_table_clear(table);
    assert_int_equal(gw_dns_table_count(table), 0);
    expect("demo.p2p.", GW_DNS_A, GW_DNS_NXDOMAIN, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hosts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_apex, setup, teardown),
        cmocka_unit_test_setup_teardown(test_services, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reverse, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forwarded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_truncation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_table, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

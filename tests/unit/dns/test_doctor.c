/* SPDX-License-Identifier: MIT */
/* The doctor: resolv.conf, judgements of machines that are ill in one way each, and a look at real servers that aren't there. */
#include "frontends/dns/doctor.h"
#include "gateway/base/err.h"

#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

static void test_resolv_conf(void **state)
{
    struct gw_dns_resolv_conf conf;
    (void)state;
    gw_dns_resolv_conf_parse(
        &conf,
        "# nameserver 9.9.9.9\nnameserver 127.0.0.53 # stub\nsearch old\n;x\nnameserver\tfd83::53\r\n"
        "nameserver nonsense\nnameserver\nsearch demo.p2p  lan\noptions edns0 ndots:2 trust-ad\nbogus\n\n");
    assert_int_equal(conf.server_count, 2);
    assert_int_equal(conf.servers[0].ip[3], 53);
    assert_int_equal(conf.servers[1].family, 6);
    assert_int_equal(conf.servers[1].port, 53);
    assert_int_equal(conf.search_count, 2);
    assert_string_equal(conf.search[0], "demo.p2p");
    assert_int_equal(conf.ndots, 2);
    gw_dns_resolv_conf_parse(&conf, "");
    assert_int_equal(conf.server_count, 0);
    for (int i = 0; i < 20; i++)
        gw_dns_resolv_conf_parse(
            &conf,
            "nameserver 1.1.1.1\nnameserver 1.1.1.1\nnameserver 1.1.1.1\nnameserver 1.1.1.1\nnameserver 1.1.1.1\n"
            "nameserver 1.1.1.1\nnameserver 1.1.1.1\nnameserver 1.1.1.1\nnameserver 1.1.1.1\nsearch a b c d e f g h");
    assert_int_equal(conf.server_count, GW_DNS_DOCTOR_SERVERS_MAX);
    assert_int_equal(conf.search_count, GW_DNS_DOCTOR_SEARCH_MAX);
}

/* A machine where all is well. */
static struct gw_dns_seen healthy(void)
{
    struct gw_addr server, address;
    assert_int_equal(gw_addr_parse(&server, "127.64.0.53:53"), 0);
    assert_int_equal(gw_addr_parse_ip(&address, "127.64.0.7", 0), 0);
    struct gw_dns_probe soa = {.server = server, .is_peergate = true, .is_authoritative = true};
    struct gw_dns_probe name = {.server = server, .is_authoritative = true, .answers = 1, .address = address};
    return (struct gw_dns_seen){.name = "home.demo.p2p",
                                .is_running = true,
                                .is_enabled = true,
                                .own = {soa, soa},
                                .own_count = 2,
                                .conf = {.is_there = true, .servers = {server}, .server_count = 1},
                                .system = {soa},
                                .system_count = 1,
                                .upstreams = {{.server = server}},
                                .upstream_count = 1,
                                .name_v4 = name,
                                .name_v6 = {.server = server},
                                .libc_address = address};
}

static void expect(const struct gw_dns_seen *seen, const char *wrong)
{
    struct gw_dns_report report;
    gw_dns_doctor_judge(&report, seen);
    assert_int_equal(gw_dns_report_is_good(&report), wrong == NULL);
    bool is_found = wrong == NULL;
    for (unsigned i = 0; i < report.count; i++)
        is_found =
            is_found || (report.findings[i].level == GW_DNS_WRONG && strstr(report.findings[i].what, wrong));
    if (!is_found) {
        gw_dns_report_print(&report, stderr);
        fail_msg("nothing is said of \"%s\"", wrong);
    }
    json_t *json = gw_dns_report_json(&report);
    assert_int_equal(json_is_true(json_object_get(json, "ok")), wrong == NULL);
    assert_int_equal(json_array_size(json_object_get(json, "findings")), report.count);
    json_decref(json);
}

static void test_judge(void **state)
{
    struct gw_dns_seen seen = healthy();
    (void)state;
    expect(&seen, NULL);
    seen.is_running = false;
    expect(&seen, "no daemon");
    seen = healthy();
    seen.is_enabled = false;
    expect(&seen, "no DNS server");
    seen = healthy();
    seen.own[1].err = -ETIMEDOUT;
    expect(&seen, "does not answer by UDP");
    seen = healthy();
    seen.own[0].is_peergate = false;
    expect(&seen, "is not ours");
    seen = healthy();
    seen.system[0].is_peergate = false;
    seen.system[0].rcode = 3;
    expect(&seen, "no server in resolv.conf leads to ours");
    seen.system[1] = healthy().system[0];
    seen.system_count = 2;
    expect(&seen, "first server");
    seen = healthy();
    seen.conf.is_there = false;
    expect(&seen, "cannot be read");
    seen = healthy();
    seen.upstreams[0].err = -ECONNREFUSED;
    expect(&seen, "upstream");
    seen.upstreams[0] = (struct gw_dns_probe){.rcode = 5};
    expect(&seen, "a refusal");
}

static void expect_said(const struct gw_dns_seen *seen, enum gw_dns_level level, const char *what,
                        const char *advice)
{
    struct gw_dns_report report;
    gw_dns_doctor_judge(&report, seen);
    for (unsigned i = 0; i < report.count; i++) {
        const struct gw_dns_finding *finding = &report.findings[i];
        if (finding->level == level && strstr(finding->what, what) && strstr(finding->advice, advice))
            return;
    }
    gw_dns_report_print(&report, stderr);
    fail_msg("nothing is said of \"%s\"", what);
}

/* What is advised is there, and the cause is named once. */
static void test_judge_causes(void **state)
{
    struct gw_dns_seen seen = healthy();
    (void)state;
    seen.system[0].is_peergate = false;
    seen.libc_err = 1;
    expect_said(&seen, GW_DNS_WRONG, "no server in resolv.conf leads to ours", "see `dns.system`");
    expect_said(&seen, GW_DNS_WRONG, "programs do not get", "see above");
    seen.has_proxy = true;
    expect_said(&seen, GW_DNS_WRONG, "no server in resolv.conf leads to ours", "meanwhile the SOCKS5 proxy");
    seen = healthy();
    seen.libc_err = 1;
    expect_said(&seen, GW_DNS_WRONG, "programs do not get", "nsswitch.conf");
}

/* What the machine was told of our server. */
static void test_judge_told(void **state)
{
    struct gw_dns_seen seen = healthy();
    (void)state;
    seen.told = (struct gw_dns_system){"applied", "resolved", "systemd-resolved sends p2p to us"};
    expect(&seen, NULL);
    expect_said(&seen, GW_DNS_FINE, "systemd-resolved sends p2p to us", "");
    seen.told = (struct gw_dns_system){"working", "off", ""};
    expect_said(&seen, GW_DNS_NOTE, "is being told", "again");
    /* it works although it failed: somebody has done it by hand */
    seen.told = (struct gw_dns_system){"failed", "resolvconf", "set dns.upstreams"};
    expect(&seen, NULL);
    expect_said(&seen, GW_DNS_NOTE, "by resolvconf", "set dns.upstreams");
    seen.libc_err = EAI_NONAME;
    expect(&seen, "by resolvconf");
    seen.told = (struct gw_dns_system){"failed", "off", "nobody is in charge"};
    expect_said(&seen, GW_DNS_WRONG, "told of our server", "nobody is in charge");
    seen.told = (struct gw_dns_system){"off", "off", ""};
    expect_said(&seen, GW_DNS_NOTE, "`dns.system` is off", "dns.system: auto");
    /* the C library asks systemd-resolved past resolv.conf */
    seen = healthy();
    seen.system[0].is_peergate = false;
    expect(&seen, "no server in resolv.conf");
    seen.has_nss_resolve = true;
    expect(&seen, NULL);
    expect_said(&seen, GW_DNS_NOTE, "no server in resolv.conf", "systemd-resolved");
    seen.libc_err = EAI_NONAME;
    expect(&seen, "no server in resolv.conf");
}

/* Our server's address in the TUN. */
static void test_judge_tun(void **state)
{
    struct gw_dns_seen seen = healthy();
    (void)state;
    seen.tun[0] = seen.own[0];
    seen.tun_count = 1;
    assert_int_equal(gw_addr_parse(&seen.tun[0].server, "10.64.0.53:53"), 0);
    seen.is_tun_routed[0] = true;
    expect(&seen, NULL);
    expect_said(&seen, GW_DNS_FINE, "in the tunnel at 10.64.0.53:53 by UDP", "");
    seen.tun[0].is_peergate = false;
    expect_said(&seen, GW_DNS_WRONG, "in the tunnel at 10.64.0.53:53 by UDP is not ours", "address_range");
    seen.tun[0].err = -ETIMEDOUT;
    expect_said(&seen, GW_DNS_WRONG, "does not answer in the tunnel at 10.64.0.53:53", "interface");
    /* Nobody asks it where it is not routed, until resolv.conf names it. */
    seen.is_tun_routed[0] = false;
    expect(&seen, NULL);
    expect_said(&seen, GW_DNS_NOTE, "10.64.0.53:53 do not go into the TUN", "tun.routes");
    seen.conf.servers[0] = seen.tun[0].server;
    expect(&seen, "10.64.0.53:53 do not go into the TUN");
}

static void test_judge_name(void **state)
{
    struct gw_dns_seen seen = healthy();
    (void)state;
    seen.name_v4 = (struct gw_dns_probe){.rcode = 3};
    expect(&seen, "nobody is called home.demo.p2p");
    seen.name_v4 = (struct gw_dns_probe){.rcode = 5};
    expect(&seen, "refuses");
    seen.name_v4 = (struct gw_dns_probe){.rcode = 2};
    expect(&seen, "a failure");
    seen.name_v4 = (struct gw_dns_probe){0};
    expect(&seen, "has no address");
    seen = healthy();
    seen.libc_err = EAI_NONAME;
    expect(&seen, "the C library finds nothing");
    seen = healthy();
    seen.libc_address.ip[3] = 99;
    expect(&seen, "programs get");
}

/* A name that resolves, since all below a host do, and whose service is another question. */
static void test_judge_service(void **state)
{
    struct gw_dns_seen seen = healthy();
    (void)state;
    snprintf(seen.name, sizeof seen.name, "web.home.demo.p2p");
    seen.wanted = (struct gw_dns_wanted){.grant = GW_DNS_GRANTED, .service = "web", .host = "home.demo.p2p"};
    expect(&seen, NULL);
    expect_said(&seen, GW_DNS_FINE, "web.home.demo.p2p is 127.64.0.7", "");
    seen.wanted.grant = GW_DNS_NOT_GRANTED;
    expect(&seen, "no service web for this node");
    expect_said(&seen, GW_DNS_WRONG, "is 127.64.0.7, as is any name below home.demo.p2p",
                "`peergate services home.demo.p2p`");
    seen.wanted.is_own = true;
    expect_said(&seen, GW_DNS_WRONG, "this node has no service web", "config.yaml, under `services`");
    seen.wanted.is_own = false;
    seen.wanted.grant = GW_DNS_BY_NAME;
    expect_said(&seen, GW_DNS_WRONG, "web has no port", "give the service a `port`");
    seen.wanted.grant = GW_DNS_GRANT_UNKNOWN;
    snprintf(seen.wanted.problem, sizeof seen.wanted.problem, "the peer did not answer");
    expect(&seen, NULL);
    expect_said(&seen, GW_DNS_NOTE, "is not known: the peer did not answer", "`peergate why home.demo.p2p`");
    seen.wanted.grant = GW_DNS_GRANTED;
    seen.wanted.is_silent = true;
    snprintf(seen.wanted.problem, sizeof seen.wanted.problem, "another program has the port");
    expect_said(&seen, GW_DNS_WRONG, "nobody listens there for web", "another program has the port");
    /* Where there is no such host either, that is what is said. */
    seen.name_v4 = (struct gw_dns_probe){.rcode = 3};
    expect_said(&seen, GW_DNS_WRONG, "NXDOMAIN", "`peergate peers`");
}

/* Names that are there, and have no address. */
static void test_judge_no_address(void **state)
{
    static const struct {
        const char *name, *advice;
    } cases[] = {{"demo.p2p", "no host"},
                 {"p2p.", "no host"},
                 {"_web._tcp.home.demo.p2p", "SRV"},
                 {"home.demo.p2p", "tunnel_ip"}};
    struct gw_dns_seen seen = healthy();
    (void)state;
    seen.name_v4 = (struct gw_dns_probe){0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(seen.name, sizeof seen.name, "%s", cases[i].name);
        expect_said(&seen, GW_DNS_WRONG, "NODATA", cases[i].advice);
    }
    snprintf(seen.name, sizeof seen.name, "home");
    seen.name_v4 = (struct gw_dns_probe){.rcode = 5};
    expect_said(&seen, GW_DNS_WRONG, "refuses home, which has no network", "dns.search");
}

static void test_look(void **state)
{
    char path[] = "/tmp/peergate-doctor-XXXXXX";
    struct gw_addr nobody;
    struct gw_dns_seen seen;
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "nameserver 127.64.99.99\n", 24), 24);
    close(fd);
    assert_int_equal(gw_addr_parse(&nobody, "127.64.99.98:53"), 0);
    const struct gw_dns_tun_server tun = {.address = nobody, .is_routed = true};
    struct gw_dns_look what = {.name = "127.0.0.1",
                               .is_running = true,
                               .is_enabled = true,
                               .own = &nobody,
                               .own_count = 1,
                               .tun = &tun,
                               .tun_count = 1,
                               .upstreams = &nobody,
                               .upstream_count = 1,
                               .resolv_conf = path,
                               .timeout_ms = 200};
    gw_dns_doctor_look(&seen, &what);
    unlink(path);
    assert_int_equal(seen.own_count, 2);
    assert_int_equal(seen.own[0].err, -ECONNREFUSED);
    assert_int_equal(seen.own[1].err, -ECONNREFUSED);
    assert_int_equal(seen.system[0].err, -ECONNREFUSED);
    assert_int_equal(seen.tun_count, 2);
    assert_int_equal(seen.tun[0].err, -ECONNREFUSED);
    assert_true(seen.tun[1].is_tcp && seen.is_tun_routed[1]);
    expect(&seen, "our server at 127.64.99.98:53 does not answer by TCP");
    expect(&seen, "our server does not answer in the tunnel at 127.64.99.98:53 by TCP");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolv_conf),      cmocka_unit_test(test_judge),
        cmocka_unit_test(test_judge_causes),     cmocka_unit_test(test_judge_causes),
        cmocka_unit_test(test_judge_told),       cmocka_unit_test(test_judge_tun),
        cmocka_unit_test(test_judge_name),       cmocka_unit_test(test_judge_service),
        cmocka_unit_test(test_judge_no_address), cmocka_unit_test(test_look)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "ask.h"

#include "gateway/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after the headers that it needs */
#include <cmocka.h>

static struct gw_addr addr(const char *text)
{
    struct gw_addr out;
    assert_int_equal(gw_addr_parse_ip(&out, text, 0), 0);
    return out;
}

struct gw_dns_table *make_table(void)
{
    static const struct gw_dns_service services[] = {
        {"web", 80, false}, {"game", 27015, true}, {"notes", 0, false}};
    struct gw_dns_host home = {.name = "home.demo",
                               .peer_id = "12D3KooWtest",
                               .is_ipv4_derived = true,
                               .services = services,
                               .service_count = 3};
    struct gw_dns_host nas = {.name = "nas.demo"}, solo = {.name = "solo"};
    struct gw_dns_table *table = gw_dns_table_new();
    struct gw_dns_zone *zone = gw_dns_table_zone(table);
    home.ipv4 = addr("127.64.0.7");
    home.ipv6 = addr("fd83::7");
    nas.ipv4 = addr("127.64.0.8");
    solo.ipv4 = addr("10.70.1.1");
    zone->range_count = 3;
    zone->ranges[0] = (struct gw_prefix){addr("127.64.0.0"), 16};
    zone->ranges[1] = (struct gw_prefix){addr("10.64.0.0"), 12};
    zone->ranges[2] = (struct gw_prefix){addr("fd83::"), 16};
    zone->servers[0] = addr("127.64.0.53");
    assert_int_equal(gw_dns_table_put(table, &home, true), 0);
    assert_int_equal(gw_dns_table_put(table, &nas, true), 0);
    assert_int_equal(gw_dns_table_put(table, &solo, true), 0);
    assert_int_equal(gw_dns_table_put_network(table, "empty"), 0);
    return table;
}

uint8_t *make_query(const char *name, int type, uint16_t edns_size, size_t *len)
{
    uint8_t *wire;
    ldns_pkt *pkt =
        ldns_pkt_query_new(ldns_dname_new_frm_str(name), (ldns_rr_type)type, LDNS_RR_CLASS_IN, LDNS_RD);
    ldns_pkt_set_id(pkt, 0x1234);
    if (edns_size)
        ldns_pkt_set_edns_udp_size(pkt, edns_size);
    assert_int_equal(ldns_pkt2wire(&wire, pkt, len), LDNS_STATUS_OK);
    ldns_pkt_free(pkt);
    return wire;
}

ldns_pkt *parse(const uint8_t *bytes, size_t len)
{
    ldns_pkt *pkt;
    assert_int_equal(ldns_wire2pkt(&pkt, bytes, len), LDNS_STATUS_OK);
    return pkt;
}

ldns_pkt *ask_zone(const struct gw_dns_table *table, const char *name, int type, uint16_t edns_size)
{
    uint8_t out[GW_DNS_UDP_MAX];
    size_t len, out_len;
    struct gw_dns_query query;
    struct gw_dns_ask ask = {.zone = gw_dns_table_zone((struct gw_dns_table *)(uintptr_t)table)};
    uint8_t *wire = make_query(name, type, edns_size, &len);
    enum gw_dns_verdict verdict = gw_dns_answer(&ask, wire, len, &query, out, sizeof out, &out_len);
    free(wire);
    if (verdict != GW_DNS_ANSWERED)
        return NULL;
    ldns_pkt *pkt = parse(out, out_len);
    assert_true(ldns_pkt_qr(pkt) && ldns_pkt_rd(pkt) && ldns_pkt_id(pkt) == 0x1234);
    assert_int_equal(ldns_pkt_edns(pkt), edns_size != 0);
    return pkt;
}

const char *record_text(const ldns_rr_list *list, size_t i)
{
    static char text[2048];
    char *raw = ldns_rr2str(ldns_rr_list_rr(list, i));
    snprintf(text, sizeof text, "%s", raw);
    free(raw);
    for (char *at = text; *at; at++)
        *at = *at == '\t' ? ' ' : *at == '\n' ? '\0' : *at;
    return text;
}

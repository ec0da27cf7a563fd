/* SPDX-License-Identifier: MIT */
/* DNS: the first byte chooses. Even: a message from an asker; whatever we answer, ldns can read, and it is the answer to that message. Odd: a message from an upstream to the
 * question of example.p2p's A record; what is kept of it can be given to an asker, and ldns can read that too. */
#include "frontends/dns/answer.h"
#include "frontends/dns/foreign.h"

#include <assert.h>
#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gw_dns_table *make_table(void)
{
    static const struct gw_dns_service services[] = {{"web", 80, false}, {"game", 27015, true}};
    struct gw_dns_host host = {.name = "home.demo",
                               .peer_id = "12D3KooWtest",
                               .ipv4 = {.family = 4, .ip = {127, 64, 0, 7}},
                               .ipv6 = {.family = 6, .ip = {0xfd, 0x83, [15] = 7}},
                               .services = services,
                               .service_count = 2};
    struct gw_dns_table *table = gw_dns_table_new();
    struct gw_dns_zone *zone = gw_dns_table_zone(table);
    assert(gw_dns_table_put(table, &host, true) == 0);
    zone->ranges[0] = (struct gw_prefix){{.family = 4, .ip = {127, 64}}, 16};
    zone->ranges[1] = (struct gw_prefix){{.family = 6, .ip = {0xfd, 0x83}}, 46};
    zone->range_count = 2;
    zone->servers[0] = host.ipv4;
    return table;
}

static void judge(const uint8_t *message, size_t len, uint16_t id)
{
    ldns_pkt *pkt;
    if (ldns_wire2pkt(&pkt, message, len) != LDNS_STATUS_OK)
        abort();
    assert(ldns_pkt_qr(pkt) && ldns_pkt_id(pkt) == id);
    assert(ldns_pkt_qdcount(pkt) <= 1);
    ldns_pkt_free(pkt);
}

static void judge_answer(const struct gw_dns_query *query, const uint8_t *out, size_t len, size_t cap)
{
    assert(len >= GW_DNS_HEADER_LEN && len <= cap);
    assert(query->question.len == 0 ||
           memcmp(out + GW_DNS_HEADER_LEN, query->question.data, query->question.len) == 0);
    judge(out, len, query->id);
}

static void from_asker(const struct gw_dns_table *table, const uint8_t *data, size_t size, bool is_tcp)
{
    struct gw_dns_query query;
    struct gw_dns_ask ask = {.zone = gw_dns_table_zone((struct gw_dns_table *)(uintptr_t)table),
                             .is_tcp = is_tcp,
                             .forwards = size % 2};
    size_t len = 0, cap = is_tcp ? 4096 : GW_DNS_UDP_MAX;
    uint8_t *out = malloc(cap);
    char text[256];
    assert(out);
    if (gw_dns_answer(&ask, data, size, &query, out, cap, &len) == GW_DNS_ANSWERED) {
        assert(is_tcp || len <= query.udp_size);
        judge_answer(&query, out, len, cap);
        assert(strlen(gw_dns_query_text(&query, text)) < sizeof text);
    }
    free(out);
}

static void from_upstream(const uint8_t *data, size_t size, bool is_tcp)
{
    static const char asked[] =
        "\x12\x34\1\0\0\1\0\0\0\0\0\1\7eXample\3p2p\0\0\1\0\1\0\0\x29\4\xd0\0\0\0\0\0\0";
    size_t len;
    struct gw_dns_foreign kept = {0};
    struct gw_dns_query query;
    uint8_t *out = malloc(GW_DNS_TCP_MAX);
    assert(out && gw_dns_query_decode(&query, (const uint8_t *)asked, sizeof asked - 1) == GW_DNS_NOERROR);
    if (gw_dns_foreign_read(&kept, data, size, (const uint8_t *)asked, sizeof asked - 1, is_tcp) ==
        GW_DNS_FOREIGN_GOOD) {
        len = gw_dns_foreign_write(out, is_tcp ? GW_DNS_TCP_MAX : GW_DNS_UDP_MIN,
                                   (struct gw_view){kept.message, kept.len}, 17, &query);
        judge_answer(&query, out, len, is_tcp ? GW_DNS_TCP_MAX : GW_DNS_UDP_MIN);
        free(kept.message);
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gw_dns_table *table;
    if (!table)
        table = make_table();
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0)
        from_asker(table, data + 1, size - 1, data[0] & 2);
    else
        from_upstream(data + 1, size - 1, data[0] & 2);
    return 0;
}

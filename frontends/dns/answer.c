/* SPDX-License-Identifier: MIT */
#include "frontends/dns/answer.h"

#include "frontends/dns/reverse.h"

#include <stdio.h>
#include <string.h>

/* The question, what is said to it so far, and where its zone begins. */
struct work {
    const struct gw_dns_ask *ask;
    const struct gw_dns_query *query;
    struct gw_dns_reply *reply;
    unsigned apex; /* label of the question that the zone's name begins with */
};

static const char name_server[] = "ns.p2p", host_master[] = "hostmaster.p2p";

/* ---- records */

static void add_address(struct work *work, enum gw_dns_section section, unsigned owner,
                        const struct gw_addr *ip, uint32_t ttl)
{
    if (!gw_addr_is_set(ip))
        return;
    uint8_t *length_at =
        gw_dns_record_begin(work->reply, section, owner, ip->family == 4 ? GW_DNS_A : GW_DNS_AAAA, ttl);
    gw_write_bytes(&work->reply->w, ip->ip, ip->family == 4 ? 4 : 16);
    gw_dns_record_end(work->reply, length_at);
}

static uint32_t ipv4_ttl(const struct gw_dns_host *host)
{
    return host->is_ipv4_derived ? GW_DNS_TTL_DERIVED : GW_DNS_TTL;
}

static void add_soa(struct work *work, enum gw_dns_section section)
{
    struct gw_dns_reply *reply = work->reply;
    uint32_t ttl = section == GW_DNS_AUTHORITY ? GW_DNS_TTL_NEGATIVE : GW_DNS_TTL_DERIVED;
    uint8_t *length_at = gw_dns_record_begin(reply, section, work->apex, GW_DNS_SOA, ttl);
    gw_dns_write_name(reply, name_server);
    gw_dns_write_name(reply, host_master);
    gw_write_u32_be(&reply->w, work->ask->zone->serial);
    gw_write_u32_be(&reply->w, 3600); /* refresh, retry, expire: for secondaries, which there are none of */
    gw_write_u32_be(&reply->w, 600);
    gw_write_u32_be(&reply->w, 86400);
    gw_write_u32_be(&reply->w, GW_DNS_TTL_NEGATIVE);
    gw_dns_record_end(reply, length_at);
}

static void add_ns(struct work *work)
{
    uint8_t *length_at =
        gw_dns_record_begin(work->reply, GW_DNS_ANSWER, work->apex, GW_DNS_NS, GW_DNS_TTL_DERIVED);
    gw_dns_write_name(work->reply, name_server);
    gw_dns_record_end(work->reply, length_at);
}

static void write_string(struct gw_writer *w, const char *text)
{
    gw_write_u8(w, (uint8_t)strlen(text));
    gw_write_bytes(w, text, strlen(text));
}

/* ANY gets one record that says so (RFC 8482). */
static void add_hinfo(struct work *work)
{
    uint8_t *length_at =
        gw_dns_record_begin(work->reply, GW_DNS_ANSWER, GW_DNS_OWNER_QNAME, GW_DNS_HINFO, GW_DNS_TTL_DERIVED);
    write_string(&work->reply->w, "RFC8482");
    write_string(&work->reply->w, "");
    gw_dns_record_end(work->reply, length_at);
}

static void write_p2p_name(struct gw_dns_reply *reply, const struct gw_dns_host *host)
{
    char text[GW_DNS_HOST_NAME_MAX + 5];
    snprintf(text, sizeof text, "%s.p2p", host->name);
    gw_dns_write_name(reply, text);
}

static void write_service_string(struct gw_dns_reply *reply, const struct gw_dns_service *service)
{
    char text[GW_SERVICE_NAME_MAX + 16];
    snprintf(text, sizeof text, "%s=%u/%s", service->name, service->port, service->is_udp ? "udp" : "tcp");
    write_string(&reply->w, text);
}

static void add_host_txt(struct work *work, const struct gw_dns_host *host)
{
    char text[sizeof host->peer_id + 8];
    if (!host->peer_id[0] && host->service_count == 0)
        return;
    uint8_t *length_at =
        gw_dns_record_begin(work->reply, GW_DNS_ANSWER, GW_DNS_OWNER_QNAME, GW_DNS_TXT, GW_DNS_TTL);
    if (host->peer_id[0]) {
        snprintf(text, sizeof text, "peer=%s", host->peer_id);
        write_string(&work->reply->w, text);
    }
    for (size_t i = 0; i < host->service_count; i++)
        write_service_string(work->reply, &host->services[i]);
    gw_dns_record_end(work->reply, length_at);
}

/* RFC 2782: the target is not compressed. */
static void add_srv(struct work *work, const struct gw_dns_host *host, const struct gw_dns_service *service,
                    unsigned host_label)
{
    struct gw_dns_reply *reply = work->reply;
    if (service->port == 0)
        return;
    uint8_t *length_at =
        gw_dns_record_begin(reply, GW_DNS_ANSWER, GW_DNS_OWNER_QNAME, GW_DNS_SRV, GW_DNS_TTL);
    gw_write_u16_be(&reply->w, 0);
    gw_write_u16_be(&reply->w, 0);
    gw_write_u16_be(&reply->w, service->port);
    write_p2p_name(reply, host);
    gw_dns_record_end(reply, length_at);
    add_address(work, GW_DNS_ADDITIONAL, host_label, &host->ipv4, ipv4_ttl(host));
    add_address(work, GW_DNS_ADDITIONAL, host_label, &host->ipv6, GW_DNS_TTL_DERIVED);
}

static void add_service_txt(struct work *work, const struct gw_dns_service *service)
{
    uint8_t *length_at =
        gw_dns_record_begin(work->reply, GW_DNS_ANSWER, GW_DNS_OWNER_QNAME, GW_DNS_TXT, GW_DNS_TTL);
    write_service_string(work->reply, service);
    gw_dns_record_end(work->reply, length_at);
}

/* ---- ends */

static void end_nxdomain(struct work *work)
{
    work->reply->rcode = GW_DNS_NXDOMAIN;
    add_soa(work, GW_DNS_AUTHORITY);
}

/* The name exists: what was found, or NODATA. */
static void end_found(struct work *work)
{
    if (work->query->type == GW_DNS_ANY && work->reply->counts[GW_DNS_ANSWER] == 0)
        add_hinfo(work);
    if (work->reply->counts[GW_DNS_ANSWER] == 0)
        add_soa(work, GW_DNS_AUTHORITY);
}

static void answer_apex(struct work *work)
{
    if (work->query->type == GW_DNS_SOA)
        add_soa(work, GW_DNS_ANSWER);
    if (work->query->type == GW_DNS_NS)
        add_ns(work);
    end_found(work);
}

/* ---- p2p */

static void add_addresses(struct work *work, const struct gw_dns_host *host)
{
    if (work->query->type == GW_DNS_A)
        add_address(work, GW_DNS_ANSWER, GW_DNS_OWNER_QNAME, &host->ipv4, ipv4_ttl(host));
    if (work->query->type == GW_DNS_AAAA)
        add_address(work, GW_DNS_ANSWER, GW_DNS_OWNER_QNAME, &host->ipv6, GW_DNS_TTL_DERIVED);
}

static void answer_host(struct work *work, const struct gw_dns_host *host)
{
    add_addresses(work, host);
    if (work->query->type == GW_DNS_TXT)
        add_host_txt(work, host);
    end_found(work);
}

static const struct gw_dns_service *find_service(const struct gw_dns_host *host, struct gw_view name,
                                                 int is_udp)
{
    for (size_t i = 0; i < host->service_count; i++) {
        const struct gw_dns_service *service = &host->services[i];
        if (is_udp >= 0 && service->is_udp != (is_udp == 1))
            continue;
        if (strlen(service->name) == name.len && memcmp(service->name, name.data, name.len) == 0)
            return service;
    }
    return NULL;
}

static void answer_service(struct work *work, const struct gw_dns_host *host,
                           const struct gw_dns_service *service, unsigned host_label)
{
    if (service && work->query->type == GW_DNS_SRV)
        add_srv(work, host, service, host_label);
    if (service && work->query->type == GW_DNS_TXT)
        add_service_txt(work, service);
    end_found(work);
}

/* _web._tcp.home.demo.p2p, as RFC 2782 writes it. These are not under the wildcard. */
static void answer_underscore(struct work *work, const struct gw_dns_host *host, unsigned host_label)
{
    const struct gw_dns_query *query = work->query;
    bool is_udp = gw_dns_query_label_is(query, host_label - 1, "_udp");
    if (!is_udp && !gw_dns_query_label_is(query, host_label - 1, "_tcp")) {
        end_nxdomain(work);
        return;
    }
    if (host_label == 1) {
        end_found(work);
        return;
    }
    struct gw_view name = gw_dns_query_label(query, 0);
    const struct gw_dns_service *service =
        host_label == 2 && name.data[0] == '_'
            ? find_service(host, (struct gw_view){name.data + 1, name.len - 1}, is_udp)
            : NULL;
    if (service)
        answer_service(work, host, service, host_label);
    else
        end_nxdomain(work);
}

/* Anything below a host: *.home.demo.p2p is home, and the label next to it may be one of its services. */
static void answer_below(struct work *work, const struct gw_dns_host *host, unsigned host_label)
{
    const struct gw_dns_query *query = work->query;
    if (gw_dns_query_label(query, host_label - 1).data[0] == '_') {
        answer_underscore(work, host, host_label);
        return;
    }
    add_addresses(work, host);
    answer_service(work, host, host_label == 1 ? find_service(host, gw_dns_query_label(query, 0), -1) : NULL,
                   host_label);
}

static void answer_name_server(struct work *work)
{
    const struct gw_addr *servers = work->ask->zone->servers;
    for (unsigned i = 0; i < 2; i++) {
        if (servers[i].family == (work->query->type == GW_DNS_A ? 4 : 6) &&
            (work->query->type == GW_DNS_A || work->query->type == GW_DNS_AAAA))
            add_address(work, GW_DNS_ANSWER, GW_DNS_OWNER_QNAME, &servers[i], GW_DNS_TTL_DERIVED);
    }
    end_found(work);
}

/* One label and p2p: the name server, a network, or a host whose network goes without saying. */
static void answer_top(struct work *work)
{
    const struct gw_dns_zone *zone = work->ask->zone;
    struct gw_view label = gw_dns_query_label(work->query, 0);
    const struct gw_dns_host *host;
    if (gw_dns_query_label_is(work->query, 0, "ns"))
        answer_name_server(work);
    else if (zone->has_network(zone, label))
        end_found(work);
    else if ((host = zone->lookup(zone, label, (struct gw_view){label.data, 0})))
        answer_host(work, host);
    else
        end_nxdomain(work);
}

static void answer_deep(struct work *work)
{
    const struct gw_dns_zone *zone = work->ask->zone;
    unsigned host_label = work->apex - 2;
    struct gw_view host_name = gw_dns_query_label(work->query, host_label),
                   network = gw_dns_query_label(work->query, host_label + 1);
    const struct gw_dns_host *host = zone->lookup(zone, host_name, network);
    if (!host)
        end_nxdomain(work);
    else if (host_label == 0)
        answer_host(work, host);
    else
        answer_below(work, host, host_label);
}

static void answer_p2p(struct work *work)
{
    work->apex = work->query->label_count - 1;
    if (work->apex == 0)
        answer_apex(work);
    else if (!work->query->is_plain)
        end_nxdomain(work);
    else if (work->apex == 1)
        answer_top(work);
    else
        answer_deep(work);
}

/* ---- reverse names */

static void answer_reverse(struct work *work, const struct gw_dns_reverse *name)
{
    const struct gw_dns_zone *zone = work->ask->zone;
    const struct gw_dns_host *host = name->is_whole ? zone->reverse(zone, &name->ip) : NULL;
    work->apex = name->apex;
    if (name->apex == 0) {
        answer_apex(work);
        return;
    }
    if (name->is_bad || (name->is_whole && !host)) {
        end_nxdomain(work);
        return;
    }
    if (host && work->query->type == GW_DNS_PTR) {
        uint8_t *length_at = gw_dns_record_begin(work->reply, GW_DNS_ANSWER, GW_DNS_OWNER_QNAME, GW_DNS_PTR,
                                                 name->ip.family == 6 ? GW_DNS_TTL_DERIVED : ipv4_ttl(host));
        write_p2p_name(work->reply, host);
        gw_dns_record_end(work->reply, length_at);
    }
    end_found(work);
}

/* ---- all of it */

/* Names that the world's servers must not be bothered with (RFC 6761, 6762, 7686), and that have no meaning here. */
static bool is_special(const struct gw_dns_query *query)
{
    static const char *const names[] = {"local", "localhost", "invalid", "test", "onion"};
    for (size_t i = 0; query->label_count > 0 && i < sizeof names / sizeof names[0]; i++) {
        if (gw_dns_query_label_is(query, query->label_count - 1, names[i]))
            return true;
    }
    return false;
}

static bool is_answerable(const struct gw_dns_query *query)
{
    bool is_meta = query->type == GW_DNS_OPT || (query->type >= 128 && query->type <= 254);
    return query->class_ == GW_DNS_CLASS_IN && !is_meta && query->type != 0;
}

static bool is_p2p(const struct gw_dns_query *query)
{
    return query->label_count > 0 && gw_dns_query_label_is(query, query->label_count - 1, "p2p");
}

/* false: somebody else may know. */
static bool answer_question(struct work *work)
{
    struct gw_dns_reverse reverse;
    bool is_ours = is_p2p(work->query);
    bool is_reverse = !is_ours && gw_dns_reverse_parse(&reverse, work->query, work->ask->zone);
    if (!is_answerable(work->query) || (!is_ours && !is_reverse && !work->ask->forwards)) {
        work->reply->rcode = GW_DNS_REFUSED;
        return true;
    }
    if (!is_ours && !is_reverse) {
        work->reply->rcode = is_special(work->query)          ? GW_DNS_NXDOMAIN
                             : work->query->flags & GW_DNS_RD ? GW_DNS_NOERROR
                                                              : GW_DNS_REFUSED;
        return work->reply->rcode != GW_DNS_NOERROR;
    }
    work->reply->flags |= GW_DNS_AA;
    if (is_ours)
        answer_p2p(work);
    else
        answer_reverse(work, &reverse);
    return true;
}

static size_t room_for(const struct gw_dns_ask *ask, const struct gw_dns_query *query, size_t cap)
{
    size_t room = query->udp_size < GW_DNS_UDP_MAX ? query->udp_size : GW_DNS_UDP_MAX;
    return ask->is_tcp || cap < room ? cap : room;
}

enum gw_dns_verdict gw_dns_answer(const struct gw_dns_ask *ask, const uint8_t *message, size_t len,
                                  struct gw_dns_query *query, uint8_t *out, size_t cap, size_t *out_len)
{
    struct gw_dns_reply reply;
    struct work work = {.ask = ask, .query = query, .reply = &reply};
    int rcode = gw_dns_query_decode(query, message, len);
    if (rcode == GW_DNS_DROP)
        return GW_DNS_IGNORED;
    gw_dns_reply_begin(&reply, query, out, room_for(ask, query, cap));
    reply.rcode = (unsigned)rcode;
    reply.flags = ask->forwards ? GW_DNS_RA : 0;
    if (rcode == GW_DNS_NOERROR && !answer_question(&work))
        return GW_DNS_FORWARDED;
    *out_len = gw_dns_reply_finish(&reply);
    return *out_len > 0 ? GW_DNS_ANSWERED : GW_DNS_IGNORED;
}

size_t gw_dns_answer_code(const struct gw_dns_query *query, enum gw_dns_rcode rcode, uint16_t flags,
                          uint8_t *out, size_t cap)
{
    struct gw_dns_reply reply;
    gw_dns_reply_begin(&reply, query, out, cap);
    reply.rcode = rcode;
    reply.flags = flags;
    return gw_dns_reply_finish(&reply);
}

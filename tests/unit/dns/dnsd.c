/* SPDX-License-Identifier: MIT */
/* The DNS server with a zone from its arguments:
 *   dnsd listen=127.0.0.1:5300 host=home.demo,127.64.0.7,fd83::7,web:80:tcp,game:27015:udp range=127.64.0.0/16 allow=10.0.0.0/8 upstream=127.0.0.1:53
 *        rate=1000 hosts=1000
 * "hosts" adds h0.bench ... It prints "ready", and at SIGTERM the counters as a line of JSON. */
#include "frontends/dns/listener.h"
#include "gateway/base/err.h"
#include "gateway/base/random.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dnsd {
    struct gw_loop *loop;
    struct gw_dns_table *table;
    struct gw_dns_server_params server;
    struct gw_dns_forward_params forward;
    struct gw_addr listen[GW_DNS_LISTEN_MAX];
    struct gw_prefix allowed[32];
};

static void die(const char *what, const char *which)
{
    fprintf(stderr, "dnsd: %s: %s\n", what, which);
    exit(2);
}

static void must(int err, const char *which)
{
    if (err)
        die(gw_strerror(err), which);
}

static struct gw_prefix parse_prefix(char *text)
{
    struct gw_prefix prefix;
    char *slash = strchr(text, '/');
    if (!slash)
        die("no prefix", text);
    *slash = '\0';
    prefix.bits = (uint8_t)atoi(slash + 1);
    must(gw_addr_parse_ip(&prefix.ip, text, 0), text);
    return prefix;
}

static void add_host(struct dnsd *dnsd, char *text)
{
    struct gw_dns_service services[16];
    struct gw_dns_host host = {.services = services, .is_ipv4_derived = true, .peer_id = "12D3KooWtest"};
    char *word = strtok(text, ",");
    snprintf(host.name, sizeof host.name, "%s", word);
    while ((word = strtok(NULL, ","))) {
        char name[64], proto[8];
        unsigned port;
        struct gw_addr ip;
        if (gw_addr_parse_ip(&ip, word, 0) == 0) {
            *(ip.family == 4 ? &host.ipv4 : &host.ipv6) = ip;
        } else if (sscanf(word, "%63[^:]:%u:%7s", name, &port, proto) == 3 && host.service_count < 16) {
            struct gw_dns_service *service = &services[host.service_count++];
            *service = (struct gw_dns_service){.port = (uint16_t)port, .is_udp = strcmp(proto, "udp") == 0};
            snprintf(service->name, sizeof service->name, "%s", name);
        }
    }
    must(gw_dns_table_put(dnsd->table, &host, true), host.name);
}

static void add_hosts(struct dnsd *dnsd, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct gw_dns_host host = {
            .ipv4 = {.family = 4, .ip = {127, 64, (uint8_t)(i >> 8), (uint8_t)i}},
            .ipv6 = {.family = 6, .ip = {0xfd, [14] = (uint8_t)(i >> 8), [15] = (uint8_t)i}}};
        snprintf(host.name, sizeof host.name, "h%u.bench", i);
        must(gw_dns_table_put(dnsd->table, &host, true), host.name);
    }
}

static void take_word(struct dnsd *dnsd, const char *key, char *value)
{
    struct gw_dns_zone *zone = gw_dns_table_zone(dnsd->table);
    if (strcmp(key, "listen") == 0)
        must(gw_addr_parse(&dnsd->listen[dnsd->server.listen_count++], value), value);
    else if (strcmp(key, "host") == 0)
        add_host(dnsd, value);
    else if (strcmp(key, "hosts") == 0)
        add_hosts(dnsd, (unsigned)atoi(value));
    else if (strcmp(key, "range") == 0)
        zone->ranges[zone->range_count++] = parse_prefix(value);
    else if (strcmp(key, "allow") == 0)
        dnsd->allowed[dnsd->server.allowed_count++] = parse_prefix(value);
    else if (strcmp(key, "upstream") == 0)
        must(gw_addr_parse(&dnsd->forward.upstreams[dnsd->forward.upstream_count++], value), value);
    else if (strcmp(key, "rate") == 0)
        dnsd->server.rate = atof(value);
    else
        die("what is", key);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    gw_loop_stop(arg);
}

static void print_stats(const struct gw_dns_server *server)
{
    struct gw_dns_server_stats s;
    gw_dns_server_stats(server, &s);
    printf(
        "{\"udp_queries\": %llu, \"tcp_queries\": %llu, \"answers\": %llu, \"forwarded\": %llu, \"not_allowed\": %llu, \"limited\": %llu, "
        "\"ignored\": %llu, \"send_drops\": %llu, \"tcp_refused\": %llu, \"tcp_evicted\": %llu, \"tcp_clients\": %u}\n",
        (unsigned long long)s.udp_queries, (unsigned long long)s.tcp_queries, (unsigned long long)s.answers,
        (unsigned long long)s.forwarded, (unsigned long long)s.not_allowed, (unsigned long long)s.limited,
        (unsigned long long)s.ignored, (unsigned long long)s.send_drops, (unsigned long long)s.tcp_refused,
        (unsigned long long)s.tcp_evicted, s.tcp_clients);
}

int main(int argc, char **argv)
{
    static struct dnsd dnsd;
    struct gw_dns_server *server;
    struct gw_dns_forward *forward = NULL;
    size_t bad;
    dnsd.loop = gw_loop_new();
    dnsd.table = gw_dns_table_new();
    for (int i = 1; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (!equals)
            die("what is", argv[i]);
        *equals = '\0';
        take_word(&dnsd, argv[i], equals + 1);
    }
    dnsd.forward.loop = dnsd.server.loop = dnsd.loop;
    dnsd.forward.random = gw_random_system();
    if (dnsd.forward.upstream_count > 0)
        must(gw_dns_forward_new(&forward, &dnsd.forward), "upstream");
    dnsd.server.forward = forward;
    dnsd.server.zone = gw_dns_table_zone(dnsd.table);
    dnsd.server.listen = dnsd.listen;
    dnsd.server.allowed = dnsd.allowed;
    must(gw_dns_server_new(&server, &dnsd.server, &bad), "listen");
    struct event *term = evsignal_new(gw_loop_base(dnsd.loop), SIGTERM, on_signal, dnsd.loop);
    event_add(term, NULL);
    puts("ready");
    fflush(stdout);
    must(gw_loop_run(dnsd.loop), "loop");
    print_stats(server);
    event_free(term);
    gw_dns_server_free(server);
    gw_dns_forward_free(forward);
    gw_dns_table_free(dnsd.table);
    gw_loop_free(dnsd.loop);
    return 0;
}

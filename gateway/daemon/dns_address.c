/* SPDX-License-Identifier: MIT */
/* UDP is answered here from the same zone and upstreams as on the server's sockets; TCP is joined with one of those. */
#include "gateway/daemon/dns_address_private.h"

#include "frontends/tun/plan.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/daemon/addresses.h"
#include "gateway/link/route_source.h"
#include "gateway/peer/address.h"
#include "netstack/bridge/packet_services.h"

#include <stdlib.h>
#include <string.h>

#define DNS_PORT 53u
#define OFFSET 53u   /* resolver/vip_range.c keeps it free */
#define BITS_MAX 26u /* of a range that has it, and is larger than that by one */
#define UDP_IDLE GW_S(5)

bool gw_dns_address_is_own(const struct gw_dns_address *dns, const struct gw_addr *address)
{
    for (size_t i = 0; i < dns->own_count; i++) {
        if (gw_addr_same_ip(&dns->own[i], address))
            return true;
    }
    return false;
}

static void on_output(struct gw_netstack_link *link, const struct gw_netstack_packet *packets, unsigned count,
                      struct gw_mono now, void *ctx)
{
    struct gw_dns_address *dns = ctx;
    (void)link, (void)now;
    for (unsigned i = 0; i < count; i++)
        gw_device_write(dns->params.device, packets[i].data, packets[i].len, packets[i].is_checksum_left);
    gw_device_input_end(dns->params.device);
}

static void on_server_gone(void *ctx)
{
    gw_dns_address_drop_waiting(ctx, NULL);
}

static void on_connection(struct gw_netstack_link *link, struct gw_connection *offer, struct gw_mono now,
                          void *ctx)
{
    struct gw_dns_address *dns = ctx;
    struct gw_connection_info info;
    gw_connection_info(offer, &info);
    if (!info.is_udp) {
        gw_packet_services_on_connection(link, offer, now, dns->tcp);
    } else if (info.local.port != DNS_PORT || !dns->params.dns->server) {
        gw_connection_refuse(offer, now, false);
    } else {
        gw_connection_set_idle(offer, now, UDP_IDLE);
        gw_connection_accept(offer, now, &gw_dns_address_udp, dns);
    }
}

/* ---- TCP */

/* Where the server takes it as this machine's own: on loopback, if it is there. */
static bool find_listener(const struct gw_dns_setup *setup, struct gw_target *out)
{
    static const struct gw_addr loopback4 = {.family = 4, .ip = {127, 0, 0, 1}},
                                loopback6 = {.family = 6, .ip = {[15] = 1}};
    out->kind = GW_TARGET_NONE;
    for (size_t i = 0; i < setup->started.listen_count; i++) {
        struct gw_addr at = *gw_dns_server_listen(setup->server, i);
        uint16_t port = at.port;
        if (gw_addr_is_unspecified(&at))
            at = at.family == 6 ? loopback6 : loopback4;
        if (out->kind != GW_TARGET_NONE && !gw_addr_is_loopback(&at))
            continue;
        at.port = port;
        *out = (struct gw_target){.kind = GW_TARGET_ADDR, .port = port, .addr = at};
        if (gw_addr_is_loopback(&at))
            return true;
    }
    return out->kind != GW_TARGET_NONE;
}

static enum gw_reason authorize(void *ctx, void *peer, const struct gw_addr *local,
                                const struct gw_open *open, struct gw_packet_grant *out)
{
    const struct gw_dns_address *dns = ctx;
    const struct gw_dns_setup *setup = dns->params.dns;
    (void)peer, (void)local;
    memset(out, 0, sizeof *out);
    if (open->port != DNS_PORT || !setup->server || !find_listener(setup, &out->target))
        return GW_REASON_NOT_LISTED;
    out->serial = out->target.port;
    memcpy(out->name, "dns", sizeof "dns");
    return GW_REASON_NONE;
}

/* ---- packets */

static bool may_ask(const struct gw_dns_address *dns, const struct gw_addr *from)
{
    if (gw_dns_address_is_own(dns, from))
        return true;
    for (size_t i = 0; i < dns->config->dns.allowed.count; i++) {
        if (gw_prefix_has(&dns->config->dns.allowed.items[i], from))
            return true;
    }
    return false;
}

/* A peer that everything goes to (an exit node) does not get these; one that is given the very address does. */
bool gw_dns_address_input(struct gw_dns_address *dns, const struct gw_peer *peer, uint8_t *packet,
                          const struct gw_ip *ip, const struct gw_super_hint *hint, struct gw_mono now)
{
    struct gw_addr from, to;
    gw_ip_destination(&to, packet, ip);
    if (!gw_netstack_link_has_address(dns->link, &to))
        return false; /* all but every packet */
    gw_ip_source(&from, packet, ip);
    if (!may_ask(dns, &from) || (hint->segment_len > 0 && ip->protocol != GW_IP_TCP) ||
        (peer && gw_peer_config_owns(gw_peer_config(peer), &to)))
        return false;
    gw_netstack_link_input(dns->link, now, packet, ip->total_len, hint->is_checksum_left, NULL, 0);
    gw_netstack_flush(dns->params.stack, now);
    return true;
}

/* ---- life */

static void add(struct gw_dns_address *dns, const struct gw_addr *address)
{
    if (gw_netstack_link_has_address(dns->link, address))
        return;
    if (gw_netstack_link_add_address(dns->link, address) != 0) {
        gw_log_warn("DNS: too many networks: not in the range of every one of them");
        return;
    }
    dns->at[dns->at_count] = *address;
    dns->at[dns->at_count++].port = DNS_PORT;
}

static void add_network(struct gw_dns_address *dns, const struct gw_network *network)
{
    const struct gw_prefix *range = gw_addresses_range(network->files->config);
    struct gw_addr address = range->ip;
    struct gw_prefix own[GW_ADDRESSES_OWN_MAX];
    size_t count = gw_addresses_own(network->files->config, gw_gateway_public_key(network->gateway), own);
    for (size_t i = 0; i < count && dns->own_count < OWN_MAX; i++)
        dns->own[dns->own_count++] = own[i].ip;
    address.port = 0;
    gw_store32_be(address.ip, (gw_load32_be(address.ip) & ~(UINT32_MAX >> range->bits)) | OFFSET);
    if (range->bits <= BITS_MAX)
        add(dns, &address);
}

void gw_dns_address_apply(struct gw_dns_address *dns, const struct gw_config *config, struct gw_mono now)
{
    struct gw_addr twin = gw_addresses_ula().ip;
    dns->config = config;
    dns->at_count = dns->own_count = 0;
    gw_netstack_link_clear_addresses(dns->link);
    twin.ip[15] = 0x53; /* reads as IPv4's does */
    if (config->dns.enabled) {
        add(dns, &twin);
        gw_list_for_each (node, dns->params.networks)
            add_network(dns, gw_list_entry(node, struct gw_network, node));
    }
    gw_packet_services_recheck(dns->tcp, now);
}

int gw_dns_address_new(struct gw_dns_address **out, const struct gw_dns_address_params *params,
                       const struct gw_config *config, struct gw_mono now)
{
    struct gw_dns_address *dns = calloc(1, sizeof *dns);
    *out = NULL;
    if (!dns)
        return GW_E_NOMEM;
    const struct gw_packet_services_params tcp = {
        .loop = params->loop, .dialer = params->dialer, .authorize = authorize, .authorize_ctx = dns};
    const struct gw_netstack_link_params link = {.output = on_output,
                                                 .on_connection = on_connection,
                                                 .ctx = dns,
                                                 .mtu = (uint16_t)config->tun.mtu,
                                                 .leaves_checksums = true};
    dns->params = *params;
    dns->config = config;
    gw_list_init(&dns->waiting);
    int err = gw_packet_services_new(&dns->tcp, &tcp);
    if (err == 0)
        err = gw_netstack_link_new(&dns->link, params->stack, &link, now);
    if (err != 0) {
        gw_dns_address_free(dns, now);
        return err;
    }
    gw_dns_setup_watch(params->dns, on_server_gone, dns);
    *out = dns;
    return 0;
}

void gw_dns_address_free(struct gw_dns_address *dns, struct gw_mono now)
{
    if (!dns)
        return;
    gw_dns_setup_watch(dns->params.dns, NULL, NULL);
    gw_dns_address_drop_waiting(dns, NULL);
    gw_packet_services_free(dns->tcp, now);
    if (dns->link)
        gw_netstack_link_free(dns->link, now);
    free(dns);
}

void gw_dns_address_stats(const struct gw_dns_address *dns, struct gw_dns_address_stats *out)
{
    *out = dns->stats;
}

size_t gw_dns_address_list(const struct gw_dns_address *dns, struct gw_addr *out, size_t max)
{
    size_t count = dns->at_count < max ? dns->at_count : max;
    memcpy(out, dns->at, count * sizeof *out);
    return count;
}

/* Through the TUN, as one of our own addresses there. */
static bool is_reachable(const struct gw_dns_address *dns, const struct gw_addr *at)
{
    struct gw_addr source;
    return gw_route_source(at, &source) && gw_dns_address_is_own(dns, &source);
}

size_t gw_dns_address_reachable(const struct gw_dns_address *dns, struct gw_addr *out, size_t max)
{
    size_t count = 0;
    for (uint8_t family = 4; family <= 6; family += 2) {
        for (size_t i = 0; i < dns->at_count && count < max; i++) {
            if (dns->at[i].family == family && is_reachable(dns, &dns->at[i]))
                out[count++] = dns->at[i];
        }
    }
    return count;
}

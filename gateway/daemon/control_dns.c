/* SPDX-License-Identifier: MIT */
/* The command `dns`, and what `status` tells of the DNS server and the virtual router. */
#include "gateway/daemon/daemon.h"

#include <stdio.h>

static json_t *format(const struct gw_addr *address)
{
    char text[GW_ADDR_STRLEN];
    return json_string(gw_addr_format(address, text));
}

static json_t *listen_list(const struct gw_dns_setup *setup)
{
    json_t *list = json_array();
    for (size_t i = 0; setup->server && i < setup->started.listen_count; i++)
        json_array_append_new(list, format(gw_dns_server_listen(setup->server, i)));
    return list;
}

static bool is_among(const struct gw_addr *list, size_t count, const struct gw_addr *which)
{
    for (size_t i = 0; i < count; i++) {
        if (gw_addr_equal(&list[i], which))
            return true;
    }
    return false;
}

/* Where it is in the TUN, and whether this machine's programs get there. */
static json_t *tun_list(const struct gw_dns_address *dns)
{
    struct gw_addr at[GW_NETSTACK_ADDRESSES_MAX], reachable[GW_NETSTACK_ADDRESSES_MAX];
    size_t count = dns ? gw_dns_address_list(dns, at, GW_NETSTACK_ADDRESSES_MAX) : 0;
    size_t reachable_count = dns ? gw_dns_address_reachable(dns, reachable, GW_NETSTACK_ADDRESSES_MAX) : 0;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:o,s:b}", "address", format(&at[i]), "routed",
                                              is_among(reachable, reachable_count, &at[i])));
    return list;
}

static json_t *upstream_list(const struct gw_dns_setup *setup)
{
    json_t *list = json_array();
    unsigned count = 0;
    const struct gw_addr *upstreams =
        setup->forward ? gw_dns_forward_upstreams(setup->forward, &count) : NULL;
    for (unsigned i = 0; i < count; i++)
        json_array_append_new(list, format(&upstreams[i]));
    return list;
}

/* {"state": "applied", "mechanism": "resolved", "text": "..."} */
static json_t *system_json(const struct gw_dns_setup *setup)
{
    struct gw_sysdns_status status = {.text = ""};
    if (setup->system)
        gw_sysdns_status(setup->system, &status);
    return json_pack("{s:s,s:s,s:s}", "state", gw_sysdns_state_names[status.state], "mechanism",
                     gw_sysdns_kind_names[status.kind], "text", status.text);
}

/* In the first network. */
static const char *own_name(const struct gw_daemon *daemon, char out[GW_SYSDNS_NAME_MAX])
{
    const struct gw_config_network *first = gw_config_next_network(daemon->files.config, NULL);
    out[0] = '\0';
    if (first && first->hostname && first->name)
        snprintf(out, GW_SYSDNS_NAME_MAX, "%s.%s.p2p", first->hostname, first->name);
    return out;
}

void gw_control_dns(struct gw_control_client *client, const json_t *request, struct gw_mono now, void *ctx)
{
    const struct gw_daemon *daemon = ctx;
    const struct gw_dns_setup *setup = &daemon->dns;
    char name[GW_SYSDNS_NAME_MAX];
    (void)request, (void)now;
    gw_control_reply(client,
                     json_pack("{s:b,s:b,s:s,s:o,s:o,s:o,s:o}", "enabled", setup->server != NULL, "socks",
                               daemon->socks5 != NULL, "name", own_name(daemon, name), "listen",
                               listen_list(setup), "tun", tun_list(daemon->netstack.dns_address), "upstreams",
                               upstream_list(setup), "system", system_json(setup)));
}

json_t *gw_daemon_dns_json(const struct gw_daemon *daemon)
{
    const struct gw_dns_setup *setup = &daemon->dns;
    struct gw_dns_server_stats stats = {0};
    struct gw_dns_address_stats tun = {0};
    if (!setup->server)
        return json_null();
    gw_dns_server_stats(setup->server, &stats);
    if (daemon->netstack.dns_address)
        gw_dns_address_stats(daemon->netstack.dns_address, &tun);
    json_t *object = json_object();
    json_object_set_new(object, "listen", listen_list(setup));
    json_object_set_new(object, "upstreams", upstream_list(setup));
    json_object_set_new(object, "system", system_json(setup));
    json_object_set_new(object, "names", json_integer((json_int_t)gw_dns_table_count(setup->table)));
    json_object_set_new(object, "udp_queries", json_integer((json_int_t)(stats.udp_queries + tun.queries)));
    json_object_set_new(object, "tcp_queries", json_integer((json_int_t)stats.tcp_queries));
    json_object_set_new(object, "answers", json_integer((json_int_t)(stats.answers + tun.answers)));
    json_object_set_new(object, "forwarded", json_integer((json_int_t)(stats.forwarded + tun.forwarded)));
    json_object_set_new(object, "not_allowed", json_integer((json_int_t)stats.not_allowed));
    json_object_set_new(object, "limited", json_integer((json_int_t)stats.limited));
    json_object_set_new(object, "ignored", json_integer((json_int_t)stats.ignored));
    return object;
}

static void add_service(const struct gw_vrouter_status *status, void *ctx)
{
    json_t *object = json_object();
    json_object_set_new(object, "peer", json_string(status->peer));
    json_object_set_new(object, "name", json_string(status->service->name));
    json_object_set_new(object, "protocol", json_string(status->service->is_udp ? "udp" : "tcp"));
    json_object_set_new(object, "address", format(&status->address));
    json_object_set_new(object, "listening", json_boolean(status->err == 0));
    json_object_set_new(object, "advice",
                        status->err ? json_string(gw_vrouter_advice(status->err)) : json_null());
    json_object_set_new(object, "clients_open", json_integer(status->clients));
    json_object_set_new(object, "clients_total", json_integer((json_int_t)status->accepted));
    json_array_append_new(ctx, object);
}

json_t *gw_daemon_virtual_router_json(const struct gw_daemon *daemon)
{
    struct gw_vrouter_stats stats = {0};
    if (!daemon->dns.router.router)
        return json_null();
    json_t *services = json_array();
    gw_vrouter_for_each(daemon->dns.router.router, add_service, services);
    gw_vrouter_stats(daemon->dns.router.router, &stats);
    return json_pack("{s:o,s:i,s:i,s:I,s:I}", "services", services, "connections", (int)stats.connections,
                     "udp_clients", (int)stats.udp_clients, "accepted", (json_int_t)stats.accepted, "refused",
                     (json_int_t)stats.refused);
}

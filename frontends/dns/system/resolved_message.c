/* SPDX-License-Identifier: MIT */
#include "frontends/dns/system/resolved_message.h"

#include <sys/socket.h>

#define PATH "/org/freedesktop/resolve1"
#define INTERFACE "org.freedesktop.resolve1.Manager"

sd_bus_message *gw_resolved_message(struct gw_bus *bus, const char *member, unsigned index)
{
    sd_bus_message *call = gw_bus_message(bus, GW_RESOLVED_NAME, PATH, INTERFACE, member);
    if (call && index > 0)
        bus->sd->message_append(call, "i", (int)index);
    return call;
}

static bool has_other_ports(const struct gw_sysdns_wish *wish)
{
    for (unsigned i = 0; i < wish->server_count; i++) {
        if (wish->servers[i].port != 53)
            return true;
    }
    return false;
}

sd_bus_message *gw_resolved_servers(struct gw_bus *bus, unsigned index, const struct gw_sysdns_wish *wish)
{
    const struct gw_sd_bus *sd = bus->sd;
    bool with_ports = has_other_ports(wish);
    sd_bus_message *call = gw_resolved_message(bus, with_ports ? "SetLinkDNSEx" : "SetLinkDNS", index);
    if (!call)
        return NULL;
    sd->message_open_container(call, 'a', with_ports ? "(iayqs)" : "(iay)");
    for (unsigned i = 0; i < wish->server_count; i++) {
        const struct gw_addr *server = &wish->servers[i];
        sd->message_open_container(call, 'r', with_ports ? "iayqs" : "iay");
        sd->message_append(call, "i", server->family == 6 ? AF_INET6 : AF_INET);
        sd->message_append_array(call, 'y', server->ip, server->family == 6 ? 16 : 4);
        if (with_ports)
            sd->message_append(call, "qs", server->port, "");
        sd->message_close_container(call);
    }
    sd->message_close_container(call);
    return call;
}

sd_bus_message *gw_resolved_domains(struct gw_bus *bus, unsigned index, const struct gw_sysdns_wish *wish)
{
    const struct gw_sd_bus *sd = bus->sd;
    sd_bus_message *call = gw_resolved_message(bus, "SetLinkDomains", index);
    if (!call)
        return NULL;
    sd->message_open_container(call, 'a', "(sb)");
    for (unsigned i = 0; i < wish->search_count; i++)
        sd->message_append(call, "(sb)", wish->search[i], 0);
    for (unsigned i = 0; i < wish->domain_count; i++)
        sd->message_append(call, "(sb)", wish->domains[i], 1);
    if (wish->is_all_ours) /* its other links are asked for what is below longer domains of theirs alone */
        sd->message_append(call, "(sb)", ".", 1);
    sd->message_close_container(call);
    return call;
}

/* SPDX-License-Identifier: MIT */
/* Files to anchors, addresses to candidates, both to JSON. */
#include "gateway/daemon/anchor_setup.h"

#include "gateway/anchor/anchor.h"
#include "gateway/config/endpoint.h"
#include "gateway/daemon/fleet_setup.h"
#include "gateway/daemon/json.h"
#include "gateway/link/interfaces.h"

#include <string.h>

#define INTERFACES_MAX 64u

void gw_anchor_setup_params(struct gw_anchor_params *out, const struct gw_config_network *config)
{
    bool is_anchor = config->role != GW_CONFIG_ROLE_DYNAMIC;
    *out = (struct gw_anchor_params){.is_enabled = is_anchor || config->relay,
                                     .is_auto = config->role == GW_CONFIG_ROLE_AUTO && !config->relay,
                                     .relays = config->relay || (is_anchor && config->anchor.relay),
                                     .offers = config->relay,
                                     .only_listed = !is_anchor,
                                     .max_tags = (unsigned)config->anchor.max_tags,
                                     .max_channels = (unsigned)config->anchor.max_channels,
                                     .rate = (uint64_t)config->anchor.rate,
                                     .total_rate = (uint64_t)config->anchor.total_rate,
                                     .volume = (uint64_t)config->anchor.volume};
}

void gw_anchor_setup_limits(struct gw_network *network, struct gw_mono now)
{
    struct gw_anchor *anchor = gw_gateway_anchor(network->gateway);
    struct gw_anchor_params params;
    gw_anchor_setup_params(&params, network->files->config);
    if (anchor && params.is_enabled) /* another role waits for a restart, and so does what goes with it */
        gw_anchor_set_limits(anchor, &params, now);
}

/* ---- addresses */

/* An address inside of the tunnel leads nowhere from outside of it. */
static bool is_virtual_in(const struct gw_config_network *config, const struct gw_addr *addr)
{
    const struct gw_prefix ula = gw_addresses_ula();
    for (size_t i = 0; i < config->addresses.count; i++) {
        if (gw_addr_same_ip(&config->addresses.items[i].ip, addr))
            return true;
    }
    return gw_prefix_contains(&config->address_range, addr) ||
           gw_prefix_contains(gw_addresses_range(config), addr) || gw_prefix_contains(&ula, addr);
}

/* Nor do those of another network, whose tunnel it is the same way; and who is in one need not know of the other. */
static bool is_virtual(const struct gw_network *network, const struct gw_addr *addr)
{
    gw_list_for_each (node, network->params.networks) {
        if (is_virtual_in(gw_list_entry(node, struct gw_network, node)->files->config, addr))
            return true;
    }
    return false;
}

/* Bound to one address, a socket is not reached at the others. */
static bool is_listened_on(const struct gw_config_network *config, const struct gw_addr *addr)
{
    for (size_t i = 0; i < config->listen.count; i++) {
        const struct gw_addr *at = &config->listen.items[i];
        if (at->family == addr->family && (gw_addr_is_unspecified(at) || gw_addr_same_ip(at, addr)))
            return true;
    }
    return config->listen.count == 0;
}

/* The other anchors reach this one at the best address that somebody else can use. */
static void tell_fleet(struct gw_network *network, struct gw_mono now, const struct gw_candidate *list,
                       unsigned count)
{
    struct gw_anchor *anchor = gw_gateway_anchor(network->gateway);
    const struct gw_addr none = {0}, *best = &none;
    for (unsigned i = count; i-- > 0;) {
        if (gw_candidate_is_usable(&list[i].addr))
            best = &list[i].addr;
    }
    if (anchor)
        gw_anchor_fleet_set_address(anchor, best, now);
}

void gw_anchor_setup_addresses(struct gw_network *network, struct gw_mono now)
{
    const struct gw_config_network *config = network->files->config;
    struct gw_addr found[INTERFACES_MAX];
    struct gw_candidate list[INTERFACES_MAX + 6];
    struct gw_addr mapped, pinhole;
    unsigned count = 0, found_count = gw_interfaces_list(found, INTERFACES_MAX);
    for (size_t i = 0; i < config->advertise.count && i < 4; i++)
        list[count++] = (struct gw_candidate){config->advertise.items[i].addr, GW_CANDIDATE_CONFIGURED};
    if (gw_port_mapping_external(&network->outside.mapping, &mapped))
        list[count++] = (struct gw_candidate){mapped, GW_CANDIDATE_MAPPED};
    if (gw_port_mapping_external(&network->outside.pinhole, &pinhole) && is_listened_on(config, &pinhole))
        list[count++] = (struct gw_candidate){pinhole, GW_CANDIDATE_MAPPED};
    for (unsigned i = 0; i < found_count; i++) {
        if (is_virtual(network, &found[i]) || !is_listened_on(config, &found[i]))
            continue;
        found[i].port = gw_link_port(network->link);
        if (gw_addr_equal(&found[i], &pinhole))
            continue;
        list[count++] = (struct gw_candidate){found[i], GW_CANDIDATE_HOST};
    }
    gw_gateway_set_candidates(network->gateway, now, list, count);
    tell_fleet(network, now, list, count);
}

/* ---- to read */

/* "?" when there is none any more. */
static const char *relay_name(const struct gw_peer *peer, const struct gw_tuple *path)
{
    const struct gw_peer *anchor = gw_gateway_relay_of(gw_peer_gateway(peer), path);
    return anchor ? gw_peer_name(anchor) : "?";
}

/* How this node speaks with the anchor now; NULL when it does not. */
static const char *transport_to(const struct gw_peer *anchor, struct gw_mono now)
{
    struct gw_peer_status status;
    gw_peer_status(anchor, now, &status);
    return !status.has_path ? NULL : gw_tuple_is_carrier(&status.path) ? "tls" : "udp";
}

static json_t *relay_transport(const struct gw_peer *peer, const struct gw_tuple *path, struct gw_mono now)
{
    const struct gw_peer *anchor = gw_gateway_relay_of(gw_peer_gateway(peer), path);
    const char *transport = anchor ? transport_to(anchor, now) : NULL;
    return transport ? json_string(transport) : json_null();
}

void gw_anchor_setup_describe_path(json_t *object, const struct gw_peer *peer, const struct gw_tuple *path,
                                   struct gw_mono now)
{
    char at[GW_ADDR_STRLEN];
    bool is_relay = gw_tuple_is_relay(path);
    json_object_set_new(object, "kind",
                        json_string(is_relay                    ? "relay"
                                    : gw_tuple_is_carrier(path) ? "tls"
                                                                : "direct"));
    json_object_set_new(object, "endpoint",
                        json_string(is_relay ? relay_name(peer, path) : gw_addr_format(&path->remote, at)));
    if (is_relay)
        json_object_set_new(object, "transport", relay_transport(peer, path, now));
}

static const char *state_of(const struct gw_anchor_view *view)
{
    if (!view->is_connected && view->has_ended)
        return "ended";
    if (!view->is_connected)
        return view->is_connecting ? "connecting" : "unreachable";
    if (view->is_refused && !view->is_registered)
        return "refused";
    return view->is_registered ? "registered" : "registering";
}

static double seconds(int64_t ns)
{
    return (double)(ns / GW_MS(100)) / 10;
}

/* null: not known. */
static json_t *seconds_json(int64_t ns)
{
    return ns > 0 ? json_real(seconds(ns)) : json_null();
}

void gw_anchor_setup_add_anchors(json_t *list, const struct gw_network *network, struct gw_mono now)
{
    struct gw_anchor_view view;
    char at[GW_ADDR_STRLEN];
    for (unsigned i = 0; gw_gateway_anchor_view(network->gateway, i, now, &view); i++) {
        bool is_seen = view.is_connected; /* what was is no news of what is */
        json_t *object =
            json_pack("{s:s,s:s,s:b,s:s,s:i}", "name", gw_peer_name(view.peer), "network", network->name,
                      "neighbour", (int)view.is_neighbour, "state", state_of(&view), "peers", (int)view.tags);
        json_object_set_new(object, "observed",
                            is_seen && gw_addr_is_set(&view.observed)
                                ? json_string(gw_addr_format(&view.observed, at))
                                : json_null());
        json_object_set_new(object, "rtt_ms",
                            is_seen && view.rtt_ns > 0 ? gw_json_ms(view.rtt_ns) : json_null());
        json_object_set_new(object, "keepalive_s", json_real(seconds(view.keepalive_ns)));
        const char *transport = view.is_connected ? transport_to(view.peer, now) : NULL;
        json_object_set_new(object, "transport", transport ? json_string(transport) : json_null());
        json_array_append_new(list, object);
    }
}

static json_t *yes_or_no(enum gw_nat_answer answer)
{
    return answer == GW_NAT_UNTESTED ? json_null() : json_boolean(answer == GW_NAT_YES);
}

json_t *gw_anchor_setup_nat_json(const struct gw_network *network, struct gw_mono now)
{
    struct gw_nat_behaviour nat;
    char at[GW_ADDR_STRLEN];
    gw_gateway_nat_view(network->gateway, &nat);
    json_t *object =
        json_pack("{s:s,s:s,s:s,s:i,s:i,s:b}", "mapping", gw_nat_reach_names[nat.mapping], "filtering",
                  gw_nat_reach_names[nat.filtering], "ports", gw_nat_ports_names[nat.ports], "step", nat.step,
                  "anchors", (int)nat.anchors, "measuring", (int)nat.is_measuring);
    json_object_set_new(object, "translated", yes_or_no(nat.translated));
    json_object_set_new(object, "hairpin", yes_or_no(nat.hairpin));
    json_object_set_new(object, "nat_lifetime_s",
                        json_pack("{s:o,s:o}", "min", seconds_json(nat.lifetime_min_ns), "max",
                                  seconds_json(nat.lifetime_max_ns)));
    json_object_set_new(object, "seen",
                        gw_addr_is_set(&nat.seen) ? json_string(gw_addr_format(&nat.seen, at)) : json_null());
    json_object_set_new(object, "measured_s",
                        gw_mono_is_never(nat.measured) ? json_null() : gw_json_ago(nat.measured, now));
    return object;
}

json_t *gw_anchor_setup_public_json(const struct gw_network *network, struct gw_mono now)
{
    static const char *const roles[] = {[GW_CONFIG_ROLE_DYNAMIC] = "dynamic",
                                        [GW_CONFIG_ROLE_ANCHOR] = "anchor",
                                        [GW_CONFIG_ROLE_AUTO] = "auto"};
    struct gw_public_view view;
    char at[GW_ADDR_STRLEN];
    gw_gateway_public_view(network->gateway, &view);
    json_t *object = json_pack("{s:s,s:b,s:s,s:b}", "role", roles[network->files->config->role], "reachable",
                               gw_public_is(view.reason), "reason", gw_public_reason_names[view.reason],
                               "testing", view.is_running);
    json_object_set_new(object, "address",
                        gw_addr_is_set(&view.at) ? json_string(gw_addr_format(&view.at, at)) : json_null());
    json_object_set_new(object, "tested_s",
                        gw_mono_is_never(view.measured) ? json_null() : gw_json_ago(view.measured, now));
    return object;
}

const char *gw_anchor_setup_public_text(const char *reason)
{
    static const struct {
        enum gw_public_reason reason;
        const char *text;
    } table[] = {
        {GW_PUBLIC_ADVERTISED, "`advertise` says where anybody reaches it"},
        {GW_PUBLIC_OPEN, "what nobody asked for gets in"},
        {GW_PUBLIC_FIREWALL, "a firewall drops what nobody asked for: open the UDP port there"},
        {GW_PUBLIC_UNTESTED, "no anchor has tried yet whether a firewall is before it"},
        {GW_PUBLIC_NAT, "a NAT is before it"},
        {GW_PUBLIC_UNSEEN, "no anchor of its own has said where it sees it"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(gw_public_reason_names[table[i].reason], reason) == 0)
            return table[i].text;
    }
    return "";
}

static json_t *tls_json(const struct gw_network *network)
{
    struct gw_carriers_stats stats;
    if (!gw_carrier_setup_stats(&network->carriers, &stats))
        return json_null();
    return json_pack("{s:i,s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "open", (int)stats.open, "strangers",
                     (int)stats.strangers, "taken", (json_int_t)stats.taken, "refused",
                     (json_int_t)stats.refused, "wrong", (json_int_t)stats.wrong, "late",
                     (json_int_t)stats.late, "http", (json_int_t)stats.http, "datagrams_sent",
                     (json_int_t)stats.datagrams_sent, "datagrams_received",
                     (json_int_t)stats.datagrams_received, "dropped", (json_int_t)stats.dropped);
}

json_t *gw_anchor_setup_serving_json(const struct gw_network *network)
{
    struct gw_anchor_stats stats;
    if (!gw_gateway_anchor_stats(network->gateway, &stats))
        return json_null();
    json_t *object = json_pack(
        "{s:i,s:i,s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "clients", (int)stats.clients,
        "registrations", (int)stats.registrations, "channels", (int)stats.channels, "requests",
        (json_int_t)stats.requests, "refused_unknown", (json_int_t)stats.refused_unknown, "refused_limit",
        (json_int_t)stats.refused_limit, "refused_rate", (json_int_t)stats.refused_rate, "punches",
        (json_int_t)stats.punches, "relayed_datagrams", (json_int_t)stats.relayed_datagrams, "relayed_bytes",
        (json_int_t)stats.relayed_bytes, "dropped_channel", (json_int_t)stats.dropped_channel,
        "dropped_place", (json_int_t)stats.dropped_place, "dropped_rate", (json_int_t)stats.dropped_rate,
        "dropped_gone", (json_int_t)stats.dropped_gone, "fleet", gw_fleet_setup_json(network->gateway));
    json_object_set_new(object, "is_anchor",
                        json_boolean(network->files->config->role != GW_CONFIG_ROLE_DYNAMIC));
    json_object_set_new(object, "tls", tls_json(network));
    return object;
}

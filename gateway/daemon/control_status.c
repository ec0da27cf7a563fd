/* SPDX-License-Identifier: MIT */
/* The commands `status` and `peers`: everything that a person or a program may want to know, as JSON. */
#include "gateway/daemon/daemon.h"

#include "gateway/daemon/anchor_setup.h"
#include "gateway/daemon/json.h"
#include "gateway/wire/peer_id.h"

#include <unistd.h>

#ifndef PEERGATE_VERSION
#define PEERGATE_VERSION "0"
#endif

static json_t *integer(uint64_t value)
{
    return json_integer((json_int_t)value);
}

/* ---- of one network */

static void add_peers(json_t *list, const struct gw_network *network, struct gw_mono now)
{
    for (struct gw_peer *peer = gw_gateway_next_peer(network->gateway, NULL); peer;
         peer = gw_gateway_next_peer(network->gateway, peer)) {
        json_t *object = gw_json_peer(peer, now);
        json_object_set_new(object, "network", json_string(network->name));
        json_array_append_new(list, object);
    }
}

/* Peers of the configuration that authorized_keys says no to. */
static void add_refused_peers(json_t *list, const struct gw_network *network)
{
    gw_list_for_each (node, &network->peers.refused) {
        json_t *object = gw_json_refused_peer(gw_list_entry(node, struct gw_refused_peer, node));
        json_object_set_new(object, "network", json_string(network->name));
        json_array_append_new(list, object);
    }
}

static void add_identity(json_t *object, const struct gw_network *network)
{
    char peer_id[GW_PEER_ID_STRLEN], key[GW_KEY_BASE64_STRLEN];
    const struct gw_identity *identity = network->identity;
    json_object_set_new(object, "hostname", json_string(network->hostname));
    json_object_set_new(object, "network", json_string(network->name));
    json_object_set_new(object, "peer_id",
                        identity->has_ed25519 ? json_string(gw_peer_id_format(identity->ed25519, peer_id))
                                              : json_null());
    json_object_set_new(object, "public_key",
                        json_string(gw_key_base64_format(gw_gateway_public_key(network->gateway), key)));
    json_object_set_new(object, "port", json_integer(gw_link_port(network->link)));
    json_object_set_new(object, "anchor", gw_anchor_setup_serving_json(network));
    json_object_set_new(object, "ipv4", json_boolean(gw_link_has(network->link, GW_UDP_V4)));
    json_object_set_new(object, "ipv6", json_boolean(gw_link_has(network->link, GW_UDP_V6)));
}

static void add_services(json_t *list, const struct gw_network *network)
{
    const struct gw_registry *registry = gw_services_registry(network->services);
    char at[GW_TARGET_STRLEN];
    for (size_t i = 0; i < registry->count; i++) {
        const struct gw_service *service = registry->services[i];
        struct gw_service_stats stats = {0};
        gw_services_service_stats(network->services, service->name, &stats);
        json_t *object = json_object();
        json_object_set_new(object, "name", json_string(service->name));
        json_object_set_new(object, "network", json_string(network->name));
        json_object_set_new(object, "enabled", json_boolean(service->is_enabled));
        json_object_set_new(object, "protocol", json_string(service->is_udp ? "udp" : "tcp"));
        json_object_set_new(object, "port", json_integer(service->port));
        json_object_set_new(object, "local_address", json_string(gw_target_format(&service->target, at)));
        json_object_set_new(object, "flows_open", json_integer(stats.flows_open));
        json_object_set_new(object, "flows_total", integer(stats.flows_total));
        json_array_append_new(list, object);
    }
}

/* ---- of the daemon */

static json_t *proxies(const struct gw_daemon *daemon)
{
    char at[GW_TARGET_STRLEN];
    json_t *list = json_array();
    for (size_t i = 0; daemon->socks5 && i < gw_socks5_listen_count(daemon->socks5); i++)
        json_array_append_new(list,
                              json_string(gw_target_format(gw_socks5_listen_target(daemon->socks5, i), at)));
    return list;
}

static json_t *proxy_stats(const struct gw_daemon *daemon)
{
    struct gw_socks5_stats stats = {0};
    if (!daemon->socks5)
        return json_null();
    gw_socks5_stats(daemon->socks5, &stats);
    json_t *object = json_object();
    json_object_set_new(object, "clients_open", json_integer(stats.clients_open));
    json_object_set_new(object, "associations_open", json_integer(stats.associations_open));
    json_object_set_new(object, "clients_total", integer(stats.clients_total));
    json_object_set_new(object, "refused_auth", integer(stats.refused_auth));
    json_object_set_new(object, "refused_policy", integer(stats.refused_policy));
    json_object_set_new(object, "failed", integer(stats.failed));
    json_object_set_new(object, "timed_out", integer(stats.timed_out));
    json_object_set_new(object, "malformed", integer(stats.malformed));
    return object;
}

static json_t *service_stats(const struct gw_network *network)
{
    struct gw_services_stats stats = {0};
    gw_services_stats(network->services, &stats);
    json_t *object = json_object();
    json_object_set_new(object, "open", json_integer(stats.flows_open));
    json_object_set_new(object, "accepted", integer(stats.accepted));
    json_object_set_new(object, "refused", integer(stats.refused));
    json_object_set_new(object, "not_listed", integer(stats.not_listed));
    json_object_set_new(object, "service_down", integer(stats.down));
    json_object_set_new(object, "timed_out", integer(stats.timed_out));
    json_object_set_new(object, "limited", integer(stats.limited));
    return object;
}

static json_t *drops(const struct gw_network *network)
{
    struct gw_gateway_stats stats = {0};
    gw_gateway_stats(network->gateway, &stats);
    json_t *object = json_object();
    json_object_set_new(object, "malformed", integer(stats.dropped_malformed));
    json_object_set_new(object, "unknown", integer(stats.dropped_unknown));
    json_object_set_new(object, "auth", integer(stats.dropped_auth));
    json_object_set_new(object, "replay", integer(stats.dropped_replay));
    json_object_set_new(object, "mac", integer(stats.dropped_mac));
    json_object_set_new(object, "limit", integer(stats.dropped_limit));
    json_object_set_new(object, "queue", integer(stats.dropped_queue));
    json_object_set_new(object, "inner", integer(stats.dropped_inner));
    json_object_set_new(object, "handshakes_queued", integer(stats.handshakes_queued));
    json_object_set_new(object, "cookies_sent", integer(stats.cookies_sent));
    return object;
}

static json_t *link_stats(const struct gw_network *network)
{
    const struct gw_udp_stats *stats = gw_link_stats(network->link);
    json_t *object = json_object();
    json_object_set_new(object, "bytes_sent", integer(stats->bytes_sent));
    json_object_set_new(object, "bytes_received", integer(stats->bytes_received));
    json_object_set_new(object, "datagrams_sent", integer(stats->datagrams_sent));
    json_object_set_new(object, "datagrams_received", integer(stats->datagrams_received));
    json_object_set_new(object, "trains_sent", integer(stats->trains_sent));
    json_object_set_new(object, "trains_received", integer(stats->trains_received));
    json_object_set_new(object, "send_errors", integer(stats->send_errors));
    json_object_set_new(object, "receive_errors", integer(stats->receive_errors));
    json_object_set_new(object, "truncated", integer(stats->truncated));
    json_object_set_new(object, "send_full", integer(stats->send_full));
    json_object_set_new(object, "segmented_by_us", integer(stats->segmented_by_us));
    return object;
}

/* One object for each lane; what they do is not in `link`. */
static json_t *lanes(const struct gw_daemon *daemon)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < gw_tun_lanes_count(daemon->tun.lanes); i++) {
        struct gw_lane_stats stats;
        json_t *object = json_object();
        gw_tun_lanes_stats(daemon->tun.lanes, i, &stats);
#define X(name) json_object_set_new(object, #name, integer(gw_lane_counted(&stats.name)));
        GW_LANE_COUNTERS(X)
#undef X
        json_array_append_new(list, object);
    }
    return list;
}

/* ---- of those that are asked for */

/* Counters, number by number. Takes `more`. */
static void add_up(json_t *sum, json_t *more)
{
    const char *key;
    json_t *value;
    json_object_foreach(more, key, value)
    {
        json_int_t before = json_integer_value(json_object_get(sum, key));
        json_object_set_new(sum, key, json_integer(before + json_integer_value(value)));
    }
    json_decref(more);
}

struct networks_json {
    json_t *networks, *peers, *refused_peers, *anchors, *services, *service_flows, *drops, *link;
};

/* only: NULL = all. */
static struct networks_json describe_networks(const struct gw_daemon *daemon, const struct gw_network *only,
                                              struct gw_mono now)
{
    struct networks_json all = {json_array(), json_array(),  json_array(),  json_array(),
                                json_array(), json_object(), json_object(), json_object()};
    gw_list_for_each (node, &daemon->networks) {
        const struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        if (only && network != only)
            continue;
        json_t *object = json_object();
        add_identity(object, network);
        json_object_set_new(object, "nat", gw_anchor_setup_nat_json(network, now));
        json_array_append_new(all.networks, object);
        add_peers(all.peers, network, now);
        gw_anchor_setup_add_anchors(all.anchors, network, now);
        add_refused_peers(all.refused_peers, network);
        add_services(all.services, network);
        add_up(all.service_flows, service_stats(network));
        add_up(all.drops, drops(network));
        add_up(all.link, link_stats(network));
    }
    return all;
}

json_t *gw_daemon_networks_json(const struct gw_daemon *daemon, const struct gw_network *only)
{
    json_t *list = json_array();
    gw_list_for_each (node, &daemon->networks) {
        const struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        if (!only || network == only)
            json_array_append_new(list, json_string(network->name));
    }
    return list;
}

json_t *gw_daemon_services_json(const struct gw_daemon *daemon, const struct gw_network *only)
{
    json_t *list = json_array();
    gw_list_for_each (node, &daemon->networks) {
        const struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        if (!only || network == only)
            add_services(list, network);
    }
    return list;
}

bool gw_control_network(struct gw_daemon *daemon, struct gw_control_client *client, const json_t *request,
                        const struct gw_network **only)
{
    const char *name = json_string_value(json_object_get(request, "network"));
    *only = name ? gw_daemon_find_network(daemon, name) : NULL;
    if (name && !*only)
        gw_control_fail(client, "unknown-network", "this node is in no network \"%s\"", name);
    return !name || *only;
}

void gw_control_status(struct gw_control_client *client, const json_t *request, struct gw_mono now, void *ctx)
{
    struct gw_daemon *daemon = ctx;
    const struct gw_network *only;
    if (!gw_control_network(daemon, client, request, &only))
        return;
    json_t *object = json_object();
    struct networks_json all = describe_networks(daemon, only, now);
    json_object_set_new(object, "version", json_string(PEERGATE_VERSION));
    json_object_set_new(object, "pid", json_integer(getpid()));
    json_object_set_new(object, "uptime_s", gw_json_ago(daemon->started, now));
    json_object_set_new(object, "dir", json_string(daemon->dir));
    add_identity(object, only ? only : gw_daemon_first_network(daemon));
    json_object_set_new(object, "nat",
                        gw_anchor_setup_nat_json(only ? only : gw_daemon_first_network(daemon), now));
    json_object_set_new(object, "networks", all.networks);
    json_object_set_new(object, "proxies", proxies(daemon));
    json_object_set_new(object, "tun", gw_daemon_tun_json(daemon, now));
    json_object_set_new(object, "anchors", all.anchors);
    json_object_set_new(object, "dns", gw_daemon_dns_json(daemon));
    json_object_set_new(object, "virtual_router", gw_daemon_virtual_router_json(daemon));
    json_object_set_new(object, "peers", all.peers);
    json_object_set_new(object, "refused_peers", all.refused_peers);
    json_object_set_new(object, "services", all.services);
    json_object_set_new(object, "proxy_clients", proxy_stats(daemon));
    json_object_set_new(object, "service_flows", all.service_flows);
    json_object_set_new(object, "drops", all.drops);
    json_object_set_new(object, "link", all.link);
    json_object_set_new(object, "netstack", gw_daemon_netstack_json(daemon));
    json_object_set_new(object, "lanes", lanes(daemon));
    json_object_set_new(object, "memory",
                        json_pack("{s:I,s:I}", "flows_used", (json_int_t)daemon->budget.used, "flows_limit",
                                  (json_int_t)daemon->budget.limit));
    gw_control_reply(client, object);
}

void gw_control_peers(struct gw_control_client *client, const json_t *request, struct gw_mono now, void *ctx)
{
    struct gw_daemon *daemon = ctx;
    const struct gw_network *only;
    if (!gw_control_network(daemon, client, request, &only))
        return;
    json_t *list = json_array(), *refused = json_array();
    gw_list_for_each (node, &daemon->networks) {
        const struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        if (only && network != only)
            continue;
        add_peers(list, network, now);
        add_refused_peers(refused, network);
    }
    gw_control_reply(client, json_pack("{s:o,s:o,s:o}", "networks", gw_daemon_networks_json(daemon, only),
                                       "peers", list, "refused_peers", refused));
}

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

/* ---- of one network */

static void add_peers(json_t *list, const struct gw_network *network, bool has_tun, struct gw_mono now)
{
    for (struct gw_peer *peer = gw_gateway_next_peer(network->gateway, NULL); peer;
         peer = gw_gateway_next_peer(network->gateway, peer)) {
        const struct gw_guest *guest = gw_guests_find(&network->guests, gw_peer_config(peer)->public_key);
        json_t *object = gw_json_peer(peer, guest, has_tun, now);
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
        json_object_set_new(object, "flows_total", gw_json_count(stats.flows_total));
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
    return GW_JSON_COUNTERS(
        {"clients_open", stats.clients_open}, {"associations_open", stats.associations_open},
        {"clients_total", stats.clients_total}, {"refused_auth", stats.refused_auth},
        {"refused_policy", stats.refused_policy}, {"failed", stats.failed}, {"timed_out", stats.timed_out},
        {"malformed", stats.malformed}, {"datagrams_in", stats.datagrams_in},
        {"datagrams_out", stats.datagrams_out}, {"datagrams_dropped", stats.datagrams_dropped});
}

static json_t *service_stats(const struct gw_network *network)
{
    struct gw_services_stats stats = {0};
    gw_services_stats(network->services, &stats);
    return GW_JSON_COUNTERS({"open", stats.flows_open}, {"accepted", stats.accepted},
                            {"refused", stats.refused}, {"not_listed", stats.not_listed},
                            {"service_down", stats.down}, {"timed_out", stats.timed_out},
                            {"limited", stats.limited});
}

static json_t *drops(const struct gw_network *network)
{
    struct gw_gateway_stats stats = {0};
    gw_gateway_stats(network->gateway, &stats);
    return GW_JSON_COUNTERS(
        {"malformed", stats.dropped_malformed}, {"unknown", stats.dropped_unknown},
        {"auth", stats.dropped_auth}, {"replay", stats.dropped_replay}, {"mac", stats.dropped_mac},
        {"limit", stats.dropped_limit}, {"queue", stats.dropped_queue}, {"inner", stats.dropped_inner},
        {"too_long", stats.dropped_too_long}, {"false_acks", stats.false_acks},
        {"handshakes_queued", stats.handshakes_queued}, {"cookies_sent", stats.cookies_sent});
}

static json_t *link_stats(const struct gw_network *network)
{
    const struct gw_udp_stats *stats = gw_link_stats(network->link);
    return GW_JSON_COUNTERS({"bytes_sent", stats->bytes_sent}, {"bytes_received", stats->bytes_received},
                            {"datagrams_sent", stats->datagrams_sent},
                            {"datagrams_received", stats->datagrams_received},
                            {"trains_sent", stats->trains_sent}, {"trains_received", stats->trains_received},
                            {"send_errors", stats->send_errors}, {"receive_errors", stats->receive_errors},
                            {"truncated", stats->truncated}, {"send_full", stats->send_full},
                            {"segmented_by_us", stats->segmented_by_us});
}

/* One object for each lane; what they do is not in `link`. */
static json_t *lanes(const struct gw_daemon *daemon)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < gw_tun_lanes_count(daemon->tun.lanes); i++) {
        struct gw_lane_stats stats;
        json_t *object = json_object();
        gw_tun_lanes_stats(daemon->tun.lanes, i, &stats);
#define X(name) json_object_set_new(object, #name, gw_json_count(gw_lane_counted(&stats.name)));
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
        json_object_set_new(object, "public", gw_anchor_setup_public_json(network, now));
        json_array_append_new(all.networks, object);
        add_peers(all.peers, network, daemon->tun.device != NULL, now);
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

json_t *gw_daemon_ready_json(const struct gw_daemon *daemon)
{
    json_t *object =
        json_pack("{s:b,s:s,s:i,s:s}", "ok", 1, "event", "ready", "pid", (int)getpid(), "dir", daemon->dir);
    json_t *list = json_array();
    gw_list_for_each (node, &daemon->networks) {
        json_t *network = json_object();
        add_identity(network, gw_list_entry(node, struct gw_network, node));
        json_array_append_new(list, network);
    }
    json_object_set_new(object, "networks", list);
    json_object_set_new(object, "proxies", proxies(daemon));
    return object;
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
        add_peers(list, network, daemon->tun.device != NULL, now);
        add_refused_peers(refused, network);
    }
    gw_control_reply(client, json_pack("{s:o,s:o,s:o}", "networks", gw_daemon_networks_json(daemon, only),
                                       "peers", list, "refused_peers", refused));
}

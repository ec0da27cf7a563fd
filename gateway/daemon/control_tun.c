/* SPDX-License-Identifier: MIT */
/* The TUN's part of `status`: what it is, what went through it, and what did not and why. */
#include "gateway/daemon/daemon.h"

#include "gateway/config/endpoint.h"
#include "gateway/daemon/json.h"

static json_t *addresses(const struct gw_daemon *daemon)
{
    char text[GW_ADDR_STRLEN + 4];
    json_t *list = json_array();
    gw_list_for_each (node, &daemon->networks) {
        const struct gw_network *network = gw_list_entry(node, struct gw_network, node);
        struct gw_prefix own[GW_ADDRESSES_OWN_MAX];
        size_t count = gw_addresses_own(network->files->config, gw_gateway_public_key(network->gateway), own);
        for (size_t i = 0; i < count; i++)
            json_array_append_new(list, json_string(gw_prefix_format(&own[i], text, sizeof text)));
    }
    return list;
}

static json_t *dns_addresses(const struct gw_dns_address *dns)
{
    struct gw_addr at[GW_NETSTACK_ADDRESSES_MAX];
    char text[GW_ADDR_STRLEN];
    size_t count = dns ? gw_dns_address_list(dns, at, GW_NETSTACK_ADDRESSES_MAX) : 0;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(gw_addr_format(&at[i], text)));
    return list;
}

static json_t *offload(const struct gw_tun *tun)
{
    static const struct {
        unsigned bit;
        const char *name;
    } bits[] = {{GW_TUN_CHECKSUM, "checksum"}, {GW_TUN_TCP, "tcp"}, {GW_TUN_UDP, "udp"}};
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        if (tun->offload & bits[i].bit)
            json_array_append_new(list, json_string(bits[i].name));
    }
    return list;
}

struct queues {
    uint64_t bytes, full, late, refused;
};

static void add_queues(struct queues *sum, const struct gateway *gateway, struct gw_mono now)
{
    for (struct gw_peer *peer = gw_gateway_next_peer(gateway, NULL); peer;
         peer = gw_gateway_next_peer(gateway, peer)) {
        struct gw_peer_status status;
        gw_peer_status(peer, now, &status);
        sum->bytes += status.packets.bytes;
        sum->full += status.packets.dropped_full;
        sum->late += status.packets.dropped_late;
        sum->refused += status.packets_refused;
    }
}

/* What all lanes did. */
static void add_up_lanes(struct gw_lane_stats *sum, const struct gw_daemon *daemon)
{
    for (unsigned i = 0; i < gw_tun_lanes_count(daemon->tun.lanes); i++) {
        struct gw_lane_stats one;
        gw_tun_lanes_stats(daemon->tun.lanes, i, &one);
#define X(name) gw_lane_count(&sum->name, gw_lane_counted(&one.name));
        GW_LANE_COUNTERS(X)
#undef X
    }
}

static json_t *drops(const struct gw_device *device, const struct queues *queues)
{
    const struct gw_device_stats *stats = gw_device_stats(device);
    return GW_JSON_COUNTERS({"malformed", stats->malformed}, {"foreign_source", stats->martians},
                            {"no_peer", stats->no_peer}, {"unreachable", stats->unreachable},
                            {"too_big", stats->too_big + queues->refused}, {"refused", stats->refused},
                            {"queue_full", queues->full}, {"queue_late", queues->late},
                            {"kernel_queue", gw_tun_dropped(gw_device_tun(device))},
                            {"read_errors", stats->read_errors}, {"write_errors", stats->write_errors});
}

json_t *gw_daemon_tun_json(const struct gw_daemon *daemon, struct gw_mono now)
{
    const struct gw_device *device = daemon->tun.device;
    if (!device)
        return json_null();
    const struct gw_tun *tun = gw_device_tun(device);
    const struct gw_device_stats *stats = gw_device_stats(device);
    struct gw_lane_stats lanes = {0};
    add_up_lanes(&lanes, daemon);
    struct queues queues = {.full = lanes.dropped_full, .late = lanes.dropped_late};
    gw_list_for_each (node, &daemon->networks)
        add_queues(&queues, gw_list_entry(node, struct gw_network, node)->gateway, now);
    json_t *object = json_object();
    json_object_set_new(object, "name", json_string(tun->name));
    json_object_set_new(object, "mtu", json_integer((json_int_t)daemon->files.config->tun.mtu));
    json_object_set_new(object, "handed_over", json_boolean(tun->is_adopted));
    json_object_set_new(object, "managed", json_boolean(daemon->tun.netconf != NULL));
    json_object_set_new(object, "addresses", addresses(daemon));
    json_object_set_new(object, "dns", dns_addresses(daemon->netstack.dns_address));
    json_object_set_new(object, "offload", offload(tun));
    json_object_set_new(object, "packets_read", gw_json_count(stats->read + lanes.packets_in));
    json_object_set_new(object, "bytes_read", gw_json_count(stats->bytes_read + lanes.bytes_in));
    json_object_set_new(object, "packets_written", gw_json_count(stats->written + lanes.writes));
    json_object_set_new(object, "bytes_written", gw_json_count(stats->bytes_written + lanes.bytes_out));
    json_object_set_new(object, "bytes_queued", gw_json_count(queues.bytes));
    json_object_set_new(object, "drops", drops(device, &queues));
    json_object_set_new(object, "packets_fragmented", gw_json_count(stats->fragmented));
    json_object_set_new(object, "icmp_sent", gw_json_count(stats->icmp_sent));
    json_object_set_new(object, "icmp_limited", gw_json_count(stats->icmp_limited));
    return object;
}

/* SPDX-License-Identifier: MIT */
/* What `status` says of packets that became connections, and the other way round: of all networks together. */
#include "gateway/daemon/daemon.h"

static json_t *integer(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *accelerated_json(const struct gw_accelerate *accelerate)
{
    struct gw_accelerate_stats stats;
    if (!accelerate)
        return json_null();
    gw_accelerate_stats(accelerate, &stats);
    json_t *object = json_object();
    json_object_set_new(object, "open", integer(stats.open));
    json_object_set_new(object, "flows", integer(stats.flows));
    json_object_set_new(object, "by_packets", integer(stats.by_packets));
    json_object_set_new(object, "refused", integer(stats.refused));
    json_object_set_new(object, "unanswered", integer(stats.unanswered));
    return object;
}

json_t *gw_daemon_netstack_json(const struct gw_daemon *daemon)
{
    struct gw_netstack_stats stats;
    uint64_t gate_dropped = 0, unroutable = 0;
    gw_netstack_stats(daemon->netstack.stack, &stats);
    gw_list_for_each (node, &daemon->netstack.list) {
        const struct gw_packets *packets = gw_list_entry(node, struct gw_packets, node);
        struct gw_gate_stats gate = {0};
        if (packets->gate)
            gw_gate_stats(packets->gate, &gate);
        gate_dropped += gate.dropped;
        unroutable += packets->unroutable;
    }
    json_t *object = json_object();
    json_object_set_new(object, "connections", integer(stats.connections));
    json_object_set_new(object, "half_open", integer(stats.half_open));
    json_object_set_new(object, "associations", integer(stats.associations));
    json_object_set_new(object, "packets_in", integer(stats.packets_in));
    json_object_set_new(object, "packets_out", integer(stats.packets_out));
    json_object_set_new(object, "accepted", integer(stats.accepted));
    json_object_set_new(object, "connected", integer(stats.connected));
    json_object_set_new(object, "refused", integer(stats.refused));
    json_object_set_new(object, "echoes", integer(stats.echoes));
    json_object_set_new(object, "evicted", integer(stats.evicted));
    json_object_set_new(object, "malformed", integer(stats.dropped_malformed));
    json_object_set_new(object, "martian", integer(stats.dropped_martian));
    json_object_set_new(object, "foreign", integer(stats.dropped_foreign));
    json_object_set_new(object, "fragments", integer(stats.dropped_fragment));
    json_object_set_new(object, "limit", integer(stats.dropped_limit));
    json_object_set_new(object, "not_exposed", integer(gate_dropped));
    json_object_set_new(object, "unroutable", integer(unroutable));
    json_object_set_new(object, "accelerated", accelerated_json(daemon->netstack.accelerate));
    return object;
}

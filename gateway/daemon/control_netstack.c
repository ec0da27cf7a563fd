/* SPDX-License-Identifier: MIT */
/* What `status` says of packets that became connections, and the other way round: of all networks together. */
#include "gateway/daemon/daemon.h"

#include "gateway/daemon/json.h"

static json_t *accelerated_json(const struct gw_accelerate *accelerate)
{
    struct gw_accelerate_stats stats;
    if (!accelerate)
        return json_null();
    gw_accelerate_stats(accelerate, &stats);
    return GW_JSON_COUNTERS({"open", stats.open}, {"flows", stats.flows}, {"by_packets", stats.by_packets},
                            {"refused", stats.refused}, {"unanswered", stats.unanswered});
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
    json_t *object = GW_JSON_COUNTERS(
        {"connections", stats.connections}, {"half_open", stats.half_open},
        {"associations", stats.associations}, {"packets_in", stats.packets_in},
        {"packets_out", stats.packets_out}, {"accepted", stats.accepted}, {"connected", stats.connected},
        {"refused", stats.refused}, {"echoes", stats.echoes}, {"evicted", stats.evicted},
        {"malformed", stats.dropped_malformed}, {"martian", stats.dropped_martian},
        {"foreign", stats.dropped_foreign}, {"fragments", stats.dropped_fragment},
        {"limit", stats.dropped_limit}, {"not_exposed", gate_dropped}, {"unroutable", unroutable});
    json_object_set_new(object, "accelerated", accelerated_json(daemon->netstack.accelerate));
    return object;
}

/* SPDX-License-Identifier: MIT */
/* A connection here lives from the SYN to the end of its bridge. The SYN is kept until the far service has answered: it may have to go on as the packet that it was. */
#include "gateway/daemon/accelerate.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/daemon/unlisted.h"
#include "gateway/peer/address.h"
#include "netstack/flow_bridge.h"

#include <stdlib.h>
#include <string.h>

/* With more it bears data (TCP Fast Open), which flows have no word for before they are accepted. */
#define SYN_MAX 160u

struct syn {
    uint8_t bytes[SYN_MAX];
    size_t len;
    struct gw_super_hint hint;
};

struct item {
    struct gw_list node;
    struct gw_accelerate *all;
    struct gw_flow_bridge *bridge;
    struct gw_peer *peer;
    struct syn *syn; /* (owned) NULL: accepted */
};

struct gw_accelerate {
    struct gw_device *device;
    struct gw_netstack *stack;
    struct gw_netstack_link *link;
    struct gw_list items;
    const struct syn *current; /* the SYN that an offer comes of, during gw_accelerate_input */
    bool is_on;
    struct gw_unlisted unlisted;
    struct gw_accelerate_stats stats;
};

/* ---- towards the kernel */

static void on_output(struct gw_netstack_link *link, const struct gw_netstack_packet *packets, unsigned count,
                      struct gw_mono now, void *ctx)
{
    struct gw_accelerate *all = ctx;
    (void)link, (void)now;
    for (unsigned i = 0; i < count; i++)
        gw_device_write(all->device, packets[i].data, packets[i].len, packets[i].is_checksum_left);
    gw_device_input_end(all->device);
}

/* ---- one connection */

static void forget(struct item *item)
{
    gw_list_remove(&item->node);
    item->all->stats.open--;
    free(item->syn);
    free(item);
}

static void send_syn(struct gw_accelerate *all, struct gw_peer *peer, const struct syn *syn,
                     struct gw_mono now)
{
    uint8_t packet[SYN_MAX];
    memcpy(packet, syn->bytes, syn->len);
    all->stats.by_packets++;
    gw_device_forward(all->device, peer, packet, syn->len, &syn->hint, now);
}

static bool on_refused(struct gw_flow_bridge *bridge, struct gw_mono now, unsigned long long reason,
                       struct gw_connection *offer, void *user)
{
    struct item *item = user;
    struct gw_connection_info info;
    (void)bridge;
    switch (reason) {
    case GW_REASON_NOT_LISTED:
    case GW_REASON_REFUSED:
        /* What packets may reach is for the far end to say. */
        gw_connection_info(offer, &info);
        gw_unlisted_add(&item->all->unlisted, item->peer, info.local.port, now);
        gw_connection_refuse(offer, now, true);
        send_syn(item->all, item->peer, item->syn, now);
        return true;
    case GW_REASON_SERVICE_DOWN:
    case GW_REASON_LIMIT:
    case GW_REASON_NO_MEMORY:
        item->all->stats.refused++;
        return false;
    default:
        item->all->stats.unanswered++;
        gw_connection_refuse(offer, now, true);
        return true;
    }
}

static void on_accepted(struct gw_flow_bridge *bridge, struct gw_mono now, void *user)
{
    struct item *item = user;
    (void)bridge, (void)now;
    item->all->stats.flows++;
    free(item->syn);
    item->syn = NULL;
}

static void on_end(struct gw_flow_bridge *bridge, struct gw_mono now, unsigned long long reason, void *user)
{
    (void)bridge, (void)now, (void)reason;
    forget(user);
}

static struct item *make_item(struct gw_accelerate *all, struct gw_peer *peer)
{
    struct item *item = calloc(1, sizeof *item);
    struct syn *syn = malloc(sizeof *syn);
    struct gw_flow_bridge *bridge = item && syn ? gw_flow_bridge_new(on_end, item) : NULL;
    if (!bridge) {
        free(item);
        free(syn);
        return NULL;
    }
    *syn = *all->current;
    *item = (struct item){.all = all, .bridge = bridge, .peer = peer, .syn = syn};
    gw_flow_bridge_watch(bridge, on_accepted, on_refused);
    gw_list_push_back(&all->items, &item->node);
    all->stats.open++;
    return item;
}

/* No flow with that peer now: by packets, as if there were no acceleration. */
static void give_up(struct gw_accelerate *all, struct gw_peer *peer, struct gw_connection *offer,
                    struct gw_mono now)
{
    const struct syn *syn = all->current;
    gw_connection_refuse(offer, now, true);
    if (syn)
        send_syn(all, peer, syn, now);
}

static void on_connection(struct gw_netstack_link *link, struct gw_connection *offer, struct gw_mono now,
                          void *ctx)
{
    struct gw_accelerate *all = ctx;
    struct gw_connection_info info;
    struct gw_stream *stream;
    (void)link;
    gw_connection_info(offer, &info);
    const struct gw_open open = {.class_ = GW_CLASS_NORMAL, .port = info.local.port};
    struct item *item = all->current ? make_item(all, info.peer) : NULL;
    if (!item) {
        give_up(all, info.peer, offer, now);
        return;
    }
    struct gw_flow_bridge *bridge = item->bridge;
    if (gw_peer_open(info.peer, now, &open, &gw_flow_bridge_stream_ops, bridge, &stream) == 0) {
        gw_flow_bridge_opened(bridge, now, offer, stream);
        return;
    }
    gw_flow_bridge_close(bridge, now, GW_REASON_NONE);
    forget(item);
    give_up(all, info.peer, offer, now);
}

/* ---- from the kernel */

/* Has it flows? One that has not said yet what it is has, if it is known by its peer ID. */
static bool has_flows(const struct gw_peer *peer, struct gw_mono now)
{
    struct gw_peer_status status;
    gw_peer_status(peer, now, &status);
    return status.kind == GW_PEER_PEERGATE ||
           (status.kind == GW_PEER_UNKNOWN && gw_peer_config(peer)->has_ed25519);
}

static bool begins(struct gw_accelerate *all, const struct gw_peer *peer, const uint8_t *packet,
                   const struct gw_ip *ip, struct gw_mono now)
{
    struct gw_addr to;
    uint8_t flags = packet[ip->l4 + 13];
    if (!all->is_on || ip->total_len > SYN_MAX || ip->total_len != ip->header_len ||
        (flags & (GW_TCP_SYN | GW_TCP_ACK | GW_TCP_RST | GW_TCP_FIN)) != GW_TCP_SYN)
        return false;
    gw_ip_destination(&to, packet, ip);
    if (!gw_peer_config_owns(gw_peer_config(peer), &to) || !has_flows(peer, now))
        return false;
    bool is_unlisted = gw_unlisted_has(&all->unlisted, peer, gw_load16_be(packet + ip->l4 + 2), now);
    all->stats.by_packets += is_unlisted;
    return !is_unlisted;
}

/* The buffer is the TUN's: nothing of it is kept beyond this. */
static void input(struct gw_accelerate *all, struct gw_peer *peer, uint8_t *packet, const struct gw_ip *ip,
                  const struct gw_super_hint *hint, struct gw_mono now)
{
    gw_netstack_link_input(all->link, now, packet, ip->total_len, hint->is_checksum_left, peer, 0);
    gw_netstack_flush(all->stack, now);
}

bool gw_accelerate_input(struct gw_accelerate *all, struct gw_peer *peer, uint8_t *packet,
                         const struct gw_ip *ip, const struct gw_super_hint *hint, struct gw_mono now)
{
    if (ip->is_fragment)
        return false;
    if (gw_netstack_link_has_connection(all->link, packet, ip)) {
        input(all, peer, packet, ip, hint, now);
        return true;
    }
    if (!begins(all, peer, packet, ip, now))
        return false;
    struct syn syn = {.len = ip->total_len, .hint = *hint};
    memcpy(syn.bytes, packet, syn.len);
    all->current = &syn;
    input(all, peer, packet, ip, hint, now);
    all->current = NULL;
    return true;
}

/* ---- life */

int gw_accelerate_new(struct gw_accelerate **out, struct gw_netstack *stack, struct gw_device *device,
                      uint16_t mtu, struct gw_mono now)
{
    struct gw_accelerate *all = calloc(1, sizeof *all);
    *out = NULL;
    if (!all)
        return GW_E_NOMEM;
    const struct gw_netstack_link_params params = {.output = on_output,
                                                   .on_connection = on_connection,
                                                   .ctx = all,
                                                   .mtu = mtu,
                                                   .leaves_checksums = true,
                                                   .takes_all = true};
    all->device = device;
    all->stack = stack;
    gw_list_init(&all->items);
    int err = gw_netstack_link_new(&all->link, stack, &params, now);
    if (err == 0)
        *out = all;
    else
        free(all);
    return err;
}

void gw_accelerate_free(struct gw_accelerate *all, struct gw_mono now)
{
    if (!all)
        return;
    gw_list_for_each (node, &all->items) {
        struct item *item = gw_list_entry(node, struct item, node);
        gw_flow_bridge_close(item->bridge, now, GW_REASON_SHUTTING_DOWN);
        forget(item);
    }
    gw_netstack_link_free(all->link, now);
    free(all);
}

void gw_accelerate_set(struct gw_accelerate *all, bool is_on)
{
    if (all->is_on != is_on)
        gw_log_info("tun: TCP to peers of ours %s", is_on ? "travels as flows" : "travels as packets");
    all->is_on = is_on;
}

void gw_accelerate_drop_peer(struct gw_accelerate *all, const struct gw_peer *peer, struct gw_mono now)
{
    gw_netstack_link_drop_peer(all->link, now, peer, GW_REASON_UNREACHABLE);
    gw_unlisted_drop(&all->unlisted, peer);
}

void gw_accelerate_stats(const struct gw_accelerate *all, struct gw_accelerate_stats *out)
{
    *out = all->stats;
    out->is_on = all->is_on;
}

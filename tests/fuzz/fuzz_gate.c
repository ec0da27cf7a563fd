/* SPDX-License-Identifier: MIT */
/* The gate between peers and the kernel, both sides: any packet that parses, either way, with an owner's word that changes. What it says is one of its words; what the owner forbids to begin
 * never gets to the kernel; the resets that are made of a packet are packets with right checksums. */
#include "gateway/base/err.h"
#include "gateway/packet/reset.h"
#include "netstack/gate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gw_netstack *stack;
static struct gw_netstack_link *own_link;
static struct gw_gate *gate;
static struct gw_mono now;
static bool is_allowed, is_peer_there;
static bool is_ending, has_ended; /* gw_gate_end, now or before */
static int peer;

static void on_output(struct gw_netstack_link *at, const struct gw_netstack_packet *packets, unsigned count,
                      struct gw_mono when, void *ctx)
{
    (void)at, (void)packets, (void)count, (void)when, (void)ctx;
}

static void on_connection(struct gw_netstack_link *at, struct gw_connection *offer, struct gw_mono when,
                          void *ctx)
{
    (void)at, (void)ctx;
    gw_connection_refuse(offer, when, true);
}

static enum gw_gate_way decide(void *ctx, void *who, const struct gw_addr *local, bool is_udp)
{
    (void)ctx;
    assert(who == &peer && gw_addr_is_set(local));
    return is_allowed ? GW_GATE_KERNEL : is_udp ? GW_GATE_STACK : GW_GATE_NOBODY;
}

static enum gw_gate_way decide_foreign(void *ctx, void *who, const struct gw_addr *to)
{
    (void)ctx, (void)who, (void)to;
    return is_allowed ? GW_GATE_KERNEL : GW_GATE_NOBODY;
}

static void *route(void *ctx, const struct gw_addr *remote)
{
    (void)ctx, (void)remote;
    return is_peer_there ? &peer : NULL;
}

static void check_packet(uint8_t *packet, size_t len)
{
    struct gw_ip ip;
    if (len == 0)
        return;
    assert(len <= GW_RESET_MAX && gw_ip_parse(&ip, packet, len) == 0 && ip.protocol == GW_IP_TCP);
    assert(ip.total_len == len && gw_checksum_is_right(packet, &ip));
}

static void on_end(void *ctx, const struct gw_addr *local, const struct gw_addr *remote)
{
    uint8_t probe[GW_RESET_MAX];
    (void)ctx;
    assert(!is_allowed || !is_peer_there || is_ending);
    check_packet(probe, gw_reset_probe(probe, remote, local, 7));
}

static void look_at(const uint8_t *packet, const struct gw_ip *ip, bool is_inbound)
{
    uint8_t reset[GW_RESET_MAX];
    if (ip->protocol == GW_IP_TCP && !ip->is_fragment) {
        check_packet(reset, gw_reset_sender(reset, packet, ip));
        check_packet(reset, gw_reset_receiver(reset, packet, ip));
    }
    if (!is_inbound) {
        bool may_go = gw_gate_outbound(gate, now, is_peer_there ? &peer : NULL, packet, ip);
        assert(may_go || !is_allowed || !is_peer_there || (has_ended && ip->protocol == GW_IP_TCP));
        return;
    }
    enum gw_gate_way way = gw_gate_inbound(gate, now, &peer, packet, ip);
    bool is_syn = ip->protocol == GW_IP_TCP && !ip->is_fragment &&
                  (packet[ip->l4 + 13] & (GW_TCP_SYN | GW_TCP_ACK)) == GW_TCP_SYN;
    assert(way == GW_GATE_KERNEL || way == GW_GATE_STACK || way == GW_GATE_NOBODY);
    assert(way != GW_GATE_KERNEL || !is_syn || is_allowed);
}

static void set_up(void)
{
    static const uint8_t own[2][16] = {{10, 64, 0, 1}, {0xfd, [15] = 1}};
    const struct gw_netstack_params params = {.random = gw_random_system()};
    const struct gw_netstack_link_params at = {
        .output = on_output, .on_connection = on_connection, .leaves_checksums = true};
    assert(gw_netstack_new(&stack, &params, now) == 0);
    assert(gw_netstack_link_new(&own_link, stack, &at, now) == 0);
    for (unsigned i = 0; i < 2; i++) {
        struct gw_addr address = {.family = i ? 6 : 4};
        memcpy(address.ip, own[i], i ? 16 : 4);
        assert(gw_netstack_link_add_address(own_link, &address) == 0);
    }
    const struct gw_gate_params gate_params = {.random = gw_random_system(),
                                               .link = own_link,
                                               .decide = decide,
                                               .decide_foreign = decide_foreign,
                                               .route = route,
                                               .on_end = on_end};
    gate = gw_gate_new(&gate_params);
    assert(gate);
}

/* The connection that a packet out would be of. */
static void end(const uint8_t *packet, const struct gw_ip *ip)
{
    struct gw_addr local, remote;
    gw_ip_source(&local, packet, ip);
    gw_ip_destination(&remote, packet, ip);
    if (ip->protocol != GW_IP_TCP || ip->is_fragment)
        return;
    local.port = gw_load16_be(packet + ip->l4);
    remote.port = gw_load16_be(packet + ip->l4 + 2);
    is_ending = has_ended = true;
    gw_gate_end(gate, now, &local, &remote);
    is_ending = false;
    bool is_told = packet[ip->l4 + 13] & (GW_TCP_SYN | GW_TCP_RST);
    assert(is_told || !gw_gate_outbound(gate, now, is_peer_there ? &peer : NULL, packet, ip));
}

/* Steps: a byte that says what (and what the owner says from now on), one that says how long, a packet. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t packet[256];
    struct gw_ip ip;
    now = (struct gw_mono){.ns = GW_S(1000)};
    is_allowed = is_peer_there = true;
    has_ended = false;
    set_up();
    while (size >= 2) {
        uint8_t what = data[0];
        size_t len = data[1] < size - 2 ? data[1] : size - 2;
        memcpy(packet, data + 2, len);
        data += 2 + len;
        size -= 2 + len;
        if (what & 2) {
            is_allowed = what & 4;
            is_peer_there = what & 8;
            if (!is_peer_there)
                gw_gate_forget_peer(gate, &peer);
            gw_gate_forget(gate, now);
        }
        now = gw_mono_add(now, GW_S(what >> 4));
        if (gw_ip_parse(&ip, packet, len) != 0)
            continue;
        if ((what & 11) == 8)
            end(packet, &ip);
        look_at(packet, &ip, what & 1);
    }
    gw_gate_free(gate);
    gw_netstack_link_free(own_link, now);
    gw_netstack_free(stack, now);
    return 0;
}

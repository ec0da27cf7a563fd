/* SPDX-License-Identifier: MIT */
/* A packet from the interface: to which peer, in one piece or several, and what its sender is told when it does not go; see device_private.h. */
#include "frontends/tun/device_private.h"

#include "frontends/tun/icmp_error.h"
#include "frontends/tun/plan.h"
#include "gateway/base/err.h"
#include "gateway/packet/fragment.h"

#define KEPT_MIN 24576u

/* In the name of the address that was not reached: a kernel takes nothing from outside that bears its own address. */
static void say_error(struct gw_device *device, enum gw_icmp_error error, size_t mtu, const uint8_t *packet,
                      const struct gw_ip *ip, struct gw_mono now)
{
    uint8_t message[GW_ICMP_ERROR_MAX];
    struct gw_addr from;
    gw_ip_destination(&from, packet, ip);
    size_t len = gw_icmp_error(message, error, (uint32_t)mtu, &from, packet, ip);
    if (len == 0)
        return;
    if (!gw_bucket_take(&device->icmp, GW_DEVICE_ICMP_RATE, GW_DEVICE_ICMP_BURST, 1, now)) {
        device->stats.icmp_limited++;
        return;
    }
    device->stats.icmp_sent++;
    gw_device_count_write(device, len, gw_tun_write_packet(&device->tun, message, len));
}

static bool is_ours(const struct gw_device_network *network, const struct gw_addr *source)
{
    for (unsigned i = 0; i < GW_DEVICE_ADDRESSES; i++) {
        if (gw_addr_is_set(&network->addresses[i]) && gw_addr_same_ip(&network->addresses[i], source))
            return true;
    }
    for (size_t i = 0; i < network->subnet_count; i++) {
        if (gw_prefix_has(&network->subnets[i], source))
            return true;
    }
    return false;
}

static struct gw_peer *find_peer(struct gw_device *device, const struct gw_addr *to,
                                 struct gw_device_network **network)
{
    for (unsigned i = 0; i < device->network_count; i++) {
        *network = &device->networks[i];
        struct gw_peer *peer = gw_gateway_route((*network)->gateway, to);
        if (peer)
            return peer;
    }
    *network = NULL;
    return NULL;
}

/* Is it from an address of one of the networks? Only those are told. */
static bool is_anybodys(const struct gw_device *device, const struct gw_addr *source)
{
    for (unsigned i = 0; i < device->network_count; i++) {
        if (is_ours(&device->networks[i], source))
            return true;
    }
    return false;
}

/* Where it was read: it goes as it lies there, and the next one is read elsewhere. Not when it is short: it would keep 64 KB. */
static bool is_worth_keeping(const struct gw_device *device, const uint8_t *packet, size_t len)
{
    return device->blank && packet == device->blank->data && len >= KEPT_MIN;
}

static int keep(struct gw_device *device, struct gw_peer *peer, size_t len, const struct gw_super_hint *hint,
                struct gw_mono now)
{
    struct gw_super *super = device->blank;
    int err = gw_super_set(super, len, hint);
    if (err == 0)
        err = gw_peer_send_super(peer, now, super);
    if (err == 0)
        device->blank = NULL;
    return err;
}

static int hand_over(struct gw_device *device, struct gw_peer *peer, const uint8_t *packet, size_t len,
                     const struct gw_super_hint *hint, struct gw_mono now)
{
    int err = is_worth_keeping(device, packet, len) ? keep(device, peer, len, hint, now)
                                                    : gw_peer_send_burst(peer, now, packet, len, hint);
    if (err != 0)
        device->stats.refused++;
    return err;
}

struct fragments_to {
    struct gw_device *device;
    struct gw_peer *peer;
    struct gw_mono now;
};

static void send_fragment(const uint8_t *packet, size_t len, void *ctx)
{
    const struct fragments_to *to = ctx;
    hand_over(to->device, to->peer, packet, len, &(struct gw_super_hint){0}, to->now);
}

/* A packet that is too long for the peer's path. */
static void forward_long(struct gw_device *device, struct gw_peer *peer, const uint8_t *packet,
                         const struct gw_ip *ip, const struct gw_super_hint *hint, size_t room,
                         struct gw_mono now)
{
    struct fragments_to to = {device, peer, now};
    if (gw_fragment_may(packet, ip) && room >= GW_FRAGMENT_MIN) {
        if (gw_fragment_each(packet, ip, hint, room, send_fragment, &to) == 0)
            device->stats.fragmented++;
        else
            device->stats.refused++;
        return;
    }
    device->stats.too_big++;
    say_error(device, GW_ICMP_TOO_BIG, room, packet, ip, now);
}

void gw_device_clamp_mss(const struct gw_device *device, const struct gw_peer *peer, uint8_t *packet,
                         const struct gw_ip *ip, bool is_partial)
{
    size_t whole = gw_peer_packet_whole(peer);
    gw_tcp_clamp_mss(packet, ip, whole < device->params.mtu ? whole : device->params.mtu, is_partial);
}

static void forward(struct gw_device *device, struct gw_peer *peer, uint8_t *packet, const struct gw_ip *ip,
                    const struct gw_super_hint *hint, struct gw_mono now)
{
    size_t room = gw_peer_packet_room(peer);
    if (gw_peer_is_unreachable(peer)) {
        device->stats.unreachable++;
        say_error(device, GW_ICMP_HOST_UNREACHABLE, 0, packet, ip, now);
        /* It goes into the queue all the same: somebody still wants the peer. */
    }
    /* Less is nothing that IPv6 can be told: those go, in whatever pieces. */
    size_t most = ip->version == 6 && room < GW_IP_MIN_MTU_V6 ? GW_IP_MIN_MTU_V6 : room;
    if (gw_super_longest(ip, hint) > most) {
        forward_long(device, peer, packet, ip, hint, most, now);
        return;
    }
    gw_device_clamp_mss(device, peer, packet, ip, hint->is_checksum_left);
    if (hand_over(device, peer, packet, ip->total_len, hint, now) == GW_E_NO_SEAL)
        say_error(device, GW_ICMP_HOST_UNREACHABLE, 0, packet, ip, now);
}

void gw_device_forward(struct gw_device *device, struct gw_peer *peer, uint8_t *packet, size_t len,
                       const struct gw_super_hint *hint, struct gw_mono now)
{
    struct gw_ip ip;
    if (gw_ip_parse(&ip, packet, len) == 0)
        forward(device, peer, packet, &ip, hint, now);
}

bool gw_device_out(struct gw_device *device, uint8_t *packet, size_t len, const struct gw_super_hint *hint,
                   struct gw_mono now)
{
    struct gw_device_network *network;
    struct gw_addr to, source;
    struct gw_ip ip;
    if (gw_ip_parse(&ip, packet, len) != 0) {
        device->stats.malformed++;
        return false;
    }
    gw_ip_destination(&to, packet, &ip);
    gw_ip_source(&source, packet, &ip);
    struct gw_peer *peer = find_peer(device, &to, &network);
    bool may_send = peer ? is_ours(network, &source) : is_anybodys(device, &source);
    /* From our address in one network to a peer of another: as if that were nobody. */
    bool is_tapped = device->tap && (may_send || is_anybodys(device, &source));
    if (is_tapped && device->tap(device->tap_ctx, may_send ? peer : NULL, packet, &ip, hint, now))
        return false;
    if (!peer) {
        device->stats.no_peer++;
        if (may_send)
            say_error(device, GW_ICMP_NO_ROUTE, 0, packet, &ip, now);
    } else if (!may_send) {
        device->stats.martians++;
    } else {
        forward(device, peer, packet, &ip, hint, now);
    }
    return peer && gw_peer_is_backlogged(peer, now);
}

void gw_device_from_lane(struct gw_device *device, uint8_t *packet, size_t len,
                         const struct gw_super_hint *hint, struct gw_mono now)
{
    gw_device_out(device, packet, len, hint, now);
}

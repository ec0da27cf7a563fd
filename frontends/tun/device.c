/* SPDX-License-Identifier: MIT */
/* The pump; see device.h. */
#include "frontends/tun/device.h"

#include "frontends/tun/icmp_error.h"
#include "frontends/tun/plan.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/ratelimit.h"
#include "gateway/packet/fragment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A turn's reading ends at either: many small packets come in bursts that the kernel's short queue must not drop; more bytes than the engine's
 * queue holds would only be read to be dropped, and keep the rest waiting. */
#define READS_MAX 256u
#define READ_BYTES (512u * 1024u)
#define ICMP_RATE 100.0
#define ICMP_BURST 50.0

struct gw_device {
    struct gw_device_params params;
    struct gw_tun tun;
    struct event *readable;
    struct gw_device_network networks[GW_DEVICE_NETWORKS];
    unsigned network_count;
    struct gw_coalescer coalescer;
    struct gw_bucket icmp;
    gw_device_tap_fn *tap;
    void *tap_ctx;
    struct gw_device_stats stats;
    int last_error; /* of writing: each kind is logged once */
    uint8_t buffer[GW_TUN_BUFFER];
};

/* ---- writing */

static void count_write(struct gw_device *device, size_t len, int err)
{
    if (err == 0) {
        device->stats.written++;
        device->stats.bytes_written += len;
        return;
    }
    device->stats.write_errors++;
    if (err != device->last_error)
        gw_log_warn("tun: cannot write to %s: %s", device->tun.name, gw_strerror(err));
    device->last_error = err;
}

static void write_merged(const struct gw_merged *merged, void *ctx)
{
    struct gw_device *device = ctx;
    count_write(device, merged->len, gw_tun_write(&device->tun, merged));
}

/* ---- from the TUN */

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
    if (!gw_bucket_take(&device->icmp, ICMP_RATE, ICMP_BURST, 1, now)) {
        device->stats.icmp_limited++;
        return;
    }
    device->stats.icmp_sent++;
    count_write(device, len, gw_tun_write_packet(&device->tun, message, len));
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

/* The longest packet that will come of it, when the engine does not cut it as it likes. */
static size_t whole_len(const struct gw_ip *ip, const struct gw_super_hint *hint)
{
    if (hint->segment_len == 0)
        return ip->total_len;
    return ip->protocol == GW_IP_TCP ? 0 : (size_t)ip->header_len + hint->segment_len;
}

static int hand_over(struct gw_device *device, struct gw_peer *peer, const uint8_t *packet, size_t len,
                     const struct gw_super_hint *hint, struct gw_mono now)
{
    int err = gw_peer_send_burst(peer, now, packet, len, hint);
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

/* Both ends of a TCP connection hear of what the interface and the path carry in one piece. */
static void clamp_mss(const struct gw_device *device, const struct gw_peer *peer, uint8_t *packet,
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
    if (whole_len(ip, hint) > most) {
        forward_long(device, peer, packet, ip, hint, most, now);
        return;
    }
    clamp_mss(device, peer, packet, ip, hint->is_checksum_left);
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

/* true: enough for this turn. */
static bool from_tun(struct gw_device *device, uint8_t *packet, size_t len, const struct gw_super_hint *hint,
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
    if (may_send && device->tap && device->tap(device->tap_ctx, peer, packet, &ip, hint, now))
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

static void lose(struct gw_device *device, int err)
{
    gw_log_error("tun: %s is gone: %s", device->tun.name, gw_strerror(err));
    event_del(device->readable);
    if (device->params.on_lost)
        device->params.on_lost(device->params.ctx);
}

static bool is_gone(int err)
{
    return err == -EBADFD || err == -EBADF || err == -ENODEV || err == -ENXIO;
}

void gw_device_read(struct gw_device *device)
{
    struct gw_mono now = gw_loop_now(device->params.loop);
    size_t bytes = 0;
    for (unsigned i = 0; i < READS_MAX && bytes < READ_BYTES; i++) {
        struct gw_super_hint hint;
        uint8_t *packet;
        ssize_t len = gw_tun_read(&device->tun, device->buffer, &packet, &hint);
        if (len == -EAGAIN)
            return;
        if (len < 0) {
            device->stats.read_errors++;
            if (is_gone((int)len))
                lose(device, (int)len);
            return; /* EIO: it is down */
        }
        device->stats.read++;
        device->stats.bytes_read += (size_t)len;
        bytes += (size_t)len;
        if (len == 0)
            device->stats.malformed++;
        else if (from_tun(device, packet, (size_t)len, &hint, now))
            return;
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    gw_device_read(arg);
}

/* ---- from lanes */

void gw_device_set_reading(struct gw_device *device, bool is_reading)
{
    if (is_reading)
        event_add(device->readable, NULL);
    else
        event_del(device->readable);
}

void gw_device_from_lane(struct gw_device *device, uint8_t *packet, size_t len,
                         const struct gw_super_hint *hint, struct gw_mono now)
{
    from_tun(device, packet, len, hint, now);
}

void gw_device_lost(struct gw_device *device, int err)
{
    lose(device, err);
}

/* ---- from peers */

/* A look before the packet is parsed for it: hosts behind either end may have a larger MTU than the tunnel, and the SYN is where they can be told. */
static bool may_be_syn(const uint8_t *packet, size_t len)
{
    bool is_v6 = packet[0] >> 4 == 6;
    size_t l4 = is_v6 ? GW_IP_V6_HEADER : (size_t)(packet[0] & 15) * 4;
    if (is_v6 && packet[6] != GW_IP_TCP)
        return packet[6] == 0 || packet[6] == 43 || packet[6] == 60; /* extension headers */
    return (is_v6 || packet[9] == GW_IP_TCP) && l4 + 13 < len && (packet[l4 + 13] & GW_TCP_SYN);
}

void gw_device_input(struct gw_device *device, struct gw_peer *peer, uint8_t *packet, size_t len,
                     bool is_partial)
{
    struct gw_ip ip;
    if (may_be_syn(packet, len) && gw_ip_parse(&ip, packet, len) == 0) {
        clamp_mss(device, peer, packet, &ip, is_partial);
    }
    gw_device_write(device, packet, len, is_partial);
}

void gw_device_write(struct gw_device *device, uint8_t *packet, size_t len, bool is_partial)
{
    if (!gw_coalesce_add(&device->coalescer, packet, len, is_partial))
        device->stats.malformed++;
}

void gw_device_input_end(struct gw_device *device)
{
    gw_coalesce_flush(&device->coalescer);
}

/* ---- life */

static int watch(struct gw_device *device)
{
    device->coalescer.takes_no_bursts = !(device->tun.offload & GW_TUN_TCP);
    device->coalescer.takes_datagram_bursts = (device->tun.offload & GW_TUN_UDP) != 0;
    device->coalescer.takes_no_partial = !(device->tun.offload & GW_TUN_CHECKSUM);
    device->readable = event_new(gw_loop_base(device->params.loop), device->tun.fd, EV_READ | EV_PERSIST,
                                 on_readable, device);
    return device->readable && event_add(device->readable, NULL) == 0 ? 0 : GW_E_NOMEM;
}

static void unwatch(struct gw_device *device)
{
    if (device->readable)
        event_free(device->readable);
    device->readable = NULL;
}

int gw_device_new(struct gw_device **out, const struct gw_device_params *params)
{
    struct gw_device *device = calloc(1, sizeof *device);
    *out = NULL;
    if (!device) {
        struct gw_tun tun = params->tun;
        gw_tun_close(&tun);
        return GW_E_NOMEM;
    }
    device->params = *params;
    device->tun = params->tun;
    gw_coalesce_init(&device->coalescer, write_merged, device);
    gw_bucket_init(&device->icmp, ICMP_BURST, gw_loop_now(params->loop));
    int err = watch(device);
    if (err != 0)
        gw_device_free(device);
    else
        *out = device;
    return err;
}

void gw_device_free(struct gw_device *device)
{
    if (!device)
        return;
    unwatch(device);
    gw_tun_close(&device->tun);
    free(device);
}

int gw_device_replace(struct gw_device *device, const struct gw_tun *tun)
{
    unwatch(device);
    gw_tun_close(&device->tun);
    device->tun = *tun;
    device->last_error = 0;
    return watch(device);
}

int gw_device_set_network(struct gw_device *device, const struct gw_device_network *network)
{
    for (unsigned i = 0; i < device->network_count; i++) {
        if (device->networks[i].gateway == network->gateway) {
            device->networks[i] = *network;
            return 0;
        }
    }
    if (device->network_count == GW_DEVICE_NETWORKS)
        return GW_E_LIMIT;
    device->networks[device->network_count++] = *network;
    return 0;
}

void gw_device_remove_network(struct gw_device *device, const struct gateway *gateway)
{
    for (unsigned i = 0; i < device->network_count; i++) {
        if (device->networks[i].gateway == gateway) {
            device->networks[i] = device->networks[--device->network_count];
            return;
        }
    }
}

void gw_device_set_tap(struct gw_device *device, gw_device_tap_fn *tap, void *ctx)
{
    device->tap = tap;
    device->tap_ctx = ctx;
}

const struct gw_tun *gw_device_tun(const struct gw_device *device)
{
    return &device->tun;
}

const struct gw_device_stats *gw_device_stats(const struct gw_device *device)
{
    return &device->stats;
}

/* SPDX-License-Identifier: MIT */
/* The pump; see device.h. */
#include "frontends/tun/device_private.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* A turn's reading ends at either: many small packets come in bursts that the kernel's short queue must not drop; more bytes than the engine's
 * queue holds would only be read to be dropped, and keep the rest waiting. */
#define READS_MAX 256u
#define READ_BYTES (512u * 1024u)

/* ---- writing */

void gw_device_count_write(struct gw_device *device, size_t len, int err)
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
    gw_device_count_write(device, merged->len, gw_tun_write(&device->tun, merged));
}

/* ---- from the TUN */

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

static ssize_t read_one(struct gw_device *device, uint8_t **packet, struct gw_super_hint *hint)
{
    if (!device->blank)
        device->blank = gw_super_blank();
    if (!device->blank)
        return -ENOMEM;
    uint8_t *buffer = (uint8_t *)device->blank + offsetof(struct gw_super, headroom);
    return gw_tun_read(&device->tun, buffer, packet, hint);
}

void gw_device_read(struct gw_device *device)
{
    struct gw_mono now = gw_loop_now(device->params.loop);
    size_t bytes = 0;
    for (unsigned i = 0; i < READS_MAX && bytes < READ_BYTES; i++) {
        struct gw_super_hint hint;
        uint8_t *packet;
        ssize_t len = read_one(device, &packet, &hint);
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
        else if (gw_device_out(device, packet, (size_t)len, &hint, now))
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

bool gw_device_is_reading(const struct gw_device *device)
{
    return event_pending(device->readable, EV_READ, NULL);
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

void gw_device_input_begin(struct gw_device *device, uint8_t *bytes, size_t len)
{
    gw_coalesce_lend(&device->coalescer, bytes, len);
}

void gw_device_input(struct gw_device *device, struct gw_peer *peer, uint8_t *packet, size_t len,
                     bool is_partial)
{
    struct gw_ip ip;
    if (may_be_syn(packet, len) && gw_ip_parse(&ip, packet, len) == 0) {
        gw_device_clamp_mss(device, peer, packet, &ip, is_partial);
    }
    gw_device_write(device, packet, len, is_partial);
}

void gw_device_write(struct gw_device *device, uint8_t *packet, size_t len, bool is_partial)
{
    if (!gw_coalesce_add(&device->coalescer, packet, len, is_partial))
        device->stats.malformed++;
}

void gw_device_write_parsed(struct gw_device *device, uint8_t *packet, const struct gw_ip *ip,
                            bool is_partial)
{
    gw_coalesce_add_parsed(&device->coalescer, packet, ip, is_partial);
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
    gw_bucket_init(&device->icmp, GW_DEVICE_ICMP_BURST, gw_loop_now(params->loop));
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
    gw_super_free(device->blank);
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

/* SPDX-License-Identifier: MIT */
/* What device.c (the interface, and what is read and written when) and device_out.c (a packet from it: whose it is, how it goes, what its sender is told) share. */
#ifndef FRONTENDS_TUN_DEVICE_PRIVATE_H
#define FRONTENDS_TUN_DEVICE_PRIVATE_H

#include "frontends/tun/device.h"
#include "gateway/base/ratelimit.h"
#include "gateway/packet/coalesce.h"

/* ICMP errors a second. */
#define GW_DEVICE_ICMP_RATE 100.0
#define GW_DEVICE_ICMP_BURST 50.0

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
    int last_error;         /* of writing: each kind is logged once */
    struct gw_super *blank; /* what the next packet is read into; NULL: none yet */
};

void gw_device_count_write(struct gw_device *device, size_t len, int err);
/* Both ends of a TCP connection hear of what the interface and the path carry in one piece. */
void gw_device_clamp_mss(const struct gw_device *device, const struct gw_peer *peer, uint8_t *packet,
                         const struct gw_ip *ip, bool is_partial);
/* A packet that was read: changed in place. true: enough for this turn. */
bool gw_device_out(struct gw_device *device, uint8_t *packet, size_t len, const struct gw_super_hint *hint,
                   struct gw_mono now);

#endif

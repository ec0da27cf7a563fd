/* SPDX-License-Identifier: MIT */
/* The pump between a TUN and the engines: each packet from the TUN to the peer that its destination belongs to, and what peers send into the TUN, merged. It
 * serves several networks (gateways) on one interface. Everything happens on the loop. */
#ifndef FRONTENDS_TUN_DEVICE_H
#define FRONTENDS_TUN_DEVICE_H

#include "frontends/tun/tun.h"
#include "gateway/gateway.h"
#include "gateway/link/loop.h"

#define GW_DEVICE_NETWORKS 16u
#define GW_DEVICE_ADDRESSES 3u

struct gw_device;

struct gw_device_params {
    struct gw_loop *loop;
    struct gw_tun tun; /* the device's from now on */
    unsigned mtu;      /* the interface's */
    /* The interface is gone (read says so). Called from the loop. */
    void (*on_lost)(void *ctx);
    void *ctx;
};

/* One network on the interface; copied but for the prefixes, which are borrowed until it is replaced or removed. */
struct gw_device_network {
    struct gateway *gateway;
    struct gw_addr addresses[GW_DEVICE_ADDRESSES]; /* own; family 0 = none */
    const struct gw_prefix *subnets;               /* behind us: their packets may go in too */
    size_t subnet_count;
};

struct gw_device_stats {
    uint64_t read, written; /* packets and super-packets */
    uint64_t bytes_read, bytes_written;
    uint64_t malformed;   /* no IP, or a header that does not fit it */
    uint64_t martians;    /* from an address that is not ours */
    uint64_t no_peer;     /* to an address that is no peer's */
    uint64_t unreachable; /* to a peer that does not answer */
    uint64_t too_big;     /* longer than the path, and not to be cut */
    uint64_t refused;     /* by the engine */
    uint64_t fragmented;  /* longer than the path, and cut */
    uint64_t read_errors, write_errors;
    uint64_t icmp_sent, icmp_limited;
};

/* 0 or GW_E_NOMEM; the TUN is closed then. */
int gw_device_new(struct gw_device **out, const struct gw_device_params *params);
void gw_device_free(struct gw_device *device);
/* Another interface instead of the one that was lost. 0 or GW_E_NOMEM. */
int gw_device_replace(struct gw_device *device, const struct gw_tun *tun);
/* Adds the network, or replaces what is known of its gateway. 0 or GW_E_LIMIT. */
int gw_device_set_network(struct gw_device *device, const struct gw_device_network *network);
void gw_device_remove_network(struct gw_device *device, const struct gateway *gateway);

/* Each packet from the TUN that bears one of our addresses, before it goes its way; lent, and the callee's to change. peer: whose the destination is; NULL: nobody's.
 * true: it is done with. */
typedef bool gw_device_tap_fn(void *ctx, struct gw_peer *peer, uint8_t *packet, const struct gw_ip *ip,
                              const struct gw_super_hint *hint, struct gw_mono now);
/* NULL: none. */
void gw_device_set_tap(struct gw_device *device, gw_device_tap_fn *tap, void *ctx);

/* For who holds packets back in his tap: sends it to the peer as it would have gone (it may be too big); lent, and changed. */
void gw_device_forward(struct gw_device *device, struct gw_peer *peer, uint8_t *packet, size_t len,
                       const struct gw_super_hint *hint, struct gw_mono now);
/* A packet for the kernel; lent until gw_device_input_end. */
void gw_device_write(struct gw_device *device, uint8_t *packet, size_t len, bool is_partial);
/* The same for one that gw_ip_parse took. */
void gw_device_write_parsed(struct gw_device *device, uint8_t *packet, const struct gw_ip *ip,
                            bool is_partial);

const struct gw_tun *gw_device_tun(const struct gw_device *device);
const struct gw_device_stats *gw_device_stats(const struct gw_device *device);

/* Reads what the interface has now, as if its turn had come: for who must hear what the kernel has just said, before anything changes. Not from a tap, nor while lanes read. */
void gw_device_read(struct gw_device *device);

/* Lanes read the interface from now on, or no longer (frontends/tun/lanes.h): meanwhile the device only writes. */
void gw_device_set_reading(struct gw_device *device, bool is_reading);
bool gw_device_is_reading(const struct gw_device *device);
/* A packet that a lane read and could not send: changed in place. */
void gw_device_from_lane(struct gw_device *device, uint8_t *packet, size_t len,
                         const struct gw_super_hint *hint, struct gw_mono now);
/* A lane found the interface gone: err says how. */
void gw_device_lost(struct gw_device *device, int err);

/* For gw_gateway_events.on_packets_begin, on_packet and on_packets_end: same lending. */
void gw_device_input_begin(struct gw_device *device, uint8_t *bytes, size_t len);
void gw_device_input(struct gw_device *device, struct gw_peer *peer, uint8_t *packet, size_t len,
                     bool is_partial);
void gw_device_input_end(struct gw_device *device);

#endif

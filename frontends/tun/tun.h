/* SPDX-License-Identifier: MIT */
/* An open TUN interface: whole IP packets, and where the kernel can, bursts of one flow under one header. One implementation for each system
 * (tun_linux.c, tun_darwin.c); an interface that somebody else opened (an app on a phone, a container, `ip tuntap ... user`) comes in by
 * its descriptor (tun_fd.c). Addresses, routes and MTU are not its business: see netconf.h. */
#ifndef FRONTENDS_TUN_TUN_H
#define FRONTENDS_TUN_TUN_H

#include "gateway/packet/coalesce.h"
#include "gateway/packet/super.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define GW_TUN_NAME_MAX 15u
/* Room before the packet for what the kernel puts there. */
#define GW_TUN_HEADROOM GW_SUPER_HEADROOM
#define GW_TUN_BUFFER (GW_TUN_HEADROOM + GW_SUPER_MAX + 1u)

/* What the kernel agreed to hand over unfinished. */
enum gw_tun_offload {
    GW_TUN_CHECKSUM = 1, /* layer-4 checksums left out, both ways */
    GW_TUN_TCP = 2,      /* TCP bursts, both ways */
    GW_TUN_UDP = 4,      /* UDP bursts, both ways */
};

struct gw_tun {
    int fd;                         /* -1: not open */
    char name[GW_TUN_NAME_MAX + 1]; /* "" when not known */
    unsigned index;                 /* of the interface; 0 when not known */
    unsigned offload;               /* gw_tun_offload bits */
    uint8_t header_len;             /* bytes before each packet: virtio-net's, or a family; 0 = none */
    bool is_adopted;                /* opened by somebody else */
    bool has_queues;                /* gw_tun_open_queue may add some */
};

/* Makes the interface `name` (or takes a persistent one of that name) and opens it, not blocking. with_queues: so that several may read it, where that can be.
 * 0, or -errno with a sentence in why[]. */
int gw_tun_open(struct gw_tun *tun, const char *name, bool with_queues, char *why, size_t why_len);
/* One more queue of an open interface, with the same offloads. The kernel keeps the packets of a flow in one queue. 0, or -errno: -EOPNOTSUPP when it has no queues. */
int gw_tun_open_queue(struct gw_tun *queue, const struct gw_tun *tun);
/* Takes over an open descriptor and finds out what it does. -ENOTTY: it is no TUN. */
int gw_tun_adopt(struct gw_tun *tun, int fd, char *why, size_t why_len);
/* Closes; an interface that we made is gone then. */
void gw_tun_close(struct gw_tun *tun);

/* One packet into buffer (GW_TUN_BUFFER bytes): *packet points into it. Its length; 0 for one that makes no sense and was thrown away; -EAGAIN when
 * there is none; another -errno. */
ssize_t gw_tun_read(const struct gw_tun *tun, uint8_t *buffer, uint8_t **packet, struct gw_super_hint *hint);
/* Hands one over. 0, or -errno: it is lost. */
int gw_tun_write(const struct gw_tun *tun, const struct gw_merged *merged);
/* The same for a packet in one piece. */
int gw_tun_write_packet(const struct gw_tun *tun, const uint8_t *packet, size_t len);

/* Packets that the kernel dropped because nobody read them in time; 0 where it does not tell. */
uint64_t gw_tun_dropped(const struct gw_tun *tun);

/* The system's part of gw_tun_adopt: header_len, offload, name, index of tun->fd. 0, or -errno. */
int gw_tun_inspect(struct gw_tun *tun);

#endif

/* SPDX-License-Identifier: MIT */
/* IP packets on one side, connections on the other. One stack a process (lwIP's state is global), with one link for each gateway: two networks may use the
 * same addresses. Which peer a source address belongs to was decided before (cryptokey routing). Sans-IO: packets, `now` and a deadline; nothing blocks.
 *
 * Turn: gw_netstack_link_input for each packet of a train, gw_netstack_flush at its end; gw_netstack_expire when gw_netstack_next_deadline is due. Packets out come by
 * gw_netstack_link_params.output in batches, from within any gw_netstack_ or gw_connection_ call.
 *
 * lwIP does TCP only. UDP, ICMP echo, fragments, checksums and refusals are netstack/'s own. */
#ifndef NETSTACK_NETSTACK_H
#define NETSTACK_NETSTACK_H

#include "gateway/base/random.h"
#include "gateway/packet/ip.h"
#include "netstack/connection.h"

struct gw_netstack;

#define GW_NETSTACK_LINKS_MAX 128u
#define GW_NETSTACK_ADDRESSES_MAX 20u
#define GW_NETSTACK_MTU_MIN 576u

struct gw_netstack_params {
    struct gw_random *random;
    uint32_t max_connections;  /* TCP, those that are only being wound up not counted; 0 = 2000 */
    uint32_t max_half_open;    /* offers and handshakes under way; 0 = 256 */
    uint32_t max_associations; /* UDP; 0 = 4096 */
    int64_t udp_idle_ns;       /* 0 = 120 s */
    uint64_t window_budget; /* receive windows of all connections beyond the first 16 KB of each; 0 = 64 MB */
    uint64_t
        send_budget; /* unacknowledged bytes of all connections beyond the first 64 KB of each; 0 = 64 MB */
};

/* 0, GW_E_NOMEM, -EEXIST (there is one in this process). */
int gw_netstack_new(struct gw_netstack **out, const struct gw_netstack_params *params, struct gw_mono now);
/* Both budgets from now on; connections that hold more than that keep it until they have used it up. */
void gw_netstack_set_budget(struct gw_netstack *stack, uint64_t bytes);
/* Connections end with SHUTTING_DOWN (RST on the wire), links with them. NULL is fine. */
void gw_netstack_free(struct gw_netstack *stack, struct gw_mono now);

/* GW_NEVER when nothing lives. */
struct gw_mono gw_netstack_next_deadline(const struct gw_netstack *stack);
void gw_netstack_expire(struct gw_netstack *stack, struct gw_mono now);

/* ---- links */

/* A whole IP packet, lent and the callee's to change until the callback returns. */
struct gw_netstack_packet {
    uint8_t *data;
    size_t len;
    bool
        is_checksum_left; /* the layer-4 checksum is not filled in: gw_checksum_complete, or carry it so to a peer of ours */
};

struct gw_netstack_link_params {
    /* Packets out, in order; those of one connection follow each other. Must not call back into the netstack. */
    void (*output)(struct gw_netstack_link *link, const struct gw_netstack_packet *packets, unsigned count,
                   struct gw_mono now, void *ctx);
    /* A SYN, or the first datagram of an association: gw_connection_accept or gw_connection_refuse it, now or later. */
    void (*on_connection)(struct gw_netstack_link *link, struct gw_connection *offer, struct gw_mono now,
                          void *ctx);
    void *ctx;
    uint16_t mtu;          /* of packets to peers whose path says nothing else; 0 = 1280 */
    bool leaves_checksums; /* output may get is_checksum_left */
    bool
        takes_all; /* offers for any destination address (tun.accelerate); else those of gw_netstack_link_add_address only */
};

/* 0, GW_E_NOMEM, GW_E_LIMIT. */
int gw_netstack_link_new(struct gw_netstack_link **out, struct gw_netstack *stack,
                         const struct gw_netstack_link_params *params, struct gw_mono now);
/* Its connections end with UNREACHABLE (RST on the wire). */
void gw_netstack_link_free(struct gw_netstack_link *link, struct gw_mono now);

/* An address of this node: its ICMP echo requests are answered, its ports offered. The port is ignored. 0, GW_E_LIMIT. */
int gw_netstack_link_add_address(struct gw_netstack_link *link, const struct gw_addr *address);
void gw_netstack_link_clear_addresses(struct gw_netstack_link *link);
bool gw_netstack_link_has_address(const struct gw_netstack_link *link, const struct gw_addr *address);
/* Offers for exactly this address and port go to fn instead of on_connection (DNS on its fixed address); adds the address. 0, GW_E_LIMIT (16). */
typedef void gw_netstack_link_listen_fn(struct gw_netstack_link *link, struct gw_connection *offer,
                                        struct gw_mono now, void *ctx);
int gw_netstack_link_listen(struct gw_netstack_link *link, const struct gw_addr *address, bool is_udp,
                            gw_netstack_link_listen_fn *fn, void *ctx);

/* Does it belong to a connection or offer of the link? For a packet that gw_ip_parse took; fragments belong to none. */
bool gw_netstack_link_has_connection(const struct gw_netstack_link *link, const uint8_t *packet,
                                     const struct gw_ip *ip);
/* What connections out are from: the first address of the family that was added, port 0. false = there is none. */
bool gw_netstack_link_source(const struct gw_netstack_link *link, uint8_t family, struct gw_addr *out);

/* ---- packets in */

/* One packet (or a TCP super-packet of up to 64 KB) whose source was checked. Lent, and changed, until gw_netstack_flush: contiguous segments of a
 * train are taken as one. peer: whom it came from, kept with the connections that it opens. mtu: of the path to it, 0 = the link's. is_partial: the
 * layer-4 checksum is not filled in; otherwise it is verified. */
void gw_netstack_link_input(struct gw_netstack_link *link, struct gw_mono now, uint8_t *packet, size_t len,
                            bool is_partial, void *peer, uint16_t mtu);
void gw_netstack_flush(struct gw_netstack *stack, struct gw_mono now);

/* ---- connections out */

struct gw_netstack_connect_params {
    struct gw_netstack_link *link;
    void *peer;          /* as in gw_netstack_link_input */
    struct gw_addr from; /* a virtual address of ours; port 0 = any */
    struct gw_addr to;
    bool is_udp;
    uint16_t mtu; /* 0 = the link's */
    const struct gw_connection_ops *ops;
    void *user;
};
/* TCP: on_connected or on_closed follows; bytes may be written from then on. UDP: ready. 0, GW_E_NOMEM, GW_E_LIMIT, GW_E_INVAL (families), -EADDRINUSE. */
int gw_netstack_connect(struct gw_connection **out, struct gw_mono now,
                        const struct gw_netstack_connect_params *params);

/* Every connection of that peer ends with `reason` (removed, or its addresses changed). */
void gw_netstack_link_drop_peer(struct gw_netstack_link *link, struct gw_mono now, const void *peer,
                                enum gw_reason reason);
/* The path to the peer carries packets of this size now: what is written from here on keeps to it. */
void gw_netstack_link_set_peer_mtu(struct gw_netstack_link *link, const void *peer, uint16_t mtu);

/* ---- what it counts */

struct gw_netstack_stats {
    uint32_t connections, half_open, winding_up, associations; /* now */
    uint64_t packets_in, packets_out, bytes_in, bytes_out;     /* TCP and UDP payload for bytes */
    uint64_t segments_merged;                                  /* taken with the one before */
    uint64_t accepted, connected, refused, echoes;
    uint64_t dropped_malformed; /* not IP, lengths, checksums, zero ports */
    uint64_t dropped_martian;   /* source or destination no packet may have */
    uint64_t
        dropped_foreign; /* not for an address of the link, a protocol we do not speak, another peer's connection */
    uint64_t dropped_fragment;         /* overlapping, too many, too late */
    uint64_t dropped_limit;            /* no room for another connection, or its queue full */
    uint64_t evicted;                  /* half-open or idle ones that made room */
    uint64_t window_bytes, send_bytes; /* of the budgets */
};
void gw_netstack_stats(const struct gw_netstack *stack, struct gw_netstack_stats *out);

#endif

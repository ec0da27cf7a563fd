/* SPDX-License-Identifier: MIT */
/* Inbound: packets of one TCP or UDP flow that follow each other become one super-packet for the TUN (what GRO does), in the bytes they were lent in. Only
 * what the receiver could not tell from a burst by its own network card is merged: equal headers but for length, identification, sequence and
 * checksum; equal sizes but the last, which is no longer; TCP: no flag but ACK, and PSH at the end; contiguous; UDP: a checksum. Order within a flow is
 * kept. */
#ifndef GATEWAY_PACKET_COALESCE_H
#define GATEWAY_PACKET_COALESCE_H

#include "gateway/packet/ip.h"

#include <sys/uio.h>

#define GW_COALESCE_RUNS 4u    /* flows at once */
#define GW_COALESCE_PIECES 64u /* packets in a super-packet: a train's */

/* A packet or super-packet ready for the TUN. iov[0] is the header with all that follows it in the first packet; lent. */
struct gw_merged {
    const struct iovec *iov;
    int iov_count;
    uint32_t len;         /* of all */
    uint16_t segment_len; /* 0 = a single packet */
    uint8_t version, protocol;
    uint16_t header_len;                      /* IP and layer 4 */
    uint16_t checksum_start, checksum_offset; /* when is_checksum_left: offsets as in a virtio-net header */
    bool is_checksum_left;
};
typedef void gw_merged_fn(const struct gw_merged *merged, void *ctx);

struct gw_coalesce_run {
    bool is_used;
    struct gw_ip ip;
    uint8_t *head; /* the first packet */
    bool is_partial;
    uint32_t next_seq, len;
    uint16_t segment_len, last_len, count; /* count: packets */
    uint16_t pieces;                       /* of iov; each is bytes that follow each other */
    const uint8_t *end;                    /* of the last packet, where it was lent */
    struct iovec iov[GW_COALESCE_PIECES];
};

struct gw_coalescer {
    gw_merged_fn *emit;
    void *ctx;
    /* What the TUN cannot take (false after gw_coalesce_init): packets go one by one then, and what is left out is filled in. */
    bool takes_no_bursts, takes_no_partial;
    bool takes_datagram_bursts; /* those of UDP as well; false after gw_coalesce_init */
    unsigned next_victim;
    const struct gw_coalesce_run *last; /* which took the packet before, if one did */
    const uint8_t *lent, *lent_end;     /* gw_coalesce_lend; NULL: only the packets are */
    struct gw_coalesce_run runs[GW_COALESCE_RUNS];
};

void gw_coalesce_init(struct gw_coalescer *coalescer, gw_merged_fn *emit, void *ctx);
/* Until gw_coalesce_flush all these bytes are lent, too, for packets among them: what is between those that become one may be overwritten, unless it is more than
 * two sealed datagrams have between their inner bytes. */
void gw_coalesce_lend(struct gw_coalescer *coalescer, const uint8_t *bytes, size_t len);
/* One packet, lent until gw_coalesce_flush and changed in place (header fields). is_partial: its layer-4 checksum is left out. Malformed ones are refused: false. */
bool gw_coalesce_add(struct gw_coalescer *coalescer, uint8_t *packet, size_t len, bool is_partial);
/* The same for one that gw_ip_parse took. */
void gw_coalesce_add_parsed(struct gw_coalescer *coalescer, uint8_t *packet, const struct gw_ip *ip,
                            bool is_partial);
/* Does `next` go on where `packet` ends, two parsed TCP packets or bursts (each under one header) that a coalescer would make one of but for PSH? */
bool gw_coalesce_is_next(const uint8_t *packet, const struct gw_ip *ip, const uint8_t *next,
                         const struct gw_ip *next_ip);
/* The train is over: emits what is held. */
void gw_coalesce_flush(struct gw_coalescer *coalescer);

#endif

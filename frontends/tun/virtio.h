/* SPDX-License-Identifier: MIT */
/* The header before each packet of a TUN with IFF_VNET_HDR (virtio 1.2, 5.1.6), in the machine's byte order. */
#ifndef FRONTENDS_TUN_VIRTIO_H
#define FRONTENDS_TUN_VIRTIO_H

#include "gateway/packet/coalesce.h"
#include "gateway/packet/super.h"

#define GW_VIRTIO_HEADER_LEN 10u

struct gw_virtio_header {
    uint8_t flags;
    uint8_t gso_type;
    uint16_t header_len;
    uint16_t gso_size;
    uint16_t checksum_start;
    uint16_t checksum_offset;
};
static_assert(sizeof(struct gw_virtio_header) == GW_VIRTIO_HEADER_LEN, "as the kernel has it");

/* What the header says of the packet behind it, in our words. A checksum that is left out elsewhere than in a TCP or UDP header is completed in place.
 * 0, or GW_E_MALFORMED: it does not fit the packet. */
int gw_virtio_decode(struct gw_super_hint *hint, const struct gw_virtio_header *header, uint8_t *packet,
                     size_t len);
void gw_virtio_encode(struct gw_virtio_header *header, const struct gw_merged *merged);

#endif

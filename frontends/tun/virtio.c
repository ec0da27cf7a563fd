/* SPDX-License-Identifier: MIT */
/* virtio-net headers; see virtio.h. */
#include "frontends/tun/virtio.h"

#include "gateway/base/err.h"

#define NEEDS_CHECKSUM 1u

#define GSO_NONE 0u
#define GSO_TCP4 1u
#define GSO_TCP6 4u
#define GSO_UDP 5u
#define GSO_ECN 0x80u

/* Somebody else's layer 4 (SCTP's is no such sum and never left out; a tunnel's inner one may be): done here, the engine knows TCP and UDP only. */
static int complete_elsewhere(const struct gw_virtio_header *header, uint8_t *packet, size_t len)
{
    size_t start = header->checksum_start, at = start + header->checksum_offset;
    if (start >= len || at + 2 > len)
        return GW_E_MALFORMED;
    gw_store16_be(packet + at, (uint16_t)~gw_checksum_fold(gw_checksum_add(0, packet + start, len - start)));
    return 0;
}

static int decode_checksum(struct gw_super_hint *hint, const struct gw_virtio_header *header, uint8_t *packet,
                           size_t len)
{
    struct gw_ip ip;
    if (gw_ip_parse(&ip, packet, len) != 0)
        return GW_E_MALFORMED;
    size_t offset = ip.is_fragment ? 0 : gw_checksum_offset(ip.protocol);
    hint->is_checksum_left =
        offset != 0 && header->checksum_start == ip.l4 && header->checksum_offset == offset;
    return hint->is_checksum_left ? 0 : complete_elsewhere(header, packet, ip.total_len);
}

int gw_virtio_decode(struct gw_super_hint *hint, const struct gw_virtio_header *header, uint8_t *packet,
                     size_t len)
{
    unsigned type = header->gso_type & ~GSO_ECN;
    *hint = (struct gw_super_hint){0};
    if (type != GSO_NONE && type != GSO_TCP4 && type != GSO_TCP6 && type != GSO_UDP)
        return GW_E_MALFORMED;
    if (header->flags & NEEDS_CHECKSUM) {
        int err = decode_checksum(hint, header, packet, len);
        if (err)
            return err;
    }
    if (type == GSO_NONE)
        return 0;
    hint->segment_len = header->gso_size;
    return header->gso_size > 0 && hint->is_checksum_left ? 0 : GW_E_MALFORMED;
}

void gw_virtio_encode(struct gw_virtio_header *header, const struct gw_merged *merged)
{
    *header = (struct gw_virtio_header){.header_len = merged->header_len};
    if (merged->is_checksum_left) {
        header->flags = NEEDS_CHECKSUM;
        header->checksum_start = merged->checksum_start;
        header->checksum_offset = merged->checksum_offset;
    }
    if (merged->segment_len > 0) {
        header->gso_type = merged->protocol == GW_IP_UDP ? GSO_UDP
                           : merged->version == 6        ? GSO_TCP6
                                                         : GSO_TCP4;
        header->gso_size = merged->segment_len;
    }
}

/* SPDX-License-Identifier: MIT */
/* Packets on their way out: gathered in one buffer for the length of a call, so that those of a connection can be coalesced again or make a train, and
 * with the checksums that the link wants. */
#include "gateway/base/err.h"
#include "netstack/private.h"

#include <string.h>

#define TTL 64u

void ns_out_flush(struct gw_netstack *stack)
{
    struct out *out = &stack->out;
    struct gw_netstack_link *link = out->link;
    if (out->count == 0)
        return;
    unsigned count = out->count;
    out->link = NULL;
    out->count = 0;
    out->used = 0;
    link->params.output(link, out->packets, count, stack->now, link->params.ctx);
}

uint8_t *ns_out(struct gw_netstack_link *link, size_t len)
{
    struct out *out = &link->stack->out;
    if (len > OUT_BYTES)
        return NULL;
    if (out->count && (out->link != link || out->count == OUT_PACKETS || out->used + len > OUT_BYTES))
        ns_out_flush(link->stack);
    out->link = link;
    return out->bytes + out->used;
}

void ns_out_done(struct gw_netstack_link *link, size_t len, bool has_l4)
{
    struct out *out = &link->stack->out;
    struct gw_netstack_packet *packet = &out->packets[out->count++];
    struct gw_ip ip;
    *packet = (struct gw_netstack_packet){.data = out->bytes + out->used, .len = len};
    out->used += (len + 7) & ~(size_t)7;
    link->stack->stats.packets_out++;
    if (packet->data[0] >> 4 == 4)
        gw_checksum_ip_header(packet->data, GW_IP_V4_HEADER);
    if (!has_l4 || gw_ip_parse(&ip, packet->data, len) != 0)
        return;
    packet->is_checksum_left = link->params.leaves_checksums;
    if (packet->is_checksum_left)
        gw_checksum_prepare(packet->data, &ip, len - ip.l4);
    else
        gw_checksum_complete(packet->data, &ip);
}

size_t ns_out_header(struct gw_netstack_link *link, uint8_t *packet, const struct gw_addr *from,
                     const struct gw_addr *to, uint8_t protocol, size_t payload_len)
{
    if (from->family == 6) {
        gw_store32_be(packet, 6u << 28);
        gw_store16_be(packet + 4, (uint16_t)payload_len);
        packet[6] = protocol;
        packet[7] = TTL;
        memcpy(packet + 8, from->ip, 16);
        memcpy(packet + 24, to->ip, 16);
        return GW_IP_V6_HEADER;
    }
    memset(packet, 0, GW_IP_V4_HEADER);
    packet[0] = 0x45;
    gw_store16_be(packet + 2, (uint16_t)(GW_IP_V4_HEADER + payload_len));
    gw_store16_be(packet + 4, link->ip_id++);
    packet[8] = TTL;
    packet[9] = protocol;
    memcpy(packet + 12, from->ip, 4);
    memcpy(packet + 16, to->ip, 4);
    return GW_IP_V4_HEADER;
}

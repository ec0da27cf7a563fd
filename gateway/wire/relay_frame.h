/* SPDX-License-Identifier: MIT */
/* Type 6: a datagram of somebody else's session on its way through a relay. The relay changes the header in place and nothing else
 * (docs/PROTOCOL.md, "Relay"). */
#ifndef GATEWAY_WIRE_RELAY_FRAME_H
#define GATEWAY_WIRE_RELAY_FRAME_H

#include "gateway/wire/message.h"

#include <stdbool.h>

#define GW_RELAY_KEY_LEN 16u
#define GW_RELAY_MAC_LEN 8u
#define GW_RELAY_HEADER_LEN 16u

/* 06 00 00 00 | channel le32 | mac 8 | inner datagram */
struct gw_relay_header {
    uint8_t type[4];
    uint8_t channel[4];
    uint8_t mac[GW_RELAY_MAC_LEN];
};
static_assert(sizeof(struct gw_relay_header) == GW_RELAY_HEADER_LEN, "docs/PROTOCOL.md, Relay");
#define GW_RELAY_MIN_LEN (GW_RELAY_HEADER_LEN + GW_DATA_MIN_LEN)

/* Writes the header of a frame of `len` bytes (its own included; at least GW_RELAY_MIN_LEN), whose inner datagram is there already. */
void gw_relay_frame_write(uint8_t *frame, size_t len, uint32_t channel, const uint8_t key[GW_RELAY_KEY_LEN]);
/* Does the mac hold? In constant time. The frame passed gw_message_gate. */
bool gw_relay_frame_is_right(const uint8_t *frame, size_t len, const uint8_t key[GW_RELAY_KEY_LEN]);

#endif

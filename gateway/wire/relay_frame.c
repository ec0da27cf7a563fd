/* SPDX-License-Identifier: MIT */
/* SipHash-2-4 over channel, inner length and the first 16 bytes of the inner datagram: enough to tell that the client sent this frame, and
 * cheap enough to be done anew for each of a million a second. What it does not cover is the session's own to protect. */
#include "gateway/wire/relay_frame.h"

#include "gateway/wire/cursor.h"

#include <assert.h>
#include <sodium.h>

#define COVERED_INNER 16u
#define COVERED (4u + 4u + COVERED_INNER)

static_assert(crypto_shorthash_siphash24_KEYBYTES == GW_RELAY_KEY_LEN, "SipHash-2-4");
static_assert(crypto_shorthash_siphash24_BYTES == GW_RELAY_MAC_LEN, "SipHash-2-4");

static void compute(uint8_t mac[GW_RELAY_MAC_LEN], const uint8_t *frame, size_t len,
                    const uint8_t key[GW_RELAY_KEY_LEN])
{
    uint8_t covered[COVERED];
    assert(len >= GW_RELAY_MIN_LEN);
    memcpy(covered, frame + 4, 4);
    gw_store32_le(covered + 4, (uint32_t)(len - GW_RELAY_HEADER_LEN));
    memcpy(covered + 8, frame + GW_RELAY_HEADER_LEN, COVERED_INNER);
    crypto_shorthash_siphash24(mac, covered, sizeof covered, key);
}

void gw_relay_frame_write(uint8_t *frame, size_t len, uint32_t channel, const uint8_t key[GW_RELAY_KEY_LEN])
{
    gw_store32_le(frame, GW_MESSAGE_RELAY);
    gw_store32_le(frame + 4, channel);
    compute(frame + 8, frame, len, key);
}

bool gw_relay_frame_is_right(const uint8_t *frame, size_t len, const uint8_t key[GW_RELAY_KEY_LEN])
{
    uint8_t mac[GW_RELAY_MAC_LEN];
    compute(mac, frame, len, key);
    return sodium_memcmp(mac, frame + 8, sizeof mac) == 0;
}

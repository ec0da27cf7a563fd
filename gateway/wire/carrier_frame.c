/* SPDX-License-Identifier: MIT */
/* The framing of carriers. */
#include "gateway/wire/carrier_frame.h"

#include "gateway/wire/cursor.h"
#include "gateway/wire/message.h"

#include <assert.h>
#include <string.h>

static bool is_http(const uint8_t *gate)
{
    static const char *const methods[] = {"GET ", "HEAD", "POST", "PUT ", "OPTI", "CONN", "PRI ", "DELE"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (memcmp(gate, methods[i], 4) == 0)
            return true;
    }
    return false;
}

enum gw_carrier_frame gw_carrier_frame_look(const uint8_t gate[GW_CARRIER_GATE_LEN], size_t have, size_t *len)
{
    *len = 0;
    if (have < GW_CARRIER_GATE_LEN)
        return GW_CARRIER_FRAME_MORE;
    size_t claimed = gw_load16_be(gate);
    if (is_http(gate))
        return GW_CARRIER_FRAME_HTTP;
    if (claimed < GW_CARRIER_MIN || claimed > GW_CARRIER_MAX)
        return GW_CARRIER_FRAME_WRONG;
    enum gw_message_type type = gw_message_gate(gate + GW_CARRIER_HEADER_LEN, claimed);
    if (type == GW_MESSAGE_NONE || type == GW_MESSAGE_PROBE || type == GW_MESSAGE_ADMIT ||
        type == GW_MESSAGE_STUN)
        return GW_CARRIER_FRAME_WRONG;
    *len = claimed;
    return have < GW_CARRIER_HEADER_LEN + claimed ? GW_CARRIER_FRAME_MORE : GW_CARRIER_FRAME_WHOLE;
}

void gw_carrier_frame_write(uint8_t header[GW_CARRIER_HEADER_LEN], size_t len)
{
    assert(len >= GW_CARRIER_MIN && len <= GW_CARRIER_MAX);
    gw_store16_be(header, (uint16_t)len);
}

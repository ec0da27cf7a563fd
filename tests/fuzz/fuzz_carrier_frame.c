/* SPDX-License-Identifier: MIT */
/* The framing of carriers, as gateway/link/carriers.c reads it: in pieces of any size a stream gives the same frames as in one; each is whole and of a length that may be; what
 * our own writer makes of them reads the same; and it ends at the first wrong byte, whatever follows. */
#include "gateway/wire/carrier_frame.h"
#include "gateway/wire/message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum gw_carrier_frame last;
    size_t used, frames;
};

/* Reads from data what is there, as it comes in pieces of `piece` bytes. */
static struct outcome read_stream(const uint8_t *data, size_t size, size_t piece)
{
    struct outcome out = {GW_CARRIER_FRAME_MORE, 0, 0};
    for (size_t there = 0; there < size;) {
        there = size - there < piece ? size : there + piece;
        for (;;) {
            uint8_t gate[GW_CARRIER_GATE_LEN] = {0};
            size_t have = there - out.used, len;
            memcpy(gate, data + out.used, have < sizeof gate ? have : sizeof gate);
            out.last = gw_carrier_frame_look(gate, have, &len);
            if (out.last == GW_CARRIER_FRAME_HTTP || out.last == GW_CARRIER_FRAME_WRONG)
                return out;
            if (out.last == GW_CARRIER_FRAME_MORE)
                break;
            assert(len >= GW_CARRIER_MIN && len <= GW_CARRIER_MAX && GW_CARRIER_HEADER_LEN + len <= have);
            assert(gw_message_gate(data + out.used + GW_CARRIER_HEADER_LEN, len) != GW_MESSAGE_NONE);
            uint8_t header[GW_CARRIER_HEADER_LEN];
            gw_carrier_frame_write(header, len);
            assert(memcmp(header, data + out.used, sizeof header) == 0);
            out.used += GW_CARRIER_HEADER_LEN + len;
            out.frames++;
        }
    }
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    size_t piece = data[0] + 1u;
    data++, size--;
    struct outcome whole = read_stream(data, size, size + 1), pieces = read_stream(data, size, piece);
    assert(whole.last == pieces.last && whole.used == pieces.used && whole.frames == pieces.frames);
    return 0;
}

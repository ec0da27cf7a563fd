/* SPDX-License-Identifier: MIT */
/* The gate reads no byte that is not there, and what it lets through has the length that its struct needs. */
#include "gateway/wire/message.h"

#include "gateway/wire/probe.h"
#include "gateway/wire/relay_frame.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t least_len(enum gw_message_type type)
{
    switch (type) {
    case GW_MESSAGE_INITIATION:
        return sizeof(struct gw_initiation);
    case GW_MESSAGE_RESPONSE:
        return sizeof(struct gw_response);
    case GW_MESSAGE_COOKIE_REPLY:
        return sizeof(struct gw_cookie_reply);
    case GW_MESSAGE_DATA:
        return sizeof(struct gw_data_header) + 16;
    case GW_MESSAGE_FAST_DATA:
        return sizeof(struct gw_data_header) + 32;
    case GW_MESSAGE_RELAY:
        return GW_RELAY_MIN_LEN;
    case GW_MESSAGE_PROBE:
        return GW_PROBE_LEN;
    default:
        abort(); /* not one that exists */
    }
}

/* What is understood of a probe is what would be written of it. */
static void look_at_probe(const uint8_t *data)
{
    struct gw_probe probe, again;
    uint8_t out[GW_PROBE_LEN];
    if (gw_probe_decode(&probe, data) != 0)
        return;
    gw_probe_encode(out, &probe);
    assert(gw_probe_decode(&again, out) == 0);
    assert(again.seq == probe.seq && again.role == probe.role && again.is_reply == probe.is_reply &&
           again.by_other_port == probe.by_other_port && gw_addr_equal(&again.seen, &probe.seen) &&
           memcmp(again.token, probe.token, GW_TOKEN_ID_LEN) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum gw_message_type type = gw_message_gate(data, size);
    if (type == GW_MESSAGE_NONE)
        return 0;
    assert(size >= least_len(type));
    assert(data[0] == type);
    if (type == GW_MESSAGE_PROBE)
        look_at_probe(data);
    return 0;
}

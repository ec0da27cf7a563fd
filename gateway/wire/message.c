/* SPDX-License-Identifier: MIT */
/* The gate that every datagram passes first: is it one of ours, by its first bytes and length? */
#include "gateway/wire/message.h"

#include "gateway/wire/cursor.h"
#include "gateway/wire/probe.h"
#include "gateway/wire/relay_frame.h"

#define FIRST_SUITE 1
#define LAST_SUITE 2

static enum gw_message_type if_true(bool ok, enum gw_message_type type)
{
    return ok ? type : GW_MESSAGE_NONE;
}

/* 05 suite epoch 00 */
static enum gw_message_type gate_fast_data(const uint8_t *datagram, size_t len)
{
    bool ok = len >= GW_FAST_DATA_MIN_LEN && datagram[1] >= FIRST_SUITE && datagram[1] <= LAST_SUITE &&
              datagram[3] == 0;
    return if_true(ok, GW_MESSAGE_FAST_DATA);
}

enum gw_message_type gw_message_gate(const uint8_t *datagram, size_t len)
{
    if (len < 4)
        return GW_MESSAGE_NONE;
    if (datagram[0] == GW_MESSAGE_FAST_DATA)
        return gate_fast_data(datagram, len);
    switch (gw_load32_le(datagram)) {
    case GW_MESSAGE_INITIATION:
        return if_true(len == GW_INITIATION_LEN, GW_MESSAGE_INITIATION);
    case GW_MESSAGE_RESPONSE:
        return if_true(len == GW_RESPONSE_LEN, GW_MESSAGE_RESPONSE);
    case GW_MESSAGE_COOKIE_REPLY:
        return if_true(len == GW_COOKIE_REPLY_LEN, GW_MESSAGE_COOKIE_REPLY);
    case GW_MESSAGE_DATA:
        return if_true(len >= GW_DATA_MIN_LEN, GW_MESSAGE_DATA);
    case GW_MESSAGE_RELAY:
        return if_true(len >= GW_RELAY_MIN_LEN, GW_MESSAGE_RELAY);
    case GW_MESSAGE_PROBE:
        return if_true(len == GW_PROBE_LEN, GW_MESSAGE_PROBE);
    default:
        return GW_MESSAGE_NONE;
    }
}

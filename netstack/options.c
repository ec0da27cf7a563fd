/* SPDX-License-Identifier: MIT */
/* TCP options before lwIP reads them. It believes an MSS, a window scale or a timestamp option in any segment at any time, and what is queued already no
 * longer fits what it then expects: its own assertions stop the process. So options that belong to a handshake count in the first segment of one only. */
#include "netstack/private.h"

#define KIND_END 0u
#define KIND_NOP 1u
#define KIND_MSS 2u
#define KIND_TIMESTAMP 8u
/* Below this a peer only makes work (RFC 879 says 536; paths of less than 300 bytes are gone). */
#define MSS_MIN 256u

static void blank(uint8_t *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        at[i] = KIND_NOP;
}

/* Length of the option at `at`, 0 when it does not fit. */
static size_t option_len(const uint8_t *at, const uint8_t *end)
{
    if (*at == KIND_NOP)
        return 1;
    if (end - at < 2 || at[1] < 2 || at[1] > end - at)
        return 0;
    return at[1];
}

static void raise_mss(uint8_t *option)
{
    if (gw_load16_be(option + 2) < MSS_MIN)
        gw_store16_be(option + 2, MSS_MIN);
}

void ns_options_clean(uint8_t *segment, size_t header_len, enum options options)
{
    uint8_t *at = segment + GW_TCP_HEADER, *end = segment + header_len;
    while (at < end && *at != KIND_END) {
        size_t len = option_len(at, end);
        if (len == 0)
            break;
        if (*at == KIND_MSS && len == 4 && options == OPTIONS_OF_HANDSHAKE)
            raise_mss(at);
        else if (options == OPTIONS_NONE || (options == OPTIONS_LATER && *at != KIND_TIMESTAMP))
            blank(at, len);
        at += len;
    }
    blank(at, (size_t)(end - at));
}

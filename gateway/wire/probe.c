/* SPDX-License-Identifier: MIT */
/* Type 7, read and written; see probe.h. */
#include "gateway/wire/probe.h"

#include "gateway/base/err.h"
#include "gateway/wire/cursor.h"

#include <string.h>

#define FLAG_REPLY 1u
#define FLAG_OTHER_PORT 2u

enum { AT_TOKEN = 4, AT_SEQ = 12, AT_ROLE = 16, AT_FLAGS = 17, AT_PORT = 18, AT_IP = 20, AT_MAC = 36 };
static_assert(AT_MAC == GW_PROBE_COVERED && AT_IP + 16 == AT_MAC, "docs/PROTOCOL.md, Probes");

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void gw_probe_context(uint8_t context[GW_PROBE_CONTEXT_LEN], const uint8_t secret[GW_TOKEN_SECRET_LEN],
                      const uint8_t a[32], const uint8_t b[32])
{
    bool is_a_first = memcmp(a, b, 32) < 0;
    memcpy(context, secret, GW_TOKEN_SECRET_LEN);
    memcpy(context + GW_TOKEN_SECRET_LEN, is_a_first ? a : b, 32);
    memcpy(context + GW_TOKEN_SECRET_LEN + 32, is_a_first ? b : a, 32);
}

void gw_probe_encode(uint8_t out[GW_PROBE_LEN], const struct gw_probe *probe)
{
    memset(out, 0, GW_PROBE_LEN);
    gw_store32_le(out, GW_MESSAGE_PROBE);
    memcpy(out + AT_TOKEN, probe->token, GW_TOKEN_ID_LEN);
    gw_store32_le(out + AT_SEQ, probe->seq);
    out[AT_ROLE] = probe->role;
    out[AT_FLAGS] =
        (uint8_t)((probe->is_reply ? FLAG_REPLY : 0) | (probe->by_other_port ? FLAG_OTHER_PORT : 0));
    if (!gw_addr_is_set(&probe->seen))
        return;
    out[AT_PORT] = (uint8_t)probe->seen.port;
    out[AT_PORT + 1] = (uint8_t)(probe->seen.port >> 8);
    if (probe->seen.family == 4) {
        memcpy(out + AT_IP, mapped, sizeof mapped);
        memcpy(out + AT_IP + sizeof mapped, probe->seen.ip, 4);
    } else {
        memcpy(out + AT_IP, probe->seen.ip, 16);
    }
}

static void read_seen(struct gw_addr *seen, const uint8_t *datagram)
{
    *seen = (struct gw_addr){.port = (uint16_t)(datagram[AT_PORT] | datagram[AT_PORT + 1] << 8)};
    if (seen->port == 0)
        return;
    bool is_v4 = memcmp(datagram + AT_IP, mapped, sizeof mapped) == 0;
    seen->family = is_v4 ? 4 : 6;
    memcpy(seen->ip, datagram + AT_IP + (is_v4 ? sizeof mapped : 0), is_v4 ? 4 : 16);
}

int gw_probe_decode(struct gw_probe *out, const uint8_t datagram[GW_PROBE_LEN])
{
    if (datagram[AT_ROLE] > 1 || (datagram[AT_FLAGS] & ~(FLAG_REPLY | FLAG_OTHER_PORT)) != 0)
        return GW_E_MALFORMED;
    memcpy(out->token, datagram + AT_TOKEN, GW_TOKEN_ID_LEN);
    out->seq = gw_load32_le(datagram + AT_SEQ);
    out->role = datagram[AT_ROLE];
    out->is_reply = datagram[AT_FLAGS] & FLAG_REPLY;
    out->by_other_port = datagram[AT_FLAGS] & FLAG_OTHER_PORT;
    read_seen(&out->seen, datagram);
    if (!out->is_reply)
        out->seen = (struct gw_addr){0};
    return 0;
}

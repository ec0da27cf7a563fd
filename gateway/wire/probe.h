/* SPDX-License-Identifier: MIT */
/* Type 7: a probe outside of sessions. It exists only for those who hold a token: an anchor gave it to two clients that are to reach each other, or to one that measures
 * its NAT (docs/PROTOCOL.md, "Probes"). Question and answer have one length, so that nobody is amplified. */
#ifndef GATEWAY_WIRE_PROBE_H
#define GATEWAY_WIRE_PROBE_H

#include "gateway/wire/addr.h"
#include "gateway/wire/message.h"

#define GW_TOKEN_ID_LEN 8u
#define GW_TOKEN_SECRET_LEN 16u
#define GW_TOKEN_LIFE_S 15u
#define GW_PROBE_KEY_LEN 32u
#define GW_PROBE_LEN 52u
#define GW_PROBE_LABEL "peergate probe v1"

/* 07 00 00 00 | token 8 | seq le32 | role | flags | seen port le16 | seen ip 16 | mac 16 */
struct gw_probe {
    uint8_t token[GW_TOKEN_ID_LEN];
    uint32_t seq;
    uint8_t role;        /* of the sender: 0 asked for the token, 1 is the other one, or the anchor */
    bool is_reply;       /* to the probe with this seq */
    bool by_other_port;  /* measuring: the answer is to come from the anchor's second port */
    struct gw_addr seen; /* reply: where the probe came from; else not set */
};

/* The token's secret, and the keys of both who hold it, the lower first: what gw_session_static_kdf makes a probe key of. */
#define GW_PROBE_CONTEXT_LEN (GW_TOKEN_SECRET_LEN + 64u)
void gw_probe_context(uint8_t context[GW_PROBE_CONTEXT_LEN], const uint8_t secret[GW_TOKEN_SECRET_LEN],
                      const uint8_t a[32], const uint8_t b[32]);

/* Everything but the mac, which its user computes over the first GW_PROBE_COVERED bytes (gw_mac, 16 bytes) and appends. */
#define GW_PROBE_COVERED (GW_PROBE_LEN - 16u)
void gw_probe_encode(uint8_t out[GW_PROBE_LEN], const struct gw_probe *probe);
/* Of a datagram that passed the gate. The mac is not looked at. 0, or GW_E_MALFORMED. */
int gw_probe_decode(struct gw_probe *out, const uint8_t datagram[GW_PROBE_LEN]);

#endif

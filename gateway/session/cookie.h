/* SPDX-License-Identifier: MIT */
/* mac1, mac2 and cookies (WireGuard paper 5.3 and 5.4.7; docs/PROTOCOL.md "Cookies and load"): the two 16-byte macs at the
 * end of messages 1 and 2. mac1 proves that the sender knows our public key and costs one hash to check; mac2 proves that it
 * receives at the address it sends from, and is asked for under load only. gw_cookie_checker is our side as the one
 * who is asked, one for each gateway; gw_cookie is what we keep for one peer whom we ask. Nothing here allocates. */
#ifndef GATEWAY_SESSION_COOKIE_H
#define GATEWAY_SESSION_COOKIE_H

#include "gateway/base/mono.h"
#include "gateway/base/random.h"
#include "gateway/session/crypto.h"
#include "gateway/wire/message.h"

#define GW_COOKIE_LEN 16u
#define GW_COOKIE_SECRET_MAX_AGE GW_S(120) /* the checker's secret; a cookie is good for as long */
#define GW_COOKIE_LATENCY GW_S(5)          /* so much earlier its holder stops using it */
#define GW_COOKIE_SOURCE_MAX 64u /* most bytes of a source: an address and port, or relay and channel */

struct gw_cookie_checker {
    const struct gw_crypto *crypto;
    struct gw_random *random;
    uint8_t mac1_key[GW_KEY_LEN];   /* HASH("mac1----" || our public key) */
    uint8_t cookie_key[GW_KEY_LEN]; /* HASH("cookie--" || our public key) */
    uint8_t secret[GW_HASH_LEN];    /* changes every two minutes */
    struct gw_mono secret_born;     /* GW_NEVER before the first cookie */
};

enum gw_cookie_verdict {
    GW_COOKIE_INVALID_MAC,         /* drop without a word */
    GW_COOKIE_VALID_MAC,           /* good when idle; under load it gets a cookie reply */
    GW_COOKIE_VALID_MAC_AND_COOKIE /* good, rate limit permitting */
};

/* Borrows crypto and random for life. */
void gw_cookie_checker_init(struct gw_cookie_checker *checker, const struct gw_crypto *crypto,
                            struct gw_random *random, const uint8_t public_key[GW_KEY_LEN]);
void gw_cookie_checker_fini(struct gw_cookie_checker *checker);
/* msg: an initiation or a response that passed the gate, whole. source: whatever names the place that it came from (address and
 * port, or relay and channel), at most GW_COOKIE_SOURCE_MAX bytes, the same for every message from there. */
enum gw_cookie_verdict gw_cookie_check(struct gw_cookie_checker *checker, struct gw_mono now, const void *msg,
                                       size_t len, const void *source, size_t source_len);
/* The reply to a message that gw_cookie_check called VALID_MAC. */
void gw_cookie_create_reply(struct gw_cookie_checker *checker, struct gw_mono now, const void *msg,
                            size_t len, const void *source, size_t source_len, struct gw_cookie_reply *reply);

/* What we know to put behind messages to one peer. */
struct gw_cookie {
    uint8_t mac1_key[GW_KEY_LEN];   /* HASH("mac1----" || the peer's public key) */
    uint8_t cookie_key[GW_KEY_LEN]; /* HASH("cookie--" || the peer's public key) */
    uint8_t cookie[GW_COOKIE_LEN];
    struct gw_mono received; /* GW_NEVER: no cookie */
};

void gw_cookie_init(struct gw_cookie *cookie, const uint8_t remote_public[GW_KEY_LEN]);
/* Writes the last 32 bytes of an initiation or a response: mac1, and mac2 or zeros. mac1_sent gets a copy: a reply is sealed to it. */
void gw_cookie_add_macs(const struct gw_cookie *cookie, struct gw_mono now, void *msg, size_t len,
                        uint8_t mac1_sent[GW_MAC_LEN]);
/* mac1_sent: of the message that the reply's receiver index names. False, and nothing changed, when it is no answer to that. */
__attribute__((warn_unused_result)) bool gw_cookie_consume_reply(struct gw_cookie *cookie,
                                                                 const struct gw_crypto *crypto,
                                                                 const struct gw_cookie_reply *reply,
                                                                 const uint8_t mac1_sent[GW_MAC_LEN],
                                                                 struct gw_mono now);

#endif

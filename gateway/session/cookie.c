/* SPDX-License-Identifier: MIT */
#include "gateway/session/cookie.h"

#include "gateway/base/secret.h"
#include "gateway/wire/cursor.h"

#include <assert.h>
#include <string.h>

#define MACS_LEN 32u /* mac1 || mac2, the last bytes of an initiation and of a response */
#define SENDER_AT 4u

static void label_key(uint8_t out[GW_KEY_LEN], const char *label, const uint8_t public_key[GW_KEY_LEN])
{
    gw_hash(out, label, strlen(label), public_key, GW_KEY_LEN);
}

static const uint8_t *mac1_of(const void *msg, size_t len)
{
    return (const uint8_t *)msg + len - MACS_LEN;
}

static const uint8_t *mac2_of(const void *msg, size_t len)
{
    return (const uint8_t *)msg + len - GW_MAC_LEN;
}

/* ---- the one who is asked */

void gw_cookie_checker_init(struct gw_cookie_checker *checker, const struct gw_crypto *crypto,
                            struct gw_random *random, const uint8_t public_key[GW_KEY_LEN])
{
    memset(checker, 0, sizeof *checker);
    checker->crypto = crypto;
    checker->random = random;
    label_key(checker->mac1_key, "mac1----", public_key);
    label_key(checker->cookie_key, "cookie--", public_key);
    checker->secret_born = GW_NEVER;
}

void gw_cookie_checker_fini(struct gw_cookie_checker *checker)
{
    gw_wipe(checker, sizeof *checker);
}

/* The cookie of this source for now: MAC(secret, source), with a fresh secret every two minutes. */
static void make_cookie(struct gw_cookie_checker *checker, struct gw_mono now, const void *source,
                        size_t source_len, uint8_t cookie[GW_COOKIE_LEN])
{
    assert(source_len <= GW_COOKIE_SOURCE_MAX);
    if (gw_mono_is_never(checker->secret_born) ||
        gw_mono_due(gw_mono_add(checker->secret_born, GW_COOKIE_SECRET_MAX_AGE), now)) {
        gw_random_fill(checker->random, checker->secret, sizeof checker->secret);
        checker->secret_born = now;
    }
    gw_mac(cookie, checker->secret, sizeof checker->secret, source, source_len);
}

static bool has_valid_cookie(struct gw_cookie_checker *checker, struct gw_mono now, const void *msg,
                             size_t len, const void *source, size_t source_len)
{
    uint8_t cookie[GW_COOKIE_LEN], mac2[GW_MAC_LEN];
    bool is_valid;

    if (gw_is_zero(mac2_of(msg, len), GW_MAC_LEN))
        return false; /* the usual case, spared two hashes */
    make_cookie(checker, now, source, source_len, cookie);
    gw_mac(mac2, cookie, sizeof cookie, msg, len - GW_MAC_LEN);
    is_valid = gw_secret_equal(mac2, mac2_of(msg, len), GW_MAC_LEN);
    gw_wipe(cookie, sizeof cookie);
    return is_valid;
}

enum gw_cookie_verdict gw_cookie_check(struct gw_cookie_checker *checker, struct gw_mono now, const void *msg,
                                       size_t len, const void *source, size_t source_len)
{
    uint8_t mac1[GW_MAC_LEN];

    assert(len > MACS_LEN);
    gw_mac(mac1, checker->mac1_key, GW_KEY_LEN, msg, len - MACS_LEN);
    if (!gw_secret_equal(mac1, mac1_of(msg, len), GW_MAC_LEN))
        return GW_COOKIE_INVALID_MAC;
    return has_valid_cookie(checker, now, msg, len, source, source_len) ? GW_COOKIE_VALID_MAC_AND_COOKIE
                                                                        : GW_COOKIE_VALID_MAC;
}

void gw_cookie_create_reply(struct gw_cookie_checker *checker, struct gw_mono now, const void *msg,
                            size_t len, const void *source, size_t source_len, struct gw_cookie_reply *reply)
{
    uint8_t cookie[GW_COOKIE_LEN];

    memcpy(reply->type, (const uint8_t[4]){GW_MESSAGE_COOKIE_REPLY, 0, 0, 0}, sizeof reply->type);
    memcpy(reply->receiver, (const uint8_t *)msg + SENDER_AT, sizeof reply->receiver);
    gw_random_fill(checker->random, reply->nonce, sizeof reply->nonce);
    make_cookie(checker, now, source, source_len, cookie);
    checker->crypto->xseal(reply->encrypted_cookie, cookie, sizeof cookie, mac1_of(msg, len), GW_MAC_LEN,
                           reply->nonce, checker->cookie_key);
    gw_wipe(cookie, sizeof cookie);
}

/* ---- the one who asks */

void gw_cookie_init(struct gw_cookie *cookie, const uint8_t remote_public[GW_KEY_LEN])
{
    memset(cookie, 0, sizeof *cookie);
    label_key(cookie->mac1_key, "mac1----", remote_public);
    label_key(cookie->cookie_key, "cookie--", remote_public);
    cookie->received = GW_NEVER;
}

static bool is_usable(const struct gw_cookie *cookie, struct gw_mono now)
{
    const struct gw_mono end = gw_mono_add(cookie->received, GW_COOKIE_SECRET_MAX_AGE - GW_COOKIE_LATENCY);

    return !gw_mono_is_never(cookie->received) && gw_mono_before(now, end);
}

void gw_cookie_add_macs(const struct gw_cookie *cookie, struct gw_mono now, void *msg, size_t len,
                        uint8_t mac1_sent[GW_MAC_LEN])
{
    uint8_t *const mac1 = (uint8_t *)msg + len - MACS_LEN;
    uint8_t *const mac2 = mac1 + GW_MAC_LEN;

    gw_mac(mac1, cookie->mac1_key, GW_KEY_LEN, msg, len - MACS_LEN);
    memcpy(mac1_sent, mac1, GW_MAC_LEN);
    if (is_usable(cookie, now))
        gw_mac(mac2, cookie->cookie, GW_COOKIE_LEN, msg, len - GW_MAC_LEN);
    else
        memset(mac2, 0, GW_MAC_LEN);
}

bool gw_cookie_consume_reply(struct gw_cookie *cookie, const struct gw_crypto *crypto,
                             const struct gw_cookie_reply *reply, const uint8_t mac1_sent[GW_MAC_LEN],
                             struct gw_mono now)
{
    uint8_t value[GW_COOKIE_LEN];

    if (!crypto->xopen(value, reply->encrypted_cookie, sizeof reply->encrypted_cookie, mac1_sent, GW_MAC_LEN,
                       reply->nonce, cookie->cookie_key))
        return false;
    memcpy(cookie->cookie, value, sizeof value);
    cookie->received = now;
    gw_wipe(value, sizeof value);
    return true;
}

/* SPDX-License-Identifier: MIT */
/* For the benchmarks only: the daemon with seals that seal nothing, which shows what all the rest costs. It takes the place of gw_crypto_system at link time, in a
 * program of its own (null_seal.cmake): no line of the product knows of it. */
#include "gateway/session/crypto.h"

#include <stdio.h>
#include <string.h>

const struct gw_crypto *__real_gw_crypto_system(void);
const struct gw_crypto *__wrap_gw_crypto_system(void);

static void copy(uint8_t *dst, const uint8_t *src, size_t len)
{
    if (dst != src)
        memmove(dst, src, len);
}

static void seal(uint8_t *dst, uint8_t *tag, size_t tag_len, const uint8_t *src, size_t len)
{
    copy(dst, src, len);
    memset(tag, 0, tag_len);
}

#define NULL_SEAL(name, tag_len)                                                                           \
    static void name##_seal(uint8_t *dst, uint8_t *tag, const uint8_t *src, size_t len, const uint8_t *ad, \
                            size_t ad_len, const uint8_t *nonce, const uint8_t *key)                       \
    {                                                                                                      \
        (void)ad, (void)ad_len, (void)nonce, (void)key;                                                    \
        seal(dst, tag, tag_len, src, len);                                                                 \
    }
NULL_SEAL(chacha, GW_TAG_LEN_CHACHA)
NULL_SEAL(aegis, GW_TAG_LEN_AEGIS)
#undef NULL_SEAL

static bool open_nothing(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *tag, const uint8_t *ad,
                         size_t ad_len, const uint8_t *nonce, const uint8_t *key)
{
    (void)tag, (void)ad, (void)ad_len, (void)nonce, (void)key;
    copy(dst, src, len);
    return true;
}

const struct gw_crypto *__wrap_gw_crypto_system(void)
{
    static struct gw_crypto null;
    const struct gw_crypto *real = __real_gw_crypto_system();
    if (!real || null.dh)
        return real ? &null : NULL;
    fputs("this program seals nothing: it is for benchmarks\n", stderr);
    null = *real;
    for (unsigned i = 0; i < GW_SUITE_COUNT; i++) {
        null.aead[i].seal = i == GW_SUITE_CHACHA20_POLY1305 ? chacha_seal : aegis_seal;
        null.aead[i].open = open_nothing;
    }
    return &null;
}

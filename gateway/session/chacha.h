/* SPDX-License-Identifier: MIT */
/* ChaCha20-Poly1305 (RFC 8439, 2.8) for packets, of libsodium's parts: what its own does, in fewer steps. Same contract as struct gw_aead's functions. */
#ifndef GATEWAY_SESSION_CHACHA_H
#define GATEWAY_SESSION_CHACHA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is it worth it for so many bytes, here? Else libsodium's own is as good. After sodium_init. */
bool gw_chacha_is_better(size_t len);
/* Without associated data. len is at least GW_CHACHA_MIN, else there is no first step to fill; dst may equal src, but not overlap it otherwise. The machine need not have
 * AVX2. When the tag is wrong, dst is untouched. */
#define GW_CHACHA_MIN 448u
void gw_chacha_seal(uint8_t *dst, uint8_t *tag, const uint8_t *src, size_t len, const uint8_t *nonce,
                    const uint8_t *key);
bool gw_chacha_open(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *tag, const uint8_t *nonce,
                    const uint8_t *key);

#endif

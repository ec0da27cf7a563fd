/* SPDX-License-Identifier: MIT */
/* Secrets in memory, by libsodium: whose functions survive the compiler where obvious ones do not. */
#include "gateway/base/secret.h"

#include <sodium.h>

void gw_wipe(void *secret, size_t len)
{
    sodium_memzero(secret, len);
}

bool gw_secret_equal(const void *a, const void *b, size_t len)
{
    return sodium_memcmp(a, b, len) == 0;
}

bool gw_is_zero(const void *bytes, size_t len)
{
    return sodium_is_zero(bytes, len) == 1;
}

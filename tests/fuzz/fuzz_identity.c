/* SPDX-License-Identifier: MIT */
/* An identity file from anybody: only a key whose two halves belong together is taken. */
#include "gateway/config/identity.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_identity *identity;
    uint8_t x25519[32];
    if (gw_identity_parse(&identity, data, size) != 0) {
        if (identity)
            abort();
        return 0;
    }
    if (gw_identity_x25519_of(x25519, identity->ed25519) != 0 ||
        memcmp(x25519, identity->x25519, sizeof x25519) != 0)
        abort();
    gw_identity_free(identity);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* authorized_keys from anybody: it is read without harm, and whoever it grants something is found in it. */
#include "gateway/config/authorized_keys.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_key(const struct gw_authorized_keys *list, const struct gw_authorized_key *key)
{
    const struct gw_authorized_key *found = gw_authorized_keys_find(list, key->x25519);
    if (!found || (!key->is_void && found != key))
        abort();
    for (char **service = key->services; service && *service; service++) {
        if (!**service || strlen(*service) > 63)
            abort();
    }
    gw_authorized_keys_allow(list, key->x25519, "ssh", (struct gw_wall){.s = 1800000000});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_authorized_keys *list;
    struct gw_diag diag = {0};
    if (gw_authorized_keys_parse(&list, (const char *)data, size, "a", &diag) == 0) {
        for (size_t i = 0; i < list->count; i++)
            check_key(list, &list->keys[i]);
    }
    gw_authorized_keys_free(list);
    gw_diag_clear(&diag);
    return 0;
}

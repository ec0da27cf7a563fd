/* SPDX-License-Identifier: MIT */
/* names.yaml from anybody: it loads or says why, and every name in it is found. */
#include "gateway/config/names.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_names *names;
    struct gw_diag diag = {0};
    int err = gw_names_parse(&names, (const char *)data, size, "n", &diag);
    if ((err == 0) != (names != NULL) || (err == 0) != (diag.errors == 0))
        abort();
    for (size_t i = 0; names && i < names->count && i < 100; i++) {
        if (gw_names_find(names, names->names[i].host, names->names[i].network) != &names->names[i])
            abort();
    }
    gw_names_free(names);
    gw_diag_clear(&diag);
    return 0;
}

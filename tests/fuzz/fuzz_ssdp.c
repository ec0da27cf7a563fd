/* SPDX-License-Identifier: MIT */
/* What anybody in the local network may say in the router's name. */
#include "gateway/portmap/ssdp.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_ssdp_watch watch = {0};
    struct gw_ssdp_notify said;
    gw_ssdp_parse(&said, (const char *)data, size);
    assert(said.kind <= GW_SSDP_BYEBYE && (said.has_boot || said.kind == GW_SSDP_OTHER || said.boot == 0));
    assert(gw_ssdp_watch_input(&watch, &said) == (said.kind == GW_SSDP_ALIVE));
    assert(!gw_ssdp_watch_input(&watch, &said)); /* the same again is no news */
    return 0;
}

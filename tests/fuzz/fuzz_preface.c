/* SPDX-License-Identifier: MIT */
/* A stream's first bytes from a peer: not complete, malformed, or an open that encodes to what it came from (but for a class of a later version). More bytes
 * behind it change nothing, and none of fewer is complete. */
#include "gateway/base/err.h"
#include "gateway/flow/preface.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_open open = {0}, again;
    uint8_t bytes[GW_PREFACE_MAX];
    int len = gw_preface_decode(&open, data, size);
    if (len > (int)GW_PREFACE_MAX || (size_t)(len > 0 ? len : 0) > size)
        abort();
    if (len == 0 && size >= GW_PREFACE_MAX) /* it would wait for ever */
        abort();
    if (len <= 0)
        return len == 0 || len == GW_E_MALFORMED ? 0 : (abort(), 0);
    if (open.class_ >= GW_CLASS_COUNT || (open.service[0] == '\0') != (open.port != 0))
        abort();
    if (gw_preface_encode(bytes, &open) != len || bytes[0] != data[0] ||
        memcmp(bytes + 2, data + 2, (size_t)len - 2) != 0 ||
        gw_preface_decode(&again, bytes, (size_t)len) != len || again.class_ != open.class_ ||
        strcmp(again.service, open.service) != 0)
        abort();
    for (size_t cut = 0; cut < (size_t)len; cut++) {
        if (gw_preface_decode(&again, data, cut) != 0)
            abort();
    }
    return 0;
}

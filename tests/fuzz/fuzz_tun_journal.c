/* SPDX-License-Identifier: MIT */
/* A line of the journal of the TUN's set-up: what is read is what would be written, and the device's name is one that the kernel lets an interface have. */
#include "frontends/tun/change.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char line[2 * GW_CHANGE_LINE_MAX] = "", again[GW_CHANGE_LINE_MAX];
    struct gw_change change, same;
    memcpy(line, data, size < sizeof line ? size : sizeof line - 1);
    if (gw_change_parse(&change, line) != 0)
        return 0;
    gw_change_format(&change, again);
    if (strlen(again) >= sizeof again || strchr(again, '\n') || gw_change_parse(&same, again) != 0 ||
        memcmp(&same, &change, sizeof same) != 0 || change.kind >= GW_CHANGE_KINDS ||
        strlen(change.device) > GW_CHANGE_NAME_MAX || strchr(change.device, '/'))
        abort();
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* The journal of the TUN's set-up from anybody: what is read is what would be written, and a device's name is one that the kernel lets an interface have. */
#include "frontends/tun/journal.h"
#include "gateway/base/err.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct gw_changes *changes, const struct gw_change *change)
{
    char line[GW_CHANGE_LINE_MAX];
    struct gw_change same;
    gw_change_format(change, line);
    if (strlen(line) >= sizeof line || strchr(line, '\n') || gw_change_parse(&same, line) != 0 ||
        memcmp(&same, change, sizeof same) != 0 || change->kind >= GW_CHANGE_KINDS ||
        strlen(change->device) > GW_CHANGE_NAME_MAX || strchr(change->device, '/') ||
        !gw_changes_have(changes, change))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_changes changes = {0};
    unsigned bad;
    if (size == 0)
        return 0;
    FILE *file = fmemopen((void *)(uintptr_t)data, size, "r");
    int err = file ? gw_journal_read_file(&changes, file, &bad) : GW_E_NOMEM;
    if (err != 0 && err != GW_E_LIMIT)
        abort();
    fclose(file);
    for (size_t i = 0; i < changes.count; i++)
        check(&changes, &changes.items[i]);
    gw_changes_free(&changes);
    return 0;
}

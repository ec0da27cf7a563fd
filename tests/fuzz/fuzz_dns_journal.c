/* SPDX-License-Identifier: MIT */
/* The journal of dns.system from anybody: refused and empty, or the bytes that we would write ourselves. */
#include "frontends/dns/system/journal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_sysdns_record record;
    char text[GW_SYSDNS_JOURNAL_MAX];
    if (gw_sysdns_record_parse(&record, (const char *)data, size) != 0) {
        if (record.kind != GW_SYSDNS_OFF || record.device[0])
            abort();
        return 0;
    }
    if (record.kind == GW_SYSDNS_OFF || record.kind >= GW_SYSDNS_KINDS || strchr(record.device, '/'))
        abort();
    /* Numbers may have zeros before them. */
    struct gw_sysdns_record again;
    size_t len = gw_sysdns_record_format(&record, text);
    if (gw_sysdns_record_parse(&again, text, len) != 0 || again.kind != record.kind ||
        again.index != record.index || strcmp(again.device, record.device) != 0 ||
        strcmp(again.hash, record.hash) != 0 || strcmp(again.boot, record.boot) != 0)
        abort();
    return 0;
}

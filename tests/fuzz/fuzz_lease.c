/* SPDX-License-Identifier: MIT */
/* The lease file from anybody: refused, or a time that is written as it was read, and above which the clock goes on if it is one. */
#include "gateway/daemon/lease.h"
#include "gateway/session/tai64n.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read_bytes(struct gw_wall *lease, const void *data, size_t size)
{
    FILE *file = fmemopen((void *)(uintptr_t)data, size, "r");
    if (!file)
        abort();
    bool is_good = gw_lease_read(lease, file);
    fclose(file);
    return is_good;
}

static bool is_after(struct gw_wall a, struct gw_wall b)
{
    return a.s > b.s || (a.s == b.s && a.ns > b.ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct gw_wall untouched = {-1, -1};
    struct gw_wall lease = untouched, again, next;
    uint8_t stamp[GW_TAI64N_LEN];
    char line[GW_LEASE_LINE_MAX];
    if (size == 0)
        return 0;
    if (!read_bytes(&lease, data, size)) {
        if (lease.s != untouched.s || lease.ns != untouched.ns)
            abort();
        return 0;
    }
    size_t len = gw_lease_format(lease, line);
    if (!read_bytes(&again, line, len) || again.s != lease.s || again.ns != lease.ns)
        abort();
    struct gw_tai64n_clock clock;
    gw_tai64n_init(&clock, (struct gw_wall){0, 0});
    gw_tai64n_set_floor(&clock, lease);
    gw_tai64n_next(&clock, (struct gw_wall){1790000000, 0}, stamp);
    next = gw_tai64n_wall(stamp);
    bool is_time = lease.s < INT64_C(1000000000000); /* what is later is no time, and is ignored */
    if (is_time && !is_after(next, lease))
        abort();
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/lease.h"

#include <inttypes.h>

bool gw_lease_read(struct gw_wall *lease, FILE *file)
{
    char text[GW_LEASE_LINE_MAX], end;
    int64_t s;
    int32_t ns;
    if (!fgets(text, sizeof text, file) || sscanf(text, "%18" SCNd64 ".%9" SCNd32 "%c", &s, &ns, &end) != 3 ||
        end != '\n' || s < 0 || ns < 0)
        return false;
    *lease = (struct gw_wall){s, ns};
    return true;
}

size_t gw_lease_format(struct gw_wall lease, char out[GW_LEASE_LINE_MAX])
{
    int len = snprintf(out, GW_LEASE_LINE_MAX, "%" PRId64 ".%09" PRId32 "\n", lease.s, lease.ns);
    return (size_t)len;
}

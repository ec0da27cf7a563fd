/* SPDX-License-Identifier: MIT */
#include "frontends/dns/access.h"

#include "frontends/dns/zone.h"
#include "gateway/base/err.h"
#include "gateway/base/random.h"

#include <string.h>

#define PREFIXES_MAX 1024u

int gw_dns_access_init(struct gw_dns_access *access, const struct gw_prefix *allowed, size_t count,
                       double rate, double burst)
{
    uint8_t seed[16];
    *access = (struct gw_dns_access){.allowed_count = count};
    if (count > GW_DNS_ALLOWED_MAX)
        return GW_E_LIMIT;
    if (count > 0)
        memcpy(access->allowed, allowed, count * sizeof *allowed);
    gw_random_fill(gw_random_system(), seed, sizeof seed);
    rate = rate > 0 ? rate : GW_DNS_RATE;
    access->limit = gw_ratelimit_new(rate, burst > 0 ? burst : 2 * rate, PREFIXES_MAX, seed);
    return access->limit ? 0 : GW_E_NOMEM;
}

void gw_dns_access_fini(struct gw_dns_access *access)
{
    gw_ratelimit_free(access->limit);
    access->limit = NULL;
}

bool gw_dns_access_is_allowed(const struct gw_dns_access *access, const struct gw_addr *from)
{
    if (gw_addr_is_loopback(from))
        return true;
    for (size_t i = 0; i < access->allowed_count; i++) {
        if (gw_dns_prefix_has(&access->allowed[i], from))
            return true;
    }
    return false;
}

enum gw_dns_permission gw_dns_access_take(struct gw_dns_access *access, const struct gw_addr *from,
                                          struct gw_mono now)
{
    uint8_t prefix[8];
    /* Port 0 cannot be answered. */
    if (from->port == 0 || !gw_dns_access_is_allowed(access, from))
        return GW_DNS_PERMIT_NOT;
    if (gw_addr_is_loopback(from))
        return GW_DNS_PERMIT;
    gw_addr_prefix(from, prefix);
    if (gw_ratelimit_take(access->limit, prefix, now))
        return GW_DNS_PERMIT;
    return access->slips++ % 4 == 0 ? GW_DNS_SLIP : GW_DNS_SLOW_DOWN;
}

/* SPDX-License-Identifier: MIT */
/* Ranges against routes; see overlap.h. */
#include "frontends/tun/overlap.h"

#include "frontends/tun/plan.h"

#include <stdlib.h>

static enum gw_overlap compare(const struct gw_prefix *range, const struct gw_prefix *route)
{
    if (gw_prefix_covers(range, route))
        return route->bits == range->bits ? GW_OVERLAP_SAME : GW_OVERLAP_INSIDE;
    return gw_prefix_covers(route, range) ? GW_OVERLAP_AROUND : GW_OVERLAP_NONE;
}

enum gw_overlap gw_overlap_find(const struct gw_known_routes *routes, const struct gw_prefix *range,
                                const struct gw_known_route **which)
{
    enum gw_overlap worst = GW_OVERLAP_NONE;
    *which = NULL;
    for (size_t i = 0; i < routes->count; i++) {
        enum gw_overlap one = compare(range, &routes->items[i].prefix);
        if (one == GW_OVERLAP_NONE || (worst != GW_OVERLAP_NONE && one >= worst))
            continue;
        worst = one;
        *which = &routes->items[i];
    }
    return worst;
}

/* RFC 1918, and between them RFC 6598, which some providers and other VPNs use. */
static const struct gw_prefix private_ranges[] = {{.ip = {.family = 4, .ip = {10, 64}}, .bits = 10},
                                                  {.ip = {.family = 4, .ip = {10}}, .bits = 8},
                                                  {.ip = {.family = 4, .ip = {172, 16}}, .bits = 12},
                                                  {.ip = {.family = 4, .ip = {192, 168}}, .bits = 16},
                                                  {.ip = {.family = 4, .ip = {100, 64}}, .bits = 10}};

bool gw_overlap_suggest(const struct gw_known_routes *routes, uint8_t bits, struct gw_prefix *out)
{
    for (size_t i = 0; i < sizeof private_ranges / sizeof *private_ranges; i++) {
        const struct gw_prefix *all = &private_ranges[i];
        uint32_t step = UINT32_C(1) << (32 - bits), first = gw_load32_be(all->ip.ip);
        uint32_t end = first + (UINT32_C(1) << (32 - all->bits)) - 1;
        for (uint32_t at = first; all->bits <= bits && at <= end && at >= first; at += step) {
            const struct gw_known_route *which;
            *out = (struct gw_prefix){.ip = {.family = 4}, .bits = bits};
            gw_store32_be(out->ip.ip, at);
            if (gw_overlap_find(routes, out, &which) == GW_OVERLAP_NONE)
                return true;
        }
    }
    return false;
}

void gw_known_routes_free(struct gw_known_routes *routes)
{
    free(routes->items);
    *routes = (struct gw_known_routes){0};
}

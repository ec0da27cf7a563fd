/* SPDX-License-Identifier: MIT */
/* Which packets a birthday search sends, and when; see search.h. */
#include "gateway/punch/search.h"

#define FIRST_PORT 1024u
#define PORTS 64512u /* 2^10 * 3^2 * 7 */

static bool has_common_factor(uint32_t stride)
{
    return stride % 2 == 0 || stride % 3 == 0 || stride % 7 == 0;
}

void gw_search_begin(struct gw_search *search, const struct gw_search_plan *plan, struct gw_mono start,
                     struct gw_random *random)
{
    *search = (struct gw_search){.is_on = true, .plan = *plan, .next = start};
    gw_random_fill(random, search->nonce, sizeof search->nonce);
    /* Each port once, in an order that nobody foresees. */
    search->first = gw_random_u32(random) % PORTS;
    do
        search->stride = 1 + gw_random_u32(random) % (PORTS - 1);
    while (has_common_factor(search->stride));
    if (!plan->links)
        search->next = gw_mono_add(start, GW_SEARCH_PORTS_AFTER_NS);
}

void gw_search_end(struct gw_search *search)
{
    search->next = GW_NEVER;
    search->is_on = false;
    search->plan.links = NULL;
}

static void take_socket(struct gw_search *search, struct gw_mono now, struct gw_addr *to, uint32_t *link)
{
    unsigned count = search->plan.link_count;
    *to = search->plan.target;
    *link = search->plan.links[search->sent++ % count];
    search->next =
        gw_mono_add(now, search->sent % count != 0 ? GW_SEARCH_SOCKETS_EVERY_NS : GW_SEARCH_ROUND_NS);
    if (search->sent == GW_SEARCH_ROUNDS * count)
        search->next = GW_NEVER;
}

static void take_port(struct gw_search *search, struct gw_mono now, struct gw_addr *to, uint32_t *link)
{
    uint64_t at = search->first + (uint64_t)search->stride * search->sent++;
    *to = search->plan.target;
    to->port = (uint16_t)(FIRST_PORT + at % PORTS);
    *link = 0;
    search->next = search->sent < GW_SEARCH_PORTS ? gw_mono_add(now, GW_SEARCH_PORTS_EVERY_NS) : GW_NEVER;
}

bool gw_search_take(struct gw_search *search, struct gw_mono now, struct gw_addr *to, uint32_t *link)
{
    if (!search->is_on || !gw_mono_due(search->next, now))
        return false;
    if (search->plan.links)
        take_socket(search, now, to, link);
    else
        take_port(search, now, to, link);
    return true;
}

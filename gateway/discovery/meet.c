/* SPDX-License-Identifier: MIT */
#include "gateway/discovery/discovery_private.h"
void gw_meet_probe(struct gw_reach *reach, struct gw_mono now, const struct gw_tuple *from,
                   const struct gw_probe *probe)
{
    (void)reach, (void)now, (void)from, (void)probe;
}
void gw_reach_measured(struct gw_reach *reach, struct gw_mono now, bool has_seen)
{
    (void)reach, (void)now, (void)has_seen;
}

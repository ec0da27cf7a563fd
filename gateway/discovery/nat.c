/* SPDX-License-Identifier: MIT */
/* From what was seen to what the NAT does; see nat.h. */
#include "gateway/discovery/nat.h"

#include <stdlib.h>

#define STEP_MAX 16 /* ports further apart than this are not in a row */

const char *const gw_nat_reach_names[4] = {"unknown", "independent", "address", "address-port"};
const char *const gw_nat_ports_names[4] = {"unknown", "preserved", "sequential", "random"};

static enum gw_nat_reach mapping_of(const struct gw_nat_seen *seen)
{
    bool has_port = gw_addr_is_set(&seen->port), has_second = gw_addr_is_set(&seen->second);
    if (has_port && !gw_addr_equal(&seen->port, &seen->first))
        return GW_NAT_ADDRESS_PORT;
    if (has_second && !gw_addr_equal(&seen->second, &seen->first))
        return has_port ? GW_NAT_ADDRESS : GW_NAT_ADDRESS_PORT;
    return has_port || has_second ? GW_NAT_INDEPENDENT : GW_NAT_UNKNOWN;
}

static enum gw_nat_reach filtering_of(const struct gw_nat_seen *seen)
{
    if (seen->got_from_second)
        return GW_NAT_INDEPENDENT;
    if (seen->got_from_port)
        return GW_NAT_ADDRESS;
    return seen->asked_port ? GW_NAT_ADDRESS_PORT : GW_NAT_UNKNOWN;
}

/* The difference of two ports in a row; 0: they are not. */
static int step_of(const struct gw_addr *a, const struct gw_addr *b)
{
    int step = (int)b->port - (int)a->port;
    return gw_addr_same_ip(a, b) && abs(step) <= STEP_MAX ? step : 0;
}

static void conclude_ports(struct gw_nat_behaviour *out, const struct gw_nat_seen *seen)
{
    const struct gw_addr *last = gw_addr_is_set(&seen->port) ? &seen->port : &seen->first;
    bool has_both = gw_addr_is_set(&seen->port) && gw_addr_is_set(&seen->second);
    int step = 0;
    if (!gw_nat_is_symmetric(out->mapping)) {
        bool is_kept = seen->first.port == seen->local.port;
        out->ports = is_kept ? GW_NAT_PORTS_PRESERVED : GW_NAT_PORTS_UNKNOWN;
        return;
    }
    if (out->mapping == GW_NAT_ADDRESS_PORT && has_both) {
        int one = step_of(&seen->first, &seen->port), two = step_of(&seen->port, &seen->second);
        step = (one > 0) == (two > 0) && one != 0 && two != 0 ? (abs(one) < abs(two) ? one : two) : 0;
    } else {
        step = step_of(&seen->first, gw_addr_is_set(&seen->second) ? &seen->second : last);
    }
    out->step = step;
    out->ports = step != 0 ? GW_NAT_PORTS_SEQUENTIAL : GW_NAT_PORTS_RANDOM;
}

void gw_nat_conclude(struct gw_nat_behaviour *out, const struct gw_nat_seen *seen)
{
    struct gw_addr nowhere = {.family = 4};
    out->seen = seen->first;
    out->step = 0;
    out->mapping = mapping_of(seen);
    out->filtering = filtering_of(seen);
    out->hairpin = seen->hairpin;
    out->anchors = gw_addr_is_set(&seen->second) || seen->got_from_second ? 2 : 1;
    out->translated = gw_addr_same_ip(&seen->local, &nowhere)     ? GW_NAT_UNTESTED
                      : gw_addr_equal(&seen->local, &seen->first) ? GW_NAT_NO
                                                                  : GW_NAT_YES;
    conclude_ports(out, seen);
}

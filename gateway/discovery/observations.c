/* SPDX-License-Identifier: MIT */
/* OBSERVED_ADDRESS between peers that are no anchors of each other: each tells the other where it sees it, when that changes. One peer's word is nobody's: it could point others at
 * a third party. What two peers say alike, independently, is offered. */
#include "gateway/discovery/discovery_private.h"

#include "gateway/base/log.h"

#include <string.h>

void gw_observation_init(struct gw_observation *observation, struct gw_mono now)
{
    *observation = (struct gw_observation){.seen = {.family = 0}};
    gw_bucket_init(&observation->told_rate, GW_OBSERVATION_RATE, now);
    gw_bucket_init(&observation->heard_rate, GW_OBSERVED_BURST, now);
}

static bool is_told(struct gw_reach *reach, const struct gw_addr *addr)
{
    return gw_addr_equal(&reach->observation.told, addr);
}

void gw_observation_changed(struct gw_reach *reach, struct gw_mono now)
{
    struct gw_observation *observation = &reach->observation;
    const struct gw_path *path = gw_paths_current(&reach->peer->paths);
    struct gw_session_stats session;
    gw_session_stats(reach->peer->session, &session);
    if (session.state != GW_SESSION_ESTABLISHED || reach->peer->kind != GW_PEER_PEERGATE) {
        observation->seen = observation->told = (struct gw_addr){.family = 0};
        return;
    }
    if (!path || !path->is_validated || !gw_tuple_is_direct(&path->tuple) ||
        !gw_candidate_is_usable(&path->tuple.remote) || is_told(reach, &path->tuple.remote) ||
        !gw_bucket_take(&observation->told_rate, GW_OBSERVATION_RATE, GW_OBSERVATION_RATE, 1, now))
        return;
    const struct gw_candidate seen = {.addr = path->tuple.remote, .kind = GW_CANDIDATE_OBSERVED};
    peergate_Control message = {.which_body = peergate_Control_observed_address_tag};
    message.body.observed_address.has_address = true;
    gw_candidate_encode(&message.body.observed_address.address, &seen);
    if (gw_peer_send_message(reach->peer, now, &message) == 0)
        observation->told = seen.addr;
}

/* Does another peer say the same? */
static bool is_confirmed(const struct gw_discovery *discovery, const struct gw_reach *by)
{
    gw_list_for_each (node, &discovery->reaches) {
        const struct gw_reach *other = gw_list_entry(node, struct gw_reach, node);
        if (other != by && gw_addr_equal(&other->observation.seen, &by->observation.seen))
            return true;
    }
    return false;
}

unsigned gw_observations_agreed(const struct gw_discovery *discovery, struct gw_addr *out, unsigned max)
{
    unsigned count = 0;
    gw_list_for_each (node, &discovery->reaches) {
        const struct gw_reach *reach = gw_list_entry(node, struct gw_reach, node);
        const struct gw_addr *seen = &reach->observation.seen;
        bool is_new = gw_addr_is_set(seen) && is_confirmed(discovery, reach);
        for (unsigned i = 0; i < count && is_new; i++)
            is_new = !gw_addr_equal(&out[i], seen);
        if (is_new && count < max)
            out[count++] = *seen;
    }
    return count;
}

bool gw_observation_input(struct gw_reach *reach, const peergate_Address *address, struct gw_mono now)
{
    struct gw_observation *observation = &reach->observation;
    struct gw_addr before[GW_OBSERVATIONS_OFFERED] = {{.family = 0}},
                   after[GW_OBSERVATIONS_OFFERED] = {{.family = 0}};
    struct gw_candidate seen;
    char text[GW_ADDR_STRLEN];
    if (gw_candidate_decode(&seen, address) != 0 || gw_addr_equal(&seen.addr, &observation->seen) ||
        !gw_bucket_take(&observation->heard_rate, GW_OBSERVED_RATE, GW_OBSERVED_BURST, 1, now))
        return false;
    gw_observations_agreed(reach->discovery, before, GW_OBSERVATIONS_OFFERED);
    observation->seen = seen.addr;
    gw_observations_agreed(reach->discovery, after, GW_OBSERVATIONS_OFFERED);
    gw_log_debug("%s sees us at %s", gw_peer_name(reach->peer), gw_addr_log(&seen.addr, text));
    return memcmp(before, after, sizeof before) != 0;
}

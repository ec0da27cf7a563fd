/* SPDX-License-Identifier: MIT */
/* An anchor where UDP does not get through: a carrier (a TLS connection, which the link makes) is asked for when the anchor does not answer, and while it is in use
 * the anchor's own addresses are asked by UDP again and again, inside the session. What answers is a path, and better than any carrier. */
#include "gateway/discovery/discovery_private.h"

#include <string.h>

#define FIRST_NS GW_S(1)
#define INTERVAL_NS GW_S(2) /* doubling */
#define INTERVAL_MAX_NS GW_S(30)

static void arm(struct gw_anchor_use *use)
{
    gw_deadline_arm(&use->discovery->host->deadlines, &use->carrier.deadline, use->carrier.at);
}

static void on_deadline(struct gw_deadline *deadline, struct gw_mono now)
{
    struct gw_anchor_use *use = gw_container_of(deadline, struct gw_anchor_use, carrier.deadline);
    (void)now;
    gw_peer_mark_ready(use->peer); /* gw_carrier_take_check follows, and arms it again */
}

static bool is_carried(const struct gw_anchor_use *use)
{
    const struct gw_path *path = gw_paths_current(&use->peer->paths);
    return path && gw_tuple_is_carrier(&path->tuple);
}

void gw_carrier_init(struct gw_anchor_use *use)
{
    gw_deadline_init(&use->carrier.deadline, on_deadline);
    use->carrier.at = GW_NEVER;
}

void gw_carrier_wanted(struct gw_anchor_use *use, struct gw_mono now)
{
    const struct gw_gateway_events *events = use->discovery->host->events;
    if (!use->is_neighbour && events->on_carrier_wanted && use->peer->config.endpoint_count > 0)
        events->on_carrier_wanted(use->discovery->host->gateway, use->peer, now, events->ctx);
}

void gw_carrier_path_changed(struct gw_anchor_use *use, struct gw_mono now)
{
    struct gw_carrier_checks *checks = &use->carrier;
    if (is_carried(use) == !gw_mono_is_never(checks->at))
        return;
    checks->at = is_carried(use) ? gw_mono_add(now, FIRST_NS) : GW_NEVER;
    checks->interval_ns = INTERVAL_NS;
    checks->next = 0;
    arm(use);
}

void gw_carrier_look_again(struct gw_anchor_use *use, struct gw_mono now)
{
    if (gw_mono_is_never(use->carrier.at))
        return;
    use->carrier.at = now;
    use->carrier.interval_ns = INTERVAL_NS;
    use->carrier.next = 0;
    arm(use);
}

bool gw_carrier_take_check(struct gw_anchor_use *use, struct gw_mono now, struct gw_tuple *to,
                           uint8_t nonce[GW_PATH_CHALLENGE_LEN])
{
    struct gw_carrier_checks *checks = &use->carrier;
    const struct gw_peer_config *config = &use->peer->config;
    if (!gw_mono_due(checks->at, now))
        return false;
    if (checks->next >= config->endpoint_count) { /* all were asked: the next round */
        checks->next = 0;
        checks->at = gw_mono_add(now, checks->interval_ns);
        checks->interval_ns =
            2 * checks->interval_ns < INTERVAL_MAX_NS ? 2 * checks->interval_ns : INTERVAL_MAX_NS;
        arm(use);
        return false;
    }
    if (checks->next == 0) {
        gw_random_fill(use->discovery->host->random, checks->nonce, sizeof checks->nonce);
        checks->sent = now;
    }
    *to = (struct gw_tuple){.remote = config->endpoints[checks->next++], .link = GW_LINK_PRIMARY};
    memcpy(nonce, checks->nonce, sizeof checks->nonce);
    return true;
}

bool gw_carrier_answered(struct gw_anchor_use *use, struct gw_mono now, const struct gw_tuple *from,
                         const uint8_t nonce[GW_PATH_CHALLENGE_LEN], struct gw_tuple *path, int64_t *rtt_ns)
{
    const struct gw_carrier_checks *checks = &use->carrier;
    const struct gw_peer_config *config = &use->peer->config;
    if (gw_mono_is_never(checks->at) || !gw_tuple_is_direct(from) ||
        memcmp(nonce, checks->nonce, sizeof checks->nonce) != 0)
        return false;
    for (unsigned i = 0; i < config->endpoint_count; i++) {
        if (!gw_addr_equal(&config->endpoints[i], &from->remote))
            continue;
        *path = *from;
        *rtt_ns = gw_mono_sub(now, checks->sent);
        return true;
    }
    return false;
}

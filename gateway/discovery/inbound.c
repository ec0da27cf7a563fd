/* SPDX-License-Identifier: MIT */
/* One anchor after the other is asked, until a probe of one gets in; see inbound.h. */
#include "gateway/discovery/discovery_private.h"

#include "gateway/base/log.h"

#include <string.h>

#define SETTLE_NS GW_MS(400) /* behind the first measuring of the NAT, if one is due */
#define BUSY_NS GW_MS(500)
#define WAIT_NS GW_MS(300) /* or 2 RTT */
#define TRIES 3u
#define SEQ_UNASKED 6u
#define SURE_NS GW_S(5) /* it got in before: looked at again so soon */
#define CLOSED_EVERY_NS GW_S(60)
#define OPEN_EVERY_NS GW_S(600)
#define MISSES_MAX 2u

static void arm(struct gw_discovery *discovery, struct gw_mono at)
{
    gw_deadline_arm(&discovery->host->deadlines, &discovery->inbound.deadline, at);
}

static void stop(struct gw_discovery *discovery)
{
    struct gw_inbound *inbound = &discovery->inbound;
    gw_token_clear(discovery, &inbound->token);
    inbound->step = GW_INBOUND_IDLE;
    inbound->use = NULL;
    inbound->number = 0;
    gw_deadline_disarm(&discovery->host->deadlines, &inbound->deadline);
}

/* ---- the end of a round */

static void conclude(struct gw_discovery *discovery, enum gw_nat_answer answer, const struct gw_addr *at,
                     struct gw_mono now)
{
    struct gw_inbound *inbound = &discovery->inbound;
    char text[GW_ADDR_STRLEN];
    bool is_news = answer != inbound->answer || !gw_addr_equal(at, &inbound->at);
    inbound->answer = answer;
    inbound->at = *at;
    inbound->measured = now;
    if (is_news && answer == GW_NAT_YES)
        gw_log_info("what nobody asked for gets in at %s", gw_addr_log(at, text));
    else if (is_news)
        gw_log_info("a firewall drops what nobody asked for at %s%s", gw_addr_log(at, text),
                    inbound->is_watched ? ": this node is no anchor until its UDP port is open" : "");
}

/* got_in: at inbound->target; else nobody's did, or there was nobody to ask. */
static void end_round(struct gw_discovery *discovery, bool got_in, struct gw_mono now)
{
    struct gw_inbound *inbound = &discovery->inbound;
    struct gw_addr dropped = inbound->dropped;
    bool was_asked = got_in || gw_addr_is_set(&dropped);
    stop(discovery);
    inbound->is_wanted &= !was_asked;
    if (got_in) {
        inbound->misses = 0;
        conclude(discovery, GW_NAT_YES, &inbound->target, now);
    } else if (was_asked && (++inbound->misses >= MISSES_MAX || inbound->answer != GW_NAT_YES)) {
        conclude(discovery, GW_NAT_NO, &dropped, now);
    }
    bool is_doubted = was_asked && !got_in && inbound->answer == GW_NAT_YES;
    if (is_doubted)
        arm(discovery, gw_mono_add(now, SURE_NS));
    else if (inbound->is_watched)
        arm(discovery, gw_mono_add(now, inbound->answer == GW_NAT_YES ? OPEN_EVERY_NS : CLOSED_EVERY_NS));
}

/* ---- asking */

/* The way to it, if it sees us at an address of our own. */
static const struct gw_path *way_to(const struct gw_discovery *discovery, const struct gw_anchor_use *use)
{
    const struct gw_path *path = gw_paths_current(&use->peer->paths);
    /* A neighbour may stand on our side of the firewall. */
    return use->is_registered && !use->is_silent && !use->is_neighbour && path && path->is_validated &&
                   gw_tuple_is_direct(&path->tuple) && gw_discovery_is_own(discovery, &use->observed)
               ? path
               : NULL;
}

static void send_step(struct gw_discovery *discovery, struct gw_mono now)
{
    struct gw_inbound *inbound = &discovery->inbound;
    peergate_Control message = {.which_body = peergate_Control_nat_probe_tag};
    while (inbound->number == 0)
        inbound->number = gw_random_u32(discovery->host->random);
    message.number = inbound->number;
    if (inbound->step == GW_INBOUND_PROBE) {
        message.body.nat_probe.send_to = inbound->target.port;
        message.body.nat_probe.by_other_port = true;
    }
    gw_peer_send_message(inbound->use->peer, now, &message);
    int64_t rtts = 2 * gw_peer_rtt(inbound->use->peer);
    inbound->tries++;
    arm(discovery, gw_mono_add(now, rtts > WAIT_NS ? rtts : WAIT_NS));
}

static void enter(struct gw_discovery *discovery, enum gw_inbound_step step, struct gw_mono now)
{
    discovery->inbound.step = step;
    discovery->inbound.tries = 0;
    send_step(discovery, now);
}

static void ask_next(struct gw_discovery *discovery, struct gw_mono now)
{
    struct gw_inbound *inbound = &discovery->inbound;
    stop(discovery);
    gw_list_for_each (node, &discovery->anchors) {
        struct gw_anchor_use *use = gw_list_entry(node, struct gw_anchor_use, node);
        const struct gw_path *path = way_to(discovery, use);
        if (!path || (inbound->asked & 1u << use->slot))
            continue;
        inbound->asked |= 1u << use->slot;
        inbound->use = use;
        inbound->way = path->tuple;
        inbound->target = use->observed;
        enter(discovery, GW_INBOUND_TOKEN, now);
        return;
    }
    end_round(discovery, false, now);
}

static void on_deadline(struct gw_deadline *deadline, struct gw_mono now)
{
    struct gw_discovery *discovery = gw_container_of(deadline, struct gw_discovery, inbound.deadline);
    struct gw_inbound *inbound = &discovery->inbound;
    if (inbound->step == GW_INBOUND_IDLE && discovery->measure.step != GW_MEASURE_IDLE) {
        arm(discovery, gw_mono_add(now, BUSY_NS)); /* an anchor has one token for us at a time */
    } else if (inbound->step == GW_INBOUND_IDLE) {
        gw_lifetime_yield(discovery, now);
        inbound->is_due = false;
        inbound->asked = 0;
        inbound->dropped = (struct gw_addr){.family = 0};
        ask_next(discovery, now);
    } else if (inbound->tries < TRIES) {
        send_step(discovery, now);
    } else {
        if (inbound->step == GW_INBOUND_PROBE)
            inbound->dropped = inbound->target;
        ask_next(discovery, now);
    }
}

/* ---- what comes in */

void gw_inbound_answer(struct gw_discovery *discovery, const struct gw_anchor_use *use, uint32_t number,
                       const peergate_NatProbe *answer, struct gw_mono now)
{
    struct gw_inbound *inbound = &discovery->inbound;
    if (inbound->step != GW_INBOUND_TOKEN || use != inbound->use || number != inbound->number)
        return;
    inbound->port = answer->port <= 65535 ? (uint16_t)answer->port : 0;
    if (answer->refusal == peergate_Refusal_REFUSAL_NONE && inbound->port != 0 &&
        gw_token_set(discovery, &inbound->token, use->peer->session, use->peer->config.public_key,
                     answer->token, answer->secret, now))
        enter(discovery, GW_INBOUND_PROBE, now);
    else
        ask_next(discovery, now);
}

void gw_inbound_probe(struct gw_discovery *discovery, struct gw_mono now, const struct gw_tuple *from,
                      const struct gw_probe *probe)
{
    struct gw_inbound *inbound = &discovery->inbound;
    /* By the first port it would come even through a firewall: as from where our session is. */
    if (inbound->step == GW_INBOUND_PROBE && !probe->is_reply && probe->role == 1 &&
        probe->seq == SEQ_UNASKED && from->link == GW_LINK_PRIMARY && from->remote.port == inbound->port &&
        gw_addr_same_ip(&from->remote, &inbound->way.remote))
        end_round(discovery, true, now);
}

/* ---- life */

static bool is_seen_at_home(const struct gw_discovery *discovery)
{
    gw_list_for_each (node, &discovery->anchors) {
        const struct gw_anchor_use *use = gw_list_entry(node, struct gw_anchor_use, node);
        if (!use->is_neighbour && gw_discovery_is_own(discovery, &use->observed))
            return true;
    }
    return false;
}

void gw_inbound_renew(struct gw_discovery *discovery, struct gw_mono now)
{
    struct gw_inbound *inbound = &discovery->inbound;
    inbound->asked = 0; /* whoever was asked already may see us elsewhere now */
    if (!inbound->is_watched && !inbound->is_wanted)
        return;
    if (inbound->step != GW_INBOUND_IDLE || !is_seen_at_home(discovery))
        return; /* an anchor that sees us at an address of our own comes by here */
    inbound->is_due = true;
    arm(discovery, gw_mono_add(now, SETTLE_NS));
}

void gw_inbound_try(struct gw_discovery *discovery, struct gw_mono now)
{
    discovery->inbound.is_wanted = true;
    gw_inbound_renew(discovery, now);
}

void gw_inbound_yield(struct gw_discovery *discovery, struct gw_mono now)
{
    if (discovery->inbound.step == GW_INBOUND_IDLE)
        return;
    stop(discovery);
    discovery->inbound.is_due = true;
    arm(discovery, gw_mono_add(now, BUSY_NS));
}

void gw_inbound_forget(struct gw_discovery *discovery, const struct gw_anchor_use *use, struct gw_mono now)
{
    if (discovery->inbound.use == use)
        ask_next(discovery, now);
}

int gw_inbound_init(struct gw_discovery *discovery, bool is_watched)
{
    discovery->inbound.is_watched = is_watched;
    discovery->inbound.measured = GW_NEVER;
    gw_deadline_init(&discovery->inbound.deadline, on_deadline);
    return gw_deadlines_reserve(&discovery->host->deadlines);
}

void gw_inbound_fini(struct gw_discovery *discovery)
{
    stop(discovery);
    gw_deadlines_release(&discovery->host->deadlines);
}

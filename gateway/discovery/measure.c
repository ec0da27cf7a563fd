/* SPDX-License-Identifier: MIT */
/* The steps of measuring our NAT; see measure.h. */
#include "gateway/discovery/discovery_private.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <string.h>

#define SETTLE_NS GW_MS(150) /* changes come in groups, and anchors one after the other */
#define WAIT_NS GW_MS(300)   /* or 2 RTT: for an answer */
#define TRIES 3u
#define RETRY_NS GW_S(30) /* doubling, when nothing could be measured */
#define RETRY_MAX_NS GW_S(3600)

/* What a probe's number says. */
enum seq { SEQ_FIRST = 1, SEQ_FILTER_PORT, SEQ_PORT, SEQ_SECOND, SEQ_HAIRPIN, SEQ_UNASKED, SEQ_OTHER };

static void arm(struct gw_discovery *discovery, struct gw_mono at)
{
    gw_deadline_arm(&discovery->host->deadlines, &discovery->measure.deadline, at);
}

/* ---- whom to ask */

static struct gw_anchor_use *nearest_other(struct gw_discovery *discovery, const struct gw_anchor_use *first)
{
    struct gw_anchor_use *best = NULL;
    gw_list_for_each (node, &discovery->anchors) {
        struct gw_anchor_use *use = gw_list_entry(node, struct gw_anchor_use, node);
        const struct gw_path *path = gw_anchor_use_v4_way(use);
        if (!path ||
            (first && gw_addr_same_ip(&gw_anchor_use_v4_way(first)->tuple.remote, &path->tuple.remote)))
            continue;
        if (!best || gw_peer_rtt(use->peer) < gw_peer_rtt(best->peer))
            best = use;
    }
    return best;
}

static void choose_anchors(struct gw_discovery *discovery)
{
    struct gw_measure *measure = &discovery->measure;
    measure->anchor_count = 0;
    for (struct gw_anchor_use *use = NULL;
         measure->anchor_count < 2 && (use = nearest_other(discovery, use)) != NULL;) {
        struct gw_measured_anchor *anchor = &measure->anchors[measure->anchor_count++];
        anchor->use = use;
        anchor->at = gw_anchor_use_v4_way(use)->tuple;
        anchor->number = 0;
        anchor->has_token = anchor->has_refused = false;
        anchor->port = 0;
        if (measure->is_brief)
            return;
    }
}

static int64_t wait_of(const struct gw_measure *measure)
{
    int64_t rtt = 0;
    for (unsigned i = 0; i < measure->anchor_count; i++)
        rtt = gw_peer_rtt(measure->anchors[i].use->peer) > rtt ? gw_peer_rtt(measure->anchors[i].use->peer)
                                                               : rtt;
    return 2 * rtt > WAIT_NS ? 2 * rtt : WAIT_NS;
}

/* ---- asking */

static void ask(struct gw_discovery *discovery, struct gw_measured_anchor *anchor, uint16_t send_to,
                struct gw_mono now)
{
    peergate_Control message = {.which_body = peergate_Control_nat_probe_tag};
    while (anchor->number == 0)
        anchor->number = gw_random_u32(discovery->host->random);
    message.number = anchor->number;
    message.body.nat_probe.send_to = send_to;
    gw_peer_send_message(anchor->use->peer, now, &message);
}

static void probe(struct gw_discovery *discovery, uint32_t link, const struct gw_measured_anchor *anchor,
                  const struct gw_addr *to, enum seq seq)
{
    struct gw_probe out = {.seq = seq, .by_other_port = seq == SEQ_FILTER_PORT};
    struct gw_tuple tuple = {.remote = *to, .link = link};
    memcpy(out.token, anchor->token.id, sizeof out.token);
    gw_probes_push(&discovery->host->probes, &tuple, &out, anchor->token.key);
}

static void probe_port(struct gw_discovery *discovery, const struct gw_measured_anchor *anchor, uint16_t port,
                       enum seq seq)
{
    struct gw_addr to = anchor->at.remote;
    to.port = port;
    probe(discovery, discovery->measure.link, anchor, &to, seq);
}

/* What the step asks, anew at each try as far as it is not answered. */
static void send_step(struct gw_discovery *discovery, struct gw_mono now)
{
    struct gw_measure *measure = &discovery->measure;
    struct gw_measured_anchor *one = &measure->anchors[0], *two = &measure->anchors[1];
    bool has_two = measure->anchor_count == 2 && two->has_token;
    switch (measure->step) {
    case GW_MEASURE_TOKENS:
        for (unsigned i = 0; i < measure->anchor_count; i++) {
            if (!measure->anchors[i].has_token && !measure->anchors[i].has_refused)
                ask(discovery, &measure->anchors[i], 0, now);
        }
        break;
    case GW_MEASURE_FIRST:
        probe_port(discovery, one, one->at.remote.port, SEQ_FIRST);
        break;
    case GW_MEASURE_OTHER:
        probe_port(discovery, one, one->at.remote.port, SEQ_OTHER);
        break;
    case GW_MEASURE_FILTER:
        if (has_two && !measure->seen.got_from_second)
            ask(discovery, two, measure->other.port, now);
        if (one->port && !measure->seen.got_from_port)
            probe_port(discovery, one, one->at.remote.port, SEQ_FILTER_PORT);
        if (measure->seen.hairpin != GW_NAT_YES)
            probe(discovery, GW_LINK_PRIMARY, one, &measure->other, SEQ_HAIRPIN);
        measure->seen.asked_second |= has_two;
        measure->seen.asked_port |= one->port != 0;
        break;
    case GW_MEASURE_MAPPING:
        if (one->port && !gw_addr_is_set(&measure->seen.port))
            probe_port(discovery, one, one->port, SEQ_PORT);
        if (has_two && !gw_addr_is_set(&measure->seen.second))
            probe_port(discovery, two, two->at.remote.port, SEQ_SECOND);
        break;
    case GW_MEASURE_IDLE:
        break;
    }
    measure->tries++;
    arm(discovery, gw_mono_add(now, wait_of(measure)));
}

static void enter(struct gw_discovery *discovery, enum gw_measure_step step, struct gw_mono now)
{
    discovery->measure.step = step;
    discovery->measure.tries = 0;
    send_step(discovery, now);
}

/* ---- the end */

static void stop(struct gw_discovery *discovery)
{
    struct gw_measure *measure = &discovery->measure;
    for (unsigned i = 0; i < measure->anchor_count; i++)
        gw_token_clear(discovery, &measure->anchors[i].token);
    if (measure->has_link)
        gw_links_release(&discovery->links, measure->link);
    measure->has_link = false;
    measure->anchor_count = 0;
    measure->step = GW_MEASURE_IDLE;
    gw_deadline_disarm(&discovery->host->deadlines, &measure->deadline);
}

static void log_result(const struct gw_nat_behaviour *nat)
{
    char text[GW_ADDR_STRLEN];
    gw_log_info("NAT: mapping %s, filtering %s, ports %s, hairpin %s; seen at %s by %u anchor%s",
                gw_nat_reach_names[nat->mapping], gw_nat_reach_names[nat->filtering],
                gw_nat_ports_names[nat->ports], nat->hairpin == GW_NAT_YES ? "yes" : "no",
                gw_addr_log(&nat->seen, text), nat->anchors, nat->anchors == 1 ? "" : "s");
}

static void finish(struct gw_discovery *discovery, bool has_seen, struct gw_mono now)
{
    struct gw_measure *measure = &discovery->measure;
    bool was_brief = measure->is_brief;
    stop(discovery);
    measure->result.is_measuring = false;
    if (was_brief && has_seen)
        measure->last = measure->seen.first;
    if (was_brief) {
        gw_log_debug("NAT: %s where the next port is", has_seen ? "seen" : "not seen");
    } else if (has_seen) {
        enum gw_nat_reach before = measure->result.mapping;
        bool is_first = gw_mono_is_never(measure->result.measured);
        if (measure->seen.hairpin == GW_NAT_UNTESTED && gw_addr_is_set(&measure->other))
            measure->seen.hairpin = GW_NAT_NO;
        gw_nat_conclude(&measure->result, &measure->seen);
        measure->result.measured = now;
        measure->failures = 0;
        if (is_first || before != measure->result.mapping)
            log_result(&measure->result);
    } else {
        int64_t wait = RETRY_NS << (measure->failures < 7 ? measure->failures : 7);
        measure->failures++;
        measure->is_due = true;
        arm(discovery, gw_mono_add(now, wait < RETRY_MAX_NS ? wait : RETRY_MAX_NS));
    }
    if (measure->is_due && gw_mono_is_never(measure->deadline.at))
        arm(discovery, gw_mono_add(now, SETTLE_NS));
    gw_list_for_each (node, &discovery->reaches)
        gw_reach_measured(gw_list_entry(node, struct gw_reach, node), now, was_brief && has_seen);
}

/* ---- steps */

static void begin(struct gw_discovery *discovery, struct gw_mono now, bool is_brief)
{
    struct gw_measure *measure = &discovery->measure;
    measure->is_brief = is_brief;
    if (!is_brief)
        measure->is_due = false;
    choose_anchors(discovery);
    if (measure->anchor_count == 0) {
        if (!is_brief)
            measure->is_due = true; /* gw_measure_renew comes with the first anchor */
        return;
    }
    gw_inbound_yield(discovery, now);
    gw_lifetime_yield(discovery, now);
    measure->result.is_measuring = !is_brief;
    memset(&measure->seen, 0, sizeof measure->seen);
    measure->other = (struct gw_addr){0};
    enter(discovery, GW_MEASURE_TOKENS, now);
}

static void after_tokens(struct gw_discovery *discovery, struct gw_mono now)
{
    struct gw_measure *measure = &discovery->measure;
    if (!measure->anchors[0].has_token && measure->anchor_count == 2 && measure->anchors[1].has_token) {
        /* The second one is all there is. Its token is known by where it lies, so it is the place that changes. */
        finish(discovery, false, now);
        return;
    }
    uint16_t port;
    int err = measure->anchors[0].has_token ? gw_links_open(&discovery->links, &measure->link, &port) : -1;
    if (err) {
        finish(discovery, false, now);
        return;
    }
    measure->has_link = true;
    measure->seen.local = gw_discovery_own_v4(discovery);
    measure->seen.local.port = port;
    enter(discovery, GW_MEASURE_FIRST, now);
}

/* A second new socket, that nobody has heard of. */
static void begin_other(struct gw_discovery *discovery, struct gw_mono now)
{
    struct gw_measure *measure = &discovery->measure;
    uint16_t port;
    gw_links_release(&discovery->links, measure->link);
    measure->has_link = gw_links_open(&discovery->links, &measure->link, &port) == 0;
    if (measure->has_link)
        enter(discovery, GW_MEASURE_OTHER, now);
    else
        finish(discovery, true, now);
}

/* The step has its answers, or its time is over. */
static void step_over(struct gw_discovery *discovery, struct gw_mono now)
{
    struct gw_measure *measure = &discovery->measure;
    switch (measure->step) {
    case GW_MEASURE_TOKENS:
        after_tokens(discovery, now);
        break;
    case GW_MEASURE_FIRST:
        if (!gw_addr_is_set(&measure->seen.first))
            finish(discovery, false, now);
        else if (measure->is_brief)
            finish(discovery, true, now);
        else
            enter(discovery, GW_MEASURE_MAPPING, now);
        break;
    case GW_MEASURE_MAPPING:
        begin_other(discovery, now);
        break;
    case GW_MEASURE_OTHER:
        if (gw_addr_is_set(&measure->other))
            enter(discovery, GW_MEASURE_FILTER, now);
        else
            finish(discovery, true, now);
        break;
    case GW_MEASURE_FILTER:
        finish(discovery, true, now);
        break;
    case GW_MEASURE_IDLE:
        break;
    }
}

static void on_deadline(struct gw_deadline *deadline, struct gw_mono now)
{
    struct gw_discovery *discovery = gw_container_of(deadline, struct gw_discovery, measure.deadline);
    struct gw_measure *measure = &discovery->measure;
    /* Nothing waits for what is not let in: two packets are enough to tell. */
    unsigned tries = measure->step == GW_MEASURE_FILTER ? 2 : TRIES;
    if (measure->step == GW_MEASURE_IDLE && measure->is_due)
        begin(discovery, now, false);
    else if (measure->step != GW_MEASURE_IDLE && measure->tries < tries)
        send_step(discovery, now);
    else
        step_over(discovery, now);
}

/* ---- what comes in */

void gw_measure_answer(struct gw_discovery *discovery, const struct gw_anchor_use *use, uint32_t number,
                       const peergate_NatProbe *answer, struct gw_mono now)
{
    struct gw_measure *measure = &discovery->measure;
    bool is_complete = true;
    for (unsigned i = 0; i < measure->anchor_count && measure->step == GW_MEASURE_TOKENS; i++) {
        struct gw_measured_anchor *anchor = &measure->anchors[i];
        if (anchor->use == use && anchor->number == number && !anchor->has_token) {
            anchor->has_refused = answer->refusal != peergate_Refusal_REFUSAL_NONE;
            anchor->port = answer->port <= 65535 ? (uint16_t)answer->port : 0;
            anchor->has_token =
                !anchor->has_refused &&
                gw_token_set(discovery, &anchor->token, use->peer->session, use->peer->config.public_key,
                             answer->token, answer->secret, now);
        }
        is_complete &= anchor->has_token || anchor->has_refused;
    }
    if (measure->step == GW_MEASURE_TOKENS && is_complete)
        step_over(discovery, now);
}

static bool is_all_mapped(const struct gw_measure *measure)
{
    bool has_two = measure->anchor_count == 2 && measure->anchors[1].has_token;
    return (!measure->anchors[0].port || gw_addr_is_set(&measure->seen.port)) &&
           (!has_two || gw_addr_is_set(&measure->seen.second));
}

static void answered(struct gw_measure *measure, const struct gw_measured_anchor *anchor,
                     const struct gw_tuple *from, const struct gw_probe *probe)
{
    bool is_first = anchor == &measure->anchors[0];
    struct gw_nat_seen *seen = &measure->seen;
    if (!gw_addr_is_set(&probe->seen) || !gw_addr_same_ip(&from->remote, &anchor->at.remote) ||
        from->link != measure->link)
        return;
    if (probe->seq == SEQ_FIRST && is_first && !gw_addr_is_set(&seen->first))
        seen->first = probe->seen;
    else if (probe->seq == SEQ_OTHER && is_first && !gw_addr_is_set(&measure->other))
        measure->other = probe->seen;
    else if (probe->seq == SEQ_FILTER_PORT && is_first && from->remote.port == anchor->port)
        seen->got_from_port = true;
    else if (probe->seq == SEQ_PORT && is_first && !gw_addr_is_set(&seen->port))
        seen->port = probe->seen;
    else if (probe->seq == SEQ_SECOND && !is_first && !gw_addr_is_set(&seen->second))
        seen->second = probe->seen;
}

void gw_measure_probe(struct gw_discovery *discovery, struct gw_mono now, const struct gw_token *token,
                      const struct gw_tuple *from, const struct gw_probe *probe)
{
    struct gw_measure *measure = &discovery->measure;
    unsigned which = token == &measure->anchors[0].token ? 0 : 1;
    if (measure->step < GW_MEASURE_FIRST || which >= measure->anchor_count)
        return;
    if (probe->is_reply)
        answered(measure, &measure->anchors[which], from, probe);
    else if (probe->seq == SEQ_UNASKED && which == 1 && from->link == measure->link &&
             gw_addr_equal(&from->remote, &measure->anchors[1].at.remote) &&
             measure->step == GW_MEASURE_FILTER)
        measure->seen.got_from_second = true;
    else if (probe->seq == SEQ_HAIRPIN && which == 0 && from->link == measure->link && probe->role == 0)
        measure->seen.hairpin = GW_NAT_YES; /* our own, back */
    if ((measure->step == GW_MEASURE_FIRST && gw_addr_is_set(&measure->seen.first)) ||
        (measure->step == GW_MEASURE_OTHER && gw_addr_is_set(&measure->other)) ||
        (measure->step == GW_MEASURE_MAPPING && is_all_mapped(measure)))
        step_over(discovery, now);
}

/* ---- life */

void gw_measure_renew(struct gw_discovery *discovery, struct gw_mono now, bool is_forgotten)
{
    struct gw_measure *measure = &discovery->measure;
    if (is_forgotten) {
        measure->result = (struct gw_nat_behaviour){.measured = GW_NEVER};
        measure->failures = 0;
        if (measure->step != GW_MEASURE_IDLE && !measure->is_brief)
            stop(discovery);
    }
    measure->is_due = true;
    if (measure->step == GW_MEASURE_IDLE)
        arm(discovery, gw_mono_add(now, SETTLE_NS));
}

bool gw_measure_is_first(const struct gw_discovery *discovery)
{
    const struct gw_measure *measure = &discovery->measure;
    bool is_soon = measure->is_due && measure->failures == 0 && !gw_mono_is_never(measure->deadline.at);
    return gw_mono_is_never(measure->result.measured) && (measure->step != GW_MEASURE_IDLE || is_soon);
}

bool gw_measure_briefly(struct gw_discovery *discovery, struct gw_mono now)
{
    struct gw_measure *measure = &discovery->measure;
    if (measure->step == GW_MEASURE_IDLE)
        begin(discovery, now, true);
    return measure->step != GW_MEASURE_IDLE;
}

void gw_measure_forget(struct gw_discovery *discovery, const struct gw_anchor_use *use, struct gw_mono now)
{
    struct gw_measure *measure = &discovery->measure;
    for (unsigned i = 0; i < measure->anchor_count; i++) {
        if (measure->anchors[i].use == use) {
            finish(discovery, false, now);
            return;
        }
    }
}

int gw_measure_init(struct gw_discovery *discovery)
{
    discovery->measure.result.measured = GW_NEVER;
    gw_deadline_init(&discovery->measure.deadline, on_deadline);
    return gw_deadlines_reserve(&discovery->host->deadlines);
}

void gw_measure_fini(struct gw_discovery *discovery)
{
    stop(discovery);
    gw_deadlines_release(&discovery->host->deadlines);
}

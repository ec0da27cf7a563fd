/* SPDX-License-Identifier: MIT */
/* What two NATs ask for. A plain round serves most; where one numbers its ports in a row, the next ones are foretold from a measuring just before; where one takes them at
 * random and the other keeps one for all, a search may find a pair (punch/search.h), against an address only that two witnesses name: the peer, and an anchor. */
#include "gateway/discovery/discovery_private.h"

#include "gateway/base/log.h"

#include <stdlib.h>
#include <string.h>

#define TIMEOUT_NS GW_S(10)
#define AGAIN_MAX 3u
#define LINKS_LEAST 16u  /* fewer sockets find nothing */
#define PREDICTED_ONE 8u /* ports, when only the peer's NAT counts */

/* ---- what is known of both */

static const struct gw_nat_behaviour *own_nat(const struct gw_reach *reach)
{
    return &reach->discovery->measure.result;
}

void gw_round_tell(const struct gw_reach *reach, bool with_last, peergate_Nat *out)
{
    const struct gw_nat_behaviour *nat = own_nat(reach);
    struct gw_candidate last = {reach->discovery->measure.last, GW_CANDIDATE_OBSERVED};
    out->mapping = nat->mapping;
    out->ports = nat->ports;
    out->step = nat->step;
    out->has_last = with_last && gw_addr_is_set(&last.addr);
    if (out->has_last)
        gw_candidate_encode(&out->last, &last);
}

void gw_round_told(struct gw_direct *direct, bool has_nat, const peergate_Nat *nat)
{
    struct gw_candidate last;
    direct->has_told = has_nat;
    direct->told = (struct gw_nat_told){0};
    if (!has_nat || nat->mapping > GW_NAT_ADDRESS_PORT || nat->ports > GW_NAT_PORTS_RANDOM)
        return;
    direct->told.mapping = (enum gw_nat_reach)nat->mapping;
    direct->told.ports = (enum gw_nat_ports)nat->ports;
    if (nat->step < -16 || nat->step > 16)
        return;
    direct->told.step = nat->step;
    if (nat->has_last && gw_candidate_decode(&last, &nat->last) == 0 && last.addr.family == 4)
        direct->told.last = last.addr;
}

static bool is_hard(enum gw_nat_reach mapping, enum gw_nat_ports ports)
{
    return gw_nat_is_symmetric(mapping) && ports == GW_NAT_PORTS_RANDOM;
}

static bool is_row(enum gw_nat_reach mapping, enum gw_nat_ports ports)
{
    return gw_nat_is_symmetric(mapping) && ports == GW_NAT_PORTS_SEQUENTIAL;
}

bool gw_round_wants_measure(const struct gw_reach *reach)
{
    return is_row(own_nat(reach)->mapping, own_nat(reach)->ports);
}

/* The side with random ports opens sockets, the one that keeps its port tries ports. */
static bool may_search(const struct gw_reach *reach, bool *with_sockets)
{
    const struct gw_nat_behaviour *own = own_nat(reach);
    const struct gw_nat_told *told = &reach->direct.told;
    *with_sockets = is_hard(own->mapping, own->ports) && told->mapping == GW_NAT_INDEPENDENT;
    return *with_sockets || (own->mapping == GW_NAT_INDEPENDENT && is_hard(told->mapping, told->ports));
}

bool gw_round_helps(const struct gw_reach *reach)
{
    const struct gw_direct *direct = &reach->direct;
    const struct gw_nat_behaviour *own = own_nat(reach);
    const struct gw_nat_told *told = &direct->told;
    bool with_sockets;
    if (direct->again + 1 >= AGAIN_MAX)
        return false;
    if (direct->punch.search.is_on) /* it has its time */
        return false;
    if (own->mapping == GW_NAT_UNKNOWN || told->mapping == GW_NAT_UNKNOWN)
        return direct->again == 0 && own->mapping != GW_NAT_UNKNOWN &&
               direct->has_told; /* the peer may know by now */
    return may_search(reach, &with_sockets) || is_row(own->mapping, own->ports) ||
           is_row(told->mapping, told->ports);
}

/* ---- the witness */

void gw_round_ask_witness(struct gw_reach *reach, struct gw_mono now)
{
    struct gw_discovery *discovery = reach->discovery;
    const struct gw_anchor_use *best = NULL;
    gw_list_for_each (node, &discovery->anchors) {
        const struct gw_anchor_use *use = gw_list_entry(node, struct gw_anchor_use, node);
        if (!use->is_neighbour && use->is_registered && !use->is_silent && reach->is_through[use->slot] &&
            (!best || gw_peer_rtt(use->peer) < gw_peer_rtt(best->peer)))
            best = use;
    }
    if (best)
        gw_round_ask_anchor(reach, best, now);
}

void gw_round_ask_anchor(struct gw_reach *reach, const struct gw_anchor_use *use, struct gw_mono now)
{
    peergate_Control message = {.which_body = peergate_Control_request_endpoint_tag};
    do
        message.number = gw_random_u32(reach->discovery->host->random);
    while (message.number == 0);
    reach->direct.info_number = message.number;
    reach->direct.info_slot = use->slot;
    memcpy(message.body.request_endpoint.tag, reach->tags[use->slot], GW_TAG_LEN);
    gw_peer_send_message(use->peer, now, &message);
}

/* Does the peer itself say, too, that it is seen there? Without a session, all that the anchor hands on may be the anchor's, but a vouch. */
static bool is_confirmed(const struct gw_reach *reach)
{
    const struct gw_direct *direct = &reach->direct;
    if (direct->witness.family != 4)
        return false;
    if (reach->meet.step == GW_MEET_PUNCHING)
        return gw_addr_same_ip(&reach->meet.vouched, &direct->witness);
    for (unsigned i = 0; i < direct->punch.count; i++) {
        const struct gw_check *check = &direct->punch.checks[i];
        if (check->remote.kind == GW_CANDIDATE_OBSERVED && !check->is_predicted &&
            gw_addr_same_ip(&check->remote.addr, &direct->witness))
            return true;
    }
    return false;
}

/* ---- the round */

static bool open_links(struct gw_reach *reach)
{
    struct gw_direct *direct = &reach->direct;
    uint16_t port;
    direct->links = calloc(GW_SEARCH_SOCKETS, sizeof *direct->links);
    while (direct->links && direct->link_count < GW_SEARCH_SOCKETS &&
           gw_links_open(&reach->discovery->links, &direct->links[direct->link_count], &port) == 0)
        direct->link_count++;
    return direct->link_count >= LINKS_LEAST;
}

static void plan_search(struct gw_reach *reach, struct gw_punch_plan *plan)
{
    struct gw_direct *direct = &reach->direct;
    bool with_sockets;
    if (!may_search(reach, &with_sockets) || !is_confirmed(reach))
        return;
    direct->search = (struct gw_search_plan){.target = direct->witness};
    if (with_sockets) {
        if (!open_links(reach)) {
            gw_round_end(reach);
            return;
        }
        direct->search.links = direct->links;
        direct->search.link_count = direct->link_count;
    }
    plan->search = &direct->search;
    gw_log_debug("%s: searching, with many %s", gw_peer_name(reach->peer),
                 with_sockets ? "sockets" : "ports");
}

static void plan_row(const struct gw_reach *reach, struct gw_punch_plan *plan, unsigned again)
{
    const struct gw_nat_behaviour *own = own_nat(reach);
    const struct gw_nat_told *told = &reach->direct.told;
    plan->foretells = told->mapping == GW_NAT_UNKNOWN;
    if (!is_row(told->mapping, told->ports) || !gw_addr_is_set(&told->last) || told->step == 0)
        return;
    plan->last = told->last;
    plan->step = told->step;
    plan->is_counted = is_row(own->mapping, own->ports);
    /* Where both count, ours up and theirs down meet in the middle: of an odd number, or, when somebody else took one meanwhile, of an even one. */
    plan->count = plan->is_counted ? GW_PREDICTED + again % 2 : PREDICTED_ONE;
}

static int64_t timeout_of(const struct gw_reach *reach)
{
    int64_t timeout = reach->peer->config.punch_timeout_ns;
    return timeout > 0 ? timeout : TIMEOUT_NS;
}

void gw_round_begin(struct gw_reach *reach, struct gw_mono start, unsigned again)
{
    struct gw_direct *direct = &reach->direct;
    struct gw_punch_plan plan = {.start = start, .timeout_ns = timeout_of(reach)};
    plan.is_downwards =
        memcmp(reach->discovery->host->local.public_key, reach->peer->config.public_key, GW_KEY_LEN) < 0;
    gw_punch_end(&direct->punch);
    gw_round_end(reach);
    plan_row(reach, &plan, again);
    if (again > 0)
        plan_search(reach, &plan);
    gw_punch_begin(&direct->punch, &plan, reach->discovery->host->random);
}

void gw_round_end(struct gw_reach *reach)
{
    struct gw_direct *direct = &reach->direct;
    gw_search_end(&direct->punch.search);
    for (unsigned i = 0; i < direct->link_count; i++)
        gw_links_release(&reach->discovery->links, direct->links[i]);
    free(direct->links);
    direct->links = NULL;
    direct->link_count = 0;
}

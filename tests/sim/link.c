/* SPDX-License-Identifier: MIT */
/* A datagram is an event of its own: first in the link's queue, then on the clock until it arrives. */
#include "tests/sim/link.h"

#include "gateway/base/list.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct datagram {
    struct gw_list node; /* in link.waiting or link.flying */
    struct sim_event arrival;
    struct sim_link *link;
    struct sim_port *to; /* NULL: forgotten */
    size_t len;
    uint8_t ecn;
    uint8_t bytes[];
};

struct sim_link {
    struct sim_clock *clock;
    struct sim_link_params params;
    struct sim_dice dice;
    struct gw_list waiting; /* the first is being sent */
    struct gw_list flying;
    uint64_t queued;
    struct sim_event transmitted;
    struct gw_mono last_arrival;
    bool is_bad; /* Gilbert-Elliott state */
    unsigned partition_count;
    struct {
        struct gw_mono from, until;
    } partitions[SIM_LINK_PARTITIONS_MAX];
    struct sim_link_stats stats;
};

static void on_transmitted(struct sim_clock *clock, struct sim_event *event);

struct sim_link *sim_link_new(struct sim_clock *clock, const struct sim_link_params *params, uint64_t seed)
{
    struct sim_link *link = calloc(1, sizeof *link);
    if (!link)
        abort();
    link->clock = clock;
    link->params = *params;
    link->dice.state = seed;
    link->transmitted.fire = on_transmitted;
    gw_list_init(&link->waiting);
    gw_list_init(&link->flying);
    return link;
}

static void drop_all(struct sim_link *link, struct gw_list *list)
{
    for (struct gw_list *node; (node = gw_list_pop_front(list));) {
        struct datagram *datagram = gw_list_entry(node, struct datagram, node);
        sim_clock_cancel(link->clock, &datagram->arrival);
        free(datagram);
    }
}

void sim_link_free(struct sim_link *link)
{
    if (!link)
        return;
    sim_clock_cancel(link->clock, &link->transmitted);
    drop_all(link, &link->waiting);
    drop_all(link, &link->flying);
    free(link);
}

static bool roll(struct sim_link *link, double chance)
{
    return chance > 0 && sim_dice_unit(&link->dice) < chance;
}

static bool is_down(const struct sim_link *link)
{
    for (unsigned i = 0; i < link->partition_count; i++)
        if (gw_mono_due(link->partitions[i].from, link->clock->now) &&
            gw_mono_before(link->clock->now, link->partitions[i].until))
            return true;
    return false;
}

static bool is_lost(struct sim_link *link)
{
    const struct sim_link_params *params = &link->params;
    if (params->burst_enter > 0 && roll(link, link->is_bad ? params->burst_leave : params->burst_enter))
        link->is_bad = !link->is_bad;
    bool lost = roll(link, params->loss);
    return (link->is_bad && roll(link, params->burst_loss)) || lost;
}

static void on_arrival(struct sim_clock *clock, struct sim_event *event)
{
    struct datagram *datagram = gw_container_of(event, struct datagram, arrival);
    struct sim_link *link = datagram->link;
    gw_list_remove(&datagram->node);
    link->stats.delivered++;
    link->stats.bytes_delivered += datagram->len;
    if (datagram->to)
        datagram->to->deliver(datagram->to, clock->now, datagram->bytes, datagram->len, datagram->ecn);
    free(datagram);
}

static struct datagram *datagram_new(struct sim_link *link, struct sim_port *to, const void *data, size_t len,
                                     uint8_t ecn)
{
    struct datagram *datagram = malloc(sizeof *datagram + len);
    if (!datagram)
        abort();
    *datagram = (struct datagram){.arrival.fire = on_arrival, .link = link, .to = to, .len = len, .ecn = ecn};
    gw_list_init(&datagram->node);
    if (len)
        memcpy(datagram->bytes, data, len);
    return datagram;
}

/* Propagation. */
static void fly(struct sim_link *link, struct datagram *datagram)
{
    const struct sim_link_params *params = &link->params;
    int64_t delay_ns = params->delay_ns;
    if (params->jitter_ns > 0)
        delay_ns += (int64_t)(sim_dice_unit(&link->dice) * (double)params->jitter_ns);
    struct gw_mono at = gw_mono_add(link->clock->now, delay_ns);
    if (roll(link, params->reorder)) {
        at = gw_mono_add(at, params->reorder_ns);
    } else {
        at = gw_mono_max(at, link->last_arrival);
        link->last_arrival = at;
    }
    gw_list_push_back(&link->flying, &datagram->node);
    sim_clock_at(link->clock, &datagram->arrival, at);
    if (roll(link, params->duplicate)) {
        struct datagram *twin =
            datagram_new(link, datagram->to, datagram->bytes, datagram->len, datagram->ecn);
        gw_list_push_back(&link->flying, &twin->node);
        sim_clock_at(link->clock, &twin->arrival, at);
        link->stats.duplicated++;
    }
}

static void transmit_next(struct sim_link *link)
{
    if (gw_list_is_empty(&link->waiting) || link->transmitted.slot)
        return;
    const struct datagram *first = gw_list_entry(link->waiting.next, struct datagram, node);
    double bits = 8.0 * (double)(first->len + link->params.overhead);
    int64_t takes_ns = link->params.rate_bps ? (int64_t)(bits * 1e9 / (double)link->params.rate_bps) : 0;
    sim_clock_at(link->clock, &link->transmitted, gw_mono_add(link->clock->now, takes_ns));
}

static void on_transmitted(struct sim_clock *clock, struct sim_event *event)
{
    (void)clock;
    struct sim_link *link = gw_container_of(event, struct sim_link, transmitted);
    struct datagram *datagram = gw_list_entry(gw_list_pop_front(&link->waiting), struct datagram, node);
    link->queued -= datagram->len + link->params.overhead;
    fly(link, datagram);
    transmit_next(link);
}

void sim_link_send(struct sim_link *link, struct sim_port *to, const void *data, size_t len, uint8_t ecn)
{
    const struct sim_link_params *params = &link->params;
    size_t wire = len + params->overhead;
    link->stats.sent++;
    if (is_down(link)) {
        link->stats.dropped_down++;
        return;
    }
    if (params->mtu && wire > params->mtu) {
        link->stats.dropped_mtu++;
        return;
    }
    if (is_lost(link)) {
        link->stats.dropped_loss++;
        return;
    }
    if (params->rate_bps == 0) {
        fly(link, datagram_new(link, to, data, len, ecn));
        return;
    }
    if (params->buffer_bytes && !gw_list_is_empty(&link->waiting) &&
        link->queued + wire > params->buffer_bytes) {
        link->stats.dropped_full++;
        return;
    }
    if (params->mark_bytes && (ecn & 3) != 0 && link->queued > params->mark_bytes) {
        ecn |= 3;
        link->stats.marked++;
    }
    struct datagram *datagram = datagram_new(link, to, data, len, ecn);
    gw_list_push_back(&link->waiting, &datagram->node);
    link->queued += wire;
    if (link->queued > link->stats.queue_max)
        link->stats.queue_max = link->queued;
    transmit_next(link);
}

void sim_link_set(struct sim_link *link, const struct sim_link_params *params)
{
    /* The queue is accounted with the overhead that it was filled with. */
    assert(params->overhead == link->params.overhead);
    link->params = *params;
}

const struct sim_link_params *sim_link_params(const struct sim_link *link)
{
    return &link->params;
}

void sim_link_partition(struct sim_link *link, struct gw_mono from, struct gw_mono until)
{
    assert(link->partition_count < SIM_LINK_PARTITIONS_MAX);
    link->partitions[link->partition_count].from = from;
    link->partitions[link->partition_count].until = until;
    link->partition_count++;
}

static void forget_in(struct gw_list *list, const struct sim_port *port)
{
    gw_list_for_each (node, list) {
        struct datagram *datagram = gw_list_entry(node, struct datagram, node);
        if (datagram->to == port)
            datagram->to = NULL;
    }
}

void sim_link_forget(struct sim_link *link, const struct sim_port *port)
{
    forget_in(&link->waiting, port);
    forget_in(&link->flying, port);
}

uint64_t sim_link_queued(const struct sim_link *link)
{
    return link->queued;
}

const struct sim_link_stats *sim_link_stats(const struct sim_link *link)
{
    return &link->stats;
}

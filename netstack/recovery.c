/* SPDX-License-Identifier: MIT */
/* Recovery from losses: what lwIP would do in half seconds, and by one segment a round trip. While it lasts, lwIP's congestion window is only the means to say how much
 * may leave now: as much as proportional rate reduction (RFC 6937) allows, first what is lost, then new bytes. When nothing comes back at all, the first segment is sent
 * again after two round trips, and then everything (RFC 8985, 7; RFC 6298 with our own clock); lwIP's timer is held back until that has been tried.
 * lwIP's list of what is to be sent must not hold what was sent before while others that were are in the other: its timer would put them together in the wrong order, and
 * a first segment behind its window keeps all others from leaving, for good. So what can't leave at once is taken back. */
#include "netstack/recovery.h"

#include "lwip/def.h"

/* What acknowledgements may take beyond two round trips; one segment alone may be acknowledged late on purpose. */
#define PROBE_SLACK_NS GW_MS(10)
#define PROBE_ALONE_NS GW_MS(200)
/* Each waits twice as long as the one before; then lwIP's timer decides. */
#define PROBES_MAX 4u
/* New bytes at the end of a recovery that has emptied the way. */
#define BURST_SEGMENTS 10u
#define GUESSES_PER_ACK 2u

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t outstanding(const struct tcp_pcb *pcb)
{
    return pcb->snd_nxt - pcb->lastack;
}

/* ---- between lwIP's two lists, both in order */

static void insert(struct tcp_seg **list, struct tcp_seg *segment)
{
    while (*list && TCP_SEQ_LT(ns_segment_start(*list), ns_segment_start(segment)))
        list = &(*list)->next;
    segment->next = *list;
    *list = segment;
}

static void send_again(struct tcp_pcb *pcb, struct tcp_seg **at)
{
    struct tcp_seg *segment = *at;
    *at = segment->next;
    segment->flags = (u8_t)((segment->flags & ~NS_SEGMENT_LOST) | NS_SEGMENT_RESENT);
    insert(&pcb->unsent, segment);
#if TCP_OVERSIZE
    if (!segment->next)
        pcb->unsent_oversize = 0;
#endif
    pcb->rttest = 0;
}

static void take_back(struct tcp_pcb *pcb)
{
    struct tcp_seg **to = &pcb->unacked;
    while (pcb->unsent && TCP_SEQ_LT(ns_segment_start(pcb->unsent), pcb->snd_nxt)) {
        struct tcp_seg *segment = pcb->unsent;
        pcb->unsent = segment->next;
        segment->flags |= NS_SEGMENT_LOST;
        insert(to, segment);
        to = &segment->next;
    }
#if TCP_OVERSIZE
    if (!pcb->unsent)
        pcb->unsent_oversize = 0;
#endif
    if (!pcb->unacked)
        return;
    /* For a window that was shut meanwhile, and nothing on its way, lwIP asks in a rhythm of its own; it asserts that it has only one. */
    pcb->persist_backoff = 0;
    if (pcb->rtime < 0)
        pcb->rtime = 0;
}

/* ---- how much may leave */

static void restart_counts(struct gw_connection *connection)
{
    struct recovery *recovery = &connection->recovery;
    const struct tcp_pcb *pcb = connection->pcb;
    recovery->end = recovery->sent_to = pcb->snd_nxt;
    recovery->flight = outstanding(pcb);
    recovery->delivered = recovery->sent = 0;
}

static void begin(struct gw_connection *connection)
{
    struct tcp_pcb *pcb = connection->pcb;
    if (!(pcb->flags & TF_INFR)) { /* else lwIP has done so */
        pcb->ssthresh = min_u32(pcb->cwnd, outstanding(pcb)) / 2;
        if (pcb->ssthresh < 2u * pcb->mss)
            pcb->ssthresh = 2u * pcb->mss;
    }
    connection->recovery.is_on = true;
    restart_counts(connection);
}

static void finish(struct gw_connection *connection, uint32_t delivered)
{
    struct tcp_pcb *pcb = connection->pcb;
    uint32_t burst = delivered + BURST_SEGMENTS * pcb->mss;
    connection->recovery.is_on = false;
    /* The queue of before says nothing of the new rate. */
    connection->recovery.settled = gw_mono_add(connection->stack->now, GW_MS((int64_t)connection->rtt_ms));
    connection->round_samples = 0;
    tcp_clear_flags(pcb, TF_INFR);
    pcb->cwnd = min_u32(pcb->ssthresh, outstanding(pcb) + burst);
    pcb->bytes_acked = 0;
}

/* RFC 6937, 3, with its slow start reduction bound. */
static uint32_t allowance(const struct gw_connection *connection, const struct ns_flight *flight,
                          uint32_t delivered)
{
    const struct recovery *recovery = &connection->recovery;
    const struct tcp_pcb *pcb = connection->pcb;
    if (flight->on_way > pcb->ssthresh) {
        uint64_t whole = recovery->flight ? recovery->flight : 1;
        uint64_t wanted = (recovery->delivered * pcb->ssthresh + whole - 1) / whole;
        return wanted > recovery->sent ? (uint32_t)(wanted - recovery->sent) : 0;
    }
    uint64_t behind = recovery->delivered > recovery->sent ? recovery->delivered - recovery->sent : 0;
    uint64_t limit = (behind > delivered ? behind : delivered) + pcb->mss;
    uint32_t room = pcb->ssthresh - flight->on_way;
    return room < limit ? room : (uint32_t)limit;
}

/* is_due: one segment at least. */
static void step(struct gw_connection *connection, struct ns_flight flight, uint32_t delivered, bool is_due)
{
    struct recovery *recovery = &connection->recovery;
    struct tcp_pcb *pcb = connection->pcb;
    recovery->sent += pcb->snd_nxt - recovery->sent_to;
    recovery->delivered += delivered;
    uint32_t allowed = allowance(connection, &flight, delivered);
    if (is_due && allowed == 0)
        allowed = 1;
    for (struct tcp_seg **at = &pcb->unacked; *at && flight.lost > 0 && allowed > 0;) {
        struct tcp_seg *segment = *at;
        if (!(segment->flags & NS_SEGMENT_LOST) || segment->p->ref != 1) {
            at = &segment->next;
            continue;
        }
        uint32_t len = TCP_TCPLEN(segment);
        allowed -= min_u32(len, allowed);
        flight.lost -= len;
        recovery->sent += len;
        send_again(pcb, at);
    }
    pcb->cwnd = outstanding(pcb) + (flight.lost > 0 ? 0 : allowed);
    recovery->sent_to = pcb->snd_nxt;
    tcp_output(pcb);
    take_back(pcb);
    /* Its writer may have to give more, though nothing is freed: else all that may leave by then leaves at once. */
    ns_tcp_touch(connection);
}

/* ---- acknowledgements */

/* What the first acknowledgement after a probe brings back was sent before it: nothing was lost, it only took longer (RFC 3522, 3.2). */
static void reconsider(struct gw_connection *connection)
{
    struct recovery *recovery = &connection->recovery;
    struct tcp_pcb *pcb = connection->pcb;
    recovery->is_doubtful = false;
    if (!recovery->is_on || !recovery->has_newest ||
        (int32_t)(recovery->newest_ms - recovery->probed_ms) >= 0)
        return;
    for (struct tcp_seg *at = pcb->unacked; at; at = at->next)
        at->flags = (u8_t)(at->flags & ~NS_SEGMENT_LOST);
    recovery->is_on = false;
    pcb->ssthresh = recovery->ssthresh_before;
    pcb->cwnd = min_u32(recovery->cwnd_before, outstanding(pcb) + BURST_SEGMENTS * pcb->mss);
}

/* Without SACK each step forward shows the next hole (RFC 6582); what stands behind it is taken for lost, too, or a burst would take a round trip a segment. */
static void guess_lost(struct gw_connection *connection)
{
    unsigned count = 0;
    for (struct tcp_seg *at = connection->pcb->unacked; at && count < GUESSES_PER_ACK; at = at->next) {
        if (TCP_SEQ_GEQ(ns_segment_start(at), connection->recovery.end))
            return;
        if (at != connection->pcb->unacked && (at->flags & (NS_SEGMENT_RESENT | NS_SEGMENT_LOST)))
            continue;
        at->flags |= NS_SEGMENT_LOST;
        count++;
    }
}

void ns_recovery_before(struct gw_connection *connection)
{
    struct tcp_pcb *pcb = connection->pcb;
    if (connection->recovery.is_on || (pcb->flags & TF_SACK))
        pcb->dupacks = 0; /* it is not lwIP that decides what is lost */
    if (!connection->recovery.is_on)
        return;
    tcp_clear_flags(pcb, TF_INFR);
    pcb->cwnd = pcb->mss; /* nor how much may leave */
}

static uint32_t count_delivered(struct gw_connection *connection, const struct ns_flight *flight)
{
    struct recovery *recovery = &connection->recovery;
    uint32_t there = connection->pcb->lastack + flight->sacked; /* both only grow, together */
    uint32_t delivered = there - recovery->there;
    recovery->there = there;
    return (int32_t)delivered > 0 ? delivered : 0;
}

void ns_recovery_after(struct gw_connection *connection, const struct ns_sacks *sacks)
{
    struct recovery *recovery = &connection->recovery;
    struct tcp_pcb *pcb = connection->pcb;
    if (pcb->state < ESTABLISHED)
        return;
    bool has_advanced = pcb->lastack != recovery->acked;
    recovery->acked = pcb->lastack;
    if (!recovery->is_on && sacks->count == 0 && !(pcb->flags & TF_INFR)) {
        recovery->there = pcb->lastack;
        ns_recovery_watch(connection);
        return;
    }
    take_back(pcb);
    if (recovery->is_doubtful && (has_advanced || sacks->count > 0))
        reconsider(connection);
    ns_sack_mark(connection, sacks);
    if (recovery->is_on && has_advanced && !(pcb->flags & TF_SACK))
        guess_lost(connection);
    struct ns_flight flight = ns_sack_count(connection);
    uint32_t delivered = count_delivered(connection, &flight);
    if (delivered > 0)
        recovery->progress++;
    if (recovery->is_on && (!pcb->unacked || TCP_SEQ_GEQ(pcb->lastack, recovery->end)))
        finish(connection, delivered);
    bool is_new = !recovery->is_on && pcb->unacked && (flight.lost > 0 || (pcb->flags & TF_INFR));
    if (is_new)
        begin(connection);
    if (recovery->is_on)
        step(connection, flight, delivered, is_new);
    else
        tcp_output(pcb);
    ns_recovery_watch(connection);
}

/* ---- when nothing comes back */

static void arm_probe(struct gw_connection *connection)
{
    gw_deadline_arm(&connection->stack->deadlines, &connection->deadline, connection->probe_at);
}

static void plan_probe(struct gw_connection *connection)
{
    const struct tcp_seg *first = connection->pcb->unacked;
    int64_t slack = first->next ? PROBE_SLACK_NS : PROBE_ALONE_NS;
    int64_t wait = (GW_MS(2 * (int64_t)connection->rtt_ms) + slack) << connection->probes;
    connection->probe_at = gw_mono_add(connection->stack->now, wait);
}

/* The deadline stays where it is while things move, and looks again when it is due. */
void ns_recovery_watch(struct gw_connection *connection)
{
    struct recovery *recovery = &connection->recovery;
    const struct tcp_pcb *pcb = connection->pcb;
    if (!pcb->unacked || connection->rtt_ms == 0 || pcb->state < ESTABLISHED)
        return;
    if (connection->probes > 0 && pcb->lastack == connection->probe_acked &&
        recovery->progress == connection->probe_progress)
        return;
    connection->probes = 0;
    connection->probe_acked = pcb->lastack;
    connection->probe_progress = recovery->progress;
    plan_probe(connection);
    if (connection->deadline.slot == 0)
        arm_probe(connection);
}

/* All that was sent is taken for lost, and nothing of what was sacked is believed any longer (RFC 2018, 8). */
static void give_up_flight(struct gw_connection *connection)
{
    struct tcp_pcb *pcb = connection->pcb;
    for (struct tcp_seg *at = pcb->unacked; at; at = at->next)
        at->flags = (u8_t)((at->flags & ~NS_SEGMENT_SACKED) | NS_SEGMENT_LOST);
    connection->recovery.there = pcb->lastack;
    restart_counts(connection);
}

static void doubt(struct gw_connection *connection)
{
    struct recovery *recovery = &connection->recovery;
    if (recovery->is_on)
        return;
    recovery->is_doubtful = true;
    recovery->probed_ms = sys_now();
    recovery->cwnd_before = connection->pcb->cwnd;
    recovery->ssthresh_before = connection->pcb->ssthresh;
}

void ns_recovery_expire(struct gw_connection *connection)
{
    struct tcp_pcb *pcb = connection->pcb;
    if (!pcb || !pcb->unacked || connection->probes == PROBES_MAX || pcb->state < ESTABLISHED)
        return;
    if (!gw_mono_due(connection->probe_at, connection->stack->now)) {
        arm_probe(connection);
        return;
    }
    ns_tcp_select(connection);
    if (++connection->probes < PROBES_MAX) {
        plan_probe(connection);
        arm_probe(connection);
    }
    take_back(pcb);
    doubt(connection);
    if (!connection->recovery.is_on)
        begin(connection);
    if (connection->probes > 1)
        give_up_flight(connection);
    pcb->unacked->flags |= NS_SEGMENT_LOST;
    step(connection, ns_sack_count(connection), 0, true);
}

/* ---- lwIP's own timer */

static bool is_ours(const struct tcp_pcb *pcb)
{
    return pcb->callback_arg && pcb->state >= ESTABLISHED;
}

void ns_recovery_before_tick(void)
{
    for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
        struct gw_connection *connection = is_ours(pcb) ? pcb->callback_arg : NULL;
        if (!connection)
            continue;
        connection->recovery.ssthresh = connection->recovery.is_on ? pcb->ssthresh : 0;
        if (pcb->unacked && pcb->rtime > 0 && connection->rtt_ms > 0 && connection->deadline.slot != 0)
            pcb->rtime = 0;
    }
}

/* It has sent the first again and would do the same with all others. */
void ns_recovery_after_tick(void)
{
    for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
        struct gw_connection *connection = is_ours(pcb) ? pcb->callback_arg : NULL;
        if (!connection || !(pcb->flags & TF_RTO))
            continue;
        struct tcp_seg *first = pcb->unacked;
        tcp_clear_flags(pcb, TF_RTO | TF_INFR);
        take_back(pcb);
        if (connection->recovery.ssthresh > 0) /* once for a loss */
            pcb->ssthresh = connection->recovery.ssthresh;
        connection->recovery.is_on = true;
        give_up_flight(connection);
        if (first)
            first->flags = (u8_t)((first->flags & ~NS_SEGMENT_LOST) | NS_SEGMENT_RESENT);
        pcb->cwnd = outstanding(pcb);
    }
}

/* SPDX-License-Identifier: MIT */
/* RACK: a packet is lost when one sent later is acked and it is itself older than one round trip and the reordering
 * window. The window is a quarter of min_rtt and never under 1 ms (receive offload and several threads reorder that
 * much on a LAN), and grows by a quarter each time a loss turns out to be none. There is no packet threshold.
 *
 * Packets are examined in order of their number, which is the order of their sending, so each is passed once:
 * `scan_from` is the first one outstanding, and the scan ends at the first that is not due. ACK ranges repeat; the
 * runs of acked records (gw_sent_packet.u.run_start) let them be skipped in one step. */
#include "gateway/flow/recovery.h"

#include "gateway/base/err.h"

#define DEFAULT_RTT_NS GW_MS(100)
#define GRANULARITY_NS GW_MS(1)
#define MIN_WINDOW_NS GW_MS(1)
#define MAX_WINDOW_FACTOR 16u
#define CALM_ROUNDS 16u
#define MAX_PTO_NS GW_S(2)
#define PERSISTENT_PTOS 3
#define MAX_PTO_SHIFT 16u
#define OUTAGE_NS \
    GW_S(1) /* and four times what was waited for: no round trip, but somebody who stood still */

/* What one ACK, or one expiry, did: the beginnings of gw_cc_ack. */
struct outcome {
    uint64_t acked, lost;
    bool has_spurious, is_persistent;
};

void gw_recovery_init(struct gw_recovery *recovery, struct gw_cc *cc, const struct gw_recovery_events *events,
                      struct gw_mono now)
{
    *recovery = (struct gw_recovery){
        .cc = cc, .events = events, .loss_at = GW_NEVER, .window_factor = 1, .last_sent_at = now};
    gw_sent_init(&recovery->sent);
    gw_rate_init(&recovery->rate, now);
}

void gw_recovery_fini(struct gw_recovery *recovery)
{
    gw_sent_fini(&recovery->sent);
}

void gw_recovery_new_path(struct gw_recovery *recovery, struct gw_mono now, int64_t rtt_hint_ns)
{
    recovery->srtt_ns = recovery->rttvar_ns = recovery->min_rtt_ns = recovery->latest_rtt_ns = 0;
    recovery->rtt_hint_ns = rtt_hint_ns;
    recovery->path_first = recovery->sent.next;
    recovery->inflight = 0;
    recovery->pto_count = recovery->backs = 0;
    recovery->window_factor = 1;
    recovery->has_loss_run = false;
    recovery->is_after_outage = false;
    gw_rate_init(&recovery->rate, now);
}

int64_t gw_recovery_rtt(const struct gw_recovery *recovery)
{
    if (recovery->srtt_ns > 0)
        return recovery->srtt_ns;
    return recovery->rtt_hint_ns > 0 ? recovery->rtt_hint_ns : DEFAULT_RTT_NS;
}

int64_t gw_recovery_ack_delay(int64_t rtt_ns)
{
    int64_t delay = rtt_ns / 4;
    if (delay < GW_ACK_DELAY_MIN_NS)
        return GW_ACK_DELAY_MIN_NS;
    return delay < GW_ACK_DELAY_MAX_NS ? delay : GW_ACK_DELAY_MAX_NS;
}

/* Without backoff. */
static int64_t pto_ns(const struct gw_recovery *recovery)
{
    int64_t rtt = gw_recovery_rtt(recovery);
    if (recovery->srtt_ns == 0)
        return 2 * rtt + GRANULARITY_NS + gw_recovery_ack_delay(rtt);
    int64_t spread = 4 * recovery->rttvar_ns > GRANULARITY_NS ? 4 * recovery->rttvar_ns : GRANULARITY_NS;
    return rtt + spread + gw_recovery_ack_delay(rtt);
}

static int64_t reorder_window_ns(const struct gw_recovery *recovery)
{
    int64_t window = recovery->min_rtt_ns / 4 * recovery->window_factor;
    if (window > recovery->srtt_ns)
        window = recovery->srtt_ns;
    return window < MIN_WINDOW_NS ? MIN_WINDOW_NS : window;
}

/* How old a packet gets before a later one's ack makes it lost. */
static int64_t loss_age_ns(const struct gw_recovery *recovery)
{
    int64_t rtt = gw_recovery_rtt(recovery);
    if (recovery->latest_rtt_ns > rtt)
        rtt = recovery->latest_rtt_ns;
    return rtt + reorder_window_ns(recovery);
}

void gw_recovery_on_sent(struct gw_recovery *recovery, struct gw_mono now, struct gw_sent_packet *packet,
                         uint32_t bytes)
{
    packet->sent_at = now;
    packet->bytes = bytes;
    gw_rate_on_sent(&recovery->rate, now, bytes, recovery->inflight, &packet->stamp);
    gw_sent_commit(&recovery->sent);
    recovery->inflight += bytes;
    recovery->outstanding++;
    recovery->last_sent_at = now;
    recovery->cc->ops->on_sent(recovery->cc, now, bytes, recovery->inflight, packet->stamp.is_app_limited);
}

static bool is_of_path(const struct gw_recovery *recovery, uint64_t number)
{
    return number >= recovery->path_first;
}

static void leave_flight(struct gw_recovery *recovery, uint64_t number, const struct gw_sent_packet *packet)
{
    recovery->outstanding--;
    if (is_of_path(recovery, number))
        recovery->inflight -= packet->bytes;
}

static void release_items(struct gw_recovery *recovery, struct gw_sent_packet *packet,
                          void (*event)(void *ctx, const struct gw_sent_item *item))
{
    gw_sent_for_each_item(packet, item) event(recovery->events->ctx, item);
    gw_sent_clear_items(&recovery->sent, packet);
}

/* --- acked ------------------------------------------------------------------------------------------------------- */

static void take_ack(struct gw_recovery *recovery, struct gw_mono now, uint64_t number,
                     struct gw_sent_packet *packet, struct outcome *outcome)
{
    bool is_counted = is_of_path(recovery, number);
    if (packet->state == GW_SENT_LOST) {
        outcome->has_spurious = true;
        recovery->spurious++;
    } else {
        leave_flight(recovery, number, packet);
        if (is_counted)
            outcome->acked += packet->bytes;
    }
    if (is_counted)
        gw_rate_on_acked(&recovery->rate, now, packet->bytes, packet->sent_at, &packet->stamp);
    if (recovery->full_bytes > 0 && packet->bytes >= recovery->full_bytes)
        recovery->full_acked++;
    if (packet->u.ack_largest > 0)
        recovery->events->on_ack_seen(recovery->events->ctx, packet->u.ack_largest - 1);
    release_items(recovery, packet, recovery->events->on_acked);
    if (number > recovery->rack_number)
        recovery->rack_number = number;
    packet->state = GW_SENT_ACKED;
    packet->u.run_start = number;
}

/* All numbers of [start, end) are acked. */
static void take_range(struct gw_recovery *recovery, struct gw_mono now, uint64_t start, uint64_t end,
                       struct outcome *outcome)
{
    struct gw_sent *sent = &recovery->sent;
    if (start < sent->first)
        start = sent->first;
    if (start >= end)
        return;
    for (uint64_t number = end; number > start;) {
        struct gw_sent_packet *packet = gw_sent_at(sent, number - 1);
        if (packet->state == GW_SENT_ACKED) {
            number = packet->u.run_start;
            continue;
        }
        number--;
        take_ack(recovery, now, number, packet, outcome);
    }
    struct gw_sent_packet *top = gw_sent_at(sent, end - 1);
    if (top->u.run_start > start)
        top->u.run_start = start;
}

/* Who was stopped, or slept, answers when it goes on what came in meanwhile. Such times, and the rate that follows from them, would make every timer and the pacing wait for as long again. So
 * neither that nor what else was sent before counts; what is sent from now on does, however long it takes. */
static bool is_round_trip(struct gw_recovery *recovery, struct gw_mono now, struct gw_mono sent_at)
{
    int64_t sample = gw_mono_sub(now, sent_at), expected = 2 * gw_recovery_rtt(recovery);
    if (recovery->srtt_ns > 0)
        expected = recovery->srtt_ns + 4 * recovery->rttvar_ns;
    bool is_known = recovery->is_after_outage || sample < OUTAGE_NS || sample / 4 < expected;
    recovery->is_after_outage = !is_known;
    if (is_known)
        return true;
    recovery->path_first = recovery->sent.next;
    recovery->inflight = 0;
    recovery->has_loss_run = false;
    gw_rate_init(&recovery->rate, now);
    return false;
}

/* RFC 9002, 5.1 to 5.3. Returns the sample. */
static int64_t sample_rtt(struct gw_recovery *recovery, struct gw_mono now, struct gw_mono sent_at,
                          int64_t delay_ns)
{
    int64_t rtt = gw_mono_sub(now, sent_at);
    if (rtt < 1)
        rtt = 1;
    recovery->latest_rtt_ns = rtt;
    if (recovery->min_rtt_ns == 0 || rtt < recovery->min_rtt_ns)
        recovery->min_rtt_ns = rtt;
    if (rtt >= recovery->min_rtt_ns + delay_ns)
        rtt -= delay_ns;
    if (recovery->srtt_ns == 0) {
        recovery->srtt_ns = rtt;
        recovery->rttvar_ns = rtt / 2;
        return rtt;
    }
    int64_t off = recovery->srtt_ns > rtt ? recovery->srtt_ns - rtt : rtt - recovery->srtt_ns;
    recovery->rttvar_ns += (off - recovery->rttvar_ns) / 4;
    recovery->srtt_ns += (rtt - recovery->srtt_ns) / 8;
    if (recovery->srtt_ns < 1)
        recovery->srtt_ns = 1;
    return rtt;
}

/* --- lost -------------------------------------------------------------------------------------------------------- */

static void report_lost(struct gw_recovery *recovery, struct gw_sent_packet *packet)
{
    if (packet->is_repeated)
        return;
    gw_sent_for_each_item(packet, item) recovery->events->on_lost(recovery->events->ctx, item);
    if (packet->controls != 0)
        recovery->events->on_controls_lost(recovery->events->ctx, packet->controls);
}

static void declare_lost(struct gw_recovery *recovery, struct gw_mono now, uint64_t number,
                         struct gw_sent_packet *packet, struct outcome *outcome)
{
    leave_flight(recovery, number, packet);
    packet->state = GW_SENT_LOST;
    recovery->lost++;
    report_lost(recovery, packet);
    packet->is_repeated = true;
    if (!is_of_path(recovery, number))
        return;
    outcome->lost += packet->bytes;
    uint64_t lost_since_sent = gw_rate_on_lost(&recovery->rate, packet->bytes, &packet->stamp);
    recovery->cc->ops->on_lost(recovery->cc, now, packet->bytes, packet->sent_at, recovery->inflight,
                               packet->stamp.tx_inflight, lost_since_sent);
    if (recovery->srtt_ns == 0)
        return;
    if (!recovery->has_loss_run) {
        recovery->has_loss_run = true;
        recovery->loss_run_at = packet->sent_at;
    } else if (gw_mono_sub(packet->sent_at, recovery->loss_run_at) > PERSISTENT_PTOS * pto_ns(recovery)) {
        outcome->is_persistent = true;
        recovery->has_loss_run = false;
    }
}

static void detect_losses(struct gw_recovery *recovery, struct gw_mono now, struct outcome *outcome)
{
    struct gw_sent *sent = &recovery->sent;
    int64_t age = loss_age_ns(recovery);
    recovery->loss_at = GW_NEVER;
    if (recovery->scan_from < sent->first)
        recovery->scan_from = sent->first;
    /* Behind the last packet acked nothing can be told. */
    for (; recovery->has_acked && recovery->scan_from < recovery->rack_number; recovery->scan_from++) {
        struct gw_sent_packet *packet = gw_sent_at(sent, recovery->scan_from);
        if (packet->state == GW_SENT_ACKED)
            recovery->has_loss_run = false;
        if (packet->state != GW_SENT_OUTSTANDING)
            continue;
        struct gw_mono lost_at = gw_mono_add(packet->sent_at, age);
        if (!gw_mono_due(lost_at, now)) {
            recovery->loss_at = lost_at;
            return;
        }
        declare_lost(recovery, now, recovery->scan_from, packet, outcome);
    }
}

void gw_recovery_forget(struct gw_recovery *recovery, struct gw_mono now)
{
    struct gw_sent *sent = &recovery->sent;
    int64_t keep = loss_age_ns(recovery) + 2 * pto_ns(recovery);
    while (!gw_sent_is_empty(sent)) {
        struct gw_sent_packet *packet = gw_sent_at(sent, sent->first);
        if (packet->state == GW_SENT_OUTSTANDING)
            return;
        if (packet->state == GW_SENT_LOST) {
            if (gw_mono_sub(now, packet->sent_at) < keep)
                return;
            release_items(recovery, packet, recovery->events->on_forgotten);
        }
        gw_sent_pop(sent);
    }
}

/* --- ACK frame --------------------------------------------------------------------------------------------------- */

static uint64_t marked_bytes(struct gw_recovery *recovery, const struct gw_ack *ack, uint64_t acked)
{
    if (ack->ce_count <= recovery->peer_ce_count)
        return 0;
    uint64_t packets = ack->ce_count - recovery->peer_ce_count;
    recovery->peer_ce_count = ack->ce_count;
    return packets > acked / recovery->cc->mss ? acked : packets * recovery->cc->mss;
}

static void note_spurious(struct gw_recovery *recovery, struct gw_mono now, const struct outcome *outcome)
{
    if (outcome->has_spurious) {
        if (recovery->window_factor < MAX_WINDOW_FACTOR)
            recovery->window_factor++;
        recovery->calm_rounds = 0;
        recovery->cc->ops->on_spurious_loss(recovery->cc, now);
    } else if (outcome->lost > 0 && recovery->window_factor > 1 && ++recovery->calm_rounds >= CALM_ROUNDS) {
        recovery->window_factor = 1;
        recovery->calm_rounds = 0;
    }
}

int gw_recovery_on_ack(struct gw_recovery *recovery, struct gw_mono now, const struct gw_ack *ack)
{
    struct gw_sent *sent = &recovery->sent;
    uint64_t largest = ack->ranges[0].end - 1;
    struct outcome outcome = {0};
    struct gw_cc_ack report = {.now = now, .prior_inflight = recovery->inflight};
    uint64_t prior_outstanding = recovery->outstanding;
    if (largest >= sent->next)
        return GW_E_MALFORMED;

    bool has_sample = largest >= sent->first && gw_sent_at(sent, largest)->state == GW_SENT_OUTSTANDING &&
                      is_of_path(recovery, largest) &&
                      (!recovery->has_acked || largest > recovery->largest_acked);
    struct gw_mono largest_sent_at = has_sample ? gw_sent_at(sent, largest)->sent_at : now;
    has_sample = has_sample && is_round_trip(recovery, now, largest_sent_at);
    for (unsigned i = 0; i < ack->count; i++) {
        if (ack->ranges[i].end <= sent->first)
            break;
        take_range(recovery, now, ack->ranges[i].start, ack->ranges[i].end, &outcome);
    }
    if (!recovery->has_acked || largest > recovery->largest_acked)
        recovery->largest_acked = largest;
    recovery->has_acked = true;
    if (recovery->outstanding == prior_outstanding && !outcome.has_spurious)
        return 0;

    recovery->pto_count = recovery->backs = 0;
    if (has_sample)
        report.rtt_ns = sample_rtt(recovery, now, largest_sent_at, ack->delay_ns);
    detect_losses(recovery, now, &outcome);
    note_spurious(recovery, now, &outcome);
    report.acked = outcome.acked;
    report.lost = outcome.lost;
    report.inflight = recovery->inflight;
    report.min_rtt_ns = recovery->min_rtt_ns;
    report.srtt_ns = recovery->srtt_ns;
    report.is_cwnd_limited = recovery->is_cwnd_limited;
    report.ce_acked = marked_bytes(recovery, ack, outcome.acked);
    gw_rate_finish(&recovery->rate, now, recovery->min_rtt_ns, &report);
    recovery->is_cwnd_limited = false;
    if (outcome.acked > 0)
        recovery->cc->ops->on_ack(recovery->cc, &report);
    if (outcome.is_persistent)
        recovery->cc->ops->on_persistent_congestion(recovery->cc, now);
    gw_recovery_forget(recovery, now);
    return 0;
}

/* --- timers ------------------------------------------------------------------------------------------------------ */

static struct gw_mono pto_at(const struct gw_recovery *recovery)
{
    if (recovery->outstanding == 0)
        return GW_NEVER;
    unsigned shift = recovery->pto_count < MAX_PTO_SHIFT ? recovery->pto_count : MAX_PTO_SHIFT;
    int64_t base = pto_ns(recovery), wait = base << shift;
    /* The first is RFC 8985's tail loss probe, which does not wait for a steady RTT. */
    int64_t tail = 2 * recovery->srtt_ns + gw_recovery_ack_delay(recovery->srtt_ns) + GRANULARITY_NS;
    if (recovery->pto_count == 0 && recovery->srtt_ns > 0 && tail < wait)
        wait = tail;
    int64_t max = base > MAX_PTO_NS ? base : MAX_PTO_NS;
    return gw_mono_add(recovery->last_sent_at, wait < max ? wait : max);
}

struct gw_mono gw_recovery_deadline(const struct gw_recovery *recovery)
{
    return gw_mono_is_never(recovery->loss_at) ? pto_at(recovery) : recovery->loss_at;
}

unsigned gw_recovery_expire(struct gw_recovery *recovery, struct gw_mono now)
{
    struct outcome outcome = {0};
    if (gw_mono_due(recovery->loss_at, now)) {
        detect_losses(recovery, now, &outcome);
        if (outcome.is_persistent)
            recovery->cc->ops->on_persistent_congestion(recovery->cc, now);
        return 0;
    }
    if (!gw_mono_is_never(recovery->loss_at) || !gw_mono_due(pto_at(recovery), now))
        return 0;
    recovery->pto_count++;
    recovery->last_sent_at = now; /* the backoff counts from here even when the probe cannot leave */
    /* Two when one may have been lost; in a long silence one is enough. */
    return recovery->pto_count == 2 || recovery->pto_count == 3 ? 2 : 1;
}

bool gw_recovery_repeat_oldest(struct gw_recovery *recovery)
{
    struct gw_sent *sent = &recovery->sent;
    uint64_t number = recovery->scan_from < sent->first ? sent->first : recovery->scan_from;
    for (; number < sent->next; number++) {
        struct gw_sent_packet *packet = gw_sent_at(sent, number);
        if (packet->state != GW_SENT_OUTSTANDING || packet->is_repeated)
            continue;
        report_lost(recovery, packet);
        packet->is_repeated = true;
        return true;
    }
    return false;
}

/* SPDX-License-Identifier: MIT */
#include "tests/sim/bulk.h"

#include "gateway/base/list.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW 65536u    /* packets remembered, a power of two */
#define REMEMBERED 4096u /* of these the lost ones too, in case they were not */
#define BITMAP_WORDS 65u /* an ack tells of so many times 64 packets */

enum packet_state { PACKET_FREE, PACKET_FLYING, PACKET_LOST };

struct packet {
    enum packet_state state;
    uint64_t number;
    struct gw_mono sent_at;
    struct gw_rate_stamp stamp;
};

/* The largest number, and which arrived: word i is of the numbers 64 * (largest / 64 - i) and the 63 after it. */
struct ack {
    uint64_t largest, marked;
    uint64_t bitmap[BITMAP_WORDS];
};

struct receiver {
    struct sim_port port;
    struct sim_event turn;
    struct gw_mono last_turn;
    uint64_t next; /* after the largest */
    uint64_t seen[WINDOW / 64];
    uint64_t marked;
    unsigned unacked;
};

struct sender {
    struct sim_port port;
    struct sim_event turn;
    struct gw_mono last_turn, started;
    struct gw_cc cc;
    struct gw_pacer pacer;
    struct gw_rate rate;
    struct packet window[WINDOW];
    uint64_t oldest, next; /* numbers */
    uint64_t inflight;
    bool has_acked, is_cwnd_limited, is_paused, is_started;
    uint64_t largest_acked;
    struct gw_mono newest_acked_sent_at, last_sent_at;
    int64_t srtt_ns, rttvar_ns, min_rtt_ns;
    unsigned backoff;
    uint64_t written; /* by the application */
    uint64_t marked;
    struct gw_mono deadline; /* loss or probe */
    bool is_probing;
    struct ack ack; /* the last one received */
    bool has_ack;
};

struct sim_bulk {
    struct sim_clock *clock;
    struct sim_link *data, *acks;
    struct sim_bulk_params params;
    struct sim_bulk_stats stats;
    struct sender sender;
    struct receiver receiver;
    struct gw_random random;
    struct sim_dice dice;
};

static void fill_random(struct gw_random *random, void *out, size_t len)
{
    struct sim_bulk *bulk = gw_container_of(random, struct sim_bulk, random);
    for (uint8_t *p = out; len-- > 0; p++)
        *p = (uint8_t)(sim_dice_u64(&bulk->dice) >> 56);
}

/* ---- Receiver. */

static bool was_seen(const struct receiver *receiver, uint64_t number)
{
    return receiver->seen[number / 64 % (WINDOW / 64)] >> (number % 64) & 1;
}

static void mark_seen(struct receiver *receiver, uint64_t number)
{
    for (; receiver->next <= number; receiver->next++)
        receiver->seen[receiver->next / 64 % (WINDOW / 64)] &= ~(UINT64_C(1) << (receiver->next % 64));
    receiver->seen[number / 64 % (WINDOW / 64)] |= UINT64_C(1) << (number % 64);
}

static void send_ack(struct sim_bulk *bulk)
{
    struct receiver *receiver = &bulk->receiver;
    struct ack ack = {.largest = receiver->next - 1, .marked = receiver->marked};
    uint64_t top = ack.largest / 64;
    for (uint64_t i = 0; i < BITMAP_WORDS && i <= top; i++)
        ack.bitmap[i] = receiver->seen[(top - i) % (WINDOW / 64)];
    ack.bitmap[0] &= ~UINT64_C(0) >> (63 - ack.largest % 64); /* above it are bits of long ago */
    receiver->unacked = 0;
    sim_clock_cancel(bulk->clock, &receiver->turn);
    receiver->last_turn = bulk->clock->now;
    sim_link_send(bulk->acks, &bulk->sender.port, &ack, sizeof ack, 0);
}

static void on_receiver_turn(struct sim_clock *clock, struct sim_event *event)
{
    (void)clock;
    send_ack(gw_container_of(event, struct sim_bulk, receiver.turn));
}

static void on_data(struct sim_port *port, struct gw_mono now, const void *data, size_t len, uint8_t ecn)
{
    struct sim_bulk *bulk = gw_container_of(port, struct sim_bulk, receiver.port);
    struct receiver *receiver = &bulk->receiver;
    uint64_t number;
    memcpy(&number, data, sizeof number);
    if (number < receiver->next && (receiver->next - number >= WINDOW || was_seen(receiver, number)))
        return;
    bool is_gap = number != receiver->next;
    mark_seen(receiver, number);
    bulk->stats.delivered += len;
    receiver->marked += ecn == 3;
    receiver->unacked++;
    struct gw_mono at = gw_mono_add(now, bulk->params.ack_delay_ns);
    if (receiver->unacked >= bulk->params.ack_every || is_gap || ecn == 3)
        at = gw_mono_max(now, gw_mono_add(receiver->last_turn, bulk->params.turn_ns));
    if (!receiver->turn.slot || gw_mono_before(at, receiver->turn.at))
        sim_clock_at(bulk->clock, &receiver->turn, at);
}

/* ---- Sender. */

static struct packet *packet_of(struct sender *sender, uint64_t number)
{
    return &sender->window[number % WINDOW];
}

static void schedule(struct sim_bulk *bulk, struct gw_mono at)
{
    struct sender *sender = &bulk->sender;
    at = gw_mono_max(at, gw_mono_add(sender->last_turn, bulk->params.turn_ns));
    if (!sender->turn.slot || gw_mono_before(at, sender->turn.at))
        sim_clock_at(bulk->clock, &sender->turn, at);
}

static void on_ack_datagram(struct sim_port *port, struct gw_mono now, const void *data, size_t len,
                            uint8_t ecn)
{
    (void)len;
    (void)ecn;
    struct sim_bulk *bulk = gw_container_of(port, struct sim_bulk, sender.port);
    memcpy(&bulk->sender.ack, data, sizeof bulk->sender.ack);
    bulk->sender.has_ack = true;
    schedule(bulk, now);
}

static void sample_rtt(struct sim_bulk *bulk, int64_t rtt_ns)
{
    struct sender *sender = &bulk->sender;
    if (sender->srtt_ns == 0) {
        sender->srtt_ns = rtt_ns;
        sender->rttvar_ns = rtt_ns / 2;
        sender->min_rtt_ns = rtt_ns;
    }
    int64_t off_ns = sender->srtt_ns > rtt_ns ? sender->srtt_ns - rtt_ns : rtt_ns - sender->srtt_ns;
    sender->rttvar_ns += (off_ns - sender->rttvar_ns) / 4;
    sender->srtt_ns += (rtt_ns - sender->srtt_ns) / 8;
    if (rtt_ns < sender->min_rtt_ns)
        sender->min_rtt_ns = rtt_ns;
    bulk->stats.rtt_sum_ns += rtt_ns;
    bulk->stats.rtt_count++;
    if (rtt_ns > bulk->stats.rtt_max_ns)
        bulk->stats.rtt_max_ns = rtt_ns;
}

static void take_acked(struct sim_bulk *bulk, struct gw_cc_ack *out)
{
    struct sender *sender = &bulk->sender;
    const struct ack *ack = &sender->ack;
    struct gw_mono now = bulk->clock->now;
    for (uint64_t number = sender->oldest; number <= ack->largest; number++) {
        struct packet *packet = packet_of(sender, number);
        uint64_t word = ack->largest / 64 - number / 64;
        if (packet->state == PACKET_FREE || word >= BITMAP_WORDS || !(ack->bitmap[word] >> (number % 64) & 1))
            continue;
        if (packet->state == PACKET_FLYING) {
            sender->inflight -= bulk->params.mss;
        } else {
            bulk->stats.spurious++;
            sender->cc.ops->on_spurious_loss(&sender->cc, now);
        }
        out->acked += bulk->params.mss;
        gw_rate_on_acked(&sender->rate, now, bulk->params.mss, packet->sent_at, &packet->stamp);
        sender->newest_acked_sent_at = gw_mono_max(sender->newest_acked_sent_at, packet->sent_at);
        if (number == ack->largest && (!sender->has_acked || number > sender->largest_acked)) {
            out->rtt_ns = gw_mono_sub(now, packet->sent_at);
            sample_rtt(bulk, out->rtt_ns);
        }
        packet->state = PACKET_FREE;
    }
    if (!sender->has_acked || ack->largest > sender->largest_acked)
        sender->largest_acked = ack->largest;
    sender->has_acked = true;
    out->ce_acked = (ack->marked - sender->marked) * bulk->params.mss;
    sender->marked = ack->marked;
}

static int64_t pto_ns(const struct sender *sender)
{
    int64_t base_ns = sender->srtt_ns ? sender->srtt_ns + 4 * sender->rttvar_ns + GW_MS(2) : GW_MS(500);
    return base_ns << (sender->backoff < 6 ? sender->backoff : 6);
}

static void declare_lost(struct sim_bulk *bulk, struct packet *packet, struct gw_cc_ack *out)
{
    struct sender *sender = &bulk->sender;
    uint64_t mss = bulk->params.mss;
    packet->state = PACKET_LOST;
    bulk->stats.lost++;
    sender->inflight -= mss;
    out->lost += mss;
    uint64_t since = gw_rate_on_lost(&sender->rate, mss, &packet->stamp);
    sender->cc.ops->on_lost(&sender->cc, bulk->clock->now, mss, packet->sent_at, sender->inflight,
                            packet->stamp.tx_inflight, since);
}

static void forget_oldest(struct sender *sender)
{
    while (sender->oldest < sender->next) {
        struct packet *packet = packet_of(sender, sender->oldest);
        uint64_t remembered = sender->next - sender->oldest;
        if (packet->state == PACKET_FLYING || (packet->state == PACKET_LOST && remembered <= REMEMBERED))
            return;
        packet->state = PACKET_FREE;
        sender->oldest++;
    }
}

/* RACK: lost when something sent a quarter of an RTT later was acked. */
static void detect_losses(struct sim_bulk *bulk, struct gw_cc_ack *out)
{
    struct sender *sender = &bulk->sender;
    struct gw_mono now = bulk->clock->now;
    int64_t window_ns = sender->min_rtt_ns / 4 > GW_MS(1) ? sender->min_rtt_ns / 4 : GW_MS(1);
    struct gw_mono first_lost = GW_NEVER, last_lost = now;
    sender->deadline = GW_NEVER;
    for (uint64_t number = sender->oldest; sender->has_acked && number < sender->largest_acked; number++) {
        struct packet *packet = packet_of(sender, number);
        if (packet->state != PACKET_FLYING || gw_mono_before(sender->newest_acked_sent_at, packet->sent_at))
            continue;
        struct gw_mono at = gw_mono_add(packet->sent_at, sender->srtt_ns + window_ns);
        if (gw_mono_before(now, at)) {
            sender->deadline = at;
            break;
        }
        declare_lost(bulk, packet, out);
        first_lost = gw_mono_min(first_lost, packet->sent_at);
        last_lost = packet->sent_at;
    }
    bool is_long = !gw_mono_is_never(first_lost) &&
                   gw_mono_sub(last_lost, first_lost) > 3 * (sender->srtt_ns + 4 * sender->rttvar_ns);
    if (is_long && sender->backoff > 1)
        sender->cc.ops->on_persistent_congestion(&sender->cc, now);
    forget_oldest(sender);
}

static void process_ack(struct sim_bulk *bulk)
{
    struct sender *sender = &bulk->sender;
    struct gw_cc_ack out = {.now = bulk->clock->now,
                            .prior_inflight = sender->inflight,
                            .is_cwnd_limited = sender->is_cwnd_limited};
    if (sender->has_ack)
        take_acked(bulk, &out);
    detect_losses(bulk, &out);
    if (!sender->has_ack)
        return;
    sender->has_ack = false;
    if (out.acked)
        sender->backoff = 0;
    out.inflight = sender->inflight;
    out.min_rtt_ns = sender->min_rtt_ns;
    out.srtt_ns = sender->srtt_ns;
    gw_rate_finish(&sender->rate, out.now, sender->min_rtt_ns, &out);
    if (out.acked || out.lost)
        sender->cc.ops->on_ack(&sender->cc, &out);
    sender->is_cwnd_limited = false;
}

static bool has_data(const struct sim_bulk *bulk)
{
    const struct sender *sender = &bulk->sender;
    if (!sender->is_started || sender->is_paused)
        return false;
    if (bulk->params.app_rate == 0)
        return true;
    double s = (double)gw_mono_sub(bulk->clock->now, sender->started) / 1e9;
    return (double)(bulk->stats.sent * bulk->params.mss) + (double)bulk->params.mss <=
           s * (double)bulk->params.app_rate;
}

static void send_packet(struct sim_bulk *bulk)
{
    struct sender *sender = &bulk->sender;
    static const uint8_t zeros[9000];
    uint8_t bytes[9000];
    size_t mss = bulk->params.mss;
    struct gw_mono now = bulk->clock->now;
    struct packet *packet = packet_of(sender, sender->next);
    memcpy(bytes, zeros, mss);
    memcpy(bytes, &sender->next, sizeof sender->next);
    *packet = (struct packet){.state = PACKET_FLYING, .number = sender->next++, .sent_at = now};
    gw_rate_on_sent(&sender->rate, now, mss, sender->inflight, &packet->stamp);
    sender->inflight += mss;
    sender->cc.ops->on_sent(&sender->cc, now, mss, sender->inflight, packet->stamp.is_app_limited);
    sender->last_sent_at = now;
    bulk->stats.sent++;
    gw_pacer_sent(&sender->pacer, mss);
    sim_link_send(bulk->data, &bulk->receiver.port, bytes, mss, bulk->params.ecn);
}

static void send_what_may(struct sim_bulk *bulk)
{
    struct sender *sender = &bulk->sender;
    struct gw_cc *cc = &sender->cc;
    size_t mss = bulk->params.mss;
    for (;;) {
        if (!has_data(bulk)) {
            if (sender->inflight < cc->cwnd)
                gw_rate_app_limited(&sender->rate, sender->inflight);
            if (bulk->params.app_rate && sender->is_started && !sender->is_paused)
                schedule(bulk, gw_mono_add(bulk->clock->now,
                                           (int64_t)((double)mss * 1e9 / (double)bulk->params.app_rate)));
            return;
        }
        if (sender->inflight + mss > cc->cwnd || sender->next - sender->oldest >= WINDOW / 2) {
            sender->is_cwnd_limited = true;
            return;
        }
        if (gw_pacer_allowance(&sender->pacer, bulk->clock->now, cc->pacing_rate, mss, cc->train,
                               sender->srtt_ns) == 0) {
            schedule(bulk, gw_pacer_next(&sender->pacer, cc->pacing_rate, mss, cc->train));
            return;
        }
        send_packet(bulk);
    }
}

static void on_sender_turn(struct sim_clock *clock, struct sim_event *event)
{
    struct sim_bulk *bulk = gw_container_of(event, struct sim_bulk, sender.turn);
    struct sender *sender = &bulk->sender;
    sender->last_turn = clock->now;
    if (sender->has_ack || gw_mono_due(sender->deadline, clock->now))
        process_ack(bulk);
    send_what_may(bulk);
    struct gw_mono probe_at = gw_mono_add(sender->last_sent_at, pto_ns(sender));
    if (sender->inflight > 0 && gw_mono_due(probe_at, clock->now)) {
        bulk->stats.timeouts++;
        sender->backoff++;
        send_packet(bulk);
        probe_at = gw_mono_add(sender->last_sent_at, pto_ns(sender));
    }
    if (sender->inflight > 0)
        schedule(bulk, gw_mono_min(sender->deadline, probe_at));
}

struct sim_bulk *sim_bulk_new(struct sim_clock *clock, struct sim_link *data, struct sim_link *acks,
                              const struct sim_bulk_params *params)
{
    struct sim_bulk *bulk = calloc(1, sizeof *bulk);
    if (!bulk)
        abort();
    bulk->clock = clock;
    bulk->data = data;
    bulk->acks = acks;
    bulk->params = *params;
    if (bulk->params.mss == 0)
        bulk->params.mss = 1400;
    if (bulk->params.ack_every == 0)
        bulk->params.ack_every = 2;
    if (bulk->params.ack_delay_ns == 0)
        bulk->params.ack_delay_ns = GW_MS(1);
    bulk->dice.state = params->seed;
    bulk->random.fill = fill_random;
    bulk->receiver.port.deliver = on_data;
    bulk->receiver.turn.fire = on_receiver_turn;
    bulk->sender.port.deliver = on_ack_datagram;
    bulk->sender.turn.fire = on_sender_turn;
    bulk->sender.deadline = GW_NEVER;
    return bulk;
}

void sim_bulk_free(struct sim_bulk *bulk)
{
    sim_clock_cancel(bulk->clock, &bulk->sender.turn);
    sim_clock_cancel(bulk->clock, &bulk->receiver.turn);
    sim_link_forget(bulk->data, &bulk->receiver.port);
    sim_link_forget(bulk->acks, &bulk->sender.port);
    free(bulk);
}

void sim_bulk_start(struct sim_bulk *bulk, struct gw_mono at)
{
    struct sender *sender = &bulk->sender;
    gw_cc_init(&sender->cc, bulk->params.cc, bulk->params.mss, at, &bulk->random);
    gw_pacer_init(&sender->pacer, at);
    gw_rate_init(&sender->rate, at);
    sender->started = sender->last_sent_at = at;
    sender->is_started = true;
    sim_clock_at(bulk->clock, &sender->turn, at);
}

void sim_bulk_pause(struct sim_bulk *bulk, bool is_paused)
{
    bulk->sender.is_paused = is_paused;
    schedule(bulk, bulk->clock->now);
}

struct sim_bulk_stats *sim_bulk_stats(struct sim_bulk *bulk)
{
    return &bulk->stats;
}

const struct gw_cc *sim_bulk_cc(const struct sim_bulk *bulk)
{
    return &bulk->sender.cc;
}

uint64_t sim_bulk_inflight(const struct sim_bulk *bulk)
{
    return bulk->sender.inflight;
}

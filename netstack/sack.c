/* SPDX-License-Identifier: MIT */
/* Repairs by selective acknowledgements (RFC 2018, RFC 6675 in its simplest form): lwIP sends one segment again for three duplicate acknowledgements and then knows nothing
 * of further holes. Here each acknowledgement in a recovery may send two of them again, those that have sacked bytes well behind them; when nothing is sacked, the next
 * ones, at each step forward. And when nothing comes back at all for two round trips, the first is sent again before lwIP's half seconds are over (RFC 8985, 7). */
#include "netstack/tcp_private.h"

#include "lwip/def.h"

#define KIND_END 0u
#define KIND_NOP 1u
#define KIND_SACK 5u
#define RANGES_MAX 256u
#define REPAIRS_PER_ACK 2u
#define REORDERING 2u /* segments that may overtake one */
/* What was sent again and is not there after two round trips and this is lost again. */
#define PASS_MIN_NS GW_MS(10)
/* What acknowledgements may take beyond two round trips; one segment alone may be acknowledged late on purpose. */
#define PROBE_SLACK_NS GW_MS(10)
#define PROBE_ALONE_NS GW_MS(200)
/* Each waits twice as long as the one before; then lwIP's timer decides. */
#define PROBES_MAX 4u

/* ---- what the segment says */

static void read_blocks(struct ns_sacks *sacks, const uint8_t *option, size_t len)
{
    for (size_t at = 2; at + 8 <= len && sacks->count < NS_SACK_BLOCKS; at += 8) {
        sacks->left[sacks->count] = gw_load32_be(option + at);
        sacks->right[sacks->count++] = gw_load32_be(option + at + 4);
    }
}

void ns_sack_read(struct ns_sacks *sacks, const uint8_t *segment, size_t header_len)
{
    const uint8_t *at = segment + GW_TCP_HEADER, *end = segment + header_len;
    sacks->count = 0;
    while (at < end && *at != KIND_END) {
        size_t len = *at == KIND_NOP ? 1 : end - at >= 2 ? at[1] : 0;
        if (len == 0 || len > (size_t)(end - at) || (*at != KIND_NOP && len < 2))
            return;
        if (*at == KIND_SACK)
            read_blocks(sacks, at, len);
        at += len;
    }
}

/* lwIP counts a duplicate only when the window stays the same, but a receiver with a gap may open it with each. What it sacks says what it is; the window is
 * told again later. */
void ns_sack_keep_window(const struct gw_connection *connection, const struct ns_sacks *sacks,
                         uint8_t *segment, size_t payload)
{
    const struct tcp_pcb *pcb = connection->pcb;
    if (sacks->count > 0 && payload == 0 && pcb->unacked && gw_load32_be(segment + 8) == pcb->lastack)
        gw_store16_be(segment + 14, (uint16_t)(pcb->snd_wnd >> pcb->snd_scale));
}

/* ---- recovery */

static uint32_t offset_of(const struct gw_connection *connection, uint32_t seq)
{
    return seq - connection->repair_base;
}

static void end(struct gw_connection *connection)
{
    connection->is_repairing = false;
    gw_ranges_fini(&connection->sacked);
    gw_ranges_init(&connection->sacked);
}

/* lwIP has sent the first again. */
static void begin(struct gw_connection *connection)
{
    const struct tcp_pcb *pcb = connection->pcb;
    connection->is_repairing = true;
    connection->repair_base = connection->repair_acked = pcb->lastack;
    connection->repair_end = pcb->snd_nxt - pcb->lastack;
    connection->repair_next = 1;
    connection->repair_pass = connection->stack->now;
}

static void note(struct gw_connection *connection, const struct ns_sacks *sacks)
{
    const struct tcp_pcb *pcb = connection->pcb;
    for (unsigned i = 0; i < sacks->count; i++) {
        uint32_t left = offset_of(connection, sacks->left[i]), right = offset_of(connection, sacks->right[i]);
        if (left >= offset_of(connection, pcb->lastack) && left < right &&
            right <= offset_of(connection, pcb->snd_nxt))
            (void)gw_ranges_add(&connection->sacked, left, right, RANGES_MAX);
    }
}

/* From the list of what is on its way to the one of what is to be sent, which is in order. */
static void send_again(struct tcp_pcb *pcb, struct tcp_seg **at)
{
    struct tcp_seg *segment = *at, **to = &pcb->unsent;
    *at = segment->next;
    while (*to && TCP_SEQ_LT(lwip_ntohl((*to)->tcphdr->seqno), lwip_ntohl(segment->tcphdr->seqno)))
        to = &(*to)->next;
    segment->next = *to;
    *to = segment;
#if TCP_OVERSIZE
    if (!segment->next)
        pcb->unsent_oversize = 0;
#endif
    pcb->rttest = 0;
}

static void repair(struct gw_connection *connection, bool has_moved)
{
    struct tcp_pcb *pcb = connection->pcb;
    const struct gw_ranges *sacked = &connection->sacked;
    uint64_t high = sacked->len > 0 ? sacked->list[sacked->len - 1].end : 0;
    unsigned count = 0;
    for (struct tcp_seg **at = &pcb->unacked; *at && count < REPAIRS_PER_ACK;) {
        struct tcp_seg *segment = *at;
        uint32_t from = offset_of(connection, lwip_ntohl(segment->tcphdr->seqno));
        bool is_next = has_moved && (sacked->len == 0 || from == offset_of(connection, pcb->lastack));
        if (!is_next && (uint64_t)from + segment->len + (uint64_t)REORDERING * pcb->mss > high)
            break;
        if (from < connection->repair_next || from >= connection->repair_end ||
            gw_ranges_contains(sacked, from) || segment->p->ref != 1) {
            at = &segment->next;
            continue;
        }
        connection->repair_next = from + segment->len;
        send_again(pcb, at);
        count++;
    }
    if (count > 0)
        tcp_output(pcb);
}

/* Acknowledgements may come merged: so it is not the third that counts, but what they sack (RFC 6675, 4). */
static bool is_lost(const struct tcp_pcb *pcb, const struct ns_sacks *sacks)
{
    uint32_t bytes = 0;
    for (unsigned i = 0; i < sacks->count; i++) {
        if (TCP_SEQ_GT(sacks->left[i], pcb->lastack) && TCP_SEQ_LEQ(sacks->right[i], pcb->snd_nxt) &&
            TCP_SEQ_LT(sacks->left[i], sacks->right[i]))
            bytes += sacks->right[i] - sacks->left[i];
    }
    return bytes > (REORDERING + 1) * (uint32_t)pcb->mss;
}

static void consider(struct gw_connection *connection, const struct ns_sacks *sacks)
{
    struct tcp_pcb *pcb = connection->pcb;
    if (!connection->is_repairing && pcb->unacked && !(pcb->flags & (TF_INFR | TF_RTO)) &&
        is_lost(pcb, sacks)) {
        tcp_rexmit_fast(pcb);
        tcp_output(pcb);
    }
    if (!connection->is_repairing && (!pcb->unacked || !(pcb->flags & TF_INFR)))
        return;
    if (!connection->is_repairing)
        begin(connection);
    uint32_t acked = offset_of(connection, pcb->lastack);
    if ((pcb->flags & TF_RTO) || !pcb->unacked || acked >= connection->repair_end) {
        end(connection);
        return;
    }
    tcp_set_flags(pcb, TF_INFR); /* still: no second halving for one loss */
    bool has_moved = pcb->lastack != connection->repair_acked;
    connection->repair_acked = pcb->lastack;
    if (connection->repair_next < acked)
        connection->repair_next = acked;
    if (gw_mono_sub(connection->stack->now, connection->repair_pass) >
        GW_MS(2 * (int64_t)connection->rtt_ms) + PASS_MIN_NS) {
        connection->repair_pass = connection->stack->now;
        connection->repair_next = acked;
        has_moved = true;
    }
    gw_ranges_drop_below(&connection->sacked, acked);
    note(connection, sacks);
    repair(connection, has_moved);
}

/* ---- the probe */

static void arm_probe(struct gw_connection *connection, struct gw_mono at)
{
    gw_deadline_arm(&connection->stack->deadlines, &connection->deadline, at);
}

static int64_t probe_time(const struct gw_connection *connection)
{
    int64_t slack =
        connection->pcb->unacked && connection->pcb->unacked->next ? PROBE_SLACK_NS : PROBE_ALONE_NS;
    return (GW_MS(2 * (int64_t)connection->rtt_ms) + slack) << connection->probes;
}

/* The deadline stays where it is while things move, and looks again when it is due. */
void ns_sack_watch(struct gw_connection *connection)
{
    const struct tcp_pcb *pcb = connection->pcb;
    if (!pcb->unacked || connection->rtt_ms == 0)
        return;
    if (connection->probes > 0 && pcb->lastack == connection->probe_acked)
        return;
    connection->probes = 0;
    connection->probe_acked = pcb->lastack;
    connection->probe_at = gw_mono_add(connection->stack->now, probe_time(connection));
    if (connection->deadline.slot == 0)
        arm_probe(connection, connection->probe_at);
}

void ns_sack_expire(struct gw_connection *connection)
{
    struct tcp_pcb *pcb = connection->pcb;
    struct gw_mono now = connection->stack->now;
    if (!pcb || !pcb->unacked || connection->probes == PROBES_MAX || (pcb->flags & TF_RTO))
        return;
    if (!gw_mono_due(connection->probe_at, now)) {
        arm_probe(connection, connection->probe_at);
        return;
    }
    ns_tcp_select(connection);
    if (++connection->probes < PROBES_MAX) {
        connection->probe_at = gw_mono_add(now, probe_time(connection));
        arm_probe(connection, connection->probe_at);
    }
    if (connection->is_repairing) {
        send_again(pcb, &pcb->unacked);
    } else if (!(pcb->flags & TF_INFR)) {
        tcp_rexmit_fast(pcb);
        if (pcb->flags & TF_INFR)
            begin(connection);
    }
    tcp_output(pcb);
}

void ns_sack_repair(struct gw_connection *connection, const struct ns_sacks *sacks)
{
    consider(connection, sacks);
    ns_sack_watch(connection);
}

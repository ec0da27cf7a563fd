/* SPDX-License-Identifier: MIT */
/* Which segments are there and which are lost, by selective acknowledgements (RFC 2018) and by the time at which they were sent (RACK, RFC 8985): lwIP sends SACK, but
 * does not read it. The scoreboard is in the segments themselves: bits of `flags` that lwIP leaves alone, and the timestamp that each carries since it was last sent. */
#include "netstack/recovery.h"

#include "lwip/def.h"

#define KIND_END 0u
#define KIND_NOP 1u
#define KIND_SACK 5u
#define REORDERING 2u /* segments that may overtake one */
#define REORDERING_MIN_MS 2u

_Static_assert(((NS_SEGMENT_SACKED | NS_SEGMENT_LOST | NS_SEGMENT_RESENT) &
                (TF_SEG_OPTS_MSS | TF_SEG_OPTS_TS | TF_SEG_DATA_CHECKSUMMED | TF_SEG_OPTS_WND_SCALE |
                 TF_SEG_OPTS_SACK_PERM)) == 0,
               "bits of a segment that lwIP does not use");

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

/* ---- the scoreboard */

uint32_t ns_segment_start(const struct tcp_seg *segment)
{
    return lwip_ntohl(segment->tcphdr->seqno);
}

uint32_t ns_segment_end(const struct tcp_seg *segment)
{
    return ns_segment_start(segment) + TCP_TCPLEN(segment);
}

/* The timestamp stands behind the header, after two NOPs, kind and length. */
static uint32_t sent_at(const struct tcp_seg *segment)
{
    return gw_load32_be((const uint8_t *)(segment->tcphdr + 1) + 4);
}

static bool is_timed(const struct tcp_seg *segment)
{
    return segment->flags & TF_SEG_OPTS_TS;
}

static void note_arrival(struct gw_connection *connection, uint32_t sent)
{
    struct recovery *recovery = &connection->recovery;
    if (!recovery->has_newest || (int32_t)(sent - recovery->newest_ms) > 0)
        recovery->newest_ms = sent;
    recovery->has_newest = true;
}

void ns_sack_note_echo(struct gw_connection *connection, uint32_t sent_ms)
{
    note_arrival(connection, sent_ms);
}

static bool is_sacked(const struct tcp_pcb *pcb, const struct ns_sacks *sacks, const struct tcp_seg *segment)
{
    uint32_t start = ns_segment_start(segment), end = ns_segment_end(segment);
    for (unsigned i = 0; i < sacks->count; i++) {
        if (TCP_SEQ_GEQ(sacks->left[i], pcb->lastack) && TCP_SEQ_LEQ(sacks->right[i], pcb->snd_nxt) &&
            TCP_SEQ_LEQ(sacks->left[i], start) && TCP_SEQ_LEQ(end, sacks->right[i]))
            return true;
    }
    return false;
}

void ns_sack_mark(struct gw_connection *connection, const struct ns_sacks *sacks)
{
    struct tcp_pcb *pcb = connection->pcb;
    for (struct tcp_seg *at = sacks->count > 0 ? pcb->unacked : NULL; at; at = at->next) {
        if ((at->flags & NS_SEGMENT_SACKED) || !is_sacked(pcb, sacks, at))
            continue;
        /* Of what was sent twice it may be the first that arrived. */
        bool is_first = (at->flags & NS_SEGMENT_RESENT) && sys_now() - sent_at(at) < connection->min_rtt_ms;
        if (is_timed(at) && !is_first)
            note_arrival(connection, sent_at(at));
        at->flags = (u8_t)((at->flags & ~NS_SEGMENT_LOST) | NS_SEGMENT_SACKED);
    }
}

static uint32_t sacked_bytes(const struct tcp_pcb *pcb)
{
    uint32_t bytes = 0;
    for (const struct tcp_seg *at = pcb->unacked; at; at = at->next)
        bytes += at->flags & NS_SEGMENT_SACKED ? TCP_TCPLEN(at) : 0;
    return bytes;
}

/* Something arrived that was sent well after it. */
static bool is_overtaken(const struct gw_connection *connection, const struct tcp_seg *segment)
{
    const struct recovery *recovery = &connection->recovery;
    uint32_t reordering = connection->min_rtt_ms / 4 + REORDERING_MIN_MS;
    return recovery->has_newest && is_timed(segment) && (connection->pcb->flags & TF_SACK) &&
           (int32_t)(recovery->newest_ms - sent_at(segment) - reordering) > 0;
}

struct ns_flight ns_sack_count(const struct gw_connection *connection)
{
    const struct tcp_pcb *pcb = connection->pcb;
    struct ns_flight flight = {.sacked = sacked_bytes(pcb)};
    uint32_t above = flight.sacked;
    for (struct tcp_seg *at = pcb->unacked; at; at = at->next) {
        uint32_t len = TCP_TCPLEN(at);
        if (at->flags & NS_SEGMENT_SACKED) {
            above -= len;
            continue;
        }
        if ((!(at->flags & NS_SEGMENT_RESENT) && above > REORDERING * (uint32_t)pcb->mss) ||
            is_overtaken(connection, at))
            at->flags |= NS_SEGMENT_LOST;
        if (at->flags & NS_SEGMENT_LOST)
            flight.lost += len;
        else
            flight.on_way += len;
    }
    return flight;
}

/* SPDX-License-Identifier: MIT */
/* Round trips, by the timestamps that come back (RFC 7323): lwIP's own clock for them ticks every 500 ms. The window's growth goes by them, and the end of slow
 * start as in HyStart++ (RFC 9406): hundreds of losses in one window, and half the rate, are what running into the queue's end costs. */
#include "netstack/tcp_private.h"

#include "lwip/sys.h"
#include "lwip/tcp.h"

#include <string.h>

#define RTT_MAX_MS 60000u
#define SAMPLES 8u
/* How much longer than the shortest the round trip may become: an eighth, within these. */
#define RISE_MIN_MS 4u
#define RISE_MAX_MS 16u
/* Below this there is nothing to lose. */
#define CWND_MIN_SEGMENTS 16u

static bool read_sample(const uint8_t *segment, size_t header_len, uint32_t *rtt)
{
    if (header_len < 32 || memcmp(segment + 20, "\1\1\x08\x0a", 4) != 0 || gw_load32_be(segment + 28) == 0)
        return false;
    *rtt = sys_now() - gw_load32_be(segment + 28);
    if (*rtt == 0)
        *rtt = 1;
    return *rtt <= RTT_MAX_MS;
}

static uint32_t rise_of(const struct gw_connection *connection)
{
    uint32_t rise = connection->min_rtt_ms / 8;
    return rise < RISE_MIN_MS ? RISE_MIN_MS : rise > RISE_MAX_MS ? RISE_MAX_MS : rise;
}

/* Slow start ends when the shortest of some samples says that a queue builds (single ones are longer by delayed acknowledgements). Its bursts say so too
 * early: so while there is no queue and more to send, it goes on in steps of an eighth a round trip (HyStart++'s conservative slow start). */
static void steer(struct gw_connection *connection, struct tcp_pcb *pcb)
{
    uint32_t rise = rise_of(connection), queue = connection->round_rtt_ms - connection->min_rtt_ms;
    struct gw_mono now = connection->stack->now;
    if (connection->recovery.is_on || pcb->cwnd < CWND_MIN_SEGMENTS * pcb->mss ||
        gw_mono_before(now, connection->recovery.settled))
        return;
    if (pcb->cwnd < pcb->ssthresh && queue > rise) {
        pcb->ssthresh = pcb->cwnd;
        connection->steered = now;
    } else if (pcb->cwnd >= pcb->ssthresh && queue <= rise / 2 && pcb->unsent && !(pcb->flags & TF_INFR) &&
               gw_mono_sub(now, connection->steered) >= GW_MS((int64_t)connection->rtt_ms)) {
        pcb->ssthresh = pcb->cwnd + pcb->cwnd / 8;
        connection->steered = now;
    }
}

void ns_rtt_measure(struct gw_connection *connection, const uint8_t *segment, size_t header_len,
                    size_t payload)
{
    uint32_t rtt;
    bool is_advancing = (int32_t)(gw_load32_be(segment + 8) - connection->pcb->lastack) > 0;
    /* One that only repeats brings back the time of what came before the hole (RFC 7323, 4.1): the longer ago, the longer the hole is there. */
    if ((!is_advancing && payload == 0) || !read_sample(segment, header_len, &rtt))
        return;
    if (is_advancing)
        ns_sack_note_echo(connection, sys_now() - rtt);
    connection->rtt_ms = rtt;
    if (connection->min_rtt_ms == 0 || rtt < connection->min_rtt_ms)
        connection->min_rtt_ms = rtt;
    if (connection->round_samples == 0 || rtt < connection->round_rtt_ms)
        connection->round_rtt_ms = rtt;
    if (++connection->round_samples < SAMPLES)
        return;
    connection->round_samples = 0;
    steer(connection, connection->pcb);
}

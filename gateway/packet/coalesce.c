/* SPDX-License-Identifier: MIT */
/* Merging runs of TCP segments and of datagrams; see coalesce.h. */
#include "gateway/packet/coalesce.h"

#include "gateway/packet/super.h"

#include <string.h>

#define GAP_MAX 64u /* a tag of 32 bytes or one of 16 behind 15 of padding, and a header of 16 */

void gw_coalesce_init(struct gw_coalescer *coalescer, gw_merged_fn *emit, void *ctx)
{
    memset(coalescer, 0, sizeof *coalescer);
    coalescer->emit = emit;
    coalescer->ctx = ctx;
}

/* ---- out */

static void emit_single(struct gw_coalescer *coalescer, uint8_t *packet, const struct gw_ip *ip,
                        bool is_partial)
{
    struct iovec iov = {packet, ip->total_len};
    struct gw_merged merged = {.iov = &iov,
                               .iov_count = 1,
                               .len = ip->total_len,
                               .version = ip->version,
                               .protocol = ip->protocol,
                               .header_len = ip->header_len};
    if (is_partial) {
        gw_checksum_prepare(packet, ip, ip->total_len - ip->l4);
        merged.is_checksum_left = true;
        merged.checksum_start = ip->l4;
        merged.checksum_offset = (uint16_t)gw_checksum_offset(ip->protocol);
    }
    coalescer->emit(&merged, coalescer->ctx);
}

static void emit_run(struct gw_coalescer *coalescer, struct gw_coalesce_run *run)
{
    run->is_used = false;
    if (run->count == 1) {
        emit_single(coalescer, run->head, &run->ip, run->is_partial);
        return;
    }
    if (run->ip.version == 6) {
        gw_store16_be(run->head + 4, (uint16_t)(run->len - GW_IP_V6_HEADER));
    } else {
        gw_store16_be(run->head + 2, (uint16_t)run->len);
        gw_checksum_ip_header(run->head, run->ip.l4);
    }
    if (run->ip.protocol == GW_IP_UDP)
        gw_store16_be(run->head + run->ip.l4 + 4, (uint16_t)(run->len - run->ip.l4));
    gw_checksum_prepare(run->head, &run->ip, run->len - run->ip.l4);
    struct gw_merged merged = {.iov = run->iov,
                               .iov_count = run->pieces,
                               .len = run->len,
                               .segment_len = run->segment_len,
                               .version = run->ip.version,
                               .protocol = run->ip.protocol,
                               .header_len = run->ip.header_len,
                               .checksum_start = run->ip.l4,
                               .checksum_offset = (uint16_t)gw_checksum_offset(run->ip.protocol),
                               .is_checksum_left = true};
    coalescer->emit(&merged, coalescer->ctx);
}

void gw_coalesce_lend(struct gw_coalescer *coalescer, const uint8_t *bytes, size_t len)
{
    coalescer->lent = bytes;
    coalescer->lent_end = bytes + len;
}

void gw_coalesce_flush(struct gw_coalescer *coalescer)
{
    coalescer->last = NULL;
    coalescer->lent = coalescer->lent_end = NULL;
    for (unsigned i = 0; i < GW_COALESCE_RUNS; i++) {
        struct gw_coalesce_run *run = &coalescer->runs[(coalescer->next_victim + i) % GW_COALESCE_RUNS];
        if (run->is_used)
            emit_run(coalescer, run);
    }
}

/* ---- in */

static bool is_same_flow(const uint8_t *head, const struct gw_ip *head_ip, const uint8_t *packet,
                         const struct gw_ip *ip)
{
    size_t addresses = ip->version == 6 ? 8 : 12, len = ip->version == 6 ? 32 : 8;
    return head_ip->version == ip->version && head_ip->protocol == ip->protocol && head_ip->l4 == ip->l4 &&
           memcmp(head + addresses, packet + addresses, len) == 0 &&
           memcmp(head + ip->l4, packet + ip->l4, 4) == 0;
}

/* All that a network card would not change: traffic class, TTL, fragment bits; ack, window, options. */
static bool have_equal_headers(const uint8_t *head, const struct gw_ip *head_ip, const uint8_t *packet,
                               const struct gw_ip *ip)
{
    const uint8_t *a = head + ip->l4, *b = packet + ip->l4;
    if (head_ip->header_len != ip->header_len)
        return false;
    if (ip->version == 4
            ? head[1] != packet[1] || head[8] != packet[8] || memcmp(head + 6, packet + 6, 2) != 0
            : memcmp(head, packet, 4) != 0 || head[7] != packet[7])
        return false;
    return ip->protocol == GW_IP_UDP ||
           (memcmp(a + 8, b + 8, 5) == 0 && memcmp(a + 14, b + 14, 2) == 0 &&
            memcmp(a + GW_TCP_HEADER, b + GW_TCP_HEADER, ip->header_len - ip->l4 - GW_TCP_HEADER) == 0);
}

/* Nothing but data, ACK and maybe PSH. */
static bool is_tcp_data(const uint8_t *packet, const struct gw_ip *ip)
{
    return !ip->is_fragment && !ip->has_extensions && ip->protocol == GW_IP_TCP &&
           ip->total_len > ip->header_len && (packet[ip->l4 + 13] & ~GW_TCP_PSH) == GW_TCP_ACK;
}

bool gw_coalesce_is_next(const uint8_t *packet, const struct gw_ip *ip, const uint8_t *next,
                         const struct gw_ip *next_ip)
{
    return is_tcp_data(packet, ip) && is_tcp_data(next, next_ip) && is_same_flow(packet, ip, next, next_ip) &&
           have_equal_headers(packet, ip, next, next_ip) &&
           gw_load32_be(packet + ip->l4 + 4) + (ip->total_len - ip->header_len) ==
               gw_load32_be(next + next_ip->l4 + 4);
}

/* May it be part of a burst? A datagram: with nothing behind it, and a checksum, which the burst's would have. */
static bool is_mergeable(const struct gw_coalescer *coalescer, const uint8_t *packet, const struct gw_ip *ip,
                         bool is_partial)
{
    const uint8_t *l4 = packet + ip->l4;
    if (ip->protocol != GW_IP_UDP)
        return is_tcp_data(packet, ip);
    return !ip->is_fragment && !ip->has_extensions && ip->total_len > ip->header_len &&
           coalescer->takes_datagram_bursts && gw_load16_be(l4 + 4) == ip->total_len - ip->l4 &&
           (is_partial || gw_load16_be(l4 + 6) != 0);
}

static bool may_be_in_run(const struct gw_coalescer *coalescer, const struct gw_ip *ip)
{
    return !ip->is_fragment &&
           (ip->protocol == GW_IP_TCP || (ip->protocol == GW_IP_UDP && coalescer->takes_datagram_bursts));
}

static struct gw_coalesce_run *find_run(struct gw_coalescer *coalescer, const uint8_t *packet,
                                        const struct gw_ip *ip)
{
    for (unsigned i = 0; i < GW_COALESCE_RUNS; i++) {
        if (coalescer->runs[i].is_used &&
            is_same_flow(coalescer->runs[i].head, &coalescer->runs[i].ip, packet, ip))
            return &coalescer->runs[i];
    }
    return NULL;
}

static bool can_append(const struct gw_coalesce_run *run, const uint8_t *packet, const struct gw_ip *ip,
                       bool is_partial)
{
    uint32_t payload = ip->total_len - ip->header_len;
    bool is_tcp = ip->protocol == GW_IP_TCP;
    bool is_ended = (is_tcp && (run->head[run->ip.l4 + 13] & GW_TCP_PSH)) || run->last_len < run->segment_len;
    return !is_ended && run->is_partial == is_partial && run->count < GW_COALESCE_PIECES &&
           payload <= run->segment_len && run->len + payload <= GW_SUPER_MAX &&
           (!is_tcp || gw_load32_be(packet + ip->l4 + 4) == run->next_seq) &&
           have_equal_headers(run->head, &run->ip, packet, ip);
}

/* Between two packets that were sealed one behind the other: tag, padding, header. Another packet that somebody has been lent does not fit. */
static bool is_right_behind(const struct gw_coalescer *coalescer, const uint8_t *end, const uint8_t *packet)
{
    return coalescer->lent && end >= coalescer->lent && packet < coalescer->lent_end && packet >= end &&
           (size_t)(packet - end) <= GAP_MAX;
}

/* The payload moves down to the end of the one before, over what was between them and its own header: we have just touched these bytes, while a kernel takes a
 * burst that lies in pieces of 1.3 KB into its pages more slowly than one that lies together. */
static void join(const struct gw_coalescer *coalescer, struct gw_coalesce_run *run, const uint8_t *packet,
                 const struct gw_ip *ip)
{
    struct iovec *piece = &run->iov[run->pieces - 1];
    uint8_t *end = (uint8_t *)piece->iov_base + piece->iov_len;
    const uint8_t *payload = packet + ip->header_len;
    size_t len = ip->total_len - ip->header_len;
    if (coalescer->last == run && is_right_behind(coalescer, run->end, packet)) {
        memmove(end, payload, len);
        piece->iov_len += len;
    } else {
        run->iov[run->pieces++] = (struct iovec){(void *)(uintptr_t)payload, len};
    }
    run->end = packet + ip->total_len;
}

static void append(struct gw_coalescer *coalescer, struct gw_coalesce_run *run, uint8_t *packet,
                   const struct gw_ip *ip)
{
    uint32_t payload = ip->total_len - ip->header_len;
    run->count++;
    run->last_len = (uint16_t)payload;
    run->len += payload;
    if (ip->protocol == GW_IP_TCP) {
        run->next_seq += payload;
        run->head[run->ip.l4 + 13] |= packet[ip->l4 + 13] & GW_TCP_PSH;
    }
    join(coalescer, run, packet, ip); /* after this there is no header any more */
}

static struct gw_coalesce_run *free_run(struct gw_coalescer *coalescer)
{
    for (unsigned i = 0; i < GW_COALESCE_RUNS; i++) {
        if (!coalescer->runs[i].is_used)
            return &coalescer->runs[i];
    }
    struct gw_coalesce_run *victim = &coalescer->runs[coalescer->next_victim++ % GW_COALESCE_RUNS];
    emit_run(coalescer, victim);
    return victim;
}

static void start_run(struct gw_coalesce_run *run, uint8_t *packet, const struct gw_ip *ip, bool is_partial)
{
    uint32_t payload = ip->total_len - ip->header_len;
    run->is_used = true;
    run->ip = *ip;
    run->head = packet;
    run->is_partial = is_partial;
    if (ip->protocol == GW_IP_TCP)
        run->next_seq = gw_load32_be(packet + ip->l4 + 4) + payload;
    run->len = ip->total_len;
    run->segment_len = run->last_len = (uint16_t)payload;
    run->count = run->pieces = 1;
    run->iov[0] = (struct iovec){packet, ip->total_len};
    run->end = packet + ip->total_len;
}

void gw_coalesce_add_parsed(struct gw_coalescer *coalescer, uint8_t *packet, const struct gw_ip *ip,
                            bool is_partial)
{
    if (is_partial && coalescer->takes_no_partial) {
        gw_checksum_complete(packet, ip);
        is_partial = false;
    }
    struct gw_coalesce_run *run = may_be_in_run(coalescer, ip) ? find_run(coalescer, packet, ip) : NULL;
    /* The kernel computes a merged packet's checksum anew, so a wrong one would be blessed by merging. */
    bool may_merge = !coalescer->takes_no_bursts && is_mergeable(coalescer, packet, ip, is_partial) &&
                     (is_partial || gw_checksum_is_right(packet, ip));
    if (run && may_merge && can_append(run, packet, ip, is_partial)) {
        append(coalescer, run, packet, ip);
        coalescer->last = run;
        return;
    }
    if (run)
        emit_run(coalescer, run);
    coalescer->last = NULL;
    if (!may_merge) {
        emit_single(coalescer, packet, ip, is_partial);
        return;
    }
    if (!run)
        run = free_run(coalescer);
    start_run(run, packet, ip, is_partial);
    coalescer->last = run;
}

bool gw_coalesce_add(struct gw_coalescer *coalescer, uint8_t *packet, size_t len, bool is_partial)
{
    struct gw_ip ip;
    if (gw_ip_parse(&ip, packet, len) != 0)
        return false;
    gw_coalesce_add_parsed(coalescer, packet, &ip, is_partial);
    return true;
}

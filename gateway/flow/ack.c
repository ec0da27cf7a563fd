/* SPDX-License-Identifier: MIT */
#include "gateway/flow/ack.h"

#include "gateway/base/err.h"

#include <assert.h>

#define US_NS 1000
#define RANGE_COUNT_LEN 1u
#define KEEP_RANGES 8u
static_assert(GW_ACK_RANGES_MAX <= 64, "range_count is a varint of one byte");

void gw_acker_init(struct gw_acker *acker)
{
    *acker = (struct gw_acker){.due = GW_NEVER};
    gw_ranges_init(&acker->received);
}

void gw_acker_fini(struct gw_acker *acker)
{
    gw_ranges_fini(&acker->received);
}

static uint64_t expected(const struct gw_acker *acker)
{
    return acker->received.len > 0 ? gw_acker_largest(acker) + 1 : acker->floor;
}

uint64_t gw_acker_expand(const struct gw_acker *acker, uint32_t truncated, unsigned len)
{
    assert(len >= 1 && len <= 4);
    uint64_t window = UINT64_C(1) << (8 * len), half = window / 2;
    uint64_t next = expected(acker);
    uint64_t candidate = (next & ~(window - 1)) | truncated;
    if (candidate + half <= next && candidate < GW_VARINT_MAX + 1 - window)
        return candidate + window;
    if (candidate > next + half && candidate >= window)
        return candidate - window;
    return candidate;
}

bool gw_acker_has(const struct gw_acker *acker, uint64_t number)
{
    return number < acker->floor || gw_ranges_contains(&acker->received, number);
}

int gw_acker_add(struct gw_acker *acker, struct gw_mono now, uint64_t number, bool is_ce)
{
    uint64_t next = expected(acker);
    int err = gw_ranges_add(&acker->received, number, number + 1, GW_ACK_RANGES_MAX);
    if (err == GW_E_LIMIT) {
        acker->floor = acker->received.list[0].end;
        gw_ranges_drop_first(&acker->received);
        if (number < acker->floor)
            return 0; /* older than all we can tell of: let it count as lost */
        err = gw_ranges_add(&acker->received, number, number + 1, GW_ACK_RANGES_MAX);
    }
    if (err != 0)
        return err;
    if (number >= next)
        acker->largest_at = now;
    if (number != next || is_ce)
        acker->is_urgent = true;
    if (is_ce)
        acker->ce_count++;
    acker->pending++;
    return 0;
}

void gw_acker_end_turn(struct gw_acker *acker, struct gw_mono now, int64_t delay_ns)
{
    if (acker->pending == 0) {
        acker->is_urgent = false;
        return;
    }
    if (acker->pending >= 2 || delay_ns == 0)
        acker->is_urgent = true;
    else if (gw_mono_is_never(acker->due))
        acker->due = gw_mono_add(now, delay_ns);
}

bool gw_acker_encode(const struct gw_acker *acker, struct gw_mono now, struct gw_writer *w)
{
    const struct gw_ranges *received = &acker->received;
    if (received->len == 0)
        return false;
    uint32_t i = received->len - 1;
    struct gw_range range = received->list[i];
    int64_t delay = gw_mono_sub(now, acker->largest_at);
    size_t tail = gw_varint_len(acker->ce_count);

    gw_write_varint(w, range.end - 1);
    gw_write_varint(w, (uint64_t)(delay > 0 ? delay : 0) / US_NS);
    gw_write_varint(w, range.end - 1 - range.start);
    uint8_t *count = gw_write_reserve(w, RANGE_COUNT_LEN);
    if (count == NULL || gw_writer_left(w) < tail)
        return false;
    *count = 0;
    /* gap: numbers missing between two ranges, less one; len: numbers in the range, less one */
    while (i-- > 0 && *count < GW_ACK_RANGES_MAX - 1) {
        uint64_t gap = range.start - received->list[i].end - 1;
        range = received->list[i];
        uint64_t len = range.end - range.start - 1;
        if (gw_varint_len(gap) + gw_varint_len(len) + tail > gw_writer_left(w))
            break;
        gw_write_varint(w, gap);
        gw_write_varint(w, len);
        ++*count;
    }
    gw_write_varint(w, acker->ce_count);
    return gw_writer_ok(w);
}

void gw_acker_sent(struct gw_acker *acker)
{
    acker->pending = 0;
    acker->is_urgent = false;
    acker->due = GW_NEVER;
}

void gw_acker_seen(struct gw_acker *acker, uint64_t largest)
{
    struct gw_ranges *received = &acker->received;
    /* Some stay, for what comes very late: the peer learns from it how much the path reorders. */
    while (received->len > KEEP_RANGES && received->list[0].end <= largest) {
        acker->floor = received->list[0].end;
        gw_ranges_drop_first(received);
    }
}

int gw_ack_decode(struct gw_ack *out, struct gw_view body)
{
    struct gw_reader r = gw_reader_of_view(body);
    uint64_t largest = gw_read_varint(&r);
    uint64_t delay_us = gw_read_varint(&r);
    uint64_t first_len = gw_read_varint(&r);
    uint64_t count = gw_read_varint(&r);
    if (!gw_reader_ok(&r) || first_len > largest || count >= GW_ACK_RANGES_MAX)
        return GW_E_MALFORMED;
    out->delay_ns = delay_us < GW_ACK_DELAY_MAX_NS / US_NS ? (int64_t)delay_us * US_NS : GW_ACK_DELAY_MAX_NS;
    out->ranges[0] = (struct gw_range){largest - first_len, largest + 1};
    out->count = 1;
    while (count-- > 0) {
        uint64_t gap = gw_read_varint(&r), len = gw_read_varint(&r);
        uint64_t above = out->ranges[out->count - 1].start;
        if (!gw_reader_ok(&r) || gap + 1 > above || len + 1 > above - gap - 1)
            return GW_E_MALFORMED;
        uint64_t end = above - gap - 1;
        out->ranges[out->count++] = (struct gw_range){end - len - 1, end};
    }
    out->ce_count = gw_read_varint(&r);
    return gw_reader_done(&r) ? 0 : GW_E_MALFORMED;
}

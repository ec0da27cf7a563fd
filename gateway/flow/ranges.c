/* SPDX-License-Identifier: MIT */
/* A sorted array of ranges. Nearly all of its use is at the upper end (the next packet, the next bytes), which is
 * tried first; everything else is found by bisection. Touching ranges are merged, so between any two there is a
 * gap. */
#include "gateway/flow/ranges.h"

#include "gateway/base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void gw_ranges_init(struct gw_ranges *ranges)
{
    ranges->list = ranges->inline_list;
    ranges->len = 0;
    ranges->cap = GW_RANGES_INLINE;
}

void gw_ranges_fini(struct gw_ranges *ranges)
{
    if (ranges->list != ranges->inline_list)
        free(ranges->list);
    gw_ranges_init(ranges);
}

static int grow(struct gw_ranges *ranges)
{
    uint32_t cap = ranges->cap * 2;
    struct gw_range *list;
    if (cap < ranges->cap)
        return GW_E_NOMEM;
    if (ranges->list == ranges->inline_list) {
        list = malloc(cap * sizeof *list);
        if (list != NULL)
            memcpy(list, ranges->inline_list, sizeof ranges->inline_list);
    } else {
        list = realloc(ranges->list, cap * sizeof *list);
    }
    if (list == NULL)
        return GW_E_NOMEM;
    ranges->list = list;
    ranges->cap = cap;
    return 0;
}

static void remove_at(struct gw_ranges *ranges, uint32_t i, uint32_t count)
{
    if (count == 0)
        return;
    memmove(&ranges->list[i], &ranges->list[i + count], (ranges->len - i - count) * sizeof *ranges->list);
    ranges->len -= count;
}

static int insert_at(struct gw_ranges *ranges, uint32_t i, struct gw_range range)
{
    if (ranges->len == ranges->cap && grow(ranges) != 0)
        return GW_E_NOMEM;
    memmove(&ranges->list[i + 1], &ranges->list[i], (ranges->len - i) * sizeof *ranges->list);
    ranges->list[i] = range;
    ranges->len++;
    return 0;
}

/* The first range that ends at or behind value; len when there is none. */
static uint32_t find_end(const struct gw_ranges *ranges, uint64_t value)
{
    uint32_t low = 0, high = ranges->len;
    if (high == 0 || ranges->list[high - 1].end < value)
        return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ranges->list[middle].end < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int gw_ranges_add(struct gw_ranges *ranges, uint64_t start, uint64_t end, uint32_t max)
{
    assert(start <= end);
    if (start == end)
        return 0;
    uint32_t first = find_end(ranges, start);
    if (first == ranges->len || ranges->list[first].start > end) {
        if (ranges->len >= max)
            return GW_E_LIMIT;
        return insert_at(ranges, first, (struct gw_range){start, end});
    }
    /* Everything from first to last touches the new one and becomes one with it. */
    uint32_t last = first;
    while (last + 1 < ranges->len && ranges->list[last + 1].start <= end)
        last++;
    if (ranges->list[first].start > start)
        ranges->list[first].start = start;
    if (ranges->list[last].end > end)
        end = ranges->list[last].end;
    ranges->list[first].end = end;
    remove_at(ranges, first + 1, last - first);
    return 0;
}

int gw_ranges_subtract(struct gw_ranges *ranges, uint64_t start, uint64_t end)
{
    assert(start <= end);
    if (start == end)
        return 0;
    uint32_t i = find_end(ranges, start + 1);
    if (i == ranges->len)
        return 0;
    struct gw_range *range = &ranges->list[i];
    if (range->start < start && range->end > end) {
        struct gw_range rest = {end, range->end};
        if (insert_at(ranges, i + 1, rest) != 0)
            return GW_E_NOMEM;
        ranges->list[i].end = start;
        return 0;
    }
    if (range->start < start) {
        range->end = start;
        i++;
    }
    uint32_t whole = 0;
    while (i + whole < ranges->len && ranges->list[i + whole].end <= end)
        whole++;
    remove_at(ranges, i, whole);
    if (i < ranges->len && ranges->list[i].start < end)
        ranges->list[i].start = end;
    return 0;
}

bool gw_ranges_contains(const struct gw_ranges *ranges, uint64_t value)
{
    if (value == UINT64_MAX)
        return false; /* end is exclusive */
    uint32_t i = find_end(ranges, value + 1);
    return i < ranges->len && ranges->list[i].start <= value;
}

void gw_ranges_drop_below(struct gw_ranges *ranges, uint64_t value)
{
    uint32_t gone = 0;
    while (gone < ranges->len && ranges->list[gone].end <= value)
        gone++;
    remove_at(ranges, 0, gone);
    if (ranges->len > 0 && ranges->list[0].start < value)
        ranges->list[0].start = value;
}

void gw_ranges_drop_first(struct gw_ranges *ranges)
{
    if (ranges->len > 0)
        remove_at(ranges, 0, 1);
}

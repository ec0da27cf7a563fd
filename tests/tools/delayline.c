/* SPDX-License-Identifier: MIT */
#include "tests/tools/delayline.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/tools/tool.h"

struct delayline_entry {
    uint64_t due;
    uint64_t sequence; /* of two due at once, the first in is the first out */
    uint32_t slot;
    uint32_t len;
};

struct delayline {
    struct delayline_config config;
    struct delayline_stats stats;
    struct delayline_entry *heap; /* by (due, sequence) */
    size_t count;
    uint8_t *slots;
    uint32_t *free_slots; /* the last freed on top: it is in the cache */
    size_t free_count;
    uint32_t filling; /* the slot that delayline_slot() has given out */
    uint64_t sequence;
    uint64_t link_free; /* when the link has sent all that is queued */
    uint64_t last_due;  /* jitter does not reorder */
    bool in_burst;
    uint64_t random;
};

struct delayline *delayline_new(const struct delayline_config *config)
{
    struct delayline *line = calloc(1, sizeof *line);
    size_t slots = config->packets_max + 1; /* one is being filled */

    if (!line)
        tool_die("no memory");
    line->config = *config;
    line->random = config->seed;
    line->heap = calloc(config->packets_max, sizeof *line->heap);
    line->free_slots = calloc(slots, sizeof *line->free_slots);
    line->slots = mmap(NULL, slots * config->packet_max, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!line->heap || !line->free_slots || line->slots == MAP_FAILED)
        tool_die("no memory for %zu packets", slots);
    for (size_t i = 0; i < slots; i++)
        line->free_slots[i] = (uint32_t)(slots - 1 - i);
    line->free_count = slots - 1;
    line->filling = line->free_slots[line->free_count];
    return line;
}

void delayline_free(struct delayline *line)
{
    munmap(line->slots, (line->config.packets_max + 1) * line->config.packet_max);
    free(line->heap);
    free(line->free_slots);
    free(line);
}

/* --- chance -------------------------------------------------------------------------------------------------- */

/* splitmix64 */
static uint64_t random_next(struct delayline *line)
{
    uint64_t z = line->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool random_hit(struct delayline *line, double share)
{
    return share > 0 && (double)(random_next(line) >> 11) * 0x1p-53 < share;
}

/* Independent, or a chain of two states whose bad one loses everything, lasts `burst` packets in the mean and is
 * entered as often as it takes for `loss` of all packets to be lost. */
static bool packet_is_lost(struct delayline *line)
{
    const struct delayline_config *c = &line->config;

    if (c->burst <= 1 || c->loss >= 1)
        return random_hit(line, c->loss);
    if (line->in_burst)
        line->in_burst = !random_hit(line, 1 / c->burst);
    else
        line->in_burst = random_hit(line, c->loss / ((1 - c->loss) * c->burst));
    return line->in_burst;
}

/* --- the heap ------------------------------------------------------------------------------------------------ */

static bool entry_before(const struct delayline_entry *a, const struct delayline_entry *b)
{
    return a->due < b->due || (a->due == b->due && a->sequence < b->sequence);
}

static void heap_add(struct delayline *line, struct delayline_entry entry)
{
    size_t at = line->count++;

    while (at && entry_before(&entry, &line->heap[(at - 1) / 2])) {
        line->heap[at] = line->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    line->heap[at] = entry;
}

static void heap_take_first(struct delayline *line)
{
    struct delayline_entry last = line->heap[--line->count];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= line->count)
            break;
        if (child + 1 < line->count && entry_before(&line->heap[child + 1], &line->heap[child]))
            child++;
        if (!entry_before(&line->heap[child], &last))
            break;
        line->heap[at] = line->heap[child];
        at = child;
    }
    line->heap[at] = last;
}

/* --- packets ------------------------------------------------------------------------------------------------- */

/* Puts the packet being filled on its way, if there is room; another slot is being filled then. */
static void packet_schedule(struct delayline *line, uint64_t due, size_t len)
{
    if (!line->free_count) {
        line->stats.dropped_room++;
        return;
    }
    heap_add(line, (struct delayline_entry){due, line->sequence++, line->filling, (uint32_t)len});
    line->filling = line->free_slots[--line->free_count];
}

static bool queue_is_full(const struct delayline *line, uint64_t wait, size_t len)
{
    const struct delayline_config *c = &line->config;
    double queued = (double)wait * 1e-9 * (double)c->rate / 8;

    return (c->buffer_ns && wait > c->buffer_ns) ||
           (c->buffer_bytes && queued + (double)len > (double)c->buffer_bytes);
}

/* When the link has sent this packet too, or TOOL_NEVER if the queue had no room for it. */
static uint64_t packet_departure(struct delayline *line, uint64_t now, size_t len)
{
    const struct delayline_config *c = &line->config;
    uint64_t wait = line->link_free > now ? line->link_free - now : 0;

    if (!c->rate)
        return now;
    if (queue_is_full(line, wait, len))
        return TOOL_NEVER;
    if (wait > line->stats.queue_max_ns)
        line->stats.queue_max_ns = wait;
    line->link_free = now + wait + (uint64_t)len * 8 * TOOL_S / c->rate;
    return line->link_free;
}

void delayline_push(struct delayline *line, uint64_t now, size_t len)
{
    const struct delayline_config *c = &line->config;
    uint64_t due = packet_departure(line, now, len);

    line->stats.packets_in++;
    line->stats.bytes_in += len;
    if (due == TOOL_NEVER) {
        line->stats.dropped_queue++;
        return;
    }
    if (packet_is_lost(line)) {
        line->stats.lost++;
        return;
    }
    due += c->delay_ns;
    if (c->jitter_ns)
        due += random_next(line) % (c->jitter_ns + 1);
    if (due < line->last_due)
        due = line->last_due;
    line->last_due = due;
    if (random_hit(line, c->reorder)) {
        line->stats.reordered++;
        due += c->reorder_ns;
    }
    if (random_hit(line, c->duplicate) && line->free_count) {
        line->stats.duplicated++;
        memcpy(line->slots + line->free_slots[line->free_count - 1] * c->packet_max, delayline_slot(line),
               len);
        packet_schedule(line, due, len);
    }
    packet_schedule(line, due, len);
}

uint8_t *delayline_slot(struct delayline *line)
{
    return line->slots + line->filling * line->config.packet_max;
}

uint64_t delayline_next(const struct delayline *line)
{
    return line->count ? line->heap[0].due : TOOL_NEVER;
}

const uint8_t *delayline_peek(const struct delayline *line, size_t *len)
{
    *len = line->heap[0].len;
    return line->slots + line->heap[0].slot * line->config.packet_max;
}

void delayline_pop(struct delayline *line)
{
    line->stats.packets_out++;
    line->stats.bytes_out += line->heap[0].len;
    line->free_slots[line->free_count++] = line->heap[0].slot;
    heap_take_first(line);
}

const struct delayline_stats *delayline_stats(const struct delayline *line)
{
    return &line->stats;
}

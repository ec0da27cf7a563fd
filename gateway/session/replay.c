/* SPDX-License-Identifier: MIT */
#include "gateway/session/replay.h"

#include <string.h>

#define WORD_BITS 64u
#define WORDS (GW_REPLAY_BITS / WORD_BITS)
#define WINDOW (GW_REPLAY_BITS - WORD_BITS) /* one word is always being cleared for what comes next */

static uint64_t word_of(uint64_t counter)
{
    return (counter / WORD_BITS) % WORDS;
}

static uint64_t bit_of(uint64_t counter)
{
    return UINT64_C(1) << (counter % WORD_BITS);
}

void gw_replay_init(struct gw_replay *replay)
{
    memset(replay, 0, sizeof *replay);
}

static bool is_too_old(const struct gw_replay *replay, uint64_t counter)
{
    return counter < replay->next && replay->next - counter > WINDOW;
}

bool gw_replay_is_fresh(const struct gw_replay *replay, uint64_t counter)
{
    if (counter >= replay->next)
        return counter != UINT64_MAX; /* next could not be above it */
    if (is_too_old(replay, counter))
        return false;
    return (replay->bitmap[word_of(counter)] & bit_of(counter)) == 0;
}

/* Clears the words between the highest counter so far and this one, which is above it. */
static void advance(struct gw_replay *replay, uint64_t counter)
{
    const uint64_t last = replay->next == 0 ? 0 : (replay->next - 1) / WORD_BITS;
    uint64_t steps = counter / WORD_BITS - last;

    if (steps > WORDS)
        steps = WORDS;
    for (uint64_t i = 1; i <= steps; i++)
        replay->bitmap[(last + i) % WORDS] = 0;
    replay->next = counter + 1;
}

bool gw_replay_accept(struct gw_replay *replay, uint64_t counter, bool *is_highest)
{
    const bool is_above = counter >= replay->next;

    if (!gw_replay_is_fresh(replay, counter))
        return false;
    if (is_above)
        advance(replay, counter);
    replay->bitmap[word_of(counter)] |= bit_of(counter);
    if (is_highest != NULL)
        *is_highest = is_above;
    return true;
}

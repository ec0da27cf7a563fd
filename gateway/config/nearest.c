/* SPDX-License-Identifier: MIT */
/* Edit distance (Damerau's, in the form without edits inside a swapped pair) over short words. */
#include "gateway/config/nearest.h"

#include <limits.h>
#include <string.h>
#include <strings.h>

static unsigned min_of(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned cost_at(const char *a, size_t i, const char *b, size_t j)
{
    return a[i - 1] == b[j - 1] ? 0 : 1;
}

static unsigned edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][GW_NEAREST_WORD_MAX + 1]; /* two before, one before, this */
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = rows[1][j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *this = rows[2];
        const unsigned *before = rows[1], *two_before = rows[0];
        this[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            this[j] = min_of(before[j] + 1, this[j - 1] + 1);
            this[j] = min_of(this[j], before[j - 1] + cost_at(a, i, b, j));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                this[j] = min_of(this[j], two_before[j - 2] + 1);
        }
        memcpy(rows[0], rows[1], sizeof rows[0]);
        memcpy(rows[1], rows[2], sizeof rows[1]);
    }
    return rows[1][b_len];
}

void gw_nearest_init(struct gw_nearest *nearest, const char *word)
{
    *nearest = (struct gw_nearest){.word = word, .distance = UINT_MAX};
}

void gw_nearest_offer(struct gw_nearest *nearest, const char *candidate)
{
    size_t word_len = strlen(nearest->word), len = strlen(candidate);
    if (word_len == 0 || len == 0 || word_len > GW_NEAREST_WORD_MAX || len > GW_NEAREST_WORD_MAX)
        return;
    unsigned distance = strcasecmp(nearest->word, candidate) == 0
                            ? 0
                            : edit_distance(nearest->word, word_len, candidate, len);
    /* A third of the letters may be wrong; of a short word, one. */
    size_t longest = word_len > len ? word_len : len;
    if (distance > (longest + 2) / 3 || distance >= longest || distance >= nearest->distance)
        return;
    nearest->best = candidate;
    nearest->distance = distance;
}

/* SPDX-License-Identifier: MIT */
/* "Did you mean ...?": the candidate that a mistyped word is nearest to, by edit distance (a swap of
 * neighbours counts one). Used for commands, configuration keys and enum values. */
#ifndef GATEWAY_CONFIG_NEAREST_H
#define GATEWAY_CONFIG_NEAREST_H

/* Longer words have no neighbours. */
#define GW_NEAREST_WORD_MAX 64u

struct gw_nearest {
    const char *word; /* borrowed */
    const char *best; /* borrowed; NULL = nothing near enough to be worth a question */
    unsigned distance;
};

void gw_nearest_init(struct gw_nearest *nearest, const char *word);
/* The first of equally near candidates wins. */
void gw_nearest_offer(struct gw_nearest *nearest, const char *candidate);

#endif

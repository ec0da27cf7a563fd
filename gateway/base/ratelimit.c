/* SPDX-License-Identifier: MIT */
/* Token buckets, and the bounded table of them. The table is set-associative: a keyed hash of the prefix
 * picks a set of eight buckets, and only these are searched, so that a packet costs the same however many
 * strangers there are.
 *
 * A newcomer takes over the fullest bucket of its set with the tokens that are in it, and refilled buckets
 * are the first to go. So forgetting never mints tokens: however many prefixes a flood comes from, no more
 * passes than the buckets together hold and gain. */
#include "gateway/base/ratelimit.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define WAYS 8

struct entry {
    uint8_t prefix[8];
    struct gw_bucket bucket;
};

struct gw_ratelimit {
    double rate, burst;
    size_t set_count, ways;
    uint8_t seed[crypto_shorthash_KEYBYTES];
    struct entry entries[]; /* set_count * ways */
};

static double tokens_at(const struct gw_bucket *bucket, double rate, double burst, struct gw_mono now)
{
    int64_t since_ns = gw_mono_sub(now, bucket->filled);
    double tokens = bucket->tokens + (since_ns > 0 ? (double)since_ns * 1e-9 * rate : 0);
    return tokens < burst ? tokens : burst;
}

void gw_bucket_init(struct gw_bucket *bucket, double burst, struct gw_mono now)
{
    *bucket = (struct gw_bucket){burst, now};
}

bool gw_bucket_take(struct gw_bucket *bucket, double rate, double burst, double amount, struct gw_mono now)
{
    bucket->tokens = tokens_at(bucket, rate, burst, now);
    bucket->filled = gw_mono_max(bucket->filled, now); /* a late `now` must not be paid twice */
    if (bucket->tokens < amount)
        return false;
    bucket->tokens -= amount;
    return true;
}

struct gw_ratelimit *gw_ratelimit_new(double rate, double burst, size_t max_keys, const uint8_t seed[16])
{
    assert(max_keys > 0);
    size_t ways = max_keys < WAYS ? max_keys : WAYS;
    size_t set_count = max_keys / ways;
    struct gw_ratelimit *limit = calloc(1, sizeof *limit + set_count * ways * sizeof limit->entries[0]);
    if (limit == NULL)
        return NULL;
    limit->rate = rate;
    limit->burst = burst;
    limit->set_count = set_count;
    limit->ways = ways;
    memcpy(limit->seed, seed, sizeof limit->seed);
    /* A free entry is a full bucket: it has nothing to remember, whosever prefix stands there. */
    for (size_t i = 0; i < set_count * ways; i++)
        gw_bucket_init(&limit->entries[i].bucket, burst, (struct gw_mono){0});
    return limit;
}

void gw_ratelimit_free(struct gw_ratelimit *limit)
{
    free(limit);
}

static struct entry *set_of(struct gw_ratelimit *limit, const uint8_t prefix[8])
{
    uint64_t hash;
    crypto_shorthash((uint8_t *)&hash, prefix, 8, limit->seed);
    return &limit->entries[(size_t)(hash % limit->set_count) * limit->ways];
}

static struct entry *find(struct gw_ratelimit *limit, struct entry *set, const uint8_t prefix[8])
{
    for (size_t i = 0; i < limit->ways; i++) {
        if (memcmp(set[i].prefix, prefix, sizeof set[i].prefix) == 0)
            return &set[i];
    }
    return NULL;
}

static struct entry *take_over_fullest(struct gw_ratelimit *limit, struct entry *set, const uint8_t prefix[8],
                                       struct gw_mono now)
{
    struct entry *fullest = &set[0];
    double most = -1;
    for (size_t i = 0; i < limit->ways; i++) {
        double tokens = tokens_at(&set[i].bucket, limit->rate, limit->burst, now);
        if (tokens > most) {
            most = tokens;
            fullest = &set[i];
        }
    }
    memcpy(fullest->prefix, prefix, sizeof fullest->prefix);
    return fullest;
}

bool gw_ratelimit_take(struct gw_ratelimit *limit, const uint8_t prefix[8], struct gw_mono now)
{
    struct entry *set = set_of(limit, prefix);
    struct entry *entry = find(limit, set, prefix);
    if (entry == NULL)
        entry = take_over_fullest(limit, set, prefix, now);
    return gw_bucket_take(&entry->bucket, limit->rate, limit->burst, 1, now);
}

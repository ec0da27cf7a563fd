/* SPDX-License-Identifier: MIT */
#include "tests/nat/allocate.h"

#include <math.h>

#define FIRST_PORT 1024u
#define LAST_PORT 65535u
#define RANDOM_TRIES 128u
#define OTHERS_MAX 10000.0 /* more than these between two of ours make no difference */

void nat_allocator_init(struct nat_allocator *allocator, const struct nat_params *params, uint64_t seed)
{
    *allocator = (struct nat_allocator){.params = params, .dice = {seed}, .last_at = GW_NEVER};
    nat_allocator_shift(allocator);
    allocator->shift = 0;
}

unsigned nat_allocator_address(struct nat_allocator *allocator)
{
    return allocator->params->pool_count ? allocator->next_address++ % allocator->params->pool_count : 0;
}

static uint32_t first_port(const struct nat_allocator *allocator)
{
    return allocator->params->port_first ? allocator->params->port_first : FIRST_PORT;
}

static uint32_t port_count(const struct nat_allocator *allocator)
{
    uint32_t last = allocator->params->port_last ? allocator->params->port_last : LAST_PORT;
    return last - first_port(allocator) + 1;
}

static uint32_t below(struct nat_allocator *allocator, uint32_t limit)
{
    return (uint32_t)(sim_dice_u64(&allocator->dice) % limit);
}

void nat_allocator_shift(struct nat_allocator *allocator)
{
    uint32_t count = port_count(allocator);
    /* Not by a little: what somebody predicted from before is to miss. */
    uint32_t by = count / 8 + below(allocator, count / 2 + 1);
    allocator->shift = (uint16_t)(allocator->shift + by);
    allocator->last_port = (uint16_t)(first_port(allocator) + (allocator->last_port + by) % count);
    allocator->last_at = GW_NEVER;
}

/* How many of `mean` expected events happened (Knuth's method, in parts that do not underflow). */
static uint32_t poisson(struct nat_allocator *allocator, double mean)
{
    uint32_t count = 0;
    for (double left = fmin(mean, OTHERS_MAX); left > 0; left -= 30) {
        double limit = exp(-fmin(left, 30)), product = sim_dice_unit(&allocator->dice);
        for (; product > limit; product *= sim_dice_unit(&allocator->dice))
            count++;
    }
    return count;
}

static bool is_free(const struct nat_table *table, struct nat_key *key, uint32_t port)
{
    key->own.port = (uint16_t)port;
    return nat_table_outside(table, key) == NULL;
}

static bool find_random(struct nat_allocator *allocator, const struct nat_table *table, struct nat_key *key)
{
    uint32_t count = port_count(allocator), offset = 0;
    for (unsigned i = 0; i < RANDOM_TRIES; i++) {
        offset = below(allocator, count);
        if (is_free(table, key, first_port(allocator) + offset))
            return true;
    }
    for (uint32_t i = 1; i <= count; i++) {
        if (is_free(table, key, first_port(allocator) + (offset + i) % count))
            return true;
    }
    return false;
}

static bool find_next(struct nat_allocator *allocator, const struct nat_table *table, struct nat_key *key,
                      struct gw_mono now)
{
    uint32_t count = port_count(allocator), step = allocator->params->step ? allocator->params->step : 1;
    uint32_t offset = allocator->last_port - first_port(allocator);
    if (!gw_mono_is_never(allocator->last_at)) {
        double seconds = (double)gw_mono_sub(now, allocator->last_at) / 1e9;
        offset += step * poisson(allocator, seconds * allocator->params->others);
    }
    allocator->last_at = now;
    for (uint32_t i = 0; i < count; i++) {
        offset = (offset + step) % count;
        if (is_free(table, key, first_port(allocator) + offset)) {
            allocator->last_port = key->own.port;
            return true;
        }
    }
    return false;
}

/* The host's own port, moved within the range when the NAT was told to use others. */
static uint32_t preserved(const struct nat_allocator *allocator, uint16_t port)
{
    if (allocator->shift == 0)
        return port;
    return first_port(allocator) + ((uint32_t)port + allocator->shift) % port_count(allocator);
}

bool nat_allocator_find(struct nat_allocator *allocator, const struct nat_table *table,
                        const struct nat_host *host, struct nat_key *key, struct gw_mono now)
{
    const struct nat_params *params = allocator->params;
    unsigned index = params->is_pool_arbitrary ? below(allocator, params->pool_count) : host->pool_index;
    uint16_t own_port = key->own.port;
    key->own = params->pool[index];
    switch (params->ports) {
    case NAT_PORTS_SEQUENTIAL:
        return find_next(allocator, table, key, now);
    case NAT_PORTS_PRESERVE:
        if (is_free(table, key, preserved(allocator, own_port)))
            return true;
        return find_random(allocator, table, key);
    case NAT_PORTS_RANDOM:
        break;
    }
    return find_random(allocator, table, key);
}

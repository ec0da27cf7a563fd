/* SPDX-License-Identifier: MIT */
#include "gateway/flow/pool.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

/* Of the budget, what may lie unused in one pool: enough that a bulk transfer does not ask the system for each
 * block. */
#define KEEP_PART 16

void gw_pool_init(struct gw_pool *pool, struct gw_flow_budget *budget)
{
    *pool = (struct gw_pool){.budget = budget};
}

void gw_pool_fini(struct gw_pool *pool)
{
    gw_pool_trim(pool);
}

void *gw_pool_get(struct gw_pool *pool, size_t size, uint64_t limit)
{
    assert(size == GW_POOL_SMALL || size == GW_POOL_LARGE);
    if (pool->budget->used + size > limit)
        return NULL;
    struct gw_pool_block **free_list = size == GW_POOL_SMALL ? &pool->small : &pool->large;
    struct gw_pool_block *block = *free_list;
    if (block != NULL) {
        *free_list = block->next;
        *(size == GW_POOL_SMALL ? &pool->small_count : &pool->large_count) -= 1;
    } else {
        block = malloc(size);
    }
    if (block != NULL)
        pool->budget->used += size;
    return block;
}

void gw_pool_put(struct gw_pool *pool, void *memory, size_t size)
{
    assert(size == GW_POOL_SMALL || size == GW_POOL_LARGE);
    struct gw_pool_block *block = memory;
    size_t kept = pool->small_count * (size_t)GW_POOL_SMALL + pool->large_count * (size_t)GW_POOL_LARGE;
    bool is_kept = kept + size <= pool->budget->limit / KEEP_PART;
    assert(pool->budget->used >= size);
    pool->budget->used -= size;
    if (is_kept && size == GW_POOL_SMALL) {
        block->next = pool->small;
        pool->small = block;
        pool->small_count++;
    } else if (is_kept) {
        block->next = pool->large;
        pool->large = block;
        pool->large_count++;
    } else {
        free(block);
    }
}

static void free_all(struct gw_pool_block **list)
{
    while (*list != NULL) {
        struct gw_pool_block *block = *list;
        *list = block->next;
        free(block);
    }
}

void gw_pool_trim(struct gw_pool *pool)
{
    free_all(&pool->small);
    free_all(&pool->large);
    pool->small_count = pool->large_count = 0;
}

/* SPDX-License-Identifier: MIT */
/* How a NAT finds the outside address and port of a new mapping (RFC 4787, sections 4.1 and 4.2). */
#ifndef TESTS_NAT_ALLOCATE_H
#define TESTS_NAT_ALLOCATE_H

#include "tests/nat/model.h"
#include "tests/nat/table.h"
#include "tests/sim/clock.h"

struct nat_allocator {
    const struct nat_params *params; /* borrowed: the pool may change */
    struct sim_dice dice;
    unsigned next_address; /* of the pool, for the next host */
    uint16_t last_port;    /* sequential */
    uint16_t shift;        /* added to a port that is preserved */
    struct gw_mono last_at;
    uint64_t last_count;
};

void nat_allocator_init(struct nat_allocator *allocator, const struct nat_params *params, uint64_t seed);
/* Which address of the pool a host that had none is to have. */
unsigned nat_allocator_address(struct nat_allocator *allocator);
/* Fills in key->own, which was the inside address. False: no port is free. */
bool nat_allocator_find(struct nat_allocator *allocator, const struct nat_table *table,
                        const struct nat_host *host, struct nat_key *key, struct gw_mono now);
/* From now on other ports than before. */
void nat_allocator_shift(struct nat_allocator *allocator);

#endif

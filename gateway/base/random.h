/* SPDX-License-Identifier: MIT */
/* The one door to randomness, replaceable in tests: an engine draws only from the struct it was given. */
#ifndef GATEWAY_BASE_RANDOM_H
#define GATEWAY_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct gw_random {
    void (*fill)(struct gw_random *self, void *out, size_t len);
};

static inline void gw_random_fill(struct gw_random *random, void *out, size_t len)
{
    random->fill(random, out, len);
}

static inline uint32_t gw_random_u32(struct gw_random *random)
{
    uint32_t value;
    random->fill(random, &value, sizeof value);
    return value;
}

static inline uint64_t gw_random_u64(struct gw_random *random)
{
    uint64_t value;
    random->fill(random, &value, sizeof value);
    return value;
}

/* libsodium's randombytes. Never freed. */
struct gw_random *gw_random_system(void);

/* A reproducible stream (ChaCha20) for tests and the simulator; 32-byte seed. No secret may come from it. */
struct gw_random_seeded {
    struct gw_random random;
    uint8_t key[32];
    uint64_t counter;
};
void gw_random_seeded_init(struct gw_random_seeded *random, uint64_t seed);

#endif

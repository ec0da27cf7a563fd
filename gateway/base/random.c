/* SPDX-License-Identifier: MIT */
/* The two sources of randomness: the system's, and a reproducible stream for tests and the simulator. */
#include "gateway/base/random.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static void system_fill(struct gw_random *self, void *out, size_t len)
{
    (void)self;
    randombytes_buf(out, len);
}

struct gw_random *gw_random_system(void)
{
    static struct gw_random system_random = {.fill = system_fill}; /* has no state: safe to share */
    return &system_random;
}

/* The nonce counts calls, so that what a call gives depends on the seed and the number of calls before it
 * only, not on how much they drew. */
static void seeded_fill(struct gw_random *self, void *out, size_t len)
{
    struct gw_random_seeded *seeded = (struct gw_random_seeded *)(void *)self; /* its first field */
    uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
    static_assert(sizeof nonce == sizeof seeded->counter, "the counter is the whole nonce");
    memcpy(nonce, &seeded->counter, sizeof nonce);
    seeded->counter++;
    crypto_stream_chacha20(out, len, nonce, seeded->key);
}

void gw_random_seeded_init(struct gw_random_seeded *random, uint64_t seed)
{
    static_assert(sizeof random->key == crypto_stream_chacha20_KEYBYTES, "ChaCha20 key");
    static_assert(offsetof(struct gw_random_seeded, random) == 0, "seeded_fill casts");
    memset(random, 0, sizeof *random);
    random->random.fill = seeded_fill;
    memcpy(random->key, &seed, sizeof seed);
}

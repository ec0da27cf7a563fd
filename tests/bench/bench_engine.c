/* SPDX-License-Identifier: MIT */
/* The engine alone, no sockets: sealing and opening a packet of 1400 bytes in batches of 64, through gw_keypair_seal and _open with
 * header, counter and replay window, against the bare AEAD on the same memory. Rounds take turns; what is printed are medians, one JSON
 * line. usage: bench_engine [ROUNDS] */
#include "gateway/session/crypto.h"
#include "gateway/session/keypair.h"
#include "gateway/session/noise.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PLAIN_LEN 1400u
#define BATCH 64u
#define STRIDE 1472u
#define ROUNDS_MAX 100000u

static const char *const suite_names[GW_SUITE_COUNT] = {"chacha20-poly1305", "aegis-256", "aegis-128l"};

struct bench {
    const struct gw_crypto *crypto;
    struct gw_keypair from, to;
    uint8_t slab[BATCH * STRIDE];
    size_t lens[BATCH];
    unsigned failures;
};

static int64_t clock_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void init(struct bench *bench)
{
    struct gw_noise_keys keys = {{1}, {2}, {3}, {4}}, mirror = {{2}, {1}, {3}, {4}};

    memset(bench, 0, sizeof *bench);
    bench->crypto = gw_crypto_system();
    if (bench->crypto == NULL)
        exit(1);
    gw_keypair_init(&bench->from, bench->crypto, &keys, true, 1, 2, (struct gw_mono){0});
    gw_keypair_init(&bench->to, bench->crypto, &mirror, false, 2, 1, (struct gw_mono){0});
}

/* One batch there and back with nothing but the AEAD. */
static int64_t run_aead(struct bench *bench, enum gw_suite suite)
{
    const struct gw_aead *aead = &bench->crypto->aead[suite];
    const size_t ad_len = suite == GW_SUITE_CHACHA20_POLY1305 ? 0 : GW_DATA_HEADER_LEN;
    static const uint8_t key[32] = {1}, nonce[32] = {2};
    const int64_t start = clock_ns();

    for (unsigned i = 0; i < BATCH; i++) {
        uint8_t *slot = bench->slab + i * STRIDE, *inner = slot + GW_DATA_HEADER_LEN;

        aead->seal(inner, inner + PLAIN_LEN, inner, PLAIN_LEN, slot, ad_len, nonce, key);
    }
    for (unsigned i = 0; i < BATCH; i++) {
        uint8_t *slot = bench->slab + i * STRIDE, *inner = slot + GW_DATA_HEADER_LEN;

        bench->failures += !aead->open(inner, inner, PLAIN_LEN, inner + PLAIN_LEN, slot, ad_len, nonce, key);
    }
    return clock_ns() - start;
}

/* The same through the key pair. */
static int64_t run_engine(struct bench *bench, enum gw_suite suite)
{
    const int64_t start = clock_ns();

    for (unsigned i = 0; i < BATCH; i++)
        bench->lens[i] = gw_keypair_seal(&bench->from, suite, bench->slab + i * STRIDE, STRIDE, PLAIN_LEN);
    for (unsigned i = 0; i < BATCH; i++) {
        struct gw_view plain;

        bench->failures +=
            gw_keypair_open(&bench->to, bench->slab + i * STRIDE, bench->lens[i], &plain, NULL) != 0;
    }
    return clock_ns() - start;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

static void measure(struct bench *bench, enum gw_suite suite, unsigned rounds)
{
    double *const values = calloc(4 * (size_t)rounds, sizeof *values);
    double *const bare = values, *const engine = bare + rounds, *const ratio = engine + rounds,
                  *const more = ratio + rounds;

    if (values == NULL)
        exit(1);
    (void)run_aead(bench, suite);
    (void)run_engine(bench, suite);
    for (unsigned i = 0; i < rounds; i++) {
        const bool is_engine_first = i % 2;
        const double first =
            (double)(is_engine_first ? run_engine : run_aead)(bench, suite) / (1000.0 * BATCH);
        const double second =
            (double)(is_engine_first ? run_aead : run_engine)(bench, suite) / (1000.0 * BATCH);

        bare[i] = is_engine_first ? second : first;
        engine[i] = is_engine_first ? first : second;
        ratio[i] = engine[i] / bare[i];
        more[i] = engine[i] - bare[i];
    }
    printf("\"%s\": {\"aead_us\": %.4f, \"engine_us\": %.4f, \"ratio\": %.4f, \"above_us\": %.4f}",
           suite_names[suite], median(bare, rounds), median(engine, rounds), median(ratio, rounds),
           median(more, rounds));
    free(values);
}

int main(int argc, char **argv)
{
    const unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 2000;
    static struct bench bench;

    if (rounds == 0 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: bench_engine [ROUNDS], 1 to %u\n", ROUNDS_MAX);
        return 2;
    }
    init(&bench);
    printf(
        "{\"bench\": \"engine\", \"what\": \"seal + open + replay check, per packet\", \"packet\": %u, \"batch\": %u, ",
        PLAIN_LEN, BATCH);
    for (unsigned suite = 0; suite < GW_SUITE_COUNT; suite++) {
        measure(&bench, (enum gw_suite)suite, rounds);
        printf(", ");
    }
    printf("\"fast_suites\": %u, \"limit_above_us\": 0.08, \"failures\": %u}\n", bench.crypto->fast_suites,
           bench.failures);
    return bench.failures != 0;
}

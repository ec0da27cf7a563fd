/* SPDX-License-Identifier: MIT */
/* STUN: what is read is whole, and the client, whatever comes, asks at most what its clock allows and believes only addresses that may be used. The input is a sequence of datagrams: a byte of
 * length in words, a byte of time; with a transaction ID of all ones meaning the one that was sent last. */
#include "gateway/stun/stun.h"

#include "gateway/wire/candidate.h"
#include "gateway/wire/cursor.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_observed(struct gw_mono now, void *ctx)
{
    (void)now, (void)ctx;
}

static void decode(const uint8_t *data, size_t size)
{
    struct gw_stun_message message;
    if (gw_stun_decode(&message, data, size) != 0)
        return;
    assert(gw_stun_is(data, size) && (message.error == 0 || (message.error >= 300 && message.error < 700)));
    assert(message.mapped.family == 0 || message.mapped.family == 4 || message.mapped.family == 6);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gw_addr servers[2] = {{.family = 4, .ip = {9, 9, 9, 9}, .port = 3478},
                                              {.family = 6, .ip = {0x2a, 0, [15] = 9}, .port = 3478}};
    struct gw_random_seeded seeded;
    struct gw_deadlines deadlines;
    struct gw_mono now = {GW_S(1)};
    struct gw_stun *stun;
    static uint8_t slab[GW_TRAIN_SLAB];
    uint8_t id[GW_STUN_ID_LEN] = {0};
    unsigned asked = 0, rounds = 0;
    decode(data, size);
    gw_random_seeded_init(&seeded, 1);
    gw_deadlines_init(&deadlines);
    const struct gw_stun_params params = {
        .random = &seeded.random, .deadlines = &deadlines, .on_observed = on_observed};
    if (gw_stun_new(&stun, &params) != 0)
        abort();
    gw_stun_set_servers(stun, now, servers, 2);
    struct gw_reader r = gw_reader_of(data, size);
    while (gw_reader_left(&r) > 2) {
        uint8_t datagram[256 * 4];
        size_t len = (size_t)gw_read_u8(&r) * 4;
        unsigned ms = gw_read_u8(&r);
        len = len < gw_reader_left(&r) ? len : gw_reader_left(&r);
        gw_read_bytes(&r, datagram, len);
        now = gw_mono_add(now, GW_MS(ms * 10));
        gw_deadlines_expire(&deadlines, now);
        struct gw_train train = {.slab = slab};
        struct gw_tuple from = {.remote = servers[ms % 2], .local = {.family = 4, .port = 5}};
        for (; gw_stun_output(stun, now, &train); asked++) {
            memcpy(id, slab + 8, sizeof id);
            from.remote = train.tuple.remote;
        }
        if (len >= 20 && gw_load64_be(datagram + 8) == UINT64_MAX)
            memcpy(datagram + 8, id, sizeof id);
        gw_stun_input(stun, now, &from, datagram, len);
        rounds++;
        struct gw_addr seen[8];
        for (unsigned i = gw_stun_observed(stun, seen, 8); i > 0; i--)
            assert(gw_candidate_is_usable(&seen[i - 1]));
    }
    assert(asked <= 16 * (rounds + 1));
    gw_stun_free(stun);
    gw_deadlines_fini(&deadlines);
    return 0;
}

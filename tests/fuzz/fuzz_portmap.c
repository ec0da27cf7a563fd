/* SPDX-License-Identifier: MIT */
/* What a router may say: the machine never believes an address that nobody should be sent to, never speaks more often than it has reason to, and ends. The input is a sequence
 * of datagrams: a byte of length in words, a byte of time, bit 7 of which says that everybody was told; a nonce of all ones stands for ours. Read for IPv4 and for IPv6. */
#include "gateway/portmap/portmap.h"

#include "gateway/wire/candidate.h"
#include "gateway/wire/cursor.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void play(const uint8_t *data, size_t size, const struct gw_addr *client)
{
    static const uint8_t nonce[GW_PCP_NONCE_LEN] = {7, 7, 7};
    struct gw_random_seeded seeded;
    struct gw_portmap portmap;
    struct gw_mono now = {GW_S(1)};
    uint8_t out[GW_PCP_REQUEST_MAX];
    gw_random_seeded_init(&seeded, 1);
    gw_portmap_init(&portmap, &seeded.random);
    gw_portmap_start(&portmap, now, client, 5000, nonce);
    struct gw_reader r = gw_reader_of(data, size);
    while (gw_reader_left(&r) > 2) {
        uint8_t datagram[256 * 4];
        size_t len = (size_t)gw_read_u8(&r) * 4;
        unsigned time = gw_read_u8(&r), sent = 0;
        len = len < gw_reader_left(&r) ? len : gw_reader_left(&r);
        gw_read_bytes(&r, datagram, len);
        if (len >= 36 && gw_load64_be(datagram + 24) == UINT64_MAX)
            memcpy(datagram + 24, nonce, sizeof nonce);
        now = gw_mono_add(now, GW_MS((time & 0x7f) * 100));
        gw_portmap_expire(&portmap, now);
        while (gw_portmap_take(&portmap, now, out) > 0)
            sent++;
        assert(sent <= GW_PORTMAP_ASKS);
        gw_portmap_input(&portmap, now, datagram, len, time & 0x80);
        assert((portmap.state == GW_PORTMAP_MAPPED) == gw_addr_is_set(&portmap.external));
        if (portmap.state == GW_PORTMAP_MAPPED)
            assert(gw_candidate_is_usable(&portmap.external) && portmap.external.family == client->family);
        gw_portmap_give_back(&portmap, out);
    }
    gw_portmap_stop(&portmap);
    assert(gw_mono_is_never(gw_portmap_next_deadline(&portmap)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gw_addr four = {.family = 4, .ip = {192, 168, 1, 2}},
                                six = {.family = 6, .ip = {0x2a, 0, [15] = 2}};
    play(data, size, &four);
    play(data, size, &six);
    return 0;
}

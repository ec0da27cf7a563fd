/* SPDX-License-Identifier: MIT */
/* What a fleet's anchors read from the store: plain forms (behind the seal, so from a fellow that went mad), which decode into what encodes into the same bytes again; and
 * sealed ones, none of which opens that we did not seal. The first byte chooses. */
#include "gateway/anchor/fleet_record.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void record(struct gw_view in)
{
    struct gw_fleet_record record, again;
    uint8_t out[GW_FLEET_PLAIN_MAX];
    if (gw_fleet_record_decode(&record, in) != 0)
        return;
    assert(record.count >= 1 && record.count <= GW_FLEET_REGISTRANTS);
    assert(gw_candidate_is_usable(&record.place.addr));
    for (unsigned i = 0; i < record.count; i++) {
        assert(record.registrants[i].address_count <= GW_CANDIDATES_MAX);
        for (unsigned j = 0; j < record.registrants[i].address_count; j++)
            assert(gw_candidate_is_usable(&record.registrants[i].addresses[j].addr));
    }
    size_t len = gw_fleet_record_encode(out, sizeof out, &record);
    assert(len == in.len && gw_fleet_record_decode(&again, (struct gw_view){out, len}) == 0);
    assert(memcmp(&record.place.anchor, &again.place.anchor, GW_FLEET_ID_LEN) == 0 &&
           gw_addr_equal(&record.place.addr, &again.place.addr) && record.count == again.count);
}

static void message(struct gw_view in)
{
    struct gw_fleet_message message, again;
    uint8_t out[GW_FLEET_PLAIN_MAX];
    if (gw_fleet_message_decode(&message, in) != 0)
        return;
    assert(gw_candidate_is_usable(&message.from.addr));
    size_t len = gw_fleet_message_encode(out, sizeof out, &message);
    assert(len == in.len && gw_fleet_message_decode(&again, (struct gw_view){out, len}) == 0);
    assert(message.kind == again.kind && message.channel == again.channel &&
           message.refusal == again.refusal);
    assert(message.punch.address_count <= GW_CANDIDATES_MAX);
    for (unsigned i = 0; i < message.punch.address_count; i++)
        assert(gw_candidate_is_usable(&message.punch.addresses[i].addr));
    assert(memcmp(&message.punch, &again.punch, sizeof message.punch) == 0);
    assert(!message.punch.is_complete || message.punch.again > 0);
}

static void sealed(struct gw_view in)
{
    static const uint8_t key[GW_KEY_LEN] = {1, 2, 3};
    uint8_t plain[GW_FLEET_PLAIN_MAX], out[GW_FLEET_SEALED_MAX];
    size_t len;
    const struct gw_crypto *crypto = gw_crypto_system();
    assert(!gw_fleet_open(plain, &len, in, "peergate:0:tag:1", key, crypto));
    if (in.len > GW_FLEET_PLAIN_MAX)
        return;
    size_t sealed_len =
        gw_fleet_seal(out, in.data, in.len, "peergate:0:tag:1", NULL, key, crypto, gw_random_system());
    struct gw_view view = {out, sealed_len};
    assert(sealed_len <= sizeof out && !gw_fleet_open(plain, &len, view, "peergate:0:tag:2", key, crypto));
    assert(gw_fleet_open(plain, &len, view, "peergate:0:tag:1", key, crypto));
    assert(len == in.len && (len == 0 || memcmp(plain, in.data, len) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct gw_view in = {data + 1, size - 1};
    if (data[0] % 3 == 0)
        record(in);
    else if (data[0] % 3 == 1)
        message(in);
    else
        sealed(in);
    return 0;
}

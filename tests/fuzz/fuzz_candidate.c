/* SPDX-License-Identifier: MIT */
/* Addresses in CONTROL messages: what is taken is usable, there are no doubles, and it encodes into what it was. */
#include "gateway/wire/candidate.h"

#include <assert.h>
#include <pb_decode.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    peergate_AddAddress add = peergate_AddAddress_init_zero;
    struct gw_candidate list[GW_CANDIDATES_MAX];
    pb_istream_t in = pb_istream_from_buffer(data, size);
    if (!pb_decode(&in, peergate_AddAddress_fields, &add))
        return 0;
    unsigned count = gw_candidates_decode(list, GW_CANDIDATES_MAX, add.addresses, add.addresses_count);
    assert(count <= add.addresses_count && count <= GW_CANDIDATES_MAX);
    for (unsigned i = 0; i < count; i++) {
        struct gw_candidate again;
        peergate_Address address;
        assert(gw_candidate_is_usable(&list[i].addr) && list[i].kind < GW_CANDIDATE_KINDS);
        assert(!gw_addr_is_loopback(&list[i].addr) && !gw_addr_is_multicast(&list[i].addr));
        for (unsigned j = 0; j < i; j++)
            assert(!gw_addr_equal(&list[i].addr, &list[j].addr));
        gw_candidate_encode(&address, &list[i]);
        assert(gw_candidate_decode(&again, &address) == 0 && gw_addr_equal(&again.addr, &list[i].addr));
    }
    return 0;
}

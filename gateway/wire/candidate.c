/* SPDX-License-Identifier: MIT */
/* Candidate addresses in CONTROL messages; see candidate.h. */
#include "gateway/wire/candidate.h"

#include "gateway/base/err.h"

#include <string.h>

const char *const gw_candidate_kind_names[GW_CANDIDATE_KINDS] = {"interface", "observed", "configured",
                                                                 "mapped"};

static bool is_link_local_v6(const struct gw_addr *addr)
{
    return addr->family == 6 && addr->ip[0] == 0xfe && (addr->ip[1] & 0xc0) == 0x80;
}

/* 255.255.255.255, and all of 0.0.0.0/8 ("this network"). */
static bool is_special_v4(const struct gw_addr *addr)
{
    static const uint8_t broadcast[4] = {255, 255, 255, 255};
    return addr->family == 4 && (addr->ip[0] == 0 || memcmp(addr->ip, broadcast, 4) == 0);
}

bool gw_candidate_is_usable(const struct gw_addr *addr)
{
    return gw_addr_is_set(addr) && addr->port != 0 && !gw_addr_is_loopback(addr) &&
           !gw_addr_is_multicast(addr) && !gw_addr_is_unspecified(addr) && !is_special_v4(addr) &&
           !is_link_local_v6(addr);
}

void gw_candidate_encode(peergate_Address *out, const struct gw_candidate *candidate)
{
    const struct gw_addr *addr = &candidate->addr;
    *out = (peergate_Address)peergate_Address_init_zero;
    if (!gw_addr_is_set(addr))
        return;
    out->ip.size = addr->family == 4 ? 4 : 16;
    memcpy(out->ip.bytes, addr->ip, out->ip.size);
    out->port = addr->port;
    out->kind = candidate->kind;
}

int gw_candidate_decode(struct gw_candidate *out, const peergate_Address *address)
{
    struct gw_candidate candidate = {.addr = {.family = address->ip.size == 4 ? 4 : 6}};
    if ((address->ip.size != 4 && address->ip.size != 16) || address->port == 0 || address->port > 65535)
        return GW_E_MALFORMED;
    memcpy(candidate.addr.ip, address->ip.bytes, address->ip.size);
    candidate.addr.port = (uint16_t)address->port;
    candidate.kind =
        address->kind < GW_CANDIDATE_KINDS ? (enum gw_candidate_kind)address->kind : GW_CANDIDATE_HOST;
    gw_addr_normalise(&candidate.addr);
    if (!gw_candidate_is_usable(&candidate.addr))
        return GW_E_MALFORMED;
    *out = candidate;
    return 0;
}

static bool is_among(const struct gw_candidate *list, unsigned count, const struct gw_addr *addr)
{
    for (unsigned i = 0; i < count; i++) {
        if (gw_addr_equal(&list[i].addr, addr))
            return true;
    }
    return false;
}

unsigned gw_candidates_decode(struct gw_candidate *out, unsigned max, const peergate_Address *addresses,
                              unsigned count)
{
    unsigned taken = 0;
    for (unsigned i = 0; i < count && taken < max; i++) {
        struct gw_candidate candidate;
        if (gw_candidate_decode(&candidate, &addresses[i]) == 0 && !is_among(out, taken, &candidate.addr))
            out[taken++] = candidate;
    }
    return taken;
}

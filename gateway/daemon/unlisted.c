/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/unlisted.h"

/* Of neighbours, so many are looked at; the one that is due first makes room. */
#define WAYS 4u

static unsigned first_of(const void *peer, uint16_t port)
{
    return ((unsigned)((uintptr_t)peer >> 6) * 31u + port) * WAYS % GW_UNLISTED_MAX;
}

void gw_unlisted_add(struct gw_unlisted *unlisted, const void *peer, uint16_t port, struct gw_mono now)
{
    struct gw_unlisted_port *set = &unlisted->ports[first_of(peer, port)], *to = set;
    for (unsigned i = 0; i < WAYS; i++) {
        bool is_same = set[i].peer == peer && set[i].port == port;
        if (is_same || !set[i].peer) {
            to = &set[i];
            break;
        }
        if (set[i].until.ns < to->until.ns)
            to = &set[i];
    }
    *to = (struct gw_unlisted_port){.peer = peer, .port = port, .until = gw_mono_add(now, GW_UNLISTED_KEPT)};
}

bool gw_unlisted_has(const struct gw_unlisted *unlisted, const void *peer, uint16_t port, struct gw_mono now)
{
    const struct gw_unlisted_port *set = &unlisted->ports[first_of(peer, port)];
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].peer == peer && set[i].port == port)
            return !gw_mono_due(set[i].until, now);
    }
    return false;
}

void gw_unlisted_drop(struct gw_unlisted *unlisted, const void *peer)
{
    for (unsigned i = 0; i < GW_UNLISTED_MAX; i++) {
        if (unlisted->ports[i].peer == peer)
            unlisted->ports[i] = (struct gw_unlisted_port){.peer = NULL};
    }
}

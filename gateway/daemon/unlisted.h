/* SPDX-License-Identifier: MIT */
/* Ports that a peer said it lists no service for, so that it is not asked again for each connection: for a minute, as it may list one then. Bounded; who is pushed out is
 * asked again. Pure. */
#ifndef GATEWAY_DAEMON_UNLISTED_H
#define GATEWAY_DAEMON_UNLISTED_H

#include "gateway/base/mono.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_UNLISTED_MAX 256u
#define GW_UNLISTED_KEPT GW_S(60)

struct gw_unlisted { /* zero: empty */
    struct gw_unlisted_port {
        const void *peer; /* NULL = free */
        struct gw_mono until;
        uint16_t port;
    } ports[GW_UNLISTED_MAX];
};

void gw_unlisted_add(struct gw_unlisted *unlisted, const void *peer, uint16_t port, struct gw_mono now);
bool gw_unlisted_has(const struct gw_unlisted *unlisted, const void *peer, uint16_t port, struct gw_mono now);
/* The peer goes. */
void gw_unlisted_drop(struct gw_unlisted *unlisted, const void *peer);

#endif

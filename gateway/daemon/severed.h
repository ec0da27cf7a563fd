/* SPDX-License-Identifier: MIT */
/* The kernel's TCP connections with a network's peers, looked at before something changes, so that those which have nobody at their other end afterwards, or no end here, are ended and do not
 * wait for their own time-outs. Whoever began them, and however many there are. */
#ifndef GATEWAY_DAEMON_SEVERED_H
#define GATEWAY_DAEMON_SEVERED_H

#include "frontends/tun/connections.h"
#include "gateway/gateway.h"

struct gw_severed_connection {
    struct gw_connection_ends ends;
    uint8_t peer[GW_KEY_LEN];
};

struct gw_severed { /* zero: nothing was looked at */
    struct gw_severed_connection *items;
    size_t count;
};

/* own: this machine's addresses in the network. What cannot be told is logged. */
void gw_severed_note(struct gw_severed *severed, const struct gateway *gateway, const struct gw_addr *own,
                     size_t own_count);
/* Is there one that gw_severed_end would end? */
bool gw_severed_any(const struct gw_severed *severed, const struct gateway *gateway,
                    const struct gw_addr *own, size_t own_count);
/* Forgets all; before that `end` is called for those from no address of `own` (none: the network goes) and those whose peer has lost the address, unless another one has it for its own: that may be the
 * same machine with a new key. */
void gw_severed_end(struct gw_severed *severed, const struct gateway *gateway, const struct gw_addr *own,
                    size_t own_count, void (*end)(const struct gw_connection_ends *ends, void *ctx),
                    void *ctx);

#endif

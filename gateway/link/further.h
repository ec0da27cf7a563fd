/* SPDX-License-Identifier: MIT */
/* Sockets of a link besides the primary ones: IPv4 (and IPv6 where that is asked for), on ports of the system's choice, by number. The engine opens and closes them
 * (gw_gateway_events.open_link), a few hundred at a time in a birthday search. For link.c only. */
#ifndef GATEWAY_LINK_FURTHER_H
#define GATEWAY_LINK_FURTHER_H

#include "gateway/base/list.h"
#include "gateway/link/udp.h"

#include <event2/event.h>

#define GW_FURTHER_MAX 1024u

struct gw_further {
    struct gw_list node; /* in gw_furthers.closed, from its end to the end of the turn */
    void *owner;
    bool is_closed; /* the engine wants no more of it */
    struct gw_udp udp;
    struct event *readable[GW_UDP_FAMILIES], *writable[GW_UDP_FAMILIES]; /* NULL: no such socket */
};

struct gw_furthers {
    struct gw_further *by_number[GW_FURTHER_MAX]; /* NULL: not open */
    struct gw_list closed;
    struct gw_addr listen[GW_UDP_FAMILIES]; /* of the primary: family 0 = every address */
};

struct gw_further_params {
    uint32_t number;
    bool skip[GW_UDP_FAMILIES];
    struct event_base *base;
    void *owner;
    event_callback_fn on_readable; /* its argument is the new gw_further */
    event_callback_fn on_writable;
};

void gw_furthers_init(struct gw_furthers *furthers, const struct gw_addr listen[GW_UDP_FAMILIES]);
void gw_furthers_fini(struct gw_furthers *furthers);
/* Returns its port, or -errno; -EMFILE while a quarter of the files that may be open is left, for everybody else. */
int gw_further_open(struct gw_furthers *furthers, const struct gw_further_params *params);
/* It may be in use up the stack: it is freed by gw_furthers_reap. Nothing happens to one that is not open. */
void gw_further_close(struct gw_furthers *furthers, uint32_t number);
void gw_furthers_reap(struct gw_furthers *furthers);
/* NULL when it is not open. */
static inline struct gw_further *gw_further_of(const struct gw_furthers *furthers, uint32_t number)
{
    return number < GW_FURTHER_MAX ? furthers->by_number[number] : NULL;
}

#endif

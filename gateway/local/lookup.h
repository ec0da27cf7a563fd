/* SPDX-License-Identifier: MIT */
/* Host names outside our networks to addresses, through libevent's DNS client: never blocks. */
#ifndef GATEWAY_LOCAL_LOOKUP_H
#define GATEWAY_LOCAL_LOOKUP_H

#include "gateway/link/loop.h"
#include "gateway/wire/addr.h"

struct gw_lookups;
/* NULL without memory. */
struct gw_lookups *gw_lookups_new(struct gw_loop *loop);
/* NULL is fine. */
void gw_lookups_free(struct gw_lookups *lookups);

struct gw_lookup;
/* err 0 and at least one address (lent), or GW_E_UNKNOWN (no such name, no answer) or GW_E_NOMEM with none. The gw_lookup is gone. */
typedef void gw_lookup_fn(int err, const struct gw_addr *addresses, unsigned count, void *user);
/* 0 and *out, or GW_E_NOMEM. fn is called later, never from within. */
int gw_lookup(struct gw_lookups *lookups, const char *name, uint16_t port, gw_lookup_fn *fn, void *user,
              struct gw_lookup **out);
/* fn will not be called. */
void gw_lookup_cancel(struct gw_lookup *lookup);

#endif

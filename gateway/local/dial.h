/* SPDX-License-Identifier: MIT */
/* Connects a socket to a target without ever blocking: literal addresses, "localhost" (127.0.0.1, then ::1), unix sockets, and
 * other names through libevent's resolver. Used for local services and for what a proxy passes on directly. */
#ifndef GATEWAY_LOCAL_DIAL_H
#define GATEWAY_LOCAL_DIAL_H

#include "gateway/base/mono.h"
#include "gateway/flow/reason.h"
#include "gateway/link/loop.h"
#include "gateway/local/target.h"

/* What dials share: the loop and, from the first name on, a DNS client. One a daemon. */
struct gw_dialer;
/* NULL without memory. */
struct gw_dialer *gw_dialer_new(struct gw_loop *loop);
/* Every dial must have ended or been cancelled. */
void gw_dialer_free(struct gw_dialer *dialer);
struct gw_loop *gw_dialer_loop(const struct gw_dialer *dialer);

/* At most this many addresses of a name are tried, one after the other. */
#define GW_DIAL_ADDRESSES_MAX 8u

struct gw_dial;

/* fd: non-blocking, close-on-exec, the callee's from now on; or a negative error: -errno of the last address, GW_E_UNKNOWN (no such name),
 * GW_E_TIMEOUT, GW_E_PERMISSION (no address was permitted). The gw_dial is gone when it is called. */
typedef void gw_dial_fn(int fd, struct gw_mono now, void *user);

struct gw_dial_params {
    const struct gw_target *target; /* copied */
    bool is_datagrams;              /* a connected UDP socket; not for unix targets (-EPROTONOSUPPORT) */
    int64_t timeout_ns;             /* for all of it; 0 = 10 s */
    /* Asked for each address before it is tried; NULL permits all. Unix targets are not asked about. */
    bool (*is_permitted)(const struct gw_addr *address, void *user);
    gw_dial_fn *on_done;
    void *user;
};

/* fd >= 0: connected already (loopback and unix sockets mostly are), on_done will not be called. -EINPROGRESS: *out is valid
 * until on_done. Else the error, as for gw_dial_fn. */
int gw_dial(struct gw_dialer *dialer, const struct gw_dial_params *params, struct gw_mono now,
            struct gw_dial **out);
/* on_done will not be called. */
void gw_dial_cancel(struct gw_dial *dial);

/* What a failed dial says to the peer: refused -> SERVICE_DOWN, no answer -> TIMED_OUT, no route or no such name -> SERVICE_UNREACHABLE,
 * out of descriptors -> LIMIT, out of memory -> NO_MEMORY. */
enum gw_reason gw_dial_reason(int err);

#endif

/* SPDX-License-Identifier: MIT */
/* A listening TCP or unix socket: accepts a bounded number a turn, keeps one descriptor in reserve so that running out of them (EMFILE)
 * neither spins nor leaves clients hanging. The front-ends', the control socket's and `forward`'s. */
#ifndef GATEWAY_LOCAL_LISTENER_H
#define GATEWAY_LOCAL_LISTENER_H

#include "gateway/link/loop.h"
#include "gateway/local/target.h"

struct gw_listener;

/* One client; fd is non-blocking, close-on-exec and the callee's (TCP_NODELAY and SO_KEEPALIVE are set). May call gw_listener_free. */
typedef void gw_listener_fn(struct gw_listener *listener, int fd, struct gw_mono now, void *user);

struct gw_listener_params {
    struct gw_loop *loop;
    const struct gw_target *target; /* ADDR or UNIX; port 0 is allowed: see gw_listener_target */
    bool
        is_outside; /* for clients from anywhere, whom an exit node keeps none of the answers from (gateway/link/mark.h) */
    unsigned mode; /* of a unix socket; 0 = 0600 */
    gw_listener_fn *on_client;
    void *user;
};

/* A unix socket that nobody listens on any more is replaced; one that is in use, or a file that is no socket, is not. 0, -errno
 * (-EADDRINUSE, -EEXIST, -EACCES, -ENAMETOOLONG ...), GW_E_NOMEM. */
int gw_listener_new(struct gw_listener **out, const struct gw_listener_params *params);
/* Closes; a unix socket's path is unlinked if it is still the one made here. */
void gw_listener_free(struct gw_listener *listener);
/* A unix socket's file mode from now on; 0 = 0600. Nothing where it has none, or has been replaced. 0 or -errno. */
int gw_listener_set_mode(struct gw_listener *listener, unsigned mode);
/* Where it listens, with the port that the kernel chose. */
const struct gw_target *gw_listener_target(const struct gw_listener *listener);

/* What makes "127.0.0.1:1080", "localhost:1080", "[::1]:1080" or "unix:/path" a target to listen on: as gw_target_parse, but port 0
 * is allowed, "*:1080" is every address (::, both families) and "localhost" 127.0.0.1. */
int gw_listener_parse(struct gw_target *out, const char *text);

#endif

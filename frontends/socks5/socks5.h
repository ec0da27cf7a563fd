/* SPDX-License-Identifier: MIT */
/* The proxy front-end: SOCKS5 (RFC 1928, 1929), HTTP CONNECT and plain HTTP proxying, told apart by the first byte, on TCP and unix
 * sockets. Names of ours become flows to their peers; what is not ours is refused or passed on, as the policy says. */
#ifndef FRONTENDS_SOCKS5_SOCKS5_H
#define FRONTENDS_SOCKS5_SOCKS5_H

#include "frontends/frontend.h"
#include "frontends/socks5/policy.h"
#include "gateway/base/mono.h"
#include "gateway/local/target.h"

struct gw_socks5;

struct gw_socks5_user {
    const char *name, *password; /* at most 255 bytes each */
};

/* Everything is copied. */
struct gw_socks5_params {
    const struct gw_frontend *frontend; /* borrowed for life */
    const struct gw_target *listen;     /* from gw_listener_parse */
    size_t listen_count;
    unsigned mode;                      /* of unix sockets; 0 = 0600 */
    const struct gw_socks5_user *users; /* none: no password is asked for */
    size_t user_count;
    const struct gw_policy *policy; /* what is not ours; NULL = refused */
    bool no_http;                   /* SOCKS5 only */
    uint32_t max_clients;           /* 0 = 16384 */
    int64_t handshake_timeout_ns;   /* 0 = 10 s */
    int64_t dial_timeout_ns;        /* 0 = the frontend's */
};

/* 0; or the error of a listener (as gw_listener_new; *bad is its index), GW_E_NOMEM, GW_E_INVAL (a user or password that is too long or empty). */
int gw_socks5_new(struct gw_socks5 **out, const struct gw_socks5_params *params, size_t *bad);
/* A reload: listeners that stay are kept open, clients go on. On an error nothing changed. */
int gw_socks5_update(struct gw_socks5 *socks5, const struct gw_socks5_params *params, size_t *bad);
/* Closes every client. */
void gw_socks5_free(struct gw_socks5 *socks5, struct gw_mono now);

size_t gw_socks5_listen_count(const struct gw_socks5 *socks5);
/* With the port that the kernel chose. */
const struct gw_target *gw_socks5_listen_target(const struct gw_socks5 *socks5, size_t index);

struct gw_socks5_stats {
    uint32_t clients_open, associations_open;
    uint64_t clients_total, refused_auth, refused_policy, failed, timed_out, malformed;
    uint64_t datagrams_in, datagrams_out, datagrams_dropped;
};
void gw_socks5_stats(const struct gw_socks5 *socks5, struct gw_socks5_stats *out);

#endif

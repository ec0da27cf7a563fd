/* SPDX-License-Identifier: MIT */
/* The destinations of one UDP association: each is a datagram flow to a peer, or a UDP socket for what the policy passes on; opened by
 * the first datagram, closed when idle. */
#ifndef FRONTENDS_SOCKS5_UDP_TARGET_H
#define FRONTENDS_SOCKS5_UDP_TARGET_H

#include "frontends/frontend.h"
#include "frontends/socks5/policy.h"
#include "frontends/socks5/udp_header.h"
#include "gateway/base/list.h"
#include "gateway/base/mono.h"

/* Open at once; the one not used for longest makes room. */
#define GW_UDP_TARGETS_MAX 256u
/* Larger than any that a path carries. */
#define GW_UDP_DATAGRAM_MAX 9216u

struct gw_udp_targets;
/* A datagram for the client; all lent. header: the client's own bytes for that destination. */
typedef void gw_udp_reply_fn(struct gw_udp_targets *targets, const void *header, size_t header_len,
                             const void *data, size_t len);

struct gw_udp_targets {
    const struct gw_frontend *frontend;
    const struct gw_policy *policy;
    gw_udp_reply_fn *on_reply;
    struct gw_list list; /* most recently used first */
    unsigned count;
};

/* All borrowed. */
void gw_udp_targets_init(struct gw_udp_targets *targets, const struct gw_frontend *frontend,
                         const struct gw_policy *policy, gw_udp_reply_fn *on_reply);
void gw_udp_targets_fini(struct gw_udp_targets *targets, struct gw_mono now);
/* header: the datagram's header as the client sent it. false = dropped. */
bool gw_udp_targets_send(struct gw_udp_targets *targets, const struct gw_proxy_request *request,
                         const uint8_t *header, size_t header_len, const void *data, size_t len,
                         struct gw_mono now);
/* Closes those that were idle for 2 minutes, and forgets failures after 10 s. Call every few seconds. */
void gw_udp_targets_expire(struct gw_udp_targets *targets, struct gw_mono now);

#endif

/* SPDX-License-Identifier: MIT */
/* The STUN client of one gateway: asks each configured server, from the gateway's own socket, where it sees it (RFC 8489), so that the mapping that is observed is the
 * one that peers will use; and measures the NAT by the first server that can (RFC 5780). Asks again from time to time and when the network changed. It answers
 * nobody, and what does not belong to a transaction of its own it does not touch. Sans-IO. */
#ifndef GATEWAY_STUN_STUN_H
#define GATEWAY_STUN_STUN_H

#include "gateway/base/deadline.h"
#include "gateway/stun/behaviour.h"
#include "gateway/wire/train.h"

#define GW_STUN_SERVERS_MAX 8u
#define GW_STUN_REFRESH_NS GW_S(300) /* after an answer; anchors' keepalives keep the NAT open meanwhile */
#define GW_STUN_RETRY_NS GW_S(60)    /* without one; doubling */
#define GW_STUN_RETRY_MAX_NS GW_S(3600)

struct gw_stun;

struct gw_stun_params {
    struct gw_random *random;
    struct gw_deadlines *deadlines;
    /* Where the servers see us changed: gw_stun_observed. */
    void (*on_observed)(struct gw_mono now, void *ctx);
    void *ctx;
};

enum gw_stun_state {
    GW_STUN_ASKING, /* not answered yet */
    GW_STUN_ANSWERS,
    GW_STUN_SILENT,
    GW_STUN_STATES
};
extern const char *const gw_stun_state_names[GW_STUN_STATES];

struct gw_stun_view {
    struct gw_addr server, mapped, local;
    enum gw_stun_state state;
    bool can_measure; /* it has another address and port */
    int64_t rtt_ns;   /* 0 = unknown */
};

/* 0 or GW_E_NOMEM. Everything in params is borrowed for life. */
int gw_stun_new(struct gw_stun **out, const struct gw_stun_params *params);
/* NULL is fine. */
void gw_stun_free(struct gw_stun *stun);
/* The servers from now on (at most GW_STUN_SERVERS_MAX count); what is known of those that stay is kept. */
void gw_stun_set_servers(struct gw_stun *stun, struct gw_mono now, const struct gw_addr *servers,
                         unsigned count);
/* The network changed, or somebody wants to know: asks all at once. */
void gw_stun_ask(struct gw_stun *stun, struct gw_mono now);
/* The next request as a train of one in train->slab; false: none is due. */
bool gw_stun_output(struct gw_stun *stun, struct gw_mono now, struct gw_train *train);
/* A datagram that is STUN by its looks. false: it is none of ours. */
bool gw_stun_input(struct gw_stun *stun, struct gw_mono now, const struct gw_tuple *tuple,
                   const uint8_t *datagram, size_t len);

/* Where servers see us, without doubles. Returns how many, at most max. */
unsigned gw_stun_observed(const struct gw_stun *stun, struct gw_addr *out, unsigned max);
/* Index from 0; false: no more. */
bool gw_stun_view(const struct gw_stun *stun, unsigned index, struct gw_stun_view *out);
/* Of IPv4 or IPv6 (4, 6). *is_running: it is being measured. */
void gw_stun_behaviour(const struct gw_stun *stun, uint8_t family, struct gw_stun_behaviour *out,
                       bool *is_running);

#endif

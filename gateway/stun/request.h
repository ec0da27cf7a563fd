/* SPDX-License-Identifier: MIT */
/* One STUN transaction of ours: the same request at doubling intervals until it is answered or given up (RFC 8489, 6.2.1). Leaf. */
#ifndef GATEWAY_STUN_REQUEST_H
#define GATEWAY_STUN_REQUEST_H

#include "gateway/base/mono.h"
#include "gateway/base/random.h"
#include "gateway/wire/stun.h"

struct gw_stun_pace {
    int64_t rto_ns;  /* from the first to the second; doubles */
    unsigned tries;  /* Rc */
    int64_t last_ns; /* the wait behind the last one: Rm times the RTO */
};
/* RFC 8489's own: 39.5 s in all. */
extern const struct gw_stun_pace gw_stun_pace_standard;
/* For a question that is often answered by silence: 2 s in all. */
extern const struct gw_stun_pace gw_stun_pace_quick;

struct gw_stun_request {
    bool is_running;
    uint8_t id[GW_STUN_ID_LEN];
    struct gw_addr to;
    bool change_ip, change_port;
    const struct gw_stun_pace *pace;
    unsigned tries;
    struct gw_mono sent; /* the last time */
    struct gw_mono next; /* the next try, or, after the last one, the end; GW_NEVER when it does not run */
};

/* The transaction ID is drawn from `random`: nobody who does not see the request can answer it. The first datagram is due at once. */
void gw_stun_request_begin(struct gw_stun_request *request, struct gw_mono now, struct gw_random *random,
                           const struct gw_addr *to, const struct gw_stun_pace *pace);
void gw_stun_request_end(struct gw_stun_request *request);
/* Is a datagram due? Then it is in out, its length is returned, and it counts as sent; else 0. */
size_t gw_stun_request_take(struct gw_stun_request *request, struct gw_mono now,
                            uint8_t out[GW_STUN_REQUEST_MAX]);
/* True once: nobody answered, it is over. */
bool gw_stun_request_expire(struct gw_stun_request *request, struct gw_mono now);
/* Does the message carry its ID? */
bool gw_stun_request_is(const struct gw_stun_request *request, const uint8_t id[GW_STUN_ID_LEN]);

#endif

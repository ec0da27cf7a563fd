/* SPDX-License-Identifier: MIT */
/* A birthday search: one side is behind a NAT that gives each destination a port at random, the other one keeps one port for all. The first sends from many sockets to the
 * other, so that many of its NAT's 64,512 ports lead to it; the other tries ports at random, each once. With 256 sockets and 2,048 ports they miss each other once in 3,000
 * times. A budget of packets and of time, and no address but one that is known to be the peer's (docs/PROTOCOL.md "Search"). Leaf. */
#ifndef GATEWAY_PUNCH_SEARCH_H
#define GATEWAY_PUNCH_SEARCH_H

#include "gateway/base/mono.h"
#include "gateway/base/random.h"
#include "gateway/wire/addr.h"

#define GW_CHECK_NONCE_LEN 8u
#define GW_SEARCH_SOCKETS 256u
#define GW_SEARCH_PORTS 2048u
#define GW_SEARCH_SOCKETS_EVERY_NS GW_MS(2)
#define GW_SEARCH_PORTS_EVERY_NS GW_MS(4)
#define GW_SEARCH_PORTS_AFTER_NS GW_MS(600) /* the other side's sockets have sent by then */
#define GW_SEARCH_ROUNDS 2u                 /* of the sockets: packets get lost */
#define GW_SEARCH_ROUND_NS GW_S(4)

struct gw_search_plan {
    struct gw_addr target; /* the peer's address; of the side that tries ports, the port does not matter */
    const uint32_t *links; /* to send from, borrowed until the attempt ends; NULL: ports are tried */
    unsigned link_count;
};

struct gw_search {
    bool is_on;
    struct gw_search_plan plan;
    uint8_t nonce[GW_CHECK_NONCE_LEN];
    uint32_t first, stride; /* of the ports */
    unsigned sent;
    struct gw_mono next; /* GW_NEVER */
};

void gw_search_begin(struct gw_search *search, const struct gw_search_plan *plan, struct gw_mono start,
                     struct gw_random *random);
void gw_search_end(struct gw_search *search);
/* Where the packet that is due goes, and from which link; false: none is due. */
bool gw_search_take(struct gw_search *search, struct gw_mono now, struct gw_addr *to, uint32_t *link);

#endif

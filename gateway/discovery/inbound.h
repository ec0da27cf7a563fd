/* SPDX-License-Identifier: MIT */
/* Does what nobody asked for get in? Where an anchor sees this node at an address of its own there is no NAT, but there may be a firewall that lets in only answers; nobody sees that from inside. So the
 * anchor is asked to send a probe from its second port, where our primary socket has never sent anything. For gateway/discovery only; docs/PROTOCOL.md "Measuring a firewall". */
#ifndef GATEWAY_DISCOVERY_INBOUND_H
#define GATEWAY_DISCOVERY_INBOUND_H

#include "gateway/discovery/measure.h"

enum gw_inbound_step { GW_INBOUND_IDLE, GW_INBOUND_TOKEN, GW_INBOUND_PROBE };

struct gw_inbound {
    struct gw_deadline deadline;
    bool is_watched; /* tried by itself, again and again: an anchor's role hangs on it */
    bool is_wanted;  /* somebody asks, and nothing has been tried since */
    bool is_due;     /* a round is to be begun, when the deadline comes */
    enum gw_inbound_step step;
    struct gw_anchor_use *use; /* who is asked now; NULL while IDLE */
    uint32_t number;           /* of our request to it */
    struct gw_token token;
    struct gw_tuple way;   /* where our session with it goes */
    uint16_t port;         /* its second one */
    struct gw_addr target; /* where it sees us, which is our own */
    unsigned tries;
    uint32_t asked;         /* in this round, by slot */
    struct gw_addr dropped; /* in this round: where what was asked for did not arrive; family 0: nowhere */
    unsigned misses;        /* rounds in a row in which that was so */
    enum gw_nat_answer answer;
    struct gw_addr at;       /* of the answer: the address */
    struct gw_mono measured; /* GW_NEVER */
};

int gw_inbound_init(struct gw_discovery *discovery, bool is_watched);
void gw_inbound_fini(struct gw_discovery *discovery);
/* Somebody asks: soon, or when an anchor first sees us at an address of our own. */
void gw_inbound_try(struct gw_discovery *discovery, struct gw_mono now);
/* Something changed: soon, once for all that changes at a time, if it matters to anybody. */
void gw_inbound_renew(struct gw_discovery *discovery, struct gw_mono now);
/* The measuring of the NAT takes the anchors' tokens: what runs begins anew behind it. */
void gw_inbound_yield(struct gw_discovery *discovery, struct gw_mono now);
void gw_inbound_forget(struct gw_discovery *discovery, const struct gw_anchor_use *use, struct gw_mono now);
void gw_inbound_answer(struct gw_discovery *discovery, const struct gw_anchor_use *use, uint32_t number,
                       const peergate_NatProbe *answer, struct gw_mono now);
void gw_inbound_probe(struct gw_discovery *discovery, struct gw_mono now, const struct gw_tuple *from,
                      const struct gw_probe *probe);

#endif

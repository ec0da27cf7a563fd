/* SPDX-License-Identifier: MIT */
/* Measuring our own NAT, with one anchor of ours or two. A new socket asks an anchor, its second port and the second anchor how it is seen; another one, which only the first has heard of, whether
 * the others may send to it: what is let in or kept out changes some NATs' mappings, so the two tests do not share a socket. For gateway/discovery only; docs/PROTOCOL.md "Measuring a NAT". */
#ifndef GATEWAY_DISCOVERY_MEASURE_H
#define GATEWAY_DISCOVERY_MEASURE_H

#include "gateway/discovery/nat.h"
#include "gateway/peer/host.h"
#include "gateway/wire/control.pb.h"
#include "gateway/wire/probe.h"

struct gw_anchor_use;
struct gw_discovery;
struct gw_reach;

/* A token that we hold: somebody may probe us, and we them. In discovery->tokens. */
struct gw_token {
    struct gw_map_node node;
    uint8_t id[GW_TOKEN_ID_LEN];
    uint8_t key[GW_PROBE_KEY_LEN];
    struct gw_mono expires;
    unsigned answers;       /* given by us */
    struct gw_reach *reach; /* whom it is for; NULL: measuring */
};

enum gw_measure_step {
    GW_MEASURE_IDLE,
    GW_MEASURE_TOKENS,
    GW_MEASURE_FIRST,
    GW_MEASURE_MAPPING,
    GW_MEASURE_OTHER,
    GW_MEASURE_FILTER
};

struct gw_measured_anchor {
    struct gw_anchor_use *use;
    uint32_t number; /* of our request */
    bool has_token, has_refused;
    struct gw_token token;
    struct gw_tuple at; /* where our session with it goes */
    uint16_t port;      /* its second one; 0 = none */
};

struct gw_measure {
    struct gw_deadline deadline;
    enum gw_measure_step step;
    bool is_brief; /* only where a new socket is seen now: which port is next */
    bool is_due;   /* to be begun, when the deadline comes and after what runs */
    unsigned tries, failures;
    struct gw_measured_anchor anchors[2];
    unsigned anchor_count;
    bool has_link;
    uint32_t link;
    struct gw_nat_seen seen;
    struct gw_addr other; /* as the first anchor sees the other socket */
    struct gw_addr last;  /* where our NAT gave its last port, as far as the last measuring tells */
    struct gw_nat_behaviour result;
};

int gw_measure_init(struct gw_discovery *discovery);
void gw_measure_fini(struct gw_discovery *discovery);
/* The network changed, or an anchor came: soon, once for all that changes at a time. is_forgotten: what was measured is from another place. */
void gw_measure_renew(struct gw_discovery *discovery, struct gw_mono now, bool is_forgotten);
/* A brief one now; gw_reach_measured is called for all when it is over. false: it cannot be. */
bool gw_measure_briefly(struct gw_discovery *discovery, struct gw_mono now);
/* Is it under way, or about to be, with nothing known yet? */
bool gw_measure_is_first(const struct gw_discovery *discovery);
void gw_measure_forget(struct gw_discovery *discovery, const struct gw_anchor_use *use, struct gw_mono now);
void gw_measure_answer(struct gw_discovery *discovery, const struct gw_anchor_use *use, uint32_t number,
                       const peergate_NatProbe *answer, struct gw_mono now);
void gw_measure_probe(struct gw_discovery *discovery, struct gw_mono now, const struct gw_token *token,
                      const struct gw_tuple *from, const struct gw_probe *probe);

#endif

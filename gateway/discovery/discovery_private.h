/* SPDX-License-Identifier: MIT */
/* What discovery is made of, and the functions its files owe each other. For gateway/discovery only.
 *   discovery.c   which peers are anchors, which are to be found; our own addresses      anchors.c   registration with each anchor
 *   reach.c       one peer to be found */
#ifndef GATEWAY_DISCOVERY_DISCOVERY_PRIVATE_H
#define GATEWAY_DISCOVERY_DISCOVERY_PRIVATE_H

#include "gateway/discovery/discovery.h"
#include "gateway/peer/message.h"
#include "gateway/peer/peer_private.h"

#define GW_ANCHORS_MAX 8u /* anchors that we use at a time */
#define GW_TAG_LEN 16u
#define GW_REGISTER_TAGS (sizeof((peergate_RegisterRequest *)0)->tags / GW_TAG_LEN)

/* One anchor of ours. peer->anchor_use. A registration is a round of requests, one page of tags each; then, at each keepalive, one without tags that
 * shows that it still knows us. */
struct gw_anchor_use {
    struct gw_list node; /* discovery->anchors */
    struct gw_discovery *discovery;
    struct gw_peer *peer;
    unsigned slot;               /* its place in gw_reach.tags */
    struct gw_deadline deadline; /* the next request, or the next try */
    uint32_t number;             /* of the request under way; 0 = none */
    unsigned tries;              /* of it */
    struct gw_reach *first; /* whose tag is the first of the page under way; NULL: a request without tags */
    struct gw_reach *next;  /* the first of the next page; NULL: the round ends with this page */
    bool is_round_due;      /* tags or addresses changed, or the anchor forgot us */
    bool is_registered;
    struct gw_mono round_at; /* when the tags are to be registered again */
    unsigned tags, refusal;
    bool has_instance;
    uint64_t instance;        /* the anchor's, as it said in its last reply */
    uint64_t remote_instance; /* of its HELLO: another one after its restart */
    struct gw_addr observed;
};

/* One peer that can be found through anchors. peer->reach. */
struct gw_reach {
    struct gw_list node; /* discovery->reaches */
    struct gw_discovery *discovery;
    struct gw_peer *peer;
    uint8_t tags[GW_ANCHORS_MAX][GW_TAG_LEN];
};

struct gw_discovery {
    struct gw_peer_host *host;
    struct gw_list anchors; /* in the order of the configuration */
    struct gw_anchor_use *slots[GW_ANCHORS_MAX];
    struct gw_list reaches;
    uint64_t instance; /* ours, towards anchors */
    struct gw_candidate own[GW_CANDIDATES_MAX];
    unsigned own_count;
};

/* ---- anchors.c */
int gw_anchor_use_new(struct gw_discovery *discovery, struct gw_peer *peer, struct gw_mono now);
void gw_anchor_use_free(struct gw_anchor_use *use);
void gw_anchor_use_changed(struct gw_anchor_use *use, struct gw_mono now);
/* Tags or addresses changed: a round is due soon. */
void gw_anchor_use_renew(struct gw_anchor_use *use, struct gw_mono now);
void gw_anchor_use_reply(struct gw_anchor_use *use, uint32_t number, const peergate_RegisterReply *reply,
                         struct gw_mono now);
void gw_anchor_use_observed(struct gw_anchor_use *use, const peergate_Address *address, struct gw_mono now);
/* The reach is going: not to be pointed to any more. */
void gw_anchor_use_forget(struct gw_anchor_use *use, const struct gw_reach *reach, struct gw_mono now);

/* ---- reach.c */
int gw_reach_new(struct gw_discovery *discovery, struct gw_peer *peer, struct gw_mono now);
void gw_reach_free(struct gw_reach *reach, struct gw_mono now);
/* An anchor took the slot: the tag of this peer with it. */
void gw_reach_compute_tag(struct gw_reach *reach, const struct gw_anchor_use *use);

/* ---- discovery.c */
/* What we offer: our own addresses and the observed ones. Returns how many, at most GW_CANDIDATES_MAX. */
unsigned gw_discovery_offer(const struct gw_discovery *discovery, peergate_Address *out);
/* An anchor sees us at another address than before. */
void gw_discovery_observed(struct gw_discovery *discovery, struct gw_mono now);

#endif

/* SPDX-License-Identifier: MIT */
/* What discovery is made of, and the functions its files owe each other. For gateway/discovery only.
 *   discovery.c   which peers are anchors, which are to be found; our own addresses      anchors.c   registration with each anchor
 *   direct.c      from the relay to a direct path                                        carrier.c   an anchor where UDP does not get through
 *   reach.c       one peer to be found: channels asked for      relay.c   the channels that we hold, frames in and out */
#ifndef GATEWAY_DISCOVERY_DISCOVERY_PRIVATE_H
#define GATEWAY_DISCOVERY_DISCOVERY_PRIVATE_H

#include "gateway/discovery/discovery.h"
#include "gateway/peer/message.h"
#include "gateway/peer/peer_private.h"
#include "gateway/punch/punch.h"
#include "gateway/wire/relay_frame.h"

#define GW_ANCHORS_MAX 8u /* anchors that we use at a time */
#define GW_TAG_LEN 16u
#define GW_REGISTER_TAGS (sizeof((peergate_RegisterRequest *)0)->tags / GW_TAG_LEN)

/* While an anchor is reached by a carrier only: its addresses, asked by UDP. */
struct gw_carrier_checks {
    struct gw_deadline deadline;
    struct gw_mono at; /* the next round; GW_NEVER: it is reached by UDP, or not at all */
    int64_t interval_ns;
    unsigned next;                        /* of peer->config.endpoints */
    uint8_t nonce[GW_PATH_CHALLENGE_LEN]; /* of the last round */
    struct gw_mono sent;
};

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
    struct gw_mono began;        /* its first try */
    struct gw_reach *first; /* whose tag is the first of the page under way; NULL: a request without tags */
    struct gw_reach *next;  /* the first of the next page; NULL: the round ends with this page */
    bool is_round_due;      /* tags or addresses changed, or the anchor forgot us */
    bool is_registered;
    bool is_silent;          /* it has left some requests in a row unanswered */
    struct gw_mono round_at; /* when the tags are to be registered again */
    unsigned tags, refusal;
    bool has_fleet;
    uint8_t fleet
        [GW_KEY_LEN]; /* the key that tags are of, instead of the anchor's own: it shares its directory with others */
    bool has_instance;
    uint64_t instance;        /* the anchor's, as it said in its last reply */
    uint64_t remote_instance; /* of its HELLO: another one after its restart */
    struct gw_addr observed;
    struct gw_carrier_checks carrier;
};

/* A channel to a peer through an anchor. The handle, not the channel's number, is what the path is known by: it stays when the anchor gives another
 * channel. */
struct gw_relay_channel {
    struct gw_map_node by_handle,
        by_id;             /* in discovery->handles always, in discovery->ids while there is one */
    struct gw_tuple tuple; /* link: GW_LINK_RELAY and the handle */
    struct gw_reach *reach;
    struct gw_anchor_use *via; /* NULL: free */
    uint32_t id;
    uint8_t send_key[GW_RELAY_KEY_LEN], receive_key[GW_RELAY_KEY_LEN];
    struct gw_mono granted, expires, renew_at;
};

/* What was asked of one anchor about one peer. */
struct gw_ask {
    uint32_t number; /* of the request under way; 0 = none */
    unsigned tries;
    struct gw_mono at;      /* the next try, or when it may be asked again */
    unsigned refusal;       /* of the last answer */
    unsigned refused_count; /* in a row */
};

/* Getting from the relay to a direct path. */
struct gw_direct {
    struct gw_punch punch;
    uint32_t number;   /* of our PUNCH_ME_NOW that waits for its answer; 0 = none */
    unsigned tries;    /* of it */
    unsigned failures; /* attempts without a direct path, since something changed */
    struct gw_mono at; /* the next try, or the next attempt */
    bool was_direct;
    bool has_peer_number; /* of the peer's last PUNCH_ME_NOW */
    uint32_t peer_number;
};

/* One peer that can be found through anchors. peer->reach. */
struct gw_reach {
    struct gw_list node; /* discovery->reaches */
    struct gw_discovery *discovery;
    struct gw_peer *peer;
    struct gw_deadline deadline;
    uint8_t tags[GW_ANCHORS_MAX][GW_TAG_LEN];
    struct gw_ask asks[GW_ANCHORS_MAX];
    bool is_through[GW_ANCHORS_MAX]; /* by slot: it may be found through that anchor */
    struct gw_relay_channel channels[GW_PEER_RELAYS_MAX];
    struct gw_mono wanted;  /* the last time that somebody wanted it; GW_NEVER */
    struct gw_mono step_at; /* when its channels need something; GW_NEVER */
    struct gw_direct direct;
};

struct gw_discovery {
    struct gw_peer_host *host;
    struct gw_list anchors; /* in the order of the configuration */
    struct gw_anchor_use *slots[GW_ANCHORS_MAX];
    struct gw_list reaches;
    struct gw_map handles, ids; /* gw_relay_channel by tuple.link and by id */
    uint32_t next_handle;
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
/* What goes through it stays unanswered: is it still there? */
void gw_anchor_use_touch(struct gw_anchor_use *use, struct gw_mono now);
/* A question to it stays unanswered: does it still have our keys? */
void gw_anchor_use_unanswered(struct gw_anchor_use *use, struct gw_mono now);
void gw_anchor_use_reply(struct gw_anchor_use *use, uint32_t number, const peergate_RegisterReply *reply,
                         struct gw_mono now);
void gw_anchor_use_observed(struct gw_anchor_use *use, const peergate_Address *address, struct gw_mono now);
/* The reach is going: not to be pointed to any more. */
void gw_anchor_use_forget(struct gw_anchor_use *use, const struct gw_reach *reach, struct gw_mono now);

/* ---- carrier.c */
void gw_carrier_init(struct gw_anchor_use *use);
/* UDP brings no answer. */
void gw_carrier_wanted(struct gw_anchor_use *use, struct gw_mono now);
void gw_carrier_path_changed(struct gw_anchor_use *use, struct gw_mono now);
/* The network is another one: UDP may get through now. */
void gw_carrier_look_again(struct gw_anchor_use *use, struct gw_mono now);
/* As in gw_peer_hooks. */
bool gw_carrier_take_check(struct gw_anchor_use *use, struct gw_mono now, struct gw_tuple *to,
                           uint8_t nonce[GW_PATH_CHALLENGE_LEN]);
bool gw_carrier_answered(struct gw_anchor_use *use, struct gw_mono now, const struct gw_tuple *from,
                         const uint8_t nonce[GW_PATH_CHALLENGE_LEN], struct gw_tuple *path, int64_t *rtt_ns);

/* ---- reach.c */
int gw_reach_new(struct gw_discovery *discovery, struct gw_peer *peer, struct gw_mono now);
void gw_reach_free(struct gw_reach *reach, struct gw_mono now);
/* An anchor took the slot: the tag of this peer with it. */
void gw_reach_compute_tag(struct gw_reach *reach, const struct gw_anchor_use *use);

/* The peer's configuration is there, or another one: which anchors it may be found through. */
void gw_reach_configured(struct gw_reach *reach, struct gw_mono now);

/* Somebody wants to reach it, or the anchors changed: asks for channels where there are none. */
void gw_reach_wanted(struct gw_reach *reach, struct gw_mono now);
void gw_reach_anchors_changed(struct gw_reach *reach, struct gw_mono now);
/* An answer (number) or an offer (number 0) from an anchor. */
void gw_reach_granted(struct gw_reach *reach, struct gw_anchor_use *use, uint32_t number,
                      const peergate_ChannelGrant *grant, struct gw_mono now);

/* Recomputes the deadline. */
void gw_reach_rearm(struct gw_reach *reach, struct gw_mono now);

/* ---- direct.c */
void gw_direct_init(struct gw_direct *direct);
void gw_direct_expire(struct gw_reach *reach, struct gw_mono now);
struct gw_mono gw_direct_next_deadline(const struct gw_reach *reach);
/* Attempts in a row; 0 = none at all. */
unsigned gw_direct_attempts_max(const struct gw_reach *reach);
/* The path or the session changed. */
void gw_direct_changed(struct gw_reach *reach, struct gw_mono now);
/* Something goes to the peer by a relay. */
void gw_direct_used(struct gw_reach *reach, struct gw_mono now);
/* Addresses changed, ours or the peer's: what failed may succeed. */
void gw_direct_restart(struct gw_reach *reach, struct gw_mono now);
void gw_direct_punch_input(struct gw_reach *reach, uint32_t number, const peergate_PunchMeNow *punch,
                           struct gw_mono now);
void gw_direct_add_input(struct gw_reach *reach, const peergate_AddAddress *add, struct gw_mono now);
void gw_direct_remove_input(struct gw_reach *reach, const peergate_RemoveAddress *remove);
/* The peer's own check came from there. */
void gw_direct_challenged(struct gw_reach *reach, const struct gw_tuple *from, struct gw_mono now);
/* As in gw_peer_hooks. */
bool gw_direct_take_check(struct gw_reach *reach, struct gw_mono now, struct gw_tuple *to,
                          uint8_t nonce[GW_CHECK_NONCE_LEN]);
bool gw_direct_answered(struct gw_reach *reach, struct gw_mono now, const struct gw_tuple *from,
                        const uint8_t nonce[GW_CHECK_NONCE_LEN], struct gw_tuple *path, int64_t *rtt_ns);

/* ---- relay.c: the channels that we hold */
void gw_relay_channels_init(struct gw_reach *reach);
void gw_relay_channels_fini(struct gw_reach *reach, struct gw_mono now);
struct gw_relay_channel *gw_relay_channel_of(struct gw_reach *reach, const struct gw_anchor_use *use);
/* Takes the grant; the peer has a path by it from now on. false: no room, or it makes no sense. */
bool gw_relay_channel_set(struct gw_reach *reach, struct gw_anchor_use *use,
                          const peergate_ChannelGrant *grant, struct gw_mono now);
/* The anchor does not know it any more, or its time is over. keeps_path: another grant is asked for, and the path waits for it. */
void gw_relay_channel_end(struct gw_relay_channel *channel, struct gw_mono now, bool keeps_path);

/* ---- discovery.c */
/* What we offer: our own addresses and the observed ones. Returns how many, at most GW_CANDIDATES_MAX. */
unsigned gw_discovery_offer(const struct gw_discovery *discovery, peergate_Address *out);
/* An anchor sees us at another address than before. */
void gw_discovery_observed(struct gw_discovery *discovery, struct gw_mono now);

#endif

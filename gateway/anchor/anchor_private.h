/* SPDX-License-Identifier: MIT */
/* What an anchor is made of, and the functions its files owe each other. For gateway/anchor only.
 *   anchor.c     clients, requests      directory.c   tags      grants.c   channels given and taken back      far.c   those that end at another anchor
 *   forward.c   frames on their way      fleet*.c   other anchors
 *   probes.c     measuring clients' NATs      punches.c   INITIATE_PUNCH      usage.c   what passed between two */
#ifndef GATEWAY_ANCHOR_ANCHOR_PRIVATE_H
#define GATEWAY_ANCHOR_ANCHOR_PRIVATE_H

#include "gateway/anchor/anchor.h"
#include "gateway/anchor/directory.h"
#include "gateway/anchor/fleet_record.h"
#include "gateway/base/ratelimit.h"
#include "gateway/peer/message.h"
#include "gateway/peer/peer_private.h"
#include "gateway/wire/candidate.h"
#include "gateway/wire/probe.h"
#include "gateway/wire/relay_frame.h"

#define GW_ANCHOR_CLIENTS_MAX 4096u
#define GW_ANCHOR_REQUEST_RATE 63.0 /* a second of one client */
#define GW_ANCHOR_PUNCH_RATE 1.0    /* ... of those that go on to somebody else */
#define GW_ANCHOR_PUNCH_BURST 20.0

#define GW_ANCHOR_TOKEN_PROBES 32u /* sent for one token */

struct gw_anchor_client;

/* What both of those who punch get. */
struct gw_anchor_punch {
    uint8_t tag[GW_TAG_LEN], token[GW_TOKEN_ID_LEN], secret[GW_TOKEN_SECRET_LEN];
    uint32_t round, again;
    bool is_complete; /* a further round: both have spoken */
};

/* What a client said of itself when it asked for a punch. */
struct gw_anchor_words {
    bool has_nat;
    peergate_Nat nat;
    bool has_vouch;
    peergate_Vouch vouch;
};

/* What a client that measures its NAT has; one at a time. */
struct gw_anchor_token {
    struct gw_map_node node; /* anchor->tokens */
    uint8_t id[GW_TOKEN_ID_LEN];
    uint8_t key[GW_PROBE_KEY_LEN];
    struct gw_mono expires;
    unsigned left; /* probes that may still be sent for it */
};

/* One end of a channel: the number and the keys are this client's alone, or this fellow anchor's. */
struct gw_channel_side {
    struct gw_map_node by_id; /* anchor->sides */
    struct gw_list of_client; /* client->sides */
    struct gw_channel *channel;
    struct gw_anchor_client *client; /* NULL: `far`, or not yet a side at all */
    struct gw_fleet_place far;       /* family 0 of its address: there is no such end */
    uint32_t id;                     /* of frames that come from there */
    uint32_t to_id; /* of frames that go there: the same for a client; 0: the fellow has not told it yet */
    uint8_t from_key[GW_RELAY_KEY_LEN], to_key[GW_RELAY_KEY_LEN]; /* of frames from and to the client */
    bool is_taken;                                                /* the client knows of it */
    struct gw_mono offered;                                       /* when it was told last, unasked */
};

/* What passed between two clients, or a client and somebody at a fellow anchor: the limits are theirs, whatever channels they have. */
struct gw_anchor_usage {
    struct gw_map_node node; /* anchor->usages */
    uint8_t pair[2 * GW_KEY_LEN];
    unsigned channels; /* that they have now */
    struct gw_bucket rate;
    uint64_t volume; /* bytes since volume_began */
    struct gw_mono volume_began;
};

struct gw_channel {
    struct gw_channel_side sides[2];
    uint8_t tag[GW_TAG_LEN];
    struct gw_mono expires;
    struct gw_anchor_usage *usage;
    struct gw_mono spent_told; /* that the volume has passed; GW_NEVER */
};

/* A train on its way. */
struct gw_forwarded {
    struct gw_list node; /* anchor->queue */
    struct gw_tuple tuple;
    uint16_t stride, count, last_len;
    uint8_t ecn;
    uint8_t data[];
};

/* A peer that asked something of us. peer->anchor_client; lives as long as the peer. */
struct gw_anchor_client {
    struct gw_list node; /* anchor->clients */
    struct gw_peer *peer;
    struct gw_registrant registrant;
    bool has_instance;
    uint64_t instance; /* as it said in its last registration */
    struct gw_candidate candidates[GW_CANDIDATES_MAX];
    unsigned candidate_count;
    struct gw_addr told; /* the observed address that it was told last */
    struct gw_bucket requests;
    struct gw_bucket punches, called; /* that it asks for, and that clients of fellow anchors ask of it */
    struct gw_anchor_punch punch;     /* the one that it asked for last, and the number of its request */
    uint32_t punch_number;
    struct gw_mono punch_expires;
    struct gw_anchor_words words; /* the last ones */
    struct gw_mono spoke;         /* when that was; GW_NEVER */
    uint8_t spoke_tag[GW_TAG_LEN];
    struct gw_anchor_token token;
    struct gw_list sides; /* of its channels */
    unsigned channel_count;
    uint32_t publish_count; /* gw_fleet.up_count when its tags were put into the store last */
    struct gw_mono
        asked_where; /* a frame came from elsewhere: the last time that it was asked to prove that it is there */
};

struct gw_anchor {
    struct gw_peer_host *host;
    struct gw_anchor_params params;
    uint64_t instance;
    struct gw_directory directory;
    struct gw_list clients;
    unsigned client_count;
    struct gw_deadline sweep;
    struct gw_map tokens; /* gw_anchor_token by id */
    bool has_tried_second;
    uint16_t second_port;   /* 0 = none */
    struct gw_map sides;    /* gw_channel_side by id */
    struct gw_bucket total; /* of all channels */
    struct gw_map usages;   /* gw_anchor_usage by pair */
    unsigned channel_count;
    unsigned far_count;     /* of these, with an end at another anchor */
    struct gw_fleet *fleet; /* NULL: it is alone */
    struct gw_list queue;   /* gw_forwarded */
    size_t queued;          /* bytes */
    struct gw_anchor_stats stats;
};

/* ---- anchor.c */
/* The one who shares the tag with `client`, or NULL. */
struct gw_anchor_client *gw_anchor_other(struct gw_anchor *anchor, struct gw_anchor_client *client,
                                         const uint8_t tag[GW_TAG_LEN], struct gw_mono now);
/* Where the client's session is, and answered; family 0 when it is nowhere. */
struct gw_addr gw_anchor_observed(const struct gw_anchor_client *client);
/* Observed, then what it offers itself; the first one is of kind OBSERVED only if we have seen the client there. Returns how many. */
unsigned gw_anchor_candidates(const struct gw_anchor_client *client,
                              struct gw_candidate out[GW_CANDIDATES_MAX]);
/* The same, for a message. */
unsigned gw_anchor_addresses(const struct gw_anchor_client *client, peergate_Address *out);

/* ---- grants.c */
void gw_anchor_answer_channel(struct gw_anchor *anchor, struct gw_anchor_client *client,
                              const peergate_Control *message, struct gw_mono now);
void gw_anchor_channel_taken(struct gw_anchor_client *client, uint32_t id);
/* Tells the side of its channel, unless it was told just now. */
void gw_anchor_offer(struct gw_anchor *anchor, struct gw_channel_side *side, struct gw_mono now);
/* The client has forgotten its channels. */
void gw_anchor_channels_forgotten(struct gw_anchor_client *client);
void gw_anchor_channels_end(struct gw_anchor *anchor, struct gw_anchor_client *client);
/* Those that expired. */
void gw_anchor_channels_sweep(struct gw_anchor *anchor, struct gw_anchor_client *client, struct gw_mono now);
/* A new one between two clients, or between a client and that place (other is NULL then); NULL: no room. */
struct gw_channel *gw_anchor_channel_new(struct gw_anchor *anchor, struct gw_anchor_client *client,
                                         struct gw_anchor_client *other, const struct gw_fleet_place *place,
                                         const uint8_t tag[GW_TAG_LEN], struct gw_mono now);
void gw_anchor_channel_free(struct gw_anchor *anchor, struct gw_channel *channel);
/* Prolongs it, and answers with this side's end of it. */
void gw_anchor_grant(struct gw_anchor *anchor, struct gw_channel_side *side, uint32_t number,
                     struct gw_mono now);
/* What may pass it in this hour has passed: says so to its clients, once a second at most. */
void gw_anchor_tell_spent(struct gw_channel *channel, struct gw_mono now);
/* Ends all, and tells their clients that nothing is relayed any more. */
void gw_anchor_channels_stop(struct gw_anchor *anchor, struct gw_mono now);
static inline struct gw_channel_side *gw_channel_other_side(struct gw_channel_side *side)
{
    return side == &side->channel->sides[0] ? &side->channel->sides[1] : &side->channel->sides[0];
}

/* ---- usage.c */
/* For one more channel between them (other NULL: somebody behind a fellow anchor, who shares that tag); NULL without memory. */
struct gw_anchor_usage *gw_anchor_usage_take(struct gw_anchor *anchor, const struct gw_anchor_client *client,
                                             const struct gw_anchor_client *other,
                                             const uint8_t tag[GW_TAG_LEN], struct gw_mono now);
/* ... and when it ends. NULL is fine. */
void gw_anchor_usage_leave(struct gw_anchor_usage *usage);
/* Begins another hour when one is over. */
void gw_anchor_usage_look(struct gw_anchor_usage *usage, struct gw_mono now);
/* Forgets those that no limit needs. */
void gw_anchor_usages_sweep(struct gw_anchor *anchor, struct gw_mono now);
void gw_anchor_usages_fini(struct gw_anchor *anchor);

/* ---- far.c */
/* The far side of the client's channel to somebody at that place, made when there is none; NULL: no room. */
struct gw_channel_side *gw_anchor_far_side(struct gw_anchor *anchor, struct gw_anchor_client *client,
                                           const uint8_t tag[GW_TAG_LEN], const struct gw_fleet_place *place,
                                           struct gw_mono now);
/* The fellow has told where frames for it go: the channel is prolonged. */
void gw_anchor_far_opened(struct gw_channel_side *far, uint32_t to_id, const uint8_t to_key[GW_RELAY_KEY_LEN],
                          struct gw_mono now);

/* ---- probes.c */
void gw_anchor_answer_nat_probe(struct gw_anchor *anchor, struct gw_anchor_client *client,
                                const peergate_Control *message, struct gw_mono now);
void gw_anchor_token_end(struct gw_anchor *anchor, struct gw_anchor_client *client);
void gw_anchor_probes_fini(struct gw_anchor *anchor);

/* ---- punches.c */
/* The client's words that may be handed on: what it said for one occasion only if that is now, and of this tag. */
void gw_anchor_words(const struct gw_anchor_client *client, const uint8_t tag[GW_TAG_LEN], struct gw_mono now,
                     struct gw_anchor_words *out);
/* INITIATE_PUNCH to the client: begins start_ms later with whom `message` has the addresses and the words of already. */
void gw_anchor_initiate(struct gw_anchor_client *to, uint32_t number, const struct gw_anchor_punch *punch,
                        int64_t start_ns, peergate_Control *message, struct gw_mono now);
/* PUNCH_ME_NOW to us: both begin. */
void gw_anchor_answer_punch(struct gw_anchor *anchor, struct gw_anchor_client *client,
                            const peergate_Control *message, struct gw_mono now);

/* ---- forward.c */
/* What a bucket of that rate holds: a second's worth, a train at least. */
static inline double gw_anchor_burst(uint64_t rate)
{
    return rate > GW_TRAIN_SLAB ? (double)rate : GW_TRAIN_SLAB;
}
void gw_anchor_queue_clear(struct gw_anchor *anchor);

#endif

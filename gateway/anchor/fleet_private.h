/* SPDX-License-Identifier: MIT */
/* What an anchor's part in a fleet is made of. For gateway/anchor only.
 *   fleet.c   who is there      fleet_publish.c   what is put into the store      fleet_find.c   what clients ask that only another anchor may know
 *   fleet_open.c   channels between clients of two anchors      fleet_punch.c   their punches */
#ifndef GATEWAY_ANCHOR_FLEET_PRIVATE_H
#define GATEWAY_ANCHOR_FLEET_PRIVATE_H

#include "gateway/anchor/anchor_private.h"
#include "gateway/anchor/fleet.h"

#define GW_FLEET_QUERIES_MAX 1024u

struct gw_fellow {
    struct gw_fleet_place place;
    struct gw_mono heard; /* GW_NEVER: free */
    bool knows_further;   /* it said so, in this life */
};

enum gw_fleet_want { GW_FLEET_WANT_ENDPOINT, GW_FLEET_WANT_CHANNEL, GW_FLEET_WANT_PUNCH };

/* A client's question that is not answered yet. */
struct gw_fleet_query {
    struct gw_list node; /* fleet->queries, the one that ends first in front */
    struct gw_anchor_client *client;
    uint32_t id, number; /* of the lookup; of the client's request */
    enum gw_fleet_want want;
    uint8_t tag[GW_TAG_LEN];
    struct gw_anchor_punch punch; /* WANT_PUNCH: as the client asked for it */
    struct gw_mono expires;
    struct gw_mono asked_at;                        /* the store, and then the anchor that is waited for */
    int64_t lookup_ns;                              /* how long the store took */
    uint8_t asked[GW_FELLOWS_MAX][GW_FLEET_ID_LEN]; /* whose records are looked up */
    unsigned asked_count;
    struct gw_fleet_place places[GW_FELLOWS_MAX]; /* who has the other one */
    unsigned place_count, tried;
    bool is_repeated; /* the last of them was asked twice */
};

struct gw_fleet {
    struct gw_anchor *anchor;
    struct gw_fleet_params params;
    uint8_t public_key[GW_KEY_LEN];
    uint8_t key[GW_KEY_LEN];         /* of the seal */
    uint8_t mark[GW_FLEET_MARK_LEN]; /* of what this instance puts into the store */
    char topics[2][GW_FLEET_NAME_MAX];
    struct gw_fleet_place own; /* addr.family 0: nobody could reach us */
    struct gw_fellow fellows[GW_FELLOWS_MAX];
    bool is_up;
    bool is_address_told; /* the log says that there is none */
    uint32_t up_count;    /* clients whose publish_count is another one are still to be put */
    struct gw_list queries;
    unsigned query_count;
    uint32_t last_id;
    struct gw_deadline deadline;
    struct gw_mono beat_at, publish_at;
    uint64_t lookups, dropped_garbage;
};

/* ---- fleet.c */
int gw_fleet_new(struct gw_fleet **out, struct gw_anchor *anchor, const struct gw_fleet_params *params);
void gw_fleet_free(struct gw_fleet *fleet);
/* 8 bytes that stand for the client within the fleet. */
void gw_fleet_client_id(const struct gw_fleet *fleet, const struct gw_anchor_client *client,
                        uint8_t out[GW_FLEET_ID_LEN]);
/* What the client needs to know so that its tags are the fleet's; false: the request has it. */
bool gw_fleet_introduce(const struct gw_fleet *fleet, const struct gw_anchor_client *client,
                        const peergate_RegisterRequest *request, peergate_RegisterReply *reply);
void gw_fleet_record_name(const struct gw_fleet *fleet, const uint8_t tag[GW_TAG_LEN],
                          const uint8_t anchor[GW_FLEET_ID_LEN], char out[GW_FLEET_NAME_MAX]);
/* Does that anchor understand what is said of further rounds? Who does not drops such a message. */
bool gw_fleet_knows_further(const struct gw_fleet *fleet, const uint8_t anchor[GW_FLEET_ID_LEN]);
/* Fills in the sender, seals, tells the anchor `to`; NULL: all. */
void gw_fleet_say(struct gw_fleet *fleet, const uint8_t *to, struct gw_fleet_message *message);
void gw_fleet_rearm(struct gw_fleet *fleet);

/* ---- fleet_publish.c */
/* Who is registered for the tag here has changed. */
void gw_fleet_publish(struct gw_fleet *fleet, const uint8_t tag[GW_TAG_LEN], struct gw_mono now);
/* The client is not there any more: its tags are removed from the directory, and what the store has of it. Does nothing while the store is away. */
void gw_fleet_withdraw(struct gw_fleet *fleet, struct gw_anchor_client *client, struct gw_mono now);
/* What is to be put again, when fleet->publish_at is due. */
void gw_fleet_publish_expire(struct gw_fleet *fleet, struct gw_mono now);

/* ---- fleet_find.c */
/* A question that nobody here can answer: true when the answer will come later. */
bool gw_fleet_ask(struct gw_fleet *fleet, struct gw_anchor_client *client, const peergate_Control *message,
                  const uint8_t tag[GW_TAG_LEN], struct gw_mono now);
void gw_fleet_client_gone(struct gw_fleet *fleet, const struct gw_anchor_client *client);
struct gw_mono gw_fleet_find_deadline(const struct gw_fleet *fleet);
void gw_fleet_find_expire(struct gw_fleet *fleet, struct gw_mono now);
/* The one that waits for that anchor's word; NULL. */
struct gw_fleet_query *gw_fleet_waiting(const struct gw_fleet *fleet, enum gw_fleet_want want,
                                        const struct gw_fleet_message *message);
void gw_fleet_query_end(struct gw_fleet *fleet, struct gw_fleet_query *query);
/* The next anchor that may have the other one; without any, the client is told. */
void gw_fleet_try_next(struct gw_fleet *fleet, struct gw_fleet_query *query, peergate_Refusal refusal,
                       struct gw_mono now);

/* ---- fleet_open.c */
/* Asks that anchor for its end. REFUSAL_NONE, or why not. */
peergate_Refusal gw_fleet_open_at(struct gw_fleet *fleet, const struct gw_fleet_query *query,
                                  const struct gw_fleet_place *place, struct gw_mono now);
void gw_fleet_open_input(struct gw_fleet *fleet, const struct gw_fleet_message *message, struct gw_mono now);
/* Our client with the message's tag who is not the one that asked; NULL. */
struct gw_anchor_client *gw_fleet_partner(struct gw_fleet *fleet, const struct gw_fleet_message *message,
                                          struct gw_mono now);
/* What a fellow says when it refuses; UNKNOWN for what none of them says. */
peergate_Refusal gw_fleet_refusal_of(const struct gw_fleet_message *message);

/* ---- fleet_punch.c */
/* Asks that anchor to have its client punch. */
void gw_fleet_punch_at(struct gw_fleet *fleet, const struct gw_fleet_query *query,
                       const struct gw_fleet_place *place, struct gw_mono now);
void gw_fleet_punch_input(struct gw_fleet *fleet, const struct gw_fleet_message *message, struct gw_mono now);

#endif

/* SPDX-License-Identifier: MIT */
/* What an anchor is made of, and the functions its files owe each other. For gateway/anchor only.
 *   anchor.c     clients, requests      directory.c   tags      grants.c   channels given and taken back      forward.c   frames on their way */
#ifndef GATEWAY_ANCHOR_ANCHOR_PRIVATE_H
#define GATEWAY_ANCHOR_ANCHOR_PRIVATE_H

#include "gateway/anchor/anchor.h"
#include "gateway/anchor/directory.h"
#include "gateway/base/ratelimit.h"
#include "gateway/peer/message.h"
#include "gateway/peer/peer_private.h"
#include "gateway/wire/candidate.h"

#define GW_ANCHOR_CLIENTS_MAX 4096u
#define GW_ANCHOR_REQUEST_RATE 63.0 /* a second of one client */

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
};

struct gw_anchor {
    struct gw_peer_host *host;
    struct gw_anchor_params params;
    uint64_t instance;
    struct gw_directory directory;
    struct gw_list clients;
    unsigned client_count;
    struct gw_deadline sweep;
    struct gw_anchor_stats stats;
};

/* The one who shares the tag with `client`, or NULL; counts the refusal. */
struct gw_anchor_client *gw_anchor_other(struct gw_anchor *anchor, struct gw_anchor_client *client,
                                         const uint8_t tag[GW_TAG_LEN], struct gw_mono now);
/* Where the client's session is; family 0 when it is nowhere. */
struct gw_addr gw_anchor_observed(const struct gw_anchor_client *client);
/* Observed, then what it offers itself; at most GW_CANDIDATES_MAX. Returns how many. */
unsigned gw_anchor_addresses(const struct gw_anchor_client *client, peergate_Address *out);

#endif

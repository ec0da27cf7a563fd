/* SPDX-License-Identifier: MIT */
/* What discovery tells people: plain data for `status` and `why`. */
#ifndef GATEWAY_DISCOVERY_VIEW_H
#define GATEWAY_DISCOVERY_VIEW_H

#include "gateway/base/mono.h"
#include "gateway/discovery/nat.h"
#include "gateway/wire/candidate.h"
#include "gateway/wire/train.h"

#include <stdbool.h>

struct gw_peer;
struct gw_anchor_use;

struct gw_anchor_view {
    struct gw_peer *peer;
    bool is_neighbour; /* no anchor, but a peer that relays */
    bool is_connected;
    bool is_connecting; /* it was asked a moment ago, and can hardly have answered */
    bool has_ended;     /* it said so, and there was no session since */
    bool is_registered;
    bool is_refused;         /* it answers, but does not serve us: see refusal */
    unsigned refusal;        /* peergate_Refusal of the last registration */
    unsigned tags;           /* registered with it */
    struct gw_addr observed; /* how it sees us; family 0 = not told yet */
    int64_t rtt_ns;          /* 0 = unknown */
    int64_t keepalive_ns;    /* from request to request */
};

/* Can anybody reach this node, and how is that known? */
enum gw_public_reason {
    GW_PUBLIC_ADVERTISED, /* the owner says so */
    GW_PUBLIC_OPEN, /* an anchor sees it at an address of its own, and what nobody asked for gets in there */
    GW_PUBLIC_FIREWALL, /* ... does not get in */
    GW_PUBLIC_UNTESTED, /* ... nobody has tried that yet, or could */
    GW_PUBLIC_NAT,      /* anchors see it elsewhere */
    GW_PUBLIC_UNSEEN,   /* no anchor has said where it sees it */
    GW_PUBLIC_REASONS
};
extern const char *const gw_public_reason_names
    [GW_PUBLIC_REASONS]; /* "advertised", "open", "firewall", "untested", "nat", "unseen" */
static inline bool gw_public_is(enum gw_public_reason reason)
{
    return reason == GW_PUBLIC_ADVERTISED || reason == GW_PUBLIC_OPEN;
}

struct gw_public_view {
    enum gw_public_reason reason;
    struct gw_addr at;       /* the address in question; family 0: none is */
    struct gw_mono measured; /* when it was tried last whether something gets in; GW_NEVER */
    bool is_running;         /* it is being tried, or about to be */
};

#define GW_VIEW_CANDIDATES_MAX 100u
#define GW_VIEW_ANCHORS_MAX 8u
#define GW_VIEW_PATHS_MAX 8u

/* What became of one address of the peer's. */
struct gw_candidate_view {
    struct gw_candidate candidate;
    bool is_predicted;                  /* a port that may follow on an observed one */
    bool is_reflexive;                  /* nobody told it: the peer's own check came from there */
    const char *outcome;                /* gw_check_state_names */
    unsigned sent;                      /* checks */
    struct gw_mono last_sent, answered; /* GW_NEVER */
    int64_t rtt_ns;
    int error; /* -errno of the last try to send there; 0 = none */
};

/* What one anchor said about the peer. */
struct gw_asked_view {
    struct gw_peer *anchor;
    bool is_neighbour;  /* it is none, but a peer that relays */
    bool is_registered; /* with the anchor */
    bool has_channel;
    bool is_asked;    /* a request is under way */
    unsigned refusal; /* peergate_Refusal of the last answer */
};

struct gw_path_view {
    struct gw_tuple tuple;
    bool is_current, is_validated;
    int64_t rtt_ns; /* 0 = unknown */
};

struct gw_reach_view {
    bool is_findable; /* by anchors; else the members down to `failures` say nothing */
    bool is_punching;
    bool is_searching; /* with many sockets or ports */
    bool has_told;     /* the peer said how its NAT behaves: */
    enum gw_nat_reach told_mapping;
    enum gw_nat_ports told_ports;
    struct gw_nat_behaviour own; /* ours */
    unsigned meetings_failed;    /* attempts without a session, in a row */
    unsigned attempts;           /* begun */
    unsigned failures;           /* in a row since something changed */
    unsigned attempts_max;
    struct gw_mono next_attempt; /* GW_NEVER: when something changes */
    struct gw_candidate_view candidates[GW_VIEW_CANDIDATES_MAX];
    unsigned candidate_count;
    struct gw_asked_view asked[GW_VIEW_ANCHORS_MAX];
    unsigned asked_count;
    struct gw_path_view paths[GW_VIEW_PATHS_MAX];
    unsigned path_count;
};

#endif

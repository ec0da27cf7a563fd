/* SPDX-License-Identifier: MIT */
/* What discovery is made of, and the functions its files owe each other. For gateway/discovery only, and tests that look inside.
 *   discovery.c   which peers are anchors, which are to be found; our own addresses      anchors.c   registration with each anchor
 *   direct.c      from the relay to a direct path      rounds.c   how, with these two NATs      meet.c, meet_further.c   without a relay
 *   measure.c     our own NAT      nat.c   what its answers say      lifetime.c   for how long it remembers      inbound.c   a firewall in front of us
 *   links.c       further sockets      probes.c   type 7
 *   carrier.c     an anchor where UDP does not get through      neighbours.c   peers that relay, where no anchor does
 *   reach.c       one peer to be found: channels asked for      relay.c   the channels that we hold, frames in and out
 *   observations.c   where peers see us      view.c   what `why` and `status` show */
#ifndef GATEWAY_DISCOVERY_DISCOVERY_PRIVATE_H
#define GATEWAY_DISCOVERY_DISCOVERY_PRIVATE_H

#include "gateway/base/ratelimit.h"
#include "gateway/discovery/discovery.h"
#include "gateway/discovery/inbound.h"
#include "gateway/discovery/lifetime.h"
#include "gateway/discovery/links.h"
#include "gateway/discovery/measure.h"
#include "gateway/peer/message.h"
#include "gateway/peer/peer_private.h"
#include "gateway/punch/punch.h"
#include "gateway/wire/relay_frame.h"

#define GW_ANCHORS_MAX 8u    /* anchors that we use at a time */
#define GW_NEIGHBOURS_MAX 4u /* of them */
#define GW_TAG_LEN 16u
#define GW_OBSERVATION_RATE 10.0 /* OBSERVED_ADDRESS a second, to one peer */
/* Taken from one peer or anchor: so many at once, then one in 5 s, since all anchors and peers hear of each. */
#define GW_OBSERVED_BURST 10.0
#define GW_OBSERVED_RATE 0.2
#define GW_OBSERVATIONS_OFFERED 2u /* of those that two peers agree on */
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
    bool is_neighbour;           /* no anchor of ours, but a peer that offers to relay */
    unsigned slot;               /* its place in gw_reach.tags */
    struct gw_deadline deadline; /* the next request, or the next try */
    uint32_t number;             /* of the request under way; 0 = none */
    unsigned tries;              /* of it */
    struct gw_mono began;        /* its first try */
    int64_t silence_ns;          /* nothing had come for so long then; 0 = unknown */
    int64_t interval_ns;         /* from request to request */
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
    struct gw_bucket observations; /* how often it may say that we are elsewhere */
    struct gw_bucket fleets;       /* how often it may be of another fleet */
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

/* What a peer told of its NAT. */
struct gw_nat_told {
    enum gw_nat_reach mapping;
    enum gw_nat_ports ports;
    int step;
    struct gw_addr last; /* family 0: not told */
};

/* What waits until it is known which port our NAT gives next. */
enum gw_direct_waits { GW_DIRECT_WAITS_NOT, GW_DIRECT_WAITS_TO_ASK, GW_DIRECT_WAITS_TO_ANSWER };

/* Getting to a direct path: from the relay, or, where nothing relays, at all (meet.c). */
struct gw_direct {
    struct gw_punch punch;
    bool is_asker;            /* of the attempt under way */
    unsigned again;           /* rounds of it before this one */
    struct gw_mono review_at; /* is another kind of round better? */
    enum gw_direct_waits waits;
    bool has_last;     /* the last measuring told which port is next */
    uint32_t number;   /* of our PUNCH_ME_NOW that waits for its answer; 0 = none */
    unsigned tries;    /* of it */
    unsigned failures; /* attempts without a direct path, since something changed */
    struct gw_mono at; /* the next try, or the next attempt */
    bool was_direct;
    bool is_stale;             /* the round under way was begun with what is true no more */
    struct gw_bucket restarts; /* of what is under way */
    uint8_t moves, peer_moves; /* ours and the peer's (gw_peer_kick), when it was last begun anew for that */
    bool has_hesitated;        /* to ask, as the round trip is not known */
    bool has_peer_number;      /* of the peer's last PUNCH_ME_NOW */
    uint32_t peer_number, peer_start_ms;
    unsigned peer_again;
    struct gw_bucket asked; /* attempts that the peer asks for */
    struct gw_bucket named; /* new addresses that somebody names */
    bool has_told;
    struct gw_nat_told told;
    struct gw_addr witness; /* where an anchor sees the peer; family 0 = nobody said */
    uint32_t info_number;   /* of our REQUEST_ENDPOINT */
    unsigned info_slot;     /* of the anchor that it went to */
    struct gw_search_plan search;
    uint32_t *links; /* sockets of a search; NULL */
    unsigned link_count;
};

enum gw_meet_step { GW_MEET_IDLE, GW_MEET_ASKING, GW_MEET_INITIATING, GW_MEET_PUNCHING };
#define GW_MEET_TOKENS 8u
#define GW_MEET_FURTHER_MAX 2u  /* rounds of an attempt, behind the plain one */
#define GW_MEET_FURTHER_LEFT 4u /* INITIATE_PUNCHes for them: a try may be lost */

/* Meeting a peer without a session (meet.c). */
struct gw_meet {
    enum gw_meet_step step;
    unsigned tries;    /* of the step's request */
    uint32_t number;   /* of our PUNCH_ME_NOW to the anchor */
    struct gw_mono at; /* the next try, or the next attempt; GW_NEVER: when something changes */
    unsigned failures; /* in a row */
    bool is_asker;
    struct gw_token token;
    uint8_t seen[GW_MEET_TOKENS][GW_TOKEN_ID_LEN]; /* tokens that were taken: each once */
    unsigned seen_count;
    struct gw_bucket unasked; /* attempts that somebody else asks for */
    /* Further rounds (meet_further.c). */
    unsigned slot;     /* of the anchor that the attempt goes by */
    unsigned again;    /* of the round that is being arranged */
    bool is_arranging; /* until both have spoken */
    bool is_measuring; /* first: which port our NAT gives next */
    bool has_plain;    /* the plain round is begun if nothing comes of it */
    unsigned further_tries;
    unsigned further_left;     /* INITIATE_PUNCHes that are still answered in the attempt */
    struct gw_mono further_at; /* the next try; GW_NEVER */
    struct gw_addr vouched;    /* where the peer says itself that it is seen; family 0: it did not */
    uint64_t vouch_time;       /* of the newest vouch */
};

/* Where we and a peer see each other. */
struct gw_observation {
    struct gw_addr seen; /* where it says that it sees us */
    struct gw_addr told; /* where it was told last that we see it */
    struct gw_bucket told_rate, heard_rate;
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
    struct gw_meet meet;
    struct gw_observation observation;
    struct gw_bucket offers; /* to relay, that were taken */
    struct gw_mono offer_at; /* one was not: when it is looked at again; GW_NEVER */
};

struct gw_discovery {
    struct gw_peer_host *host;
    struct gw_list anchors; /* in the order of the configuration */
    struct gw_anchor_use *slots[GW_ANCHORS_MAX];
    struct gw_list reaches;
    struct gw_map handles, ids; /* gw_relay_channel by tuple.link and by id */
    uint32_t next_handle;
    struct gw_map tokens; /* gw_token by id */
    struct gw_links links;
    struct gw_measure measure;   /* of our NAT */
    struct gw_inbound inbound;   /* of our firewall */
    struct gw_lifetime lifetime; /* of what our NAT remembers */
    uint64_t instance;           /* ours, towards anchors */
    struct gw_candidate own[GW_CANDIDATES_MAX];
    unsigned own_count;
    struct gw_addr observed[GW_CANDIDATES_MAX]; /* where others than anchors see us */
    unsigned observed_count;
};

/* ---- anchors.c */
int gw_anchor_use_new(struct gw_discovery *discovery, struct gw_peer *peer, bool is_neighbour,
                      struct gw_mono now);
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

/* The way to it if it passes our NAT and the NAT is all that it passes: IPv4, direct, proven; no neighbour's, which may stand on our side. NULL: there is none. Lent. */
const struct gw_path *gw_anchor_use_v4_way(const struct gw_anchor_use *use);
/* How often to speak to it, in ns, as its configuration has it. */
int64_t gw_anchor_use_configured(const struct gw_anchor_use *use);
/* What is known of our NAT changed: how often to speak to it. */
void gw_anchor_use_refit(struct gw_anchor_use *use, struct gw_mono now);

/* It is needed from now on. */
void gw_anchor_use_resume(struct gw_anchor_use *use, struct gw_mono now);

/* ---- neighbours.c */
/* No anchor of ours helps: neighbours do. */
bool gw_neighbours_are_needed(const struct gw_discovery *discovery);
/* Is its word about our own address as good as an anchor's? A neighbour's is while there is no anchor. */
bool gw_neighbour_is_believed(const struct gw_anchor_use *use);
void gw_neighbour_init(struct gw_reach *reach, struct gw_mono now);
/* The peer's HELLO, or its configuration, may say something else than before. */
void gw_neighbour_changed(struct gw_discovery *discovery, struct gw_peer *peer, struct gw_mono now);
/* An anchor is gone. */
void gw_neighbours_wake(struct gw_discovery *discovery, struct gw_mono now);
/* An anchor needs a place; false: no neighbour has one. */
bool gw_neighbours_make_room(struct gw_discovery *discovery);
/* What it is called in the log. */
static inline const char *gw_anchor_use_kind(const struct gw_anchor_use *use)
{
    return use->is_neighbour ? "peer" : "anchor";
}

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

/* Does somebody want it (lately)? */
bool gw_reach_is_wanted(const struct gw_reach *reach, struct gw_mono now);
/* Recomputes the deadline. */
void gw_reach_rearm(struct gw_reach *reach, struct gw_mono now);

/* ---- probes.c */
/* Holds the token from now on, for its life. peer_key: of the other one who has it, whose session `session` is. false: the id is taken, or no memory. */
bool gw_token_set(struct gw_discovery *discovery, struct gw_token *token, const struct gw_session *session,
                  const uint8_t peer_key[GW_KEY_LEN], const uint8_t id[GW_TOKEN_ID_LEN],
                  const uint8_t secret[GW_TOKEN_SECRET_LEN], struct gw_mono now);
/* Nothing happens to one that is not held. */
void gw_token_clear(struct gw_discovery *discovery, struct gw_token *token);

/* ---- meet.c: punching without a session */
void gw_meet_init(struct gw_reach *reach, struct gw_mono now);
/* The attempt's time is over. */
void gw_meet_over(struct gw_reach *reach, struct gw_mono now);
/* Somebody wants the peer, time went on, or an anchor answered: does what is due. */
void gw_meet_step(struct gw_reach *reach, struct gw_mono now);
/* A session is there, or the peer is going. */
void gw_meet_end(struct gw_reach *reach);
void gw_meet_info(struct gw_reach *reach, const peergate_EndpointInfo *info, struct gw_mono now);
void gw_meet_initiate_input(struct gw_reach *reach, struct gw_anchor_use *use, uint32_t number,
                            const peergate_InitiatePunch *initiate, struct gw_mono now);
void gw_meet_probe(struct gw_reach *reach, struct gw_mono now, const struct gw_tuple *from,
                   const struct gw_probe *probe);
/* Checks that are due, as probes. */
void gw_meet_output(struct gw_reach *reach, struct gw_mono now);

/* Holds the token of the message, for the attempt under way. false: it is not a new one. */
bool gw_meet_take_token(struct gw_reach *reach, const peergate_InitiatePunch *initiate, struct gw_mono now);

/* May an attempt begin that INITIATE_PUNCH is about? number 0: it is not ours. */
bool gw_meet_may_begin(struct gw_reach *reach, uint32_t number, const peergate_InitiatePunch *initiate,
                       struct gw_mono now);
/* It was arranged for, and nothing came of it. */
void gw_meet_not_begun(struct gw_reach *reach, struct gw_mono now);

/* ---- meet_further.c */
/* Asks for that round, or answers. */
void gw_meet_arrange(struct gw_reach *reach, unsigned again, struct gw_mono now);
/* Instead of beginning what the other one asks for. */
void gw_meet_answer(struct gw_reach *reach, const struct gw_anchor_use *use,
                    const peergate_InitiatePunch *initiate, struct gw_mono now);
/* Begins a round, of an attempt without a session. */
void gw_meet_begun(struct gw_reach *reach, struct gw_mono start, unsigned again);
/* A round has led nowhere yet: is another kind worth it? */
void gw_meet_review(struct gw_reach *reach, struct gw_mono now);
void gw_meet_further_step(struct gw_reach *reach, struct gw_mono now);
/* A brief measuring is over. */
void gw_meet_measured(struct gw_reach *reach, struct gw_mono now, bool has_seen);
void gw_meet_further_end(struct gw_reach *reach);
/* true: it was about a further round. */
bool gw_meet_further_input(struct gw_reach *reach, const struct gw_anchor_use *use, uint32_t number,
                           const peergate_InitiatePunch *initiate, struct gw_mono now);

/* ---- direct.c */
void gw_direct_init(struct gw_direct *direct, struct gw_mono now);
void gw_direct_fini(struct gw_reach *reach);
void gw_direct_expire(struct gw_reach *reach, struct gw_mono now);
struct gw_mono gw_direct_next_deadline(const struct gw_reach *reach);
/* Attempts in a row; 0 = none at all. */
unsigned gw_direct_attempts_max(const struct gw_reach *reach);
/* The path or the session changed. */
void gw_direct_changed(struct gw_reach *reach, struct gw_mono now);
/* The session is gone, and with it what went on in it. */
void gw_direct_stop(struct gw_reach *reach);
/* Something goes to the peer by a relay. */
void gw_direct_used(struct gw_reach *reach, struct gw_mono now);
/* Our addresses changed, or one of us woke: what failed may succeed, and what is under way is begun anew, now or a second after it was begun. */
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
                        const uint8_t *nonce, size_t len, struct gw_tuple *path, int64_t *rtt_ns);

/* An anchor's answer to REQUEST_ENDPOINT. */
void gw_direct_info_input(struct gw_reach *reach, uint32_t number, const peergate_EndpointInfo *info,
                          struct gw_mono now);
/* A brief measuring is over (gw_measure_briefly): the result knows which port is next, if has_seen. */
void gw_reach_measured(struct gw_reach *reach, struct gw_mono now, bool has_seen);
/* Remembers the addresses as the peer's; true when one is new. */
bool gw_direct_take_addresses(struct gw_reach *reach, const peergate_Address *addresses, unsigned count,
                              struct gw_mono now);

/* ---- rounds.c: what the two NATs ask for */
void gw_round_tell(const struct gw_reach *reach, bool with_last, peergate_Nat *out);
void gw_round_told(struct gw_direct *direct, bool has_nat, const peergate_Nat *nat);
/* Must it be known first which port our NAT gives next? */
bool gw_round_wants_measure(const struct gw_reach *reach);
/* May another round lead further than the one under way? */
bool gw_round_helps(const struct gw_reach *reach);
/* Begins the round: plain, with the ports that follow, or with a search. */
void gw_round_begin(struct gw_reach *reach, struct gw_mono start, unsigned again);
/* The attempt is over: lets go what it held. */
void gw_round_end(struct gw_reach *reach);
/* REQUEST_ENDPOINT: gw_direct_info_input has the answer. */
void gw_round_ask_anchor(struct gw_reach *reach, const struct gw_anchor_use *use, struct gw_mono now);
/* Asks the nearest anchor where it sees the peer. */
void gw_round_ask_witness(struct gw_reach *reach, struct gw_mono now);

/* ---- observations.c */
void gw_observation_init(struct gw_observation *observation, struct gw_mono now);
/* The path or the session changed: the peer may have to be told. */
void gw_observation_changed(struct gw_reach *reach, struct gw_mono now);
/* From the peer. True when what is to be offered changed. */
bool gw_observation_input(struct gw_reach *reach, const peergate_Address *address, struct gw_mono now);
/* What two peers say alike; at most max. Returns how many. */
unsigned gw_observations_agreed(const struct gw_discovery *discovery, struct gw_addr *out, unsigned max);

/* ---- relay.c: the channels that we hold */
void gw_relay_channels_init(struct gw_reach *reach);
void gw_relay_channels_fini(struct gw_reach *reach, struct gw_mono now);
struct gw_relay_channel *gw_relay_channel_of(struct gw_reach *reach, const struct gw_anchor_use *use);
/* Takes the grant; the peer has a path by it from now on. false: no room, or it makes no sense. */
bool gw_relay_channel_set(struct gw_reach *reach, struct gw_anchor_use *use,
                          const peergate_ChannelGrant *grant, struct gw_mono now);
/* The anchor does not know it any more, or its time is over. keeps_path: another grant is asked for, and the path waits for it. */
void gw_relay_channel_end(struct gw_relay_channel *channel, struct gw_mono now, bool keeps_path);

/* The anchor said goodbye: what goes through it goes another way at once, where there is one; where there is none, the paths wait for new channels, which are asked for if
 * the peer is in use. */
void gw_relay_left(struct gw_anchor_use *use, struct gw_mono now);

/* ---- discovery.c */
/* Is it one of those that gw_discovery_set_addresses was given? */
bool gw_discovery_is_own(const struct gw_discovery *discovery, const struct gw_addr *addr);
/* Our own IPv4 address as far as we know it, port 0: the interface's that we offer first. All zeros but for the family: we have none. */
struct gw_addr gw_discovery_own_v4(const struct gw_discovery *discovery);
/* What we offer: our own addresses and the observed ones. Returns how many, at most GW_CANDIDATES_MAX. */
unsigned gw_discovery_offer(const struct gw_discovery *discovery, peergate_Address *out);
/* An anchor sees us at another address than before. */
void gw_discovery_observed(struct gw_discovery *discovery, struct gw_mono now);

#endif

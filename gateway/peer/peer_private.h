/* SPDX-License-Identifier: MIT */
/* What a peer is made of, and the functions its files owe each other. For gateway/peer and gateway/ only.
 *   peer.c     the object: birth, configuration, death, status     table.c    all peers of a gateway; allowedips.c: routing by prefix
 *   hello.c    who are you: HELLO on each key pair                 input.c    an opened packet -> who it is for
 *   output.c   what goes into the next train; output_packets.c: of IP packets      packet_room.c, mtu.c   how long those, and datagrams, may be
 *   frag.c     an IP packet in two parts                           flows.c    the mux and the pair of instances it belongs to
 *   alias.c    its IPv4 address here, and as it has it itself      address.c  which addresses are its own
 *   queue.c    control messages, pings and IP packets that wait    message.c  CONTROL messages, encoded and decoded      probes.c   type 7
 *   endpoint.c where handshakes go and may come from               wake.c     ... after the machine slept or moved
 *   seal.c     which seal is used, and whether both agree          tell.c     the log's lines about the peer, bounded
 *   dismiss.c  the end, when one side may have no session any more, or is not there any more */
#ifndef GATEWAY_PEER_PEER_PRIVATE_H
#define GATEWAY_PEER_PEER_PRIVATE_H

#include "gateway/base/ratelimit.h"
#include "gateway/packet/queue.h"
#include "gateway/path/path.h"
#include "gateway/peer/host.h"
#include "gateway/peer/peer.h"

/* ---- hello.c */
#define GW_HELLO_TRIES 3u
struct gw_hello_state {
    struct gw_keypair *kp; /* the current key pair, which all below is about; NULL = none */
    uint8_t seq;           /* of our last HELLO on it; 0 = none sent */
    uint8_t acked;         /* highest of ours that the peer acknowledged */
    uint8_t eliciting_seq; /* of our last HELLO that asked for an answer */
    uint8_t peer_seq;      /* highest of the peer's */
    uint8_t tries;         /* eliciting ones without an answer */
    bool is_answer_due;
    bool was_second_sent;    /* with the first probe of the path's size */
    struct gw_mono retry_at; /* GW_NEVER = not waiting for an answer */
    uint64_t flows_floor;    /* counter from which the peer's flow frames belong to our mux */
    bool are_flows_bound;    /* the peer's HELLO on this key pair names our instance, or none yet */
};

/* ---- queue.c */
#define GW_PINGS_MAX 16u
#define GW_CONTROLS_MAX 16u
#define GW_CONTROL_LEN_MAX 1100u
struct gw_ping_slot {
    uint32_t id;
    bool is_used, is_sent;
    struct gw_mono sent;
};
struct gw_queued { /* a control message */
    struct gw_list node;
    bool is_answer;
    size_t len;
    uint8_t data[];
};
struct gw_peer_queues {
    struct gw_ping_slot pings[GW_PINGS_MAX];
    unsigned pings_waiting;  /* used and not sent */
    struct gw_ping pongs[4]; /* answers owed, oldest first */
    unsigned pong_count;
    struct gw_list controls; /* gw_queued */
    unsigned control_count;
    struct gw_packet_queue *packets; /* made with the first */
    uint64_t packets_refused;        /* longer than the path carries */
    bool is_packets_turn;            /* flows had the last train */
};

/* ---- frag.c: an IP packet longer than the path, in two parts */
#define GW_FRAGS_MAX 4u
#define GW_FRAG_LIFE_NS GW_S(1)
#define GW_FRAG_PART_MAX 1500u
struct gw_frag_half {
    uint32_t id;
    struct gw_mono arrived; /* GW_NEVER = free */
    bool is_second, is_partial;
    uint16_t len;
    uint8_t *data; /* GW_FRAG_PART_MAX bytes, made when first used */
};
struct gw_frags {
    uint32_t next_id;
    struct gw_frag_half halves[GW_FRAGS_MAX];
    /* Ours on its way out: the second part, to be sent right behind the first. */
    uint8_t *waiting;
    size_t waiting_len;
    uint32_t waiting_id;
    bool is_waiting_partial;
};

/* ---- alias.c */
struct gw_alias {
    bool is_on; /* the two differ */
    uint8_t local[4], remote[4];
};

/* ---- endpoint.c */
#define GW_PATH_RESPONSES_MAX 8u
struct gw_path_response {
    struct gw_tuple tuple;
    uint8_t challenge[GW_PATH_CHALLENGE_LEN];
};
#define GW_PEER_RELAYS_MAX 2u
struct gw_endpoints {
    unsigned next;                              /* of config.endpoints and relays, for the next initiation */
    unsigned attempts;                          /* initiations since the last handshake */
    struct gw_tuple relays[GW_PEER_RELAYS_MAX]; /* channels to the peer; to an anchor, carriers */
    unsigned relay_count;
    struct gw_tuple found;                  /* it answered a probe there */
    unsigned found_tries;                   /* initiations that still go there first */
    bool is_findable;                       /* there are anchors that may know where it is */
    struct gw_tuple sent_to[GW_INITIATORS]; /* where the last initiations went */
    unsigned sent_count;
    struct gw_tuple due[GW_INITIATORS]; /* the next ones go there, beside each other */
    unsigned due_count;
    unsigned unsent; /* initiations that could not leave since the last retry */
    bool is_instead; /* the next one is instead of such a one */
    bool is_refusal_logged;
    struct gw_tuple response_tuple; /* where our last response went */
};

/* ---- tell.c */
struct gw_peer_told {
    struct gw_bucket bucket;
    uint64_t left_out; /* lines since the last one */
};
void gw_peer_told_init(struct gw_peer_told *told, struct gw_mono now);

struct gw_lane_peer;

struct gw_peer {
    struct gw_map_node by_key; /* in host->peers, key = config.public_key */
    struct gw_list ready;      /* in host->ready */
    struct gw_list changed;    /* in host->changed, while there are lanes */
    struct gw_lane_peer *lane; /* the lanes' part of it, made by gateway/lanes.c; NULL without lanes */
    struct gw_peer_host *host;
    struct gw_peer_config config;
    struct gw_session *session;
    struct gw_paths paths;
    struct gw_endpoints endpoints;
    struct gw_hello_state hello;
    struct gw_peer_queues queues;
    struct gw_frags frags;
    struct gw_alias alias;
    struct gw_addr hello_ipv4; /* what its HELLO says it has; family 0 = none so far */
    enum gw_seal_conflict seal_conflict;
    bool demands_seal; /* the peer's last HELLO says so */
    struct gw_path_response path_responses[GW_PATH_RESPONSES_MAX];
    unsigned path_response_count;
    struct gw_deadline deadline; /* hello retries and path challenges */

    enum gw_peer_kind kind;
    unsigned hello_rounds_lost; /* key pairs on which no HELLO was answered */
    uint64_t instance;          /* ours, towards this peer: another one when its flows are forgotten */
    bool has_remote_instance;
    uint64_t remote_instance;
    uint64_t remote_capabilities;
    uint16_t remote_mtu;
    char hello_name[GW_HELLO_NAME_MAX + 1];

    struct gw_mux *mux;
    struct gw_mux_events mux_events; /* of the mux; ctx is this peer */
    bool has_mux_bound;         /* the mux belongs to remote_instance; else it waits for the first HELLO */
    bool is_doubted;            /* gw_peer_kick, and no path has answered since */
    uint8_t moves;              /* gw_peer_kick, counted; never 0 then */
    bool is_retry_due;          /* the peer may be there again: flows ask at the next safe point */
    bool is_unreachable_due;    /* the session failed: streams end at the next safe point */
    bool is_dismissed_due;      /* the peer has ended the session: so do we, at the next safe point */
    bool is_goodbye_due;        /* the same, since it ends itself */
    struct gw_mono shut_out_at; /* when it did the one; GW_NEVER = it has not, or there is a session again */
    struct gw_mono ended_at;    /* ... the other */
    struct gw_mono
        flows_over_at; /* key pairs of then and before carry flows no more; GW_NEVER = there are none such */
    size_t mux_max_plain, mux_overhead; /* as last told to the mux */
    uint64_t full_acked_seen;           /* gw_mux_full_acked, when last looked at */
    unsigned probes_seen;               /* gw_mux_unanswered_probes, when last looked at */
    struct gw_mono probes_since;        /* the first of them */
    struct gw_tuple mux_tuple;

    /* What the train under way brought, told to session and paths once. */
    struct {
        struct gw_keypair *kp;
        uint64_t bytes;
        bool is_data, is_highest;
    } received;
    int64_t ping_rtt_ns;
    uint64_t too_long; /* datagrams of flows that no packet of the path carries */
    struct gw_mono too_long_tell_at;
    struct gw_peer_told told;
    /* Its clock was told of since it last began a handshake that was taken: how many those were then; UINT64_MAX = never. */
    uint64_t clock_told_at;
    void *user;

    /* Owned by who is named; NULL = none. */
    int64_t anchor_keepalive_ns;            /* for an anchor, instead of the configured one; 0 = that */
    struct gw_anchor_use *anchor_use;       /* gateway/discovery: this peer is an anchor of ours */
    struct gw_reach *reach;                 /* gateway/discovery: how it is found through anchors */
    struct gw_anchor_client *anchor_client; /* gateway/anchor: this peer uses us as its anchor */
};

/* ---- peer.c */
int gw_peer_new(struct gw_peer **out, struct gw_peer_host *host, const struct gw_peer_config *config,
                struct gw_mono now);
int gw_peer_update(struct gw_peer *peer, const struct gw_peer_config *config, struct gw_mono now);
void gw_peer_free(struct gw_peer *peer, struct gw_mono now, enum gw_reason reason);
/* The peer may have something to send: gw_gateway_output will look. */
void gw_peer_mark_ready(struct gw_peer *peer);
/* Recomputes the peer's one deadline. */
void gw_peer_rearm(struct gw_peer *peer);
/* Persistent keepalive as the configuration says; but a peer that anchors can find, and that has no stream open, is not kept alive: it can be reached again at any time.
 * Nor is one that we are an anchor of: it keeps us alive, at its own pace. */
void gw_peer_keepalive_fit(struct gw_peer *peer, struct gw_mono now);
/* Anchors may know where it is, from now on or no longer. */
void gw_peer_set_findable(struct gw_peer *peer, struct gw_mono now, bool is_findable);
void gw_peer_report(struct gw_peer *peer, struct gw_mono now); /* on_peer */
int64_t gw_peer_rtt(const struct gw_peer *peer);               /* best known, 0 = unknown */
static inline bool gw_peer_is_stock(const struct gw_peer *peer)
{
    return peer->kind == GW_PEER_WIREGUARD || peer->config.hello == GW_HELLO_NEVER;
}
void gw_peer_init_session_events(struct gw_peer_host *host);

/* ---- seal.c */
/* The best suite that both offer on this very key pair and the configuration allows. */
enum gw_suite gw_peer_suite(const struct gw_peer *peer, const struct gw_keypair *kp);
/* What our HELLO lists. */
uint8_t gw_peer_advertised_suites(const struct gw_peer *peer);
/* May anything but HELLOs, path frames and keepalives be sealed with it? */
bool gw_peer_may_send_data(const struct gw_peer *peer, enum gw_suite suite);
/* After a HELLO, or a change of what this node wants: looks whether both agree. When they do not, flows end and the event is told. */
void gw_peer_seal_check(struct gw_peer *peer, struct gw_mono now);
/* The owner has changed `seal` or `hello`. */
void gw_peer_seal_changed(struct gw_peer *peer, struct gw_mono now);
/* The session is over: the next one may find the peer of another mind. */
void gw_peer_seal_forget(struct gw_peer *peer, struct gw_mono now);

/* ---- hello.c */
void gw_peer_hello_begin(struct gw_peer *peer, struct gw_keypair *kp, struct gw_mono now);
/* Returns whether it wants an answer. */
bool gw_peer_hello_input(struct gw_peer *peer, struct gw_keypair *kp, struct gw_view body, uint64_t counter,
                         struct gw_mono now);
/* A HELLO without an answer: three tries tell a stock peer. */
void gw_peer_hello_expire(struct gw_peer *peer, struct gw_mono now);
/* What it says has changed: another one, soon. */
void gw_peer_hello_again(struct gw_peer *peer);
/* Must a HELLO go in front of what is sent next? */
bool gw_peer_hello_is_due(const struct gw_peer *peer, struct gw_mono now);
/* Must each train still begin with one, because the peer has not acknowledged any on this key pair? */
bool gw_peer_hello_is_pending(const struct gw_peer *peer);
/* Writes the frame. */
void gw_peer_hello_output(struct gw_peer *peer, struct gw_writer *w, struct gw_mono now);
struct gw_mono gw_peer_hello_deadline(const struct gw_peer *peer);

/* ---- mtu.c */
/* The next probe of the current path's size: a PATH_CHALLENGE of these bytes in a datagram of *len; false: none is due. */
bool gw_peer_mtu_take_probe(struct gw_peer *peer, struct gw_mono now, uint16_t *len,
                            uint8_t nonce[GW_MTU_NONCE_LEN]);
/* A PATH_RESPONSE: false when it answers no such probe. */
bool gw_peer_mtu_answered(struct gw_peer *peer, struct gw_mono now, const uint8_t nonce[GW_MTU_NONCE_LEN]);
/* Data left in datagrams of len bytes. */
void gw_peer_mtu_sent(struct gw_peer *peer, struct gw_path *path, struct gw_mono now, uint16_t len);
/* Data stays unanswered: is it for its size? */
void gw_peer_mtu_doubt(struct gw_peer *peer);
/* The peer has a mux: did its acks show that full datagrams arrive? */
void gw_peer_mtu_flows_acked(struct gw_peer *peer);
/* The system refuses datagrams of this length on the path. */
void gw_peer_mtu_refused(struct gw_peer *peer, struct gw_path *path, struct gw_mono now, size_t len);
/* The network is another one. */
void gw_peer_mtu_look_again(struct gw_peer *peer, struct gw_mono now);
struct gw_mono gw_peer_mtu_deadline(struct gw_peer *peer);

/* ---- input.c */
void gw_peer_input(struct gw_peer *peer, struct gw_keypair *kp, struct gw_mono now,
                   const struct gw_train *train, size_t datagram_len, struct gw_view plain, uint64_t counter,
                   bool is_highest);
/* The train is over, or the next datagram is another peer's. */
void gw_peer_input_flush(struct gw_peer *peer, struct gw_mono now, const struct gw_train *train);

/* What lanes received, told together: as gw_peer_input and gw_peer_input_flush. */
void gw_peer_lane_received(struct gw_peer *peer, struct gw_keypair *kp, struct gw_mono now,
                           const struct gw_tuple *tuple, uint64_t bytes, bool is_data, bool is_highest);

/* ---- output.c */
bool gw_peer_output(struct gw_peer *peer, struct gw_mono now, struct gw_train *train);
/* Seals frames_len bytes of frames, which lie at slab[17..], as the train's only datagram, to an address of its own. asks: it wants an answer. */
bool gw_peer_output_single(struct gw_peer *peer, struct gw_keypair *kp, struct gw_mono now,
                           struct gw_train *train, const struct gw_tuple *tuple, size_t frames_len,
                           bool asks);
/* May a packet of its whole length go there now? An unproven path is given no more than three times what came from it. */
bool gw_peer_path_takes_data(const struct gw_path *path);
/* What lanes sent; longest: of the datagrams. kp: NULL when it is gone. */
void gw_peer_lane_sent(struct gw_peer *peer, struct gw_keypair *kp, struct gw_mono now, uint64_t bytes,
                       uint16_t longest);

/* ---- packet_room.c */
/* Is what ICMP says of the path's size all that is known of it? As a train's heeds_icmp. */
bool gw_peer_heeds_icmp(const struct gw_peer *peer, const struct gw_path *path);
/* May lanes send IP packets, with which key pair and seal, and how long datagrams? false: the engine has to. */
bool gw_peer_lane_way(struct gw_peer *peer, struct gw_mono now, struct gw_keypair **kp, enum gw_suite *suite,
                      size_t *cap);
/* The path to a peer that answers no probes does not take datagrams of this length: shorter ones, for a while. */
void gw_peer_path_refused(struct gw_peer *peer, struct gw_path *path, size_t len, struct gw_mono now);

/* ---- flows.c */
/* The mux, made when there is none; NULL without memory. */
struct gw_mux *gw_peer_flows(struct gw_peer *peer, struct gw_mono now);
/* The flows begin anew: whatever the peer remembers of them is over. */
void gw_peer_new_instance(struct gw_peer *peer);
/* A HELLO told the peer's instance: flows with another one are over. */
void gw_peer_flows_bind(struct gw_peer *peer, uint64_t instance, struct gw_mono now);
void gw_peer_flows_end(struct gw_peer *peer, struct gw_mono now, enum gw_reason reason);
/* The same, told to the peer by what goes out next; gw_peer_free follows. */
void gw_peer_flows_end_both(struct gw_peer *peer, struct gw_mono now, enum gw_reason reason);
/* If the peer has acknowledged what was never sent: they end with PROTOCOL, and begin anew on new keys, with another instance. */
void gw_peer_flows_mend(struct gw_peer *peer, struct gw_mono now);
/* Is the key pair one that flows may go by? */
bool gw_peer_flows_may_use(const struct gw_peer *peer, const struct gw_keypair *kp);
/* Looks at how long nothing of ours was acknowledged, and draws the conclusions. */
void gw_peer_flows_doubt(struct gw_peer *peer, struct gw_mono now);
/* If is_retry_due: what waits for an answer asks again. */
void gw_peer_flows_try_again(struct gw_peer *peer, struct gw_mono now);
/* Tells the mux what the path carries under this suite, if that changed. */
void gw_peer_flows_fit(struct gw_peer *peer, struct gw_mono now, const struct gw_path *path,
                       enum gw_suite suite);
/* May flows be sent now (the peer is one of ours, or surely will be)? */
bool gw_peer_flows_may_send(const struct gw_peer *peer);

/* ---- dismiss.c */
/* The last datagram to a peer that may have no session with this node any more; gw_peer_free follows. false: nobody is there who would understand it. */
bool gw_peer_dismiss(struct gw_peer *peer, struct gw_mono now, struct gw_train *train);
/* The same of a node that ends; only to who is there as far as is known. */
bool gw_peer_say_goodbye(struct gw_peer *peer, struct gw_mono now, struct gw_train *train);
/* GW_FRAME_DISMISS or GW_FRAME_GOODBYE came, on this key pair. */
void gw_peer_last_word_input(struct gw_peer *peer, const struct gw_keypair *kp, enum gw_frame_type word);
/* If is_dismissed_due or is_goodbye_due: the session is over. */
void gw_peer_heed_last_word(struct gw_peer *peer, struct gw_mono now);
/* The last session ended so; and that was a moment ago. */
bool gw_peer_is_shut_out(const struct gw_peer *peer);
bool gw_peer_was_just_shut_out(const struct gw_peer *peer, struct gw_mono now);
/* It said goodbye, and there was no session since. */
bool gw_peer_has_ended(const struct gw_peer *peer);

/* ---- queue.c */
void gw_peer_queues_init(struct gw_peer_queues *queues);
void gw_peer_queues_fini(struct gw_peer_queues *queues);
void gw_peer_queues_drop_packets(struct gw_peer_queues *queues);
/* Everything that waits, and the answers that are waited for. */
void gw_peer_queues_clear(struct gw_peer_queues *queues);
bool gw_peer_queues_have_frames(const struct gw_peer_queues *queues);
/* Does any of them want an answer? */
bool gw_peer_queues_ask(const struct gw_peer_queues *queues);
/* As gw_peer_send_control. is_answer: gw_message_is_answer. */
int gw_peer_queue_control(struct gw_peer *peer, struct gw_mono now, const void *body, size_t len,
                          bool is_answer);
/* Writes what fits: pongs, pings, control messages. */
void gw_peer_queues_output(struct gw_peer *peer, struct gw_writer *w, struct gw_mono now);
void gw_peer_ping_input(struct gw_peer *peer, const struct gw_ping *ping, struct gw_mono now);
bool gw_peer_queues_have_packets(const struct gw_peer_queues *queues);

/* ---- frag.c */
void gw_peer_frags_fini(struct gw_peer *peer);
/* May packets to this peer be cut in two? */
bool gw_peer_can_frag(const struct gw_peer *peer);
/* The longest part when a packet of frames has `room` bytes. */
size_t gw_peer_frag_room(size_t room);
/* Splits a packet of len bytes, which lies at `packet`, so that the first part's frame is written to w; the second waits. */
bool gw_peer_frag_first(struct gw_peer *peer, struct gw_writer *w, const uint8_t *packet, size_t len,
                        bool is_partial);
/* Writes the part that waits; false when none does. */
bool gw_peer_frag_second(struct gw_peer *peer, struct gw_writer *w);
/* A FRAG frame: the whole packet in *packet when both parts are there (valid until the next call), else false. */
bool gw_peer_frag_input(struct gw_peer *peer, struct gw_mono now, struct gw_view body, struct gw_view *packet,
                        bool *is_partial);

/* ---- alias.c */
/* The configuration is there, or another one. */
void gw_peer_alias_configured(struct gw_peer *peer);
void gw_peer_alias_told(struct gw_peer *peer, const struct gw_hello *hello);
/* Is anything rewritten? peer->alias says what of the peer's; *own is our address on the wire and *own_here the one on this machine, NULL when they are the same. */
bool gw_peer_alias_rules(const struct gw_peer *peer, const uint8_t **own_here, const uint8_t **own);
/* A packet on its way to the peer; one from it, before its source is looked at. is_checksum_left: as for gw_ip_rewrite. */
void gw_peer_alias_out(const struct gw_peer *peer, uint8_t *packet, const struct gw_ip *ip,
                       bool is_checksum_left);
void gw_peer_alias_in(const struct gw_peer *peer, uint8_t *packet, const struct gw_ip *ip,
                      bool is_checksum_left);

/* ---- endpoint.c */
/* Where the next initiation goes; false: no address is known. */
bool gw_peer_endpoint_next(struct gw_peer *peer, struct gw_mono now, struct gw_tuple *out);
/* An address is known, or one may be found. */
bool gw_peer_has_endpoint(const struct gw_peer *peer);
/* An address is known that an initiation may go to now. */
bool gw_peer_has_address(const struct gw_peer *peer);
/* It answered a probe (type 7) there: the next initiations go there, at once if we are the one that asked. */
void gw_peer_found(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *tuple, int64_t rtt_ns,
                   bool is_asker);
/* It was there before we were started: gw_gateway_call. */
void gw_peer_call(struct gw_peer *peer, struct gw_mono now, const struct gw_addr *place);
/* A channel of a relay leads to the peer. */
void gw_peer_add_relay(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *tuple);
/* Each of the channels may become a path, now that there is a session, or a relay answers again. Without a session nothing happens. */
void gw_peer_try_relays(struct gw_peer *peer, struct gw_mono now);
/* Data came by a relay's channel. */
void gw_peer_relay_data(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *tuple);
/* A TLS connection leads to the peer. */
void gw_peer_add_carrier(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *tuple);
/* The channel or the connection is no more. */
void gw_peer_remove_place(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *tuple);
/* max(3 RTT, 300 ms), 3 s at most: so long nothing came from where something should have. */
int64_t gw_peer_silence(const struct gw_peer *peer);
/* An answer to our initiation does not open: says so, once until one does. */
void gw_peer_answer_refused(struct gw_peer *peer, struct gw_mono now);
/* The peer's initiation was refused as a replay (gw_session_consume_initiation): when its clock seems to be the reason, says so and tells the event, once
 * until one is taken again. */
void gw_peer_initiation_refused(struct gw_peer *peer, struct gw_mono now);
void gw_peer_handshake_answered(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *tuple);
/* How many of config.endpoints may be used. */
unsigned gw_peer_usable_endpoints(const struct gw_peer *peer);
void gw_peer_paths_received(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *tuple,
                            uint64_t bytes, bool is_highest, bool proves_round_trip);
void gw_peer_challenge_input(struct gw_peer *peer, const struct gw_tuple *tuple, struct gw_view body);
/* Data (flows, IP packets) does not pass there: a relay, and the owner wants a direct path only. */
bool gw_peer_holds_data(const struct gw_peer *peer, const struct gw_tuple *tuple);
void gw_peer_path_changed(struct gw_peer *peer, struct gw_mono now);
/* After that: data on the one before brought nothing back. If that is a relay's, is the relay still there? */
void gw_peer_path_left(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *old);

/* ---- wake.c */
/* The next initiations go there, before all other places. */
void gw_peer_due_add(struct gw_peer *peer, const struct gw_tuple *tuple);
void gw_peer_due_remove(struct gw_peer *peer, const struct gw_tuple *tuple);
/* The first of them, and another initiation beside it if there are more. */
bool gw_peer_due_take(struct gw_peer *peer, struct gw_mono now, struct gw_tuple *out);
/* The initiations stayed unanswered: to all places again, if streams wait. */
void gw_peer_due_again(struct gw_peer *peer);
/* Nothing can be sent where the last one was to go (the machine has no way there): another place has its turn. */
void gw_peer_initiation_unsent(struct gw_peer *peer, struct gw_mono now);
/* A path answered. */
void gw_peer_proven(struct gw_peer *peer, struct gw_mono now);
/* The relay is proven again after gw_peer_kick, so its channel may be asked. */
void gw_peer_relay_works(struct gw_peer *peer, struct gw_mono now, const struct gw_tuple *tuple);
/* Our addresses changed, or time passed that we know nothing of: handshakes that wait are due, and where the peer can be reached is asked anew. */
void gw_peer_kick(struct gw_peer *peer, struct gw_mono now);

/* ---- table.c */
struct gw_peer *gw_peer_by_key(const struct gw_peer_host *host, const uint8_t public_key[GW_KEY_LEN]);
struct gw_peer *gw_peer_by_address(const struct gw_peer_host *host, const struct gw_addr *ip);
/* Builds the prefix table anew from all peers' allowed_ips. 0, GW_E_NOMEM, GW_E_INVAL. */
int gw_peer_route_all(struct gw_peer_host *host);
/* The same where all that is new is this peer, the last; after an error it is in there in part. */
int gw_peer_route_added(struct gw_peer *peer);
bool gw_peer_allows_source(const struct gw_peer *peer, const struct gw_addr *ip);

#endif

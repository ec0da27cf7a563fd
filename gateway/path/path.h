/* SPDX-License-Identifier: MIT */
/* The paths to one peer: which addresses may we send to, and which one do we? A path is (link, local address, remote address), or a relay channel.
 * Ours: receiving never moves sending - a packet from an unknown place makes a candidate that must answer a PATH_CHALLENGE, and until it
 * does it gets at most three times the bytes it brought (RFC 9000, section 8). Of those that answered, the one with the shortest round trip is
 * used, with hysteresis; one that stops answering is left. A carrier (TLS) is used only while nothing else works. Stock WireGuard peers roam by its rule: the source of
 * the newest authenticated packet is where we send. Knows nothing of keys and frames; docs/PROTOCOL.md "Paths". */
#ifndef GATEWAY_PATH_PATH_H
#define GATEWAY_PATH_PATH_H

#include "gateway/base/mono.h"
#include "gateway/base/random.h"
#include "gateway/path/mtu.h"
#include "gateway/wire/train.h"

#define GW_PATHS_MAX 8u
#define GW_PATH_CHALLENGE_LEN 8u
#define GW_PATH_CHALLENGE_TRIES 4u    /* of a candidate */
#define GW_PATH_PROBE_TRIES 3u        /* of a path that answered before */
#define GW_PATH_URGENT_TRIES 6u       /* ... that may be needed at once */
#define GW_PATH_SILENCE_NS GW_MS(300) /* or 3 RTT: the current path has gone quiet */
#define GW_PATH_AMPLIFICATION 3u
#define GW_PAYLOAD_START 1200u /* UDP payload that every path is trusted to carry */
#define GW_PATH_RELAY_OVERHEAD 16u
#define GW_PATH_RELAY_PENALTY_NS GW_MS(10)
#define GW_PATH_V6_BONUS_NS GW_MS(3)
#define GW_PATH_GAIN_NS GW_MS(5) /* what a switch must gain, or: */
#define GW_PATH_GAIN_PART 5      /* a fifth, if that is at least: */
#define GW_PATH_GAIN_LEAST_NS GW_MS(1)
#define GW_PATH_SWITCH_SPACING_NS GW_S(1) /* between two switches for a shorter round trip */
#define GW_PATH_ALIKE_NS GW_S(2)          /* round trips measured further apart are not compared */
#define GW_PATH_REFRESH_NS GW_S(15)       /* while data flows, the other paths are asked so often */
#define GW_PATH_QUIET_NS GW_S(1)          /* data came by a relay, then nothing: is it still there? */

struct gw_path {
    struct gw_tuple tuple;
    bool is_validated;
    bool is_doubted; /* it answered, but before our own side changed; another one that answers comes first */
    uint8_t moves;   /* the number of the peer's last move that it told from there */
    uint8_t challenge[GW_PATH_CHALLENGE_LEN];
    uint8_t challenge_tries;     /* sent so far in this series */
    uint8_t urgent_tries;        /* data waits for the series' outcome: it has so many; 0: none waits */
    bool was_late;               /* its verdict was put off, since we were late ourselves */
    struct gw_mono challenge_at; /* when the next one is due, or the verdict; GW_NEVER = none */
    struct gw_mono challenge_began, challenge_sent;
    struct gw_mono first_received, last_received, last_sent;
    struct gw_mono awaiting;             /* data went out and nothing has come in since; GW_NEVER */
    struct gw_mono doubt_at;             /* a relay's: when it is to be asked whether it is there; GW_NEVER */
    struct gw_mono probed;               /* the last series */
    struct gw_mono answered;             /* the last time; GW_NEVER */
    uint64_t bytes_received, bytes_sent; /* datagrams; for the amplification limit and status */
    uint64_t proven_received, proven_sent; /* of these, until it was lost: they count for no limit */
    int64_t rtt_ns;                        /* of challenges; 0 unknown */
    struct gw_mtu mtu;   /* how large datagrams may be; a relay's frame header is not in it */
    uint16_t narrow_len; /* where nobody tells what arrives: what was not refused; 0 = the link's own size */
    struct gw_mono rtt_at; /* when it was measured last; GW_NEVER: never, or rtt_ns is only a limit */
    struct gw_mono proven; /* since when it answers; of no meaning before it is validated */
    struct gw_mono narrow_until;
};

enum gw_path_policy {
    GW_PATH_AUTO,   /* what is best */
    GW_PATH_DIRECT, /* a relay is only for finding the direct way: any direct path is better (gateway/peer lets no data onto the relay) */
    GW_PATH_RELAY   /* there are no direct paths */
};

extern const char *const gw_path_policy_names[3]; /* as in config.yaml */

struct gw_paths {
    enum gw_path_policy policy;
    struct gw_path list[GW_PATHS_MAX];
    unsigned count;
    int current; /* index, -1 = none */
    struct gw_mono switched;
    uint8_t moves; /* the number that the peer gave its last move */
};

void gw_paths_init(struct gw_paths *paths);
/* Paths that it rules out are forgotten. Returns true when the path to send on changed. */
bool gw_paths_set_policy(struct gw_paths *paths, struct gw_mono now, enum gw_path_policy policy);
/* May there be such a path? */
static inline bool gw_paths_allow(const struct gw_paths *paths, const struct gw_tuple *tuple)
{
    return paths->policy != GW_PATH_RELAY || gw_tuple_is_relay(tuple);
}
/* Our own address may be another one, or the network forgot us: each has to answer anew, and until the current one has, the first other one that does takes its place. but: not that one; NULL. */
void gw_paths_doubt(struct gw_paths *paths, const struct gw_path *but);
/* Has none answered since? */
bool gw_paths_are_doubted(const struct gw_paths *paths);
/* The peer says, from there, that it may be somewhere else than it was (number: another one each time): what is known of all other places is doubted, and the current
 * one asked. Returns true when the path to send on changed. */
bool gw_paths_peer_moved(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *from,
                         uint8_t number, struct gw_random *random);
struct gw_path *gw_paths_current(struct gw_paths *paths); /* NULL when none */
struct gw_path *gw_paths_find(struct gw_paths *paths, const struct gw_tuple *tuple);
/* Is there another one that may be sent to without limit? */
bool gw_paths_have_other(const struct gw_paths *paths);

enum gw_path_rule { GW_PATH_RULE_CHALLENGE, GW_PATH_RULE_WIREGUARD };

/* Authenticated datagrams came over `tuple`. is_highest: one of them had the highest counter so far, so nobody replayed them late from elsewhere.
 * proves_round_trip: the packet shows that the peer got something we sent there (a handshake response, the first packet on a key pair whose
 * handshake message went there). silence_ns: max(3 RTT, 300 ms). Returns true when the path to send on changed. */
bool gw_paths_received(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple,
                       uint64_t bytes, bool is_highest, bool proves_round_trip, enum gw_path_rule rule,
                       int64_t silence_ns, struct gw_random *random);

/* A PATH_RESPONSE came in, from there. Returns true when the path to send on changed. */
bool gw_paths_answered(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *from,
                       const uint8_t challenge[GW_PATH_CHALLENGE_LEN], struct gw_random *random);
/* A relay's channel that leads to the peer: a candidate, asked at once. That the other end of it is the peer is the relay's word only, but no third party is there. */
void gw_paths_add_relay(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple,
                        struct gw_random *random);
/* The anchor that its channel goes through answers at our new place, and where the peer is has not changed: what answered before works again. Returns true when the path to send on changed. */
bool gw_paths_relay_works(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple);
/* The peer may be there: somebody whom we trust in this said so, or it was there before our own address changed. It is asked (a few small packets),
 * and becomes a path if it answers. tuple: without a local address. */
void gw_paths_ask(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple,
                  struct gw_random *random);
/* A check outside of the paths (gateway/punch) proved the round trip. Returns true when the path to send on changed. */
bool gw_paths_add_proven(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple,
                         int64_t rtt_ns, struct gw_random *random);
/* The peer asks there (PATH_CHALLENGE), so it may be about to use it: one that had failed is asked, too. */
void gw_paths_asked(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple,
                    struct gw_random *random);
/* It may be one: it is asked (PATH_CHALLENGE), and so is the current one, which may have failed. Nothing happens when it is there already. */
void gw_paths_add_candidate(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple,
                            struct gw_random *random);
/* It is no more (a relay channel that ended). Returns true when the path to send on changed. */
bool gw_paths_remove(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple);

/* Asks the path whether it still works and how long the round trip is, unless that is being asked already. */
void gw_path_probe(struct gw_path *path, struct gw_mono now, struct gw_random *random);
/* The same, and its challenges, or those that are still to come, follow each other closely, however long the round trip: data waits for it. */
void gw_path_probe_urgently(struct gw_path *path, struct gw_mono now, struct gw_random *random);
/* What time brings: the current path is asked when data on it stays unanswered for half of silence_ns and another one is there, and soon after that so are the others; those that do
 * not answer are no longer validated. Returns true when the path to send on changed. */
bool gw_paths_expire(struct gw_paths *paths, struct gw_mono now, int64_t silence_ns,
                     struct gw_random *random);

enum gw_path_doubt {
    GW_PATH_NO_DOUBT,
    GW_PATH_QUIET,     /* data came, and then nothing for GW_PATH_QUIET_NS */
    GW_PATH_UNANSWERED /* data went out, and nothing came for silence_ns */
};
/* Is the relay that the current path goes through still there? Told once for each silence. (Who only receives gets no answers to miss, and hears of a relay's
 * end by nothing but quiet.) */
enum gw_path_doubt gw_paths_doubt_relay(struct gw_paths *paths, struct gw_mono now, int64_t silence_ns);

/* Is a challenge of this path due? Counts the try and arms the next one. */
bool gw_path_take_challenge(struct gw_path *path, struct gw_mono now);
/* The path whose challenge is due, or NULL; counts the try and arms the next one. */
struct gw_path *gw_paths_take_challenge(struct gw_paths *paths, struct gw_mono now);
/* When gw_paths_expire or gw_paths_take_challenge has something to do. */
struct gw_mono gw_paths_next_deadline(const struct gw_paths *paths, int64_t silence_ns);

/* Bytes that may be sent there now (UINT64_MAX when validated, and over a carrier, whose far end made the connection or took it). */
uint64_t gw_path_allowance(const struct gw_path *path);
void gw_path_sent(struct gw_path *path, struct gw_mono now, uint64_t bytes);
/* Of what was sent, something wants an answer: data, not a keepalive. */
void gw_path_sent_data(struct gw_path *path, struct gw_mono now);
/* Of what came, something was data. */
void gw_path_received_data(struct gw_path *path, struct gw_mono now);
/* Something came over it that is no packet of the session, but surely the peer's: others' frames that it relays, or has relayed. */
static inline void gw_path_heard(struct gw_path *path, struct gw_mono now)
{
    path->last_received = now;
    path->awaiting = GW_NEVER;
}
/* The payload that a path of this kind is trusted to carry from the start. */
static inline uint16_t gw_path_start(const struct gw_tuple *tuple)
{
    return (uint16_t)(GW_PAYLOAD_START - (gw_tuple_is_relay(tuple) ? GW_PATH_RELAY_OVERHEAD : 0));
}

#endif

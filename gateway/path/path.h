/* SPDX-License-Identifier: MIT */
/* The paths to one peer: which addresses may we send to, and which one do we? A path is (link, local address, remote address).
 * Ours: receiving never moves sending - a packet from an unknown place makes a candidate that must answer a PATH_CHALLENGE, and until it
 * does it gets at most three times the bytes it brought (RFC 9000, section 8). Stock WireGuard peers roam by its rule: the source of
 * the newest authenticated packet is where we send. Knows nothing of keys and frames; docs/PROTOCOL.md "Paths". */
#ifndef GATEWAY_PATH_PATH_H
#define GATEWAY_PATH_PATH_H

#include "gateway/base/mono.h"
#include "gateway/base/random.h"
#include "gateway/wire/train.h"

#define GW_PATHS_MAX 8u
#define GW_PATH_CHALLENGE_LEN 8u
#define GW_PATH_CHALLENGE_TRIES 4u
#define GW_PATH_SILENCE_NS GW_MS(300) /* or 3 RTT: the current path has gone quiet */
#define GW_PATH_AMPLIFICATION 3u
#define GW_PAYLOAD_START 1200u /* UDP payload that every path is trusted to carry */

struct gw_path {
    struct gw_tuple tuple;
    bool is_validated;
    uint8_t challenge[GW_PATH_CHALLENGE_LEN];
    uint8_t challenge_tries;     /* sent so far */
    struct gw_mono challenge_at; /* when the next one is due; GW_NEVER = none */
    struct gw_mono challenge_sent;
    struct gw_mono first_received, last_received, last_sent;
    uint64_t bytes_received, bytes_sent; /* datagrams; for the amplification limit and status */
    int64_t rtt_ns;                      /* of the challenge; 0 unknown */
    uint16_t payload_len;                /* largest UDP payload known to arrive */
    uint16_t narrow_len; /* where nobody tells what arrives: what was not refused; 0 = the link's own size */
    struct gw_mono narrow_until;
};

struct gw_paths {
    struct gw_path list[GW_PATHS_MAX];
    unsigned count;
    int current; /* index, -1 = none */
};

void gw_paths_init(struct gw_paths *paths);
/* Forgets all. */
void gw_paths_clear(struct gw_paths *paths);
struct gw_path *gw_paths_current(struct gw_paths *paths); /* NULL when none */
struct gw_path *gw_paths_find(struct gw_paths *paths, const struct gw_tuple *tuple);

enum gw_path_rule { GW_PATH_RULE_CHALLENGE, GW_PATH_RULE_WIREGUARD };

/* Authenticated datagrams came over `tuple`. is_highest: one of them had the highest counter so far, so nobody replayed them late from elsewhere.
 * proves_round_trip: the packet shows that the peer got something we sent there (a handshake response, the first packet on a key pair whose
 * handshake message went there). silence_ns: max(3 RTT, 300 ms). Returns true when the path to send on changed. */
bool gw_paths_received(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple,
                       uint64_t bytes, bool is_highest, bool proves_round_trip, enum gw_path_rule rule,
                       int64_t silence_ns, struct gw_random *random);

/* A PATH_RESPONSE came in. Returns true when the path to send on changed. */
bool gw_paths_answered(struct gw_paths *paths, struct gw_mono now,
                       const uint8_t challenge[GW_PATH_CHALLENGE_LEN]);

/* The candidate whose challenge is due, or NULL; counts the try and arms the next one. */
struct gw_path *gw_paths_take_challenge(struct gw_paths *paths, struct gw_mono now);
/* When the next challenge is due. */
struct gw_mono gw_paths_next_deadline(const struct gw_paths *paths);

/* Bytes that may be sent there now (UINT64_MAX when validated). */
uint64_t gw_path_allowance(const struct gw_path *path);
void gw_path_sent(struct gw_path *path, struct gw_mono now, uint64_t bytes);

#endif

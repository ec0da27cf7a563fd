/* SPDX-License-Identifier: MIT */
/* Two nodes with a session each, in virtual time, and a wire between them that keeps a record and loses what a test says. Does what
 * the gateway does: asks what the session wants after each input and expiry, and sends it. */
#ifndef TESTS_UNIT_SESSION_PAIR_H
#define TESTS_UNIT_SESSION_PAIR_H

#include "gateway/session/session.h"

#define PAIR_FLIGHTS 4096u
#define PAIR_DATAGRAM_MAX 256u

enum { A, B };

/* Types of messages. */
#define INITIATION 1u
#define RESPONSE 2u
#define DATA 4u

struct pair;
struct stock;

struct pair_wallclock {
    struct gw_wallclock clock;
    struct pair *pair;
    int64_t offset_s; /* how wrong this node's clock is */
};

struct pair_node {
    unsigned id;
    struct pair *pair;
    struct gw_deadlines deadlines;
    struct gw_random_seeded random;
    struct pair_wallclock wallclock;
    struct gw_session_local local;
    struct gw_session_events events;
    struct gw_session_params params;
    struct gw_session *session; /* with the other node; NULL: none */
    struct stock *stock;        /* instead of a session, see stock.h */
    enum gw_suite suite;        /* to seal with */
    bool is_mute;               /* does not do what the session wants */

    unsigned waiting; /* packets until there is a key */
    unsigned data_received, keepalives_received;
    unsigned refused[4]; /* messages by type that were refused, with the last error */
    int last_error;
    unsigned keypairs_made, keypairs_gone, wants_told;
    enum gw_session_state states[64]; /* as they came */
    unsigned state_count;
};

/* A datagram sent. */
struct pair_flight {
    struct gw_mono sent, arrives;
    unsigned from;
    bool is_lost, has_arrived;
    uint8_t type;
    size_t len;
    uint8_t bytes[PAIR_DATAGRAM_MAX];
};

typedef bool pair_lose_fn(const struct pair *pair, const struct pair_flight *flight);

struct pair {
    struct pair_node nodes[2];
    struct gw_mono now;
    int64_t wall_offset_s; /* wall time = virtual time + this */
    int64_t delay_ns;      /* one way */
    int64_t jitter_ns;     /* up to so much more, from a seed: datagrams overtake each other */
    struct gw_random_seeded jitter;
    pair_lose_fn *lose; /* NULL: nothing is lost */
    uint64_t loss_mask; /* for lose_by_mask: bit i loses flight i */
    struct pair_flight *flights;
    unsigned flight_count;
};

/* Node A has the lower public key. 10 ms one way; no PSK, no persistent keepalive. */
struct pair *pair_new(uint64_t seed);
/* Makes the sessions, from nodes[].params. pair_free also works without. */
void pair_connect(struct pair *pair);
void pair_free(struct pair *pair);
/* pair_new and pair_connect: A initiated, B answered, one packet went each way; `now` is the key pair's birth at A + 20 ms. */
struct pair *pair_establish(int64_t persistent_a_ns, int64_t persistent_b_ns);
/* A node forgets everything but its key, as by a crash. */
void pair_restart(struct pair *pair, unsigned id);

/* Runs until `until`, events in order. */
void pair_run(struct pair *pair, struct gw_mono until);
void pair_run_for(struct pair *pair, int64_t ns);
/* Time passes, but nobody is awake: flights in the air are lost, deadlines wait. */
void pair_sleep(struct pair *pair, int64_t ns);

/* One packet of data; waits in the node if there is no key. */
void pair_send(struct pair *pair, unsigned from);
/* An initiation, without being asked for. */
int pair_initiate(struct pair *pair, unsigned from);
/* Does what the session of a node wants. */
void pair_serve(struct pair *pair, unsigned id);
/* Hands a datagram over, as if it had arrived now. */
int pair_deliver(struct pair *pair, unsigned to, const void *bytes, size_t len);

struct gw_keypair *pair_key(struct pair *pair, unsigned id); /* to send with now, or NULL */
enum gw_session_state pair_state(const struct pair *pair, unsigned id);
struct gw_session_stats pair_stats(const struct pair *pair, unsigned id);
/* Both send with the same key pair. */
bool pair_agrees(struct pair *pair);
/* Flights of a type from a node (2: from both); the n-th (from 0), or NULL. */
unsigned pair_count(const struct pair *pair, unsigned from, uint8_t type);
const struct pair_flight *pair_flight(const struct pair *pair, unsigned from, uint8_t type, unsigned n);
/* When that one was sent; it must be there. */
struct gw_mono pair_sent_at(const struct pair *pair, unsigned from, uint8_t type, unsigned n);
/* Of A's newest key pair. */
struct gw_mono pair_born(const struct pair *pair);

bool lose_all(const struct pair *pair, const struct pair_flight *flight);
bool lose_by_mask(const struct pair *pair, const struct pair_flight *flight);

#endif

/* SPDX-License-Identifier: MIT */
/* A session: all the keys we share with one remote static key, from the first handshake to the last rekey, and the
 * timers that drive them (WireGuard paper 5 and 6; docs/PROTOCOL.md "Sessions"). It answers one question: with which
 * key do I speak to this peer now, and what must be said to keep one? It knows no addresses and sends nothing: it says what it
 * wants (gw_session_wants) and makes messages when asked. noise.c makes and consumes the messages, cookie.c holds the macs,
 * timers.c the clock rules, keypair.c the sealing. */
#ifndef GATEWAY_SESSION_SESSION_H
#define GATEWAY_SESSION_SESSION_H

#include "gateway/base/deadline.h"
#include "gateway/base/map.h"
#include "gateway/base/mono.h"
#include "gateway/base/random.h"
#include "gateway/session/cookie.h"
#include "gateway/session/crypto.h"
#include "gateway/session/keypair.h"
#include "gateway/session/noise.h"
#include "gateway/session/tai64n.h"

#define GW_PSK_MAX 4
#define GW_INITIATORS 3 /* the last 3 initiations stay answerable */

/* The wall clock, as a door like randomness: read only for TAI64N. */
struct gw_wallclock {
    struct gw_wall (*read)(struct gw_wallclock *self);
};

/* Who else uses the key pairs: the lanes. Every key pair that is made while there is one is shared (gw_keypair_share) before anybody knows its index. */
struct gw_keypair_keeper {
    void (*on_new)(struct gw_keypair *kp, void *ctx);
    /* Out of every table of the engine's: the keeper's from now on, who ends with gw_keypair_free. */
    void (*on_gone)(struct gw_keypair *kp, void *ctx);
    void *ctx;
};

/* Our side, one for each gateway: static key, tables, what all sessions share. */
struct gw_session_local {
    const struct gw_crypto *crypto;
    struct gw_random *random;
    struct gw_wallclock *wallclock;
    struct gw_deadlines *deadlines;
    uint8_t secret[GW_KEY_LEN], public_key[GW_KEY_LEN];
    struct gw_map keypairs;   /* local_index -> gw_keypair */
    struct gw_map handshakes; /* local_index -> gw_noise_initiator; no index is in both */
    struct gw_map sessions;   /* remote public key -> gw_session */
    struct gw_cookie_checker cookies;
    struct gw_tai64n_clock tai64n;
    uint8_t suites;                         /* GW_SUITE_BITs that we can open and advertise */
    const struct gw_keypair_keeper *keeper; /* NULL: the engine is alone with them */
};

/* All pointers are borrowed for life; secret is copied. 0, or GW_E_INVAL when the key is refused (all zeros). The timestamps start
 * at the wall clock: call gw_tai64n_set_floor(&local->tai64n, saved lease) before the first initiation. */
int gw_session_local_init(struct gw_session_local *local, const struct gw_crypto *crypto,
                          struct gw_random *random, struct gw_wallclock *wallclock,
                          struct gw_deadlines *deadlines, const uint8_t secret[GW_KEY_LEN]);
/* Every session must be gone. Wipes. */
void gw_session_local_fini(struct gw_session_local *local);

/* What the session would like to send; the gateway asks after every input and expiry. Bits. */
enum gw_session_want {
    GW_WANT_INITIATION = 1, /* call gw_session_create_initiation */
    /* Seal an empty packet on the current key pair: passive or persistent keepalive, or the first packet that confirms a new key to
     * the responder. Any packet sent instead does as well. */
    GW_WANT_KEEPALIVE = 2,
};

enum gw_session_state {
    GW_SESSION_IDLE,        /* no keys that the peer is known to have, and nobody asked for any */
    GW_SESSION_HANDSHAKING, /* initiations go out, no such key */
    GW_SESSION_ESTABLISHED, /* a current key pair that may send, and that no failed series of handshakes has put in doubt */
    GW_SESSION_STALE,  /* established, but silent for 3 keepalives and to a handshake */
    GW_SESSION_FAILED, /* handshakes gave up after connection_timeout; backs off, retries */
};
extern const char *const gw_session_state_names[5];

/* Called from within any session function; must not free the session. Any may be NULL. */
struct gw_session_events {
    void (*on_state)(struct gw_session *session, enum gw_session_state old, enum gw_session_state now_state,
                     void *ctx);
    /* A new key pair became the current one (HELLO is due on it). */
    void (*on_keypair)(struct gw_session *session, struct gw_keypair *kp, void *ctx);
    /* A key pair dies; forget pointers to it. In gw_session_consume_*, when a timer runs, in gw_session_end or gw_session_free; never in
     * gw_session_packets_received: the key pairs of a train live for as long as the train. */
    void (*on_keypair_gone)(struct gw_session *session, struct gw_keypair *kp, void *ctx);
    /* A timer added a bit to gw_session_wants (in a call by the gateway, the gateway asks itself). */
    void (*on_want)(struct gw_session *session, void *ctx);
    void *ctx;
};

struct gw_session_params {
    uint8_t remote_public[GW_KEY_LEN];
    /* The responder chooses, the initiator tries each on the response. As responder: the one that worked last (at first
     * psks[0]), and the next in the list each time a response led to nothing. */
    uint8_t psks[GW_PSK_MAX][GW_KEY_LEN];
    unsigned psk_count;                     /* 0 = no PSK (all zeros) */
    int64_t persistent_keepalive_ns;        /* 0 = never */
    int64_t connection_timeout_ns;          /* 75 s: give up a handshake series; 0 = default */
    const struct gw_session_events *events; /* borrowed for life; may be NULL */
    void *owner;                            /* what gw_session_owner gives back */
};

struct gw_session; /* fields: session/session_private.h, for session/ only */

/* 0, GW_E_NOMEM, GW_E_INVAL (our own key, small order), -EEXIST (a session with this key is there). */
int gw_session_new(struct gw_session **out, struct gw_session_local *local,
                   const struct gw_session_params *params, struct gw_mono now);
/* Wipes every key. on_keypair_gone is called for each. */
void gw_session_free(struct gw_session *session);
struct gw_session *gw_session_find(struct gw_session_local *local, const uint8_t remote_public[GW_KEY_LEN]);
void *gw_session_owner(const struct gw_session *session);
/* 32 bytes, for as long as the session. */
const uint8_t *gw_session_remote_public(const struct gw_session *session);
/* New PSKs or keepalive interval from a reloaded configuration; keys that are there stay. */
void gw_session_set_psks(struct gw_session *session, const uint8_t (*psks)[GW_KEY_LEN], unsigned psk_count);
/* For the next series of handshakes; 0 = default. */
void gw_session_set_connection_timeout(struct gw_session *session, int64_t timeout_ns);
void gw_session_set_persistent_keepalive(struct gw_session *session, int64_t interval_ns, struct gw_mono now);

/* ---- handshakes. msg has passed the length gate (wire/message.h) and, for 1 and 2, gw_cookie_check of mac1. */

/* Consumes an initiation into locals, commits at the end: only the responder slot and the greatest timestamp change. On 0 *out is
 * the session and response is to be sent. GW_E_UNKNOWN: no session for that key (*unknown_key, if not NULL, gets it). GW_E_AUTH,
 * GW_E_REPLAY (an old TAI64N: counted, see gw_session_stats), GW_E_LIMIT (two within 20 ms), GW_E_NOMEM. *out is also set,
 * for the log, when the sender proved its key and was refused as GW_E_REPLAY or GW_E_LIMIT; else it is NULL. */
int gw_session_consume_initiation(struct gw_session_local *local, const struct gw_initiation *msg,
                                  struct gw_mono now, struct gw_session **out, struct gw_response *response,
                                  uint8_t unknown_key[GW_KEY_LEN]);
/* Fresh ephemeral, fresh timestamp; arms the retry. 0, GW_E_LIMIT (20 ms since the last), or GW_E_NOMEM. Clears GW_WANT_INITIATION in any case. */
int gw_session_create_initiation(struct gw_session *session, struct gw_mono now, struct gw_initiation *msg);
/* Whose message of ours it is, as long as it may be answered; else NULL. */
struct gw_session *gw_session_of_initiation(struct gw_session_local *local, const struct gw_initiation *msg);
/* On 0 *out is the session; its new key pair is the current one (after crossing initiations, it may be the other that stays current).
 * A response to any of the last GW_INITIATORS initiations, but not to one older than was answered already. GW_E_UNKNOWN index, GW_E_AUTH, GW_E_NOMEM. */
int gw_session_consume_response(struct gw_session_local *local, const struct gw_response *msg,
                                struct gw_mono now, struct gw_session **out);
/* Keeps the cookie for the next initiation or response; none is sent earlier for it. GW_E_UNKNOWN index, GW_E_AUTH. */
int gw_session_consume_cookie(struct gw_session_local *local, const struct gw_cookie_reply *msg,
                              struct gw_mono now);

/* ---- transport. */

/* The session has something to send: a handshake starts if there is no usable key, a rekey when it is due. Call before asking for the key. */
void gw_session_want_send(struct gw_session *session, struct gw_mono now);
/* The key pair to seal with now, or NULL (none, too old, or used up). */
struct gw_keypair *gw_session_sending_key(struct gw_session *session, struct gw_mono now);
/* By receiver index of a type 4/5 datagram, NULL when unknown or older than REJECT_AFTER_TIME. Valid until the session consumes a
 * handshake message or a timer runs (on_keypair_gone). */
struct gw_keypair *gw_session_receiving_key(struct gw_session_local *local, uint32_t index,
                                            struct gw_mono now);

/* What happened, once for each train rather than each packet: timers.c decides what follows. `is_data`: at least one was not empty.
 * packets_received comes after gw_keypair_open said 0, and may make kp the current key pair. */
void gw_session_packets_sent(struct gw_session *session, struct gw_keypair *kp, struct gw_mono now,
                             bool is_data, uint64_t bytes);
void gw_session_packets_received(struct gw_session *session, struct gw_keypair *kp, struct gw_mono now,
                                 bool is_data, uint64_t bytes);

unsigned gw_session_wants(const struct gw_session *session); /* enum gw_session_want bits */
/* The link changed or the machine woke: try again at once (resets backoff). An established session stays as it is; one that has failed is handshaking from then
 * on, whatever keys are left: they are of before. */
void gw_session_kick(struct gw_session *session, struct gw_mono now);
/* The last initiation went to one of several places: another one, as soon as their spacing allows, to which the next retry counts as to the last. Nothing happens without a series. */
void gw_session_ask_beside(struct gw_session *session, struct gw_mono now);
/* The peer says that there is no session any more: all keys are wiped, and it is as when handshakes gave up (FAILED), tried again from time to time. Not
 * while a train is worked through. */
void gw_session_end(struct gw_session *session, struct gw_mono now);
/* The peer says that it ends: its keys are wiped, and the session is idle; but not those of a handshake that it has begun and not used yet, for that may be its next start's, which
 * has overtaken what it said last. With persistent keepalive it is asked for again a moment later, by a series like any; else by who wants to send next, at once. Not while a train is
 * worked through. */
void gw_session_leave(struct gw_session *session, struct gw_mono now);
/* What was sent stays without an answer: a handshake asks whether the peer still has our keys. They stay in use meanwhile. */
void gw_session_doubt(struct gw_session *session, struct gw_mono now);

/* Wipes and frees what a keeper was given. */
void gw_keypair_free(struct gw_keypair *kp);

struct gw_session_stats {
    enum gw_session_state state;
    struct gw_mono state_since;
    struct gw_mono last_handshake;       /* birth of the current key pair; GW_NEVER when none yet */
    struct gw_mono last_received;        /* GW_NEVER when nothing yet */
    int64_t handshake_rtt_ns;            /* of the last handshake that we initiated; 0 unknown */
    uint64_t bytes_sent, bytes_received; /* datagrams of type 4 and 5, whole */
    uint64_t handshakes_sent;            /* initiations that we made */
    uint64_t handshakes_received;        /* valid ones that we answered */
    /* Refused for a TAI64N that is not greater than the greatest seen; and of these, those more than a second older: the peer's clock
     * went back, or somebody replays old ones. */
    uint64_t handshakes_refused_as_replay, handshakes_refused_clock;
    int64_t peer_clock_behind_s; /* by how much, the last time; 0 once an initiation was accepted again */
    unsigned missed_keepalives;
    unsigned psk_in_use; /* place in psks of what the current key pair was made with */
};
void gw_session_stats(const struct gw_session *session, struct gw_session_stats *out);
/* Our X25519 DH with the peer's static key goes only into labelled KDFs: out = KDF(DH(a, B), label || context). */
void gw_session_static_kdf(const struct gw_session *session, const char *label, const void *context,
                           size_t context_len, uint8_t out[GW_HASH_LEN]);
/* The same of any two keys, at the price of a DH. false: the public key is refused. */
bool gw_static_kdf(const struct gw_crypto *crypto, const uint8_t secret[GW_KEY_LEN],
                   const uint8_t public_key[GW_KEY_LEN], const char *label, const void *context,
                   size_t context_len, uint8_t out[GW_HASH_LEN]);

#endif

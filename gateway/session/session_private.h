/* SPDX-License-Identifier: MIT */
/* What a session is made of, and the functions its files owe each other. For session/ only. */
#ifndef GATEWAY_SESSION_SESSION_PRIVATE_H
#define GATEWAY_SESSION_SESSION_PRIVATE_H

#include "gateway/session/session.h"
#include "gateway/session/timers.h"

#define GW_CROSSING_WINDOW GW_S(5)   /* key pairs of both directions born so close crossed on the way */
#define GW_CROSSING_PATIENCE GW_S(1) /* so long we insist on ours while the peer speaks on the other */
#define GW_NEXT_MAX 3u
#define GW_RETIRED_MAX (GW_NEXT_MAX + 1) /* all but the current one */

/* keyring.c: the key pairs of a session. `next` holds those whose responder we are until the peer uses them, and those that came
 * second among crossing ones, newest last; `retired` those that are destroyed as soon as nobody is in the middle of a train. NULLs
 * behind them. Owned here, found by index in local->keypairs. */
struct gw_keyring {
    struct gw_keypair *current, *previous;
    struct gw_keypair *next[GW_NEXT_MAX];
    struct gw_keypair *retired[GW_RETIRED_MAX];
};

struct gw_session {
    struct gw_session_local *local;
    struct gw_map_node by_key; /* in local->sessions, key = remote_public */
    const struct gw_session_events *events;
    void *owner;

    uint8_t remote_public[GW_KEY_LEN];
    uint8_t static_static[GW_KEY_LEN]; /* DH(our static, theirs): a secret */
    uint8_t psks[GW_PSK_MAX][GW_KEY_LEN];
    unsigned psk_count;  /* at least 1: no PSK is 32 zeros */
    unsigned psk_turn;   /* the one that we choose as responder */
    bool is_psk_pending; /* a response with it went out and nothing came on its key pair */
    unsigned psk_in_use;
    int64_t persistent_keepalive_ns;
    int64_t connection_timeout_ns;

    struct gw_cookie cookie;
    uint8_t response_mac1[GW_MAC_LEN]; /* of our last response, for a cookie reply to it */

    struct gw_noise_initiator initiators[GW_INITIATORS];
    uint64_t initiation_number;
    struct gw_mono initiation_sent; /* the last; GW_NEVER */

    uint8_t greatest_timestamp[GW_TAI64N_LEN];
    struct gw_mono initiation_consumed; /* the last; GW_NEVER */

    struct gw_keyring keyring;
    struct gw_timers timers;
    unsigned wants;
    enum gw_session_state state;
    struct gw_mono state_since;
    struct gw_session_stats counts; /* the counters and instants; the rest is filled in when asked */
};

static inline struct gw_noise_self gw_session_self(const struct gw_session_local *local)
{
    return (struct gw_noise_self){local->crypto, local->secret, local->public_key};
}

/* ---- session.c */
/* The one door of state changes: works out the state from keys and timers, and tells. */
void gw_session_update_state(struct gw_session *session, struct gw_mono now);
/* An index that neither a key pair nor a waiting initiation has. */
uint32_t gw_session_new_index(struct gw_session_local *local);

/* ---- handshake.c */
/* Wipes the initiations of ours that were sent at or before `until`; the sending time of the oldest that still waits, or GW_NEVER. */
struct gw_mono gw_session_forget_initiations(struct gw_session *session, struct gw_mono until);

/* ---- keyring.c */
/* A new key pair of this handshake, in local->keypairs but not in the ring yet; NULL without memory. */
struct gw_keypair *gw_keyring_create(struct gw_session *session, const struct gw_noise_keys *keys,
                                     bool is_initiator, uint32_t local_index, uint32_t remote_index,
                                     struct gw_mono now);
/* Puts it in the ring: as initiator it is confirmed, and current unless it crossed with a better one. */
void gw_keyring_add_initiated(struct gw_session *session, struct gw_keypair *kp, struct gw_mono now);
void gw_keyring_add_responded(struct gw_session *session, struct gw_keypair *kp);
/* An authenticated packet came on kp. True: this was the first, and told us that the peer has it. */
bool gw_keyring_received(struct gw_session *session, struct gw_keypair *kp, struct gw_mono now);
/* Is it young enough to open with? */
bool gw_keypair_is_young(const struct gw_keypair *kp, struct gw_mono now);
/* The current key pair if it may still seal, by age and by count, or NULL. */
struct gw_keypair *gw_keyring_sending(const struct gw_keyring *ring, struct gw_mono now);
/* Wipes and frees the retired ones. */
void gw_keyring_sweep(struct gw_session *session);
/* Wipes and frees all. */
void gw_keyring_clear(struct gw_session *session);
/* The same for those that were in use. What the peer has asked for and not used yet stays. */
void gw_keyring_end(struct gw_session *session);

#endif

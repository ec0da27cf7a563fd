/* SPDX-License-Identifier: MIT */
/* The clock rules of a session (WireGuard paper 6; docs/PROTOCOL.md "Timers"). timers.c owns every timer: the rest of
 * session/ reports what happened in functions named after it, and one deadline per session wakes timers.c up. What it
 * decides is left in session->wants. For session/ only. */
#ifndef GATEWAY_SESSION_TIMERS_H
#define GATEWAY_SESSION_TIMERS_H

#include "gateway/base/deadline.h"
#include "gateway/base/mono.h"

#include <stdbool.h>

/* WireGuard's. */
#define GW_REKEY_AFTER_TIME GW_S(120)
#define GW_REKEY_TIMEOUT GW_S(5)
#define GW_KEEPALIVE_TIMEOUT GW_S(10)

/* Ours. */
#define GW_CONNECTION_TIMEOUT GW_S(75)  /* a handshake series without an answer gives up */
#define GW_RETRY_FIRST GW_MS(300)       /* or 2 RTT; doubles up to GW_REKEY_TIMEOUT */
#define GW_INITIATION_SPACING GW_MS(20) /* between two initiations to, and from, a peer */
#define GW_INITIATION_LIFE GW_S(30)     /* so long an initiation of ours stays answerable */
#define GW_RECONNECT_FIRST GW_S(5)      /* after giving up; doubles up to GW_RECONNECT_MAX */
#define GW_RECONNECT_MAX GW_S(60)
#define GW_RETURN_FIRST \
    GW_MS(              \
        500) /* to twice that: after a goodbye, until a peer that is kept alive is asked whether it is back */
#define GW_MISSED_KEEPALIVES_MAX 3u
#define GW_SLEPT GW_S(5) /* a timer that runs so late was asleep with the machine */

struct gw_session;
struct gw_keypair;

/* Instants are GW_NEVER while not armed. */
struct gw_timers {
    struct gw_deadline deadline;       /* the earliest of those below, or earlier */
    struct gw_mono sweep_at;           /* key pairs that ended are to be destroyed */
    struct gw_mono retry_at;           /* the next initiation of the series */
    struct gw_mono give_up_at;         /* end of the series; armed = a series is on */
    struct gw_mono reconnect_at;       /* the next attempt after giving up */
    struct gw_mono keepalive_at;       /* passive: data came and nothing went back */
    struct gw_mono persistent_at;      /* persistent keepalive */
    struct gw_mono silent_at;          /* persistent keepalive is on and nothing came */
    struct gw_mono unanswered_at;      /* data went out and nothing came back */
    struct gw_mono key_expires_at;     /* the current key pair is too old to use */
    struct gw_mono initiations_end_at; /* the initiations that wait are too old to be answered */
    struct gw_mono zero_at;            /* wipe all keys */

    struct gw_mono armed_for; /* what deadline was last armed for: running much later means that we slept */
    int64_t jitter_ns;        /* of unanswered_at; drawn once for each key pair */
    unsigned attempts;        /* initiations of this series */
    int64_t reconnect_backoff_ns; /* 0 = none yet */
    unsigned missed_keepalives;   /* whole intervals of persistent keepalive since the last packet came in */
    bool is_wanted;               /* somebody wants to send and has no key */
    bool is_stale, has_failed;
    bool is_unproven;    /* a series ended without an answer, and nothing was heard since */
    bool has_asked_late; /* the last-minute rekey of this key pair was started */
};

void gw_timers_init(struct gw_session *session, struct gw_mono now);
void gw_timers_fini(struct gw_session *session);
/* Is there a key pair that may send, which the peer has as far as is known? */
bool gw_timers_have_key(const struct gw_session *session, struct gw_mono now);

/* ---- what happened */
void gw_timers_send_wanted(struct gw_session *session, struct gw_mono now);
void gw_timers_initiation_created(struct gw_session *session, struct gw_mono now);
/* It was too early for one. */
void gw_timers_initiation_deferred(struct gw_session *session, struct gw_mono now);
/* A key pair was made: a response went out or came in. */
void gw_timers_keypair_derived(struct gw_session *session, struct gw_mono now);
/* A response came, or the first packet on a key pair whose responder we are: the series is over. */
void gw_timers_handshake_complete(struct gw_session *session, struct gw_mono now);
void gw_timers_response_received(struct gw_session *session, struct gw_mono now);
void gw_timers_current_changed(struct gw_session *session, struct gw_mono now);
void gw_timers_packets_sent(struct gw_session *session, const struct gw_keypair *kp, struct gw_mono now,
                            bool is_data);
void gw_timers_packets_received(struct gw_session *session, const struct gw_keypair *kp, struct gw_mono now,
                                bool is_data);
void gw_timers_kicked(struct gw_session *session, struct gw_mono now);
void gw_timers_hurried(struct gw_session *session, struct gw_mono now);
/* All keys and initiations are gone: failed, until it is tried again. */
void gw_timers_ended(struct gw_session *session, struct gw_mono now);
void gw_timers_left(struct gw_session *session, struct gw_mono now);
void gw_timers_doubted(struct gw_session *session, struct gw_mono now);
void gw_timers_keepalive_interval_changed(struct gw_session *session, struct gw_mono now);

#endif

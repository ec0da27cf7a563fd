/* SPDX-License-Identifier: MIT */
/* - sweep_at: key pairs were replaced, maybe in the middle of a train that came in: they are destroyed as soon as it is done with.
 * - retry_at: an initiation of the series was not answered; the next one is due. First after max(300 ms, 2 RTT), then doubling
 *   up to REKEY_TIMEOUT.
 * - give_up_at: the series has lasted for connection_timeout; the session has failed. Key pairs that are young still open and seal, as WireGuard's do, but prove
 *   nothing: until something comes from the peer, whoever wants to send asks for new ones, and there is no "established".
 * - reconnect_at: after failing, one initiation every 5 to 60 s, as long as somebody wants to send or persistent keepalive is set.
 * - keepalive_at: data came and nothing went back for KEEPALIVE_TIMEOUT; an empty packet is due.
 * - persistent_at: nothing of ours went out for the persistent keepalive's interval; an empty packet is due.
 * - silent_at: persistent keepalive is on, and nothing came in for 3 of its intervals. A handshake asks whether anybody is there (a
 *   stock peer at rest owes us nothing else); not answered at its first retry: stale.
 * - unanswered_at: data went out and nothing came back for KEEPALIVE_TIMEOUT + REKEY_TIMEOUT; a handshake is due.
 * - key_expires_at: the current key pair is REJECT_AFTER_TIME old; the session is no longer established.
 * - initiations_end_at: an initiation waited for an answer long enough; its ephemeral key is wiped.
 * - zero_at: 3 * REJECT_AFTER_TIME after the last key pair was made all keys are wiped.
 * A key pair that we initiated is renewed when it is used after REKEY_AFTER_TIME, or after 2^60 messages; and once more, should
 * that have failed, when something comes in on it 15 s before its end. */
#include "gateway/session/session_private.h"

#include "gateway/base/err.h"

#define RETRY_JITTER_PART 15 /* 333 ms of 5 s, as WireGuard's */
#define UNANSWERED_TIMEOUT (GW_KEEPALIVE_TIMEOUT + GW_REKEY_TIMEOUT)
#define UNANSWERED_JITTER GW_MS(333)
#define ASK_LATE_AGE (GW_REJECT_AFTER_TIME - GW_KEEPALIVE_TIMEOUT - GW_REKEY_TIMEOUT)
#define ZERO_AFTER (3 * GW_REJECT_AFTER_TIME)

static bool is_armed(struct gw_mono at)
{
    return !gw_mono_is_never(at);
}

/* A key pair that may send, and nothing says that the peer has it no more. */
bool gw_timers_have_key(const struct gw_session *session, struct gw_mono now)
{
    return gw_keyring_sending(&session->keyring, now) != NULL && !session->timers.is_unproven;
}

/* 0 .. limit */
static int64_t jitter(struct gw_session *session, int64_t limit)
{
    return (int64_t)(gw_random_u64(session->local->random) % (uint64_t)(limit + 1));
}

static void arm_persistent(struct gw_session *session, struct gw_mono now)
{
    if (session->persistent_keepalive_ns > 0)
        session->timers.persistent_at = gw_mono_add(now, session->persistent_keepalive_ns);
}

static void arm_silent(struct gw_session *session, struct gw_mono now)
{
    if (session->persistent_keepalive_ns > 0)
        session->timers.silent_at =
            gw_mono_add(now, GW_MISSED_KEEPALIVES_MAX * session->persistent_keepalive_ns);
}

/* ---- a series of initiations */

static bool is_series_on(const struct gw_timers *timers)
{
    return is_armed(timers->give_up_at);
}

static void end_series(struct gw_session *session)
{
    struct gw_timers *timers = &session->timers;

    timers->retry_at = timers->give_up_at = GW_NEVER;
    timers->attempts = 0;
    session->wants &= ~(unsigned)GW_WANT_INITIATION;
}

/* An initiation now, or when the last one is GW_INITIATION_SPACING ago. */
static void want_initiation(struct gw_session *session, struct gw_mono now)
{
    struct gw_mono earliest = now;

    if (is_armed(session->initiation_sent))
        earliest = gw_mono_add(session->initiation_sent, GW_INITIATION_SPACING);
    if (gw_mono_due(earliest, now))
        session->wants |= GW_WANT_INITIATION;
    else
        session->timers.retry_at = earliest;
}

static void start_series(struct gw_session *session, struct gw_mono now)
{
    struct gw_timers *timers = &session->timers;

    if (timers->has_failed) {
        timers->is_wanted = true; /* reconnect_at sees to it */
        return;
    }
    if (is_series_on(timers))
        return;
    timers->attempts = 0;
    timers->give_up_at = gw_mono_add(now, session->connection_timeout_ns);
    want_initiation(session, now);
}

static int64_t retry_delay(struct gw_session *session)
{
    const int64_t rtts = 2 * session->counts.handshake_rtt_ns;
    int64_t delay = rtts > GW_RETRY_FIRST ? rtts : GW_RETRY_FIRST;

    for (unsigned i = 1; i < session->timers.attempts && delay < GW_REKEY_TIMEOUT; i++)
        delay *= 2;
    if (delay > GW_REKEY_TIMEOUT)
        delay = GW_REKEY_TIMEOUT;
    return delay + jitter(session, delay / RETRY_JITTER_PART);
}

/* 5, 10, 20, 40, 60, 60 ... seconds, give or take a quarter. */
static void arm_reconnect(struct gw_session *session, struct gw_mono now)
{
    struct gw_timers *timers = &session->timers;
    const int64_t doubled = 2 * timers->reconnect_backoff_ns;
    const int64_t backoff = doubled == 0                 ? GW_RECONNECT_FIRST
                            : doubled > GW_RECONNECT_MAX ? GW_RECONNECT_MAX
                                                         : doubled;

    timers->reconnect_backoff_ns = backoff;
    timers->reconnect_at = gw_mono_add(now, backoff * 3 / 4 + jitter(session, backoff / 2));
}

static void recover(struct gw_timers *timers)
{
    timers->has_failed = timers->is_stale = false;
    timers->missed_keepalives = 0;
    timers->reconnect_at = GW_NEVER;
    timers->reconnect_backoff_ns = 0;
}

/* Something authenticated came from the peer: it is there. */
static void hear(struct gw_session *session, struct gw_mono now)
{
    recover(&session->timers);
    session->timers.is_unproven = false;
    session->timers.unanswered_at = GW_NEVER;
    session->counts.last_received = now;
    arm_silent(session, now);
}

/* ---- what each timer does */

static void on_sweep(struct gw_session *session, struct gw_mono now)
{
    (void)now;
    gw_keyring_sweep(session);
}

static void on_zero(struct gw_session *session, struct gw_mono now)
{
    gw_keyring_clear(session);
    (void)gw_session_forget_initiations(session, now);
}

static void on_key_expired(struct gw_session *session, struct gw_mono now)
{
    /* The state follows from the keys. */
    (void)session;
    (void)now;
}

static void on_initiations_end(struct gw_session *session, struct gw_mono now)
{
    const struct gw_mono oldest =
        gw_session_forget_initiations(session, gw_mono_add(now, -GW_INITIATION_LIFE));

    session->timers.initiations_end_at = gw_mono_add(oldest, GW_INITIATION_LIFE);
}

static void on_give_up(struct gw_session *session, struct gw_mono now)
{
    struct gw_timers *timers = &session->timers;

    end_series(session);
    if (gw_mono_sub(now, timers->armed_for) >= GW_SLEPT) {
        start_series(session, now); /* we were asleep: nobody had a chance to answer */
        return;
    }
    timers->has_failed = timers->is_unproven = true;
    timers->is_wanted = false;
    arm_reconnect(session, now);
}

static void on_retry(struct gw_session *session, struct gw_mono now)
{
    struct gw_timers *timers = &session->timers;

    if (timers->attempts > 0 && timers->missed_keepalives >= GW_MISSED_KEEPALIVES_MAX)
        timers->is_stale = true;
    want_initiation(session, now);
}

static void on_reconnect(struct gw_session *session, struct gw_mono now)
{
    struct gw_timers *timers = &session->timers;

    if (!timers->is_wanted && session->persistent_keepalive_ns == 0) {
        recover(timers); /* nobody asks any more: idle, and the next who does starts afresh */
        return;
    }
    timers->is_wanted = false;
    arm_reconnect(session, now);
    want_initiation(session, now);
}

static void on_keepalive(struct gw_session *session, struct gw_mono now)
{
    if (gw_keyring_sending(&session->keyring, now) != NULL)
        session->wants |= GW_WANT_KEEPALIVE;
}

static void on_persistent(struct gw_session *session, struct gw_mono now)
{
    struct gw_timers *timers = &session->timers;

    arm_persistent(session, now);
    if (!gw_timers_have_key(session, now)) {
        start_series(session, now);
        return;
    }
    timers->missed_keepalives =
        (unsigned)(gw_mono_sub(now, session->counts.last_received) / session->persistent_keepalive_ns);
    session->wants |= GW_WANT_KEEPALIVE;
}

static void on_silent(struct gw_session *session, struct gw_mono now)
{
    struct gw_timers *timers = &session->timers;

    if (gw_keyring_sending(&session->keyring, now) == NULL)
        return;
    timers->missed_keepalives = GW_MISSED_KEEPALIVES_MAX;
    timers->is_stale |= timers->attempts > 1; /* the question was put already */
    start_series(session, now);
}

static void on_unanswered(struct gw_session *session, struct gw_mono now)
{
    start_series(session, now);
}

/* clang-format off */
#define RULE(member, run) {offsetof(struct gw_timers, member), run}
/* clang-format on */
/* In the order in which they run when several are due. */
static const struct rule {
    size_t at; /* of the instant in struct gw_timers */
    void (*run)(struct gw_session *session, struct gw_mono now);
} rules[] = {
    RULE(sweep_at, on_sweep),
    RULE(zero_at, on_zero),
    RULE(key_expires_at, on_key_expired),
    RULE(initiations_end_at, on_initiations_end),
    RULE(give_up_at, on_give_up),
    RULE(retry_at, on_retry),
    RULE(reconnect_at, on_reconnect),
    RULE(keepalive_at, on_keepalive),
    RULE(persistent_at, on_persistent),
    RULE(unanswered_at, on_unanswered),
    RULE(silent_at, on_silent),
#undef RULE
};
#define RULES (sizeof rules / sizeof rules[0])

static struct gw_mono *instant_of(struct gw_timers *timers, const struct rule *rule)
{
    return (struct gw_mono *)(void *)((char *)timers + rule->at);
}

/* The deadline never is later than the earliest instant. It may be earlier, when that was moved on: then it wakes up for nothing,
 * which is cheaper than moving it with every packet. */
static void arm(struct gw_session *session)
{
    struct gw_timers *timers = &session->timers;
    struct gw_mono earliest = GW_NEVER;

    for (unsigned i = 0; i < RULES; i++)
        earliest = gw_mono_min(earliest, *instant_of(timers, &rules[i]));
    if (!gw_mono_before(earliest, timers->deadline.at))
        return;
    timers->armed_for = earliest;
    gw_deadline_arm(session->local->deadlines, &timers->deadline, earliest);
}

static void expire(struct gw_deadline *deadline, struct gw_mono now)
{
    struct gw_session *session = gw_container_of(deadline, struct gw_session, timers.deadline);
    const unsigned wanted = session->wants;

    for (unsigned i = 0; i < RULES; i++) {
        struct gw_mono *at = instant_of(&session->timers, &rules[i]);

        if (!gw_mono_due(*at, now))
            continue;
        *at = GW_NEVER;
        rules[i].run(session, now);
    }
    arm(session);
    gw_session_update_state(session, now);
    if ((session->wants & ~wanted) != 0 && session->events != NULL && session->events->on_want != NULL)
        session->events->on_want(session, session->events->ctx);
}

/* ---- what happened */

void gw_timers_init(struct gw_session *session, struct gw_mono now)
{
    struct gw_timers *timers = &session->timers;

    for (unsigned i = 0; i < RULES; i++)
        *instant_of(timers, &rules[i]) = GW_NEVER;
    gw_deadline_init(&timers->deadline, expire);
    gw_timers_keepalive_interval_changed(session, now);
}

void gw_timers_fini(struct gw_session *session)
{
    gw_deadline_disarm(session->local->deadlines, &session->timers.deadline);
}

/* Renew it because it is used? */
static bool is_rekey_due(const struct gw_keypair *kp, struct gw_mono now)
{
    if (kp->send_counter > GW_REKEY_AFTER_MESSAGES)
        return true;
    return kp->is_initiator && gw_mono_sub(now, kp->born) >= GW_REKEY_AFTER_TIME;
}

void gw_timers_send_wanted(struct gw_session *session, struct gw_mono now)
{
    if (gw_timers_have_key(session, now) && !is_rekey_due(session->keyring.current, now))
        return;
    start_series(session, now);
    arm(session);
    gw_session_update_state(session, now);
}

void gw_timers_initiation_created(struct gw_session *session, struct gw_mono now)
{
    struct gw_timers *timers = &session->timers;

    arm_persistent(session, now);
    if (!is_armed(timers->initiations_end_at))
        timers->initiations_end_at = gw_mono_add(now, GW_INITIATION_LIFE);
    if (!timers->has_failed) {
        if (!is_series_on(timers)) /* the gateway did not wait for GW_WANT_INITIATION */
            timers->give_up_at = gw_mono_add(now, session->connection_timeout_ns);
        timers->attempts++;
        timers->retry_at = gw_mono_add(now, retry_delay(session));
    }
    arm(session);
    gw_session_update_state(session, now);
}

void gw_timers_initiation_deferred(struct gw_session *session, struct gw_mono now)
{
    want_initiation(session, now);
    arm(session);
}

void gw_timers_keypair_derived(struct gw_session *session, struct gw_mono now)
{
    session->timers.zero_at = gw_mono_add(now, ZERO_AFTER);
    arm(session);
}

void gw_timers_handshake_complete(struct gw_session *session, struct gw_mono now)
{
    end_series(session);
    session->timers.is_wanted = false;
    hear(session, now);
}

void gw_timers_response_received(struct gw_session *session, struct gw_mono now)
{
    gw_timers_handshake_complete(session, now);
    session->wants |= GW_WANT_KEEPALIVE; /* the responder may not send before something came on the new key */
}

void gw_timers_current_changed(struct gw_session *session, struct gw_mono now)
{
    struct gw_timers *timers = &session->timers;
    const struct gw_mono end = gw_mono_add(session->keyring.current->born, GW_REJECT_AFTER_TIME);

    timers->sweep_at = now;
    timers->key_expires_at = end;
    timers->has_asked_late = false;
    timers->jitter_ns = jitter(session, UNANSWERED_JITTER);
    arm(session);
}

void gw_timers_packets_sent(struct gw_session *session, const struct gw_keypair *kp, struct gw_mono now,
                            bool is_data)
{
    struct gw_timers *timers = &session->timers;

    session->wants &= ~(unsigned)GW_WANT_KEEPALIVE;
    timers->keepalive_at = GW_NEVER;
    arm_persistent(session, now);
    if (is_data && !is_armed(timers->unanswered_at))
        timers->unanswered_at = gw_mono_add(now, UNANSWERED_TIMEOUT + timers->jitter_ns);
    if (is_rekey_due(kp, now))
        start_series(session, now);
    arm(session);
}

void gw_timers_packets_received(struct gw_session *session, const struct gw_keypair *kp, struct gw_mono now,
                                bool is_data)
{
    struct gw_timers *timers = &session->timers;

    hear(session, now);
    if (is_data && !is_armed(timers->keepalive_at))
        timers->keepalive_at = gw_mono_add(now, GW_KEEPALIVE_TIMEOUT);
    if (kp->is_initiator && kp == session->keyring.current && !timers->has_asked_late &&
        gw_mono_sub(now, kp->born) >= ASK_LATE_AGE) {
        timers->has_asked_late = true;
        start_series(session, now);
    }
    arm(session);
}

void gw_timers_kicked(struct gw_session *session, struct gw_mono now)
{
    struct gw_timers *timers = &session->timers;
    const bool is_well = gw_timers_have_key(session, now) && !timers->has_failed && !timers->is_stale;
    const bool is_asked_for = is_series_on(timers) || timers->has_failed || timers->is_stale ||
                              session->persistent_keepalive_ns > 0;

    if (!is_asked_for || (is_well && !is_series_on(timers)))
        return;
    end_series(session);
    timers->has_failed = false;
    timers->reconnect_at = GW_NEVER;
    timers->reconnect_backoff_ns = 0;
    start_series(session, now);
    arm(session);
    gw_session_update_state(session, now);
}

/* Not a retry: another place is asked beside the last one. */
void gw_timers_hurried(struct gw_session *session, struct gw_mono now)
{
    if (!is_series_on(&session->timers) || session->timers.attempts == 0)
        return;
    session->timers.attempts--;
    want_initiation(session, now);
    arm(session);
}

/* No keys, no series. */
static void start_over(struct gw_session *session)
{
    struct gw_timers *timers = &session->timers;

    end_series(session);
    session->wants = 0;
    recover(timers);
    timers->sweep_at = timers->zero_at = timers->key_expires_at = timers->initiations_end_at = GW_NEVER;
    timers->keepalive_at = timers->unanswered_at = timers->silent_at = GW_NEVER;
    timers->is_unproven = timers->is_wanted = false;
}

/* As on_give_up, without keys that would have to grow old. */
void gw_timers_ended(struct gw_session *session, struct gw_mono now)
{
    start_over(session);
    session->timers.has_failed = true;
    arm_reconnect(session, now);
    arm(session);
    gw_session_update_state(session, now);
}

/* Who begins again has to start first, and is not to be met by all of its peers at one time. */
void gw_timers_left(struct gw_session *session, struct gw_mono now)
{
    const struct gw_mono zero_at = session->timers.zero_at;

    start_over(session);
    session->timers.zero_at = zero_at; /* there may be keys that wait to be used */
    if (session->persistent_keepalive_ns > 0)
        session->timers.persistent_at = gw_mono_add(now, GW_RETURN_FIRST + jitter(session, GW_RETURN_FIRST));
    arm(session);
    gw_session_update_state(session, now);
}

/* As on_unanswered, only sooner. */
void gw_timers_doubted(struct gw_session *session, struct gw_mono now)
{
    start_series(session, now);
    arm(session);
    gw_session_update_state(session, now);
}

void gw_timers_keepalive_interval_changed(struct gw_session *session, struct gw_mono now)
{
    struct gw_timers *timers = &session->timers;

    /* At once: this is what makes the first handshake. */
    timers->persistent_at = session->persistent_keepalive_ns > 0 ? now : GW_NEVER;
    timers->silent_at = GW_NEVER;
    timers->missed_keepalives = 0;
    arm_silent(session, now);
    arm(session);
}

/* SPDX-License-Identifier: MIT */
/* From the relay to a direct way. While a peer is in use and only a relay leads to it, both sides tell each other where they may be reached (PUNCH_ME_NOW, inside the
 * session) and ask all of these addresses at the same time, so that each NAT has let a packet out before the other's arrives. What answers
 * becomes a path; which path is used is the paths' own business. Failed attempts are repeated at growing intervals, at once when something changed. */
#include "gateway/discovery/discovery_private.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <string.h>

#define RETRY_NS GW_MS(300) /* of the message, or 2 RTT; doubling, twice */
#define RETRY_DOUBLED 2u
#define ASK_TRIES 9u
#define BACKOFF_NS GW_S(10) /* between attempts; doubling */
#define BACKOFF_MAX_NS GW_S(3600)
#define ACTIVE_NS GW_S(30) /* sent to so lately: in use */
#define START_MAX_MS 5000u
#define UNKNOWN_NS GW_MS(400) /* who does not know the round trip yet leaves the first word to who does */
#define FIRST_NS GW_MS(1200)
#define REVIEW_NS GW_S(2)  /* by then a plain round has led somewhere, if it does */
#define MEASURE_NS GW_S(1) /* so long which port is next is waited for */
#define ATTEMPTS_MAX 5u
/* What the peer may have us do: an attempt has three rounds at most, and is followed by a pause, but may cross ours or follow a change. */
#define ASKED_RATE (1.0 / 3)
#define ASKED_BURST 12.0
/* Each new address gets up to 20 packets, from us and in our name. */
#define NAMED_RATE 2.0
#define NAMED_BURST 64.0
/* An attempt under way is begun anew when something changes: not more often than once in so long, nor at this rate for long. */
#define RESTART_NS GW_S(1)
#define RESTART_RATE 0.1
#define RESTART_BURST 6.0

void gw_direct_init(struct gw_direct *direct, struct gw_mono now)
{
    gw_bucket_init(&direct->asked, ASKED_BURST, now);
    gw_bucket_init(&direct->named, NAMED_BURST, now);
    gw_bucket_init(&direct->restarts, RESTART_BURST, now);
    gw_punch_init(&direct->punch);
    direct->at = direct->review_at = GW_NEVER;
}

void gw_direct_fini(struct gw_reach *reach)
{
    gw_round_end(reach);
    gw_punch_fini(&reach->direct.punch);
}

/* That a relay is used although there is a direct way, because it is faster, is no reason to look for one. One that has not answered since one of us moved or woke
 * is none. */
static bool has_direct_path(const struct gw_paths *paths)
{
    for (unsigned i = 0; i < paths->count; i++) {
        const struct gw_path *path = &paths->list[i];
        if (path->is_validated && !path->is_doubted && gw_tuple_is_direct(&path->tuple))
            return true;
    }
    return false;
}

static bool is_relayed_and_used(struct gw_reach *reach, struct gw_mono now)
{
    const struct gw_path *path = gw_paths_current(&reach->peer->paths);
    struct gw_session_stats session;
    gw_session_stats(reach->peer->session, &session);
    return session.state == GW_SESSION_ESTABLISHED && reach->peer->kind == GW_PEER_PEERGATE && path &&
           gw_tuple_is_relay(&path->tuple) && !gw_mono_is_never(path->last_sent) &&
           gw_mono_sub(now, path->last_sent) < ACTIVE_NS && !has_direct_path(&reach->peer->paths);
}

unsigned gw_direct_attempts_max(const struct gw_reach *reach)
{
    unsigned max = reach->peer->config.punch_attempts;
    return max == GW_PUNCH_NEVER || reach->peer->config.path == GW_PATH_RELAY ? 0
           : max > 0                                                          ? max
                                                                              : ATTEMPTS_MAX;
}

/* ---- messages */

static void send_punch(struct gw_reach *reach, uint32_t number, bool is_answer, uint32_t start_ms,
                       struct gw_mono now)
{
    peergate_Control message = {.number = number, .which_body = peergate_Control_punch_me_now_tag};
    peergate_PunchMeNow *punch = &message.body.punch_me_now;
    punch->round = reach->direct.punch.attempts + (is_answer ? 0 : 1);
    punch->is_answer = is_answer;
    punch->start_ms = start_ms;
    punch->again = is_answer ? reach->direct.peer_again : reach->direct.again;
    punch->has_nat = true;
    gw_round_tell(reach, reach->direct.has_last, &punch->nat);
    if (reach->peer->config.path != GW_PATH_RELAY)
        punch->addresses_count = (pb_size_t)gw_discovery_offer(reach->discovery, punch->addresses);
    int err = gw_peer_send_message(reach->peer, now, &message);
    if (err)
        gw_log_debug("%s: cannot say that we punch: %s", gw_peer_name(reach->peer), gw_strerror(err));
}

bool gw_direct_take_addresses(struct gw_reach *reach, const peergate_Address *addresses, unsigned count,
                              struct gw_mono now)
{
    struct gw_candidate list[GW_CANDIDATES_MAX];
    unsigned taken = gw_candidates_decode(list, GW_CANDIDATES_MAX, addresses, count);
    bool is_new = false;
    for (unsigned i = 0; i < taken; i++) {
        bool is_known = gw_punch_knows(&reach->direct.punch, &list[i].addr);
        if (!gw_discovery_is_own(reach->discovery, &list[i].addr) &&
            (is_known || gw_bucket_take(&reach->direct.named, NAMED_RATE, NAMED_BURST, 1, now)))
            is_new |= gw_punch_add(&reach->direct.punch, now, &list[i], GW_LINK_PRIMARY, false,
                                   reach->discovery->host->random);
    }
    return is_new;
}

/* ---- attempts */

/* Waits until it is known which port our NAT gives next, where that matters; false: nothing to wait for. */
static bool wait_for_port(struct gw_reach *reach, enum gw_direct_waits waits, struct gw_mono now)
{
    struct gw_direct *direct = &reach->direct;
    direct->has_last = false;
    if (!gw_round_wants_measure(reach) || !gw_measure_briefly(reach->discovery, now))
        return false;
    direct->waits = waits;
    direct->at = gw_mono_add(now, MEASURE_NS);
    return true;
}

static void begin(struct gw_reach *reach, struct gw_mono start, bool is_asker, unsigned again)
{
    struct gw_direct *direct = &reach->direct;
    direct->number = 0;
    direct->is_stale = false;
    direct->at = GW_NEVER;
    direct->is_asker = is_asker;
    direct->again = again;
    direct->review_at = is_asker ? gw_mono_add(start, REVIEW_NS) : GW_NEVER;
    gw_round_begin(reach, start, again);
    gw_log_debug("%s: punching, as %s", gw_peer_name(reach->peer), is_asker ? "we asked" : "it asks");
}

static void send_ask(struct gw_reach *reach, struct gw_mono now)
{
    struct gw_direct *direct = &reach->direct;
    int64_t rtt = gw_peer_rtt(reach->peer), wait = 2 * rtt > RETRY_NS ? 2 * rtt : RETRY_NS;
    while (direct->number == 0)
        direct->number = gw_random_u32(reach->discovery->host->random);
    /* The answer takes half a round trip: the peer waits for so long, and we begin when it comes. */
    send_punch(reach, direct->number, false, (uint32_t)(rtt / 2 / GW_MS(1)), now);
    direct->at = gw_mono_add(now, wait << (direct->tries < RETRY_DOUBLED ? direct->tries : RETRY_DOUBLED));
    direct->tries++;
}

static void ask(struct gw_reach *reach, struct gw_mono now)
{
    reach->direct.tries = 0;
    reach->direct.number = 0;
    reach->direct.is_stale = false;
    gw_round_ask_witness(reach, now);
    if (!wait_for_port(reach, GW_DIRECT_WAITS_TO_ASK, now))
        send_ask(reach, now);
}

static void answer(struct gw_reach *reach, struct gw_mono now)
{
    struct gw_direct *direct = &reach->direct;
    direct->at = GW_NEVER;
    send_punch(reach, direct->peer_number, true, 0, now);
    begin(reach, gw_mono_add(now, GW_MS(direct->peer_start_ms)), false, direct->peer_again);
}

/* It is known, or does not come to be. */
static void go_on(struct gw_reach *reach, struct gw_mono now)
{
    enum gw_direct_waits waits = reach->direct.waits;
    reach->direct.waits = GW_DIRECT_WAITS_NOT;
    if (waits == GW_DIRECT_WAITS_TO_ASK)
        send_ask(reach, now);
    else if (waits == GW_DIRECT_WAITS_TO_ANSWER)
        answer(reach, now);
}

void gw_reach_measured(struct gw_reach *reach, struct gw_mono now, bool has_seen)
{
    struct gw_direct *direct = &reach->direct;
    if (has_seen || reach->meet.is_measuring)
        gw_meet_measured(reach, now, has_seen);
    if (direct->waits == GW_DIRECT_WAITS_NOT) {
        if (direct->has_hesitated && direct->number == 0 && !direct->punch.is_running &&
            gw_mono_before(now, direct->at) && gw_peer_rtt(reach->peer) > 0)
            direct->at = now;
        gw_reach_rearm(reach, now);
        return;
    }
    if (!has_seen && !gw_mono_due(direct->at, now) && gw_round_wants_measure(reach) &&
        gw_measure_briefly(reach->discovery, now))
        return; /* that was another kind of measuring */
    direct->has_last = has_seen;
    go_on(reach, now);
    gw_reach_rearm(reach, now);
}

static void failed(struct gw_reach *reach, struct gw_mono now)
{
    struct gw_direct *direct = &reach->direct;
    unsigned times = direct->failures < 9 ? direct->failures : 9;
    int64_t wait = BACKOFF_NS << times < BACKOFF_MAX_NS ? BACKOFF_NS << times : BACKOFF_MAX_NS;
    direct->number = 0;
    direct->again = 0;
    direct->failures++;
    direct->at = direct->failures < gw_direct_attempts_max(reach) ? gw_mono_add(now, wait) : GW_NEVER;
    gw_log_debug("%s: no direct way in attempt %u%s", gw_peer_name(reach->peer), direct->failures,
                 gw_mono_is_never(direct->at) ? "; tried again when something changes" : "");
}

/* The round led nowhere (yet): is another kind of round worth it, in the same attempt? */
static bool try_again(struct gw_reach *reach, struct gw_mono now)
{
    struct gw_direct *direct = &reach->direct;
    if (!direct->is_asker || direct->number != 0 || direct->waits != GW_DIRECT_WAITS_NOT ||
        !gw_round_helps(reach) || !is_relayed_and_used(reach, now))
        return false;
    direct->again++;
    ask(reach, now);
    return true;
}

static void expire_attempt(struct gw_reach *reach, struct gw_mono now)
{
    struct gw_direct *direct = &reach->direct;
    if (gw_punch_expire(&direct->punch, now)) {
        direct->review_at = GW_NEVER;
        gw_round_end(reach);
        if (reach->meet.step == GW_MEET_PUNCHING)
            gw_meet_over(reach, now);
        else if (direct->punch.has_proven)
            direct->failures = 0;
        else if (direct->number == 0 && direct->waits == GW_DIRECT_WAITS_NOT && !try_again(reach, now))
            failed(reach, now);
    } else if (gw_mono_due(direct->review_at, now)) {
        direct->review_at = GW_NEVER;
        if (!direct->punch.has_proven && reach->meet.step == GW_MEET_PUNCHING)
            gw_meet_review(reach, now);
        else if (!direct->punch.has_proven)
            try_again(reach, now);
    }
}

/* Before the first word: while our NAT is being measured for the first time, what is sent blindly may spoil ports. */
static int64_t hesitation(const struct gw_reach *reach)
{
    if (gw_measure_is_first(reach->discovery))
        return FIRST_NS;
    return gw_peer_rtt(reach->peer) == 0 ? UNKNOWN_NS : 0;
}

void gw_direct_expire(struct gw_reach *reach, struct gw_mono now)
{
    struct gw_direct *direct = &reach->direct;
    expire_attempt(reach, now);
    if (!gw_mono_due(direct->at, now))
        return;
    if (direct->waits != GW_DIRECT_WAITS_NOT) {
        go_on(reach, now);
    } else if (!is_relayed_and_used(reach, now)) {
        direct->number = 0;
        direct->is_stale = false;
        direct->at = GW_NEVER; /* gw_direct_used begins anew */
    } else if (direct->is_stale) {
        ask(reach, now); /* the round goes on until it is answered */
    } else if (direct->number != 0 && direct->tries < ASK_TRIES) {
        send_ask(reach, now);
    } else if (direct->punch.is_running) {
        direct->number = 0; /* the round goes on without another */
        direct->at = GW_NEVER;
    } else if (direct->number != 0) {
        failed(reach, now);
    } else if (!direct->has_hesitated && hesitation(reach) > 0) {
        direct->has_hesitated = true;
        direct->at = gw_mono_add(now, hesitation(reach));
    } else {
        direct->has_hesitated = false;
        direct->again = 0;
        ask(reach, now);
    }
}

struct gw_mono gw_direct_next_deadline(const struct gw_reach *reach)
{
    const struct gw_direct *direct = &reach->direct;
    return gw_mono_min(gw_mono_min(direct->at, direct->review_at), gw_punch_next_deadline(&direct->punch));
}

/* Is an attempt under way, or one due? */
static bool is_busy(const struct gw_direct *direct)
{
    return direct->punch.is_running || direct->number != 0 || direct->waits != GW_DIRECT_WAITS_NOT ||
           !gw_mono_is_never(direct->at);
}

void gw_direct_changed(struct gw_reach *reach, struct gw_mono now)
{
    struct gw_direct *direct = &reach->direct;
    const struct gw_path *path = gw_paths_current(&reach->peer->paths);
    bool is_relayed = path && gw_tuple_is_relay(&path->tuple);
    if (!is_relayed) {
        direct->was_direct = path != NULL;
        return;
    }
    bool is_moved = direct->moves != reach->peer->moves || direct->peer_moves != reach->peer->paths.moves;
    /* There was a way, and it is lost: what is under way is from before that, and the count of failures begins anew. */
    bool is_lost = direct->was_direct;
    direct->was_direct = false;
    direct->moves = reach->peer->moves;
    direct->peer_moves = reach->peer->paths.moves;
    if (is_lost || is_moved)
        gw_direct_restart(reach, now);
    if (is_busy(direct) || direct->failures >= gw_direct_attempts_max(reach) ||
        !is_relayed_and_used(reach, now))
        return;
    direct->at = now;
    gw_reach_rearm(reach, now);
}

void gw_direct_stop(struct gw_reach *reach)
{
    struct gw_direct *direct = &reach->direct;
    if (direct->punch.is_running)
        gw_punch_end(&direct->punch);
    gw_round_end(reach);
    direct->number = 0;
    direct->is_stale = false;
    direct->waits = GW_DIRECT_WAITS_NOT;
    direct->at = direct->review_at = GW_NEVER;
}

void gw_direct_used(struct gw_reach *reach, struct gw_mono now)
{
    const struct gw_direct *direct = &reach->direct;
    if (!is_busy(direct) && direct->failures < gw_direct_attempts_max(reach))
        gw_direct_changed(reach, now);
}

/* Not another kind of round, which has its time, nor one that has led somewhere. */
static bool may_restart(struct gw_direct *direct, struct gw_mono now)
{
    if (direct->is_stale || (direct->punch.is_running &&
                             (direct->punch.has_proven || direct->again > 0 || direct->punch.search.is_on)))
        return false;
    return gw_bucket_take(&direct->restarts, RESTART_RATE, RESTART_BURST, 1, now);
}

void gw_direct_restart(struct gw_reach *reach, struct gw_mono now)
{
    struct gw_direct *direct = &reach->direct;
    direct->failures = 0;
    if (reach->meet.step == GW_MEET_IDLE)
        gw_meet_end(reach); /* begins anew when it is wanted */
    bool is_asking = direct->number != 0, is_running = direct->punch.is_running;
    if (direct->waits != GW_DIRECT_WAITS_NOT || gw_direct_attempts_max(reach) == 0 ||
        (!is_running && !is_relayed_and_used(reach, now)) ||
        ((is_asking || is_running) && !may_restart(direct, now)))
        return;
    direct->at = now;
    if (is_asking) {
        direct->tries = 0;   /* the message is made anew each time */
    } else if (is_running) { /* by then it is seen whether it is still wanted */
        direct->is_stale = true;
        direct->at = gw_mono_max(now, gw_mono_add(direct->punch.began, RESTART_NS));
    }
    gw_reach_rearm(reach, now);
}

/* ---- what comes in */

/* Both ask at once: the one with the lower key gives way, and the other one goes on with its own. */
static bool gives_way(const struct gw_reach *reach)
{
    return memcmp(reach->discovery->host->local.public_key, reach->peer->config.public_key, GW_KEY_LEN) < 0;
}

static void asked(struct gw_reach *reach, uint32_t number, const peergate_PunchMeNow *punch,
                  struct gw_mono now)
{
    struct gw_direct *direct = &reach->direct;
    bool is_again = direct->has_peer_number && direct->peer_number == number;
    bool is_asking = direct->number != 0 || direct->waits == GW_DIRECT_WAITS_TO_ASK;
    if (is_again) {
        if (direct->waits != GW_DIRECT_WAITS_TO_ANSWER)
            send_punch(reach, number, true, 0, now);
        return;
    }
    if (is_asking && !gives_way(reach)) {
        if (direct->number != 0 &&
            direct->tries > 1) { /* it is there (again): not at the pace for who is not */
            direct->tries = 1;
            direct->at = now;
        }
        return;
    }
    if (!gw_bucket_take(&direct->asked, ASKED_RATE, ASKED_BURST, 1, now))
        return; /* it asks again, as for any that is lost */
    direct->number = 0;
    direct->waits = GW_DIRECT_WAITS_NOT;
    direct->has_peer_number = true;
    direct->peer_number = number;
    direct->peer_start_ms = punch->start_ms < START_MAX_MS ? punch->start_ms : START_MAX_MS;
    direct->peer_again = punch->again;
    if (punch->again > 0 && direct->failures > 0 && !direct->punch.is_running)
        direct->failures--; /* the same attempt goes on */
    gw_round_ask_witness(reach, now);
    if (!wait_for_port(reach, GW_DIRECT_WAITS_TO_ANSWER, now))
        answer(reach, now);
}

void gw_direct_punch_input(struct gw_reach *reach, uint32_t number, const peergate_PunchMeNow *punch,
                           struct gw_mono now)
{
    struct gw_direct *direct = &reach->direct;
    if (punch->is_answer && (direct->number == 0 || number != direct->number))
        return;
    if (reach->peer->config.path == GW_PATH_RELAY) {
        send_punch(reach, number, true, 0, now); /* no address of ours: it has nothing to try */
        return;
    }
    gw_direct_take_addresses(reach, punch->addresses, punch->addresses_count, now);
    gw_round_told(direct, punch->has_nat, &punch->nat);
    if (punch->is_answer)
        begin(reach, now, true, direct->again);
    else
        asked(reach, number, punch, now);
    gw_reach_rearm(reach, now);
}

void gw_direct_info_input(struct gw_reach *reach, uint32_t number, const peergate_EndpointInfo *info,
                          struct gw_mono now)
{
    struct gw_candidate seen;
    if (reach->direct.info_number == 0 || number != reach->direct.info_number)
        return;
    reach->direct.info_number = 0;
    if (info->refusal != peergate_Refusal_REFUSAL_NONE)
        return;
    /* What a neighbour says is no second witness. */
    const struct gw_anchor_use *use = reach->discovery->slots[reach->direct.info_slot];
    if (use && !use->is_neighbour && info->addresses_count > 0 &&
        gw_candidate_decode(&seen, &info->addresses[0]) == 0 && seen.kind == GW_CANDIDATE_OBSERVED)
        reach->direct.witness = seen.addr;
    gw_meet_info(reach, info, now);
}

void gw_direct_add_input(struct gw_reach *reach, const peergate_AddAddress *add, struct gw_mono now)
{
    /* A round under way has taken them in. */
    if (gw_direct_take_addresses(reach, add->addresses, add->addresses_count, now) &&
        !reach->direct.punch.is_running)
        gw_direct_restart(reach, now);
}

void gw_direct_remove_input(struct gw_reach *reach, const peergate_RemoveAddress *remove)
{
    struct gw_candidate list[GW_CANDIDATES_MAX];
    unsigned count =
        gw_candidates_decode(list, GW_CANDIDATES_MAX, remove->addresses, remove->addresses_count);
    for (unsigned i = 0; i < count; i++)
        gw_punch_forget(&reach->direct.punch, &list[i].addr);
}

void gw_direct_challenged(struct gw_reach *reach, const struct gw_tuple *from, struct gw_mono now)
{
    struct gw_candidate seen = {from->remote, GW_CANDIDATE_OBSERVED};
    if (!reach->direct.punch.is_running || !gw_tuple_is_direct(from) || !gw_candidate_is_usable(&seen.addr))
        return;
    if (gw_punch_add(&reach->direct.punch, now, &seen, from->link, true, reach->discovery->host->random))
        gw_peer_mark_ready(reach->peer);
}

/* ---- what goes out */

bool gw_direct_take_check(struct gw_reach *reach, struct gw_mono now, struct gw_tuple *to,
                          uint8_t nonce[GW_CHECK_NONCE_LEN])
{
    struct gw_punch_packet packet;
    if (!gw_punch_take(&reach->direct.punch, now, reach->discovery->host->random, &packet))
        return false;
    *to = (struct gw_tuple){.remote = packet.to, .link = packet.link};
    memcpy(nonce, packet.nonce, GW_CHECK_NONCE_LEN);
    gw_reach_rearm(reach, now);
    return true;
}

bool gw_direct_answered(struct gw_reach *reach, struct gw_mono now, const struct gw_tuple *from,
                        const uint8_t *nonce, size_t len, struct gw_tuple *path, int64_t *rtt_ns)
{
    const struct gw_check *check =
        gw_punch_answered(&reach->direct.punch, now, nonce, len, from, reach->discovery->host->random);
    char text[GW_ADDR_STRLEN];
    gw_reach_rearm(reach, now);
    if (!check)
        return false;
    /* That it came back shows that we reach the peer there; which of our addresses it was for is known if it came from there, too. */
    *path = (struct gw_tuple){.remote = check->remote.addr, .link = check->link};
    if (gw_tuple_same_remote(path, from))
        *path = *from;
    *rtt_ns = check->rtt_ns;
    gw_log_debug("%s: answers at %s (%s)", gw_peer_name(reach->peer), gw_addr_log(&check->remote.addr, text),
                 gw_candidate_kind_names[check->remote.kind]);
    return true;
}

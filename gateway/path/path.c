/* SPDX-License-Identifier: MIT */
/* The set of paths to one peer; see path.h for the rules. Which of them is used is in choose.c. */
#include "gateway/path/path_private.h"

#include <string.h>

#define CHALLENGE_INTERVAL_NS GW_MS(300)
#define PROBE_INTERVAL_NS GW_MS(100) /* or 2 RTT */
/* Of a path that is slow because of its queue it is known soon enough, too, when it is dead. */
#define PROBE_INTERVAL_MAX_NS GW_S(2)
#define RTT_MAX_NS GW_S(5)
#define TRIES_UNPROVEN 2u /* so many challenges a path that we followed the peer to may leave unanswered */
#define ASK_AGAIN_NS GW_S(5)
#define ASK_CREDIT 200u /* bytes, as if they had come from there: for the challenges */
#define ASK_BACK_NS GW_S(1)
#define FOLLOW_PART \
    3 /* of the silence: a proven path of the same kind that the peer sends on is followed sooner */

void gw_paths_init(struct gw_paths *paths)
{
    memset(paths, 0, sizeof *paths);
    paths->current = -1;
    paths->switched = GW_NEVER;
}

bool gw_paths_set_policy(struct gw_paths *paths, struct gw_mono now, enum gw_path_policy policy)
{
    bool is_changed = false;
    if (paths->policy == policy)
        return false;
    paths->policy = policy;
    for (unsigned i = 0; i < paths->count;) {
        if (gw_paths_allow(paths, &paths->list[i].tuple)) {
            i++;
            continue;
        }
        struct gw_tuple tuple = paths->list[i].tuple;
        is_changed |= gw_paths_remove(paths, now, &tuple);
    }
    return gw_paths_choose(paths, now) || is_changed;
}

void gw_paths_doubt(struct gw_paths *paths, const struct gw_path *but)
{
    for (unsigned i = 0; i < paths->count; i++) {
        struct gw_path *path = &paths->list[i];
        if (path == but)
            continue;
        path->is_doubted = true;
        if (path->is_validated) /* an answer that is on its way is to a question from before */
            path->challenge_at = GW_NEVER;
    }
}

bool gw_paths_are_doubted(const struct gw_paths *paths)
{
    for (unsigned i = 0; i < paths->count; i++) {
        if (paths->list[i].is_validated && !paths->list[i].is_doubted)
            return false;
    }
    return true;
}

struct gw_path *gw_paths_current(struct gw_paths *paths)
{
    return paths->current < 0 ? NULL : &paths->list[paths->current];
}

struct gw_path *gw_paths_find(struct gw_paths *paths, const struct gw_tuple *tuple)
{
    for (unsigned i = 0; i < paths->count; i++) {
        if (gw_tuple_equal(&paths->list[i].tuple, tuple))
            return &paths->list[i];
    }
    return NULL;
}

bool gw_paths_have_other(const struct gw_paths *paths)
{
    for (unsigned i = 0; i < paths->count; i++) {
        if ((int)i != paths->current && paths->list[i].is_validated)
            return true;
    }
    return false;
}

/* The slot for one more: a free one, else that of the path heard longest ago, never the current one; a relay only if there is nothing else. */
static struct gw_path *free_slot(struct gw_paths *paths)
{
    if (paths->count < GW_PATHS_MAX)
        return &paths->list[paths->count++];
    struct gw_path *oldest = NULL;
    for (unsigned i = 0; i < paths->count; i++) {
        struct gw_path *path = &paths->list[i];
        if ((int)i == paths->current)
            continue;
        bool is_kept = oldest && gw_tuple_is_relay(&path->tuple) && !gw_tuple_is_relay(&oldest->tuple);
        if (!oldest || (!is_kept && gw_mono_before(path->last_received, oldest->last_received)) ||
            (gw_tuple_is_relay(&oldest->tuple) && !gw_tuple_is_relay(&path->tuple)))
            oldest = path;
    }
    return oldest;
}

static struct gw_path *add(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple,
                           struct gw_random *random)
{
    struct gw_path *path = free_slot(paths);
    *path = (struct gw_path){.tuple = *tuple,
                             .challenge_at = now,
                             .first_received = now,
                             .last_received = now,
                             .last_sent = GW_NEVER,
                             .awaiting = GW_NEVER,
                             .doubt_at = GW_NEVER,
                             .rtt_at = GW_NEVER,
                             .probed = now};
    gw_mtu_init(&path->mtu, gw_path_start(tuple));
    gw_random_fill(random, path->challenge, sizeof path->challenge);
    return path;
}

static void prove(struct gw_path *path, struct gw_mono now)
{
    if (!path->is_validated || path->is_doubted)
        path->proven = now;
    path->is_validated = true;
    path->is_doubted = false;
}

static void validate(struct gw_path *path, struct gw_mono now)
{
    if (!path->is_validated) /* else a probe may be under way, which goes on */
        path->challenge_at = GW_NEVER;
    prove(path, now);
}

/* ---- what comes in */

/* What is used only while there is nothing else. */
static bool is_last_resort(const struct gw_paths *paths, const struct gw_tuple *tuple)
{
    return gw_tuple_is_carrier(tuple) || (gw_tuple_is_relay(tuple) && paths->policy == GW_PATH_DIRECT);
}

/* That the peer sends by another path does not say that this one has failed: it may have chosen so, and what goes here may be answered there. If each followed the other for that, both
 * at the same time, they would change places for ever. So it is asked, and has failed if it leaves that unanswered; and whoever switched a moment ago waits for the verdict of more challenges. */
static bool is_failing(const struct gw_paths *paths, struct gw_path *current, struct gw_mono now,
                       struct gw_random *random)
{
    bool is_fresh =
        !gw_mono_is_never(paths->switched) && gw_mono_sub(now, paths->switched) < GW_PATH_SWITCH_SPACING_NS;
    gw_path_probe(current, now, random);
    return !is_fresh && current->challenge_tries > 1 &&
           gw_mono_before(current->last_received, current->challenge_began);
}

/* Something came over a path that we know, while we send on another one. */
static bool follow(struct gw_paths *paths, struct gw_path *path, struct gw_path *current, struct gw_mono now,
                   bool proves_round_trip, bool was_validated, int64_t silence_ns, struct gw_random *random)
{
    bool is_silent = gw_mono_sub(now, current->last_received) > silence_ns;
    bool is_unanswered = !gw_mono_is_never(current->awaiting) &&
                         gw_mono_sub(now, current->awaiting) > silence_ns / FOLLOW_PART;
    if (gw_tuple_same_kind(&path->tuple, &current->tuple) || !current->is_validated) {
        bool may_follow;
        if (!path->is_validated) /* Who only sends from there, and does not hear what goes there, is not followed a second time. */
            may_follow = is_silent && path->challenge_tries <= TRIES_UNPROVEN;
        else if (!current->is_validated)
            may_follow = is_silent || is_unanswered;
        else
            may_follow = (is_silent || is_unanswered) && is_failing(paths, current, now, random);
        return (may_follow || proves_round_trip) && gw_paths_make_current(paths, path, now);
    }
    /* Each side chooses its own way, so that the peer sends by the relay or a carrier says nothing of our direct path, and the other way round: it is asked. */
    if ((is_silent || is_unanswered) && (was_validated || proves_round_trip))
        gw_path_probe(current, now, random);
    /* It made new keys by another way than the one that we do not hear of it by any more: it has lost that one. If not, it answers there, and we are back. */
    if (is_silent && proves_round_trip && !is_last_resort(paths, &path->tuple))
        return gw_paths_make_current(paths, path, now);
    if (is_silent && was_validated)
        return false;
    return path->is_validated && gw_paths_choose(paths, now);
}

/* Was it silent when it was last asked? Then it is asked as soon as it speaks: the peer may have been away, and be back. Who spoke and did not answer waits. */
static bool may_ask_again(const struct gw_path *path, struct gw_mono now)
{
    return gw_mono_before(path->last_received, path->challenge_sent) ||
           gw_mono_sub(now, path->probed) >= ASK_AGAIN_NS;
}

bool gw_paths_received(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple,
                       uint64_t bytes, bool is_highest, bool proves_round_trip, enum gw_path_rule rule,
                       int64_t silence_ns, struct gw_random *random)
{
    struct gw_path *path = gw_paths_find(paths, tuple);
    /* An old packet from an unknown place says nothing: somebody may have held it back and sent it from there. */
    if (!path && (!is_highest || !gw_paths_allow(paths, tuple)))
        return false;
    if (!path)
        path = add(paths, now, tuple, random);
    else if (is_highest && !path->is_validated && may_ask_again(path, now))
        gw_path_probe(path, now, random);
    bool was_validated = path->is_validated;
    path->bytes_received += bytes;
    path->last_received = now;
    path->awaiting = GW_NEVER;
    gw_mtu_heard(&path->mtu);
    if (proves_round_trip || rule == GW_PATH_RULE_WIREGUARD)
        validate(path, now);

    struct gw_path *current = gw_paths_current(paths);
    if (!current)
        return gw_paths_make_current(paths, path, now);
    if (path == current || !is_highest)
        return false;
    if (rule == GW_PATH_RULE_WIREGUARD)
        return gw_paths_make_current(paths, path, now);
    return follow(paths, path, current, now, proves_round_trip, was_validated, silence_ns, random);
}

static void learn_rtt(struct gw_path *path, struct gw_mono now, int64_t sample)
{
    bool is_old = path->rtt_ns == 0 || gw_mono_is_never(path->rtt_at) ||
                  gw_mono_sub(now, path->rtt_at) > GW_PATH_ALIKE_NS;
    path->rtt_ns = is_old ? sample : (3 * path->rtt_ns + sample) / 4;
    path->rtt_at = now;
    if (path->rtt_ns <= 0)
        path->rtt_ns = 1;
}

/* All challenges of a series are alike: an answer to the second one may belong to the first. It takes another series, one with longer intervals, to know the time. */
static void learn_answer(struct gw_path *path, struct gw_mono now, struct gw_random *random)
{
    int64_t most = gw_mono_sub(now, path->challenge_began);
    bool is_time = most <= RTT_MAX_NS; /* else one of us slept over it, and it says nothing of the path */
    if (path->challenge_tries == 1) {
        if (is_time)
            learn_rtt(path, now, most);
        return;
    }
    if (path->rtt_ns < most && is_time)
        path->rtt_ns = most;
    path->rtt_at = GW_NEVER;
    gw_path_probe(path, now, random);
}

/* A round trip is known for another path: it says something only beside one of the current path that is as new. */
static void measure_current(struct gw_paths *paths, const struct gw_path *other, struct gw_mono now,
                            struct gw_random *random)
{
    struct gw_path *current = gw_paths_current(paths);
    if (current && current != other && !gw_paths_are_alike(current, other))
        gw_path_probe(current, now, random);
}

/* It is known anew for the relay that is used: what answered directly is asked beside it, if its own is from another time, for else neither is ever compared. */
static void measure_direct(struct gw_paths *paths, const struct gw_path *current, struct gw_mono now,
                           struct gw_random *random)
{
    for (unsigned i = 0; i < paths->count; i++) {
        struct gw_path *path = &paths->list[i];
        if (path->is_validated && gw_tuple_is_direct(&path->tuple) && !gw_paths_are_alike(path, current))
            gw_path_probe(path, now, random);
    }
}

/* What was asked without a local address: the one that the answer came to is the path's from now on. */
static struct gw_path *find_answered(struct gw_paths *paths, struct gw_path *asked,
                                     const struct gw_tuple *from)
{
    if (gw_addr_is_set(&asked->tuple.local) || !gw_tuple_same_remote(&asked->tuple, from))
        return asked;
    struct gw_path *known = gw_paths_find(paths, from);
    if (!known || known == asked) {
        asked->tuple.local = from->local;
        return asked;
    }
    known->challenge_tries = asked->challenge_tries;
    known->challenge_began = asked->challenge_began;
    known->challenge_sent = asked->challenge_sent;
    asked->challenge_at = GW_NEVER;
    return known;
}

bool gw_paths_answered(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *from,
                       const uint8_t challenge[GW_PATH_CHALLENGE_LEN], struct gw_random *random)
{
    for (unsigned i = 0; i < paths->count; i++) {
        struct gw_path *path = &paths->list[i];
        if (gw_mono_is_never(path->challenge_at) || path->challenge_tries == 0 ||
            memcmp(path->challenge, challenge, GW_PATH_CHALLENGE_LEN) != 0)
            continue;
        path = find_answered(paths, path, from);
        bool was_validated = path->is_validated;
        prove(path, now);
        path->challenge_at = GW_NEVER;
        learn_answer(path, now, random);
        /* The peer has left the current path if nothing came over it since the new one appeared. (A relay's channel appears by itself.) */
        struct gw_path *current = gw_paths_current(paths);
        bool is_new = !was_validated && path != current && gw_tuple_is_direct(&path->tuple);
        if (!current || (is_new && gw_mono_before(current->last_received, path->first_received)))
            return gw_paths_make_current(paths, path, now);
        measure_current(paths, path, now, random);
        if (path == current && gw_tuple_is_relay(&path->tuple) && !gw_mono_is_never(path->rtt_at))
            measure_direct(paths, path, now, random);
        return gw_paths_choose(paths, now);
    }
    return false;
}

/* Now, and often: a series that is under way was begun from, or to, somewhere else, and may wait for long before its next challenge. Its answer still counts. */
static void hurry(struct gw_path *path, struct gw_mono now, struct gw_random *random)
{
    gw_path_probe(path, now, random);
    path->challenge_at = gw_mono_min(path->challenge_at, now);
    if (path->challenge_tries > 1)
        path->challenge_tries = 1;
}

void gw_paths_add_relay(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple,
                        struct gw_random *random)
{
    struct gw_path *path = gw_paths_find(paths, tuple);
    if (!path)
        add(paths, now, tuple, random);
    else if (path->is_doubted)
        hurry(path, now, random);
    else if (!path->is_validated || path->rtt_ns == 0)
        gw_path_probe(path, now, random);
}

/* The peer's way to the relay is another one, and may carry less. */
static void forget_relayed_sizes(struct gw_paths *paths)
{
    for (unsigned i = 0; i < paths->count; i++) {
        struct gw_path *path = &paths->list[i];
        if (gw_tuple_is_relay(&path->tuple))
            gw_mtu_init(&path->mtu, gw_path_start(&path->tuple));
    }
}

bool gw_paths_peer_moved(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *from,
                         uint8_t number, struct gw_random *random)
{
    struct gw_path *current = gw_paths_current(paths), *path = gw_paths_find(paths, from);
    if (number != paths->moves) { /* it says so at every place where it asks */
        paths->moves = number;
        gw_paths_doubt(paths, path);
        forget_relayed_sizes(paths);
        if (current && current != path)
            gw_path_probe(current, now, random);
    }
    if (path && path->moves != number) {
        path->moves = number;
        path->is_doubted = false; /* it is there now */
        if (!path->is_validated)
            hurry(path, now, random);
    }
    return gw_paths_choose(paths, now);
}

bool gw_paths_add_proven(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple,
                         int64_t rtt_ns, struct gw_random *random)
{
    struct gw_path *path = gw_paths_find(paths, tuple);
    if (!gw_paths_allow(paths, tuple))
        return false;
    if (!path)
        path = add(paths, now, tuple, random);
    validate(path, now);
    path->challenge_at = GW_NEVER;
    path->last_received = now;
    learn_rtt(path, now, rtt_ns);
    measure_current(paths, path, now, random);
    return gw_paths_choose(paths, now);
}

void gw_paths_asked(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple,
                    struct gw_random *random)
{
    struct gw_path *path = gw_paths_find(paths, tuple);
    if (path && !path->is_validated && gw_mono_sub(now, path->probed) >= ASK_BACK_NS)
        gw_path_probe(path, now, random);
}

void gw_paths_add_candidate(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple,
                            struct gw_random *random)
{
    struct gw_path *current = gw_paths_current(paths);
    if (gw_paths_find(paths, tuple) || !gw_paths_allow(paths, tuple))
        return;
    add(paths, now, tuple, random);
    if (current && current->is_validated)
        gw_path_probe(current, now, random);
}

bool gw_paths_remove(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple)
{
    struct gw_path *path = gw_paths_find(paths, tuple);
    if (!path)
        return false;
    int index = (int)(path - paths->list), last = (int)--paths->count;
    bool was_current = paths->current == index;
    *path = paths->list[last];
    if (was_current)
        paths->current = -1;
    else if (paths->current == last)
        paths->current = index;
    return was_current && gw_paths_choose(paths, now);
}

/* ---- challenges */

void gw_path_probe(struct gw_path *path, struct gw_mono now, struct gw_random *random)
{
    if (!gw_mono_is_never(path->challenge_at))
        return;
    path->challenge_at = now;
    path->challenge_tries = 0;
    path->probed = now;
    gw_random_fill(random, path->challenge, sizeof path->challenge);
}

void gw_paths_ask(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple,
                  struct gw_random *random)
{
    if (!gw_paths_allow(paths, tuple))
        return;
    struct gw_path *path = gw_paths_find(paths, tuple);
    if (!path)
        path = add(paths, now, tuple, random);
    if (!path->is_validated) { /* anew, whatever was asked from where we were before */
        path->challenge_at = GW_NEVER;
        path->first_received = now;
    }
    gw_path_probe(path, now, random);
    uint64_t sent = path->bytes_sent - path->proven_sent;
    uint64_t credit = path->proven_received + sent / GW_PATH_AMPLIFICATION + ASK_CREDIT;
    if (!path->is_validated && path->bytes_received < credit)
        path->bytes_received = credit;
}

static int64_t interval_of(const struct gw_path *path)
{
    if (!path->is_validated)
        return CHALLENGE_INTERVAL_NS << (path->challenge_tries - 1);
    int64_t ns = 2 * path->rtt_ns > PROBE_INTERVAL_NS ? 2 * path->rtt_ns : PROBE_INTERVAL_NS;
    return ns < PROBE_INTERVAL_MAX_NS ? ns : PROBE_INTERVAL_MAX_NS;
}

/* Challenges in a series. Of a path that something still comes over, half of it works, and maybe all, with a queue that has just filled: twice as many. */
static unsigned tries_of(const struct gw_path *path)
{
    if (!path->is_validated)
        return GW_PATH_CHALLENGE_TRIES;
    bool is_heard = path->challenge_tries > 0 && gw_mono_before(path->challenge_began, path->last_received);
    return is_heard ? 2 * GW_PATH_PROBE_TRIES : GW_PATH_PROBE_TRIES;
}

bool gw_path_take_challenge(struct gw_path *path, struct gw_mono now)
{
    if (!gw_mono_due(path->challenge_at, now) || path->challenge_tries >= tries_of(path))
        return false;
    if (path->challenge_tries++ == 0)
        path->challenge_began = now;
    path->challenge_sent = now;
    path->challenge_at = gw_mono_add(now, interval_of(path));
    return true;
}

struct gw_path *gw_paths_take_challenge(struct gw_paths *paths, struct gw_mono now)
{
    for (unsigned i = 0; i < paths->count; i++) {
        if (gw_path_take_challenge(&paths->list[i], now))
            return &paths->list[i];
    }
    return NULL;
}

/* We followed the peer there before it answered, and it does not: somebody may be sending its packets from where it is not. */
static bool is_unproven_too_long(const struct gw_path *path, struct gw_mono now)
{
    return !path->is_validated && path->challenge_tries >= TRIES_UNPROVEN &&
           gw_mono_due(path->challenge_at, now);
}

/* Asked often enough: it does not answer. */
static bool is_lost(const struct gw_path *path, struct gw_mono now)
{
    return path->challenge_tries >= tries_of(path) && gw_mono_due(path->challenge_at, now);
}

/* Whoever is heard there from now on has to prove anew that it is the peer, and the limit of bytes begins anew: by what a proven path got, it would be used up for good. */
static void lose(struct gw_path *path)
{
    if (path->is_validated) {
        path->proven_received = path->bytes_received;
        path->proven_sent = path->bytes_sent;
    }
    path->is_validated = false;
    path->challenge_at = GW_NEVER;
}

bool gw_paths_expire(struct gw_paths *paths, struct gw_mono now, int64_t silence_ns, struct gw_random *random)
{
    struct gw_path *current = gw_paths_current(paths);
    bool is_active = current && !gw_mono_is_never(current->last_sent) &&
                     gw_mono_sub(now, current->last_sent) < GW_PATH_REFRESH_NS;
    bool is_current_lost = false;
    for (unsigned i = 0; i < paths->count; i++) {
        struct gw_path *path = &paths->list[i];
        if (is_lost(path, now)) {
            is_current_lost |= path == current && path->is_validated;
            lose(path);
        } else if (path == current && is_unproven_too_long(path, now)) {
            is_current_lost |= gw_paths_have_other(paths);
        } else if (path == current) {
            if (!gw_mono_is_never(path->awaiting) && gw_paths_have_other(paths) &&
                gw_mono_due(gw_mono_add(path->awaiting, silence_ns), now))
                gw_path_probe(path, now, random);
        } else if (is_active && (path->is_validated || gw_tuple_is_relay(&path->tuple)) &&
                   gw_mono_due(gw_mono_add(path->probed, GW_PATH_REFRESH_NS), now)) {
            gw_path_probe(path, now, random);
        }
    }
    if (!is_current_lost)
        return false;
    if (gw_paths_choose(paths, now))
        return true;
    current->is_validated = true; /* nothing better is left: it may come back */
    return false;
}

struct gw_mono gw_paths_next_deadline(const struct gw_paths *paths, int64_t silence_ns)
{
    struct gw_mono next = GW_NEVER;
    for (unsigned i = 0; i < paths->count; i++)
        next = gw_mono_min(next, paths->list[i].challenge_at);
    if (paths->current >= 0 && gw_paths_have_other(paths) &&
        gw_mono_is_never(paths->list[paths->current].challenge_at))
        next = gw_mono_min(next, gw_mono_add(paths->list[paths->current].awaiting, silence_ns));
    if (paths->current >= 0)
        next = gw_mono_min(next, paths->list[paths->current].doubt_at);
    return next;
}

enum gw_path_doubt gw_paths_doubt_relay(struct gw_paths *paths, struct gw_mono now, int64_t silence_ns)
{
    struct gw_path *path = gw_paths_current(paths);
    if (!path || !gw_mono_due(path->doubt_at, now))
        return GW_PATH_NO_DOUBT;
    struct gw_mono unanswered_at = gw_mono_add(path->awaiting, silence_ns);
    struct gw_mono at = gw_mono_min(unanswered_at, gw_mono_add(path->last_received, GW_PATH_QUIET_NS));
    bool is_over = gw_mono_due(at, now);
    path->doubt_at = is_over ? GW_NEVER : at; /* something has come meanwhile */
    return !is_over ? GW_PATH_NO_DOUBT : gw_mono_due(unanswered_at, now) ? GW_PATH_UNANSWERED : GW_PATH_QUIET;
}

/* ---- what goes out */

uint64_t gw_path_allowance(const struct gw_path *path)
{
    if (path->is_validated ||
        !gw_tuple_is_direct(&path->tuple)) /* what goes to a relay reaches nobody else */
        return UINT64_MAX;
    uint64_t limit = (path->bytes_received - path->proven_received) * GW_PATH_AMPLIFICATION;
    uint64_t sent = path->bytes_sent - path->proven_sent;
    return limit > sent ? limit - sent : 0;
}

void gw_path_sent(struct gw_path *path, struct gw_mono now, uint64_t bytes)
{
    path->bytes_sent += bytes;
    path->last_sent = now;
}

void gw_path_sent_data(struct gw_path *path, struct gw_mono now)
{
    if (!gw_mono_is_never(path->awaiting))
        return;
    path->awaiting = now;
    if (gw_tuple_is_relay(&path->tuple))
        path->doubt_at = gw_mono_min(path->doubt_at, gw_mono_add(now, GW_PATH_SILENCE_NS));
}

void gw_path_received_data(struct gw_path *path, struct gw_mono now)
{
    if (gw_tuple_is_relay(&path->tuple) && gw_mono_is_never(path->doubt_at))
        path->doubt_at = gw_mono_add(now, GW_PATH_QUIET_NS);
}

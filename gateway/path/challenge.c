/* SPDX-License-Identifier: MIT */
/* Asking the paths: series of challenges, when one is due, and what follows from those that stay unanswered. What follows from answers is in path.c. */
#include "gateway/path/path_private.h"

#define CHALLENGE_INTERVAL_NS GW_MS(300)
/* Of a path that is slow because of its queue it is known soon enough, too, when it is dead. */
#define PROBE_INTERVAL_MAX_NS GW_S(2)
#define URGENT_INTERVAL_NS GW_MS(100) /* the last one: 5/4 RTT, if that is more */
#define ASK_PART 2                    /* of the silence: so long until the current path is asked */
#define OVERDUE_NS GW_MS(150)         /* or 3/2 RTT: an answer would be there */
#define LATE_NS GW_MS(20)             /* beyond a verdict's time: answers may lie unread */

/* How long an answer may take that is not late: parts / 4 round trips. */
static int64_t patience(const struct gw_path *path, int64_t parts, int64_t least_ns)
{
    int64_t ns = path->rtt_ns / 4 * parts > least_ns ? path->rtt_ns / 4 * parts : least_ns;
    return ns < PROBE_INTERVAL_MAX_NS ? ns : PROBE_INTERVAL_MAX_NS;
}

/* Challenges in a series. Of a path that something still comes over, half of it works, and maybe all, with a queue that has just filled: twice as many. */
static unsigned tries_of(const struct gw_path *path)
{
    if (!path->is_validated)
        return GW_PATH_CHALLENGE_TRIES;
    bool is_heard = path->challenge_tries > 0 && gw_mono_before(path->challenge_began, path->last_received);
    unsigned tries = path->urgent_tries > 0 ? path->urgent_tries : GW_PATH_PROBE_TRIES;
    return is_heard && tries < 2 * GW_PATH_PROBE_TRIES ? 2 * GW_PATH_PROBE_TRIES : tries;
}

/* From the last challenge to the next one, or to the verdict. */
static int64_t interval_of(const struct gw_path *path)
{
    if (!path->is_validated)
        return (path->urgent_tries > 0 ? URGENT_INTERVAL_NS : CHALLENGE_INTERVAL_NS)
               << (path->challenge_tries - 1);
    if (path->urgent_tries == 0)
        return patience(path, 8, GW_PATH_PROBE_INTERVAL_NS);
    return path->challenge_tries < tries_of(path) ? URGENT_INTERVAL_NS
                                                  : patience(path, 5, URGENT_INTERVAL_NS);
}

void gw_path_probe(struct gw_path *path, struct gw_mono now, struct gw_random *random)
{
    if (!gw_mono_is_never(path->challenge_at))
        return;
    path->challenge_at = now;
    path->challenge_tries = 0;
    path->urgent_tries = 0;
    path->was_late = false;
    path->probed = now;
    gw_random_fill(random, path->challenge, sizeof path->challenge);
}

static void probe_urgently(struct gw_path *path, unsigned tries, struct gw_mono now, struct gw_random *random)
{
    gw_path_probe(path, now, random);
    if (path->urgent_tries == 0)
        path->urgent_tries = (uint8_t)tries;
    if (path->challenge_tries > 0)
        path->challenge_at =
            gw_mono_min(path->challenge_at, gw_mono_add(path->challenge_sent, interval_of(path)));
}

void gw_path_probe_urgently(struct gw_path *path, struct gw_mono now, struct gw_random *random)
{
    probe_urgently(path, GW_PATH_URGENT_TRIES, now, random);
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
    return !path->is_validated && path->challenge_tries >= GW_PATH_TRIES_UNPROVEN &&
           gw_mono_due(path->challenge_at, now);
}

/* Asked often enough: it does not answer. Who comes to say so too late himself looks first whether an answer has been waiting meanwhile. */
static bool is_lost(struct gw_path *path, struct gw_mono now)
{
    if (path->challenge_tries < tries_of(path) || !gw_mono_due(path->challenge_at, now))
        return false;
    if (path->was_late || gw_mono_sub(now, path->challenge_at) < LATE_NS)
        return true;
    path->was_late = true;
    path->challenge_at = gw_mono_add(now, LATE_NS);
    return false;
}

/* ---- silence on the path that is sent on */

static bool is_asked_in_vain(const struct gw_path *path)
{
    return !gw_mono_is_never(path->challenge_at) && path->challenge_tries > 0 &&
           gw_mono_before(path->last_received, path->challenge_began);
}

/* Has it answered since the silent one was asked, which has not? */
static bool outdoes(const struct gw_path *path, const struct gw_path *silent)
{
    return path != silent && path->is_validated && !gw_mono_is_never(path->answered) &&
           !gw_mono_before(path->answered, silent->challenge_began);
}

/* Those that would have to take its place are asked beside it, once: whoever answers then, and soon, is there; and where a router has forgotten us, relays learn of our new place before they are needed. */
static void ask_others(struct gw_paths *paths, const struct gw_path *current, struct gw_mono now,
                       struct gw_random *random)
{
    for (unsigned i = 0; i < paths->count; i++) {
        struct gw_path *path = &paths->list[i];
        bool is_able = path->is_validated || gw_tuple_is_relay(&path->tuple);
        if (path == current || !is_able || !gw_mono_before(path->probed, current->challenge_began))
            continue;
        gw_path_probe_urgently(path, now, random);
        path->probed = now;
    }
}

static bool has_unasked(const struct gw_paths *paths, const struct gw_path *current)
{
    for (unsigned i = 0; i < paths->count; i++) {
        const struct gw_path *path = &paths->list[i];
        if (path != current && (path->is_validated || gw_tuple_is_relay(&path->tuple)) &&
            gw_mono_before(path->probed, current->challenge_began))
            return true;
    }
    return false;
}

/* When something is to be done about the silence; GW_NEVER. */
static struct gw_mono silence_at(const struct gw_paths *paths, const struct gw_path *current,
                                 int64_t silence_ns)
{
    bool is_asked = !gw_mono_is_never(current->challenge_at);
    if (!current->is_validated)
        return is_asked ? GW_NEVER : gw_mono_add(current->awaiting, silence_ns);
    if (!is_asked || current->urgent_tries == 0)
        return gw_mono_add(current->awaiting, silence_ns / ASK_PART);
    if (!is_asked_in_vain(current) || !has_unasked(paths, current))
        return GW_NEVER;
    return gw_mono_add(current->challenge_began, patience(current, 5, URGENT_INTERVAL_NS));
}

/* What is under way from before the silence says nothing about it: begun anew, but an answer still counts. */
static void ask_silent(struct gw_path *current, struct gw_mono now, struct gw_random *random)
{
    unsigned tries = GW_PATH_PROBE_TRIES;
    if (!gw_mono_is_never(current->challenge_at) && current->challenge_tries > 0 &&
        !is_asked_in_vain(current)) {
        current->challenge_tries = 1;
        current->challenge_began = current->challenge_at = now;
        tries++;
    }
    probe_urgently(current, tries, now, random);
}

/* Data on the current path brings nothing back. True: it does not answer, where another one does. */
static bool is_outdone(struct gw_paths *paths, struct gw_path *current, struct gw_mono now,
                       int64_t silence_ns, struct gw_random *random)
{
    if (gw_mono_is_never(current->awaiting))
        return false;
    if (gw_mono_due(silence_at(paths, current, silence_ns), now)) {
        if (gw_mono_is_never(current->challenge_at) || current->urgent_tries == 0)
            ask_silent(current, now, random);
        else
            ask_others(paths, current, now, random);
    }
    if (!current->is_validated || !is_asked_in_vain(current) || current->challenge_tries < 2 ||
        gw_mono_sub(now, current->challenge_began) < patience(current, 6, OVERDUE_NS) ||
        !gw_mono_due(gw_mono_add(current->awaiting, silence_ns), now))
        return false;
    for (unsigned i = 0; i < paths->count; i++) {
        if (outdoes(&paths->list[i], current))
            return true;
    }
    return false;
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
            if (gw_paths_have_other(paths) && is_outdone(paths, path, now, silence_ns, random)) {
                is_current_lost = true;
                lose(path);
            }
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
        !gw_mono_is_never(paths->list[paths->current].awaiting))
        next = gw_mono_min(next, silence_at(paths, &paths->list[paths->current], silence_ns));
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

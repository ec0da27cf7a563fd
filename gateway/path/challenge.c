/* SPDX-License-Identifier: MIT */
/* Asking the paths: series of challenges, when one is due, and what follows from those that stay unanswered. What follows from answers is in path.c. */
#include "gateway/path/path_private.h"

#define CHALLENGE_INTERVAL_NS GW_MS(300)
#define PROBE_INTERVAL_NS GW_MS(100) /* or 2 RTT */
/* Of a path that is slow because of its queue it is known soon enough, too, when it is dead. */
#define PROBE_INTERVAL_MAX_NS GW_S(2)

void gw_path_probe(struct gw_path *path, struct gw_mono now, struct gw_random *random)
{
    if (!gw_mono_is_never(path->challenge_at))
        return;
    path->challenge_at = now;
    path->challenge_tries = 0;
    path->probed = now;
    gw_random_fill(random, path->challenge, sizeof path->challenge);
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
    return !path->is_validated && path->challenge_tries >= GW_PATH_TRIES_UNPROVEN &&
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

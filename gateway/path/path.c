/* SPDX-License-Identifier: MIT */
/* The set of paths to one peer; see path.h for the rules. What is heard of them is in heard.c, how they are asked in challenge.c, which one is used in choose.c. */
#include "gateway/path/path_private.h"

#include <string.h>

#define ASK_CREDIT 200u /* bytes, as if they had come from there: for the challenges */
#define ASK_BACK_NS GW_S(1)

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

struct gw_path *gw_paths_add(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple,
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
                             .probed = now,
                             .answered = GW_NEVER};
    gw_mtu_init(&path->mtu, gw_path_start(tuple));
    gw_random_fill(random, path->challenge, sizeof path->challenge);
    return path;
}

void gw_path_prove(struct gw_path *path, struct gw_mono now)
{
    if (!path->is_validated || path->is_doubted)
        path->proven = now;
    path->is_validated = true;
    path->is_doubted = false;
}

void gw_path_validate(struct gw_path *path, struct gw_mono now)
{
    if (!path->is_validated) /* else a probe may be under way, which goes on */
        path->challenge_at = GW_NEVER;
    gw_path_prove(path, now);
}

/* Now, and often: a series that is under way was begun from, or to, somewhere else, and may wait for long before its next challenge. Its answer still counts. */
static void hurry(struct gw_path *path, struct gw_mono now, struct gw_random *random)
{
    gw_path_probe_urgently(path, now, random);
    path->challenge_at = gw_mono_min(path->challenge_at, now);
    if (path->challenge_tries > 1)
        path->challenge_tries = 1;
}

void gw_paths_add_relay(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple,
                        struct gw_random *random)
{
    struct gw_path *path = gw_paths_find(paths, tuple);
    if (!path)
        gw_paths_add(paths, now, tuple, random);
    else if (path->is_doubted)
        hurry(path, now, random);
    else if (!path->is_validated || path->rtt_ns == 0)
        gw_path_probe(path, now, random);
}

bool gw_paths_relay_works(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple)
{
    struct gw_path *path = gw_paths_find(paths, tuple);
    if (!path || !path->is_validated || !path->is_doubted)
        return false;
    gw_path_prove(path, now);
    return gw_paths_choose(paths, now);
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
            gw_path_probe_urgently(current, now, random);
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
        path = gw_paths_add(paths, now, tuple, random);
    gw_path_validate(path, now);
    path->challenge_at = GW_NEVER;
    path->last_received = now;
    gw_path_learn_rtt(path, now, rtt_ns);
    gw_paths_measure_current(paths, path, now, random);
    return gw_paths_choose(paths, now);
}

void gw_paths_ask(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple,
                  struct gw_random *random)
{
    if (!gw_paths_allow(paths, tuple))
        return;
    struct gw_path *path = gw_paths_find(paths, tuple);
    if (!path)
        path = gw_paths_add(paths, now, tuple, random);
    if (!path->is_validated) { /* anew, whatever was asked from where we were before */
        path->challenge_at = GW_NEVER;
        path->first_received = now;
    }
    gw_path_probe_urgently(path, now, random);
    uint64_t sent = path->bytes_sent - path->proven_sent;
    uint64_t credit = path->proven_received + sent / GW_PATH_AMPLIFICATION + ASK_CREDIT;
    if (!path->is_validated && path->bytes_received < credit)
        path->bytes_received = credit;
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
    gw_paths_add(paths, now, tuple, random);
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

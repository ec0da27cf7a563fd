/* SPDX-License-Identifier: MIT */
/* The set of paths to one peer; see path.h for the rules. */
#include "gateway/path/path.h"

#include <string.h>

#define CHALLENGE_INTERVAL_NS GW_MS(300)

void gw_paths_init(struct gw_paths *paths)
{
    memset(paths, 0, sizeof *paths);
    paths->current = -1;
}

void gw_paths_clear(struct gw_paths *paths)
{
    gw_paths_init(paths);
}

struct gw_path *gw_paths_current(struct gw_paths *paths)
{
    return paths->current < 0 ? NULL : &paths->list[paths->current];
}

static bool tuple_equal(const struct gw_tuple *a, const struct gw_tuple *b)
{
    return a->link == b->link && gw_addr_equal(&a->remote, &b->remote) && gw_addr_equal(&a->local, &b->local);
}

struct gw_path *gw_paths_find(struct gw_paths *paths, const struct gw_tuple *tuple)
{
    for (unsigned i = 0; i < paths->count; i++) {
        if (tuple_equal(&paths->list[i].tuple, tuple))
            return &paths->list[i];
    }
    return NULL;
}

/* The slot for one more: a free one, else that of the path heard longest ago, never the current one. */
static struct gw_path *free_slot(struct gw_paths *paths)
{
    if (paths->count < GW_PATHS_MAX)
        return &paths->list[paths->count++];
    struct gw_path *oldest = NULL;
    for (unsigned i = 0; i < paths->count; i++) {
        struct gw_path *path = &paths->list[i];
        if ((int)i != paths->current &&
            (!oldest || gw_mono_before(path->last_received, oldest->last_received)))
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
                             .payload_len = GW_PAYLOAD_START};
    gw_random_fill(random, path->challenge, sizeof path->challenge);
    return path;
}

static bool make_current(struct gw_paths *paths, const struct gw_path *path)
{
    int index = (int)(path - paths->list);
    if (paths->current == index)
        return false;
    paths->current = index;
    return true;
}

static void validate(struct gw_path *path)
{
    path->is_validated = true;
    path->challenge_at = GW_NEVER;
}

static bool is_silent(const struct gw_path *current, struct gw_mono now, int64_t silence_ns)
{
    return gw_mono_sub(now, current->last_received) > silence_ns;
}

bool gw_paths_received(struct gw_paths *paths, struct gw_mono now, const struct gw_tuple *tuple,
                       uint64_t bytes, bool is_highest, bool proves_round_trip, enum gw_path_rule rule,
                       int64_t silence_ns, struct gw_random *random)
{
    struct gw_path *path = gw_paths_find(paths, tuple);
    /* An old packet from an unknown place says nothing: somebody may have held it back and sent it from there. */
    if (!path && !is_highest)
        return false;
    if (!path)
        path = add(paths, now, tuple, random);
    path->bytes_received += bytes;
    path->last_received = now;
    if (proves_round_trip || rule == GW_PATH_RULE_WIREGUARD)
        validate(path);

    struct gw_path *current = gw_paths_current(paths);
    if (!current)
        return make_current(paths, path);
    if (path == current || !is_highest)
        return false;
    if (rule == GW_PATH_RULE_WIREGUARD || proves_round_trip || is_silent(current, now, silence_ns))
        return make_current(paths, path);
    return false;
}

bool gw_paths_answered(struct gw_paths *paths, struct gw_mono now,
                       const uint8_t challenge[GW_PATH_CHALLENGE_LEN])
{
    for (unsigned i = 0; i < paths->count; i++) {
        struct gw_path *path = &paths->list[i];
        if (path->is_validated || path->challenge_tries == 0 ||
            memcmp(path->challenge, challenge, GW_PATH_CHALLENGE_LEN) != 0)
            continue;
        validate(path);
        path->rtt_ns = gw_mono_sub(now, path->challenge_sent);
        /* The peer has left the current path if nothing came over it since the new one appeared. */
        struct gw_path *current = gw_paths_current(paths);
        if (!current || (path != current && gw_mono_before(current->last_received, path->first_received)))
            return make_current(paths, path);
        return false;
    }
    return false;
}

struct gw_path *gw_paths_take_challenge(struct gw_paths *paths, struct gw_mono now)
{
    for (unsigned i = 0; i < paths->count; i++) {
        struct gw_path *path = &paths->list[i];
        if (path->is_validated || !gw_mono_due(path->challenge_at, now))
            continue;
        path->challenge_tries++;
        path->challenge_sent = now;
        path->challenge_at = path->challenge_tries < GW_PATH_CHALLENGE_TRIES
                                 ? gw_mono_add(now, CHALLENGE_INTERVAL_NS << (path->challenge_tries - 1))
                                 : GW_NEVER;
        return path;
    }
    return NULL;
}

struct gw_mono gw_paths_next_deadline(const struct gw_paths *paths)
{
    struct gw_mono next = GW_NEVER;
    for (unsigned i = 0; i < paths->count; i++) {
        if (!paths->list[i].is_validated)
            next = gw_mono_min(next, paths->list[i].challenge_at);
    }
    return next;
}

uint64_t gw_path_allowance(const struct gw_path *path)
{
    if (path->is_validated)
        return UINT64_MAX;
    uint64_t limit = path->bytes_received * GW_PATH_AMPLIFICATION;
    return limit > path->bytes_sent ? limit - path->bytes_sent : 0;
}

void gw_path_sent(struct gw_path *path, struct gw_mono now, uint64_t bytes)
{
    path->bytes_sent += bytes;
    path->last_sent = now;
}

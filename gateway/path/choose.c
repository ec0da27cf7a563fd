/* SPDX-License-Identifier: MIT */
/* Which of the paths that answered is sent on: the one with the shortest round trip, a relay's counted 10 ms longer and IPv6's 3 ms shorter; a carrier only when there is no other. A switch has to gain
 * something that a person could notice, and there is at most one a second, so that jitter moves nothing. */
#include "gateway/path/path_private.h"

#define UNKNOWN_RTT_NS GW_S(1)
#define LAST_RESORT_NS GW_S(1000)

const char *const gw_path_policy_names[3] = {"auto", "direct", "relay"};

bool gw_paths_make_current(struct gw_paths *paths, const struct gw_path *path, struct gw_mono now)
{
    int index = (int)(path - paths->list);
    if (paths->current == index)
        return false;
    paths->current = index;
    paths->switched = now;
    return true;
}

static int64_t cost(const struct gw_paths *paths, const struct gw_path *path)
{
    int64_t ns = path->rtt_ns > 0 ? path->rtt_ns : UNKNOWN_RTT_NS;
    if (gw_tuple_is_carrier(&path->tuple))
        ns += LAST_RESORT_NS;
    else if (gw_tuple_is_relay(&path->tuple))
        ns += paths->policy == GW_PATH_DIRECT ? LAST_RESORT_NS : GW_PATH_RELAY_PENALTY_NS;
    else if (path->tuple.remote.family == 6)
        ns -= GW_PATH_V6_BONUS_NS;
    return ns;
}

/* Whatever waits in a queue that both share is a part of both round trips, but only at the same time. */
bool gw_paths_are_alike(const struct gw_path *a, const struct gw_path *b)
{
    if (gw_mono_is_never(a->rtt_at) || gw_mono_is_never(b->rtt_at))
        return false;
    int64_t apart = gw_mono_sub(a->rtt_at, b->rtt_at);
    return (apart < 0 ? -apart : apart) <= GW_PATH_ALIKE_NS;
}

/* A relay's round trip is known only as a limit, after answers to one of several challenges; the next series may take long, since its intervals are as long as that. It is not waited
 * for to leave the relay for a direct path that has begun to answer since: that is what was looked for. One that was there before was left for a reason. */
static bool is_replacement(const struct gw_paths *paths, const struct gw_path *from, const struct gw_path *to)
{
    return gw_tuple_is_relay(&from->tuple) && gw_tuple_is_direct(&to->tuple) &&
           gw_mono_is_never(from->rtt_at) &&
           (gw_mono_is_never(paths->switched) || !gw_mono_before(to->proven, paths->switched));
}

static bool is_worth_it(const struct gw_paths *paths, const struct gw_path *from, const struct gw_path *to)
{
    if (gw_tuple_is_carrier(&from->tuple) != gw_tuple_is_carrier(&to->tuple))
        return gw_tuple_is_carrier(&from->tuple);
    /* A path whose round trip nobody measured yet is not left for another one of its kind, nor a direct one for what is not. */
    if (from->rtt_ns == 0 && (gw_tuple_is_direct(&from->tuple) || !gw_tuple_is_direct(&to->tuple)))
        return false;
    if (from->rtt_ns > 0 && to->rtt_ns > 0 && !gw_paths_are_alike(from, to) &&
        !is_replacement(paths, from, to))
        return false;
    int64_t gain = cost(paths, from) - cost(paths, to);
    bool is_much = gain >= GW_PATH_GAIN_NS, is_part = gain * GW_PATH_GAIN_PART >= cost(paths, from);
    /* A relay is left for whatever is not worse by more than it takes to go back to it. */
    if (gw_tuple_is_relay(&from->tuple) && gw_tuple_is_direct(&to->tuple))
        return -gain * GW_PATH_GAIN_PART <= cost(paths, from);
    if (gw_tuple_is_direct(&from->tuple) && gw_tuple_is_relay(&to->tuple))
        return is_much && is_part;
    return is_much || (gain >= GW_PATH_GAIN_LEAST_NS && is_part);
}

/* Has it answered since the current one was asked in vain? That it did some time ago says less. */
static bool is_fresh(const struct gw_path *path, const struct gw_path *current)
{
    return current->challenge_tries > 0 && !gw_mono_is_never(path->answered) &&
           !gw_mono_before(path->answered, current->challenge_began);
}

/* a in place of the current one, rather than b? */
static bool is_better(const struct gw_paths *paths, const struct gw_path *a, const struct gw_path *b,
                      const struct gw_path *current)
{
    bool is_needed = current && !current->is_validated;
    if (is_needed && is_fresh(a, current) != is_fresh(b, current))
        return is_fresh(a, current);
    return cost(paths, a) < cost(paths, b);
}

/* Of those that answered; doubted: also before our own side changed. */
static const struct gw_path *best_other(const struct gw_paths *paths, const struct gw_path *current,
                                        bool doubted)
{
    const struct gw_path *best = NULL;
    for (unsigned i = 0; i < paths->count; i++) {
        const struct gw_path *path = &paths->list[i];
        if (path != current && path->is_validated && (doubted || !path->is_doubted) &&
            (!best || is_better(paths, path, best, current)))
            best = path;
    }
    return best;
}

bool gw_paths_choose(struct gw_paths *paths, struct gw_mono now)
{
    const struct gw_path *current = paths->current < 0 ? NULL : &paths->list[paths->current];
    bool is_lost = !current || !current->is_validated;
    const struct gw_path *best = best_other(paths, current, false);
    if (best && !is_lost && current->is_doubted && cost(paths, best) < LAST_RESORT_NS)
        is_lost = true;
    if (!best && is_lost)
        best = best_other(paths, current, true);
    if (!best)
        return false;
    if (is_lost)
        return gw_paths_make_current(paths, best, now);
    bool is_too_soon = !gw_mono_is_never(paths->switched) &&
                       gw_mono_sub(now, paths->switched) < GW_PATH_SWITCH_SPACING_NS &&
                       gw_tuple_same_kind(&current->tuple, &best->tuple);
    return !is_too_soon && is_worth_it(paths, current, best) && gw_paths_make_current(paths, best, now);
}

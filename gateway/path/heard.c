/* SPDX-License-Identifier: MIT */
/* What comes in: which path it proves, what its round trip is, and whether the peer is followed to where it sends from. */
#include "gateway/path/path_private.h"

#include <string.h>

#define RTT_MAX_NS GW_S(5)
#define BUSY_NS GW_S(1)
#define ASK_AGAIN_NS GW_S(5)
/* Of the silence: a proven path of the same kind that the peer sends on is followed sooner. */
#define FOLLOW_PART 3

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
    int64_t wait =
        2 * current->rtt_ns > GW_PATH_PROBE_INTERVAL_NS ? 2 * current->rtt_ns : GW_PATH_PROBE_INTERVAL_NS;
    bool is_fresh =
        !gw_mono_is_never(paths->switched) && gw_mono_sub(now, paths->switched) < GW_PATH_SWITCH_SPACING_NS;
    gw_path_probe(current, now, random);
    return !is_fresh && current->challenge_tries > 1 && gw_mono_sub(now, current->challenge_began) >= wait &&
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
            may_follow = is_silent && path->challenge_tries <= GW_PATH_TRIES_UNPROVEN;
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
        path = gw_paths_add(paths, now, tuple, random);
    else if (is_highest && !path->is_validated && may_ask_again(path, now))
        gw_path_probe(path, now, random);
    bool was_validated = path->is_validated;
    path->bytes_received += bytes;
    path->last_received = now;
    path->awaiting = GW_NEVER;
    gw_mtu_heard(&path->mtu);
    if (proves_round_trip || rule == GW_PATH_RULE_WIREGUARD)
        gw_path_validate(path, now);

    struct gw_path *current = gw_paths_current(paths);
    if (!current)
        return gw_paths_make_current(paths, path, now);
    if (path == current || !is_highest)
        return false;
    if (rule == GW_PATH_RULE_WIREGUARD)
        return gw_paths_make_current(paths, path, now);
    return follow(paths, path, current, now, proves_round_trip, was_validated, silence_ns, random);
}

void gw_path_learn_rtt(struct gw_path *path, struct gw_mono now, int64_t sample_ns)
{
    bool is_old = path->rtt_ns == 0 || gw_mono_is_never(path->rtt_at) ||
                  gw_mono_sub(now, path->rtt_at) > GW_PATH_ALIKE_NS;
    path->rtt_ns = is_old ? sample_ns : (3 * path->rtt_ns + sample_ns) / 4;
    path->rtt_at = now;
    if (path->rtt_ns <= 0)
        path->rtt_ns = 1;
}

/* All challenges of a series are alike: an answer to the second one may belong to the first. It takes another series, one with longer intervals, to know the time. */
static void learn_answer(struct gw_path *path, struct gw_mono now, struct gw_random *random)
{
    int64_t most = gw_mono_sub(now, path->challenge_began);
    bool was_known = path->rtt_ns > 0,
         is_time = most <= RTT_MAX_NS; /* else one of us slept over it, and it says nothing of the path */
    if (path->challenge_tries == 1) {
        if (is_time)
            gw_path_learn_rtt(path, now, most);
        return;
    }
    /* Where it seems to be very long, not more than twice as long as was thought, unless it must be: one of us may have been busy. Of challenges that follow each other closely, what was thought is likely. */
    int64_t least = gw_mono_sub(now, path->challenge_sent);
    int64_t limit = 2 * path->rtt_ns > BUSY_NS ? 2 * path->rtt_ns : BUSY_NS;
    int64_t most_likely = was_known && most > limit ? limit : most;
    if (was_known && path->urgent_tries > 0)
        most_likely = path->rtt_ns;
    if (most_likely < least)
        most_likely = least;
    if (is_time && path->rtt_ns < most_likely)
        path->rtt_ns = most_likely;
    path->rtt_at = GW_NEVER;
    gw_path_probe(path, now, random);
}

void gw_paths_measure_current(struct gw_paths *paths, const struct gw_path *other, struct gw_mono now,
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
        gw_path_prove(path, now);
        path->challenge_at = GW_NEVER;
        path->answered = now;
        learn_answer(path, now, random);
        /* The peer has left the current path if nothing came over it since the new one appeared. (A relay's channel appears by itself.) */
        struct gw_path *current = gw_paths_current(paths);
        bool is_new = !was_validated && path != current && gw_tuple_is_direct(&path->tuple);
        if (!current || (is_new && gw_mono_before(current->last_received, path->first_received)))
            return gw_paths_make_current(paths, path, now);
        gw_paths_measure_current(paths, path, now, random);
        if (path == current && gw_tuple_is_relay(&path->tuple) && !gw_mono_is_never(path->rtt_at))
            measure_direct(paths, path, now, random);
        return gw_paths_choose(paths, now);
    }
    return false;
}

/* SPDX-License-Identifier: MIT */
/* Candidates and the checks of an attempt; see punch.h. */
#include "gateway/punch/punch.h"

#include <string.h>

#define REFLEXIVE_MAX 4u
#define FIRST_INTERVAL_NS GW_MS(50) /* doubling */
#define LAST_INTERVAL_NS GW_MS(800)

const char *const gw_check_state_names[4] = {"waiting", "running", "answered", "silent"};

void gw_punch_init(struct gw_punch *punch)
{
    memset(punch, 0, sizeof *punch);
    punch->ends = punch->predict_at = GW_NEVER;
}

static struct gw_check *find(struct gw_punch *punch, const struct gw_addr *addr)
{
    for (unsigned i = 0; i < punch->count; i++) {
        if (gw_addr_equal(&punch->checks[i].remote.addr, addr))
            return &punch->checks[i];
    }
    return NULL;
}

static void start(struct gw_check *check, struct gw_mono at, struct gw_random *random)
{
    check->state = GW_CHECK_RUNNING;
    check->tries = 0;
    check->next = at;
    gw_random_fill(random, check->nonce, sizeof check->nonce);
}

/* ---- candidates */

static unsigned reflexive_count(const struct gw_punch *punch)
{
    unsigned count = 0;
    for (unsigned i = 0; i < punch->count; i++)
        count += punch->checks[i].is_reflexive;
    return count;
}

/* The first that never answered; else the first. */
static struct gw_check *make_room(struct gw_punch *punch)
{
    if (punch->count < GW_CHECKS_MAX)
        return &punch->checks[punch->count++];
    unsigned oldest = 0;
    while (oldest < punch->count && !gw_mono_is_never(punch->checks[oldest].answered))
        oldest++;
    if (oldest == punch->count)
        oldest = 0;
    memmove(&punch->checks[oldest], &punch->checks[oldest + 1],
            (punch->count - oldest - 1) * sizeof punch->checks[0]);
    return &punch->checks[punch->count - 1];
}

bool gw_punch_add(struct gw_punch *punch, struct gw_mono now, const struct gw_candidate *candidate,
                  bool is_reflexive, struct gw_random *random)
{
    struct gw_check *check = find(punch, &candidate->addr);
    if (check) {
        if (check->is_reflexive && !is_reflexive)
            check->remote.kind = candidate->kind;
        check->is_reflexive &= is_reflexive;
        return false;
    }
    if (is_reflexive && reflexive_count(punch) == REFLEXIVE_MAX)
        return false;
    check = make_room(punch);
    *check = (struct gw_check){.remote = *candidate,
                               .is_reflexive = is_reflexive,
                               .next = GW_NEVER,
                               .last_sent = GW_NEVER,
                               .answered = GW_NEVER};
    if (punch->is_running)
        start(check, now, random);
    return true;
}

static void remove_at(struct gw_punch *punch, unsigned i)
{
    memmove(&punch->checks[i], &punch->checks[i + 1], (punch->count - i - 1) * sizeof punch->checks[0]);
    punch->count--;
}

void gw_punch_forget(struct gw_punch *punch, const struct gw_addr *addr)
{
    struct gw_check *check = find(punch, addr);
    if (!check)
        return;
    remove_at(punch, (unsigned)(check - punch->checks));
}

/* ---- predicted ports */

static void forget_predicted(struct gw_punch *punch)
{
    for (unsigned i = punch->count; i-- > 0;) {
        if (punch->checks[i].is_predicted && gw_mono_is_never(punch->checks[i].answered))
            remove_at(punch, i);
    }
}

/* A NAT that gives each destination a port of its own, in a row, has seen us as the next ones after that which an anchor saw. */
static void predict(struct gw_punch *punch, struct gw_mono now, struct gw_random *random)
{
    unsigned count = punch->count;
    punch->predict_at = GW_NEVER;
    for (unsigned i = 0; i < count; i++) {
        const struct gw_check seen = punch->checks[i];
        if (seen.remote.kind != GW_CANDIDATE_OBSERVED || seen.is_reflexive || seen.is_predicted ||
            seen.remote.addr.family != 4)
            continue;
        for (unsigned j = 1; j <= GW_PREDICTED && punch->count < GW_CHECKS_MAX; j++) {
            struct gw_candidate next = seen.remote;
            next.addr.port = (uint16_t)(seen.remote.addr.port + (punch->is_asker ? GW_PREDICTED + 1 - j : j));
            if (next.addr.port > seen.remote.addr.port && gw_punch_add(punch, now, &next, false, random))
                punch->checks[punch->count - 1].is_predicted = true;
        }
    }
}

/* ---- an attempt */

void gw_punch_begin(struct gw_punch *punch, struct gw_mono at, int64_t timeout_ns, bool is_asker,
                    struct gw_random *random)
{
    forget_predicted(punch);
    punch->predict_at = gw_mono_add(at, GW_PREDICT_AFTER_NS);
    punch->is_running = true;
    punch->is_asker = is_asker;
    punch->has_proven = false;
    punch->ends = gw_mono_add(at, timeout_ns);
    punch->attempts++;
    for (unsigned i = 0; i < punch->count; i++)
        start(&punch->checks[i], at, random);
}

void gw_punch_end(struct gw_punch *punch)
{
    punch->is_running = false;
    punch->ends = punch->predict_at = GW_NEVER;
    for (unsigned i = 0; i < punch->count; i++) {
        struct gw_check *check = &punch->checks[i];
        check->next = GW_NEVER;
        if (check->state == GW_CHECK_RUNNING)
            check->state = GW_CHECK_SILENT;
    }
}

static int64_t interval(unsigned tries)
{
    int64_t ns = FIRST_INTERVAL_NS << (tries < 5 ? tries : 5);
    return ns < LAST_INTERVAL_NS ? ns : LAST_INTERVAL_NS;
}

struct gw_check *gw_punch_take(struct gw_punch *punch, struct gw_mono now, struct gw_random *random)
{
    if (punch->is_running && gw_mono_due(punch->predict_at, now))
        predict(punch, now, random);
    for (unsigned i = 0; punch->is_running && i < punch->count; i++) {
        struct gw_check *check = &punch->checks[i];
        if (check->state != GW_CHECK_RUNNING || !gw_mono_due(check->next, now))
            continue;
        unsigned most = check->is_predicted ? GW_PREDICTED_TRIES : GW_CHECK_TRIES;
        check->next = check->tries + 1 < most ? gw_mono_add(now, interval(check->tries)) : GW_NEVER;
        check->tries++;
        check->sent++;
        check->last_sent = now;
        return check;
    }
    return NULL;
}

struct gw_check *gw_punch_answered(struct gw_punch *punch, struct gw_mono now,
                                   const uint8_t nonce[GW_CHECK_NONCE_LEN])
{
    for (unsigned i = 0; i < punch->count; i++) {
        struct gw_check *check = &punch->checks[i];
        if (check->tries == 0 || check->state != GW_CHECK_RUNNING ||
            memcmp(check->nonce, nonce, GW_CHECK_NONCE_LEN) != 0)
            continue;
        check->state = GW_CHECK_PROVEN;
        check->answered = now;
        check->rtt_ns =
            gw_mono_sub(now, check->last_sent); /* or of one before: the path is measured again in use */
        check->next = GW_NEVER;
        check->error = 0;
        punch->predict_at = GW_NEVER;
        if (!punch->has_proven)
            punch->ends = gw_mono_min(punch->ends, gw_mono_add(now, GW_PUNCH_SETTLE_NS));
        punch->has_proven = true;
        return check;
    }
    return NULL;
}

void gw_punch_send_failed(struct gw_punch *punch, const struct gw_addr *addr, int err)
{
    struct gw_check *check = find(punch, addr);
    if (check)
        check->error = err;
}

bool gw_punch_expire(struct gw_punch *punch, struct gw_mono now)
{
    if (!punch->is_running || !gw_mono_due(punch->ends, now))
        return false;
    gw_punch_end(punch);
    return true;
}

struct gw_mono gw_punch_next_deadline(const struct gw_punch *punch)
{
    struct gw_mono next = gw_mono_min(punch->ends, punch->predict_at);
    for (unsigned i = 0; punch->is_running && i < punch->count; i++)
        next = gw_mono_min(next, punch->checks[i].next);
    return next;
}

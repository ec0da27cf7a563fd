/* SPDX-License-Identifier: MIT */
/* Candidates and the checks of an attempt; see punch.h. */
#include "gateway/punch/punch.h"

#include <stdlib.h>
#include <string.h>

#define REFLEXIVE_MAX 4u
#define FIRST_INTERVAL_NS GW_MS(50) /* doubling */
#define LAST_INTERVAL_NS GW_MS(800)

const char *const gw_check_state_names[4] = {"waiting", "running", "answered", "silent"};

void gw_punch_init(struct gw_punch *punch)
{
    memset(punch, 0, sizeof *punch);
    punch->began = punch->ends = punch->predict_at = GW_NEVER;
    punch->search.next = GW_NEVER;
}

void gw_punch_fini(struct gw_punch *punch)
{
    free(punch->checks);
    gw_punch_init(punch);
}

static struct gw_check *find(const struct gw_punch *punch, const struct gw_addr *addr, uint32_t link)
{
    for (unsigned i = 0; i < punch->count; i++) {
        if (gw_addr_equal(&punch->checks[i].remote.addr, addr) && punch->checks[i].link == link)
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

static bool has_answered(const struct gw_check *check)
{
    return !gw_mono_is_never(check->answered);
}

static void remove_at(struct gw_punch *punch, unsigned i)
{
    memmove(&punch->checks[i], &punch->checks[i + 1], (punch->count - i - 1) * sizeof punch->checks[0]);
    punch->count--;
}

/* Only so many places where the peer's checks seem to come from: the oldest that never answered makes room. */
static bool limit_reflexive(struct gw_punch *punch)
{
    unsigned count = 0, oldest = punch->count;
    for (unsigned i = punch->count; i-- > 0;) {
        if (!punch->checks[i].is_reflexive)
            continue;
        count++;
        if (!has_answered(&punch->checks[i]) && punch->checks[i].state != GW_CHECK_RUNNING)
            oldest = i;
    }
    if (count < REFLEXIVE_MAX)
        return true;
    if (oldest == punch->count)
        return false;
    remove_at(punch, oldest);
    return true;
}

static bool grow(struct gw_punch *punch)
{
    unsigned capacity = punch->capacity ? 2 * punch->capacity : 8;
    if (capacity > GW_CHECKS_MAX)
        capacity = GW_CHECKS_MAX;
    struct gw_check *checks = realloc(punch->checks, capacity * sizeof *checks);
    if (!checks)
        return false;
    punch->checks = checks;
    punch->capacity = capacity;
    return true;
}

/* A new place at the end: room is made by the first that never answered, else by the first. NULL without memory for any. */
static struct gw_check *make_room(struct gw_punch *punch)
{
    if (punch->count < punch->capacity || (punch->capacity < GW_CHECKS_MAX && grow(punch)))
        return &punch->checks[punch->count++];
    if (punch->count == 0)
        return NULL;
    unsigned oldest = 0;
    while (oldest < punch->count && has_answered(&punch->checks[oldest]))
        oldest++;
    remove_at(punch, oldest < punch->count ? oldest : 0);
    return &punch->checks[punch->count++];
}

/* Named again: it counts among the last named. */
static void move_to_end(struct gw_punch *punch, struct gw_check *check)
{
    struct gw_check moved = *check;
    remove_at(punch, (unsigned)(check - punch->checks));
    punch->checks[punch->count++] = moved;
}

bool gw_punch_add(struct gw_punch *punch, struct gw_mono now, const struct gw_candidate *candidate,
                  uint32_t link, bool is_reflexive, struct gw_random *random)
{
    struct gw_check *check = find(punch, &candidate->addr, link);
    if (check) {
        if (check->is_reflexive && !is_reflexive)
            check->remote.kind = candidate->kind;
        check->is_reflexive &= is_reflexive;
        check->is_predicted &= is_reflexive;
        if (!is_reflexive)
            move_to_end(punch, check);
        return false;
    }
    if ((is_reflexive && !limit_reflexive(punch)) || !(check = make_room(punch)))
        return false;
    *check = (struct gw_check){.remote = *candidate,
                               .link = link,
                               .is_reflexive = is_reflexive,
                               .next = GW_NEVER,
                               .last_sent = GW_NEVER,
                               .answered = GW_NEVER};
    if (punch->is_running)
        start(check, gw_mono_max(now, punch->began), random);
    return true;
}

bool gw_punch_knows(const struct gw_punch *punch, const struct gw_addr *addr)
{
    return find(punch, addr, GW_LINK_PRIMARY) != NULL;
}

void gw_punch_forget(struct gw_punch *punch, const struct gw_addr *addr)
{
    for (unsigned i = punch->count; i-- > 0;) {
        if (gw_addr_equal(&punch->checks[i].remote.addr, addr))
            remove_at(punch, i);
    }
}

/* ---- predicted ports */

static void forget_predicted(struct gw_punch *punch)
{
    for (unsigned i = punch->count; i-- > 0;) {
        if (punch->checks[i].is_predicted && gw_mono_is_never(punch->checks[i].answered))
            remove_at(punch, i);
    }
}

static void add_predicted(struct gw_punch *punch, struct gw_mono at, struct gw_addr addr, int port,
                          struct gw_random *random)
{
    struct gw_candidate next = {addr, GW_CANDIDATE_OBSERVED};
    next.addr.port = (uint16_t)port;
    if (port > 0 && port <= 65535 && gw_punch_add(punch, at, &next, GW_LINK_PRIMARY, false, random))
        punch->checks[punch->count - 1].is_predicted = true;
}

/* What follows on `addr`, one step after the other. */
static void predict_row(struct gw_punch *punch, struct gw_mono at, const struct gw_addr *addr, int step,
                        int count, struct gw_random *random)
{
    for (int j = 1; j <= count; j++)
        add_predicted(punch, at, *addr, addr->port + step * (punch->is_downwards ? count + 1 - j : j),
                      random);
}

/* A NAT that gives each destination a port of its own, in a row, has seen us as the next ones after that which an anchor saw. */
static void predict(struct gw_punch *punch, struct gw_mono now, struct gw_random *random)
{
    struct gw_addr seen[GW_CHECKS_AT_ONCE];
    unsigned count = 0;
    punch->predict_at = GW_NEVER;
    for (unsigned i = 0; i < punch->count && count < GW_CHECKS_AT_ONCE; i++) {
        const struct gw_check *check = &punch->checks[i];
        if (check->remote.kind == GW_CANDIDATE_OBSERVED && !check->is_reflexive && !check->is_predicted &&
            check->remote.addr.family == 4 && check->state == GW_CHECK_RUNNING)
            seen[count++] = check->remote.addr;
    }
    for (unsigned i = 0; i < count; i++)
        predict_row(punch, now, &seen[i], 1, GW_PREDICTED, random);
}

/* ---- an attempt */

/* Those that once answered, and of the others the last named. */
static void start_checks(struct gw_punch *punch, struct gw_mono at, struct gw_random *random)
{
    unsigned left = GW_CHECKS_AT_ONCE;
    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = punch->count; i-- > 0 && left > 0;) {
            struct gw_check *check = &punch->checks[i];
            if (has_answered(check) != (pass == 0))
                continue;
            start(check, at, random);
            left--;
        }
    }
}

void gw_punch_begin(struct gw_punch *punch, const struct gw_punch_plan *plan, struct gw_random *random)
{
    bool is_row = gw_addr_is_set(&plan->last) && plan->step != 0;
    struct gw_mono others = plan->start;
    gw_punch_end(punch);
    forget_predicted(punch);
    if (is_row && plan->is_counted)
        others = gw_mono_add(others, GW_PREDICTED_ALONE_NS);
    punch->is_running = true;
    punch->is_downwards = plan->is_downwards;
    punch->has_proven = false;
    punch->began = plan->start;
    punch->ends = gw_mono_add(plan->start, plan->timeout_ns);
    punch->attempts++;
    start_checks(punch, others, random);
    if (is_row)
        predict_row(punch, plan->start, &plan->last, plan->step,
                    (int)(plan->count ? plan->count : GW_PREDICTED), random);
    else if (plan->foretells)
        punch->predict_at = gw_mono_add(plan->start, GW_PREDICT_AFTER_NS);
    if (plan->search)
        gw_search_begin(&punch->search, plan->search, plan->start, random);
}

void gw_punch_end(struct gw_punch *punch)
{
    punch->is_running = false;
    punch->ends = punch->predict_at = GW_NEVER;
    gw_search_end(&punch->search);
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

bool gw_punch_take(struct gw_punch *punch, struct gw_mono now, struct gw_random *random,
                   struct gw_punch_packet *out)
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
        *out = (struct gw_punch_packet){.to = check->remote.addr, .link = check->link};
        memcpy(out->nonce, check->nonce, sizeof out->nonce);
        return true;
    }
    if (!punch->is_running || !gw_search_take(&punch->search, now, &out->to, &out->link))
        return false;
    memcpy(out->nonce, punch->search.nonce, sizeof out->nonce);
    return true;
}

static struct gw_check *proven(struct gw_punch *punch, struct gw_check *check, struct gw_mono now)
{
    check->state = GW_CHECK_PROVEN;
    check->answered = now;
    check->rtt_ns =
        gw_mono_sub(now, check->last_sent); /* or of one before: the path is measured again in use */
    check->next = GW_NEVER;
    check->error = 0;
    punch->predict_at = GW_NEVER;
    gw_search_end(&punch->search);
    if (!punch->has_proven)
        punch->ends = gw_mono_min(punch->ends, gw_mono_add(now, GW_PUNCH_SETTLE_NS));
    punch->has_proven = true;
    return check;
}

struct gw_check *gw_punch_answered(struct gw_punch *punch, struct gw_mono now, const uint8_t *nonce,
                                   size_t len, const struct gw_tuple *from, struct gw_random *random)
{
    for (unsigned i = 0; i < punch->count; i++) {
        struct gw_check *check = &punch->checks[i];
        if (check->tries > 0 && check->state == GW_CHECK_RUNNING && memcmp(check->nonce, nonce, len) == 0)
            return proven(punch, check, now);
    }
    if (punch->search.is_on && punch->search.sent > 0 && memcmp(punch->search.nonce, nonce, len) == 0 &&
        gw_candidate_is_usable(&from->remote)) {
        struct gw_candidate found = {from->remote, GW_CANDIDATE_OBSERVED};
        gw_punch_add(punch, now, &found, from->link, true, random);
    }
    return NULL;
}

void gw_punch_send_failed(struct gw_punch *punch, const struct gw_addr *addr, int err)
{
    struct gw_check *check = find(punch, addr, GW_LINK_PRIMARY);
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
    next = gw_mono_min(next, punch->search.next);
    for (unsigned i = 0; punch->is_running && i < punch->count; i++)
        next = gw_mono_min(next, punch->checks[i].next);
    return next;
}

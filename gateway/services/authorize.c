/* SPDX-License-Identifier: MIT */
#include "gateway/services/authorize.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A copy: the grants, then the names that they point to. Sorted by key, so that all grants of a peer are neighbours. */
struct gw_grants {
    size_t count;
    struct gw_grant *grants;
    bool has_expiry;
};

const char *const gw_verdict_sentences[] = {
    [GW_VERDICT_ALLOWED] = "is allowed",
    [GW_VERDICT_UNKNOWN_KEY] = "is not in the list of authorized keys",
    [GW_VERDICT_EXPIRED] = "has a right that has expired",
    [GW_VERDICT_REVOKED] = "has had its right revoked",
    [GW_VERDICT_NOT_THIS_SERVICE] = "is not authorized for this service",
};
static_assert(sizeof gw_verdict_sentences / sizeof gw_verdict_sentences[0] == GW_VERDICT_NOT_THIS_SERVICE + 1,
              "every verdict has a sentence");

static int compare(const void *a, const void *b)
{
    const struct gw_grant *x = a, *y = b;
    return memcmp(x->public_key, y->public_key, sizeof x->public_key);
}

static void free_names(const char *const *names)
{
    if (!names)
        return;
    for (const char *const *at = names; *at; at++)
        free((char *)(uintptr_t)*at);
    free((void *)(uintptr_t)names);
}

static const char *const *copy_names(const char *const *names)
{
    size_t count = 0;
    while (names[count])
        count++;
    char **copy = calloc(count + 1, sizeof *copy);
    if (!copy)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        copy[i] = strdup(names[i]);
        if (!copy[i]) {
            free_names((const char *const *)copy);
            return NULL;
        }
    }
    return (const char *const *)copy;
}

struct gw_grants *gw_grants_new(const struct gw_grant *grants, size_t count)
{
    struct gw_grants *copy = calloc(1, sizeof *copy);
    if (!copy)
        return NULL;
    copy->grants = calloc(count ? count : 1, sizeof *copy->grants);
    if (!copy->grants) {
        free(copy);
        return NULL;
    }
    for (; copy->count < count; copy->count++) {
        struct gw_grant *grant = &copy->grants[copy->count];
        *grant = grants[copy->count];
        copy->has_expiry |= grant->has_expiry;
        if (grant->services && !(grant->services = copy_names(grant->services))) {
            gw_grants_free(copy);
            return NULL;
        }
    }
    qsort(copy->grants, copy->count, sizeof *copy->grants, compare);
    return copy;
}

struct gw_grants *gw_grants_copy(const struct gw_grants *grants)
{
    return gw_grants_new(grants->grants, grants->count);
}

void gw_grants_free(struct gw_grants *grants)
{
    if (!grants)
        return;
    for (size_t i = 0; i < grants->count; i++)
        free_names(grants->grants[i].services);
    free(grants->grants);
    free(grants);
}

size_t gw_grants_count(const struct gw_grants *grants)
{
    return grants->count;
}

bool gw_grants_have_expiry(const struct gw_grants *grants)
{
    return grants && grants->has_expiry;
}

/* The first grant of the key; *count of them. */
static const struct gw_grant *find(const struct gw_grants *grants, const uint8_t public_key[GW_KEY_LEN],
                                   size_t *count)
{
    struct gw_grant key;
    *count = 0;
    if (!grants)
        return NULL;
    memcpy(key.public_key, public_key, sizeof key.public_key);
    const struct gw_grant *found = bsearch(&key, grants->grants, grants->count, sizeof key, compare);
    if (!found)
        return NULL;
    const struct gw_grant *end = grants->grants + grants->count;
    while (found > grants->grants && compare(found - 1, &key) == 0)
        found--;
    while (found + *count < end && compare(found + *count, &key) == 0)
        ++*count;
    return found;
}

static bool is_expired(const struct gw_grant *grant, struct gw_wall now)
{
    if (!grant->has_expiry)
        return false;
    return now.s > grant->expires.s || (now.s == grant->expires.s && now.ns >= grant->expires.ns);
}

static bool names_service(const struct gw_grant *grant, const char *service)
{
    if (!grant->services)
        return true;
    for (const char *const *name = grant->services; *name; name++) {
        if (strcasecmp(*name, service) == 0)
            return true;
    }
    return false;
}

/* One grant's answer; service NULL = for a session. */
static enum gw_verdict judge(const struct gw_grant *grant, const char *service, struct gw_wall now)
{
    if (grant->is_revoked)
        return GW_VERDICT_REVOKED;
    if (grant->is_void)
        return service ? GW_VERDICT_NOT_THIS_SERVICE : GW_VERDICT_UNKNOWN_KEY;
    if (is_expired(grant, now))
        return GW_VERDICT_EXPIRED;
    return !service || names_service(grant, service) ? GW_VERDICT_ALLOWED : GW_VERDICT_NOT_THIS_SERVICE;
}

/* How much a verdict says for the peer: what was nearest to a yes is what the log shows. */
static int rank(enum gw_verdict verdict)
{
    static const int ranks[] = {[GW_VERDICT_UNKNOWN_KEY] = 0,
                                [GW_VERDICT_NOT_THIS_SERVICE] = 1,
                                [GW_VERDICT_EXPIRED] = 2,
                                [GW_VERDICT_ALLOWED] = 3,
                                [GW_VERDICT_REVOKED] = 4};
    return ranks[verdict];
}

static enum gw_verdict judge_all(const struct gw_grants *grants, const char *service,
                                 const uint8_t public_key[GW_KEY_LEN], struct gw_wall now)
{
    size_t count;
    const struct gw_grant *grant = find(grants, public_key, &count);
    enum gw_verdict best = GW_VERDICT_UNKNOWN_KEY;
    bool has_line = false; /* for a session, one that cannot be read says nothing */
    for (size_t i = 0; i < count; i++)
        has_line |= !grant[i].is_peer && (service || !grant[i].is_void);
    for (size_t i = 0; i < count; i++) {
        if (grant[i].is_peer && has_line)
            continue;
        enum gw_verdict verdict = judge(&grant[i], service, now);
        if (rank(verdict) > rank(best))
            best = verdict;
    }
    return best;
}

enum gw_verdict gw_authorize_session(const struct gw_grants *global, const uint8_t public_key[GW_KEY_LEN],
                                     struct gw_wall now)
{
    return judge_all(global, NULL, public_key, now);
}

enum gw_verdict gw_authorize_service(const struct gw_grants *global, const struct gw_grants *own,
                                     const char *service, const uint8_t public_key[GW_KEY_LEN],
                                     struct gw_wall now)
{
    return judge_all(own ? own : global, service, public_key, now);
}

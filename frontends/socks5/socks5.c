/* SPDX-License-Identifier: MIT */
/* The front-end as a whole: its listeners, its clients, its timeouts, and how it is changed while it runs. */
#include "frontends/socks5/socks5.h"

#include "frontends/socks5/private.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CLIENTS 16384u
#define HANDSHAKE_TIMEOUT GW_S(10)
#define TICK_MS 250
#define TELL_RATE 5.0
#define TELL_BURST 50.0

bool socks5_may_tell(struct gw_socks5 *socks5, struct gw_mono now)
{
    return gw_bucket_take(&socks5->told, TELL_RATE, TELL_BURST, 1, now);
}

/* ---- timeouts */

static bool is_waiting(const struct gw_socks5 *socks5)
{
    return !gw_list_is_empty(&socks5->handshaking) || !gw_list_is_empty(&socks5->opening);
}

void socks5_arm_tick(struct gw_socks5 *socks5)
{
    struct timeval tv = {.tv_usec = TICK_MS * 1000};
    if (!socks5->is_ticking && is_waiting(socks5))
        socks5->is_ticking = evtimer_add(&socks5->tick, &tv) == 0;
}

/* The session at the head, if its time is over. */
static struct session *overdue(const struct gw_list *list, int64_t timeout_ns, struct gw_mono now)
{
    if (gw_list_is_empty(list))
        return NULL;
    struct session *session = gw_list_entry(list->next, struct session, link);
    return gw_mono_sub(now, session->since) >= timeout_ns ? session : NULL;
}

static void give_up(struct session *session, struct gw_mono now, enum gw_outcome outcome)
{
    if (session->state == SESSION_OPENING)
        gw_splice_unbridge(session->splice, now, GW_REASON_CANCELLED);
    session_refuse(session, now, outcome);
}

/* Those that wait for what will not happen. Many wait for one peer, and it is asked about once for those in a row. */
static void give_up_hopeless(struct gw_socks5 *socks5, struct gw_mono now)
{
    struct gw_peer *last = NULL;
    bool is_hopeless = false;
    gw_list_for_each (node, &socks5->opening) {
        struct session *session = gw_list_entry(node, struct session, link);
        struct gw_peer *peer = session->state == SESSION_OPENING ? session->opening->flow_peer : NULL;
        struct gw_hindrance hindrance;
        if (peer != last)
            is_hopeless = gw_frontend_hindered(socks5->frontend, peer, &hindrance, now) && hindrance.is_final;
        last = peer;
        if (peer && is_hopeless)
            give_up(session, now, GW_OUTCOME_UNREACHABLE);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct gw_socks5 *socks5 = arg;
    struct gw_mono now = gw_loop_now(socks5->frontend->loop);
    struct session *session;
    (void)fd, (void)what;
    socks5->is_ticking = false;
    while ((session = overdue(&socks5->handshaking, socks5->handshake_timeout_ns, now))) {
        socks5->stats.timed_out++;
        session_close(session, now);
    }
    while ((session = overdue(&socks5->opening, socks5->dial_timeout_ns, now)))
        give_up(session, now, GW_OUTCOME_TIMED_OUT);
    give_up_hopeless(socks5, now);
    socks5_arm_tick(socks5);
}

/* ---- listeners */

static void on_client(struct gw_listener *listener, int fd, struct gw_mono now, void *user)
{
    struct gw_socks5 *socks5 = user;
    char where[GW_TARGET_STRLEN];
    if (socks5->stats.clients_open < socks5->max_clients) {
        session_new(socks5, fd, now);
        return;
    }
    close(fd);
    if (socks5_may_tell(socks5, now))
        gw_log_warn("%s: a client is turned away: %u are connected",
                    gw_target_log(gw_listener_target(listener), where), socks5->stats.clients_open);
}

/* A listener that runs already for what is asked for, or NULL. */
static struct gw_listener *find_listener(const struct gw_socks5 *socks5, const struct gw_target *target)
{
    for (size_t i = 0; i < socks5->listen_count; i++) {
        if (gw_target_equal(&socks5->listen[i], target))
            return socks5->listeners[i];
    }
    return NULL;
}

static void free_new_listeners(const struct gw_socks5 *socks5, struct gw_listener **listeners,
                               const struct gw_target *listen, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (find_listener(socks5, &listen[i]) != listeners[i])
            gw_listener_free(listeners[i]);
    }
}

/* Keeps those that stay, opens the new ones, into listeners[0..count). */
static int open_listeners(struct gw_socks5 *socks5, const struct gw_socks5_params *params,
                          struct gw_listener **listeners, size_t *bad)
{
    for (size_t i = 0; i < params->listen_count; i++) {
        struct gw_listener_params listener = {.loop = params->frontend->loop,
                                              .target = &params->listen[i],
                                              .mode = params->mode,
                                              .on_client = on_client,
                                              .user = socks5};
        listeners[i] = find_listener(socks5, &params->listen[i]);
        int err = listeners[i] ? 0 : gw_listener_new(&listeners[i], &listener);
        if (err) {
            *bad = i;
            free_new_listeners(socks5, listeners, params->listen, i);
            return err;
        }
    }
    return 0;
}

static void close_old_listeners(struct gw_socks5 *socks5, struct gw_listener **kept, size_t kept_count)
{
    for (size_t i = 0; i < socks5->listen_count; i++) {
        bool is_kept = false;
        for (size_t j = 0; j < kept_count; j++)
            is_kept |= kept[j] == socks5->listeners[i];
        if (!is_kept)
            gw_listener_free(socks5->listeners[i]);
    }
    free(socks5->listeners);
    free(socks5->listen);
}

/* ---- parameters */

/* What a set of parameters becomes, before any of it is used. */
struct prepared {
    struct gw_auth *auth;
    struct gw_rule *allow, *deny;
    struct gw_target *listen;
    struct gw_listener **listeners;
};

static void *copy_of(const void *items, size_t count, size_t size, bool *ok)
{
    void *copy = calloc(count ? count : 1, size);
    *ok &= copy != NULL;
    if (copy && count > 0)
        memcpy(copy, items, count * size);
    return copy;
}

static void free_prepared(struct prepared *prepared)
{
    gw_auth_put(prepared->auth);
    free(prepared->allow);
    free(prepared->deny);
    free(prepared->listen);
    free(prepared->listeners);
}

static int prepare(struct prepared *out, const struct gw_socks5_params *params)
{
    static const struct gw_policy nothing;
    const struct gw_policy *policy = params->policy ? params->policy : &nothing;
    bool ok = true;
    *out = (struct prepared){0};
    int err = gw_auth_new(&out->auth, params->users, params->user_count);
    if (err)
        return err;
    out->allow = copy_of(policy->allow, policy->allow_count, sizeof *policy->allow, &ok);
    out->deny = copy_of(policy->deny, policy->deny_count, sizeof *policy->deny, &ok);
    out->listen = copy_of(params->listen, params->listen_count, sizeof *params->listen, &ok);
    out->listeners = calloc(params->listen_count ? params->listen_count : 1, sizeof(struct gw_listener *));
    if (ok && out->listeners)
        return 0;
    free_prepared(out);
    return GW_E_NOMEM;
}

static void drop_parameters(struct gw_socks5 *socks5)
{
    gw_auth_put(socks5->auth);
    free((void *)(uintptr_t)socks5->policy.allow);
    free((void *)(uintptr_t)socks5->policy.deny);
}

static void warn_if_open(const struct gw_socks5 *socks5)
{
    char where[GW_TARGET_STRLEN];
    for (size_t i = 0; i < socks5->listen_count; i++) {
        const struct gw_target *target = gw_listener_target(socks5->listeners[i]);
        if (target->kind == GW_TARGET_ADDR && !gw_addr_is_loopback(&target->addr) &&
            !gw_auth_is_needed(socks5->auth))
            gw_log_warn(
                "the proxy at %s is open to everybody who can reach it: set socks.users, or listen on 127.0.0.1",
                gw_target_log(target, where));
    }
}

static void set_modes(struct gw_socks5 *socks5, unsigned mode)
{
    char where[GW_TARGET_STRLEN];
    for (size_t i = 0; i < socks5->listen_count; i++) {
        int err = gw_listener_set_mode(socks5->listeners[i], mode);
        if (err)
            gw_log_warn("the proxy at %s keeps its file mode: %s",
                        gw_target_log(gw_listener_target(socks5->listeners[i]), where), gw_strerror(err));
    }
}

static void use(struct gw_socks5 *socks5, const struct gw_socks5_params *params,
                const struct prepared *prepared)
{
    bool is_direct = params->policy && params->policy->is_direct;
    drop_parameters(socks5);
    close_old_listeners(socks5, prepared->listeners, params->listen_count);
    socks5->frontend = params->frontend;
    socks5->auth = prepared->auth;
    socks5->policy = (struct gw_policy){.is_direct = is_direct,
                                        .allow = prepared->allow,
                                        .deny = prepared->deny,
                                        .allow_count = params->policy ? params->policy->allow_count : 0,
                                        .deny_count = params->policy ? params->policy->deny_count : 0};
    socks5->listen = prepared->listen;
    socks5->listeners = prepared->listeners;
    socks5->listen_count = params->listen_count;
    socks5->no_http = params->no_http;
    socks5->max_clients = params->max_clients ? params->max_clients : MAX_CLIENTS;
    socks5->handshake_timeout_ns =
        params->handshake_timeout_ns ? params->handshake_timeout_ns : HANDSHAKE_TIMEOUT;
    socks5->dial_timeout_ns =
        params->dial_timeout_ns ? params->dial_timeout_ns : gw_frontend_opening_timeout(params->frontend);
    set_modes(socks5, params->mode);
    warn_if_open(socks5);
}

int gw_socks5_update(struct gw_socks5 *socks5, const struct gw_socks5_params *params, size_t *bad)
{
    struct prepared prepared;
    *bad = 0;
    int err = prepare(&prepared, params);
    if (err)
        return err;
    err = open_listeners(socks5, params, prepared.listeners, bad);
    if (err) {
        free_prepared(&prepared);
        return err;
    }
    use(socks5, params, &prepared);
    return 0;
}

/* ---- life */

int gw_socks5_new(struct gw_socks5 **out, const struct gw_socks5_params *params, size_t *bad)
{
    struct gw_socks5 *socks5 = calloc(1, sizeof *socks5);
    if (!socks5)
        return GW_E_NOMEM;
    socks5->frontend = params->frontend;
    gw_list_init(&socks5->handshaking);
    gw_list_init(&socks5->opening);
    gw_list_init(&socks5->open);
    gw_bucket_init(&socks5->told, TELL_BURST, gw_loop_now(params->frontend->loop));
    evtimer_assign(&socks5->tick, gw_loop_base(params->frontend->loop), on_tick, socks5);
    int err = gw_socks5_update(socks5, params, bad);
    if (err) {
        free(socks5);
        return err;
    }
    *out = socks5;
    return 0;
}

static void close_all(struct gw_list *list, struct gw_mono now)
{
    while (!gw_list_is_empty(list))
        session_close(gw_list_entry(list->next, struct session, link), now);
}

void gw_socks5_free(struct gw_socks5 *socks5, struct gw_mono now)
{
    if (!socks5)
        return;
    close_old_listeners(socks5, NULL, 0);
    close_all(&socks5->handshaking, now);
    close_all(&socks5->opening, now);
    close_all(&socks5->open, now);
    event_del(&socks5->tick);
    drop_parameters(socks5);
    free(socks5);
}

size_t gw_socks5_listen_count(const struct gw_socks5 *socks5)
{
    return socks5->listen_count;
}

const struct gw_target *gw_socks5_listen_target(const struct gw_socks5 *socks5, size_t index)
{
    return gw_listener_target(socks5->listeners[index]);
}

void gw_socks5_stats(const struct gw_socks5 *socks5, struct gw_socks5_stats *out)
{
    *out = socks5->stats;
}

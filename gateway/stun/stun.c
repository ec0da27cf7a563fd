/* SPDX-License-Identifier: MIT */
/* The servers and when they are asked. A measurement is good for the mapping that it was made with: it is made anew when that changes. */
#include "gateway/stun/stun.h"

#include "gateway/base/err.h"
#include "gateway/base/list.h"
#include "gateway/base/log.h"
#include "gateway/wire/candidate.h"

#include <stdlib.h>
#include <string.h>

#define FAMILIES 2u
#define FRESH_TRIES 2u /* of a request that began less than 1.5 s ago */

const char *const gw_stun_state_names[GW_STUN_STATES] = {"asking", "answers", "silent"};

struct server {
    struct gw_addr addr, mapped, local, other;
    enum gw_stun_state state;
    struct gw_stun_request request;
    struct gw_mono at; /* the next request, when none is under way */
    int64_t retry_ns, rtt_ns;
};

struct gw_stun {
    struct gw_stun_params params;
    struct gw_deadline deadline;
    struct server servers[GW_STUN_SERVERS_MAX];
    unsigned count;
    struct gw_stun_measure measures[FAMILIES]; /* IPv4, IPv6 */
};

static struct gw_stun_measure *measure_of(struct gw_stun *stun, uint8_t family)
{
    return &stun->measures[family == 6];
}

static struct gw_mono next_of(const struct server *server)
{
    return server->request.is_running ? server->request.next : server->at;
}

/* What is due already is left out where `after` says so: gw_stun_output takes it, in the same turn, or when the socket has room again. */
static void rearm(struct gw_stun *stun, struct gw_mono after)
{
    struct gw_mono next = GW_NEVER;
    for (unsigned i = 0; i < stun->count; i++) {
        struct gw_mono at = next_of(&stun->servers[i]);
        if (!gw_mono_due(at, after))
            next = gw_mono_min(next, at);
    }
    for (unsigned i = 0; i < FAMILIES; i++) {
        for (unsigned k = 0; k < GW_STUN_MEASURE_REQUESTS; k++) {
            struct gw_mono at = stun->measures[i].requests[k].next;
            if (!gw_mono_due(at, after))
                next = gw_mono_min(next, at);
        }
    }
    gw_deadline_arm(stun->params.deadlines, &stun->deadline, next);
}

static void rearm_all(struct gw_stun *stun)
{
    rearm(stun, (struct gw_mono){INT64_MIN});
}

/* ---- asking */

static void ask(struct gw_stun *stun, struct server *server, struct gw_mono now)
{
    gw_stun_request_begin(&server->request, now, stun->params.random, &server->addr, &gw_stun_pace_standard);
}

static void silent(struct server *server, struct gw_mono now)
{
    char text[GW_ADDR_STRLEN];
    if (server->state != GW_STUN_SILENT)
        gw_log_info("STUN server %s does not answer", gw_addr_log(&server->addr, text));
    server->state = GW_STUN_SILENT;
    server->mapped = (struct gw_addr){.family = 0};
    server->at = gw_mono_add(now, server->retry_ns);
    server->retry_ns *= 2;
    if (server->retry_ns > GW_STUN_RETRY_MAX_NS)
        server->retry_ns = GW_STUN_RETRY_MAX_NS;
}

static void log_measured(const struct gw_stun_measure *measure)
{
    const struct gw_stun_behaviour *found = &measure->result;
    gw_log_info("%s, IPv%u: mapping %s, filtering %s, hairpin %s", found->is_nat ? "NAT" : "no NAT",
                measure->mapped.family, gw_stun_rule_names[found->mapping],
                gw_stun_rule_names[found->filtering], found->has_hairpin ? "yes" : "no");
}

static void expire_measures(struct gw_stun *stun, struct gw_mono now)
{
    for (unsigned i = 0; i < FAMILIES; i++) {
        if (gw_stun_measure_expire(&stun->measures[i], now, stun->params.random))
            log_measured(&stun->measures[i]);
    }
}

static void on_deadline(struct gw_deadline *deadline, struct gw_mono now)
{
    struct gw_stun *stun = gw_container_of(deadline, struct gw_stun, deadline);
    bool is_lost = false;
    for (unsigned i = 0; i < stun->count; i++) {
        struct server *server = &stun->servers[i];
        if (gw_stun_request_expire(&server->request, now)) {
            is_lost |= gw_addr_is_set(&server->mapped);
            silent(server, now);
        } else if (!server->request.is_running && gw_mono_due(server->at, now)) {
            ask(stun, server, now);
        }
    }
    expire_measures(stun, now);
    rearm(stun, now);
    if (is_lost)
        stun->params.on_observed(now, stun->params.ctx);
}

void gw_stun_ask(struct gw_stun *stun, struct gw_mono now)
{
    for (unsigned i = 0; i < stun->count; i++) {
        struct server *server = &stun->servers[i];
        bool has_just_begun = server->request.is_running && server->request.tries <= FRESH_TRIES;
        server->retry_ns = GW_STUN_RETRY_NS;
        if (!has_just_begun) /* it is sent again soon, by whatever way there is then */
            ask(stun, server, now);
    }
    rearm_all(stun);
}

static bool take(struct gw_stun_request *request, struct gw_mono now, struct gw_train *train)
{
    size_t len = gw_stun_request_take(request, now, train->slab);
    if (len == 0)
        return false;
    train->tuple = (struct gw_tuple){.remote = request->to, .link = GW_LINK_PRIMARY};
    train->count = 1;
    train->stride = train->last_len = (uint16_t)len;
    train->ecn = 0;
    return true;
}

bool gw_stun_output(struct gw_stun *stun, struct gw_mono now, struct gw_train *train)
{
    bool is_taken = false;
    for (unsigned i = 0; i < stun->count && !is_taken; i++)
        is_taken = take(&stun->servers[i].request, now, train);
    for (unsigned i = 0; i < FAMILIES && !is_taken; i++) {
        for (unsigned k = 0; k < GW_STUN_MEASURE_REQUESTS && !is_taken; k++)
            is_taken = take(&stun->measures[i].requests[k], now, train);
    }
    if (is_taken)
        rearm_all(stun);
    return is_taken;
}

/* ---- answers */

/* Another IP and another port, and none that nobody should be sent to. */
static bool can_measure(const struct server *server)
{
    return gw_candidate_is_usable(&server->other) && server->other.family == server->addr.family &&
           !gw_addr_same_ip(&server->other, &server->addr) && server->other.port != server->addr.port;
}

static void measure(struct gw_stun *stun, const struct server *server, struct gw_mono now)
{
    struct gw_stun_measure *measure = measure_of(stun, server->addr.family);
    bool is_known = !gw_mono_is_never(measure->result.measured) || measure->step != GW_STUN_MEASURE_IDLE;
    if (!can_measure(server) || (is_known && gw_addr_equal(&measure->mapped, &server->mapped)))
        return;
    /* One server measures; another that is seen differently, as a NAT with a mapping for each has it, does not begin it anew. */
    if (is_known && !gw_addr_equal(&measure->server, &server->addr))
        return;
    gw_stun_measure_begin(measure, now, stun->params.random, &server->addr, &server->other, &server->mapped,
                          &server->local);
}

static void answered(struct gw_stun *stun, struct server *server, const struct gw_tuple *tuple,
                     const struct gw_stun_message *message, struct gw_mono now)
{
    char text[GW_ADDR_STRLEN];
    bool is_usable = message->type == GW_STUN_SUCCESS && gw_candidate_is_usable(&message->mapped) &&
                     message->mapped.family == server->addr.family;
    bool is_once = server->request.tries == 1; /* else it may be the answer to an earlier one */
    bool has_changed = is_usable && !gw_addr_equal(&server->mapped, &message->mapped);
    if (is_once)
        server->rtt_ns = gw_mono_sub(now, server->request.sent);
    gw_stun_request_end(&server->request);
    if (!is_usable) {
        gw_log_debug("STUN server %s: no address in its answer (error %u)", gw_addr_log(&server->addr, text),
                     message->error);
        silent(server, now);
        return;
    }
    server->state = GW_STUN_ANSWERS;
    server->mapped = message->mapped;
    server->local = tuple->local;
    server->other = message->other;
    server->retry_ns = GW_STUN_RETRY_NS;
    server->at = gw_mono_add(now, GW_STUN_REFRESH_NS);
    measure(stun, server, now);
    if (!has_changed)
        return;
    gw_log_debug("a STUN server sees us at %s", gw_addr_log(&server->mapped, text));
    stun->params.on_observed(now, stun->params.ctx);
}

static struct server *server_of(struct gw_stun *stun, const struct gw_tuple *tuple,
                                const struct gw_stun_message *message)
{
    for (unsigned i = 0; i < stun->count; i++) {
        struct server *server = &stun->servers[i];
        if (message->type != GW_STUN_REQUEST && gw_stun_request_is(&server->request, message->id) &&
            gw_addr_equal(&tuple->remote, &server->addr))
            return server;
    }
    return NULL;
}

bool gw_stun_input(struct gw_stun *stun, struct gw_mono now, const struct gw_tuple *tuple,
                   const uint8_t *datagram, size_t len)
{
    struct gw_stun_message message;
    if (gw_stun_decode(&message, datagram, len) != 0)
        return false;
    struct server *server = server_of(stun, tuple, &message);
    bool is_ours = server != NULL;
    if (server)
        answered(stun, server, tuple, &message, now);
    for (unsigned i = 0; i < FAMILIES && !is_ours; i++)
        is_ours = gw_stun_measure_input(&stun->measures[i], &tuple->remote, &message);
    if (is_ours) {
        expire_measures(stun, now);
        rearm_all(stun);
    }
    return is_ours;
}

/* ---- servers */

static bool is_server(const struct gw_stun *stun, const struct gw_addr *addr)
{
    for (unsigned i = 0; i < stun->count; i++) {
        if (gw_addr_equal(&stun->servers[i].addr, addr))
            return true;
    }
    return false;
}

void gw_stun_set_servers(struct gw_stun *stun, struct gw_mono now, const struct gw_addr *servers,
                         unsigned count)
{
    struct server old[GW_STUN_SERVERS_MAX];
    unsigned old_count = stun->count;
    memcpy(old, stun->servers, sizeof old);
    stun->count = 0;
    for (unsigned i = 0; i < count && stun->count < GW_STUN_SERVERS_MAX; i++) {
        struct server *server = &stun->servers[stun->count++];
        *server = (struct server){.addr = servers[i], .retry_ns = GW_STUN_RETRY_NS, .at = now};
        gw_stun_request_end(&server->request);
        for (unsigned k = 0; k < old_count; k++) {
            if (gw_addr_equal(&old[k].addr, &servers[i]))
                *server = old[k];
        }
    }
    for (unsigned i = 0; i < FAMILIES; i++) { /* another one may measure from now on */
        if (!is_server(stun, &stun->measures[i].server))
            gw_stun_measure_init(&stun->measures[i]);
    }
    rearm_all(stun);
    stun->params.on_observed(now, stun->params.ctx);
}

int gw_stun_new(struct gw_stun **out, const struct gw_stun_params *params)
{
    struct gw_stun *stun = calloc(1, sizeof *stun);
    if (!stun || gw_deadlines_reserve(params->deadlines) != 0) {
        free(stun);
        return GW_E_NOMEM;
    }
    stun->params = *params;
    gw_deadline_init(&stun->deadline, on_deadline);
    for (unsigned i = 0; i < FAMILIES; i++)
        gw_stun_measure_init(&stun->measures[i]);
    *out = stun;
    return 0;
}

void gw_stun_free(struct gw_stun *stun)
{
    if (!stun)
        return;
    gw_deadline_disarm(stun->params.deadlines, &stun->deadline);
    gw_deadlines_release(stun->params.deadlines);
    free(stun);
}

/* ---- to read */

unsigned gw_stun_observed(const struct gw_stun *stun, struct gw_addr *out, unsigned max)
{
    unsigned count = 0;
    for (unsigned i = 0; i < stun->count && count < max; i++) {
        bool is_new = gw_addr_is_set(&stun->servers[i].mapped);
        for (unsigned k = 0; k < count && is_new; k++)
            is_new = !gw_addr_equal(&out[k], &stun->servers[i].mapped);
        if (is_new)
            out[count++] = stun->servers[i].mapped;
    }
    return count;
}

bool gw_stun_view(const struct gw_stun *stun, unsigned index, struct gw_stun_view *out)
{
    if (index >= stun->count)
        return false;
    const struct server *server = &stun->servers[index];
    *out = (struct gw_stun_view){.server = server->addr,
                                 .mapped = server->mapped,
                                 .local = server->local,
                                 .state = server->state,
                                 .can_measure = can_measure(server),
                                 .rtt_ns = server->rtt_ns};
    return true;
}

void gw_stun_behaviour(const struct gw_stun *stun, uint8_t family, struct gw_stun_behaviour *out,
                       bool *is_running)
{
    const struct gw_stun_measure *measure = &stun->measures[family == 6];
    *out = measure->result;
    *is_running = measure->step != GW_STUN_MEASURE_IDLE;
}

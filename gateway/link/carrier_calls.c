/* SPDX-License-Identifier: MIT */
/* Carriers as the engine wants them. */
#include "gateway/link/carrier_calls.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/secret.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_S 2
#define SILENT_NS \
    GW_S(4) /* the anchor does not answer, and so long nothing came: the network forgot the connection */
#define RETRY_MIN_NS GW_S(1) /* after all addresses of the anchor were tried; doubling */
#define RETRY_MAX_NS GW_S(60)

/* One anchor that did not answer by UDP. */
struct anchor {
    struct gw_list node;
    struct gw_carrier_calls *calls;
    struct gw_peer *peer;
    struct gw_tuple tuple; /* of its connection */
    bool is_open, is_up, is_silent;
    unsigned tried; /* its addresses, since the last wait */
    struct gw_mono began, again_at, udp_since;
    int64_t wait_ns;
};

/* ---- what the carriers tell */

static void on_train(struct gw_train *train, void *ctx)
{
    struct gw_carrier_calls *calls = ctx;
    calls->params.on_train(train, calls->params.ctx);
}

static void arm(struct gw_carrier_calls *calls)
{
    const struct timeval in = {.tv_sec = LOOK_S};
    if (!evtimer_pending(calls->timer, NULL))
        evtimer_add(calls->timer, &in);
}

static void on_up(const struct gw_tuple *tuple, void *user, void *ctx)
{
    struct gw_carrier_calls *calls = ctx;
    struct anchor *anchor = user;
    char at[GW_ADDR_STRLEN];
    anchor->is_up = true;
    anchor->udp_since = GW_NEVER;
    gw_log_debug("%s: TLS connection to %s", gw_peer_name(anchor->peer), gw_addr_log(&tuple->remote, at));
    gw_gateway_carrier_up(calls->params.gateway, gw_loop_now(calls->params.loop), anchor->peer, tuple);
    arm(calls);
}

static bool is_on(const struct gw_peer *peer, bool *is_direct, struct gw_mono now)
{
    struct gw_peer_status status;
    gw_peer_status(peer, now, &status);
    bool is_up = status.session.state == GW_SESSION_ESTABLISHED && status.has_path;
    *is_direct = is_up && gw_tuple_is_direct(&status.path);
    return is_up && gw_tuple_is_carrier(&status.path);
}

/* The next address at once; after the last one, and when there was nothing to be had, later and later. One that was in use is tried again soon, however often it
 * breaks. */
static void plan_next(struct anchor *anchor, bool was_on, struct gw_mono now)
{
    bool was_last = !was_on && ++anchor->tried >= gw_peer_config(anchor->peer)->endpoint_count;
    if (was_on) {
        anchor->wait_ns = RETRY_MIN_NS;
        anchor->tried = 0;
        anchor->again_at = gw_mono_add(anchor->began, RETRY_MIN_NS);
    }
    if (was_last) {
        anchor->tried = 0;
        anchor->again_at = gw_mono_add(now, anchor->wait_ns);
        anchor->wait_ns = 2 * anchor->wait_ns < RETRY_MAX_NS ? 2 * anchor->wait_ns : RETRY_MAX_NS;
    }
    if (!was_last)
        gw_carrier_calls_wanted(anchor->calls, anchor->peer, now);
}

static void on_down(const struct gw_tuple *tuple, void *user, void *ctx)
{
    struct gw_carrier_calls *calls = ctx;
    struct anchor *anchor = user;
    struct gw_mono now = gw_loop_now(calls->params.loop);
    bool is_direct, was_on = anchor && is_on(anchor->peer, &is_direct, now);
    gw_gateway_carrier_down(calls->params.gateway, now, tuple);
    if (!anchor)
        return;
    anchor->is_open = anchor->is_up = anchor->is_silent = false;
    plan_next(anchor, was_on, now);
}

static bool is_used(const struct gw_tuple *tuple, void *ctx)
{
    const struct gw_carrier_calls *calls = ctx;
    return gw_gateway_carrier_is_used(calls->params.gateway, tuple);
}

int gw_carrier_calls_make(struct gw_carrier_calls *calls)
{
    if (calls->carriers)
        return 0;
    const struct gw_carriers_params params = {.loop = calls->params.loop,
                                              .on_train = on_train,
                                              .on_up = on_up,
                                              .on_down = on_down,
                                              .is_used = is_used,
                                              .ctx = calls};
    int err = gw_carriers_new(&calls->carriers, &params);
    if (err == 0)
        calls->params.on_made(calls->carriers, calls->params.ctx);
    return err;
}

/* ---- to our anchors */

static struct anchor *find(const struct gw_carrier_calls *calls, const struct gw_peer *peer)
{
    gw_list_for_each (node, &calls->anchors) {
        struct anchor *anchor = gw_list_entry(node, struct anchor, node);
        if (anchor->peer == peer)
            return anchor;
    }
    return NULL;
}

static struct anchor *add(struct gw_carrier_calls *calls, struct gw_peer *peer, struct gw_mono now)
{
    struct anchor *anchor = calloc(1, sizeof *anchor);
    if (!anchor)
        return NULL;
    gw_list_init(&anchor->node);
    anchor->calls = calls;
    anchor->peer = peer;
    anchor->again_at = now;
    anchor->wait_ns = RETRY_MIN_NS;
    anchor->udp_since = GW_NEVER;
    gw_list_push_back(&calls->anchors, &anchor->node);
    return anchor;
}

static int call(struct gw_carrier_calls *calls, struct anchor *anchor, const struct gw_addr *to,
                const char *name)
{
    struct gw_carriers_proxy proxy;
    bool is_spared = calls->params.is_spared && calls->params.is_spared(to, calls->params.ctx);
    bool is_proxied = calls->is_proxied && !is_spared;
    const struct gw_carriers_call call = {
        .to = *to, .name = name, .proxy = is_proxied ? &proxy : NULL, .user = anchor};
    if (is_proxied && calls->proxy_count == 0)
        return -EHOSTUNREACH; /* its name is looked up */
    if (is_proxied) {
        proxy.at = calls->proxies[calls->proxy_next++ % calls->proxy_count];
        memcpy(proxy.credentials, calls->credentials, sizeof proxy.credentials);
    }
    int err = gw_carriers_connect(calls->carriers, &call, &anchor->tuple);
    gw_wipe(&proxy, sizeof proxy);
    return err;
}

static void connect_to(struct gw_carrier_calls *calls, struct anchor *anchor, struct gw_mono now)
{
    const struct gw_peer_config *config = gw_peer_config(anchor->peer);
    struct gw_addr to = config->endpoints[anchor->tried % config->endpoint_count];
    to.port = config->carrier_port;
    int err = call(calls, anchor, &to, config->carrier_name);
    anchor->is_open = err == 0;
    anchor->began = now;
    if (err != 0) {
        gw_log_debug("%s: no TLS connection: %s", gw_peer_name(anchor->peer), gw_strerror(err));
        anchor->tried++;
        anchor->again_at = gw_mono_add(now, RETRY_MIN_NS);
    }
}

static void close_one(struct gw_carrier_calls *calls, struct anchor *anchor)
{
    if (!anchor->is_open)
        return;
    gw_carriers_close(calls->carriers, &anchor->tuple);
    anchor->is_open = anchor->is_up = anchor->is_silent = false;
}

/* Nothing came over it, though the anchor was asked. The engine, which is in the middle of something, hears of it from the timer. */
static void note_silence(struct anchor *anchor, struct gw_mono now)
{
    struct gw_carrier_calls *calls = anchor->calls;
    const struct timeval at_once = {0};
    if (!anchor->is_up || gw_mono_sub(now, gw_carriers_heard(calls->carriers, &anchor->tuple)) < SILENT_NS)
        return;
    anchor->is_silent = true;
    evtimer_add(calls->timer, &at_once);
}

void gw_carrier_calls_wanted(struct gw_carrier_calls *calls, struct gw_peer *peer, struct gw_mono now)
{
    struct anchor *anchor = find(calls, peer);
    const struct gw_peer_config *config = gw_peer_config(peer);
    if (anchor && anchor->is_open) {
        note_silence(anchor, now);
        return;
    }
    if (config->carrier_port == 0 || config->endpoint_count == 0)
        return;
    int err = gw_carrier_calls_make(calls);
    if (err != 0) {
        if (!calls->is_told)
            gw_log_debug("no TLS connections: %s", gw_strerror(err));
        calls->is_told = true;
        return;
    }
    if (!anchor)
        anchor = add(calls, peer, now);
    if (anchor && gw_mono_due(anchor->again_at, now))
        connect_to(calls, anchor, now);
}

/* UDP has worked for so long that nothing is on its way over the connection any more. */
static void leave(struct gw_carrier_calls *calls, struct anchor *anchor, struct gw_mono now)
{
    gw_log_debug("%s: UDP works, the TLS connection ends", gw_peer_name(anchor->peer));
    close_one(calls, anchor);
    anchor->again_at = now;
    anchor->tried = 0;
    gw_gateway_carrier_down(calls->params.gateway, now, &anchor->tuple);
}

/* It is there, and nothing comes: another one. */
static void replace(struct gw_carrier_calls *calls, struct anchor *anchor, struct gw_mono now)
{
    bool is_direct, was_on = is_on(anchor->peer, &is_direct, now);
    gw_log_debug("%s: nothing comes over the TLS connection", gw_peer_name(anchor->peer));
    close_one(calls, anchor);
    gw_gateway_carrier_down(calls->params.gateway, now, &anchor->tuple);
    plan_next(anchor, was_on, now);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct gw_carrier_calls *calls = arg;
    struct gw_mono now = gw_loop_now(calls->params.loop);
    bool is_any = false;
    (void)fd, (void)what;
    gw_list_for_each (node, &calls->anchors) {
        struct anchor *anchor = gw_list_entry(node, struct anchor, node);
        bool is_direct;
        if (!anchor->is_up)
            continue;
        if (anchor->is_silent) {
            replace(calls, anchor, now);
            continue;
        }
        if (is_on(anchor->peer, &is_direct, now))
            anchor->wait_ns = RETRY_MIN_NS; /* it is worth something */
        if (!is_direct)
            anchor->udp_since = GW_NEVER;
        else if (gw_mono_is_never(anchor->udp_since))
            anchor->udp_since = now;
        else if (gw_mono_sub(now, anchor->udp_since) >= GW_CARRIER_UDP_WORKS_NS)
            leave(calls, anchor, now);
        is_any |= anchor->is_up;
    }
    if (is_any)
        arm(calls);
}

void gw_carrier_calls_kick(struct gw_carrier_calls *calls)
{
    gw_list_for_each (node, &calls->anchors) {
        struct anchor *anchor = gw_list_entry(node, struct anchor, node);
        anchor->again_at = gw_loop_now(calls->params.loop);
        anchor->wait_ns = RETRY_MIN_NS;
        anchor->tried = 0;
    }
}

static void forget(struct gw_carrier_calls *calls, struct anchor *anchor)
{
    close_one(calls, anchor);
    gw_list_remove(&anchor->node);
    free(anchor);
}

void gw_carrier_calls_peer_gone(struct gw_carrier_calls *calls, const struct gw_peer *peer)
{
    struct anchor *anchor = find(calls, peer);
    if (anchor)
        forget(calls, anchor);
}

/* ---- all of them */

void gw_carrier_calls_unset_proxy(struct gw_carrier_calls *calls)
{
    calls->is_proxied = false;
    calls->proxy_count = 0;
    gw_wipe(calls->credentials, sizeof calls->credentials);
}

void gw_carrier_calls_set_proxy(struct gw_carrier_calls *calls, const struct gw_addr *addrs, unsigned count,
                                const char *credentials)
{
    assert(strlen(credentials) <= GW_HTTP_CREDENTIALS_MAX);
    calls->is_proxied = true;
    calls->proxy_count = count < GW_CARRIER_PROXY_ADDRS ? count : GW_CARRIER_PROXY_ADDRS;
    for (unsigned i = 0; i < calls->proxy_count; i++)
        calls->proxies[i] = addrs[i];
    snprintf(calls->credentials, sizeof calls->credentials, "%s", credentials);
}

int gw_carrier_calls_init(struct gw_carrier_calls *calls, const struct gw_carrier_calls_params *params)
{
    *calls = (struct gw_carrier_calls){.params = *params};
    gw_list_init(&calls->anchors);
    calls->timer = evtimer_new(gw_loop_base(params->loop), on_timer, calls);
    return calls->timer ? 0 : GW_E_NOMEM;
}

void gw_carrier_calls_fini(struct gw_carrier_calls *calls)
{
    if (!calls->params.loop)
        return;
    while (!gw_list_is_empty(&calls->anchors))
        forget(calls, gw_list_entry(calls->anchors.next, struct anchor, node));
    gw_carriers_free(calls->carriers);
    gw_carrier_calls_unset_proxy(calls);
    if (calls->timer)
        event_free(calls->timer);
    *calls = (struct gw_carrier_calls){0};
}

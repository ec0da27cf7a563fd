/* SPDX-License-Identifier: MIT */
/* CONNECT and plain HTTP requests: whose name it is, and the flow to it. */
#include "frontends/socks5/private.h"
#include "gateway/base/err.h"
#include "gateway/flow/class.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool connect_fill_open(struct gw_open *open, const struct gw_answer *answer, uint16_t port, bool is_datagrams)
{
    *open = (struct gw_open){.is_datagrams = is_datagrams, .port = answer->service[0] ? 0 : port};
    memcpy(open->service, answer->service, sizeof open->service);
    open->class_ = (uint8_t)gw_class_of(open->service, open->port);
    return open->service[0] || open->port;
}

static void open_flow(struct session *session, const struct gw_answer *answer, const struct gw_open *open,
                      struct gw_mono now)
{
    struct gw_stream *stream;
    const struct gw_proxy *proxy = &session->opening->proxy;
    size_t len;
    const void *first = gw_proxy_first(proxy, &len);
    session->opening->peer = answer->peer;
    int err = gw_peer_open(answer->peer, now, open, &gw_splice_stream_ops, session->splice, &stream);
    if (err) {
        session_refuse(session, now, gw_outcome_of_error(err));
        return;
    }
    session->opening->flow_peer = answer->peer;
    session_set_state(session, SESSION_OPENING, now);
    if (gw_splice_bridge_opened(session->splice, now, stream, first, len, gw_proxy_limit(proxy)) != 0)
        session_refuse(session, now, GW_OUTCOME_OVERLOADED);
}

/* A name of this very node: its own service, without a peer in between. */
static void open_own(struct session *session, const struct gw_answer *answer, const struct gw_open *open,
                     struct gw_mono now)
{
    const struct gw_frontend *frontend = session->socks5->frontend;
    struct gw_target target;
    if (frontend->own_service && frontend->own_service(frontend->ctx, answer->gateway, open, &target))
        direct_start(session, &target, true, now);
    else
        session_refuse(session, now, GW_OUTCOME_NOT_LISTED);
}

static void open_answer(struct session *session, const struct gw_answer *answer, struct gw_mono now)
{
    const struct gw_proxy_request *request = &session->opening->proxy.request;
    struct gw_open open;
    if (answer->peer && request->port && (answer->is_behind || gw_packet_is_needed(answer->peer, now)))
        packets_start(session, answer->peer, &request->ip, now);
    else if (!connect_fill_open(&open, answer, request->port, false))
        session_refuse(session, now, GW_OUTCOME_NOT_LISTED);
    else if (answer->peer)
        open_flow(session, answer, &open, now);
    else
        open_own(session, answer, &open, now);
}

static void open_other(struct session *session, struct gw_mono now)
{
    struct gw_target target;
    const struct gw_proxy_request *request = &session->opening->proxy.request;
    if (gw_target_set_host(&target, request->host, request->port) != 0)
        session_refuse(session, now, GW_OUTCOME_UNKNOWN_NAME);
    else
        direct_start(session, &target, false, now);
}

static void on_answer(const struct gw_answer *answer, void *ctx)
{
    struct opening *opening = ctx;
    struct session *session = opening->session;
    opening->is_resolving = false;
    if (!session) {
        gw_proxy_fini(&opening->proxy);
        gw_auth_put(opening->auth);
        free(opening);
        return;
    }
    const struct gw_frontend *frontend = session->socks5->frontend;
    struct gw_mono now = gw_loop_now(frontend->loop);
    if (answer->err == 0)
        open_answer(session, answer, now);
    else if (gw_resolver_is_ours(frontend->resolver, opening->proxy.request.host))
        session_refuse(session, now, gw_outcome_of_error(answer->err));
    else
        open_other(session, now);
}

void connect_start(struct session *session, struct gw_mono now)
{
    struct opening *opening = session->opening;
    const struct gw_proxy_request *request = &opening->proxy.request;
    struct gw_resolver *resolver = session->socks5->frontend->resolver;
    struct gw_answer answer;
    if (gw_addr_is_set(&request->ip)) {
        if (gw_resolver_find_address(resolver, &request->ip, &answer))
            open_answer(session, &answer, now);
        else
            open_other(session, now);
        return;
    }
    session_set_state(session, SESSION_RESOLVING, now);
    opening->is_resolving = true;
    gw_resolver_lookup(resolver, request->host, on_answer, opening);
}

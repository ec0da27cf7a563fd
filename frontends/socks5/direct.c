/* SPDX-License-Identifier: MIT */
/* Connections without a peer: what the policy passes on (`others: direct`), and this node's own services under its own name. */
#include "frontends/socks5/private.h"
#include "gateway/base/err.h"

#include <errno.h>
#include <unistd.h>

static void on_pair_end(struct gw_pair *pair, void *user)
{
    (void)pair;
    session_free(user);
}

/* The client has its yes; the two sockets talk to each other from here. */
static void join(struct session *session, int fd, struct gw_mono now)
{
    size_t len;
    struct opening *opening = session->opening;
    const void *first = gw_proxy_first(&opening->proxy, &len);
    size_t answer_len;
    const void *answer = gw_proxy_answer(&opening->proxy, GW_OUTCOME_OK, NULL, &answer_len);
    if (answer_len > 0 && gw_splice_head(session->splice, answer, answer_len) != 0) {
        close(fd);
        session_close(session, now);
        return;
    }
    uint64_t limit = gw_proxy_limit(&opening->proxy);
    int client = gw_splice_detach(session->splice);
    session->splice = NULL;
    if (gw_pair_new(&session->pair, session->socks5->frontend->loop, client, fd, first, len, limit,
                    on_pair_end, session) != 0) {
        session_free(session);
        return;
    }
    session_drop_opening(session);
    session_set_state(session, SESSION_OPEN, now);
}

static void on_dialled(int fd, struct gw_mono now, void *user)
{
    struct session *session = user;
    session->opening->dial = NULL;
    if (fd >= 0)
        join(session, fd, now);
    else
        session_refuse(session, now, gw_outcome_of_dial(fd));
}

/* Asked again for each address of a name: it may lead to this machine or into a network that is denied. */
static bool is_permitted(const struct gw_addr *address, void *user)
{
    const struct session *session = user;
    const struct gw_proxy_request *request = &session->opening->proxy.request;
    const char *host = gw_addr_is_set(&request->ip) ? NULL : request->host;
    return gw_policy_permits(&session->socks5->policy, host, address, request->port);
}

void direct_start(struct session *session, const struct gw_target *target, bool is_own, struct gw_mono now)
{
    struct gw_socks5 *socks5 = session->socks5;
    struct gw_dial_params params = {.target = target,
                                    .timeout_ns = socks5->dial_timeout_ns,
                                    .is_permitted = is_own ? NULL : is_permitted,
                                    .on_done = on_dialled,
                                    .user = session};
    bool is_name = target->kind == GW_TARGET_HOST;
    if (!is_own && !gw_policy_permits(&socks5->policy, is_name ? target->name : NULL,
                                      is_name ? NULL : &target->addr, target->port)) {
        session_refuse(session, now, GW_OUTCOME_NOT_OURS);
        return;
    }
    session_set_state(session, SESSION_DIALLING, now);
    int result = gw_dial(socks5->frontend->dialer, &params, now, &session->opening->dial);
    if (result >= 0)
        join(session, result, now);
    else if (result != -EINPROGRESS)
        session_refuse(session, now, gw_outcome_of_dial(result));
}

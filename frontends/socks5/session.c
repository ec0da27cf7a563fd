/* SPDX-License-Identifier: MIT */
/* One client: reads its request, hands it to connect.c or associate.c, gives it the answer. */
#include "frontends/socks5/private.h"
#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/local/sockopt.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

static struct gw_list *list_of(struct gw_socks5 *socks5, enum session_state state)
{
    switch (state) {
    case SESSION_HANDSHAKE:
        return &socks5->handshaking;
    case SESSION_RESOLVING:
    case SESSION_OPENING:
    case SESSION_DIALLING:
        return &socks5->opening;
    default:
        return &socks5->open;
    }
}

void session_set_state(struct session *session, enum session_state state, struct gw_mono now)
{
    struct gw_list *list = list_of(session->socks5, state);
    /* One time for all of an opening's stages. */
    if (!gw_list_is_linked(&session->link) || list != list_of(session->socks5, session->state)) {
        gw_list_remove(&session->link);
        gw_list_push_back(list, &session->link);
        session->since = now;
    }
    session->state = state;
    socks5_arm_tick(session->socks5);
}

/* ---- life */

static struct opening *new_opening(struct session *session)
{
    struct opening *opening = calloc(1, sizeof *opening);
    if (!opening)
        return NULL;
    opening->session = session;
    opening->auth = gw_auth_get(session->socks5->auth);
    if (gw_proxy_init(&opening->proxy, opening->auth, session->socks5->no_http) == 0)
        return opening;
    gw_auth_put(opening->auth);
    free(opening);
    return NULL;
}

static void free_opening(struct opening *opening)
{
    if (opening->dial)
        gw_dial_cancel(opening->dial);
    opening->dial = NULL;
    if (opening->packet_dial)
        gw_packet_dial_cancel(opening->packet_dial);
    opening->packet_dial = NULL;
    opening->session = NULL;
    if (opening->is_resolving)
        return; /* connect.c frees it with the resolver's answer */
    gw_proxy_fini(&opening->proxy);
    gw_auth_put(opening->auth);
    free(opening);
}

void session_drop_opening(struct session *session)
{
    free_opening(session->opening);
    session->opening = NULL;
}

void session_new(struct gw_socks5 *socks5, int fd, struct gw_mono now)
{
    struct session *session = calloc(1, sizeof *session);
    struct gw_splice *splice =
        gw_splice_new(gw_dialer_loop(socks5->frontend->dialer), fd, &session_splice_events, session);
    if (session) {
        session->socks5 = socks5;
        session->splice = splice;
        session->opening = new_opening(session);
    }
    if (!session || !splice || !session->opening) {
        if (splice)
            gw_splice_close(splice, now, GW_REASON_NO_MEMORY);
        if (session && session->opening)
            free_opening(session->opening);
        free(session);
        return;
    }
    gw_list_init(&session->link);
    socks5->stats.clients_open++;
    socks5->stats.clients_total++;
    session_set_state(session, SESSION_HANDSHAKE, now);
}

void session_free(struct session *session)
{
    gw_list_remove(&session->link);
    session->socks5->stats.clients_open--;
    if (session->opening)
        free_opening(session->opening);
    free(session);
}

void session_close(struct session *session, struct gw_mono now)
{
    if (session->association)
        associate_free(session->association, now);
    if (session->splice)
        gw_splice_close(session->splice, now, GW_REASON_CANCELLED);
    if (session->pair)
        gw_pair_close(session->pair);
    if (session->pump)
        gw_pump_close(session->pump, now);
    session_free(session);
}

/* ---- answers */

static void count(struct gw_socks5 *socks5, enum gw_outcome outcome)
{
    struct gw_socks5_stats *stats = &socks5->stats;
    if (outcome == GW_OUTCOME_NEEDS_AUTH)
        stats->refused_auth++;
    else if (outcome == GW_OUTCOME_NOT_OURS)
        stats->refused_policy++;
    else if (outcome == GW_OUTCOME_TIMED_OUT)
        stats->timed_out++;
    else if (outcome >= GW_OUTCOME_BAD_REQUEST)
        stats->malformed++;
    else
        stats->failed++;
}

static const char *request_host(const struct gw_proxy_request *request)
{
    return gw_addr_is_set(&request->ip) && gw_log_hides_addresses() ? "(hidden)" : request->host;
}

static void tell(const struct session *session, struct gw_mono now, enum gw_outcome outcome)
{
    char sentence[GW_OUTCOME_SENTENCE_MAX];
    const struct gw_proxy *proxy = &session->opening->proxy;
    const struct gw_proxy_request *request = &proxy->request;
    const char *protocol = proxy->protocol == GW_PROXY_HTTP ? "HTTP" : "SOCKS";
    if (!socks5_may_tell(session->socks5, now))
        return;
    if (proxy->protocol == GW_PROXY_SOCKS4)
        gw_log_info("a client speaks SOCKS4; this proxy speaks SOCKS5 and HTTP");
    else if (request->host[0] == '\0')
        gw_log_info("%s client: %s", protocol, gw_outcome_sentence(outcome));
    else
        gw_log_info("%s client asked for %s port %u: %s", protocol, request_host(request), request->port,
                    gw_outcome_explain(sentence, outcome, proxy->hindrance));
}

/* Did it fail because nothing gets to the peer? Then why not is worth more than that it failed. */
static void ask_why(struct session *session, struct gw_mono now, enum gw_outcome outcome)
{
    struct opening *opening = session->opening;
    struct gw_hindrance hindrance;
    if ((outcome == GW_OUTCOME_UNREACHABLE || outcome == GW_OUTCOME_TIMED_OUT) &&
        gw_frontend_hindered(session->socks5->frontend, opening->peer, &hindrance, now)) {
        opening->proxy.hindrance = hindrance.sentence;
        opening->proxy.hindrance_advice = hindrance.advice;
    }
}

void session_refuse(struct session *session, struct gw_mono now, enum gw_outcome outcome)
{
    size_t len;
    count(session->socks5, outcome);
    ask_why(session, now, outcome);
    tell(session, now, outcome);
    const void *answer = gw_proxy_answer(&session->opening->proxy, outcome, NULL, &len);
    session_set_state(session, SESSION_CLOSING, now);
    gw_splice_say_and_close(session->splice, now, answer, len);
}

/* The parser itself said no, and how. */
static void refuse_request(struct session *session, struct gw_mono now)
{
    const struct gw_proxy *proxy = &session->opening->proxy;
    count(session->socks5, proxy->outcome);
    tell(session, now, proxy->outcome);
    session_set_state(session, SESSION_CLOSING, now);
    gw_splice_say_and_close(session->splice, now, proxy->reply, proxy->reply_len);
}

bool session_say_yes(struct session *session, struct gw_mono now, const struct gw_addr *bound)
{
    size_t len;
    const void *answer = gw_proxy_answer(&session->opening->proxy, GW_OUTCOME_OK, bound, &len);
    if (len > 0 && gw_splice_head(session->splice, answer, len) != 0) {
        session_close(session, now);
        return false;
    }
    session_drop_opening(session);
    return true;
}

/* ---- the socket */

static void start_request(struct session *session, struct gw_mono now)
{
    if (session->opening->proxy.request.command == GW_PROXY_ASSOCIATE)
        associate_start(session, now);
    else
        connect_start(session, now);
}

/* Feeds `len` new bytes to the parser. true = it wants more. */
static bool advance(struct session *session, struct gw_mono now, size_t len)
{
    struct gw_proxy *proxy = &session->opening->proxy;
    enum gw_proxy_step step = gw_proxy_advance(proxy, len);
    while (step == GW_PROXY_SAY) {
        if (gw_splice_head(session->splice, proxy->reply, proxy->reply_len) != 0) {
            session_close(session, now);
            return false;
        }
        step = gw_proxy_advance(proxy, 0);
    }
    if (step == GW_PROXY_REQUEST)
        start_request(session, now);
    else if (step == GW_PROXY_FAIL)
        refuse_request(session, now);
    return step == GW_PROXY_MORE;
}

static void read_request(struct session *session, struct gw_mono now)
{
    ssize_t n;
    do {
        size_t len;
        uint8_t *room = gw_proxy_room(&session->opening->proxy, &len);
        n = recv(gw_splice_fd(session->splice), room, len, 0);
    } while ((n > 0 && advance(session, now, (size_t)n)) || (n < 0 && errno == EINTR));
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM))
        session_close(session, now);
}

/* Nothing is expected of it; its end ends the association. */
static void read_away(struct session *session, struct gw_mono now)
{
    uint8_t scrap[512];
    ssize_t n;
    do
        n = recv(gw_splice_fd(session->splice), scrap, sizeof scrap, 0);
    while (n > 0 || (n < 0 && errno == EINTR));
    if (n == 0 || errno != EAGAIN)
        session_close(session, now);
}

static void on_readable(struct gw_splice *splice, struct gw_mono now, void *user)
{
    struct session *session = user;
    switch (session->state) {
    case SESSION_HANDSHAKE:
        read_request(session, now);
        break;
    case SESSION_ASSOCIATED:
        read_away(session, now);
        break;
    default: /* bytes wait until somebody is there for them; a reset does not */
        if (gw_sock_error(gw_splice_fd(splice)) != 0)
            session_close(session, now);
        break;
    }
}

static void on_accepted(struct gw_splice *splice, struct gw_mono now, void *user)
{
    struct session *session = user;
    (void)splice;
    if (session_say_yes(session, now, NULL))
        session_set_state(session, SESSION_OPEN, now);
}

static void on_refused(struct gw_splice *splice, struct gw_mono now, unsigned long long reason, void *user)
{
    (void)splice;
    if (!packets_try_instead(user, reason, now))
        session_refuse(user, now, gw_outcome_of_reason(reason));
}

static void on_end(struct gw_splice *splice, struct gw_mono now, unsigned long long reason, void *user)
{
    struct session *session = user;
    (void)splice, (void)reason;
    if (session->association)
        associate_free(session->association, now);
    session_free(session);
}

const struct gw_splice_events session_splice_events = {
    .on_readable = on_readable,
    .on_accepted = on_accepted,
    .on_refused = on_refused,
    .on_end = on_end,
};

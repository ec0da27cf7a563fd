/* SPDX-License-Identifier: MIT */
#include "frontends/socks5/outcome.h"

#include "gateway/base/err.h"
#include "gateway/flow/reason.h"
#include "gateway/local/dial.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* RFC 1928, 6. */
enum {
    REP_OK = 0,
    REP_FAILURE = 1,
    REP_NOT_ALLOWED = 2,
    REP_NETWORK_UNREACHABLE = 3,
    REP_HOST_UNREACHABLE = 4,
    REP_REFUSED = 5,
    REP_TTL_EXPIRED = 6,
    REP_BAD_COMMAND = 7,
    REP_BAD_ADDRESS_TYPE = 8,
};

struct text {
    uint8_t socks5;
    uint16_t http;
    const char *phrase; /* HTTP's reason phrase */
    const char *sentence;
    const char *advice; /* what to do, for a person */
};

static const struct text texts[] = {
    [GW_OUTCOME_OK] = {REP_OK, 200, "Connection established", "connected", ""},
    [GW_OUTCOME_REFUSED] =
        {REP_NOT_ALLOWED, 403, "Forbidden", "the peer does not allow us this service",
         "On the peer, `peergate authorize` this node's peer ID (see it with `peergate id`) for the service."},
    [GW_OUTCOME_NOT_LISTED] =
        {REP_HOST_UNREACHABLE, 404, "Not Found", "the peer has no such service",
         "On the peer, add it under `services:` in config.yaml with `enabled: true`, or ask for another port or service."},
    [GW_OUTCOME_SERVICE_DOWN] =
        {REP_REFUSED, 503, "Service Unavailable", "the service at the peer refused the connection",
         "The peer is fine; start the program that should listen at the service's local_address there."},
    [GW_OUTCOME_TIMED_OUT] =
        {REP_TTL_EXPIRED, 504, "Gateway Timeout", "no answer came in time",
         "Look at `peergate status` and `peergate ping HOST`; on the peer, whether the service's program still answers."},
    [GW_OUTCOME_SERVICE_UNREACHABLE] = {REP_NETWORK_UNREACHABLE, 502, "Bad Gateway",
                                        "the peer cannot reach the service's host",
                                        "On the peer, check the service's local_address."},
    [GW_OUTCOME_UNREACHABLE] =
        {REP_NETWORK_UNREACHABLE, 502, "Bad Gateway", "there is no session with the peer",
         "Is the peer up and its endpoint right? `peergate status` shows the last attempt."},
    [GW_OUTCOME_UNKNOWN_NAME] =
        {REP_HOST_UNREACHABLE, 502, "Bad Gateway", "no peer has this name",
         "`peergate peers` lists the names; give one under `peers:` in config.yaml or in names.yaml."},
    [GW_OUTCOME_NOT_OURS] =
        {REP_NOT_ALLOWED, 403, "Forbidden",
         "this is not a name of this network, and the proxy does not pass it on",
         "Use this proxy for names of this network, or let others through: `others: direct`, `allow` and `deny` of `socks` in config.yaml."},
    [GW_OUTCOME_NO_SEAL] =
        {REP_FAILURE, 502, "Bad Gateway",
         "this node and the peer do not agree on `seal`, so nothing can pass between them",
         "One has `seal: required`, the other `seal: forbidden` or no hardware for it; `peergate status` says which key to change."},
    [GW_OUTCOME_SHUT_OUT] =
        {REP_NOT_ALLOWED, 403, "Forbidden", "the peer does not list this node, or not any more",
         "On the peer, `peergate authorize` this node's peer ID (see it with `peergate id`); a line with `expires` may have ended."},
    [GW_OUTCOME_STOCK_PEER] =
        {REP_HOST_UNREACHABLE, 502, "Bad Gateway",
         "the peer takes packets only, and there is no address to send them from or to",
         "In config.yaml, give this node an `address`, and the peer `allowed_ips`; a stock WireGuard peer is asked by port."},
    [GW_OUTCOME_OVERLOADED] = {REP_FAILURE, 503, "Service Unavailable", "too many connections are open",
                               "Close some, or try again later."},
    [GW_OUTCOME_SHUTTING_DOWN] = {REP_FAILURE, 503, "Service Unavailable", "the daemon is shutting down",
                                  "Try again when it is up."},
    [GW_OUTCOME_FAILED] = {REP_FAILURE, 502, "Bad Gateway", "the connection failed",
                           "Try again; the daemon's log says more."},
    [GW_OUTCOME_BAD_REQUEST] = {REP_FAILURE, 400, "Bad Request", "the request cannot be understood",
                                "The client sent something that is no valid request."},
    [GW_OUTCOME_NEEDS_AUTH] = {REP_NOT_ALLOWED, 407, "Proxy Authentication Required",
                               "the user name or password is missing or wrong",
                               "Use a user and password from the `socks:` section of config.yaml."},
    [GW_OUTCOME_BAD_COMMAND] = {REP_BAD_COMMAND, 501, "Not Implemented", "the command is not supported",
                                "CONNECT and UDP ASSOCIATE are."},
    [GW_OUTCOME_BAD_ADDRESS_TYPE] = {REP_BAD_ADDRESS_TYPE, 400, "Bad Request",
                                     "the address type is not supported", ""},
    [GW_OUTCOME_TOO_LARGE] = {REP_FAILURE, 431, "Request Header Fields Too Large",
                              "the request's header is larger than 16 KB", ""},
    [GW_OUTCOME_NOT_A_PROXY_REQUEST] =
        {REP_FAILURE, 400, "Bad Request", "this is a proxy, not a web site",
         "Enter this address as HTTP or SOCKS5 proxy in the program's settings and open http://SERVICE.HOST.NETWORK.p2p/ there."},
    [GW_OUTCOME_HTTPS_BY_GET] = {REP_FAILURE, 501, "Not Implemented", "https needs CONNECT",
                                 "Set the proxy for https as well."},
    [GW_OUTCOME_BAD_VERSION] = {REP_FAILURE, 505, "HTTP Version Not Supported",
                                "the HTTP version is not supported", "HTTP/1.0 and HTTP/1.1 are."},
};
static_assert(sizeof texts / sizeof texts[0] == GW_OUTCOME_COUNT, "every outcome has its answers");

const char *gw_outcome_sentence(enum gw_outcome outcome)
{
    return texts[outcome].sentence;
}

const char *gw_outcome_explain(char out[GW_OUTCOME_SENTENCE_MAX], enum gw_outcome outcome,
                               const char *hindrance)
{
    snprintf(out, GW_OUTCOME_SENTENCE_MAX, "%s%s%s", texts[outcome].sentence, hindrance ? ": " : "",
             hindrance ? hindrance : "");
    return out;
}

enum gw_outcome gw_outcome_of_reason(unsigned long long reason)
{
    switch (reason) {
    case GW_REASON_REFUSED:
        return GW_OUTCOME_REFUSED;
    case GW_REASON_NOT_LISTED:
        return GW_OUTCOME_NOT_LISTED;
    case GW_REASON_SERVICE_DOWN:
        return GW_OUTCOME_SERVICE_DOWN;
    case GW_REASON_TIMED_OUT:
        return GW_OUTCOME_TIMED_OUT;
    case GW_REASON_SERVICE_UNREACHABLE:
        return GW_OUTCOME_SERVICE_UNREACHABLE;
    case GW_REASON_UNREACHABLE:
        return GW_OUTCOME_UNREACHABLE;
    case GW_REASON_NO_SEAL:
        return GW_OUTCOME_NO_SEAL;
    case GW_REASON_SHUT_OUT:
        return GW_OUTCOME_SHUT_OUT;
    case GW_REASON_LIMIT:
    case GW_REASON_NO_MEMORY:
        return GW_OUTCOME_OVERLOADED;
    case GW_REASON_SHUTTING_DOWN:
        return GW_OUTCOME_SHUTTING_DOWN;
    default:
        return GW_OUTCOME_FAILED;
    }
}

enum gw_outcome gw_outcome_of_error(int err)
{
    switch (err) {
    case 0:
        return GW_OUTCOME_OK;
    case GW_E_UNKNOWN:
    case GW_E_MALFORMED:
        return GW_OUTCOME_UNKNOWN_NAME;
    case GW_E_INVAL:
        return GW_OUTCOME_NOT_LISTED; /* no service can have that name or port */
    case GW_E_TIMEOUT:
        return GW_OUTCOME_TIMED_OUT;
    case GW_E_LIMIT:
    case GW_E_NOMEM:
        return GW_OUTCOME_OVERLOADED;
    case GW_E_NO_SEAL:
        return GW_OUTCOME_NO_SEAL;
    case GW_E_SHUT_OUT:
        return GW_OUTCOME_SHUT_OUT;
    case -EHOSTUNREACH:
        return GW_OUTCOME_UNREACHABLE;
    case -EPROTONOSUPPORT:
    case -EADDRNOTAVAIL:
        return GW_OUTCOME_STOCK_PEER;
    default:
        return GW_OUTCOME_FAILED;
    }
}

enum gw_outcome gw_outcome_of_dial(int err)
{
    if (err == GW_E_UNKNOWN)
        return GW_OUTCOME_UNKNOWN_NAME;
    if (err == GW_E_PERMISSION)
        return GW_OUTCOME_NOT_OURS;
    return gw_outcome_of_reason(gw_dial_reason(err));
}

size_t gw_outcome_socks5(uint8_t out[GW_SOCKS5_REPLY_MAX], enum gw_outcome outcome,
                         const struct gw_addr *bound)
{
    size_t ip_len = bound && bound->family == 6 ? 16 : 4;
    uint16_t port = bound ? bound->port : 0;
    memset(out, 0, GW_SOCKS5_REPLY_MAX);
    out[0] = 5;
    out[1] = texts[outcome].socks5;
    out[3] = ip_len == 16 ? 4 : 1;
    if (bound)
        memcpy(out + 4, bound->ip, ip_len);
    out[4 + ip_len] = (uint8_t)(port >> 8);
    out[5 + ip_len] = (uint8_t)port;
    return 6 + ip_len;
}

/* What a stranger wrote, for a page: printable ASCII only. */
static const char *printable(char out[128], const char *text)
{
    size_t n = 0;
    for (; *text && n < 127; text++)
        out[n++] = *text >= ' ' && *text <= '~' ? *text : '?';
    out[n] = '\0';
    return out;
}

size_t gw_outcome_http(char out[GW_HTTP_ANSWER_MAX], enum gw_outcome outcome, const char *host,
                       const char *hindrance, const char *advice)
{
    const struct text *text = &texts[outcome];
    char body[1280], shown[128], sentence[GW_OUTCOME_SENTENCE_MAX];
    const char *advised = advice && advice[0] ? advice : text->advice;
    bool is_ended = !advised[0] || strchr(".!?", advised[strlen(advised) - 1]);
    if (outcome == GW_OUTCOME_OK)
        return (size_t)snprintf(out, GW_HTTP_ANSWER_MAX, "HTTP/1.1 200 %s\r\n\r\n", text->phrase);
    int body_len = snprintf(body, sizeof body, "%u %s\n\n%s%s%s.\n%s%s%s%s", text->http, text->phrase,
                            printable(shown, host), host[0] ? ": " : "",
                            gw_outcome_explain(sentence, outcome, hindrance),
                            advised == text->advice ? "" : "To change that: ", advised, is_ended ? "" : ".",
                            advised[0] ? "\n" : "");
    assert(body_len > 0 && (size_t)body_len < sizeof body);
    int len =
        snprintf(out, GW_HTTP_ANSWER_MAX,
                 "HTTP/1.1 %u %s\r\n"
                 "%s"
                 "Content-Type: text/plain; charset=utf-8\r\n"
                 "Content-Length: %d\r\n"
                 "Cache-Control: no-store\r\n"
                 "X-Content-Type-Options: nosniff\r\n"
                 "Connection: close\r\n"
                 "\r\n"
                 "%s",
                 text->http, text->phrase,
                 text->http == 407 ? "Proxy-Authenticate: Basic realm=\"peergate\"\r\n" : "", body_len, body);
    assert(len > 0 && (size_t)len < GW_HTTP_ANSWER_MAX);
    return (size_t)len;
}

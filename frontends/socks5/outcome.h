/* SPDX-License-Identifier: MIT */
/* How a request ended, and what that is called in each protocol: a SOCKS5 reply code, an HTTP status with a page for the person in front of
 * the browser, and a sentence for the log. docs/PROTOCOL.md "SOCKS5 answers" shows the same table. */
#ifndef FRONTENDS_SOCKS5_OUTCOME_H
#define FRONTENDS_SOCKS5_OUTCOME_H

#include "gateway/wire/addr.h"

#include <stddef.h>
#include <stdint.h>

enum gw_outcome {
    GW_OUTCOME_OK,
    GW_OUTCOME_REFUSED,             /* the peer does not authorize us */
    GW_OUTCOME_NOT_LISTED,          /* the peer has no such service */
    GW_OUTCOME_SERVICE_DOWN,        /* its local service refused */
    GW_OUTCOME_TIMED_OUT,           /* its local service, or the peer, did not answer */
    GW_OUTCOME_SERVICE_UNREACHABLE, /* the peer cannot reach the service's host */
    GW_OUTCOME_UNREACHABLE,         /* no session with the peer */
    GW_OUTCOME_UNKNOWN_NAME,
    GW_OUTCOME_NOT_OURS,   /* not a name of ours, and the policy does not pass it on */
    GW_OUTCOME_NO_SEAL,    /* this node and the peer do not agree on `seal` */
    GW_OUTCOME_SHUT_OUT,   /* the peer has ended the session: this node may have none with it */
    GW_OUTCOME_STOCK_PEER, /* a stock WireGuard peer has no flows */
    GW_OUTCOME_OVERLOADED, /* a limit here or there */
    GW_OUTCOME_SHUTTING_DOWN,
    GW_OUTCOME_FAILED, /* everything else */
    /* What is wrong with the request itself. */
    GW_OUTCOME_BAD_REQUEST,
    GW_OUTCOME_NEEDS_AUTH,
    GW_OUTCOME_BAD_COMMAND,
    GW_OUTCOME_BAD_ADDRESS_TYPE,
    GW_OUTCOME_TOO_LARGE,
    GW_OUTCOME_NOT_A_PROXY_REQUEST, /* a browser that was pointed at the proxy's own port */
    GW_OUTCOME_HTTPS_BY_GET,        /* https:// without CONNECT */
    GW_OUTCOME_BAD_VERSION,
    GW_OUTCOME_COUNT
};

/* Of a RESET's reason, and of an error of gw_peer_open, of the resolver, of a dial of ours. */
enum gw_outcome gw_outcome_of_reason(unsigned long long reason);
enum gw_outcome gw_outcome_of_error(int err);
enum gw_outcome gw_outcome_of_dial(int err);

/* One sentence without its full stop, for the log. */
const char *gw_outcome_sentence(enum gw_outcome outcome);
/* The same with what hinders (static, NULL = nothing) behind it. Returns out. */
#define GW_OUTCOME_SENTENCE_MAX 320u
const char *gw_outcome_explain(char out[GW_OUTCOME_SENTENCE_MAX], enum gw_outcome outcome,
                               const char *hindrance);

/* A SOCKS5 reply; bound NULL = 0.0.0.0:0. Returns its length. */
#define GW_SOCKS5_REPLY_MAX 22u
size_t gw_outcome_socks5(uint8_t out[GW_SOCKS5_REPLY_MAX], enum gw_outcome outcome,
                         const struct gw_addr *bound);
/* An HTTP response with a plain-text page (GW_OUTCOME_OK: the answer to CONNECT). host: what was asked for, "" = nothing; only printable characters are
 * shown. hindrance, advice: why nothing gets to the peer, and what to do then; NULL: nothing to add. Returns its length. */
#define GW_HTTP_ANSWER_MAX 2048u
size_t gw_outcome_http(char out[GW_HTTP_ANSWER_MAX], enum gw_outcome outcome, const char *host,
                       const char *hindrance, const char *advice);

#endif

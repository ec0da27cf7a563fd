/* SPDX-License-Identifier: MIT */
/* The client's side of the proxy protocols, sans-IO: bytes in, split anywhere; what to say and what was asked for out. The first byte decides:
 * 5 is SOCKS5 (greeting, RFC 1929, request), a capital letter HTTP (CONNECT, or a request in absolute form), everything else is refused. */
#ifndef FRONTENDS_SOCKS5_PARSE_H
#define FRONTENDS_SOCKS5_PARSE_H

#include "frontends/socks5/auth.h"
#include "frontends/socks5/outcome.h"
#include "gateway/wire/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_PROXY_HOST_MAX 255u
/* An HTTP request line and its header. */
#define GW_PROXY_HEADER_MAX 16384u

enum gw_proxy_protocol { GW_PROXY_UNKNOWN, GW_PROXY_SOCKS5, GW_PROXY_SOCKS4, GW_PROXY_HTTP };
enum gw_proxy_command {
    GW_PROXY_CONNECT,   /* the two ends talk to each other after the answer */
    GW_PROXY_ASSOCIATE, /* SOCKS5's UDP; host and port are where the client says it will send from */
    GW_PROXY_FORWARD,   /* one HTTP request, passed on in origin form; its answer is the server's */
};

struct gw_proxy_request {
    enum gw_proxy_command command;
    char host[GW_PROXY_HOST_MAX + 1]; /* as it was written; of an address its text */
    struct gw_addr ip;                /* set when the host is an address (port included) */
    uint16_t port;
};

enum gw_proxy_step {
    GW_PROXY_MORE,    /* put more bytes into gw_proxy_room */
    GW_PROXY_SAY,     /* send `reply`, then gw_proxy_advance(0) */
    GW_PROXY_REQUEST, /* `request` is complete: answer it with gw_proxy_answer */
    GW_PROXY_FAIL,    /* send `reply` (may be empty) and close; `outcome` says why */
};

struct gw_proxy {
    const struct gw_auth *auth; /* borrowed; NULL = everybody */
    bool no_http;
    enum gw_proxy_protocol protocol;
    uint8_t state; /* parse.c's */
    bool is_over;  /* FAIL or REQUEST was said */
    uint8_t *buf;
    size_t off, len, cap;
    size_t scanned; /* HTTP: no end of the header before this */
    struct gw_proxy_request request;
    enum gw_outcome outcome;
    const char *hindrance,
        *hindrance_advice; /* why the peer is not reached, for a page that says no; static, NULL: nothing to add */
    const void *reply; /* points into answer */
    size_t reply_len;
    uint8_t *first; /* FORWARD: the request as it goes to the server */
    size_t first_len;
    uint64_t limit;
    char answer[GW_HTTP_ANSWER_MAX];
};

/* 0 or GW_E_NOMEM. auth NULL = everybody. no_http: SOCKS5 only. */
int gw_proxy_init(struct gw_proxy *proxy, const struct gw_auth *auth, bool no_http);
/* Wipes what may hold a password. */
void gw_proxy_fini(struct gw_proxy *proxy);

/* Where the next bytes go; *len > 0 as long as the last step was MORE. */
uint8_t *gw_proxy_room(struct gw_proxy *proxy, size_t *len);
/* `len` bytes were put there. Everything that is said in steps before REQUEST or FAIL comes in order. */
enum gw_proxy_step gw_proxy_advance(struct gw_proxy *proxy, size_t len);

/* After REQUEST: what the peer gets first (bytes behind the request, for FORWARD the rewritten request too); valid until fini. */
const void *gw_proxy_first(const struct gw_proxy *proxy, size_t *len);
/* After REQUEST: how many bytes the client may send after those; UINT64_MAX = any number. */
uint64_t gw_proxy_limit(const struct gw_proxy *proxy);
/* The answer to the request, in the client's protocol (nothing for a FORWARD that is OK: the server answers); in `answer`, until the next call. bound: for
 * ASSOCIATE, else NULL. */
const void *gw_proxy_answer(struct gw_proxy *proxy, enum gw_outcome outcome, const struct gw_addr *bound,
                            size_t *len);

#endif

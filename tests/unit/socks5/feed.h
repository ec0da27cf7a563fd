/* SPDX-License-Identifier: MIT */
/* Runs the proxy's parser over bytes that come in pieces, and keeps all that it says: however they are cut, it is the same. */
#ifndef TESTS_UNIT_SOCKS5_FEED_H
#define TESTS_UNIT_SOCKS5_FEED_H

#include "frontends/socks5/parse.h"

#define FEED_MAX 40000u

struct feed {
    const uint8_t *input;
    size_t input_len;
    /* The piece that follows `at` bytes; at least 1. */
    size_t (*piece)(size_t at, void *ctx);
    void *ctx;
    const struct gw_auth *auth;
};

struct fed {
    enum gw_proxy_step last;
    enum gw_outcome outcome; /* of FAIL */
    char said[GW_HTTP_ANSWER_MAX * 2];
    size_t said_len;
    struct gw_proxy_request request;
    char first[FEED_MAX]; /* what the peer gets, as far as the input reaches */
    size_t first_len;
    bool is_over_limit; /* the input has more than the request may be followed by */
};

void feed_run(const struct feed *feed, struct fed *out);
/* Aborts, saying where, when they differ. */
void feed_expect_same(const struct fed *a, const struct fed *b);

#endif

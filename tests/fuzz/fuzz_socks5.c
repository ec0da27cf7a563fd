/* SPDX-License-Identifier: MIT */
/* The proxy's parser, cut into pieces as the first bytes say, against the same bytes in one piece; and the header of its UDP datagrams. */
#include "frontends/socks5/socks5.h"
#include "frontends/socks5/udp_header.h"
#include "tests/unit/socks5/feed.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t all_of_it(size_t at, void *ctx)
{
    (void)at, (void)ctx;
    return FEED_MAX;
}

struct pieces {
    uint8_t even, odd;
};

static size_t piece(size_t at, void *ctx)
{
    const struct pieces *pieces = ctx;
    return 1u + (at % 2 ? pieces->odd : pieces->even);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fed whole, cut;
    static struct gw_auth *auth;
    const struct gw_socks5_user user = {"u", "p"};
    struct gw_proxy_request target;
    if (size < 3 || size > FEED_MAX)
        return 0;
    if (!auth && gw_auth_new(&auth, &user, 1) != 0)
        abort();
    struct pieces pieces = {data[0], data[1]};
    struct feed feed = {
        .input = data + 3, .input_len = size - 3, .piece = all_of_it, .auth = data[2] & 1 ? auth : NULL};
    feed_run(&feed, &whole);
    feed.piece = piece;
    feed.ctx = &pieces;
    feed_run(&feed, &cut);
    feed_expect_same(&whole, &cut);
    gw_udp_header_parse(&target, data + 3, size - 3);
    return 0;
}

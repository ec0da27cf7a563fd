/* SPDX-License-Identifier: MIT */
#include "feed.h"

#include "tests/must.h"

#include <stdlib.h>
#include <string.h>

static void keep_reply(const struct gw_proxy *proxy, struct fed *out)
{
    must(out->said_len + proxy->reply_len <= sizeof out->said);
    memcpy(out->said + out->said_len, proxy->reply, proxy->reply_len);
    out->said_len += proxy->reply_len;
}

/* What was behind the request in the parser's buffer, then what it never saw. */
static void keep_first(const struct gw_proxy *proxy, const uint8_t *rest, size_t rest_len, struct fed *out)
{
    size_t len;
    uint64_t limit = gw_proxy_limit(proxy);
    const void *first = gw_proxy_first(proxy, &len);
    out->is_over_limit = rest_len > limit;
    if (out->is_over_limit)
        rest_len = (size_t)limit;
    must(len + rest_len <= sizeof out->first);
    memcpy(out->first, first, len);
    memcpy(out->first + len, rest, rest_len);
    out->first_len = len + rest_len;
}

void feed_run(const struct feed *feed, struct fed *out)
{
    struct gw_proxy proxy;
    size_t at = 0;
    memset(out, 0, sizeof *out);
    out->last = GW_PROXY_MORE;
    must(gw_proxy_init(&proxy, feed->auth, false) == 0);
    while (at < feed->input_len && out->last == GW_PROXY_MORE) {
        size_t room_len, n = feed->piece(at, feed->ctx);
        uint8_t *room = gw_proxy_room(&proxy, &room_len);
        must(room_len > 0 && n > 0);
        if (n > feed->input_len - at)
            n = feed->input_len - at;
        if (n > room_len)
            n = room_len;
        memcpy(room, feed->input + at, n);
        at += n;
        out->last = gw_proxy_advance(&proxy, n);
        while (out->last == GW_PROXY_SAY) {
            keep_reply(&proxy, out);
            out->last = gw_proxy_advance(&proxy, 0);
        }
    }
    if (out->last == GW_PROXY_FAIL) {
        keep_reply(&proxy, out);
        out->outcome = proxy.outcome;
    } else if (out->last == GW_PROXY_REQUEST) {
        out->request = proxy.request;
        keep_first(&proxy, feed->input + at, feed->input_len - at, out);
    }
    gw_proxy_fini(&proxy);
}

void feed_expect_same(const struct fed *a, const struct fed *b)
{
    must(a->last == b->last);
    must(a->said_len == b->said_len && memcmp(a->said, b->said, a->said_len) == 0);
    if (a->last == GW_PROXY_FAIL)
        must(a->outcome == b->outcome);
    if (a->last != GW_PROXY_REQUEST)
        return;
    must(a->request.command == b->request.command && a->request.port == b->request.port);
    must(strcmp(a->request.host, b->request.host) == 0 && gw_addr_equal(&a->request.ip, &b->request.ip));
    must(a->first_len == b->first_len && memcmp(a->first, b->first, a->first_len) == 0);
}

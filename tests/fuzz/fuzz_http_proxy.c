/* SPDX-License-Identifier: MIT */
/* HTTP's part of the proxy's parser. What is passed on to a server must be one request in origin form, as this strict little reader of its own
 * understands it, with nothing in it that was for the proxy. */
#include "frontends/socks5/socks5.h"
#include "tests/must.h"
#include "tests/unit/socks5/feed.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t piece(size_t at, void *ctx)
{
    (void)at;
    return 1u + *(const uint8_t *)ctx;
}

static bool has_prefix(const char *line, const char *prefix)
{
    return strncasecmp(line, prefix, strlen(prefix)) == 0;
}

static void check_forwarded(char *text)
{
    unsigned hosts = 0, closes = 0;
    char *end = strstr(text, "\r\n\r\n");
    must(end);
    end[2] = '\0';
    char *line = strstr(text, "\r\n");
    char *target = strchr(text, ' ');
    must(target && target < line && (target[1] == '/' || target[1] == '*'));
    for (line += 2; *line; line = strstr(line, "\r\n") + 2) {
        must(strchr(line, ':') && *line != ' ' && *line != '\t');
        hosts += has_prefix(line, "host:");
        closes += has_prefix(line, "connection: close\r\n");
        must(!has_prefix(line, "proxy-") && !has_prefix(line, "keep-alive:") &&
             !has_prefix(line, "upgrade:"));
        must(!has_prefix(line, "connection:") || has_prefix(line, "connection: close\r\n"));
    }
    must(hosts == 1 && closes == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fed out;
    static char text[FEED_MAX + 1];
    if (size < 2 || size > FEED_MAX)
        return 0;
    struct feed feed = {
        .input = data + 1, .input_len = size - 1, .piece = piece, .ctx = (void *)(uintptr_t)data};
    feed_run(&feed, &out);
    if (out.last != GW_PROXY_REQUEST || out.request.command != GW_PROXY_FORWARD)
        return 0;
    must(out.request.port != 0 && out.request.host[0] != '\0');
    memcpy(text, out.first, out.first_len);
    text[out.first_len] = '\0';
    check_forwarded(text);
    return 0;
}

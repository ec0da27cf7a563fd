/* SPDX-License-Identifier: MIT */
/* HTTP as a proxy's clients speak it (RFC 9110, 9112): CONNECT, and requests in absolute form, which are rewritten to origin form. Strict: what two
 * readers could understand in two ways is refused. */
#include "frontends/socks5/parse_private.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct span {
    const char *at;
    size_t len;
};

struct request_line {
    struct span method, target, version;
};

/* What the header said. */
struct header {
    bool is_authorized;
    bool is_chunked;
    bool has_length;
    uint64_t length;
    struct span connection[4]; /* the values of Connection */
    unsigned connection_count;
};

/* ---- pieces of text */

static bool is_equal(struct span span, const char *text)
{
    return span.len == strlen(text) && strncasecmp(span.at, text, span.len) == 0;
}

/* RFC 9110, 5.6.2. */
static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct span span)
{
    for (size_t i = 0; i < span.len; i++) {
        if (!is_token_char(span.at[i]))
            return false;
    }
    return span.len > 0;
}

static struct span trim(struct span span)
{
    while (span.len > 0 && (span.at[0] == ' ' || span.at[0] == '\t')) {
        span.at++;
        span.len--;
    }
    while (span.len > 0 && (span.at[span.len - 1] == ' ' || span.at[span.len - 1] == '\t'))
        span.len--;
    return span;
}

/* Cuts *text after the first `c`; what was before it, or everything. */
static struct span cut(struct span *text, char c)
{
    const char *found = memchr(text->at, c, text->len);
    struct span head = {text->at, found ? (size_t)(found - text->at) : text->len};
    size_t skip = head.len + (found ? 1 : 0);
    text->at += skip;
    text->len -= skip;
    return head;
}

/* The next line without its CRLF. */
static struct span next_line(struct span *text)
{
    struct span line = cut(text, '\n');
    assert(line.len > 0 && line.at[line.len - 1] == '\r'); /* find_end has seen to it */
    line.len--;
    return line;
}

static bool parse_number(struct span span, uint64_t max, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < span.len; i++) {
        if (span.at[i] < '0' || span.at[i] > '9' || *out > max / 10)
            return false;
        *out = *out * 10 + (uint64_t)(span.at[i] - '0');
    }
    return span.len > 0 && *out <= max;
}

/* ---- the header as a whole */

/* Looks for the empty line. 1 = found, *end is behind it; 0 = not yet; -1 = a control character, or a CR or LF alone. */
static int find_end(struct gw_proxy *proxy, size_t *end)
{
    const uint8_t *buf = proxy->buf;
    for (size_t i = proxy->scanned; i < proxy->len; i++) {
        bool is_lf = buf[i] == '\n', is_after_cr = i > 0 && buf[i - 1] == '\r';
        if (is_lf != is_after_cr || buf[i] == 0x7f ||
            (buf[i] < ' ' && !is_lf && buf[i] != '\r' && buf[i] != '\t'))
            return -1;
        if (is_lf && i >= 3 && buf[i - 2] == '\n') {
            *end = i + 1;
            return 1;
        }
    }
    proxy->scanned = proxy->len;
    return 0;
}

static enum gw_outcome parse_request_line(struct span line, struct request_line *out)
{
    out->method = cut(&line, ' ');
    out->target = cut(&line, ' ');
    out->version = line;
    if (!is_token(out->method) || out->target.len == 0 || memchr(out->target.at, '\t', out->target.len))
        return GW_OUTCOME_BAD_REQUEST;
    if (line.len != 8 || memcmp(line.at, "HTTP/", 5) != 0)
        return GW_OUTCOME_BAD_REQUEST;
    return memcmp(line.at, "HTTP/1.1", 8) == 0 || memcmp(line.at, "HTTP/1.0", 8) == 0
               ? GW_OUTCOME_OK
               : GW_OUTCOME_BAD_VERSION;
}

static bool check_basic(const struct gw_auth *auth, struct span value)
{
    uint8_t plain[2 * GW_AUTH_FIELD_MAX + 2];
    size_t len;
    struct span scheme = cut(&value, ' ');
    value = trim(value);
    if (!is_equal(scheme, "Basic") || sodium_base642bin(plain, sizeof plain, value.at, value.len, NULL, &len,
                                                        NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return false;
    const uint8_t *colon = memchr(plain, ':', len);
    size_t name_len = colon ? (size_t)(colon - plain) : 0;
    bool is_known = colon && gw_auth_check(auth, plain, name_len, colon + 1, len - name_len - 1);
    sodium_memzero(plain, sizeof plain);
    return is_known;
}

/* One line of the header; name and value are split already. */
static bool read_field(const struct gw_proxy *proxy, struct span name, struct span value,
                       struct header *header)
{
    uint64_t length;
    if (is_equal(name, "Proxy-Authorization")) {
        header->is_authorized |= check_basic(proxy->auth, value);
    } else if (is_equal(name, "Content-Length")) {
        if (!parse_number(value, UINT64_MAX / 2, &length) || (header->has_length && length != header->length))
            return false;
        header->has_length = true;
        header->length = length;
    } else if (is_equal(name, "Transfer-Encoding")) {
        if (!is_equal(value, "chunked") || header->is_chunked)
            return false;
        header->is_chunked = true;
    } else if (is_equal(name, "Connection")) {
        if (header->connection_count == sizeof header->connection / sizeof header->connection[0])
            return false;
        header->connection[header->connection_count++] = value;
    }
    return true;
}

/* A line "name: value". An empty or a continued one is neither. */
static bool split_field(struct span line, struct span *name, struct span *value)
{
    if (!memchr(line.at, ':', line.len))
        return false;
    *name = cut(&line, ':');
    *value = trim(line);
    return is_token(*name);
}

static bool read_header(const struct gw_proxy *proxy, struct span fields, struct header *header)
{
    *header = (struct header){.is_authorized = !gw_auth_is_needed(proxy->auth)};
    while (fields.len > 2) {
        struct span name, value;
        if (!split_field(next_line(&fields), &name, &value) || !read_field(proxy, name, value, header))
            return false;
    }
    return !(header->is_chunked && header->has_length);
}

/* ---- where to */

/* "host", "host:port", "[ipv6]:port"; default_port 0 = the port must be there. */
static bool set_authority(struct gw_proxy_request *request, struct span authority, uint16_t default_port)
{
    uint64_t port = default_port;
    struct span host = authority;
    const char *bracket = memchr(authority.at, ']', authority.len);
    const char *colon = memrchr(authority.at, ':', authority.len);
    if (memchr(authority.at, '@', authority.len))
        return false;
    if (colon && (!bracket || colon > bracket)) {
        struct span digits = {colon + 1, (size_t)(authority.at + authority.len - colon - 1)};
        if (!parse_number(digits, UINT16_MAX, &port))
            return false;
        host.len = (size_t)(colon - authority.at);
    }
    if (port == 0)
        return false;
    if (host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']')
        return gw_proxy_set_host(request, host.at + 1, host.len - 2, (uint16_t)port) &&
               request->ip.family == 6;
    /* An IPv6 address without brackets has more colons than one. */
    return !memchr(host.at, ':', host.len) && gw_proxy_set_host(request, host.at, host.len, (uint16_t)port);
}

static bool has_prefix(struct span span, const char *prefix)
{
    return span.len >= strlen(prefix) && strncasecmp(span.at, prefix, strlen(prefix)) == 0;
}

/* Takes an absolute URI apart; *path begins with '/', or '?', or is empty. */
static enum gw_outcome set_absolute(struct gw_proxy *proxy, struct span target, struct span *authority,
                                    struct span *path)
{
    size_t i = strlen("http://");
    if (target.at[0] == '/' || is_equal(target, "*"))
        return GW_OUTCOME_NOT_A_PROXY_REQUEST;
    if (has_prefix(target, "https://"))
        return GW_OUTCOME_HTTPS_BY_GET;
    if (!has_prefix(target, "http://") || memchr(target.at, '#', target.len))
        return GW_OUTCOME_BAD_REQUEST;
    while (i < target.len && target.at[i] != '/' && target.at[i] != '?')
        i++;
    *authority = (struct span){target.at + 7, i - 7};
    *path = (struct span){target.at + i, target.len - i};
    return set_authority(&proxy->request, *authority, 80) ? GW_OUTCOME_OK : GW_OUTCOME_BAD_REQUEST;
}

/* ---- the rewritten request */

static void put(struct gw_proxy *proxy, const void *bytes, size_t len)
{
    memcpy(proxy->first + proxy->first_len, bytes, len);
    proxy->first_len += len;
}

static void put_text(struct gw_proxy *proxy, const char *text)
{
    put(proxy, text, strlen(text));
}

static void put_span(struct gw_proxy *proxy, struct span span)
{
    put(proxy, span.at, span.len);
}

/* Is the field for this connection only (RFC 9110, 7.6.1), or replaced by ours? */
static bool is_hop_by_hop(struct span name, const struct header *header)
{
    static const char *const ours[] = {"Host", "Connection", "Keep-Alive", "TE", "Trailer", "Upgrade"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (is_equal(name, ours[i]))
            return true;
    }
    if (has_prefix(name, "Proxy-"))
        return true;
    /* How long the body is stays with it, whatever Connection says. */
    if (is_equal(name, "Content-Length") || is_equal(name, "Transfer-Encoding"))
        return false;
    for (unsigned i = 0; i < header->connection_count; i++) {
        struct span rest = header->connection[i];
        while (rest.len > 0) {
            struct span listed = trim(cut(&rest, ','));
            if (listed.len == name.len && strncasecmp(listed.at, name.at, name.len) == 0)
                return true;
        }
    }
    return false;
}

static void put_fields(struct gw_proxy *proxy, struct span fields, const struct header *header)
{
    while (fields.len > 2) {
        struct span name, value, line = next_line(&fields);
        bool is_field = split_field(line, &name, &value);
        if (!is_field || is_hop_by_hop(name, header))
            continue;
        put_span(proxy, line);
        put_text(proxy, "\r\n");
    }
}

/* The body's bytes that are here already; those behind it are a next request, which a connection of its own must bring. */
static void put_body(struct gw_proxy *proxy, size_t end, const struct header *header)
{
    size_t have = proxy->len - end;
    if (!header->is_chunked) {
        uint64_t length = header->has_length ? header->length : 0;
        have = have < length ? have : (size_t)length;
        proxy->limit = length - have;
    }
    put(proxy, proxy->buf + end, have);
}

static enum gw_proxy_step forward(struct gw_proxy *proxy, const struct request_line *line, struct span fields,
                                  const struct header *header, size_t end)
{
    static const char close_line[] = "Connection: close\r\n\r\n";
    struct span authority, path;
    enum gw_outcome outcome = set_absolute(proxy, line->target, &authority, &path);
    if (outcome != GW_OUTCOME_OK)
        return gw_proxy_fail(proxy, outcome);
    /* Nothing gets longer but by the lines written here; the authority appears in the Host field instead of the request line. */
    proxy->first = malloc(proxy->len + sizeof close_line + sizeof "Host: \r\n/ \r\n");
    if (!proxy->first)
        return gw_proxy_fail(proxy, GW_OUTCOME_OVERLOADED);
    put_span(proxy, line->method);
    put_text(proxy, " ");
    if (path.len == 0 || path.at[0] != '/')
        put_text(proxy, path.len == 0 && is_equal(line->method, "OPTIONS") ? "*" : "/");
    put_span(proxy, path);
    put_text(proxy, " ");
    put_span(proxy, line->version);
    put_text(proxy, "\r\nHost: ");
    put_span(proxy, authority);
    put_text(proxy, "\r\n");
    put_fields(proxy, fields, header);
    put_text(proxy, close_line);
    put_body(proxy, end, header);
    proxy->request.command = GW_PROXY_FORWARD;
    return GW_PROXY_REQUEST;
}

enum gw_proxy_step gw_proxy_advance_http(struct gw_proxy *proxy)
{
    size_t end;
    struct request_line line;
    struct header header;
    int found = find_end(proxy, &end);
    if (found == 0)
        return GW_PROXY_MORE;
    if (found < 0)
        return gw_proxy_fail(proxy, GW_OUTCOME_BAD_REQUEST);
    struct span fields = {(const char *)proxy->buf, end};
    enum gw_outcome outcome = parse_request_line(next_line(&fields), &line);
    if (outcome != GW_OUTCOME_OK)
        return gw_proxy_fail(proxy, outcome);
    if (!read_header(proxy, fields, &header))
        return gw_proxy_fail(proxy, GW_OUTCOME_BAD_REQUEST);
    if (!header.is_authorized)
        return gw_proxy_fail(proxy, GW_OUTCOME_NEEDS_AUTH);
    if (!is_equal(line.method, "CONNECT"))
        return forward(proxy, &line, fields, &header, end);
    if (!set_authority(&proxy->request, line.target, 0))
        return gw_proxy_fail(proxy, GW_OUTCOME_BAD_REQUEST);
    proxy->request.command = GW_PROXY_CONNECT;
    proxy->off = end;
    return GW_PROXY_REQUEST;
}

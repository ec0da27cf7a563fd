/* SPDX-License-Identifier: MIT */
#include "frontends/socks5/parse.h"

#include "frontends/socks5/parse_private.h"
#include "gateway/base/err.h"
#include "gateway/base/secret.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than any SOCKS5 message; HTTP grows to GW_PROXY_HEADER_MAX. */
#define FIRST_ROOM 1024u

enum { METHOD_NONE = 0x00, METHOD_PASSWORD = 0x02, METHOD_REFUSED = 0xff };
enum { COMMAND_CONNECT = 1, COMMAND_BIND = 2, COMMAND_ASSOCIATE = 3 };
enum { ADDRESS_IPV4 = 1, ADDRESS_NAME = 3, ADDRESS_IPV6 = 4 };

enum state { STATE_FIRST_BYTE, STATE_GREETING, STATE_PASSWORD, STATE_REQUEST, STATE_HTTP };

int gw_proxy_init(struct gw_proxy *proxy, const struct gw_auth *auth, bool no_http)
{
    *proxy = (struct gw_proxy){.auth = auth, .no_http = no_http, .limit = UINT64_MAX};
    proxy->buf = malloc(FIRST_ROOM);
    proxy->cap = FIRST_ROOM;
    return proxy->buf ? 0 : GW_E_NOMEM;
}

void gw_proxy_fini(struct gw_proxy *proxy)
{
    if (proxy->buf && gw_auth_is_needed(proxy->auth))
        gw_wipe(proxy->buf, proxy->len);
    free(proxy->buf);
    free(proxy->first);
    proxy->buf = proxy->first = NULL;
}

uint8_t *gw_proxy_room(struct gw_proxy *proxy, size_t *len)
{
    *len = proxy->cap - proxy->len;
    return proxy->buf + proxy->len;
}

/* Room for at least one more byte of a message that is not complete yet. false = there is none. */
static bool make_room(struct gw_proxy *proxy)
{
    if (proxy->off > 0) {
        memmove(proxy->buf, proxy->buf + proxy->off, proxy->len - proxy->off);
        proxy->len -= proxy->off;
        proxy->off = 0;
    }
    if (proxy->len < proxy->cap)
        return true;
    size_t cap = proxy->cap * 4;
    uint8_t *grown = cap <= GW_PROXY_HEADER_MAX ? malloc(cap) : NULL;
    if (!grown)
        return false;
    memcpy(grown, proxy->buf, proxy->len);
    gw_wipe(proxy->buf, proxy->len);
    free(proxy->buf);
    proxy->buf = grown;
    proxy->cap = cap;
    return true;
}

/* ---- what is said */

static enum gw_proxy_step say(struct gw_proxy *proxy, enum gw_proxy_step step, size_t len)
{
    proxy->reply = proxy->answer;
    proxy->reply_len = len;
    proxy->is_over = step == GW_PROXY_FAIL;
    return step;
}

static enum gw_proxy_step say_two(struct gw_proxy *proxy, enum gw_proxy_step step, uint8_t a, uint8_t b)
{
    proxy->answer[0] = (char)a;
    proxy->answer[1] = (char)b;
    return say(proxy, step, 2);
}

const void *gw_proxy_answer(struct gw_proxy *proxy, enum gw_outcome outcome, const struct gw_addr *bound,
                            size_t *len)
{
    if (proxy->protocol == GW_PROXY_SOCKS5)
        *len = gw_outcome_socks5((uint8_t *)proxy->answer, outcome, bound);
    else if (proxy->protocol == GW_PROXY_HTTP &&
             !(outcome == GW_OUTCOME_OK && proxy->request.command == GW_PROXY_FORWARD))
        *len = gw_outcome_http(proxy->answer, outcome, proxy->request.host, proxy->hindrance,
                               proxy->hindrance_advice);
    else
        *len = 0;
    return proxy->answer;
}

enum gw_proxy_step gw_proxy_fail(struct gw_proxy *proxy, enum gw_outcome outcome)
{
    size_t len;
    proxy->outcome = outcome;
    gw_proxy_answer(proxy, outcome, NULL, &len);
    return say(proxy, GW_PROXY_FAIL, len);
}

/* ---- SOCKS5 */

bool gw_proxy_set_host(struct gw_proxy_request *request, const char *host, size_t len, uint16_t port)
{
    if (len == 0 || len > GW_PROXY_HOST_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (host[i] <= ' ' || host[i] > '~')
            return false;
    }
    memcpy(request->host, host, len);
    request->host[len] = '\0';
    request->port = port;
    if (gw_addr_parse_ip(&request->ip, request->host, port) != 0)
        request->ip = (struct gw_addr){0};
    return true;
}

static uint16_t load16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static enum gw_proxy_step advance_greeting(struct gw_proxy *proxy, const uint8_t *bytes, size_t len)
{
    if (len < 2 || len < 2u + bytes[1])
        return GW_PROXY_MORE;
    bool has_none = memchr(bytes + 2, METHOD_NONE, bytes[1]) != NULL;
    bool has_password = memchr(bytes + 2, METHOD_PASSWORD, bytes[1]) != NULL;
    proxy->off += 2u + bytes[1];
    if (has_none && !gw_auth_is_needed(proxy->auth)) {
        proxy->state = STATE_REQUEST;
        return say_two(proxy, GW_PROXY_SAY, 5, METHOD_NONE);
    }
    /* Where none is needed any password will do: some clients send one and offer nothing else. */
    if (has_password) {
        proxy->state = STATE_PASSWORD;
        return say_two(proxy, GW_PROXY_SAY, 5, METHOD_PASSWORD);
    }
    proxy->outcome = GW_OUTCOME_NEEDS_AUTH;
    return say_two(proxy, GW_PROXY_FAIL, 5, METHOD_REFUSED);
}

/* RFC 1929: 01 | name length | name | password length | password. */
static enum gw_proxy_step advance_password(struct gw_proxy *proxy, const uint8_t *bytes, size_t len)
{
    if (len >= 1 && bytes[0] != 1)
        return gw_proxy_fail(proxy, GW_OUTCOME_BAD_REQUEST);
    if (len < 2 || len < 3u + bytes[1])
        return GW_PROXY_MORE;
    size_t name_len = bytes[1], password_len = bytes[2 + name_len];
    if (len < 3 + name_len + password_len)
        return GW_PROXY_MORE;
    proxy->off += 3 + name_len + password_len;
    if (gw_auth_check(proxy->auth, bytes + 2, name_len, bytes + 3 + name_len, password_len)) {
        proxy->state = STATE_REQUEST;
        return say_two(proxy, GW_PROXY_SAY, 1, 0);
    }
    proxy->outcome = GW_OUTCOME_NEEDS_AUTH;
    return say_two(proxy, GW_PROXY_FAIL, 1, 1);
}

/* The length of an address with its type and port; 0 = not known yet; SIZE_MAX = no such type. */
static size_t address_len(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    switch (bytes[0]) {
    case ADDRESS_IPV4:
        return 1 + 4 + 2;
    case ADDRESS_IPV6:
        return 1 + 16 + 2;
    case ADDRESS_NAME:
        return len >= 2 ? 2u + bytes[1] + 2 : 0;
    default:
        return SIZE_MAX;
    }
}

size_t gw_proxy_read_address(struct gw_proxy_request *request, const uint8_t *bytes, size_t len)
{
    char text[INET6_ADDRSTRLEN];
    size_t whole = address_len(bytes, len);
    if (whole == 0 || whole > len)
        return 0;
    uint16_t port = load16(bytes + whole - 2);
    if (bytes[0] == ADDRESS_NAME)
        return gw_proxy_set_host(request, (const char *)bytes + 2, bytes[1], port) ? whole : 0;
    if (!inet_ntop(bytes[0] == ADDRESS_IPV4 ? AF_INET : AF_INET6, bytes + 1, text, sizeof text))
        return 0;
    return gw_proxy_set_host(request, text, strlen(text), port) ? whole : 0;
}

/* RFC 1928, 4: 05 | command | 00 | address type | address | port. */
static enum gw_proxy_step advance_request(struct gw_proxy *proxy, const uint8_t *bytes, size_t len)
{
    if (len >= 1 && bytes[0] != 5)
        return gw_proxy_fail(proxy, GW_OUTCOME_BAD_REQUEST);
    if (len < 4)
        return GW_PROXY_MORE;
    size_t address = address_len(bytes + 3, len - 3);
    if (address == SIZE_MAX)
        return gw_proxy_fail(proxy, GW_OUTCOME_BAD_ADDRESS_TYPE);
    if (address == 0 || len < 3 + address)
        return GW_PROXY_MORE;
    if (bytes[1] != COMMAND_CONNECT && bytes[1] != COMMAND_ASSOCIATE)
        return gw_proxy_fail(proxy, GW_OUTCOME_BAD_COMMAND);
    if (gw_proxy_read_address(&proxy->request, bytes + 3, len - 3) == 0)
        return gw_proxy_fail(proxy, GW_OUTCOME_BAD_REQUEST);
    proxy->request.command = bytes[1] == COMMAND_CONNECT ? GW_PROXY_CONNECT : GW_PROXY_ASSOCIATE;
    proxy->off += 3 + address;
    return GW_PROXY_REQUEST;
}

/* ---- both */

/* SOCKS4's refusal, so that its client says so at once. */
static enum gw_proxy_step refuse_socks4(struct gw_proxy *proxy)
{
    proxy->protocol = GW_PROXY_SOCKS4;
    proxy->outcome = GW_OUTCOME_BAD_VERSION;
    memset(proxy->answer, 0, 8);
    proxy->answer[1] = 0x5b;
    return say(proxy, GW_PROXY_FAIL, 8);
}

static enum gw_proxy_step advance_first_byte(struct gw_proxy *proxy, const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return GW_PROXY_MORE;
    if (bytes[0] == 5) {
        proxy->protocol = GW_PROXY_SOCKS5;
        proxy->state = STATE_GREETING;
        return advance_greeting(proxy, bytes, len);
    }
    if (bytes[0] == 4)
        return refuse_socks4(proxy);
    if (bytes[0] < 'A' || bytes[0] > 'Z' || proxy->no_http) {
        proxy->outcome = GW_OUTCOME_BAD_REQUEST;
        return say(proxy, GW_PROXY_FAIL, 0);
    }
    proxy->protocol = GW_PROXY_HTTP;
    proxy->state = STATE_HTTP;
    return gw_proxy_advance_http(proxy);
}

enum gw_proxy_step gw_proxy_advance(struct gw_proxy *proxy, size_t len)
{
    enum gw_proxy_step step = GW_PROXY_FAIL;
    assert(!proxy->is_over && len <= proxy->cap - proxy->len);
    proxy->len += len;
    const uint8_t *bytes = proxy->buf + proxy->off;
    size_t have = proxy->len - proxy->off;
    switch (proxy->state) {
    case STATE_FIRST_BYTE:
        step = advance_first_byte(proxy, bytes, have);
        break;
    case STATE_GREETING:
        step = advance_greeting(proxy, bytes, have);
        break;
    case STATE_PASSWORD:
        step = advance_password(proxy, bytes, have);
        break;
    case STATE_REQUEST:
        step = advance_request(proxy, bytes, have);
        break;
    case STATE_HTTP:
        step = gw_proxy_advance_http(proxy);
        break;
    }
    if (step == GW_PROXY_MORE && !make_room(proxy))
        return gw_proxy_fail(proxy, GW_OUTCOME_TOO_LARGE);
    if (step == GW_PROXY_REQUEST)
        proxy->is_over = true;
    return step;
}

const void *gw_proxy_first(const struct gw_proxy *proxy, size_t *len)
{
    if (proxy->first) {
        *len = proxy->first_len;
        return proxy->first;
    }
    *len = proxy->len - proxy->off;
    return proxy->buf + proxy->off;
}

uint64_t gw_proxy_limit(const struct gw_proxy *proxy)
{
    return proxy->limit;
}

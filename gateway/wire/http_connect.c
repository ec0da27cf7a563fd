/* SPDX-License-Identifier: MIT */
#include "gateway/wire/http_connect.h"

#include "gateway/base/secret.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define BASE64_MAX sodium_base64_ENCODED_LEN(GW_HTTP_CREDENTIALS_MAX, sodium_base64_VARIANT_ORIGINAL)
static_assert(GW_HTTP_CONNECT_MAX > BASE64_MAX + 2 * GW_ADDR_STRLEN + 100, "every request has room");

size_t gw_http_connect_write(char out[GW_HTTP_CONNECT_MAX], const struct gw_addr *to, const char *credentials)
{
    char at[GW_ADDR_STRLEN], base64[BASE64_MAX] = "";
    size_t len = strlen(credentials);
    assert(len <= GW_HTTP_CREDENTIALS_MAX);
    gw_addr_format(to, at);
    sodium_bin2base64(base64, sizeof base64, (const unsigned char *)credentials, len,
                      sodium_base64_VARIANT_ORIGINAL);
    int wrote = snprintf(out, GW_HTTP_CONNECT_MAX, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s%s%s\r\n", at, at,
                         len > 0 ? "Proxy-Authorization: Basic " : "", base64, len > 0 ? "\r\n" : "");
    gw_wipe(base64, sizeof base64);
    return (size_t)wrote;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200": of the status line no more counts. */
static bool read_status(const uint8_t *head, size_t len, unsigned *status)
{
    static const char version[] = "HTTP/1.";
    const size_t at = sizeof version - 1;
    if (len < at + 5 || memcmp(head, version, at) != 0 || !is_digit(head[at]) || head[at + 1] != ' ')
        return false;
    const uint8_t *digits = head + at + 2;
    if (!is_digit(digits[0]) || !is_digit(digits[1]) || !is_digit(digits[2]))
        return false;
    *status = (digits[0] - '0') * 100u + (digits[1] - '0') * 10u + (digits[2] - '0');
    return *status >= 100;
}

/* Behind the empty line; 0: there is none. */
static size_t head_len(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != '\n')
            continue;
        if (i + 1 < len && bytes[i + 1] == '\n')
            return i + 2;
        if (i + 2 < len && bytes[i + 1] == '\r' && bytes[i + 2] == '\n')
            return i + 3;
    }
    return 0;
}

enum gw_http_connect gw_http_connect_read(const uint8_t *bytes, size_t len, unsigned *status, size_t *used)
{
    static const char begin[] = "HTTP/1.";
    *status = 0;
    *used = 0;
    for (;;) {
        size_t left = len - *used, start = left < sizeof begin - 1 ? left : sizeof begin - 1;
        if (memcmp(bytes + *used, begin, start) != 0)
            return GW_HTTP_CONNECT_WRONG;
        size_t head = head_len(bytes + *used, left);
        if (*used + (head > 0 ? head : left) > GW_HTTP_ANSWER_MAX)
            return GW_HTTP_CONNECT_WRONG;
        if (head == 0)
            return GW_HTTP_CONNECT_MORE;
        if (!read_status(bytes + *used, head, status))
            return GW_HTTP_CONNECT_WRONG;
        *used += head;
        if (*status >= 200)
            return *status < 300 ? GW_HTTP_CONNECT_OPEN : GW_HTTP_CONNECT_REFUSED;
    }
}

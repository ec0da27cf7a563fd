/* SPDX-License-Identifier: MIT */
#include "gateway/config/proxy_url.h"

#include "gateway/base/err.h"
#include "gateway/base/secret.h"
#include "gateway/config/endpoint.h"

#include <string.h>
#include <strings.h>

#define SCHEME "http://"
#define PLACE_MAX 300u

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;
    return at ? (int)(at - digits) : -1;
}

static bool take_credentials(struct gw_proxy_url *out, const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < len ? digit(text[i + 1]) : -1, low = high < 0 ? -1 : digit(text[i + 2]);
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (n == GW_HTTP_CREDENTIALS_MAX || (unsigned char)c < ' ' || c == 0x7f)
            return false;
        out->credentials[n++] = c;
    }
    return n > 1 && strchr(out->credentials, ':') != NULL;
}

static int parse(struct gw_proxy_url *out, const char *text)
{
    char place[PLACE_MAX];
    const char *why;
    if (strncasecmp(text, SCHEME, sizeof SCHEME - 1) == 0)
        text += sizeof SCHEME - 1;
    const char *at = strrchr(text, '@');
    if (at && !take_credentials(out, text, (size_t)(at - text)))
        return GW_E_MALFORMED;
    text = at ? at + 1 : text;
    size_t len = strlen(text);
    len -= len > 0 && text[len - 1] == '/';
    if (len >= sizeof place)
        return GW_E_MALFORMED;
    memcpy(place, text, len);
    place[len] = '\0';
    return gw_endpoint_parse(&out->at, place, 1, &why);
}

int gw_proxy_url_parse(struct gw_proxy_url *out, const char *text)
{
    memset(out, 0, sizeof *out);
    int err = parse(out, text);
    if (err)
        gw_wipe(out, sizeof *out);
    return err;
}

bool gw_no_proxy_has(const char *no_proxy, const struct gw_addr *addr)
{
    char own[GW_ADDR_STRLEN];
    struct gw_addr one;
    if (!no_proxy)
        return false;
    while (*no_proxy) {
        size_t len = strcspn(no_proxy, ", ");
        if (len == 1 && *no_proxy == '*')
            return true;
        if (len > 0 && len < sizeof own) {
            memcpy(own, no_proxy, len);
            own[len] = '\0';
            if (gw_addr_parse_ip(&one, own, 0) == 0 && gw_addr_same_ip(&one, addr))
                return true;
        }
        no_proxy += len;
        no_proxy += strspn(no_proxy, ", ");
    }
    return false;
}

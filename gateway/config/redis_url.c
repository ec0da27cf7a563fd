/* SPDX-License-Identifier: MIT */
/* See redis_url.h. */
#include "gateway/config/redis_url.h"

#include "gateway/base/err.h"

#include <string.h>

#define SCHEME "redis://"
#define SCHEME_UNIX "unix://"
#define DATABASE_MAX 9999u

static int parse_database(unsigned *out, const char *text)
{
    unsigned value = 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || (value = value * 10 + (unsigned)(*text - '0')) > DATABASE_MAX)
            return GW_E_MALFORMED;
    }
    *out = value;
    return 0;
}

/* "[:]PASSWORD"; the user is always the default one. */
static int take_password(struct gw_redis_url *out, const char *text, size_t len)
{
    if (len == 0 || text[0] != ':')
        return GW_E_MALFORMED;
    if (len - 1 == 0 || len - 1 > GW_REDIS_PASSWORD_MAX)
        return GW_E_MALFORMED;
    memcpy(out->password, text + 1, len - 1);
    return 0;
}

int gw_redis_url_parse(struct gw_redis_url *out, const char *text)
{
    char place[GW_ADDR_STRLEN];
    memset(out, 0, sizeof *out);
    if (strncmp(text, SCHEME_UNIX, sizeof SCHEME_UNIX - 1) == 0) {
        const char *path = text + sizeof SCHEME_UNIX - 1;
        if (path[0] != '/' || strlen(path) > GW_REDIS_PATH_MAX)
            return GW_E_MALFORMED;
        strcpy(out->path, path);
        return 0;
    }
    if (strncmp(text, SCHEME, sizeof SCHEME - 1) != 0)
        return GW_E_MALFORMED;
    text += sizeof SCHEME - 1;
    const char *at = strrchr(text, '@');
    if (at && take_password(out, text, (size_t)(at - text)) != 0)
        return GW_E_MALFORMED;
    if (at)
        text = at + 1;
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    if (len >= sizeof place || (slash && parse_database(&out->database, slash + 1) != 0))
        return GW_E_MALFORMED;
    memcpy(place, text, len);
    place[len] = '\0';
    if (gw_addr_parse(&out->addr, place) != 0 || out->addr.port == 0)
        return GW_E_MALFORMED;
    return 0;
}

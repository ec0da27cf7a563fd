/* SPDX-License-Identifier: MIT */
#include "gateway/local/target.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static int set_unix(struct gw_target *out, const char *path)
{
    size_t len = strlen(path);
    if (len == 0 || strcmp(path, "@") == 0)
        return GW_E_MALFORMED;
    if (len > GW_TARGET_UNIX_MAX)
        return GW_E_TOO_BIG;
    out->kind = GW_TARGET_UNIX;
    memcpy(out->name, path, len + 1);
    return 0;
}

/* What may stand in a host name that is handed to a resolver. */
static bool is_host_text(const char *host)
{
    for (; *host; host++) {
        bool is_word = (*host >= 'a' && *host <= 'z') || (*host >= 'A' && *host <= 'Z') ||
                       (*host >= '0' && *host <= '9');
        if (!is_word && *host != '-' && *host != '.' && *host != '_')
            return false;
    }
    return true;
}

static int set_ip(struct gw_target *out, const char *host, size_t len, uint16_t port)
{
    char ip[GW_ADDR_STRLEN];
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    if (len >= sizeof ip)
        return GW_E_MALFORMED;
    memcpy(ip, host, len);
    ip[len] = '\0';
    int err = gw_addr_parse_ip(&out->addr, ip, port);
    if (err == 0)
        out->kind = GW_TARGET_ADDR;
    return err;
}

int gw_target_set_host(struct gw_target *out, const char *host, uint16_t port)
{
    size_t len = strlen(host);
    *out = (struct gw_target){.port = port};
    if (len == 0)
        return GW_E_MALFORMED;
    if (len > GW_TARGET_NAME_MAX)
        return GW_E_TOO_BIG;
    if (set_ip(out, host, len, port) == 0)
        return 0;
    if (!is_host_text(host))
        return GW_E_MALFORMED;
    out->kind = GW_TARGET_HOST;
    memcpy(out->name, host, len + 1);
    return 0;
}

/* Decimal digits only, 1..65535. */
static bool parse_port(uint16_t *out, const char *text)
{
    unsigned port = 0;
    if (!*text || strlen(text) > 5)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        port = port * 10 + (unsigned)(*text - '0');
    }
    *out = (uint16_t)port;
    return port > 0 && port <= UINT16_MAX;
}

int gw_target_parse(struct gw_target *out, const char *text)
{
    char host[GW_TARGET_NAME_MAX + 1];
    uint16_t port;
    *out = (struct gw_target){0};
    if (strncmp(text, "unix:", 5) == 0)
        return set_unix(out, text + 5);
    const char *colon = strrchr(text, ':');
    if (!colon || !parse_port(&port, colon + 1))
        return GW_E_MALFORMED;
    size_t len = (size_t)(colon - text);
    if (len >= sizeof host)
        return GW_E_TOO_BIG;
    memcpy(host, text, len);
    host[len] = '\0';
    /* "::1:80" could mean anything: IPv6 needs its brackets here. */
    if (host[0] != '[' && strchr(host, ':'))
        return GW_E_MALFORMED;
    return gw_target_set_host(out, host, port);
}

char *gw_target_format(const struct gw_target *target, char out[GW_TARGET_STRLEN])
{
    char addr[GW_ADDR_STRLEN];
    switch (target->kind) {
    case GW_TARGET_NONE:
        snprintf(out, GW_TARGET_STRLEN, "-");
        break;
    case GW_TARGET_ADDR:
        snprintf(out, GW_TARGET_STRLEN, "%s", gw_addr_format(&target->addr, addr));
        break;
    case GW_TARGET_HOST:
        snprintf(out, GW_TARGET_STRLEN, "%s:%u", target->name, target->port);
        break;
    case GW_TARGET_UNIX:
        snprintf(out, GW_TARGET_STRLEN, "unix:%s", target->name);
        break;
    }
    return out;
}

char *gw_target_log(const struct gw_target *target, char out[GW_TARGET_STRLEN])
{
    if (gw_log_hides_addresses() && (target->kind == GW_TARGET_ADDR || target->kind == GW_TARGET_HOST)) {
        snprintf(out, GW_TARGET_STRLEN, "(hidden)");
        return out;
    }
    return gw_target_format(target, out);
}

bool gw_target_equal(const struct gw_target *a, const struct gw_target *b)
{
    return a->kind == b->kind && a->port == b->port && gw_addr_equal(&a->addr, &b->addr) &&
           strcmp(a->name, b->name) == 0;
}

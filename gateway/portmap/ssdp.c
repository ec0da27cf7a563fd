/* SPDX-License-Identifier: MIT */
#include "gateway/portmap/ssdp.h"

#include <string.h>
#include <strings.h>

#define FIRST_LINE "NOTIFY * HTTP/1.1"
#define GATEWAY "urn:schemas-upnp-org:device:InternetGatewayDevice:" /* a router may be other devices too */

struct text {
    const char *at;
    size_t len;
};

static struct text trim(struct text text)
{
    while (text.len > 0 && (*text.at == ' ' || *text.at == '\t')) {
        text.at++;
        text.len--;
    }
    while (text.len > 0 && strchr(" \t\r", text.at[text.len - 1]))
        text.len--;
    return text;
}

/* The next line, without its end; false: there is none. */
static bool next_line(struct text *rest, struct text *line)
{
    if (rest->len == 0)
        return false;
    const char *end = memchr(rest->at, '\n', rest->len);
    line->at = rest->at;
    line->len = end ? (size_t)(end - rest->at) : rest->len;
    size_t step = line->len + (end != NULL);
    rest->at += step;
    rest->len -= step;
    return true;
}

/* The value of the header with that name; false: the line is another one. */
static bool is_header(struct text line, const char *name, struct text *value)
{
    size_t len = strlen(name);
    if (line.len <= len || strncasecmp(line.at, name, len) != 0 || line.at[len] != ':')
        return false;
    *value = trim((struct text){line.at + len + 1, line.len - len - 1});
    return true;
}

static bool is_text(struct text text, const char *wanted)
{
    return text.len == strlen(wanted) && strncasecmp(text.at, wanted, text.len) == 0;
}

static bool parse_number(struct text text, uint32_t *out)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9' || number > UINT32_MAX)
            return false;
        number = number * 10 + (unsigned)(text.at[i] - '0');
    }
    if (text.len == 0 || number > UINT32_MAX)
        return false;
    *out = (uint32_t)number;
    return true;
}

void gw_ssdp_parse(struct gw_ssdp_notify *out, const char *text, size_t len)
{
    struct text rest = {text, len < GW_SSDP_MAX ? len : GW_SSDP_MAX}, line, value;
    enum gw_ssdp_kind kind = GW_SSDP_OTHER;
    bool is_gateway = false;
    *out = (struct gw_ssdp_notify){.kind = GW_SSDP_OTHER};
    if (!next_line(&rest, &line) || !is_text(trim(line), FIRST_LINE))
        return;
    while (next_line(&rest, &line)) {
        if (is_header(line, "NTS", &value))
            kind = is_text(value, "ssdp:alive")    ? GW_SSDP_ALIVE
                   : is_text(value, "ssdp:byebye") ? GW_SSDP_BYEBYE
                                                   : GW_SSDP_OTHER;
        else if (is_header(line, "NT", &value))
            is_gateway = value.len > strlen(GATEWAY) && strncasecmp(value.at, GATEWAY, strlen(GATEWAY)) == 0;
        else if (is_header(line, "BOOTID.UPNP.ORG", &value))
            out->has_boot |= parse_number(value, &out->boot);
    }
    out->kind = is_gateway ? kind : GW_SSDP_OTHER;
}

bool gw_ssdp_watch_input(struct gw_ssdp_watch *watch, const struct gw_ssdp_notify *notify)
{
    struct gw_ssdp_watch old = *watch;
    if (notify->kind == GW_SSDP_BYEBYE)
        watch->is_known = false;
    if (notify->kind != GW_SSDP_ALIVE)
        return false;
    *watch = (struct gw_ssdp_watch){.is_known = true, .has_boot = notify->has_boot, .boot = notify->boot};
    /* Without a number, that it is heard says nothing: it is said now and then. */
    bool is_other = notify->has_boot && (!old.has_boot || old.boot != notify->boot);
    return !old.is_known || is_other;
}

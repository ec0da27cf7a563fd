/* SPDX-License-Identifier: MIT */
/* Endpoints, sockets and prefixes: text to structs and back. */
#include "gateway/config/endpoint.h"

#include "gateway/base/err.h"
#include "gateway/config/dir.h"
#include "gateway/config/units.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define UNIX_PREFIX "unix:"
#define UNIX_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define PORT_MAX 65535
#define LABEL_MAX 63u

static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) <= GW_CONFIG_ENDPOINT_NAME_MAX,
              "a socket's path fits into name");

static const char missing_port[] = "there is no port";
static const char missing_brackets[] = "an IPv6 address is written in brackets: [::1]:7001";
static const char bad_port[] = "the port is not right";
static const char bad_host[] = "neither an IP address nor a host name";

/* ---- ports and host names */

int gw_port_parse(uint16_t *out, const char *text, uint16_t min)
{
    int64_t port;
    if (gw_int_parse(&port, text) != 0 || port < min || port > PORT_MAX)
        return GW_E_MALFORMED;
    *out = (uint16_t)port;
    return 0;
}

static bool is_host_char(char c)
{
    return isascii((unsigned char)c) && (isalnum((unsigned char)c) || c == '-' || c == '_');
}

/* Labels of 1 to 63, dots between them, perhaps one at the end. What ends in a number is a misspelt IPv4
 * address. */
bool gw_host_name_is_valid(const char *text)
{
    size_t len = strlen(text), label = 0;
    bool is_number = true;
    if (len == 0 || len > GW_CONFIG_ENDPOINT_NAME_MAX)
        return false;
    for (const char *at = text; *at; at++) {
        if (*at == '.' && label == 0)
            return false;
        if (*at != '.' && (!is_host_char(*at) || ++label > LABEL_MAX))
            return false;
        if (*at == '.' && at[1])
            label = 0;
        if (*at == '.' && at[1])
            is_number = true;
        else if (*at != '.' && !isdigit((unsigned char)*at))
            is_number = false;
    }
    return !is_number;
}

void gw_host_name_lower(char *out, const char *text)
{
    do
        *out++ = (char)tolower((unsigned char)*text);
    while (*text++);
}

/* An IP address whose scope may be an interface's name: "fe80::1%eth0". */
static int parse_scoped_ip(struct gw_addr *out, const char *text, uint16_t port)
{
    char numeric[GW_ADDR_STRLEN];
    const char *percent = strchr(text, '%');
    unsigned index = percent ? if_nametoindex(percent + 1) : 0;
    if (index == 0)
        return gw_addr_parse_ip(out, text, port);
    int len = snprintf(numeric, sizeof numeric, "%.*s%%%u", (int)(percent - text), text, index);
    if (len < 0 || (size_t)len >= sizeof numeric)
        return GW_E_MALFORMED;
    return gw_addr_parse_ip(out, numeric, port);
}

/* ---- endpoints */

static int set_host(struct gw_config_endpoint *out, const char *host, uint16_t port, const char **why)
{
    out->port = port;
    out->kind = GW_CONFIG_ENDPOINT_IP;
    if (parse_scoped_ip(&out->addr, host, port) == 0)
        return 0;
    out->kind = GW_CONFIG_ENDPOINT_NAME;
    *why = bad_host;
    if (!gw_host_name_is_valid(host))
        return GW_E_MALFORMED;
    gw_host_name_lower(out->name, host);
    *why = NULL;
    return 0;
}

/* Takes a copy of the text apart. */
static int parse_parts(struct gw_config_endpoint *out, char *text, uint16_t port_min, const char **why)
{
    uint16_t port;
    char *colon = strrchr(text, ':');
    *why = missing_port;
    if (!colon)
        return GW_E_MALFORMED;
    *why = missing_brackets;
    if (text[0] != '[' && strchr(text, ':') != colon)
        return GW_E_MALFORMED;
    *why = bad_port;
    if (gw_port_parse(&port, colon + 1, port_min) != 0)
        return GW_E_MALFORMED;
    *colon = '\0';
    if (text[0] != '[')
        return set_host(out, text, port, why);
    *why = bad_host;
    if (colon[-1] != ']' || !memchr(text, ':', (size_t)(colon - text)))
        return GW_E_MALFORMED;
    colon[-1] = '\0';
    return set_host(out, text + 1, port, why);
}

int gw_endpoint_parse(struct gw_config_endpoint *out, const char *text, uint16_t port_min, const char **why)
{
    struct gw_config_endpoint endpoint = {0};
    char *copy = strdup(text);
    if (!copy)
        return GW_E_NOMEM;
    int err = parse_parts(&endpoint, copy, port_min, why);
    free(copy);
    if (err)
        return err;
    *why = NULL;
    *out = endpoint;
    return 0;
}

int gw_socket_parse(struct gw_config_endpoint *out, const char *text, const char *dir, uint16_t port_min,
                    const char **why)
{
    char path[GW_DIR_PATH_MAX];
    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) != 0)
        return gw_endpoint_parse(out, text, port_min, why);
    text += strlen(UNIX_PREFIX);
    *why = "there is no path";
    if (!*text)
        return GW_E_MALFORMED;
    *why = "the path of a unix socket has at most 107 bytes";
    if (gw_dir_resolve(path, dir, text) != 0 || strlen(path) > UNIX_PATH_MAX)
        return GW_E_TOO_BIG;
    *why = NULL;
    *out = (struct gw_config_endpoint){.kind = GW_CONFIG_ENDPOINT_UNIX};
    memcpy(out->name, path, strlen(path) + 1);
    return 0;
}

char *gw_config_endpoint_format(const struct gw_config_endpoint *endpoint, char *out, size_t out_len)
{
    char text[GW_ADDR_STRLEN];
    switch (endpoint->kind) {
    case GW_CONFIG_ENDPOINT_IP:
        snprintf(out, out_len, "%s", gw_addr_format(&endpoint->addr, text));
        break;
    case GW_CONFIG_ENDPOINT_NAME:
        snprintf(out, out_len, "%s:%u", endpoint->name, endpoint->port);
        break;
    case GW_CONFIG_ENDPOINT_UNIX:
        snprintf(out, out_len, UNIX_PREFIX "%s", endpoint->name);
        break;
    case GW_CONFIG_ENDPOINT_NONE:
    default:
        snprintf(out, out_len, "-");
        break;
    }
    return out;
}

/* ---- prefixes */

int gw_prefix_parse(struct gw_prefix *out, const char *text)
{
    char ip[GW_ADDR_STRLEN];
    struct gw_prefix prefix = {0};
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    if (len >= sizeof ip)
        return GW_E_MALFORMED;
    memcpy(ip, text, len);
    ip[len] = '\0';
    if (gw_addr_parse_ip(&prefix.ip, ip, 0) != 0 || prefix.ip.scope != 0)
        return GW_E_MALFORMED;
    int64_t most = prefix.ip.family == 4 ? 32 : 128, bits = most;
    if (slash && (gw_int_parse(&bits, slash + 1) != 0 || bits > most))
        return GW_E_MALFORMED;
    prefix.bits = (uint8_t)bits;
    *out = prefix;
    return 0;
}

void gw_prefix_mask(struct gw_prefix *prefix)
{
    for (unsigned byte = 0; byte < sizeof prefix->ip.ip; byte++) {
        unsigned kept = prefix->bits > byte * 8 ? prefix->bits - byte * 8 : 0;
        if (kept < 8)
            prefix->ip.ip[byte] &= (uint8_t)(0xff00u >> kept);
    }
}

bool gw_prefix_contains(const struct gw_prefix *prefix, const struct gw_addr *ip)
{
    struct gw_prefix other = {.ip = *ip, .bits = prefix->bits};
    gw_prefix_mask(&other);
    return ip->family == prefix->ip.family && memcmp(other.ip.ip, prefix->ip.ip, sizeof other.ip.ip) == 0;
}

char *gw_prefix_format(const struct gw_prefix *prefix, char *out, size_t out_len)
{
    char ip[GW_ADDR_STRLEN];
    snprintf(out, out_len, "%s/%u", gw_addr_format_ip(&prefix->ip, ip), prefix->bits);
    return out;
}

/* SPDX-License-Identifier: MIT */
/* Transport addresses: normal form, text, and the kernel's structs. No name lookups, no system calls. */
#include "gateway/wire/addr.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff}; /* ::ffff:0:0/96 */
static const uint8_t ip6_loopback[16] = {[15] = 1};
static const uint8_t ip_zero[16];

static_assert(sizeof(struct in_addr) == 4 && sizeof(struct in6_addr) == 16, "addresses are their bytes");

/* Does the address mean something only together with an interface: fe80::/10, ff01::/16 and ff02::/16? */
static bool needs_scope(const uint8_t ip[16])
{
    bool is_link_local = ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
    bool is_local_multicast = ip[0] == 0xff && ((ip[1] & 0x0f) == 1 || (ip[1] & 0x0f) == 2);
    return is_link_local || is_local_multicast;
}

static void set_ip4(struct gw_addr *out, const uint8_t ip[4], uint16_t port)
{
    *out = (struct gw_addr){.family = 4, .port = port};
    memcpy(out->ip, ip, 4);
}

/* The only maker of IPv6 addresses: mapped ones become IPv4, a scope stays only where it means something. */
static void set_ip6(struct gw_addr *out, const uint8_t ip[16], uint32_t scope, uint16_t port)
{
    if (memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0) {
        set_ip4(out, ip + sizeof mapped_prefix, port);
        return;
    }
    *out = (struct gw_addr){.family = 6, .port = port, .scope = needs_scope(ip) ? scope : 0};
    memcpy(out->ip, ip, 16);
}

void gw_addr_normalise(struct gw_addr *a)
{
    uint8_t ip[16];
    memcpy(ip, a->ip, sizeof ip);
    if (a->family == 6)
        set_ip6(a, ip, a->scope, a->port);
}

bool gw_addr_equal(const struct gw_addr *a, const struct gw_addr *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

bool gw_addr_same_ip(const struct gw_addr *a, const struct gw_addr *b)
{
    return a->family == b->family && a->scope == b->scope && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

bool gw_addr_is_loopback(const struct gw_addr *a)
{
    if (a->family == 4)
        return a->ip[0] == 127;
    return a->family == 6 && memcmp(a->ip, ip6_loopback, sizeof a->ip) == 0;
}

bool gw_addr_is_multicast(const struct gw_addr *a)
{
    if (a->family == 4)
        return (a->ip[0] & 0xf0) == 224;
    return a->family == 6 && a->ip[0] == 0xff;
}

bool gw_addr_is_unspecified(const struct gw_addr *a)
{
    return a->family != 0 && memcmp(a->ip, ip_zero, sizeof a->ip) == 0;
}

void gw_addr_prefix(const struct gw_addr *a, uint8_t prefix[8])
{
    memcpy(prefix, a->ip, 8); /* an IPv4 address has zeros behind its 4 bytes */
}

/* A decimal number up to max in all of text, written as we would: no sign, no space, no leading zero. */
static bool parse_number(uint64_t max, const char *text, uint64_t *out)
{
    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
        return false;
    uint64_t number = 0;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        number = number * 10 + (uint64_t)(*text - '0');
        if (number > max)
            return false;
    }
    *out = number;
    return true;
}

/* ip, with "%scope" if it may have one; text is the caller's copy and is cut. */
static int parse_ip6(struct gw_addr *out, char *text, uint16_t port)
{
    uint8_t ip[16];
    uint64_t scope = 0;
    char *percent = strchr(text, '%');
    if (percent != NULL) {
        *percent = '\0';
        if (!parse_number(UINT32_MAX, percent + 1, &scope) || scope == 0)
            return GW_E_MALFORMED;
    }
    if (inet_pton(AF_INET6, text, ip) != 1 || (scope != 0 && !needs_scope(ip)))
        return GW_E_MALFORMED;
    set_ip6(out, ip, (uint32_t)scope, port);
    return 0;
}

static int parse_ip4(struct gw_addr *out, const char *text, uint16_t port)
{
    uint8_t ip[4];
    if (inet_pton(AF_INET, text, ip) != 1)
        return GW_E_MALFORMED;
    set_ip4(out, ip, port);
    return 0;
}

/* Copies, so that the copy can be cut into its parts; false when it is longer than any address. */
static bool copy_text(char copy[GW_ADDR_STRLEN], const char *text)
{
    size_t len = strnlen(text, GW_ADDR_STRLEN);
    if (len == GW_ADDR_STRLEN)
        return false;
    memcpy(copy, text, len + 1);
    return true;
}

int gw_addr_parse_ip(struct gw_addr *out, const char *text, uint16_t port)
{
    char copy[GW_ADDR_STRLEN];
    if (!copy_text(copy, text))
        return GW_E_MALFORMED;
    return strchr(copy, ':') != NULL ? parse_ip6(out, copy, port) : parse_ip4(out, copy, port);
}

int gw_addr_parse(struct gw_addr *out, const char *text)
{
    char copy[GW_ADDR_STRLEN];
    uint64_t port;
    if (!copy_text(copy, text))
        return GW_E_MALFORMED;
    char *colon = strrchr(copy, ':');
    if (colon == NULL || !parse_number(UINT16_MAX, colon + 1, &port))
        return GW_E_MALFORMED;
    *colon = '\0';
    if (copy[0] != '[')
        return parse_ip4(out, copy, (uint16_t)port);
    if (colon[-1] != ']')
        return GW_E_MALFORMED;
    colon[-1] = '\0';
    return parse_ip6(out, copy + 1, (uint16_t)port);
}

char *gw_addr_format_ip(const struct gw_addr *a, char out[GW_ADDR_STRLEN])
{
    char ip[INET6_ADDRSTRLEN];
    if (a->family == 0)
        snprintf(out, GW_ADDR_STRLEN, "-");
    else if (inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->ip, ip, sizeof ip) == NULL)
        snprintf(out, GW_ADDR_STRLEN, "?"); /* cannot be: the buffer is large enough */
    else if (a->scope != 0)
        snprintf(out, GW_ADDR_STRLEN, "%s%%%u", ip, (unsigned)a->scope);
    else
        snprintf(out, GW_ADDR_STRLEN, "%s", ip);
    return out;
}

char *gw_addr_format(const struct gw_addr *a, char out[GW_ADDR_STRLEN])
{
    char ip[GW_ADDR_STRLEN];
    gw_addr_format_ip(a, ip);
    if (a->family == 0)
        snprintf(out, GW_ADDR_STRLEN, "-");
    else if (a->family == 4)
        snprintf(out, GW_ADDR_STRLEN, "%.*s:%u", INET_ADDRSTRLEN, ip, (unsigned)a->port);
    else
        snprintf(out, GW_ADDR_STRLEN, "[%.*s]:%u", INET6_ADDRSTRLEN + 11, ip, (unsigned)a->port);
    return out;
}

char *gw_addr_log(const struct gw_addr *a, char out[GW_ADDR_STRLEN])
{
    if (!gw_log_hides_addresses())
        return gw_addr_format(a, out);
    snprintf(out, GW_ADDR_STRLEN, "(hidden)");
    return out;
}

static size_t to_sockaddr4(const struct gw_addr *a, struct sockaddr_storage *out)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(a->port)};
    memcpy(&sin.sin_addr, a->ip, sizeof sin.sin_addr);
    memcpy(out, &sin, sizeof sin);
    return sizeof sin;
}

static size_t to_sockaddr6(const struct gw_addr *a, struct sockaddr_storage *out)
{
    struct sockaddr_in6 sin6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope};
    memcpy(&sin6.sin6_addr, a->ip, sizeof sin6.sin6_addr);
    memcpy(out, &sin6, sizeof sin6);
    return sizeof sin6;
}

size_t gw_addr_to_sockaddr(const struct gw_addr *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    switch (a->family) {
    case 4:
        return to_sockaddr4(a, out);
    case 6:
        return to_sockaddr6(a, out);
    default:
        return 0;
    }
}

/* Copied out before it is read: the caller's bytes may be a control message's, aligned to nothing. */
int gw_addr_from_sockaddr(struct gw_addr *out, const struct sockaddr *sa)
{
    struct sockaddr_in sin;
    struct sockaddr_in6 sin6;
    sa_family_t family;
    memcpy(&family, (const char *)sa + offsetof(struct sockaddr, sa_family), sizeof family);
    switch (family) {
    case AF_INET:
        memcpy(&sin, sa, sizeof sin);
        set_ip4(out, (const uint8_t *)&sin.sin_addr, ntohs(sin.sin_port));
        return 0;
    case AF_INET6:
        memcpy(&sin6, sa, sizeof sin6);
        set_ip6(out, (const uint8_t *)&sin6.sin6_addr, sin6.sin6_scope_id, ntohs(sin6.sin6_port));
        return 0;
    default:
        return GW_E_MALFORMED;
    }
}

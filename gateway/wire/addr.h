/* SPDX-License-Identifier: MIT */
/* A transport address (IP and port). An IPv4-mapped IPv6 address is always normalised to IPv4, so two equal
 * addresses are equal bytes: the struct may be a map key (no padding, unused bytes zero). */
#ifndef GATEWAY_WIRE_ADDR_H
#define GATEWAY_WIRE_ADDR_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;
struct sockaddr_storage;

struct gw_addr {
    uint8_t ip[16];   /* IPv4: first 4, the rest zero; network order */
    uint32_t scope;   /* IPv6 link-local: interface index; else 0 */
    uint16_t port;    /* host order */
    uint8_t family;   /* 0 = none, 4, 6 */
    uint8_t reserved; /* 0 */
};
static_assert(sizeof(struct gw_addr) == 24, "a map key without padding");

/* More than the longest, an IPv6 address of 45 characters, and "[%4294967295]:65535" around it, and a NUL. */
#define GW_ADDR_STRLEN 72

static inline bool gw_addr_is_set(const struct gw_addr *a)
{
    return a->family != 0;
}
bool gw_addr_equal(const struct gw_addr *a, const struct gw_addr *b);
/* Same family and IP; ports may differ. */
bool gw_addr_same_ip(const struct gw_addr *a, const struct gw_addr *b);
/* ::ffff:a.b.c.d becomes a.b.c.d; whoever fills an address from foreign bytes calls it. */
void gw_addr_normalise(struct gw_addr *a);
bool gw_addr_is_loopback(const struct gw_addr *a);
bool gw_addr_is_multicast(const struct gw_addr *a);
bool gw_addr_is_unspecified(const struct gw_addr *a); /* 0.0.0.0 or :: */
/* 8 bytes for gw_ratelimit: the /32 (zeros behind it) or the /64. */
void gw_addr_prefix(const struct gw_addr *a, uint8_t prefix[8]);

/* "1.2.3.4:5", "[::1]:5", "[fe80::1%2]:5": no names; a scope by its number, and only where one means
 * something; port 0 to 65535. 0, or GW_E_MALFORMED and out untouched. */
int gw_addr_parse(struct gw_addr *out, const char *text);
/* An IP without a port; port is set to the one given. 0 or GW_E_MALFORMED. */
int gw_addr_parse_ip(struct gw_addr *out, const char *text, uint16_t port);
/* Writes at most GW_ADDR_STRLEN bytes and a NUL; "-" when not set. Returns out. */
char *gw_addr_format(const struct gw_addr *a, char out[GW_ADDR_STRLEN]);
/* The IP alone, with its scope: "1.2.3.4", "fe80::1%2"; "-" when not set. Returns out. */
char *gw_addr_format_ip(const struct gw_addr *a, char out[GW_ADDR_STRLEN]);
/* As gw_addr_format, or "(hidden)" when the log hides addresses. */
char *gw_addr_log(const struct gw_addr *a, char out[GW_ADDR_STRLEN]);

/* A text for the log that may have IP addresses in it (a message about the owner's files): as it is, or, when the log hides addresses, a copy in out with
 * "(hidden)" for each; ports and lengths of prefixes stay. Cut when it does not fit. Returns text or out. */
const char *gw_addr_log_text(const char *text, char *out, size_t out_len);

/* To the kernel's; the length to pass to connect, bind or sendto, 0 for an address that is not set. */
size_t gw_addr_to_sockaddr(const struct gw_addr *a, struct sockaddr_storage *out);
/* From the kernel's: 0, or GW_E_MALFORMED for a family that is neither. `sa` needs no alignment. */
int gw_addr_from_sockaddr(struct gw_addr *out, const struct sockaddr *sa);

#endif

/* SPDX-License-Identifier: MIT */
/* One line of authorized_keys taken apart, and made. For authorized_keys.c and its edits only. */
#ifndef GATEWAY_CONFIG_AUTHORIZED_LINE_H
#define GATEWAY_CONFIG_AUTHORIZED_LINE_H

#include "gateway/base/mono.h"
#include "gateway/config/peer_key.h"

#include <stdbool.h>
#include <stddef.h>

#define GW_AUTHORIZED_LINE_MAX 2048u

enum gw_authorized_line_kind {
    GW_AUTHORIZED_LINE_EMPTY, /* nothing, or a comment */
    GW_AUTHORIZED_LINE_ENTRY,
    GW_AUTHORIZED_LINE_BAD,
};

struct gw_authorized_line {
    struct gw_peer_key key;
    bool has_services;
    char services[GW_AUTHORIZED_LINE_MAX]; /* "ssh,web" */
    bool has_expiry;
    struct gw_wall expires;
    bool is_revoked;
    char comment[GW_AUTHORIZED_LINE_MAX];
};

/* text: without its newline. Of a bad line *why is a static phrase, and nothing of *out may be used. */
enum gw_authorized_line_kind gw_authorized_line_parse(struct gw_authorized_line *out, const char *text,
                                                      size_t len, const char **why);

/* The next word from *at on that is a key, in a line that may be bad; *at moves behind it. false: there is none. */
bool gw_authorized_line_next_key(struct gw_peer_key *out, const char *text, size_t len, size_t *at);

/* "2027-01-01" (that day's first moment, UTC) or RFC 3339 "2027-01-01T12:00:00Z", "...+02:00". 0 or
 * GW_E_MALFORMED. */
int gw_expiry_parse(struct gw_wall *out, const char *text);
/* "a,b": service names between commas, at least one. */
bool gw_services_are_valid(const char *text);

#endif

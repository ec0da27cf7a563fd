/* SPDX-License-Identifier: MIT */
/* The shape of names: labels of letters, digits and hyphens (RFC 1123), an optional trailing dot, an optional last label `p2p`. What a label means
 * (host, network, service, peer ID) depends on how many there are; which networks exist is the resolver's business. */
#ifndef RESOLVER_NAME_H
#define RESOLVER_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_DNS_NAME_MAX 253u
#define GW_DNS_LABEL_MAX 63u
#define GW_DNS_LABELS_MAX 4u /* service.host.network and what is not ours */

/* Not to be copied: it points into itself. */
struct gw_dns_name {
    unsigned count; /* labels without the p2p; those beyond GW_DNS_LABELS_MAX are counted, not kept */
    const char *label
        [GW_DNS_LABELS_MAX]; /* NUL-terminated, lower case, first label first; they point into `labels` */
    bool has_p2p;
    bool has_peer_id; /* the last label is a peer ID: ed25519 holds it */
    uint8_t ed25519[32];
    char labels[GW_DNS_NAME_MAX + 1];
};

/* 0 or GW_E_MALFORMED: not a name (empty, a bad character, a label over 63, over 253 in all). Underscores pass: names of services may have them. */
int gw_dns_name_parse(struct gw_dns_name *out, const char *text);
/* One label of letters, digits, underscores and inner hyphens. */
bool gw_dns_label_is_valid(const char *label, size_t len);
/* Equal without regard to ASCII case. */
bool gw_dns_label_equal(const char *a, const char *b);
/* In place, ASCII. */
void gw_dns_lower(char *text);

#endif

/* SPDX-License-Identifier: MIT */
/* The addresses that a NAT looks at, in IP packets as they stand in memory, and back into them. UDP, TCP and ICMP echo over IPv4 and
 * IPv6; fragments, other protocols and ICMP errors are not carried. */
#ifndef TESTS_NAT_REWRITE_H
#define TESTS_NAT_REWRITE_H

#include "gateway/packet/ip.h"
#include "tests/nat/model.h"

struct nat_view {
    struct gw_ip ip;
    struct nat_packet packet; /* as read */
};

/* False: nothing that is carried, or malformed. */
bool nat_read(struct nat_view *out, const uint8_t *bytes, size_t len);
/* Writes other addresses and ports in, checksums mended (RFC 1624). `to` has the family and protocol of what was read. */
void nat_write(uint8_t *bytes, const struct nat_view *view, const struct nat_packet *to);

#endif

/* SPDX-License-Identifier: MIT */
/* Queries made, and answers judged, by ldns: another implementation than the one under test. */
#ifndef TESTS_UNIT_DNS_ASK_H
#define TESTS_UNIT_DNS_ASK_H

#include "frontends/dns/answer.h"

#include <ldns/ldns.h>

/* home.demo (both addresses, web 80/tcp, game 27015/udp, notes by name only), nas.demo (IPv4 only), bare "solo", network "empty"; ranges
 * 127.64.0.0/16, 10.64.0.0/12 and fd83::/16. */
struct gw_dns_table *make_table(void);
/* The wire form of a query; edns_size 0 = no EDNS. malloc'ed. */
uint8_t *make_query(const char *name, int type, uint16_t edns_size, size_t *len);
/* Answers it and parses the answer; NULL when there is none. */
ldns_pkt *ask_zone(const struct gw_dns_table *table, const char *name, int type, uint16_t edns_size);
ldns_pkt *parse(const uint8_t *bytes, size_t len);
/* "home.demo.p2p. 300 IN A 127.64.0.7" with single blanks; static. */
const char *record_text(const ldns_rr_list *list, size_t i);

#endif

/* SPDX-License-Identifier: MIT */
/* DNS messages for the names that are ours: a strict decoder of one question, and a writer of answers whose names are all
 * compressed against it. Everything else (what upstreams say) is ldns's, in foreign.c. Sans-IO; nothing allocates. */
#ifndef FRONTENDS_DNS_MESSAGE_H
#define FRONTENDS_DNS_MESSAGE_H

#include "gateway/wire/cursor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_DNS_HEADER_LEN 12u
#define GW_DNS_WIRE_NAME_MAX 255u
#define GW_DNS_WIRE_LABELS_MAX 127u
/* What we send over UDP and say we take: no fragments on any path (DNS flag day 2020). */
#define GW_DNS_UDP_MAX 1232u
#define GW_DNS_UDP_MIN 512u
#define GW_DNS_TCP_MAX 65535u

enum gw_dns_rcode {
    GW_DNS_NOERROR = 0,
    GW_DNS_FORMERR = 1,
    GW_DNS_SERVFAIL = 2,
    GW_DNS_NXDOMAIN = 3,
    GW_DNS_NOTIMP = 4,
    GW_DNS_REFUSED = 5,
    GW_DNS_BADVERS = 16, /* its upper bits are in the OPT record */
};

enum gw_dns_type {
    GW_DNS_A = 1,
    GW_DNS_NS = 2,
    GW_DNS_SOA = 6,
    GW_DNS_PTR = 12,
    GW_DNS_HINFO = 13,
    GW_DNS_TXT = 16,
    GW_DNS_AAAA = 28,
    GW_DNS_SRV = 33,
    GW_DNS_OPT = 41,
    GW_DNS_IXFR = 251,
    GW_DNS_AXFR = 252,
    GW_DNS_ANY = 255,
};

#define GW_DNS_CLASS_IN 1u

/* Header flags. */
#define GW_DNS_QR 0x8000u
#define GW_DNS_AA 0x0400u
#define GW_DNS_TC 0x0200u
#define GW_DNS_RD 0x0100u
#define GW_DNS_RA 0x0080u
#define GW_DNS_CD 0x0010u

/* A query; `question` points into the message it was read from. */
struct gw_dns_query {
    uint16_t id, flags;
    uint16_t type, class_;
    struct gw_view question;                /* name as the asker wrote it, type, class */
    uint8_t name[GW_DNS_WIRE_NAME_MAX + 1]; /* wire form, lower case */
    size_t name_len;
    unsigned label_count;                         /* without the root */
    uint8_t label_at[GW_DNS_WIRE_LABELS_MAX + 1]; /* where each begins in name; [label_count] is the root */
    bool is_plain; /* no label has a byte that a NUL-terminated name could not show */
    bool has_edns, wants_dnssec;
    uint16_t udp_size; /* 512 or more: what the asker takes over UDP */
};

#define GW_DNS_DROP (-1)
/* GW_DNS_NOERROR; GW_DNS_DROP for what gets no answer at all (a response, half a header); FORMERR, NOTIMP or BADVERS to answer with. The
 * question is empty when it could not be read. */
int gw_dns_query_decode(struct gw_dns_query *query, const uint8_t *message, size_t len);

/* Label i without its length byte, lent, not NUL-terminated. */
struct gw_view gw_dns_query_label(const struct gw_dns_query *query, unsigned i);
bool gw_dns_query_label_is(const struct gw_dns_query *query, unsigned i, const char *text);
/* "host.network.p2p", for logs: bytes that are not printable as '?'. out has room for 256 bytes. Returns out. */
char *gw_dns_query_text(const struct gw_dns_query *query, char *out);

/* ---- answers */

enum gw_dns_section { GW_DNS_ANSWER, GW_DNS_AUTHORITY, GW_DNS_ADDITIONAL };

struct gw_dns_reply {
    struct gw_writer w;
    const struct gw_dns_query *query;
    uint16_t flags;
    uint16_t counts[3];
    unsigned rcode;
    size_t question_end;
};

/* Where a record's owner stands in the question: its label i is the first of the owner's name. */
#define GW_DNS_OWNER_QNAME 0u

/* Header and question. out holds cap bytes, of which the OPT record is set aside. */
void gw_dns_reply_begin(struct gw_dns_reply *reply, const struct gw_dns_query *query, uint8_t *out,
                        size_t cap);
/* The head of a record; returns where its data's length goes, for gw_dns_record_end. NULL when the reply is full. */
uint8_t *gw_dns_record_begin(struct gw_dns_reply *reply, enum gw_dns_section section, unsigned owner_label,
                             uint16_t type, uint32_t ttl);
void gw_dns_record_end(struct gw_dns_reply *reply, uint8_t *length_at);
/* "web.home.demo.p2p" in full, root included. */
void gw_dns_write_name(struct gw_dns_reply *reply, const char *text);
/* OPT, counts, flags; a reply that did not fit loses its records and says so (TC). Returns its length, 0 when not even the question fits. */
size_t gw_dns_reply_finish(struct gw_dns_reply *reply);

#endif

/* SPDX-License-Identifier: MIT */
#include "frontends/dns/foreign.h"

#include "frontends/dns/answer.h"

#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

#define AD 0x0020u
#define RCODE_MASK 0xfu
#define TTL_MAX 86400u
#define TTL_NEGATIVE_MAX 300u
#define OPT_LEN 11u
#define TYPE_TSIG 250u

/* ---- asking */

static size_t name_len(const uint8_t *name)
{
    const uint8_t *at = name;
    while (*at)
        at += 1 + *at;
    return (size_t)(at - name) + 1;
}

static void write_random_case(struct gw_writer *w, const uint8_t *name, struct gw_random *random)
{
    uint8_t coins[(GW_DNS_WIRE_NAME_MAX + 8) / 8];
    size_t len = name_len(name);
    gw_random_fill(random, coins, sizeof coins);
    for (size_t i = 0, left = 0; i < len; i++) {
        bool is_length = left == 0;
        bool is_upper = !is_length && name[i] >= 'a' && name[i] <= 'z' && (coins[i / 8] >> i % 8 & 1);
        gw_write_u8(w, is_upper ? (uint8_t)(name[i] & ~0x20) : name[i]);
        left = is_length ? name[i] : left - 1;
    }
}

static void write_opt(struct gw_writer *w, bool wants_dnssec)
{
    gw_write_u8(w, 0);
    gw_write_u16_be(w, GW_DNS_OPT);
    gw_write_u16_be(w, GW_DNS_UDP_MAX);
    gw_write_u16_be(w, 0);
    gw_write_u16_be(w, wants_dnssec ? 0x8000 : 0);
    gw_write_u16_be(w, 0);
}

size_t gw_dns_foreign_query(uint8_t out[GW_DNS_FOREIGN_QUERY_MAX], const struct gw_dns_key *key,
                            struct gw_random *random)
{
    struct gw_writer w = gw_writer_of(out, GW_DNS_FOREIGN_QUERY_MAX);
    uint32_t id = gw_random_u32(random);
    gw_write_u16_be(&w, (uint16_t)id);
    gw_write_u16_be(&w, (uint16_t)(GW_DNS_RD | (key->is_unchecked ? GW_DNS_CD : 0)));
    gw_write_u16_be(&w, 1);
    gw_write_zeros(&w, 4);
    gw_write_u16_be(&w, 1);
    write_random_case(&w, key->name, random);
    gw_write_u16_be(&w, key->type);
    gw_write_u16_be(&w, GW_DNS_CLASS_IN);
    write_opt(&w, key->wants_dnssec);
    return gw_writer_len(&w);
}

/* ---- reading what came back */

static uint32_t least_ttl(const ldns_rr_list *list, uint32_t ttl)
{
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        uint32_t of_this = ldns_rr_ttl(ldns_rr_list_rr(list, i));
        ttl = of_this < ttl ? of_this : ttl;
    }
    return ttl;
}

/* RFC 2308: no longer than the SOA's own time and its last field. Without a SOA nothing is kept. */
static uint32_t negative_ttl(const ldns_pkt *pkt)
{
    const ldns_rr_list *authority = ldns_pkt_authority(pkt);
    for (size_t i = 0; i < ldns_rr_list_rr_count(authority); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(authority, i);
        if (ldns_rr_get_type(rr) != LDNS_RR_TYPE_SOA || ldns_rr_rd_count(rr) != 7)
            continue;
        uint32_t minimum = ldns_rdf2native_int32(ldns_rr_rdf(rr, 6)), ttl = ldns_rr_ttl(rr);
        ttl = minimum < ttl ? minimum : ttl;
        return ttl < TTL_NEGATIVE_MAX ? ttl : TTL_NEGATIVE_MAX;
    }
    return 0;
}

static uint32_t ttl_of(const ldns_pkt *pkt)
{
    bool is_negative = ldns_pkt_get_rcode(pkt) == LDNS_RCODE_NXDOMAIN || ldns_pkt_ancount(pkt) == 0;
    uint32_t ttl = is_negative ? negative_ttl(pkt) : TTL_MAX;
    ttl = least_ttl(ldns_pkt_answer(pkt), ttl);
    ttl = least_ttl(ldns_pkt_authority(pkt), ttl);
    return least_ttl(ldns_pkt_additional(pkt), ttl);
}

static bool copy_section(ldns_pkt *out, ldns_pkt_section section, const ldns_rr_list *list)
{
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        ldns_rr *rr = ldns_rr_clone(ldns_rr_list_rr(list, i));
        if (!rr || !ldns_pkt_push_rr(out, section, rr)) {
            ldns_rr_free(rr);
            return false;
        }
    }
    return true;
}

/* What is kept of a message: no OPT, no TSIG, and of the flags what an asker is told. NULL without memory. */
static ldns_pkt *copy_plain(const ldns_pkt *pkt)
{
    ldns_pkt *out = ldns_pkt_new();
    if (!out)
        return NULL;
    ldns_pkt_set_qr(out, true);
    ldns_pkt_set_ad(out, ldns_pkt_ad(pkt));
    ldns_pkt_set_rcode(out, (uint8_t)ldns_pkt_get_rcode(pkt));
    if (copy_section(out, LDNS_SECTION_QUESTION, ldns_pkt_question(pkt)) &&
        copy_section(out, LDNS_SECTION_ANSWER, ldns_pkt_answer(pkt)) &&
        copy_section(out, LDNS_SECTION_AUTHORITY, ldns_pkt_authority(pkt)) &&
        copy_section(out, LDNS_SECTION_ADDITIONAL, ldns_pkt_additional(pkt)))
        return out;
    ldns_pkt_free(out);
    return NULL;
}

/* Passes over a name; the place behind it may lie behind the message. */
static size_t skip_name(const uint8_t *message, size_t len, size_t at)
{
    while (at < len && message[at] != 0 && message[at] < 0xc0)
        at += 1u + message[at];
    return at + (at < len && message[at] >= 0xc0 ? 2 : 1);
}

/* Are the records where the counts say, and none of them a TSIG? Nobody signs for us, and ldns (1.8) loses memory when there are two. */
static bool is_sound(const uint8_t *message, size_t len, size_t at)
{
    unsigned records =
        0u + gw_load16_be(message + 6) + gw_load16_be(message + 8) + gw_load16_be(message + 10);
    for (; records > 0; records--) {
        at = skip_name(message, len, at);
        if (at + 10 > len || gw_load16_be(message + at) == TYPE_TSIG)
            return false;
        at += 10u + gw_load16_be(message + at + 8);
    }
    return at <= len;
}

static bool keep_form(struct gw_dns_foreign *out, const uint8_t *message, size_t len)
{
    ldns_pkt *pkt = NULL;
    out->message = NULL;
    if (ldns_wire2pkt(&pkt, message, len) != LDNS_STATUS_OK)
        return false;
    out->ttl = ttl_of(pkt);
    ldns_pkt *plain = copy_plain(pkt);
    bool is_good = plain && ldns_pkt2wire(&out->message, plain, &out->len) == LDNS_STATUS_OK;
    ldns_pkt_free(plain);
    ldns_pkt_free(pkt);
    return is_good;
}

static bool equal_nocase(const uint8_t *a, const uint8_t *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t difference = a[i] ^ b[i];
        bool is_letter = (a[i] | 0x20) >= 'a' && (a[i] | 0x20) <= 'z';
        if (difference != 0 && (difference != 0x20 || !is_letter))
            return false;
    }
    return true;
}

enum gw_dns_foreign_verdict gw_dns_foreign_read(struct gw_dns_foreign *out, const uint8_t *message,
                                                size_t len, const uint8_t *sent, size_t sent_len, bool is_tcp)
{
    size_t question_len = sent_len - GW_DNS_HEADER_LEN - OPT_LEN;
    const uint8_t *asked = sent + GW_DNS_HEADER_LEN, *told = message + GW_DNS_HEADER_LEN;
    if (len < GW_DNS_HEADER_LEN || memcmp(message, sent, 2) != 0)
        return GW_DNS_FOREIGN_BAD;
    unsigned flags = gw_load16_be(message + 2), rcode = flags & RCODE_MASK;
    if ((flags & 0xf800) != GW_DNS_QR)
        return GW_DNS_FOREIGN_BAD;
    /* An error may come without the question; what it claims is no more than silence. */
    if (gw_load16_be(message + 4) == 0 && rcode != GW_DNS_NOERROR)
        return GW_DNS_FOREIGN_FAIL;
    if (gw_load16_be(message + 4) != 1 || len < GW_DNS_HEADER_LEN + question_len ||
        !equal_nocase(asked, told, question_len))
        return GW_DNS_FOREIGN_BAD;
    if (!is_tcp && memcmp(asked, told, question_len) != 0)
        return GW_DNS_FOREIGN_CASE;
    if (flags & GW_DNS_TC && !is_tcp)
        return GW_DNS_FOREIGN_CUT;
    if (rcode != GW_DNS_NOERROR && rcode != GW_DNS_NXDOMAIN)
        return GW_DNS_FOREIGN_FAIL;
    return is_sound(message, len, GW_DNS_HEADER_LEN + question_len) && keep_form(out, message, len)
               ? GW_DNS_FOREIGN_GOOD
               : GW_DNS_FOREIGN_FAIL;
}

/* ---- answering one asker */

static void shorten_times(uint8_t *message, size_t len, size_t at, uint32_t age_s)
{
    unsigned records =
        0u + gw_load16_be(message + 6) + gw_load16_be(message + 8) + gw_load16_be(message + 10);
    for (; records > 0; records--) {
        at = skip_name(message, len, at);
        if (at + 10 > len)
            return;
        uint32_t ttl = gw_load32_be(message + at + 4);
        gw_store32_be(message + at + 4, ttl > age_s ? ttl - age_s : 0);
        at += 10u + gw_load16_be(message + at + 8);
    }
}

static unsigned flags_for(const struct gw_dns_query *query, unsigned kept)
{
    unsigned flags = GW_DNS_QR | GW_DNS_RA | (query->flags & (GW_DNS_RD | GW_DNS_CD)) | (kept & RCODE_MASK);
    return query->wants_dnssec || query->flags & AD ? flags | (kept & AD) : flags;
}

size_t gw_dns_foreign_write(uint8_t *out, size_t max, struct gw_view kept, uint32_t age_s,
                            const struct gw_dns_query *query)
{
    size_t opt_len = query->has_edns ? OPT_LEN : 0, question_len = query->question.len;
    if (kept.len < GW_DNS_HEADER_LEN + question_len || kept.len + opt_len > max)
        return gw_dns_answer_code(query, GW_DNS_NOERROR, GW_DNS_TC | GW_DNS_RA, out, max);
    memcpy(out, kept.data, kept.len);
    gw_store16_be(out, query->id);
    gw_store16_be(out + 2, (uint16_t)flags_for(query, gw_load16_be(kept.data + 2)));
    memcpy(out + GW_DNS_HEADER_LEN, query->question.data, question_len);
    shorten_times(out, kept.len, GW_DNS_HEADER_LEN + question_len, age_s);
    if (!query->has_edns)
        return kept.len;
    struct gw_writer w = gw_writer_of(out + kept.len, OPT_LEN);
    write_opt(&w, query->wants_dnssec);
    gw_store16_be(out + 10, (uint16_t)(gw_load16_be(out + 10) + 1));
    return kept.len + OPT_LEN;
}

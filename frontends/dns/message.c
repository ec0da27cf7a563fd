/* SPDX-License-Identifier: MIT */
#include "frontends/dns/message.h"

#include <assert.h>
#include <string.h>

#define OPCODE_MASK 0x7800u
#define LABEL_MAX 63u
/* OPT, and whatever signatures an asker adds; more is nobody's query. */
#define ADDITIONAL_MAX 4u
#define OPT_LEN 11u
#define EDNS_DO 0x8000u

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* ---- reading */

static void take_label(struct gw_dns_query *query, const uint8_t *label, size_t len)
{
    uint8_t *out = query->name + query->name_len;
    query->label_at[query->label_count++] = (uint8_t)query->name_len;
    *out++ = (uint8_t)len;
    for (size_t i = 0; i < len; i++) {
        query->is_plain = query->is_plain && label[i] > ' ' && label[i] < 0x7f && label[i] != '.';
        out[i] = lower(label[i]);
    }
    query->name_len += 1 + len;
}

/* The name of a question: nothing stands before it that a compression pointer could mean. */
static bool read_name(struct gw_reader *r, struct gw_dns_query *query)
{
    query->is_plain = true;
    for (;;) {
        size_t len = gw_read_u8(r);
        const uint8_t *label = gw_read_take(r, len);
        if (!gw_reader_ok(r) || len > LABEL_MAX || query->name_len + 1 + len > GW_DNS_WIRE_NAME_MAX)
            return false;
        if (len == 0)
            break;
        take_label(query, label, len);
    }
    query->label_at[query->label_count] = (uint8_t)query->name_len;
    query->name[query->name_len++] = 0;
    return true;
}

static bool read_question(struct gw_reader *r, struct gw_dns_query *query)
{
    const uint8_t *start = r->at;
    if (!read_name(r, query))
        return false;
    query->type = gw_read_u16_be(r);
    query->class_ = gw_read_u16_be(r);
    if (!gw_reader_ok(r))
        return false;
    query->question = (struct gw_view){start, (size_t)(r->at - start)};
    return true;
}

/* Passes over a name; a pointer ends it and is never followed. *is_root: it is the empty name. */
static bool skip_name(struct gw_reader *r, bool *is_root)
{
    *is_root = true;
    for (size_t total = 0; total <= GW_DNS_WIRE_NAME_MAX; total++) {
        size_t len = gw_read_u8(r);
        if (len == 0)
            return gw_reader_ok(r);
        *is_root = false;
        if (len >= 0xc0) {
            gw_read_u8(r);
            return gw_reader_ok(r);
        }
        if (len > LABEL_MAX)
            return false;
        gw_read_take(r, len);
        total += len;
    }
    return false;
}

static bool are_options_good(struct gw_reader r)
{
    while (gw_reader_left(&r) > 0) {
        gw_read_u16_be(&r);
        gw_read_take(&r, gw_read_u16_be(&r));
    }
    return gw_reader_ok(&r);
}

/* What RFC 6891 makes of a record's fields. */
static int take_opt(struct gw_dns_query *query, bool is_root, uint16_t udp_size, uint32_t ttl,
                    struct gw_reader data)
{
    if (query->has_edns || !is_root || !are_options_good(data))
        return GW_DNS_FORMERR;
    query->has_edns = true;
    query->udp_size = udp_size > GW_DNS_UDP_MIN ? udp_size : GW_DNS_UDP_MIN;
    query->wants_dnssec = ttl & EDNS_DO;
    return (ttl >> 16 & 0xff) != 0 ? GW_DNS_BADVERS : GW_DNS_NOERROR;
}

static int read_additional(struct gw_reader *r, struct gw_dns_query *query, unsigned count)
{
    int rcode = GW_DNS_NOERROR;
    for (unsigned i = 0; i < count; i++) {
        bool is_root;
        if (!skip_name(r, &is_root))
            return GW_DNS_FORMERR;
        uint16_t type = gw_read_u16_be(r), class_ = gw_read_u16_be(r);
        uint32_t ttl = gw_read_u32_be(r);
        struct gw_reader data = gw_read_sub(r, gw_read_u16_be(r));
        if (!gw_reader_ok(r))
            return GW_DNS_FORMERR;
        int of_opt = type == GW_DNS_OPT ? take_opt(query, is_root, class_, ttl, data) : GW_DNS_NOERROR;
        if (of_opt == GW_DNS_FORMERR)
            return GW_DNS_FORMERR;
        rcode = of_opt ? of_opt : rcode;
    }
    return gw_reader_done(r) ? rcode : GW_DNS_FORMERR;
}

int gw_dns_query_decode(struct gw_dns_query *query, const uint8_t *message, size_t len)
{
    struct gw_reader r = gw_reader_of(message, len);
    query->question = (struct gw_view){(const uint8_t *)"", 0};
    query->name_len = query->label_count = 0;
    query->has_edns = query->wants_dnssec = false;
    query->udp_size = GW_DNS_UDP_MIN;
    query->id = gw_read_u16_be(&r);
    query->flags = gw_read_u16_be(&r);
    unsigned questions = gw_read_u16_be(&r), answers = gw_read_u16_be(&r);
    unsigned authorities = gw_read_u16_be(&r), additional = gw_read_u16_be(&r);
    if (!gw_reader_ok(&r) || query->flags & GW_DNS_QR)
        return GW_DNS_DROP;
    if (query->flags & OPCODE_MASK)
        return GW_DNS_NOTIMP;
    if (questions != 1 || answers != 0 || authorities != 0 || additional > ADDITIONAL_MAX)
        return GW_DNS_FORMERR;
    if (!read_question(&r, query))
        return GW_DNS_FORMERR;
    return read_additional(&r, query, additional);
}

struct gw_view gw_dns_query_label(const struct gw_dns_query *query, unsigned i)
{
    const uint8_t *at = query->name + query->label_at[i];
    assert(i < query->label_count);
    return (struct gw_view){at + 1, *at};
}

bool gw_dns_query_label_is(const struct gw_dns_query *query, unsigned i, const char *text)
{
    struct gw_view label = gw_dns_query_label(query, i);
    return strlen(text) == label.len && memcmp(label.data, text, label.len) == 0;
}

char *gw_dns_query_text(const struct gw_dns_query *query, char *out)
{
    char *at = out;
    for (unsigned i = 0; i < query->label_count; i++) {
        struct gw_view label = gw_dns_query_label(query, i);
        if (i > 0)
            *at++ = '.';
        for (size_t n = 0; n < label.len; n++)
            *at++ = label.data[n] > ' ' && label.data[n] < 0x7f ? (char)label.data[n] : '?';
    }
    if (at == out)
        *at++ = '.';
    *at = '\0';
    return out;
}

/* ---- writing */

void gw_dns_reply_begin(struct gw_dns_reply *reply, const struct gw_dns_query *query, uint8_t *out,
                        size_t cap)
{
    size_t set_aside = query->has_edns ? OPT_LEN : 0;
    *reply =
        (struct gw_dns_reply){.w = gw_writer_of(out, cap > set_aside ? cap - set_aside : 0), .query = query};
    gw_write_zeros(&reply->w, GW_DNS_HEADER_LEN);
    gw_write_bytes(&reply->w, query->question.data, query->question.len);
    reply->question_end = gw_writer_len(&reply->w);
}

/* A compression pointer to label i of the question, which ends a name. */
static void write_pointer(struct gw_dns_reply *reply, unsigned label)
{
    gw_write_u16_be(&reply->w, (uint16_t)(0xc000u | (GW_DNS_HEADER_LEN + reply->query->label_at[label])));
}

uint8_t *gw_dns_record_begin(struct gw_dns_reply *reply, enum gw_dns_section section, unsigned owner_label,
                             uint16_t type, uint32_t ttl)
{
    write_pointer(reply, owner_label);
    gw_write_u16_be(&reply->w, type);
    gw_write_u16_be(&reply->w, GW_DNS_CLASS_IN);
    gw_write_u32_be(&reply->w, ttl);
    reply->counts[section]++;
    return gw_write_reserve(&reply->w, 2);
}

void gw_dns_record_end(struct gw_dns_reply *reply, uint8_t *length_at)
{
    if (gw_writer_ok(&reply->w))
        gw_store16_be(length_at, (uint16_t)(reply->w.at - length_at - 2));
}

static void write_label(struct gw_dns_reply *reply, const void *label, size_t len)
{
    assert(len > 0 && len <= LABEL_MAX);
    gw_write_u8(&reply->w, (uint8_t)len);
    gw_write_bytes(&reply->w, label, len);
}

void gw_dns_write_name(struct gw_dns_reply *reply, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, ".");
        write_label(reply, text, len);
        text += text[len] == '.' ? len + 1 : len;
    }
    gw_write_u8(&reply->w, 0);
}

static void write_opt(struct gw_dns_reply *reply)
{
    const struct gw_dns_query *query = reply->query;
    reply->w.end += OPT_LEN;
    gw_write_u8(&reply->w, 0);
    gw_write_u16_be(&reply->w, GW_DNS_OPT);
    gw_write_u16_be(&reply->w, GW_DNS_UDP_MAX);
    gw_write_u8(&reply->w, (uint8_t)(reply->rcode >> 4));
    gw_write_u8(&reply->w, 0);
    gw_write_u16_be(&reply->w, query->wants_dnssec ? EDNS_DO : 0);
    gw_write_u16_be(&reply->w, 0);
    reply->counts[GW_DNS_ADDITIONAL]++;
}

/* The writer has failed behind the question: back to there. */
static void truncate_reply(struct gw_dns_reply *reply, size_t cap)
{
    reply->w =
        (struct gw_writer){reply->w.start, reply->w.start + reply->question_end, reply->w.start + cap, false};
    reply->flags |= GW_DNS_TC;
    memset(reply->counts, 0, sizeof reply->counts);
}

size_t gw_dns_reply_finish(struct gw_dns_reply *reply)
{
    const struct gw_dns_query *query = reply->query;
    uint8_t *head = reply->w.start;
    if (reply->question_end < GW_DNS_HEADER_LEN + query->question.len)
        return 0;
    if (!gw_writer_ok(&reply->w))
        truncate_reply(reply, reply->question_end);
    if (query->has_edns)
        write_opt(reply);
    gw_store16_be(head, query->id);
    gw_store16_be(head + 2, (uint16_t)(GW_DNS_QR | (query->flags & (OPCODE_MASK | GW_DNS_RD | GW_DNS_CD)) |
                                       reply->flags | (reply->rcode & 0xf)));
    gw_store16_be(head + 4, query->question.len > 0);
    for (unsigned i = 0; i < 3; i++)
        gw_store16_be(head + 6 + 2 * i, reply->counts[i]);
    return gw_writer_len(&reply->w);
}

/* SPDX-License-Identifier: MIT */
#include "frontends/dns/reverse.h"

#include <string.h>

/* A reverse name's two alphabets. */
struct kind {
    const char *domain;
    uint8_t family;
    unsigned parts; /* of a whole address */
    unsigned part_bits;
};
static const struct kind kinds[] = {{"in-addr", 4, 4, 8}, {"ip6", 6, 32, 4}};

/* Decimal without leading zeros, 0 to 255; -1 = it isn't. */
static int octet_of(struct gw_view label)
{
    int value = 0;
    if (label.len > 3 || (label.len > 1 && label.data[0] == '0'))
        return -1;
    for (size_t i = 0; i < label.len; i++) {
        if (label.data[i] < '0' || label.data[i] > '9')
            return -1;
        value = value * 10 + (label.data[i] - '0');
    }
    return value <= 255 ? value : -1;
}

static int nibble_of(struct gw_view label)
{
    if (label.len != 1)
        return -1;
    uint8_t c = label.data[0];
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void put_part(struct gw_addr *ip, const struct kind *kind, unsigned index, int value)
{
    if (kind->part_bits == 8)
        ip->ip[index] = (uint8_t)value;
    else
        ip->ip[index / 2] |= (uint8_t)(index % 2 ? value : value << 4);
}

/* From the most significant part on, which is next to the domain, until something is no part. Returns how many parts are good. */
static unsigned read_parts(struct gw_addr *ip, const struct gw_dns_query *query, const struct kind *kind)
{
    unsigned count = 0, labels = query->label_count - 2;
    *ip = (struct gw_addr){.family = kind->family};
    for (; count < labels && count < kind->parts; count++) {
        struct gw_view label = gw_dns_query_label(query, labels - 1 - count);
        int value = kind->part_bits == 8 ? octet_of(label) : nibble_of(label);
        if (value < 0)
            break;
        put_part(ip, kind, count, value);
    }
    return count;
}

static const struct kind *kind_of(const struct gw_dns_query *query)
{
    if (query->label_count < 3 || !gw_dns_query_label_is(query, query->label_count - 1, "arpa"))
        return NULL;
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (gw_dns_query_label_is(query, query->label_count - 2, kinds[i].domain))
            return &kinds[i];
    }
    return NULL;
}

bool gw_dns_reverse_parse(struct gw_dns_reverse *out, const struct gw_dns_query *query,
                          const struct gw_dns_zone *zone)
{
    const struct kind *kind = kind_of(query);
    if (!kind)
        return false;
    unsigned count = read_parts(&out->ip, query, kind), labels = query->label_count - 2;
    out->is_bad = count < labels;
    out->is_whole = count == kind->parts && !out->is_bad;
    for (size_t i = 0; i < zone->range_count; i++) {
        unsigned apex_parts = (zone->ranges[i].bits + kind->part_bits - 1) / kind->part_bits;
        if (count < apex_parts || !gw_dns_prefix_has(&zone->ranges[i], &out->ip))
            continue;
        out->apex = labels - apex_parts;
        return true;
    }
    return false;
}

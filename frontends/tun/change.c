/* SPDX-License-Identifier: MIT */
/* Changes as data and as text; see change.h. */
#include "frontends/tun/change.h"

#include "gateway/base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {"address",   "unreachable", "route",      "rule-port",
                                         "rule-mark", "rule-to",     "rule-local", "rule-table"};
static_assert(sizeof kind_names / sizeof *kind_names == GW_CHANGE_KINDS, "one name a kind");

/* ---- sets */

int gw_changes_add(struct gw_changes *changes, const struct gw_change *change)
{
    if (changes->count == GW_CHANGES_MAX)
        return GW_E_LIMIT;
    if (changes->count == changes->room) {
        size_t room = changes->room ? 2 * changes->room : 16;
        struct gw_change *items = realloc(changes->items, room * sizeof *items);
        if (!items)
            return GW_E_NOMEM;
        changes->items = items;
        changes->room = room;
    }
    changes->items[changes->count++] = *change;
    return 0;
}

int gw_change_compare(const void *a, const void *b)
{
    const struct gw_change *x = a, *y = b;
    return x->kind != y->kind ? (x->kind < y->kind ? -1 : 1) : memcmp(x, y, sizeof *x);
}

void gw_changes_finish(struct gw_changes *changes)
{
    size_t kept = 0;
    if (changes->count == 0)
        return;
    qsort(changes->items, changes->count, sizeof *changes->items, gw_change_compare);
    for (size_t i = 0; i < changes->count; i++) {
        if (kept == 0 || gw_change_compare(&changes->items[kept - 1], &changes->items[i]) != 0)
            changes->items[kept++] = changes->items[i];
    }
    changes->count = kept;
}

bool gw_changes_have(const struct gw_changes *changes, const struct gw_change *change)
{
    return changes->count > 0 &&
           bsearch(change, changes->items, changes->count, sizeof *changes->items, gw_change_compare) != NULL;
}

void gw_changes_free(struct gw_changes *changes)
{
    free(changes->items);
    *changes = (struct gw_changes){0};
}

/* ---- text: kind device table priority port prefix [source] */

char *gw_change_format(const struct gw_change *change, char out[GW_CHANGE_LINE_MAX])
{
    char ip[GW_ADDR_STRLEN], source[GW_ADDR_STRLEN];
    bool has_source = gw_addr_is_set(&change->source);
    snprintf(out, GW_CHANGE_LINE_MAX, "%s %s %u %u %u %s/%u%s%s", kind_names[change->kind],
             change->device[0] ? change->device : "-", change->table, change->priority, change->port,
             gw_addr_format_ip(&change->prefix.ip, ip), change->prefix.bits, has_source ? " " : "",
             has_source ? gw_addr_format_ip(&change->source, source) : "");
    return out;
}

static bool find_kind(enum gw_change_kind *out, const char *name)
{
    for (unsigned i = 0; i < GW_CHANGE_KINDS; i++) {
        if (strcmp(kind_names[i], name) == 0) {
            *out = (enum gw_change_kind)i;
            return true;
        }
    }
    return false;
}

/* What is behind the prefix: nothing, or " 10.9.0.1" of the same family. */
static bool parse_source(struct gw_change *change, const char *text)
{
    if (text[0] == 0)
        return true;
    return text[0] == ' ' && gw_addr_parse_ip(&change->source, text + 1, 0) == 0 && change->source.scope == 0;
}

int gw_change_parse(struct gw_change *out, const char *line)
{
    struct gw_change change = {0};
    char kind[16], device[GW_CHANGE_NAME_MAX + 1], ip[48];
    unsigned long table, priority;
    unsigned port, bits;
    int end = 0;
    if (strlen(line) >= GW_CHANGE_LINE_MAX || sscanf(line, "%15s %15s %10lu %10lu %5u %47[^/ ]/%3u%n", kind,
                                                     device, &table, &priority, &port, ip, &bits, &end) != 7)
        return GW_E_MALFORMED;
    if (!parse_source(&change, line + end) || !find_kind(&change.kind, kind) || port > UINT16_MAX ||
        table > UINT32_MAX || priority > UINT32_MAX || gw_addr_parse_ip(&change.prefix.ip, ip, 0) != 0 ||
        bits > (change.prefix.ip.family == 6 ? 128 : 32) || strchr(device, '/') /* no device has it */ ||
        (gw_addr_is_set(&change.source) &&
         (change.source.family != change.prefix.ip.family || change.kind != GW_CHANGE_ROUTE)))
        return GW_E_MALFORMED;
    change.table = (uint32_t)table;
    change.priority = (uint32_t)priority;
    change.port = (uint16_t)port;
    change.prefix.bits = (uint8_t)bits;
    if (strcmp(device, "-") != 0)
        memcpy(change.device, device, strlen(device));
    *out = change;
    return 0;
}

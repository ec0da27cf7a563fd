/* SPDX-License-Identifier: MIT */
/* The machine's network set-up, decided; see plan.h. */
#include "frontends/tun/plan.h"

#include "gateway/base/err.h"
#include "gateway/link/mark.h"

#include <stdlib.h>
#include <string.h>

#define MAIN_TABLE 254u
#define PUBLIC_BITS 8u /* a shorter IPv4 prefix has addresses of the open Internet in it */

/* ---- prefixes */

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    uint8_t mask = (uint8_t)(0xff00 >> rest);
    return memcmp(a, b, whole) == 0 && (rest == 0 || ((a[whole] ^ b[whole]) & mask) == 0);
}

bool gw_prefix_has(const struct gw_prefix *prefix, const struct gw_addr *ip)
{
    return prefix->ip.family == ip->family && same_bits(prefix->ip.ip, ip->ip, prefix->bits);
}

bool gw_prefix_covers(const struct gw_prefix *outer, const struct gw_prefix *inner)
{
    return outer->bits <= inner->bits && gw_prefix_has(outer, &inner->ip);
}

static struct gw_prefix masked(const struct gw_prefix *prefix)
{
    struct gw_prefix out = *prefix;
    unsigned whole = prefix->bits / 8u, rest = prefix->bits % 8u;
    if (rest)
        out.ip.ip[whole] &= (uint8_t)(0xff00 >> rest);
    memset(out.ip.ip + whole + (rest > 0), 0, sizeof out.ip.ip - whole - (rest > 0));
    out.ip.port = 0;
    out.ip.scope = 0;
    return out;
}

/* ---- one change each */

static int add(struct gw_changes *out, const struct gw_plan_input *input, enum gw_change_kind kind,
               const struct gw_prefix *prefix, const struct gw_addr *source, uint32_t table,
               uint32_t priority)
{
    bool has_device = kind == GW_CHANGE_ADDRESS || kind == GW_CHANGE_ROUTE;
    struct gw_change change = {0};
    change.kind = kind;
    change.table = table;
    change.priority = priority;
    change.prefix = *prefix;
    if (source && gw_addr_is_set(source)) {
        change.source.family = source->family;
        memcpy(change.source.ip, source->ip, sizeof change.source.ip);
    }
    if (has_device)
        memcpy(change.device, input->device, strnlen(input->device, GW_CHANGE_NAME_MAX));
    return gw_changes_add(out, &change);
}

static uint32_t own_table(const struct gw_plan_input *input)
{
    return GW_PLAN_TABLE << 16 | input->ports[0];
}

/* Of the first of our three rules. Two daemons with one rule between them would take it from each other. */
static uint32_t own_priority(uint16_t port)
{
    return GW_PLAN_PRIORITY + 3 * (port % GW_PLAN_PORTS);
}

/* what: port or mark */
static int add_own_rule(struct gw_changes *out, enum gw_change_kind kind, uint16_t what,
                        const struct gw_prefix *any, uint32_t priority)
{
    struct gw_change change = {0};
    change.kind = kind;
    change.priority = priority;
    change.prefix = *any;
    change.port = what;
    return gw_changes_add(out, &change);
}

/* So that the way back leads out where the answers come in. Whatever else goes to that address and port goes outside as well. */
static int add_carrier_rules(struct gw_changes *out, const struct gw_plan_input *input, uint8_t family,
                             uint32_t priority)
{
    int err = 0;
    for (size_t i = 0; input->is_way_back_checked && family == 4 && i < input->carrier_count && err == 0;
         i++) {
        const struct gw_addr *to = &input->carriers[i];
        struct gw_prefix prefix = {.ip = {.family = 4}, .bits = 32};
        memcpy(prefix.ip.ip, to->ip, 4);
        if (to->family == 4)
            err = add_own_rule(out, GW_CHANGE_RULE_TO, to->port, &prefix, priority);
    }
    return err;
}

/* A port's rule also says where its datagrams come from, for whoever checks the way back (rp_filter): what comes in bears no mark. */
static int add_rules(struct gw_changes *out, const struct gw_plan_input *input, uint8_t family)
{
    const struct gw_prefix any = {.ip = {.family = family}};
    uint32_t priority = own_priority(input->ports[0]);
    int err = 0;
    for (size_t i = 0; i < input->port_count && err == 0; i++)
        err = add_own_rule(out, GW_CHANGE_RULE_PORT, input->ports[i], &any, priority);
    if (err == 0)
        err = add_own_rule(out, GW_CHANGE_RULE_MARK, GW_MARK, &any, priority);
    if (err == 0)
        err = add_carrier_rules(out, input, family, priority);
    if (err == 0)
        err = add(out, input, GW_CHANGE_RULE_LOCAL, &any, NULL, 0, priority + 1);
    if (err == 0)
        err = add(out, input, GW_CHANGE_RULE_TABLE, &any, NULL, own_table(input), priority + 2);
    return err;
}

/* ---- what the input says */

static bool have_address(const struct gw_plan_input *input, uint8_t family)
{
    for (size_t i = 0; i < input->address_count; i++) {
        if (input->addresses[i].ip.family == family)
            return true;
    }
    return false;
}

/* Does the route of an address' own prefix lead there too, and from the address that is wanted? */
static bool is_connected(const struct gw_plan_input *input, const struct gw_prefix *prefix,
                         const struct gw_addr *source)
{
    for (size_t i = 0; i < input->address_count; i++) {
        const struct gw_prefix *own = &input->addresses[i];
        bool is_its = !gw_addr_is_set(source) || gw_addr_same_ip(&own->ip, source);
        if (gw_prefix_covers(own, prefix) && (is_its || own->bits == prefix->bits))
            return true;
    }
    return false;
}

static bool may_swallow_endpoint(const struct gw_plan_input *input, const struct gw_prefix *prefix)
{
    if (prefix->bits == 0 || (input->has_unknown_endpoints && prefix->bits < PUBLIC_BITS))
        return true;
    for (size_t i = 0; i < input->endpoint_count; i++) {
        if (gw_prefix_has(prefix, &input->endpoints[i]))
            return true;
    }
    return false;
}

/* ---- the plan */

struct family_state {
    bool has_default, has_table;
};

static int add_route(struct gw_changes *out, const struct gw_plan_input *input,
                     const struct gw_prefix *prefix, const struct gw_addr *source, struct family_state *state)
{
    bool in_table = may_swallow_endpoint(input, prefix);
    state->has_default |= prefix->bits == 0;
    state->has_table |= in_table;
    return add(out, input, GW_CHANGE_ROUTE, prefix, source, in_table ? own_table(input) : MAIN_TABLE,
               GW_PLAN_METRIC);
}

/* The kernel makes no route of it by itself, as one that it made would not be put back. */
static int plan_address(struct gw_changes *out, const struct gw_plan_input *input,
                        const struct gw_prefix *address, struct family_state *state)
{
    struct gw_prefix prefix = masked(address);
    int err = add(out, input, GW_CHANGE_ADDRESS, address, NULL, 0, 0);
    if (err != 0 || prefix.bits == (prefix.ip.family == 6 ? 128 : 32))
        return err;
    return add_route(out, input, &prefix, &address->ip, state);
}

static int plan_route(struct gw_changes *out, const struct gw_plan_input *input,
                      const struct gw_plan_route *route, struct family_state *state)
{
    struct gw_prefix prefix = masked(&route->prefix);
    if (!have_address(input, prefix.ip.family) || is_connected(input, &prefix, &route->source))
        return 0;
    return add_route(out, input, &prefix, &route->source, state);
}

static int plan_refusal(struct gw_changes *out, const struct gw_plan_input *input, uint8_t family,
                        struct family_state *state)
{
    const struct gw_prefix all = {.ip = {.family = family}};
    state->has_table = true;
    return add(out, input, GW_CHANGE_UNREACHABLE, &all, NULL, own_table(input), GW_PLAN_METRIC + 1);
}

/* ---- two routes for one prefix */

struct ranked {
    struct gw_change key; /* without the source */
    size_t rank;
};

static int compare_ranked(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    int order = gw_change_compare(&x->key, &y->key);
    return order ? order : (x->rank > y->rank) - (x->rank < y->rank);
}

/* Of those that differ in their source only, the first stays. */
static int keep_first(struct gw_changes *changes)
{
    struct ranked *ranked = calloc(changes->count + 1, sizeof *ranked);
    struct gw_changes kept = {0};
    int err = 0;
    if (!ranked)
        return GW_E_NOMEM;
    for (size_t i = 0; i < changes->count; i++) {
        ranked[i].key = changes->items[i];
        memset(&ranked[i].key.source, 0, sizeof ranked[i].key.source);
        ranked[i].rank = i;
    }
    qsort(ranked, changes->count, sizeof *ranked, compare_ranked);
    for (size_t i = 0; i < changes->count && err == 0; i++) {
        if (i == 0 || gw_change_compare(&ranked[i - 1].key, &ranked[i].key) != 0)
            err = gw_changes_add(&kept, &changes->items[ranked[i].rank]);
    }
    free(ranked);
    gw_changes_free(changes);
    *changes = kept;
    return err;
}

int gw_plan_make(struct gw_changes *out, const struct gw_plan_input *input)
{
    struct family_state v4 = {0}, v6 = {0};
    int err = 0;
    for (size_t i = 0; i < input->address_count && err == 0; i++)
        err = plan_address(out, input, &input->addresses[i], input->addresses[i].ip.family == 6 ? &v6 : &v4);
    for (size_t i = 0; i < input->route_count && err == 0; i++)
        err = plan_route(out, input, &input->routes[i], input->routes[i].prefix.ip.family == 6 ? &v6 : &v4);
    if (err == 0 && v4.has_default && !v6.has_default)
        err = plan_refusal(out, input, 6, &v6);
    if (err == 0 && v6.has_default && !v4.has_default)
        err = plan_refusal(out, input, 4, &v4);
    if (err == 0 && v4.has_table)
        err = add_rules(out, input, 4);
    if (err == 0 && v6.has_table)
        err = add_rules(out, input, 6);
    if (err == 0)
        err = keep_first(out);
    gw_changes_finish(out);
    return err;
}

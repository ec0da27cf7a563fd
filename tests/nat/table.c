/* SPDX-License-Identifier: MIT */
#include "tests/nat/table.h"

#include <stdlib.h>
#include <string.h>

void nat_table_init(struct nat_table *table, const int64_t timeouts_ns[NAT_CLASSES], const uint8_t seed[16])
{
    *table = (struct nat_table){.next_id = 1};
    gw_map_init(&table->by_inside, sizeof(struct nat_key), seed);
    gw_map_init(&table->by_outside, sizeof(struct nat_key), seed);
    gw_map_init(&table->sessions, sizeof(((struct nat_session *)NULL)->key), seed);
    gw_map_init(&table->hosts, sizeof(struct gw_addr), seed);
    for (unsigned i = 0; i < NAT_CLASSES; i++) {
        gw_list_init(&table->classes[i]);
        table->timeouts_ns[i] = timeouts_ns[i];
    }
}

void nat_table_fini(struct nat_table *table)
{
    nat_table_clear(table);
    gw_map_fini(&table->by_inside);
    gw_map_fini(&table->by_outside);
    gw_map_fini(&table->sessions);
    gw_map_fini(&table->hosts);
}

/* ---- forgetting */

void nat_table_prune(struct nat_table *table, struct nat_host *host)
{
    if (!host || host->mappings)
        return;
    gw_map_remove(&table->hosts, &host->node);
    free(host);
}

static void forget_mapping(struct nat_table *table, struct nat_mapping *mapping)
{
    gw_map_remove(&table->by_inside, &mapping->by_inside);
    gw_map_remove(&table->by_outside, &mapping->by_outside);
    table->mappings--;
    if (mapping->host) {
        mapping->host->mappings--;
        nat_table_prune(table, mapping->host);
    }
    free(mapping);
}

static void forget_session(struct nat_table *table, struct nat_session *session)
{
    struct nat_mapping *mapping = session->mapping;
    gw_map_remove(&table->sessions, &session->node);
    gw_list_remove(&session->in_mapping);
    gw_list_remove(&session->in_class);
    free(session);
    if (gw_list_is_empty(&mapping->sessions))
        forget_mapping(table, mapping);
}

void nat_table_expire(struct nat_table *table, struct gw_mono now)
{
    for (unsigned i = 0; i < NAT_CLASSES; i++) {
        gw_list_for_each (node, &table->classes[i]) {
            struct nat_session *session = gw_list_entry(node, struct nat_session, in_class);
            if (!gw_mono_due(gw_mono_add(session->used, table->timeouts_ns[i]), now))
                break;
            forget_session(table, session);
        }
    }
}

void nat_table_clear(struct nat_table *table)
{
    for (unsigned i = 0; i < NAT_CLASSES; i++) {
        while (!gw_list_is_empty(&table->classes[i]))
            forget_session(table, gw_list_entry(table->classes[i].next, struct nat_session, in_class));
    }
}

/* ---- finding */

struct nat_host *nat_table_host(const struct nat_table *table, const struct gw_addr *ip)
{
    struct gw_addr key = *ip;
    key.port = 0;
    struct gw_map_node *node = gw_map_find(&table->hosts, &key);
    return node ? gw_map_entry(node, struct nat_host, node) : NULL;
}

struct nat_mapping *nat_table_inside(const struct nat_table *table, const struct nat_key *key)
{
    struct gw_map_node *node = gw_map_find(&table->by_inside, key);
    return node ? gw_map_entry(node, struct nat_mapping, by_inside) : NULL;
}

struct nat_mapping *nat_table_outside(const struct nat_table *table, const struct nat_key *key)
{
    struct gw_map_node *node = gw_map_find(&table->by_outside, key);
    return node ? gw_map_entry(node, struct nat_mapping, by_outside) : NULL;
}

struct nat_session *nat_table_session(const struct nat_table *table, const struct nat_mapping *mapping,
                                      const struct gw_addr *remote)
{
    struct nat_session wanted = {.key = {.mapping = mapping->id, .remote = *remote}};
    struct gw_map_node *node = gw_map_find(&table->sessions, &wanted.key);
    return node ? gw_map_entry(node, struct nat_session, node) : NULL;
}

/* ---- adding */

struct nat_host *nat_table_add_host(struct nat_table *table, const struct gw_addr *ip, unsigned pool_index)
{
    struct nat_host *host = calloc(1, sizeof *host);
    if (!host)
        return NULL;
    host->ip = *ip;
    host->ip.port = 0;
    host->pool_index = pool_index;
    if (gw_map_insert(&table->hosts, &host->node, &host->ip) != 0) {
        free(host);
        return NULL;
    }
    return host;
}

struct nat_mapping *nat_table_add_mapping(struct nat_table *table, struct nat_host *host,
                                          const struct nat_key *inside, const struct nat_key *outside)
{
    struct nat_mapping *mapping = calloc(1, sizeof *mapping);
    if (!mapping)
        return NULL;
    mapping->outside = *outside;
    mapping->id = table->next_id++;
    gw_list_init(&mapping->sessions);
    if (inside) {
        mapping->inside = *inside;
        if (gw_map_insert(&table->by_inside, &mapping->by_inside, &mapping->inside) != 0)
            goto fail;
    }
    if (gw_map_insert(&table->by_outside, &mapping->by_outside, &mapping->outside) != 0)
        goto fail;
    mapping->host = host;
    if (host)
        host->mappings++;
    table->mappings++;
    return mapping;
fail:
    gw_map_remove(&table->by_inside, &mapping->by_inside);
    free(mapping);
    return NULL;
}

struct nat_session *nat_table_add_session(struct nat_table *table, struct nat_mapping *mapping,
                                          const struct gw_addr *remote, enum nat_class class,
                                          struct gw_mono now)
{
    struct nat_session *session = calloc(1, sizeof *session);
    if (session) {
        session->key.mapping = mapping->id;
        session->key.remote = *remote;
        session->mapping = mapping;
        session->class = class;
        session->created = session->used = now;
        if (gw_map_insert(&table->sessions, &session->node, &session->key) == 0) {
            gw_list_push_back(&mapping->sessions, &session->in_mapping);
            gw_list_push_back(&table->classes[class], &session->in_class);
            return session;
        }
        free(session);
    }
    if (gw_list_is_empty(&mapping->sessions))
        forget_mapping(table, mapping);
    return NULL;
}

void nat_table_touch(struct nat_table *table, struct nat_session *session, enum nat_class class,
                     struct gw_mono now)
{
    session->class = class;
    session->used = now;
    gw_list_remove(&session->in_class);
    gw_list_push_back(&table->classes[class], &session->in_class);
}

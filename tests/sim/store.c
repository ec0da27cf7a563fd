/* SPDX-License-Identifier: MIT */
/* See store.h. */
#include "tests/sim/store.h"

#include "gateway/base/list.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Something on its way from the store to a member, or from a member to all. */
struct delivery {
    struct sim_event event;
    struct sim_store_member *to;
    bool is_topic;
    char topic[GW_FLEET_NAME_MAX];
    uint32_t id;
    unsigned count;
    size_t lens[GW_FELLOWS_MAX];
    uint8_t values[GW_FELLOWS_MAX][SIM_STORE_VALUE_MAX];
};

static bool is_lost(struct sim_store *store)
{
    return store->is_down ||
           gw_random_u32(&store->random.random) < (uint32_t)(store->loss * (double)UINT32_MAX);
}

static void arrive(struct sim_clock *clock, struct sim_event *event)
{
    struct delivery *delivery = gw_container_of(event, struct delivery, event);
    struct sim_node *node = delivery->to->node;
    struct gw_anchor *anchor = gw_gateway_anchor(node->gateway);
    struct gw_view values[GW_FELLOWS_MAX];
    for (unsigned i = 0; i < delivery->count; i++)
        values[i] = (struct gw_view){delivery->values[i], delivery->lens[i]};
    if (!delivery->to->store->is_down && !node->is_down && delivery->is_topic)
        gw_anchor_fleet_heard(anchor, delivery->topic, values[0], clock->now);
    else if (!delivery->to->store->is_down && !node->is_down)
        gw_anchor_fleet_found(anchor, delivery->id, values, delivery->count, clock->now);
    free(delivery);
    sim_node_pump(node);
}

static struct delivery *deliver_to(struct sim_store_member *member)
{
    struct delivery *delivery = calloc(1, sizeof *delivery);
    if (!delivery)
        abort();
    delivery->to = member;
    delivery->event.fire = arrive;
    return delivery;
}

static void set_off(struct delivery *delivery)
{
    struct sim_store *store = delivery->to->store;
    sim_clock_at(&store->net->clock, &delivery->event, gw_mono_add(store->net->clock.now, store->delay_ns));
}

/* ---- what members do */

static struct sim_store_entry *find(struct sim_store *store, const char *name)
{
    for (unsigned i = 0; i < SIM_STORE_ENTRIES; i++) {
        struct sim_store_entry *entry = &store->entries[i];
        if (entry->name[0] && gw_mono_due(entry->expires, store->net->clock.now))
            entry->name[0] = '\0';
        if (strcmp(entry->name, name) == 0)
            return entry;
    }
    return NULL;
}

static void put(const char *name, const uint8_t *value, size_t len, unsigned ttl_s, void *ctx)
{
    const struct sim_store_member *member = ctx;
    struct sim_store *store = member->store;
    struct sim_store_entry *entry = find(store, name);
    store->puts++;
    if (store->is_down || member->node->is_killed)
        return;
    if (!entry)
        entry = find(store, "");
    assert(entry && len <= SIM_STORE_VALUE_MAX && strlen(name) < GW_FLEET_NAME_MAX);
    strcpy(entry->name, name);
    memcpy(entry->value, value, len);
    entry->len = len;
    entry->expires = gw_mono_add(store->net->clock.now, GW_S((int64_t)ttl_s));
}

static void forget(const char (*names)[GW_FLEET_NAME_MAX], unsigned count, const uint8_t *mark, void *ctx)
{
    const struct sim_store_member *member = ctx;
    struct sim_store *store = member->store;
    assert(count > 0 && count <= GW_FLEET_FORGET_MAX);
    for (unsigned i = 0; i < count && !store->is_down && !member->node->is_killed; i++) {
        struct sim_store_entry *entry = find(store, names[i]);
        if (entry && entry->len >= GW_FLEET_MARK_LEN && memcmp(entry->value, mark, GW_FLEET_MARK_LEN) == 0)
            entry->name[0] = '\0';
    }
}

static bool get(uint32_t id, const char (*names)[GW_FLEET_NAME_MAX], unsigned count, void *ctx)
{
    struct sim_store_member *member = ctx;
    struct sim_store *store = member->store;
    store->gets++;
    if (store->is_down)
        return false;
    if (is_lost(store))
        return true;
    struct delivery *delivery = deliver_to(member);
    delivery->id = id;
    delivery->count = count;
    for (unsigned i = 0; i < count; i++) {
        const struct sim_store_entry *entry = find(store, names[i]);
        delivery->lens[i] = entry ? entry->len : 0;
        if (entry)
            memcpy(delivery->values[i], entry->value, entry->len);
    }
    set_off(delivery);
    return true;
}

void sim_store_say(struct sim_store *store, const char *topic, const void *bytes, size_t len)
{
    for (unsigned i = 0; i < store->member_count; i++) {
        struct sim_store_member *member = &store->members[i];
        const struct gw_anchor *anchor = gw_gateway_anchor(member->node->gateway);
        const char *first = anchor ? gw_anchor_fleet_topic(anchor, 0) : NULL;
        if (!first || (strcmp(first, topic) != 0 && strcmp(gw_anchor_fleet_topic(anchor, 1), topic) != 0) ||
            is_lost(store))
            continue;
        struct delivery *delivery = deliver_to(member);
        delivery->is_topic = true;
        delivery->count = 1;
        strcpy(delivery->topic, topic);
        delivery->lens[0] = len;
        memcpy(delivery->values[0], bytes, len);
        set_off(delivery);
    }
}

static void tell(const char *topic, const uint8_t *bytes, size_t len, void *ctx)
{
    struct sim_store *store = ((struct sim_store_member *)ctx)->store;
    store->tells++;
    sim_store_say(store, topic, bytes, len);
}

/* ---- the store */

void sim_store_init(struct sim_store *store, struct sim_net *net, int64_t delay_ns)
{
    memset(store, 0, sizeof *store);
    store->net = net;
    store->delay_ns = delay_ns;
    gw_random_seeded_init(&store->random, net->seed + 77);
}

void sim_store_join(struct sim_store *store, struct sim_node *node, const uint8_t secret[GW_KEY_LEN])
{
    struct sim_store_member *member = NULL;
    for (unsigned i = 0; i < store->member_count; i++) {
        if (store->members[i].node == node)
            member = &store->members[i];
    }
    if (!member) {
        assert(store->member_count < SIM_STORE_MEMBERS);
        member = &store->members[store->member_count++];
    }
    *member = (struct sim_store_member){
        .store = store,
        .node = node,
        .ops = {.put = put, .forget = forget, .get = get, .tell = tell, .ctx = member}};
    node->params.anchor.fleet.ops = &member->ops;
    memcpy(node->params.anchor.fleet.secret, secret, GW_KEY_LEN);
}

void sim_store_connect(struct sim_store *store, struct sim_node *node)
{
    struct gw_anchor *anchor = gw_gateway_anchor(node->gateway);
    gw_anchor_fleet_set_address(anchor, &node->addr, sim_now(node));
    gw_anchor_fleet_state(anchor, !store->is_down, sim_now(node));
    sim_node_pump(node);
}

void sim_store_set_down(struct sim_store *store, bool is_down)
{
    store->is_down = is_down;
    memset(store->entries, 0, sizeof store->entries);
    for (unsigned i = 0; i < store->member_count; i++)
        sim_store_connect(store, store->members[i].node);
}

unsigned sim_store_count(const struct sim_store *store)
{
    unsigned count = 0;
    for (unsigned i = 0; i < SIM_STORE_ENTRIES; i++)
        count += store->entries[i].name[0] && !gw_mono_due(store->entries[i].expires, store->net->clock.now);
    return count;
}

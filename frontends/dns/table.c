/* SPDX-License-Identifier: MIT */
/* The zone as a table: hosts in a map by name, addresses in a map of their own that points at them. */
#include "frontends/dns/zone.h"
#include "gateway/base/err.h"
#include "gateway/base/map.h"
#include "gateway/base/random.h"

#include <stdlib.h>
#include <string.h>

#define KEY_LEN (GW_DNS_HOST_NAME_MAX + 1)
#define LABEL_MAX 63u

/* One of a host's addresses. */
struct place {
    struct gw_map_node node;
    struct gw_addr ip;
    struct host *host;
};

struct host {
    struct gw_map_node node;
    char key[KEY_LEN]; /* the name, zeros behind it */
    struct gw_dns_host data;
    bool is_canonical;
    struct place places[2];
    struct gw_dns_service services[];
};

struct network {
    struct gw_map_node node;
    char key[KEY_LEN];
};

struct gw_dns_table {
    struct gw_dns_zone zone;
    struct gw_map hosts, addresses, networks;
};

bool gw_dns_prefix_has(const struct gw_prefix *prefix, const struct gw_addr *ip)
{
    unsigned bytes = prefix->bits / 8, rest = prefix->bits % 8;
    if (prefix->ip.family != ip->family || memcmp(prefix->ip.ip, ip->ip, bytes) != 0)
        return false;
    return rest == 0 || (prefix->ip.ip[bytes] ^ ip->ip[bytes]) >> (8 - rest) == 0;
}

/* ---- the zone's questions */

static const struct gw_dns_table *table_of(const struct gw_dns_zone *zone)
{
    return gw_container_of(zone, const struct gw_dns_table, zone);
}

static const struct gw_dns_host *lookup(const struct gw_dns_zone *zone, struct gw_view host,
                                        struct gw_view network)
{
    char key[KEY_LEN] = {0};
    memcpy(key, host.data, host.len);
    if (network.len > 0) {
        key[host.len] = '.';
        memcpy(key + host.len + 1, network.data, network.len);
    }
    struct gw_map_node *found = gw_map_find(&table_of(zone)->hosts, key);
    return found ? &gw_map_entry(found, struct host, node)->data : NULL;
}

static bool has_network(const struct gw_dns_zone *zone, struct gw_view network)
{
    char key[KEY_LEN] = {0};
    memcpy(key, network.data, network.len);
    return gw_map_find(&table_of(zone)->networks, key) != NULL;
}

static const struct gw_dns_host *reverse(const struct gw_dns_zone *zone, const struct gw_addr *ip)
{
    struct gw_map_node *found = gw_map_find(&table_of(zone)->addresses, ip);
    return found ? &gw_map_entry(found, struct place, node)->host->data : NULL;
}

/* ---- filling it */

struct gw_dns_table *gw_dns_table_new(void)
{
    uint8_t seed[16];
    struct gw_dns_table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    gw_random_fill(gw_random_system(), seed, sizeof seed);
    gw_map_init(&table->hosts, KEY_LEN, seed);
    gw_map_init(&table->addresses, sizeof(struct gw_addr), seed);
    gw_map_init(&table->networks, KEY_LEN, seed);
    table->zone =
        (struct gw_dns_zone){.lookup = lookup, .has_network = has_network, .reverse = reverse, .serial = 1};
    return table;
}

struct gw_dns_zone *gw_dns_table_zone(struct gw_dns_table *table)
{
    return &table->zone;
}

static void free_host(struct gw_dns_table *table, struct host *host)
{
    gw_map_remove(&table->hosts, &host->node);
    for (unsigned i = 0; i < 2; i++)
        gw_map_remove(&table->addresses, &host->places[i].node);
    free(host);
}

void gw_dns_table_clear(struct gw_dns_table *table)
{
    struct gw_map_node *at;
    while ((at = gw_map_first(&table->hosts)))
        free_host(table, gw_map_entry(at, struct host, node));
    while ((at = gw_map_first(&table->networks))) {
        gw_map_remove(&table->networks, at);
        free(gw_map_entry(at, struct network, node));
    }
}

void gw_dns_table_free(struct gw_dns_table *table)
{
    if (!table)
        return;
    gw_dns_table_clear(table);
    gw_map_fini(&table->hosts);
    gw_map_fini(&table->addresses);
    gw_map_fini(&table->networks);
    free(table);
}

static bool is_label(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] >= 0x7f || text[i] == '.' || (text[i] >= 'A' && text[i] <= 'Z'))
            return false;
    }
    return len > 0 && len <= LABEL_MAX;
}

static bool is_name(const char *name)
{
    size_t host_len = strcspn(name, ".");
    if (!is_label(name, host_len))
        return false;
    return !name[host_len] || is_label(name + host_len + 1, strlen(name + host_len + 1));
}

static bool is_host_good(const struct gw_dns_host *host)
{
    for (size_t i = 0; i < host->service_count; i++) {
        if (!is_label(host->services[i].name, strlen(host->services[i].name)))
            return false;
    }
    return is_name(host->name);
}

int gw_dns_table_put_network(struct gw_dns_table *table, const char *network)
{
    char key[KEY_LEN] = {0};
    if (!is_label(network, strlen(network)))
        return GW_E_INVAL;
    memcpy(key, network, strlen(network));
    if (gw_map_find(&table->networks, key))
        return 0;
    struct network *added = calloc(1, sizeof *added);
    if (!added)
        return GW_E_NOMEM;
    memcpy(added->key, key, KEY_LEN);
    int err = gw_map_insert(&table->networks, &added->node, added->key);
    if (err)
        free(added);
    return err;
}

/* An address that another name has already is its, unless this one is canonical. */
static int put_place(struct gw_dns_table *table, struct host *host, struct place *place,
                     const struct gw_addr *ip)
{
    if (!gw_addr_is_set(ip))
        return 0;
    place->ip = *ip;
    place->host = host;
    struct gw_map_node *taken = gw_map_find(&table->addresses, ip);
    if (taken && !host->is_canonical)
        return 0;
    if (taken)
        gw_map_remove(&table->addresses, taken);
    return gw_map_insert(&table->addresses, &place->node, &place->ip);
}

static struct host *new_host(const struct gw_dns_host *data, bool is_canonical)
{
    struct host *host = calloc(1, sizeof *host + data->service_count * sizeof host->services[0]);
    if (!host)
        return NULL;
    host->data = *data;
    host->is_canonical = is_canonical;
    memcpy(host->key, data->name, strlen(data->name));
    if (data->service_count > 0)
        memcpy(host->services, data->services, data->service_count * sizeof host->services[0]);
    host->data.services = host->services;
    return host;
}

static int link_host(struct gw_dns_table *table, struct host *host)
{
    const char *dot = strchr(host->key, '.');
    int err = gw_map_insert(&table->hosts, &host->node, host->key);
    if (err == 0)
        err = put_place(table, host, &host->places[0], &host->data.ipv4);
    if (err == 0)
        err = put_place(table, host, &host->places[1], &host->data.ipv6);
    if (err == 0 && dot)
        err = gw_dns_table_put_network(table, dot + 1);
    return err;
}

int gw_dns_table_put(struct gw_dns_table *table, const struct gw_dns_host *data, bool is_canonical)
{
    if (data->service_count > GW_DNS_HOST_SERVICES_MAX)
        return GW_E_LIMIT;
    if (!is_host_good(data))
        return GW_E_INVAL;
    struct host *host = new_host(data, is_canonical);
    if (!host)
        return GW_E_NOMEM;
    gw_dns_table_remove(table, data->name);
    int err = link_host(table, host);
    if (err)
        free_host(table, host);
    return err;
}

void gw_dns_table_remove(struct gw_dns_table *table, const char *name)
{
    char key[KEY_LEN] = {0};
    if (strlen(name) >= KEY_LEN)
        return;
    memcpy(key, name, strlen(name));
    struct gw_map_node *found = gw_map_find(&table->hosts, key);
    if (found)
        free_host(table, gw_map_entry(found, struct host, node));
}

size_t gw_dns_table_count(const struct gw_dns_table *table)
{
    return table->hosts.len;
}

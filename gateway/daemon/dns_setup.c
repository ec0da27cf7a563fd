/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/dns_setup.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/wire/peer_id.h"
#include "resolver/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_AGAIN_NS GW_S(180)
/* One that is not reached is asked ever more seldom. */
#define RETRY_NS GW_S(15)
#define RETRY_MAX_NS GW_S(3600)
/* Of peers that are due to be asked, this many in each second: a thousand are not connected to at once. */
#define ASKS_A_TICK 16u
#define TICK_S 1

static const struct gw_prefix local_range = {.ip = {.family = 4, .ip = {127, 64}}, .bits = 16};
static const struct gw_prefix ula_range = {.ip = {.family = 6, .ip = {0xfd, GW_VIP_NETWORK}}, .bits = 48};

/* A peer that has a virtual address. */
struct guest {
    struct gw_map_node node;
    uint8_t key[GW_KEY_LEN];
    struct gw_dns_setup *setup;
    const struct gw_vip_entry *entry;
    struct gw_addr ipv6; /* configured; family 0 = the one of the entry */
    bool is_wanted;      /* while refreshing */

    bool is_established, is_known; /* is_known: it has told its services once */
    struct gw_mono handshake;      /* when the session was made, of the last one seen */
    struct gw_mono next_ask;
    unsigned failed;              /* questions in a row that it did not answer */
    struct gw_question *question; /* NULL: none is under way */
    struct gw_dns_service *services;
    size_t service_count;

    struct gw_vrouter_peer *router_peer; /* NULL: no router */
    struct gw_addr local;                /* what it has there */
};

/* ---- the server */

static void free_server(struct gw_dns_setup *setup)
{
    if (setup->server)
        gw_dns_server_free(setup->server);
    if (setup->forward)
        gw_dns_forward_free(setup->forward);
    gw_dns_table_free(setup->table);
    setup->server = NULL;
    setup->forward = NULL;
    setup->table = NULL;
}

/* Zeroed to the last byte, as it is compared. */
static void take_config(struct gw_dns_setup_server *out, const struct gw_config *config)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < config->dns.listen.count && i < GW_DNS_LISTEN_MAX; i++)
        out->listen[out->listen_count++] = config->dns.listen.items[i].addr;
    for (size_t i = 0; i < config->dns.upstreams.count && i < GW_DNS_UPSTREAMS_MAX; i++)
        out->upstreams[out->upstream_count++] = config->dns.upstreams.items[i].addr;
    for (size_t i = 0; i < config->dns.allowed.count && i < GW_DNS_ALLOWED_MAX; i++) {
        struct gw_prefix *to = &out->allowed[out->allowed_count++];
        to->ip = config->dns.allowed.items[i].ip;
        to->bits = config->dns.allowed.items[i].bits;
    }
    out->rate = config->dns.rate;
}

/* The table's own values: whose reverse names are ours, and where ns.p2p is. */
static void fill_zone(struct gw_dns_setup *setup, const struct gw_config *config)
{
    struct gw_dns_zone *zone = gw_dns_table_zone(setup->table);
    zone->range_count = 0;
    zone->ranges[zone->range_count++] = local_range;
    zone->ranges[zone->range_count++] = config->address_range;
    zone->ranges[zone->range_count++] = ula_range;
    for (size_t i = 0; setup->params.has_tun && i < config->addresses.count && i < 2; i++)
        zone->ranges[zone->range_count++] = config->addresses.items[i];
    memset(zone->servers, 0, sizeof zone->servers);
    for (size_t i = 0; i < setup->started.listen_count; i++) {
        const struct gw_addr *at = &setup->started.listen[i];
        struct gw_addr *server = &zone->servers[at->family == 6];
        if (gw_addr_is_set(server) || gw_addr_is_unspecified(at))
            continue;
        *server = *at;
        server->port = 0;
    }
}

static int make_forward(struct gw_dns_setup *setup)
{
    const struct gw_dns_setup_server *started = &setup->started;
    struct gw_dns_forward_params params = {.loop = setup->params.loop,
                                           .random = gw_random_system(),
                                           .upstream_count = (unsigned)started->upstream_count};
    if (started->upstream_count == 0)
        return 0;
    memcpy(params.upstreams, started->upstreams, sizeof params.upstreams);
    return gw_dns_forward_new(&setup->forward, &params);
}

static int make_server(struct gw_dns_setup *setup, const struct gw_config *config, struct gw_diag *diag)
{
    const struct gw_dns_setup_server *started = &setup->started;
    size_t bad = started->listen_count;
    char at[GW_ADDR_STRLEN];
    int err = GW_E_NOMEM;
    setup->table = gw_dns_table_new();
    if (setup->table)
        err = make_forward(setup);
    if (err == 0) {
        const struct gw_dns_server_params params = {.loop = setup->params.loop,
                                                    .zone = gw_dns_table_zone(setup->table),
                                                    .forward = setup->forward,
                                                    .listen = started->listen,
                                                    .listen_count = started->listen_count,
                                                    .allowed = started->allowed,
                                                    .allowed_count = started->allowed_count,
                                                    .rate = (double)started->rate,
                                                    .burst = 2 * (double)started->rate};
        err = gw_dns_server_new(&setup->server, &params, &bad);
    }
    if (err != 0)
        gw_diag_error(diag, config->path, 0, "the DNS server cannot listen on %s: %s%s",
                      bad < started->listen_count ? gw_addr_format(&started->listen[bad], at)
                                                  : "its addresses",
                      gw_strerror(err),
                      err == -EADDRINUSE ? "; choose another port for `dns.listen`"
                      : err == -EACCES   ? "; ports below 1024 are for root only"
                                         : "");
    return err;
}

/* ---- the table */

/* "home.demo", lower case. false: no host name, or too long. */
static bool set_name(struct gw_dns_host *host, const char *name, const char *network)
{
    if (!gw_dns_label_is_valid(name, strlen(name)))
        return false;
    int len = snprintf(host->name, sizeof host->name, "%s%s%s", name, *network ? "." : "", network);
    gw_dns_lower(host->name);
    return len > 0 && (size_t)len < sizeof host->name;
}

static void put_host(struct gw_dns_setup *setup, struct gw_dns_host *host, const char *name,
                     const char *network, bool is_canonical)
{
    if (!set_name(host, name, network))
        return;
    int err = gw_dns_table_put(setup->table, host, is_canonical);
    if (err != 0)
        gw_log_warn("%s.p2p is left out of DNS: %s", host->name, gw_strerror(err));
}

static bool has_host(struct gw_dns_setup *setup, const char *name, const char *network)
{
    struct gw_dns_zone *zone = gw_dns_table_zone(setup->table);
    struct gw_dns_host host;
    if (!set_name(&host, name, network))
        return false;
    return zone->lookup(zone, (struct gw_view){(const uint8_t *)host.name, strlen(name)},
                        (struct gw_view){(const uint8_t *)network, strlen(network)}) != NULL;
}

static void set_peer_id(struct gw_dns_host *host, bool has_ed25519, const uint8_t ed25519[32])
{
    if (has_ed25519)
        gw_peer_id_format(ed25519, host->peer_id);
}

/* With a TUN an address is told only if packets to it go to that peer. */
static struct gw_addr routed(const struct gw_dns_setup *setup, const struct gw_peer *peer,
                             const struct gw_addr *address)
{
    return gw_gateway_route(setup->params.gateway, address) == peer ? *address : (struct gw_addr){0};
}

static void describe_peer(struct gw_dns_setup *setup, struct gw_dns_host *host, struct gw_peer *peer,
                          const struct guest *guest)
{
    const struct gw_peer_config *config = gw_peer_config(peer);
    const struct gw_vip_entry *entry = guest->entry;
    *host = (struct gw_dns_host){.ipv4 = entry->local,
                                 .is_ipv4_derived = true,
                                 .services = guest->services,
                                 .service_count = guest->service_count};
    if (setup->params.has_tun) {
        host->ipv4 = routed(setup, peer, &entry->ipv4);
        host->ipv6 = routed(setup, peer, gw_addr_is_set(&guest->ipv6) ? &guest->ipv6 : &entry->ipv6);
        host->is_ipv4_derived = !entry->is_configured;
    }
    set_peer_id(host, config->has_ed25519, config->ed25519);
}

static size_t own_services(const struct gw_dns_setup *setup,
                           struct gw_dns_service out[GW_DNS_HOST_SERVICES_MAX])
{
    const struct gw_registry *registry = gw_services_registry(setup->params.services);
    size_t count = 0;
    for (size_t i = 0; i < registry->count && count < GW_DNS_HOST_SERVICES_MAX; i++) {
        const struct gw_service *service = registry->services[i];
        if (!service->is_enabled)
            continue;
        struct gw_dns_service *to = &out[count++];
        *to = (struct gw_dns_service){.port = service->port, .is_udp = service->is_udp};
        snprintf(to->name, sizeof to->name, "%s", service->name);
        gw_dns_lower(to->name);
    }
    return count;
}

/* services: GW_DNS_HOST_SERVICES_MAX of room. */
static void describe_self(struct gw_dns_setup *setup, struct gw_dns_host *host,
                          struct gw_dns_service *services)
{
    const struct gw_vip_entry *own = gw_vip_own(setup->addresses.vip);
    const struct gw_config *config = setup->params.files->config;
    *host = (struct gw_dns_host){.ipv4 = own->local,
                                 .is_ipv4_derived = true,
                                 .services = services,
                                 .service_count = own_services(setup, services)};
    if (!setup->params.has_tun)
        return;
    host->ipv4 = own->ipv4;
    host->ipv6 = own->ipv6;
    host->is_ipv4_derived = !own->is_configured;
    for (size_t i = 0; i < config->addresses.count; i++) {
        if (config->addresses.items[i].ip.family == 6)
            host->ipv6 = config->addresses.items[i].ip;
    }
}

static struct guest *find_guest(const struct gw_dns_setup *setup, const uint8_t key[GW_KEY_LEN])
{
    struct gw_map_node *found = gw_map_find(&setup->guests, key);
    return found ? gw_map_entry(found, struct guest, node) : NULL;
}

/* A name of the owner's goes before all others, and serves every network if it names none. */
static void put_name(struct gw_dns_setup *setup, const struct gw_name *name, const struct gw_dns_host *self)
{
    struct gateway *gateway = setup->params.gateway;
    struct gw_peer *peer = gw_gateway_find_peer(gateway, name->x25519);
    struct guest *guest = find_guest(setup, name->x25519);
    struct gw_dns_host host;
    const char *network = setup->params.files->config->network;
    if (peer && guest)
        describe_peer(setup, &host, peer, guest);
    else if (memcmp(name->x25519, gw_gateway_public_key(gateway), GW_KEY_LEN) == 0)
        host = *self;
    else
        return;
    put_host(setup, &host, name->host, name->network[0] ? name->network : network ? network : "", false);
    if (!name->network[0])
        put_host(setup, &host, name->host, "", false);
}

static void put_peers(struct gw_dns_setup *setup, const char *network)
{
    struct gateway *gateway = setup->params.gateway;
    for (struct gw_peer *peer = gw_gateway_next_peer(gateway, NULL); peer;
         peer = gw_gateway_next_peer(gateway, peer)) {
        const struct gw_peer_config *config = gw_peer_config(peer);
        const struct guest *guest = find_guest(setup, config->public_key);
        struct gw_dns_host host;
        if (!guest || !config->name[0] || has_host(setup, config->name, network))
            continue; /* the first of a name has it, as in the resolver */
        describe_peer(setup, &host, peer, guest);
        put_host(setup, &host, config->name, network, true);
    }
}

static void fill_table(struct gw_dns_setup *setup)
{
    const struct gw_files *files = setup->params.files;
    const char *network = files->config->network ? files->config->network : "";
    struct gw_dns_service services[GW_DNS_HOST_SERVICES_MAX];
    struct gw_dns_host self;
    setup->is_stale = false;
    if (!setup->table || !setup->addresses.vip)
        return;
    gw_dns_table_clear(setup->table);
    fill_zone(setup, files->config);
    if (*network)
        gw_dns_table_put_network(setup->table, network);
    describe_self(setup, &self, services);
    if (files->config->hostname)
        put_host(setup, &self, files->config->hostname, network, true);
    put_peers(setup, network);
    for (size_t i = 0; i < files->names->count; i++)
        put_name(setup, &files->names->names[i], &self);
    gw_dns_table_zone(setup->table)->serial++;
}

int gw_dns_setup_listen(struct gw_dns_setup *setup, const struct gw_config *config, struct gw_diag *diag)
{
    struct gw_dns_setup_server wanted;
    char at[GW_ADDR_STRLEN];
    take_config(&wanted, config);
    if (config->dns.enabled && setup->server && memcmp(&wanted, &setup->started, sizeof wanted) == 0)
        return 0;
    free_server(setup);
    if (!config->dns.enabled)
        return 0;
    memcpy(&setup->started, &wanted, sizeof wanted);
    int err = make_server(setup, config, diag);
    if (err != 0) {
        free_server(setup);
        return err;
    }
    fill_table(setup);
    for (size_t i = 0; i < wanted.listen_count; i++)
        gw_log_info("DNS server on %s", gw_addr_log(gw_dns_server_listen(setup->server, i), at));
    return 0;
}

/* ---- what peers offer */

static void route_services(struct guest *guest, struct gw_mono now)
{
    struct gw_vrouter_service *list = calloc(guest->service_count + 1, sizeof *list);
    if (!guest->router_peer || !guest->is_known || !list) {
        free(list);
        return;
    }
    for (size_t i = 0; i < guest->service_count; i++) {
        snprintf(list[i].name, sizeof list[i].name, "%s", guest->services[i].name);
        list[i].port = guest->services[i].port;
        list[i].is_udp = guest->services[i].is_udp;
    }
    gw_vrouter_set(guest->router_peer, list, guest->service_count, now); /* it logs what fails */
    free(list);
}

static void on_services(int err, const struct gw_peer_service *list, size_t count, void *user)
{
    struct guest *guest = user;
    struct gw_dns_setup *setup = guest->setup;
    guest->question = NULL;
    guest->failed = err != 0 ? guest->failed + 1 : 0;
    guest->is_known = guest->is_known || err == -EPROTONOSUPPORT; /* WireGuard: there are none */
    if (err != 0)
        return;
    count = count < GW_DNS_HOST_SERVICES_MAX ? count : GW_DNS_HOST_SERVICES_MAX;
    struct gw_dns_service *services = calloc(count + 1, sizeof *services);
    if (!services)
        return;
    for (size_t i = 0; i < count; i++) {
        snprintf(services[i].name, sizeof services[i].name, "%s", list[i].name);
        gw_dns_lower(services[i].name);
        services[i].port = list[i].port;
        services[i].is_udp = list[i].is_udp;
    }
    free(guest->services);
    guest->services = services;
    guest->service_count = count;
    guest->is_known = true;
    route_services(guest, gw_loop_now(setup->params.loop));
    setup->is_stale = true;
    event_active(setup->tick, EV_TIMEOUT, 0);
}

/* Is there a session, and another one than was seen last? It may have been restarted meanwhile. */
static bool see_session(struct guest *guest, const struct gw_peer *peer, struct gw_mono now)
{
    struct gw_peer_status status;
    gw_peer_status(peer, now, &status);
    guest->is_established = status.session.state == GW_SESSION_ESTABLISHED;
    if (!guest->is_established || gw_mono_sub(status.session.last_handshake, guest->handshake) == 0)
        return false;
    guest->handshake = status.session.last_handshake;
    return true;
}

/* The router can listen for a peer only when it knows its services: then one that was never asked is connected to for that. */
static bool is_due(const struct gw_dns_setup *setup, const struct guest *guest, const struct gw_peer *peer,
                   struct gw_mono now)
{
    if (guest->question || !gw_mono_due(guest->next_ask, now))
        return false;
    return guest->is_established ||
           (setup->router && !guest->is_known && gw_peer_config(peer)->endpoint_count > 0);
}

static int64_t ask_again_after(const struct guest *guest)
{
    int64_t retry = RETRY_NS << (guest->failed < 8 ? guest->failed : 8);
    return guest->is_established ? ASK_AGAIN_NS : retry < RETRY_MAX_NS ? retry : RETRY_MAX_NS;
}

static void ask_peers(struct gw_dns_setup *setup, struct gw_mono now)
{
    unsigned asked = 0;
    for (struct gw_map_node *at = gw_map_first(&setup->guests); at && asked < ASKS_A_TICK;
         at = gw_map_next(&setup->guests, at)) {
        struct guest *guest = gw_map_entry(at, struct guest, node);
        struct gw_peer *peer = gw_gateway_find_peer(setup->params.gateway, guest->key);
        if (!peer)
            continue;
        if (see_session(guest, peer, now))
            guest->next_ask = now; /* made anew without an event, as after a restart of the peer */
        if (!is_due(setup, guest, peer, now))
            continue;
        guest->next_ask = gw_mono_add(now, ask_again_after(guest));
        gw_peer_services_ask(&guest->question, setup->params.peer_services, peer, on_services, guest);
        asked++;
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct gw_dns_setup *setup = arg;
    (void)fd, (void)what;
    ask_peers(setup, gw_loop_now(setup->params.loop));
    gw_vip_state_save(&setup->addresses);
    if (setup->is_stale)
        fill_table(setup);
}

void gw_dns_setup_on_peer(struct gw_dns_setup *setup, struct gw_peer *peer, struct gw_mono now)
{
    struct guest *guest = setup->tick ? find_guest(setup, gw_peer_config(peer)->public_key) : NULL;
    if (!guest)
        return;
    if (!see_session(guest, peer, now))
        return;
    guest->next_ask = now;
    event_active(setup->tick, EV_TIMEOUT, 0);
}

/* ---- who has an address */

static void free_guest(struct guest *guest, struct gw_mono now)
{
    gw_map_remove(&guest->setup->guests, &guest->node);
    if (guest->question)
        gw_question_cancel(guest->question);
    if (guest->router_peer)
        gw_vrouter_remove_peer(guest->router_peer, now);
    free(guest->services);
    free(guest);
}

static void free_guests(struct gw_dns_setup *setup, bool only_unwanted, struct gw_mono now)
{
    struct gw_map_node *next;
    for (struct gw_map_node *at = gw_map_first(&setup->guests); at; at = next) {
        struct guest *guest = gw_map_entry(at, struct guest, node);
        next = gw_map_next(&setup->guests, at);
        if (!only_unwanted || !guest->is_wanted)
            free_guest(guest, now);
    }
}

static struct guest *make_guest(struct gw_dns_setup *setup, const struct gw_peer *peer, struct gw_mono now)
{
    struct guest *guest = calloc(1, sizeof *guest);
    if (!guest)
        return NULL;
    memcpy(guest->key, gw_peer_config(peer)->public_key, GW_KEY_LEN);
    guest->setup = setup;
    guest->next_ask = now;
    see_session(guest, peer, now);
    if (gw_map_insert(&setup->guests, &guest->node, guest->key) == 0)
        return guest;
    free(guest);
    return NULL;
}

/* configured: of config.yaml; NULL for a peer that is in authorized_keys only. */
static void admit(struct gw_dns_setup *setup, const struct gw_peer *peer,
                  const struct gw_config_peer *configured, struct gw_mono now)
{
    const uint8_t *key = gw_peer_config(peer)->public_key;
    struct guest *guest = find_guest(setup, key);
    const struct gw_vip_entry *entry = NULL;
    struct gw_addr ips[2] = {{.family = 0}}; /* the first IPv4, the first IPv6 */
    if (guest && guest->is_wanted)
        return;
    for (size_t i = 0; configured && i < configured->tunnel_ips.count; i++) {
        const struct gw_addr *ip = &configured->tunnel_ips.items[i];
        struct gw_addr *to = &ips[ip->family == 6];
        *to = gw_addr_is_set(to) ? *to : *ip;
    }
    int err = gw_vip_assign(setup->addresses.vip, key, gw_addr_is_set(&ips[0]) ? &ips[0] : NULL, &entry);
    if (err == 0 && !guest)
        guest = make_guest(setup, peer, now);
    if (err != 0 || !guest) {
        gw_log_warn("%s: no virtual address: %s", gw_peer_name(peer),
                    err == GW_E_INVAL ? "another has its `tunnel_ip`" : gw_strerror(err ? err : GW_E_NOMEM));
        return;
    }
    guest->entry = entry;
    guest->ipv6 = ips[1];
    guest->is_wanted = true;
}

/* Those with an address of the owner's first, as it may be somebody else's until then. */
static void admit_all(struct gw_dns_setup *setup, struct gw_mono now)
{
    const struct gw_config *config = setup->params.files->config;
    struct gateway *gateway = setup->params.gateway;
    for (struct gw_map_node *at = gw_map_first(&setup->guests); at; at = gw_map_next(&setup->guests, at))
        gw_map_entry(at, struct guest, node)->is_wanted = false;
    for (size_t i = 0; i < config->peers.count; i++) {
        const struct gw_config_peer *configured = &config->peers.items[i];
        const struct gw_peer *peer = gw_gateway_find_peer(gateway, configured->public_key.bytes);
        if (peer)
            admit(setup, peer, configured, now);
    }
    for (struct gw_peer *peer = gw_gateway_next_peer(gateway, NULL); peer;
         peer = gw_gateway_next_peer(gateway, peer))
        admit(setup, peer, NULL, now);
    free_guests(setup, true, now);
}

/* ---- the router */

static void leave_router(struct guest *guest, struct gw_mono now)
{
    if (guest->router_peer)
        gw_vrouter_remove_peer(guest->router_peer, now);
    guest->router_peer = NULL;
}

static void join_router(struct gw_dns_setup *setup, struct guest *guest, struct gw_mono now)
{
    const struct gw_peer *peer = gw_gateway_find_peer(setup->params.gateway, guest->key);
    if (guest->router_peer && gw_addr_equal(&guest->local, &guest->entry->local))
        return;
    leave_router(guest, now);
    guest->local = guest->entry->local;
    guest->router_peer = gw_vrouter_add_peer(setup->router, setup->params.gateway, guest->key, &guest->local,
                                             peer ? gw_peer_name(peer) : "");
    route_services(guest, now);
}

static void apply_router(struct gw_dns_setup *setup, bool is_wanted, struct gw_mono now)
{
    const struct gw_vrouter_params params = {.loop = setup->params.loop};
    if (is_wanted && !setup->router) {
        setup->router = gw_vrouter_new(&params);
        if (!setup->router)
            gw_log_error("no virtual router: %s", gw_strerror(GW_E_NOMEM));
    }
    for (struct gw_map_node *at = gw_map_first(&setup->guests); at; at = gw_map_next(&setup->guests, at)) {
        struct guest *guest = gw_map_entry(at, struct guest, node);
        if (is_wanted && setup->router)
            join_router(setup, guest, now);
        else
            leave_router(guest, now);
    }
    if (!is_wanted) {
        gw_vrouter_free(setup->router, now);
        setup->router = NULL;
    }
}

/* ---- all of it */

int gw_dns_setup_init(struct gw_dns_setup *setup, const struct gw_dns_setup_params *params)
{
    uint8_t seed[16];
    setup->params = *params;
    gw_random_fill(gw_random_system(), seed, sizeof seed);
    gw_map_init(&setup->guests, GW_KEY_LEN, seed);
    setup->tick = event_new(gw_loop_base(params->loop), -1, EV_PERSIST, on_tick, setup);
    return setup->tick ? 0 : GW_E_NOMEM;
}

static void end(struct gw_dns_setup *setup, struct gw_mono now)
{
    event_del(setup->tick);
    apply_router(setup, false, now);
    free_guests(setup, false, now);
    gw_vip_state_close(&setup->addresses);
}

void gw_dns_setup_fini(struct gw_dns_setup *setup, struct gw_mono now)
{
    if (setup->tick) {
        end(setup, now);
        free_server(setup);
        gw_map_fini(&setup->guests);
        event_free(setup->tick);
    }
    memset(setup, 0, sizeof *setup);
}

static int open_addresses(struct gw_dns_setup *setup, const struct gw_config *config)
{
    struct gw_vip_params params = {.range = config->address_range, .local_range = local_range};
    memcpy(params.own_key, gw_gateway_public_key(setup->params.gateway), GW_KEY_LEN);
    for (size_t i = 0; i < config->addresses.count; i++) {
        if (config->addresses.items[i].ip.family == 4)
            params.own_ipv4 = config->addresses.items[i].ip;
    }
    return gw_vip_state_open(&setup->addresses, setup->params.state_dir, &params);
}

void gw_dns_setup_refresh(struct gw_dns_setup *setup, struct gw_mono now)
{
    const struct timeval every = {.tv_sec = TICK_S};
    if (!setup->tick)
        return;
    const struct gw_config *config = setup->params.files->config;
    bool wants_router = config->virtual_router.enabled && !setup->params.has_tun;
    if (!setup->server && !wants_router) {
        end(setup, now);
        return;
    }
    int err = open_addresses(setup, config);
    if (err != 0) {
        gw_log_error("no virtual addresses: %s", gw_strerror(err));
        end(setup, now);
        return;
    }
    admit_all(setup, now);
    apply_router(setup, wants_router, now);
    fill_table(setup);
    gw_vip_state_save(&setup->addresses);
    event_add(setup->tick, &every);
}

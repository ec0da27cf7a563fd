/* SPDX-License-Identifier: MIT */
#include "gateway/daemon/guests.h"

#include "gateway/base/err.h"
#include "gateway/base/log.h"
#include "gateway/base/random.h"
#include "gateway/daemon/router_setup.h"
#include "resolver/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_AGAIN_NS GW_S(180)
/* One that is not reached is asked ever more seldom. */
#define RETRY_NS GW_S(15)
#define RETRY_MAX_NS GW_S(3600)

struct gw_guest *gw_guests_find(const struct gw_guests *guests, const uint8_t key[GW_KEY_LEN])
{
    struct gw_map_node *found = gw_map_find(&guests->map, key);
    return found ? gw_map_entry(found, struct gw_guest, node) : NULL;
}

struct gw_guest *gw_guests_next(const struct gw_guests *guests, const struct gw_guest *guest)
{
    struct gw_map_node *node = guest ? gw_map_next(&guests->map, &guest->node) : gw_map_first(&guests->map);
    return node ? gw_map_entry(node, struct gw_guest, node) : NULL;
}

/* ---- what they offer */

static void on_services(int err, const struct gw_peer_service *list, size_t count, void *user)
{
    struct gw_guest *guest = user;
    struct gw_guests *guests = guest->guests;
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
    guests->on_services(guest, gw_loop_now(guests->params.loop), guests->ctx);
}

/* Is there a session, and another one than was seen last? It may have been restarted meanwhile. */
static bool see_session(struct gw_guest *guest, const struct gw_peer *peer, struct gw_mono now)
{
    struct gw_peer_status status;
    gw_peer_status(peer, now, &status);
    guest->is_established = status.session.state == GW_SESSION_ESTABLISHED;
    if (!guest->is_established || gw_mono_sub(status.session.last_handshake, guest->handshake) == 0)
        return false;
    guest->handshake = status.session.last_handshake;
    return true;
}

/* Who needs to know the services connects for that to one that was never asked. */
static bool is_due(const struct gw_guest *guest, const struct gw_peer *peer, bool is_eager,
                   struct gw_mono now)
{
    if (guest->question || !gw_mono_due(guest->next_ask, now))
        return false;
    return guest->is_established ||
           (is_eager && !guest->is_known && gw_peer_config(peer)->endpoint_count > 0);
}

static int64_t ask_again_after(const struct gw_guest *guest)
{
    int64_t retry = RETRY_NS << (guest->failed < 8 ? guest->failed : 8);
    return guest->is_established ? ASK_AGAIN_NS : retry < RETRY_MAX_NS ? retry : RETRY_MAX_NS;
}

unsigned gw_guests_ask(struct gw_guests *guests, bool is_eager, unsigned room, struct gw_mono now)
{
    unsigned asked = 0;
    for (struct gw_guest *guest = gw_guests_next(guests, NULL); guest && asked < room;
         guest = gw_guests_next(guests, guest)) {
        struct gw_peer *peer = gw_gateway_find_peer(guests->params.gateway, guest->key);
        if (!peer)
            continue;
        if (see_session(guest, peer, now))
            guest->next_ask = now; /* made anew without an event, as after a restart of the peer */
        if (!is_due(guest, peer, is_eager, now))
            continue;
        guest->next_ask = gw_mono_add(now, ask_again_after(guest));
        gw_peer_services_ask(&guest->question, guests->params.peer_services, peer, on_services, guest);
        asked++;
    }
    return asked;
}

bool gw_guests_on_peer(struct gw_guests *guests, struct gw_peer *peer, struct gw_mono now)
{
    struct gw_guest *guest =
        guests->params.loop ? gw_guests_find(guests, gw_peer_config(peer)->public_key) : NULL;
    if (!guest || !see_session(guest, peer, now))
        return false;
    guest->next_ask = now;
    return true;
}

/* ---- who has an address */

static void free_guest(struct gw_guest *guest, struct gw_mono now)
{
    gw_map_remove(&guest->guests->map, &guest->node);
    if (guest->question)
        gw_question_cancel(guest->question);
    gw_router_setup_leave(guest, now);
    free(guest->services);
    free(guest);
}

static void free_all(struct gw_guests *guests, bool only_unwanted, struct gw_mono now)
{
    struct gw_guest *next;
    for (struct gw_guest *guest = gw_guests_next(guests, NULL); guest; guest = next) {
        next = gw_guests_next(guests, guest);
        if (!only_unwanted || !guest->is_wanted)
            free_guest(guest, now);
    }
}

static struct gw_guest *make_guest(struct gw_guests *guests, const struct gw_peer *peer, struct gw_mono now)
{
    struct gw_guest *guest = calloc(1, sizeof *guest);
    if (!guest)
        return NULL;
    memcpy(guest->key, gw_peer_config(peer)->public_key, GW_KEY_LEN);
    guest->guests = guests;
    guest->next_ask = now;
    see_session(guest, peer, now);
    if (gw_map_insert(&guests->map, &guest->node, guest->key) == 0)
        return guest;
    free(guest);
    return NULL;
}

/* configured: of config.yaml; NULL for a peer that is in authorized_keys only. */
static void admit(struct gw_guests *guests, const struct gw_peer *peer,
                  const struct gw_config_peer *configured, struct gw_mono now)
{
    const uint8_t *key = gw_peer_config(peer)->public_key;
    struct gw_guest *guest = gw_guests_find(guests, key);
    const struct gw_vip_entry *entry = NULL;
    const struct gw_addr *ipv4 = configured ? gw_addresses_configured(configured, 4) : NULL;
    const struct gw_addr *ipv6 = configured ? gw_addresses_configured(configured, 6) : NULL;
    if (guest && guest->is_wanted)
        return;
    int err = gw_vip_assign(guests->params.addresses->vip, key, ipv4, &entry);
    if (err == 0 && !guest)
        guest = make_guest(guests, peer, now);
    if (err != 0 || !guest) {
        gw_log_warn("%s: no virtual address: %s", gw_peer_name(peer),
                    err == GW_E_INVAL ? "another has its `tunnel_ip`" : gw_strerror(err ? err : GW_E_NOMEM));
        return;
    }
    guest->entry = entry;
    guest->ipv6 = ipv6 ? *ipv6 : (struct gw_addr){0};
    guest->is_wanted = true;
}

/* Those with an address of the owner's first, as it may be somebody else's until then. */
static void admit_all(struct gw_guests *guests, const struct gw_config_network *config, struct gw_mono now)
{
    struct gateway *gateway = guests->params.gateway;
    for (struct gw_guest *guest = gw_guests_next(guests, NULL); guest; guest = gw_guests_next(guests, guest))
        guest->is_wanted = false;
    for (size_t i = 0; i < config->peers.count; i++) {
        const struct gw_config_peer *configured = &config->peers.items[i];
        const struct gw_peer *peer = gw_gateway_find_peer(gateway, configured->public_key.bytes);
        if (peer)
            admit(guests, peer, configured, now);
    }
    for (struct gw_peer *peer = gw_gateway_next_peer(gateway, NULL); peer;
         peer = gw_gateway_next_peer(gateway, peer))
        admit(guests, peer, NULL, now);
    free_all(guests, true, now);
}

/* ---- all of it */

int gw_guests_open(struct gw_guests *guests, struct gw_mono now)
{
    guests->is_open = guests->params.addresses->vip != NULL;
    if (!guests->is_open)
        gw_guests_close(guests, now);
    return guests->is_open ? 0 : GW_E_NOMEM;
}

void gw_guests_refresh(struct gw_guests *guests, const struct gw_config_network *config, struct gw_mono now)
{
    if (gw_guests_is_open(guests))
        admit_all(guests, config, now);
}

void gw_guests_close(struct gw_guests *guests, struct gw_mono now)
{
    free_all(guests, false, now);
    guests->is_open = false;
}

void gw_guests_init(struct gw_guests *guests, const struct gw_guests_params *params)
{
    uint8_t seed[16];
    *guests = (struct gw_guests){.params = *params};
    gw_random_fill(gw_random_system(), seed, sizeof seed);
    gw_map_init(&guests->map, GW_KEY_LEN, seed);
}

void gw_guests_fini(struct gw_guests *guests, struct gw_mono now)
{
    if (!guests->params.loop)
        return;
    gw_guests_close(guests, now);
    gw_map_fini(&guests->map);
    *guests = (struct gw_guests){0};
}
